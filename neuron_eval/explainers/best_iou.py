"""Best intersection over union, in the manner of Network Dissection."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from neuron_eval.binarize import DEFAULT_BINARIZATION, Binarization
from neuron_eval.explainers._beam import search_formulas
from neuron_eval.explainers._candidates import OPERATORS, SAME, Beam, Objective
from neuron_eval.explanations import Explanation
from neuron_eval.functional import _columns
from neuron_eval.functional._columns import MEMORY_BUDGET


def explain_best_iou(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    binarization: Binarization = DEFAULT_BINARIZATION,
    concept_threshold: float = 0.5,
    max_length: int = 1,
    beam_width: int = 3,
    operators: Sequence[str] = OPERATORS,
    memory_budget: int = MEMORY_BUDGET,
) -> list[Explanation]:
    """Explain every neuron by the concept or formula of greatest IoU with its active inputs.

    With ``max_length=1`` the explanation is a single concept, as in Network Dissection. Above, it
    may be a formula of several concepts, found by beam search, as in Compositional Explanations.

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations.
    concepts : array-like, shape (n_inputs, n_concepts)
        Concept vectors, in [0, 1].
    weights : array-like, shape (n_inputs,), optional
        Non-negative sample weights; a weight of 2 stands for the row twice.
    binarization : Binarization, default TopFraction(0.05)
        Which inputs count as active.
    concept_threshold : float, default 0.5
        A concept is present where its value is at least this.
    max_length : int, default 1
        Most concepts of a formula, at least 1.
    beam_width : int, default 3
        Formulas of each length and last operator that are extended, at least 1. Time grows in
        proportion.
    operators : sequence of {"and", "or", "not"}, default all three
        What formulas may be built with.
    memory_budget : int, default 1 GiB
        Bytes for working copies.

    Returns
    -------
    list of Explanation
        One per neuron, its score the IoU: one term where a single concept is best, a `formula`
        otherwise. Without both where the neuron is never active or no concept overlaps with it.

    Raises
    ------
    InputError
        If an input is invalid.

    Notes
    -----
    Formulas are evaluated on binarized concepts and compared as by `explain_best_auroc`. They
    need no bound on the inputs on which they hold: a formula on few inputs has a low IoU.

    References
    ----------
    Bau, Zhou, Khosla, Oliva, Torralba, "Network Dissection", CVPR 2017, on whole inputs in place
    of pixels. Mu, Andreas, "Compositional Explanations of Neurons", NeurIPS 2020,
    arXiv 2006.14032.
    """
    scored = _columns.check(activations, concepts, weights)
    binarize = _columns.binarizer(scored, binarization)

    def measure(rows: Tensor) -> Tensor:
        active = binarize(rows).to(torch.float64)
        return active if scored.weights is None else active.mul_(scored.weights)

    return search_formulas(
        scored,
        Objective(measure, _iou, lambda _, active: active.amax(dim=1) > 0),
        Beam(max_length, beam_width, operators),
        _columns.present(concept_threshold),
        memory_budget,
    )


def _iou(both: Tensor, mass: Tensor, active: Tensor, total_mass: float) -> Tensor:
    overlaps = both > SAME * total_mass
    return torch.where(overlaps, both / (active + mass - both), torch.nan)
