"""Metrics of ranks: area under the ROC curve, both ways round, and Spearman correlation.

Ties get mid-ranks. One sort per column turns values into ranks, one matrix product scores all
pairs: with R the weighted mid-ranks of the scores, the Mann-Whitney statistic of a reference set
is the sum of w R over the set minus half its squared weight.
"""

from typing import Any

import torch
from torch import Tensor

from neuron_eval.binarize import DEFAULT_BINARIZATION, Binarization
from neuron_eval.functional import _columns
from neuron_eval.functional._columns import MEMORY_BUDGET
from neuron_eval.functional._order import midranks
from neuron_eval.functional.correlation import product, standardize

# float64 arrays of the size of a block that ranking holds at its peak
_RANKING_COPIES = 6


def auroc(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    binarization: Binarization = DEFAULT_BINARIZATION,
    memory_budget: int = MEMORY_BUDGET,
) -> Tensor:
    """Score how well the concept's values separate active from inactive inputs.

    The probability that an input where the neuron is active has a higher concept value than one
    where it is not; ties count one half.

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations.
    concepts : array-like, shape (n_inputs, n_concepts)
        Concept vectors, in [0, 1].
    weights : array-like, shape (n_inputs,), optional
        Non-negative sample weights; a weight of 2 stands for the row twice.
    binarization : Binarization, default TopFraction(0.05)
        How activations become active or not.
    memory_budget : int, default 1 GiB
        Bytes for working copies.

    Returns
    -------
    Tensor, shape (n_neurons, n_concepts), float64
        Scores in [0, 1]; NaN where undefined:
        the neuron is never or always active.

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
    binarize = _columns.binarizer(scored, binarization)

    def reference(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return _reference(binarize(rows), scored.weights)

    def ranks(rows: Tensor) -> Tensor:
        return _weighted_ranks(rows, scored.weights)

    return _columns.fill(
        scored,
        memory_budget,
        reference,
        ranks,
        _mann_whitney,
        copies=_RANKING_COPIES,
        outer="concepts",
    )


def inverse_auroc(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    concept_threshold: float = 0.5,
    memory_budget: int = MEMORY_BUDGET,
) -> Tensor:
    """Score how well the activations separate inputs with the concept from those without.

    The probability that an input with the concept has a higher activation than one without;
    ties count one half.

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations.
    concepts : array-like, shape (n_inputs, n_concepts)
        Concept vectors, in [0, 1].
    weights : array-like, shape (n_inputs,), optional
        Non-negative sample weights; a weight of 2 stands for the row twice.
    concept_threshold : float, default 0.5
        A concept is present where its value is at least this.
    memory_budget : int, default 1 GiB
        Bytes for working copies.

    Returns
    -------
    Tensor, shape (n_neurons, n_concepts), float64
        Scores in [0, 1]; NaN where undefined:
        the concept is never or always present.

    Raises
    ------
    InputError
        If an input is invalid.

    References
    ----------
    Oikarinen, Yan, Weng, "Evaluating Neuron Explanations: A Unified Framework with Sanity
    Checks", ICML 2025, arXiv 2506.05774.
    Bykov, Kopf, Nakajima, Kloft, Hoehne, "Labeling Neural Representations with Inverse
    Recognition" (INVERT), NeurIPS 2023, arXiv 2311.13594.
    """
    scored = _columns.check(activations, concepts, weights)
    present = _columns.present(concept_threshold)

    def ranks(rows: Tensor) -> Tensor:
        return _weighted_ranks(rows, scored.weights)

    def reference(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return _reference(present(rows), scored.weights)

    return _columns.fill(
        scored,
        memory_budget,
        ranks,
        reference,
        lambda values, sets: _mann_whitney(sets, values).T,
        copies=_RANKING_COPIES,
        outer="neurons",
    )


def spearman_correlation(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    memory_budget: int = MEMORY_BUDGET,
) -> Tensor:
    """Score the Spearman rank correlation: the Pearson correlation of mid-ranks.

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
        Scores in [-1, 1]; NaN where undefined:
        the activations or the concept are constant.

    Raises
    ------
    InputError
        If an input is invalid.

    Notes
    -----
    Ties share their mean rank, so between two binary vectors it equals the Pearson correlation.
    With weights the ranks are weighted mid-ranks, which is what repeating rows gives.

    References
    ----------
    Oikarinen, Yan, Weng, "Evaluating Neuron Explanations: A Unified Framework with Sanity
    Checks", ICML 2025, arXiv 2506.05774.
    """
    scored = _columns.check(activations, concepts, weights)

    def prepare(rows: Tensor) -> Tensor:
        return standardize(midranks(rows, scored.weights), scored.weights)

    return _columns.fill(scored, memory_budget, prepare, prepare, product, copies=_RANKING_COPIES)


def _weighted_ranks(rows: Tensor, weights: Tensor | None) -> Tensor:
    ranks = midranks(rows, weights)
    return ranks if weights is None else ranks.mul_(weights)


def _reference(sets: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return reference sets as numbers, and the weights inside and outside them.

    An empty side has weight NaN. The outside is summed, not subtracted: rounding would hide that
    it is empty.
    """
    inside, outside = _columns.sums(sets, weights), _columns.sums(~sets, weights)
    defined = (inside > 0) & (outside > 0)
    inside, outside = (torch.where(defined, side, torch.nan)[:, None] for side in (inside, outside))
    return sets.to(torch.float64), inside, outside


def _mann_whitney(sets: tuple[Tensor, Tensor, Tensor], ranks: Tensor) -> Tensor:
    members, inside, outside = sets
    wins = members @ ranks.T - inside.square() / 2
    return wins.div_(inside * outside).clamp_(0.0, 1.0)
