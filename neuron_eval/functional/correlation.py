"""Correlation and cosine similarity: no binarization, every input counts.

Rows are centred and scaled tile by tile, products of the tiles add up to the scores. A constant row
is recognised by comparing its extremes, not by its variance, which rounding would spoil. Halves
and the division by the range keep even the squares of the greatest floats inside the range of
floats.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from neuron_eval.functional import _columns
from neuron_eval.functional._columns import MEMORY_BUDGET

Frame = Callable[[Tensor, Tensor | None, int], tuple[Tensor, Tensor]]


def pearson_correlation(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    memory_budget: int = MEMORY_BUDGET,
) -> Tensor:
    """Score the Pearson correlation of activations and concepts.

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations.
    concepts : array-like, shape (n_inputs, n_concepts)
        Concept vectors, in [0, 1].
    weights : array-like, shape (n_inputs,), optional
        Non-negative sample weights; a weight of 2 stands for the row twice.
    memory_budget : int, default 1 GiB
        Bytes for working copies.

    Returns
    -------
    Tensor, shape (n_neurons, n_concepts), float64
        Scores in [-1, 1]; NaN where undefined: the activations or the concept are constant.

    Raises
    ------
    InputError
        If an input is invalid.

    References
    ----------
    Oikarinen, Yan, Weng, "Evaluating Neuron Explanations: A Unified Framework with Sanity
    Checks", ICML 2025, arXiv 2506.05774.
    """
    scored = _columns.check(activations, concepts, weights)
    return _columns.fill(
        scored,
        memory_budget,
        _columns.AS_THEY_ARE,
        _columns.AS_THEY_ARE,
        lambda left, right: _cosines(left, right, scored.weights, memory_budget, _from_mean),
    )


def cosine_similarity(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    memory_budget: int = MEMORY_BUDGET,
) -> Tensor:
    """Score the cosine of the angle between activations and concepts, not centred.

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations.
    concepts : array-like, shape (n_inputs, n_concepts)
        Concept vectors, in [0, 1].
    weights : array-like, shape (n_inputs,), optional
        Non-negative sample weights; a weight of 2 stands for the row twice.
    memory_budget : int, default 1 GiB
        Bytes for working copies.

    Returns
    -------
    Tensor, shape (n_neurons, n_concepts), float64
        Scores in [-1, 1]; NaN where undefined: the activations or the concept are zero everywhere.

    Raises
    ------
    InputError
        If an input is invalid.

    References
    ----------
    Oikarinen, Yan, Weng, "Evaluating Neuron Explanations: A Unified Framework with Sanity
    Checks", ICML 2025, arXiv 2506.05774.
    """
    scored = _columns.check(activations, concepts, weights)
    return _columns.fill(
        scored,
        memory_budget,
        _columns.AS_THEY_ARE,
        _columns.AS_THEY_ARE,
        lambda left, right: _cosines(left, right, scored.weights, memory_budget, _from_zero),
    )


def rank_correlation(
    left: Tensor, right: Tensor, weights: Tensor | None, memory_budget: int
) -> Tensor:
    """Correlate all pairs of rows of mid-ranks.

    Parameters
    ----------
    left : Tensor, shape (n_left, n_inputs)
        Weighted mid-ranks of one side.
    right : Tensor, shape (n_right, n_inputs)
        Weighted mid-ranks of the other side.
    weights : Tensor, shape (n_inputs,), float64, or None
        Sample weights.
    memory_budget : int
        Bytes that the metric may use.

    Returns
    -------
    Tensor, shape (n_left, n_right), float64
        Correlations; NaN where the ranks of a row are all the same.
    """
    return _cosines(left, right, weights, memory_budget, _from_middle)


def _cosines(
    left: Tensor, right: Tensor, weights: Tensor | None, memory_budget: int, frame: Frame
) -> Tensor:
    rows = (left, right)
    frames = [frame(side, weights, memory_budget) for side in rows]
    squares = [torch.zeros(len(side), dtype=torch.float64, device=side.device) for side in rows]
    total = torch.zeros((len(left), len(right)), dtype=torch.float64, device=left.device)
    for tile in _columns.tiles(left.shape[1], len(left) + len(right), memory_budget, left.device):
        x, y = (scaled(side[:, tile], *placed) for side, placed in zip(rows, frames, strict=True))
        if weights is not None:
            root = weights[tile].sqrt()
            x *= root
            y *= root
        for sum_of_squares, part in zip(squares, (x, y), strict=True):
            sum_of_squares += part.square().sum(dim=1)
        total.addmm_(x, y.T)
    lengths = [side.sqrt() for side in squares]
    return total.div_(lengths[0][:, None]).div_(lengths[1]).clamp_(-1.0, 1.0)


def standardize(rows: Tensor, memory_budget: int) -> Tensor:
    """Centre rows and scale them to unit length, so that products of rows are correlations.

    Parameters
    ----------
    rows : Tensor, shape (columns, n_inputs)
        Values.
    memory_budget : int
        Bytes for working copies.

    Returns
    -------
    Tensor, shape (columns, n_inputs), float64
        Rows of sum 0 and sum of squares 1; NaN where a row is constant.
    """
    centred = scaled(rows, *_from_mean(rows, None, memory_budget))
    return centred.div_(torch.linalg.vector_norm(centred, dim=1, keepdim=True))


def scaled(rows: Tensor, origin: Tensor, unit: Tensor) -> Tensor:
    """Return half of each row, from its origin, in its unit.

    Parameters
    ----------
    rows : Tensor, shape (columns, n_inputs)
        Values.
    origin, unit : Tensor, shape (columns, 1), float64
        Half the value that becomes 0, and half the difference that becomes 1.

    Returns
    -------
    Tensor, shape (columns, n_inputs), float64
        A copy.
    """
    return rows.to(torch.float64, copy=True).mul_(0.5).sub_(origin).div_(unit)


def _from_mean(rows: Tensor, weights: Tensor | None, memory_budget: int) -> tuple[Tensor, Tensor]:
    """Place the origin at the weighted mean; the unit is the range, NaN for a constant row."""
    lowest, highest = _half_extremes(rows)
    unit = torch.where(lowest < highest, highest - lowest, torch.nan)
    mean = torch.zeros_like(unit)
    for tile in _columns.tiles(rows.shape[1], len(rows), memory_budget, rows.device):
        part = scaled(rows[:, tile], lowest, unit)
        mean += (part.sum(dim=1) if weights is None else part @ weights[tile])[:, None]
    mean /= rows.shape[1] if weights is None else weights.sum()
    return lowest + mean * unit, unit


def _from_zero(
    rows: Tensor,
    weights: Tensor | None,  # noqa: ARG001
    memory_budget: int,  # noqa: ARG001
) -> tuple[Tensor, Tensor]:
    """Place the origin at zero; the unit is the greatest value, NaN for a row of zeros."""
    lowest, highest = _half_extremes(rows)
    largest = torch.maximum(lowest.abs(), highest.abs())
    return torch.zeros_like(largest), torch.where(largest > 0, largest, torch.nan)


def _from_middle(
    ranks: Tensor,
    weights: Tensor | None,
    memory_budget: int,  # noqa: ARG001
) -> tuple[Tensor, Tensor]:
    """Place the origin at the mean of mid-ranks, which is half the total weight."""
    total = float(ranks.shape[1] if weights is None else weights.sum())
    lowest, highest = _half_extremes(ranks)
    unit = torch.where(lowest < highest, total, torch.nan)
    return torch.full_like(unit, total / 4), unit


def _half_extremes(rows: Tensor) -> tuple[Tensor, Tensor]:
    # Two calls: torch takes both extremes at once only several times as slowly.
    extremes = rows.amin(dim=1, keepdim=True), rows.amax(dim=1, keepdim=True)
    lowest, highest = (side.to(torch.float64) / 2 for side in extremes)
    return lowest, highest
