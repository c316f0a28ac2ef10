"""How far metrics agree: on the order of explanations, and on the best one of a neuron."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from torch import Tensor

from neuron_eval.validation import InputError

Kind = Literal["order", "best"]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def metric_agreement(scores: Mapping[str, Tensor], *, kind: Kind = "order") -> pd.DataFrame:
    """Compare metrics by the scores that they give the same pairs.

    Parameters
    ----------
    scores : mapping of str to Tensor, shape (n_neurons, n_concepts)
        Scores by metric, all of one shape, as of `neuron_eval.scoring.score_metrics`.
    kind : {"order", "best"}, default "order"
        ``order``: Spearman's correlation of two metrics' scores over the concepts of a neuron,
        averaged over neurons. ``best``: share of neurons for which both choose the same concept
        (among equals the first).

    Returns
    -------
    pandas.DataFrame, shape (n_metrics, n_metrics)
        Symmetric; in [-1, 1] for ``order``, in [0, 1] for ``best``. NaN where no neuron has two
        concepts that both metrics score.

    Raises
    ------
    InputError
        If there are no scores, their shapes differ, or the kind is unknown.

    Notes
    -----
    Scores that are undefined for one of two metrics do not count for this pair of metrics.
    """
    if kind not in ("order", "best"):
        raise InputError(f"kind: found {kind!r}, expected 'order' or 'best'.")
    if not scores or len({tuple(matrix.shape) for matrix in scores.values()}) > 1:
        raise InputError("scores: expected at least one metric, all scored on the same pairs.")
    arrays = {name: matrix.cpu().numpy() for name, matrix in scores.items()}
    ranks = {name: _ranks(array) for name, array in arrays.items()} if kind == "order" else {}
    names = list(arrays)
    table = pd.DataFrame(np.eye(len(names)), index=names, columns=names)
    for i, one in enumerate(names):
        for other in names[i:]:
            if kind == "best":
                value = _best(arrays[one], arrays[other])
            else:
                value = _order(arrays[one], arrays[other], ranks[one], ranks[other])
            table.loc[one, other] = table.loc[other, one] = value
    return table


def _ranks(scores: FloatArray) -> FloatArray:
    ranks: FloatArray = stats.rankdata(scores, axis=1, nan_policy="omit")
    return ranks


def _order(one: FloatArray, other: FloatArray, ranks: FloatArray, others: FloatArray) -> float:
    undefined = np.isnan(one) | np.isnan(other)
    x, y = _ranks_within(one, ranks, undefined), _ranks_within(other, others, undefined)
    n_both = (~undefined).sum(axis=1, keepdims=True)
    # The mean of ranks 1 to n; a neuron without a pair of concepts has none.
    x, y = (np.nan_to_num(side - (n_both + 1) / 2) for side in (x, y))
    lengths = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    # A neuron that a metric scores alike on all concepts has no order to agree on.
    ordered = lengths > 0
    if not ordered.any():
        return float("nan")
    return float(((x * y).sum(axis=1)[ordered] / lengths[ordered]).mean())


def _ranks_within(scores: FloatArray, ranks: FloatArray, undefined: BoolArray) -> FloatArray:
    """Rank among the concepts that both metrics score; that was done where these are all."""
    if np.array_equal(np.isnan(scores), undefined):
        return ranks
    return _ranks(np.where(undefined, np.nan, scores))


def _best(one: FloatArray, other: FloatArray) -> float:
    both = ~(np.isnan(one) | np.isnan(other))
    usable = both.any(axis=1)
    if not usable.any():
        return float("nan")
    first, second = (np.where(both, side, -np.inf)[usable].argmax(axis=1) for side in (one, other))
    return float((first == second).mean())
