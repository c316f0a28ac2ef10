"""Best area under the ROC curve, in the manner of INVERT."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from neuron_eval.explainers._beam import search_formulas
from neuron_eval.explainers._candidates import OPERATORS, SAME, Beam, Objective
from neuron_eval.explanations import Explanation
from neuron_eval.functional import _columns
from neuron_eval.functional._columns import MEMORY_BUDGET, Scored
from neuron_eval.functional._order import midranks
from neuron_eval.validation import InputError

#: Inputs on which a formula holds at least, unless the caller gives a fraction.
MIN_INPUTS = 50
#: Fraction of the inputs on which a formula holds at most, unless the caller says otherwise.
MAX_FRACTION = 0.5


def explain_best_auroc(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    concept_threshold: float = 0.5,
    max_length: int = 1,
    beam_width: int = 3,
    operators: Sequence[str] = OPERATORS,
    min_fraction: float | None = None,
    max_fraction: float | None = None,
    memory_budget: int = MEMORY_BUDGET,
) -> list[Explanation]:
    """Explain every neuron by the concept or formula that its activations separate best.

    With ``max_length=1`` the explanation is a single concept. Above, it may be a formula of
    several concepts, found by beam search: the best formulas of each length are extended by
    every concept and its negation, joined by AND or OR.

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
    max_length : int, default 1
        Most concepts of a formula, at least 1; INVERT goes to 3.
    beam_width : int, default 3
        Formulas of each length and last operator that are extended, at least 1. Time grows in
        proportion.
    operators : sequence of {"and", "or", "not"}, default all three
        What formulas may be built with.
    min_fraction : float, optional
        Least fraction of the inputs (of their weight) on which an explanation holds. When None,
        a formula must hold on 50 inputs (on a weight of 50) and a single concept is not bound.
    max_fraction : float, optional
        Greatest such fraction. When None, 0.5 for a formula, and a single concept is not bound.
    memory_budget : int, default 1 GiB
        Bytes for working copies.

    Returns
    -------
    list of Explanation
        One per neuron, its score the AUROC with the concept or formula as reference: one term
        where a single concept is best, a `formula` otherwise. Without both where the neuron is
        constant, or nothing within the bounds holds on some inputs and not on others.

    Raises
    ------
    InputError
        If an input is invalid, or the inputs are too few for the default of `min_fraction`.

    Notes
    -----
    Formulas are evaluated on binarized concepts: the score is that of
    ``formula.evaluate(concepts >= concept_threshold)``. A search over T formulas finds an AUROC
    of about 1/2 + sqrt(ln(T) / (6 m)) by chance among those that hold on m inputs: near 1 for
    m = 3, and still .71 for m = 50 and a million formulas. So a formula on few inputs means
    little, whatever its score; INVERT bounds the fraction for that reason (0.35% of 50,000
    inputs, 175, in its figure 1).

    Of equal scores (to 12 decimals) the shorter formula wins, then the one of the lower concept
    numbers. A formula names a concept once, and not only negations: what a neuron is not says
    little. One that holds on the same inputs as a shorter one, or on all inputs, is not
    considered. Whatever the order in which the search found the concepts, those that one
    operator joins are listed plain ones first, then by number.

    In two points the search goes beyond that of INVERT, which for a formula such as
    (a AND b) OR c keeps near copies of c and never comes to a AND b: a concept may also be
    joined with one inside a formula, and every formula of the beam leaves its best extension by
    AND and its best by OR before any leaves a second one.

    References
    ----------
    Bykov, Kopf, Nakajima, Kloft, Hoehne, "Labeling Neural Representations with Inverse
    Recognition" (INVERT), NeurIPS 2023, arXiv 2311.13594.
    """
    scored = _columns.check(activations, concepts, weights)
    least, most = _bounds(scored, max_length, min_fraction, max_fraction)
    beam = Beam(
        max_length,
        beam_width,
        operators,
        formula_bounds=(least, most),
        concept_bounds=(min_fraction or 0.0, 1.0 if max_fraction is None else max_fraction),
    )

    def measure(rows: Tensor) -> Tensor:
        ranks = midranks(rows, scored.weights)
        return ranks if scored.weights is None else ranks.mul_(scored.weights)

    return search_formulas(
        scored,
        Objective(measure, _auroc, lambda rows, _: rows.amax(dim=1) != rows.amin(dim=1)),
        beam,
        _columns.present(concept_threshold),
        memory_budget,
    )


def _bounds(
    scored: Scored, max_length: int, min_fraction: float | None, max_fraction: float | None
) -> tuple[float, float]:
    most = MAX_FRACTION if max_fraction is None else max_fraction
    if min_fraction is not None or max_length <= 1:
        return min_fraction or 0.0, most
    least = MIN_INPUTS / scored.total
    if least > most:
        raise InputError(
            f"min_fraction: found None and inputs of weight {scored.total:g}, expected a "
            f"fraction, because {MIN_INPUTS} inputs, the default, are more than {most:g} of "
            "them; see the notes on chance, and pass a fraction."
        )
    return least, most


def _auroc(ranks: Tensor, mass: Tensor, _: Tensor, total_mass: float) -> Tensor:
    """Turn the sum of weighted mid-ranks over a set into an AUROC (Mann-Whitney)."""
    outside = total_mass - mass
    wins = ranks - mass.square() / 2
    scores = torch.clamp(wins / (mass * outside), 0.0, 1.0)
    return torch.where(outside > SAME * total_mass, scores, torch.nan)
