"""What every metric does first: check its input, and walk over it in blocks of columns.

A block is taken as rows, one row per neuron or concept, so that sorting and reducing run along
contiguous memory. Rows keep single or double precision, for comparing values is exact in either;
whatever is summed is summed in double precision. The width of a block follows from the caller's
memory budget; scores of a column never depend on which other columns share its block.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from neuron_eval.binarize import Binarization
from neuron_eval.validation import InputError, check_activations, check_concepts, check_weights

#: Bytes that one metric call may use for its working copies, unless the caller says otherwise.
MEMORY_BUDGET = 1 << 30


@dataclass(frozen=True)
class Scored:
    """Checked input of a metric.

    Attributes
    ----------
    activations : Tensor, shape (n_inputs, n_neurons)
        Activations in their own type.
    concepts : Tensor, shape (n_inputs, n_concepts)
        Concept vectors in their own type, on the device of the activations.
    weights : Tensor, shape (n_inputs,), float64, or None
        Positive sample weights. Rows of weight 0 have been removed: they are absent.
    """

    activations: Tensor
    concepts: Tensor
    weights: Tensor | None

    @property
    def n_inputs(self) -> int:
        """Number of rows that are present."""
        return self.activations.shape[0]

    @property
    def total(self) -> float:
        """Total weight, the number of rows without weights."""
        return float(self.n_inputs) if self.weights is None else float(self.weights.sum())

    def empty_scores(self) -> Tensor:
        """Return the matrix of scores, all undefined as yet."""
        shape = (self.activations.shape[1], self.concepts.shape[1])
        return torch.full(shape, torch.nan, dtype=torch.float64, device=self.activations.device)


def check(activations: Any, concepts: Any, weights: Any) -> Scored:
    """Check activations, concepts and weights together.

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations.
    concepts : array-like, shape (n_inputs, n_concepts)
        Concept vectors.
    weights : array-like, shape (n_inputs,), or None
        Sample weights.

    Returns
    -------
    Scored
        The checked input.

    Raises
    ------
    InputError
        If an input is invalid.
    """
    matrix = check_activations(activations, dtype=None)
    n_inputs = matrix.shape[0]
    texts = check_concepts(concepts, n_inputs=n_inputs, dtype=None).to(matrix.device)
    if weights is None:
        return Scored(matrix, texts, None)
    mass = check_weights(weights, n_inputs=n_inputs).to(matrix.device)
    present = mass > 0
    if not bool(present.all()):
        matrix, texts, mass = matrix[present], texts[present], mass[present]
    return Scored(matrix, texts, mass)


def rows_of(matrix: Tensor, memory_budget: int, copies: int = 3) -> Iterator[tuple[slice, Tensor]]:
    """Walk over a matrix in blocks of columns, each as contiguous rows.

    Parameters
    ----------
    matrix : Tensor, shape (n_inputs, n_columns)
        Activations or concepts.
    memory_budget : int
        Bytes that the caller may use.
    copies : int, default 3
        How many float64 arrays of the size of a block the caller holds at a time.

    Yields
    ------
    slice
        The columns.
    Tensor, shape (columns in the block, n_inputs), float32 or float64
        Their values, a copy.
    """
    if memory_budget <= 0:
        raise InputError(
            f"memory_budget: found {memory_budget!r}, expected a positive number of bytes."
        )
    n_inputs, n_columns = matrix.shape
    # Every half and every boolean is a float32; whole numbers need the digits of a float64.
    exact = torch.float32 if matrix.is_floating_point() or matrix.dtype == torch.bool else None
    dtype = matrix.dtype if matrix.dtype == torch.float64 else exact or torch.float64
    width = max(1, int(memory_budget // (8 * copies * n_inputs)))
    for start in range(0, n_columns, width):
        columns = slice(start, min(start + width, n_columns))
        rows = matrix[:, columns].T.clone(memory_format=torch.contiguous_format)
        yield columns, rows.to(dtype)


def fill(
    scored: Scored,
    memory_budget: int,
    prepare_neurons: Callable[[Tensor], Any],
    prepare_concepts: Callable[[Tensor], Any],
    score: Callable[[Any, Any], Tensor],
    *,
    copies: int = 3,
    outer: Literal["neurons", "concepts"] = "neurons",
) -> Tensor:
    """Fill the matrix of scores block by block.

    Parameters
    ----------
    scored : Scored
        Checked input.
    memory_budget : int
        Bytes for working copies; half goes to neurons, half to concepts.
    prepare_neurons, prepare_concepts : callable
        Turn rows of values, shape (columns, n_inputs), into what `score` needs.
    score : callable
        Score a prepared block of neurons against a prepared block of concepts, shape
        (neurons, concepts).
    copies : int, default 3
        Float64 arrays of the size of a block that preparing needs at a time.
    outer : {"neurons", "concepts"}, default "neurons"
        The side whose blocks are prepared once; the other side's are prepared again for each of
        them. Name the side that is dearer to prepare.

    Returns
    -------
    Tensor, shape (n_neurons, n_concepts), float64
        The scores.
    """
    scores = scored.empty_scores()
    share = max(1, memory_budget // 2) if memory_budget > 0 else memory_budget
    if outer == "neurons":
        for neurons, activations in rows_of(scored.activations, share, copies):
            prepared = prepare_neurons(activations)
            for concepts, values in rows_of(scored.concepts, share, copies):
                scores[neurons, concepts] = score(prepared, prepare_concepts(values))
        return scores
    for concepts, values in rows_of(scored.concepts, share, copies):
        prepared = prepare_concepts(values)
        for neurons, activations in rows_of(scored.activations, share, copies):
            scores[neurons, concepts] = score(prepare_neurons(activations), prepared)
    return scores


def binarizer(scored: Scored, binarization: Binarization) -> Callable[[Tensor], Tensor]:
    """Return a function that marks the active inputs of rows of activations.

    Parameters
    ----------
    scored : Scored
        Checked input, for its weights.
    binarization : Binarization
        The rule.

    Returns
    -------
    callable
        From rows (columns, n_inputs) to booleans of the same shape.
    """
    return lambda rows: binarization.apply(rows, scored.weights)


def present(concept_threshold: float) -> Callable[[Tensor], Tensor]:
    """Return a function that binarizes rows of concept vectors.

    Parameters
    ----------
    concept_threshold : float
        A concept is present where its value is at least this, in (0, 1].

    Returns
    -------
    callable
        From rows (columns, n_inputs) to booleans of the same shape.

    Raises
    ------
    InputError
        If the threshold is outside (0, 1].
    """
    if not 0 < concept_threshold <= 1:
        raise InputError(
            f"concept_threshold: found {concept_threshold!r}, expected a value in (0, 1]."
        )
    return lambda rows: rows >= concept_threshold


def sums(rows: Tensor, weights: Tensor | None) -> Tensor:
    """Sum rows over the inputs, weighted.

    Parameters
    ----------
    rows : Tensor, shape (columns, n_inputs)
        Booleans or numbers.
    weights : Tensor, shape (n_inputs,), float64, or None
        Sample weights.

    Returns
    -------
    Tensor, shape (columns,), float64
        The sums.
    """
    if weights is not None:
        return rows.to(torch.float64) @ weights
    if rows.dtype != torch.bool:
        return rows.to(torch.float64).sum(dim=1)
    if rows.device.type == "cpu":
        # numpy counts booleans with vector instructions, twenty times as fast as torch.
        return torch.from_numpy(np.count_nonzero(rows.numpy(), axis=1).astype(np.float64))
    return rows.sum(dim=1).to(torch.float64)


def undefined_where(scores: Tensor, undefined: Tensor) -> Tensor:
    """Replace undefined scores by NaN.

    Parameters
    ----------
    scores : Tensor, shape (n_neurons, n_concepts)
        Scores.
    undefined : Tensor, bool, broadcastable to the scores
        Where they mean nothing.

    Returns
    -------
    Tensor, shape (n_neurons, n_concepts)
        The scores with NaN where they are undefined.
    """
    return torch.where(undefined, torch.nan, scores)
