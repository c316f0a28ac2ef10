"""Real crowds with truth: reading them, drawing some ratings an item, scoring probabilities."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

#: Labels said to be certain are given this much doubt, or one error would cost infinitely much.
CLIP = 1e-10


@dataclass
class Crowd:
    """Ratings of one data set and its truth."""

    name: str
    ratings: pd.DataFrame
    truth: "pd.Series[float]"


def read_crowds(folder: Path) -> list[Crowd]:
    """Read every NAME_ratings.csv with its NAME_truth.csv."""
    files = sorted(folder.glob("*_ratings.csv"))
    if not files:
        sys.exit(
            f"--data: no file NAME_ratings.csv in {folder}; it needs columns item, rater, rating, "
            "and beside it NAME_truth.csv with columns item, truth"
        )
    crowds = []
    for path in files:
        name = path.name.removesuffix("_ratings.csv")
        truth_path = path.with_name(f"{name}_truth.csv")
        if not truth_path.is_file():
            sys.exit(f"--data: {truth_path} is missing (columns item, truth)")
        ratings = pd.read_csv(path, dtype={"item": str, "rater": str})
        truth = pd.read_csv(truth_path, dtype={"item": str}).set_index("item")["truth"]
        crowds.append(Crowd(name, ratings, truth.astype("float64")))
    return crowds


def keep_some(ratings: pd.DataFrame, redundancy: int, seed: int) -> pd.DataFrame:
    """Keep `redundancy` random ratings an item."""
    shuffled = ratings.iloc[np.random.default_rng(seed).permutation(len(ratings))]
    return shuffled[shuffled.groupby("item").cumcount() < redundancy].reset_index(drop=True)


def score(probability: "pd.Series[float]", truth: "pd.Series[float]") -> tuple[float, float]:
    """Compute accuracy (one half for ties) and log loss over the items with a truth."""
    p, t = probability.reindex(truth.index).to_numpy(), truth.to_numpy()
    right = np.where(p == 0.5, 0.5, (p > 0.5) == (t == 1))
    q = np.clip(p, CLIP, 1 - CLIP)
    return float(right.mean()), float(-np.mean(t * np.log(q) + (1 - t) * np.log1p(-q)))
