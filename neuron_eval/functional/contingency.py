"""The 2 x 2 table of "neuron active" and "concept present", for all pairs at once."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from neuron_eval.binarize import DEFAULT_BINARIZATION, Binarization
from neuron_eval.functional import _columns
from neuron_eval.functional._columns import MEMORY_BUDGET


@dataclass(frozen=True)
class Contingency:
    """Weighted counts of every pair, shape (n_neurons, n_concepts) or broadcastable to it.

    Where a denominator is 0, so is its numerator: undefined scores come out as NaN by themselves.

    Attributes
    ----------
    tp : Tensor, shape (n_neurons, n_concepts)
        Neuron active and concept present.
    active : Tensor, shape (n_neurons, 1)
        Neuron active.
    inactive : Tensor, shape (n_neurons, 1)
        Neuron not active. Counted rather than subtracted: with weights, rounding would turn
        "none" into a very small number, and an undefined score into a wrong one.
    present : Tensor, shape (1, n_concepts)
        Concept present.
    absent : Tensor, shape (1, n_concepts)
        Concept not present, counted likewise.
    total : float
        All inputs.
    """

    tp: Tensor
    active: Tensor
    inactive: Tensor
    present: Tensor
    absent: Tensor
    total: float

    @property
    def tn(self) -> Tensor:
        """Neuron not active and concept not present."""
        rest = (self.inactive - (self.present - self.tp)).clamp(min=0)
        # Rounding must not leave anything where there is nothing.
        return torch.minimum(rest, torch.minimum(self.inactive, self.absent))

    @property
    def recall(self) -> Tensor:
        """P(concept present | neuron active); undefined for a neuron that is never active."""
        return self.tp / self.active

    @property
    def precision(self) -> Tensor:
        """P(neuron active | concept present); undefined for a concept that is never present."""
        return self.tp / self.present

    @property
    def f1_score(self) -> Tensor:
        """Harmonic mean of recall and precision; undefined where both sides are empty."""
        return 2 * self.tp / (self.active + self.present)

    @property
    def iou(self) -> Tensor:
        """Intersection over union; undefined where both sides are empty."""
        return self.tp / (self.active + (self.present - self.tp))

    @property
    def accuracy(self) -> Tensor:
        """Share of inputs on which both sides agree."""
        return (self.tp + self.tn) / self.total

    @property
    def balanced_accuracy(self) -> Tensor:
        """Mean of sensitivity and specificity with the neuron as reference."""
        return (self.tp / self.active + self.tn / self.inactive) / 2

    @property
    def inverse_balanced_accuracy(self) -> Tensor:
        """Mean of sensitivity and specificity with the concept as reference."""
        return (self.tp / self.present + self.tn / self.absent) / 2


def contingency(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    binarization: Binarization = DEFAULT_BINARIZATION,
    concept_threshold: float = 0.5,
    memory_budget: int = MEMORY_BUDGET,
) -> Contingency:
    """Count how often neurons are active and concepts present, for all pairs.

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
    concept_threshold : float, default 0.5
        A concept is present where its value is at least this.
    memory_budget : int, default 1 GiB
        Bytes for working copies.

    Returns
    -------
    Contingency
        Weighted counts.

    Raises
    ------
    InputError
        If an input is invalid.
    """
    scored = _columns.check(activations, concepts, weights)
    tp = scored.empty_scores()
    by_neuron = tp.new_empty((2, tp.shape[0], 1))
    by_concept = tp.new_empty((2, 1, tp.shape[1]))

    def count(neurons: slice, texts: slice, marked: Tensor, there: Tensor) -> None:
        by_neuron[:, neurons, 0] = _columns.both_sides(marked, scored.weights, memory_budget)
        by_concept[:, 0, texts] = _columns.both_sides(there, scored.weights, memory_budget)
        tp[neurons, texts] = joint_mass(marked, there, scored.weights, memory_budget)

    _columns.each_block(
        scored,
        memory_budget,
        _columns.active_sets(scored, binarization, memory_budget),
        _columns.present_sets(concept_threshold),
        count,
    )
    active, inactive = by_neuron
    present, absent = by_concept
    return Contingency(tp, active, inactive, present, absent, scored.total)


def joint_mass(
    left: Tensor, right: Tensor, weights: Tensor | None, memory_budget: int = MEMORY_BUDGET
) -> Tensor:
    """Count the inputs where both of two binary rows hold, for all pairs of rows.

    Parameters
    ----------
    left : Tensor, shape (n_left, n_inputs), bool
        Rows of one side.
    right : Tensor, shape (n_right, n_inputs), bool
        Rows of the other side.
    weights : Tensor, shape (n_inputs,), float64, or None
        Sample weights.
    memory_budget : int, default 1 GiB
        Bytes for working copies.

    Returns
    -------
    Tensor, shape (n_left, n_right), float64
        Weighted counts; exact without weights.
    """
    total = torch.zeros((len(left), len(right)), dtype=torch.float64, device=left.device)
    for tile in _columns.tiles(left.shape[1], len(left) + len(right), memory_budget, left.device):
        if weights is None:
            # Counts of one tile are exact in the faster float32.
            total += left[:, tile].to(torch.float32) @ right[:, tile].to(torch.float32).T
        else:
            total.addmm_(left[:, tile] * weights[tile], right[:, tile].to(torch.float64).T)
    return total
