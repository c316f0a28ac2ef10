"""Correlation and cosine similarity: no binarization, every input counts.

Columns are centred and scaled first, one matrix product in float64 does the rest. A constant
column is recognised by comparing its extremes, not by its variance, which rounding would spoil.
"""

from typing import Any

import torch
from torch import Tensor

from neuron_eval.functional import _columns
from neuron_eval.functional._columns import MEMORY_BUDGET

# Values whose range lies between these can be squared and summed without scaling.
_LEAST_SPREAD, _GREATEST_SPREAD = 1e-100, 1e100


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

    def prepare(rows: Tensor) -> Tensor:
        return standardize(rows, scored.weights)

    return _columns.fill(scored, memory_budget, prepare, prepare, product)


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

    def prepare(rows: Tensor) -> Tensor:
        return normalize(rows, scored.weights)

    return _columns.fill(scored, memory_budget, prepare, prepare, product)


def standardize(rows: Tensor, weights: Tensor | None) -> Tensor:
    """Centre rows at their weighted mean and scale them to unit length.

    Parameters
    ----------
    rows : Tensor, shape (columns, n_inputs), float32 or float64
        Activations or concepts.
    weights : Tensor, shape (n_inputs,), float64, or None
        Sample weights.

    Returns
    -------
    Tensor, shape (columns, n_inputs), float64
        Each row multiplied by the square roots of the weights, with sum of squares 1, so that
        the product of two rows is their correlation. Constant rows are NaN.
    """
    lowest, highest = (side.to(torch.float64) for side in rows.aminmax(dim=1, keepdim=True))
    spread = torch.where(lowest < highest, highest - lowest, torch.nan)
    if bool(((spread < _LEAST_SPREAD) | (spread > _GREATEST_SPREAD)).any()):
        # Squares would leave the range of floats: scale first, by halves so that even the
        # difference of the extremes stays inside. The scale itself does not matter.
        rows = (rows / 2 - lowest / 2) / (highest / 2 - lowest / 2)
    centred = rows.to(torch.float64, copy=True)
    if weights is None:
        centred -= centred.mean(dim=1, keepdim=True)
    else:
        centred -= ((centred @ weights) / weights.sum())[:, None]
        centred *= weights.sqrt()
    length = torch.linalg.vector_norm(centred, dim=1, keepdim=True)
    return centred.div_(torch.where(lowest < highest, length, torch.nan))


def normalize(rows: Tensor, weights: Tensor | None) -> Tensor:
    """Scale rows to unit length.

    Parameters
    ----------
    rows : Tensor, shape (columns, n_inputs), float32 or float64
        Activations or concepts.
    weights : Tensor, shape (n_inputs,), float64, or None
        Sample weights.

    Returns
    -------
    Tensor, shape (columns, n_inputs), float64
        Each row multiplied by the square roots of the weights, with sum of squares 1. Rows of
        zeros are NaN.
    """
    lowest, highest = (side.to(torch.float64) for side in rows.aminmax(dim=1, keepdim=True))
    largest = torch.maximum(lowest.abs(), highest.abs())
    scaled = rows.to(torch.float64, copy=True)
    if bool((((largest > 0) & (largest < _LEAST_SPREAD)) | (largest > _GREATEST_SPREAD)).any()):
        scaled /= largest  # squares would leave the range of floats
    if weights is not None:
        scaled *= weights.sqrt()
    length = torch.linalg.vector_norm(scaled, dim=1, keepdim=True)
    return scaled.div_(torch.where(largest > 0, length, torch.nan))


def product(left: Tensor, right: Tensor) -> Tensor:
    """Multiply rows of unit length, and clip the rounding error.

    Parameters
    ----------
    left : Tensor, shape (n_left, n_inputs), float64
        Rows of unit length.
    right : Tensor, shape (n_right, n_inputs), float64
        Rows of unit length.

    Returns
    -------
    Tensor, shape (n_left, n_right), float64
        Cosines, in [-1, 1]; NaN stays NaN.
    """
    return (left @ right.T).clamp_(-1.0, 1.0)
