"""Memory and time of one pair with a million inputs, and of many pairs on all cores.

    python benchmarks/scale.py                      # one pair of 1,000,000 inputs, 500 pairs
    python benchmarks/scale.py --inputs 200000 --pairs 0

Each model of one pair runs in a process of its own, whose peak memory (resident set, imports
included) is read when it ends; the bar is 2 GB. The many pairs read their columns from one .npy
file by memory map. Everything is a simulation.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from estimation.aggregation import LaplaceMixture
from estimation.laboratory.pairs import SimulatedRecipe
from estimation.laboratory.settings import Raters, rating_source
from estimation.model_correlation import model_assisted_correlation, posterior_correlation
from estimation.parallel import Column, map_pairs
from estimation.sampling import draw_model_guided

BAR_BYTES = 2e9
STAGES = ("imports and data", "adaptive model", "posterior of all inputs", "model-assisted")


def one_pair(stage: str, n_inputs: int) -> dict:
    """Run one stage in this process; return seconds and peak memory in bytes."""
    pair = SimulatedRecipe(n_inputs, n_inputs // 100, 3.0, 6.0, seed=1).make()
    source = rating_source(pair, Raters(), seed=1)
    start = time.perf_counter()
    if stage == "adaptive model":
        from estimation.adaptive import adaptive_study

        estimate = adaptive_study(
            pair.activation,
            pair.prior,
            lambda items: source.rate(items)[1],
            n_ratings=540,
            seed=1,
        ).estimate
    elif stage != "imports and data":
        draw = draw_model_guided(pair.activation, pair.prior, n_draws=180, seed=1)
        items = draw.unique_indices
        model = LaplaceMixture(seed=1).fit_counts(
            pair.activation, pair.prior, items, np.full(items.size, 3), source.count(items, 3)
        )
        g = model.concept_draws(n_draws=100)
        estimate = (
            posterior_correlation(pair.activation, g)
            if stage == "posterior of all inputs"
            else model_assisted_correlation(
                pair.activation, draw, g, model.prediction_draws(n_draws=100)
            )
        )
    seconds = time.perf_counter() - start
    # kilobytes on Linux, bytes on macOS
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    score = (
        None if stage == "imports and data" else [estimate.score, estimate.lower, estimate.upper]
    )
    return {"seconds": seconds, "peak": peak, "score": score, "truth": pair.score}


def fit_pair(activation: np.ndarray, prior: np.ndarray, seed: int) -> dict:
    """Estimate one of many pairs, its labels being drawn from its prior."""
    draw = draw_model_guided(activation, prior, n_draws=180, seed=seed)
    items = draw.unique_indices
    source = rating_source_of(prior, seed)
    model = LaplaceMixture(seed=seed % 2**32).fit_counts(
        activation, prior, items, np.full(items.size, 3), source.count(items, 3)
    )
    estimate = posterior_correlation(activation, model.concept_draws(n_draws=100))
    return {"score": estimate.score, "lower": estimate.lower, "upper": estimate.upper}


def rating_source_of(prior: np.ndarray, seed: int):
    """Make raters for labels drawn from the prior."""
    from estimation.laboratory.rating_source import RatingSource
    from estimation.simulation import simulate_raters

    truth = np.random.default_rng(seed).random(prior.size) < prior
    return RatingSource.from_raters(truth, simulate_raters(60, seed=1), seed=seed)


def many_pairs(n_pairs: int, n_inputs: int, jobs: list[int], console: Console) -> None:
    """Time many pairs from memory-mapped columns, and check that results do not depend on jobs."""
    table = Table(title=f"{n_pairs} pairs of {n_inputs:,} inputs, from two .npy files")
    for name in ("processes", "seconds", "pairs a second", "same results"):
        table.add_column(name, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        made = [
            SimulatedRecipe(n_inputs, n_inputs // 20, 3.0, 6.0, seed=k).make() for k in range(20)
        ]
        paths = {}
        for name in ("activation", "prior"):
            paths[name] = str(Path(folder) / f"{name}.npy")
            np.save(paths[name], np.stack([getattr(pair, name) for pair in made], axis=1))
        pairs = {
            f"pair {k}": {name: Column(path, k % 20) for name, path in paths.items()}
            for k in range(n_pairs)
        }
        first = None
        for n_jobs in jobs:
            start = time.perf_counter()
            done = map_pairs(fit_pair, pairs, n_jobs=n_jobs, seed=0).results
            seconds = time.perf_counter() - start
            first = first or done
            same = "yes" if done == first else "NO"
            table.add_row(str(n_jobs), f"{seconds:.1f}", f"{n_pairs / seconds:.1f}", same)
    console.print(table)


def main() -> None:
    """Print the tables; exit with status 1 where a stage takes more memory than the bar."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--pairs", type=int, default=500, help="0 to leave the second table out")
    parser.add_argument("--pair-inputs", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, -1])
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage:
        print(json.dumps(one_pair(arguments.stage, arguments.inputs)))
        return
    console = Console()
    table = Table(title=f"one simulated pair, {arguments.inputs:,} inputs, peak memory")
    for name in ("stage", "seconds", "peak MB", "score", "truth"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    over = False
    for stage in STAGES:
        done = subprocess.run(  # noqa: S603 - this file
            [sys.executable, __file__, "--stage", stage, "--inputs", str(arguments.inputs)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            console.print(f"{stage}: failed\n{done.stderr}", markup=False)
            over = True
            continue
        row = json.loads(done.stdout)
        over = over or row["peak"] > BAR_BYTES
        score = "{:.3f} ({:.3f} to {:.3f})".format(*row["score"]) if row["score"] else ""
        mark = " above 2 GB" if row["peak"] > BAR_BYTES else ""
        table.add_row(
            stage,
            f"{row['seconds']:.1f}",
            f"{row['peak'] / 1e6:,.0f}{mark}",
            score,
            f"{row['truth']:.3f}",
        )
    console.print(table)
    if arguments.pairs:
        many_pairs(arguments.pairs, arguments.pair_inputs, arguments.jobs, console)
    sys.exit(1 if over else 0)


if __name__ == "__main__":
    main()
