"""The leaderboard, and whether its scores would notice a bad explanation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from annotation.exceptions import EstimateFailed
from annotation.science.errors import named
from annotation.science.plain import plain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from annotation.science.sampling import Draw


@dataclass(frozen=True)
class MethodScore:
    """A row of the leaderboard.

    Attributes
    ----------
    method : int
        Which method.
    n_neurons : int
        Neurons that it has a score for.
    mean_score, lower, upper : float
        Mean score over neurons and its interval.
    rank, rank_lower, rank_upper : int
        1 is best; the ends are rounded outwards.
    probability_best : float
        That no other method has a higher mean.
    """

    method: int
    n_neurons: int
    mean_score: float
    lower: float
    upper: float
    rank: int
    rank_lower: int
    rank_upper: int
    probability_best: float


def methods_compare(
    scores: "Sequence[tuple[int, int, str, float, float]]", *, level: float, seed: int
) -> tuple[list[MethodScore], list[str]]:
    """Rank the methods by their mean score over neurons.

    Parameters
    ----------
    scores : sequence of tuple
        (neuron, method, explanation, score, standard error); methods that gave a neuron the same
        explanation share its error.
    level : float
        Of the intervals.
    seed : int
        Of the comparison.

    Returns
    -------
    rows : list of MethodScore
        Best first; empty when there are no scores.
    warnings : list of str
        What a reader must know.

    Raises
    ------
    EstimateFailed
        When the science refuses the scores.
    """
    import math

    import pandas as pd

    from estimation.comparison import compare_methods

    if not scores:
        return [], []
    frame = pd.DataFrame(scores, columns=["neuron", "method", "explanation", "score", "sd"])
    with named("comparison of the methods", EstimateFailed):
        board = compare_methods(frame, level=level, seed=seed)
    rows = [
        MethodScore(
            method=int(method),
            n_neurons=int(row["n_neurons"]),
            mean_score=float(row["mean"]),
            lower=float(row["lower"]),
            upper=float(row["upper"]),
            rank=int(row["rank"]),
            rank_lower=math.floor(row["rank_lower"]),
            rank_upper=math.ceil(row["rank_upper"]),
            probability_best=float(row["probability_best"]),
        )
        for method, row in zip(
            board.table.index.tolist(), board.table.to_dict("records"), strict=True
        )
    ]
    return rows, list(board.warnings)


@dataclass(frozen=True)
class ConfirmedPair:
    """A neuron and the one concept that the ratings confirm it to follow.

    Attributes
    ----------
    name : str
        What to call it.
    activation : ndarray, shape (n_inputs,)
        Of the neuron.
    draw : Draw
        The concept's rated sample.
    labels : ndarray, shape (n_posterior, n_inputs)
        From `aggregate`.
    """

    name: str
    activation: "NDArray[np.floating[Any]]"
    draw: "Draw"
    labels: "NDArray[np.float64]"


def sanity_check(pairs: Sequence[ConfirmedPair], *, seed: int) -> list[dict[str, Any]]:
    """Run the Missing and Extra Labels tests on the estimated labels.

    Parameters
    ----------
    pairs : sequence of ConfirmedPair
        May be empty.
    seed : int
        Of labellings and spoiling.

    Returns
    -------
    list of dict
        The fields of `estimation.sanity.EstimatedSanity` and the ``threshold``, one entry a metric;
        empty without pairs.

    Raises
    ------
    EstimateFailed
        When the science refuses the input.
    """
    from dataclasses import asdict

    from estimation.sanity import PASS_THRESHOLD, SampledPair, check_estimated_labels

    if not pairs:
        return []
    sampled = [
        SampledPair(pair.activation, pair.draw, pair.labels[:, pair.draw.indices], pair.name)
        for pair in pairs
    ]
    with named("Missing and Extra Labels", EstimateFailed):
        result = check_estimated_labels(sampled, seed=seed)
    return [{**plain(asdict(result)), "threshold": PASS_THRESHOLD, "n_pairs": len(pairs)}]
