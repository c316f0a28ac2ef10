"""Metrics of ranks: area under the ROC curve, both ways round, and Spearman correlation.

Ties get mid-ranks, from one sort per column. With R the weighted mid-ranks of the scores, the
Mann-Whitney statistic of a reference set is the sum of w R over the set minus half its squared
weight; Spearman correlation is the Pearson correlation of ranks.
"""

from typing import Any

from torch import Tensor

from neuron_eval.binarize import DEFAULT_BINARIZATION, Binarization
from neuron_eval.functional import _columns
from neuron_eval.functional._columns import MEMORY_BUDGET, Scored, Side
from neuron_eval.functional._members import member_sums, reference_sides
from neuron_eval.functional._order import midranks, rank_type
from neuron_eval.functional.correlation import rank_correlation


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
    return _columns.fill(
        scored,
        memory_budget,
        _columns.active_sets(scored, binarization, memory_budget),
        _ranks(scored, memory_budget),
        lambda sets, ranks: _mann_whitney(sets, ranks, scored.weights, memory_budget),
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
    return _columns.fill(
        scored,
        memory_budget,
        _ranks(scored, memory_budget),
        _columns.present_sets(concept_threshold),
        lambda ranks, sets: _mann_whitney(sets, ranks, scored.weights, memory_budget).T,
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
    ranks = _ranks(scored, memory_budget)
    return _columns.fill(
        scored,
        memory_budget,
        ranks,
        ranks,
        lambda left, right: rank_correlation(left, right, scored.weights, memory_budget),
    )


def _ranks(scored: Scored, memory_budget: int) -> Side:
    kind = rank_type(scored.n_inputs, scored.weights)
    return _columns.by_rows(lambda rows: midranks(rows, scored.weights, kind), kind, memory_budget)


def _mann_whitney(
    sets: Tensor, ranks: Tensor, weights: Tensor | None, memory_budget: int
) -> Tensor:
    inside, outside = reference_sides(sets, weights, memory_budget)
    wins = member_sums(sets, ranks, weights, memory_budget) - (inside.square() / 2)[:, None]
    return wins.div_((inside * outside)[:, None]).clamp_(0.0, 1.0)
