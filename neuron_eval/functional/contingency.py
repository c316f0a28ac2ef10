"""The 2 x 2 table of "neuron active" and "concept present", for all pairs at once."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from neuron_eval.binarize import DEFAULT_BINARIZATION, Binarization
from neuron_eval.functional import _columns
from neuron_eval.functional._columns import MEMORY_BUDGET

# Float32 counts are exact up to 2**24, so counting may use the faster float32 product that long.
_EXACT_COUNT = 1 << 24


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
    binarize = _columns.binarizer(scored, binarization)
    present = _columns.present(concept_threshold)
    by_neuron = scored.activations.new_zeros((2, scored.activations.shape[1]), dtype=torch.float64)
    by_concept = scored.activations.new_zeros((2, scored.concepts.shape[1]), dtype=torch.float64)
    share = max(1, memory_budget // 2) if memory_budget > 0 else memory_budget
    tp = scored.empty_scores()
    for texts, values in _columns.rows_of(scored.concepts, share):
        there = present(values)
        by_concept[0, texts] = _columns.sums(there, scored.weights)
        by_concept[1, texts] = _columns.sums(~there, scored.weights)
        for neurons, rows in _columns.rows_of(scored.activations, share):
            marked = binarize(rows)
            by_neuron[0, neurons] = _columns.sums(marked, scored.weights)
            by_neuron[1, neurons] = _columns.sums(~marked, scored.weights)
            tp[neurons, texts] = joint_mass(marked, there, scored.weights)
    return Contingency(
        tp,
        by_neuron[0][:, None],
        by_neuron[1][:, None],
        by_concept[0][None, :],
        by_concept[1][None, :],
        scored.total,
    )


def joint_mass(left: Tensor, right: Tensor, weights: Tensor | None) -> Tensor:
    """Count the inputs where both of two binary rows hold, for all pairs of rows.

    Parameters
    ----------
    left : Tensor, shape (n_left, n_inputs), bool
        Rows of one side.
    right : Tensor, shape (n_right, n_inputs), bool
        Rows of the other side.
    weights : Tensor, shape (n_inputs,), float64, or None
        Sample weights.

    Returns
    -------
    Tensor, shape (n_left, n_right), float64
        Weighted counts; exact without weights.
    """
    if weights is not None:
        return (left * weights) @ right.to(torch.float64).T
    total = torch.zeros((left.shape[0], right.shape[0]), dtype=torch.float64, device=left.device)
    for start in range(0, left.shape[1], _EXACT_COUNT):
        inputs = slice(start, start + _EXACT_COUNT)
        counts = left[:, inputs].to(torch.float32) @ right[:, inputs].to(torch.float32).T
        total += counts
    return total
