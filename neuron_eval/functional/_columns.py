"""What every metric does first: check its input, and walk over it within the memory budget.

All pairs of neurons and concepts are scored block by block. A side of a block is a tensor of rows,
one row per neuron or concept: a view of the input, or, where values are sorted or binarized along
the inputs, what was made of them, held in memory. Sums over the inputs then run tile by tile, a
tile being as many inputs as fit the cache in double precision, so that a whole side is never
converted. Comparing values is exact in single precision; whatever is summed is summed in double.
Scores depend on the budget by rounding only.
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

# Of the budget, a quarter holds each side of a block, one is for what is made on the way, and one
# for the buffers of the libraries.
_SHARES = 4
# Bytes a member of a set: itself, its complement or transpose, and its number in a list.
_SET_BYTES = 4
# Columns of a side at most: enough for matrix products at full speed.
_WIDEST_BLOCK = 2048
# float64 arrays of the size of a piece, or of a tile, that are alive at a time.
_PIECE_COPIES, _TILE_COPIES = 6, 3
# Values of a tile and of a piece on a CPU, for its cache; other devices want few large operations.
_TILE_VALUES, _PIECE_VALUES = 1 << 20, 1 << 19
# A float32 counts exactly up to 2**24, so no tile has more inputs. With fewer than these inputs,
# or rows, most of the time goes into starting operations.
_LONGEST_TILE = 1 << 24
_SHORTEST_TILE, _NARROWEST_PIECE = 256, 16

Prepare = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Side:
    """What is made of the neurons, or the concepts, of a block before they are scored.

    Attributes
    ----------
    prepare : callable
        Turns rows of values, shape (columns, n_inputs), a view of the input, into a tensor of the
        same shape.
    kept : int
        Bytes a value that this takes.
    """

    prepare: Prepare
    kept: int


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
    mass = check_weights(weights, n_inputs=n_inputs).to(matrix.device).contiguous()
    present = mass > 0
    if not bool(present.all()):
        matrix, texts, mass = matrix[present], texts[present], mass[present]
    return Scored(matrix, texts, mass)


def each_block(
    scored: Scored,
    memory_budget: int,
    neurons: Side,
    concepts: Side,
    visit: Callable[[slice, slice, Tensor, Tensor], None],
    *,
    outer: Literal["neurons", "concepts"] = "neurons",
) -> None:
    """Visit all pairs of neurons and concepts, block by block.

    Parameters
    ----------
    scored : Scored
        Checked input.
    memory_budget : int
        Bytes for working copies.
    neurons, concepts : Side
        What is made of them.
    visit : callable
        Takes the neurons and the concepts of a block, as slices, and what was made of them.
    outer : {"neurons", "concepts"}, default "neurons"
        The side whose blocks are prepared once; the other side's are prepared again for each of
        them. Name the side that is dearer to prepare.

    Raises
    ------
    InputError
        If the budget is not positive.
    """
    _check_budget(memory_budget)
    first, second = (scored.activations, neurons), (scored.concepts, concepts)
    if outer == "concepts":
        first, second = second, first

    def blocks(matrix: Tensor, side: Side) -> Iterator[slice]:
        width = int(memory_budget) // _SHARES // max(side.kept * scored.n_inputs, 1)
        return spans(matrix.shape[1], min(max(width, 1), _WIDEST_BLOCK))

    for these in blocks(*first):
        left = first[1].prepare(first[0][:, these].T)
        for those in blocks(*second):
            right = second[1].prepare(second[0][:, those].T)
            if outer == "neurons":
                visit(these, those, left, right)
            else:
                visit(those, these, right, left)
            del right  # before the next one is made
        del left


def fill(
    scored: Scored,
    memory_budget: int,
    neurons: Side,
    concepts: Side,
    score: Callable[[Tensor, Tensor], Tensor],
    *,
    outer: Literal["neurons", "concepts"] = "neurons",
) -> Tensor:
    """Fill the matrix of scores block by block.

    Parameters
    ----------
    scored, memory_budget, neurons, concepts, outer
        See `each_block`.
    score : callable
        Score a prepared block of neurons against a prepared block of concepts, shape
        (neurons, concepts).

    Returns
    -------
    Tensor, shape (n_neurons, n_concepts), float64
        The scores.
    """
    scores = scored.empty_scores()

    def visit(rows: slice, columns: slice, left: Tensor, right: Tensor) -> None:
        scores[rows, columns] = score(left, right)

    each_block(scored, memory_budget, neurons, concepts, visit, outer=outer)
    return scores


def spans(length: int, width: int) -> Iterator[slice]:
    """Cut a length into slices of a width; the last may be shorter."""
    for start in range(0, length, width):
        yield slice(start, min(start + width, length))


def tiles(
    n_inputs: int, n_columns: int, memory_budget: int, device: torch.device
) -> Iterator[slice]:
    """Cut the inputs into tiles.

    Parameters
    ----------
    n_inputs : int
        Number of inputs.
    n_columns : int
        Columns that are handled together, of both sides.
    memory_budget : int
        Bytes that the metric may use.
    device : torch.device
        Where they are handled.

    Yields
    ------
    slice
        Inputs.
    """
    length = int(memory_budget) // _SHARES // (8 * _TILE_COPIES * n_columns)
    if device.type == "cpu":
        length = min(length, _TILE_VALUES // n_columns)
    return spans(n_inputs, min(max(length, _SHORTEST_TILE), _LONGEST_TILE))


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

    Raises
    ------
    InputError
        If the budget is not positive.
    """
    _check_budget(memory_budget)
    yield from _copies_of(matrix.T, max(1, int(memory_budget) // (8 * copies * matrix.shape[0])))


def pieces(rows: Tensor, memory_budget: int) -> Iterator[tuple[slice, Tensor]]:
    """Walk over rows, few at a time, contiguous and in floating point.

    Parameters
    ----------
    rows : Tensor, shape (columns, n_inputs)
        Activations or concepts.
    memory_budget : int
        Bytes that the metric may use.

    Yields
    ------
    slice
        The rows.
    Tensor, shape (rows in the piece, n_inputs), float32 or float64
        Their values, a copy.
    """
    return _copies_of(rows, piece_width(rows.shape[1], memory_budget, rows.device))


def _copies_of(rows: Tensor, width: int) -> Iterator[tuple[slice, Tensor]]:
    for piece in spans(len(rows), width):
        yield piece, in_float(rows[piece].clone(memory_format=torch.contiguous_format))


def piece_width(n_values: int, memory_budget: int, device: torch.device) -> int:
    """Say how many rows of `n_values` a piece has."""
    width = int(memory_budget) // _SHARES // (8 * _PIECE_COPIES * n_values)
    if device.type == "cpu":
        width = min(width, max(_NARROWEST_PIECE, _PIECE_VALUES // n_values))
    return max(width, 1)


def in_float(values: Tensor) -> Tensor:
    """Convert values to single or double precision, whichever holds them exactly."""
    if values.dtype in (torch.float32, torch.float64):
        return values
    # Every half and every boolean is a float32; whole numbers need the digits of a float64.
    small = values.is_floating_point() or values.dtype == torch.bool
    return values.to(torch.float32 if small else torch.float64)


def _check_budget(memory_budget: int) -> None:
    if memory_budget <= 0:
        raise InputError(
            f"memory_budget: found {memory_budget!r}, expected a positive number of bytes."
        )


def by_rows(prepare: Prepare, dtype: torch.dtype, memory_budget: int) -> Side:
    """Let a function of contiguous rows prepare a side, a piece at a time.

    Parameters
    ----------
    prepare : callable
        From contiguous rows to a tensor of the same shape.
    dtype : torch.dtype
        Type of what it returns.
    memory_budget : int
        Bytes that the metric may use.

    Returns
    -------
    Side
        What `prepare` makes of any rows.
    """

    def prepared(rows: Tensor) -> Tensor:
        held = torch.empty(rows.shape, dtype=dtype, device=rows.device)
        for piece, values in pieces(rows, memory_budget):
            held[piece] = prepare(values)
        return held

    return Side(prepared, _SET_BYTES if dtype == torch.bool else dtype.itemsize)


#: The values themselves.
AS_THEY_ARE = Side(lambda rows: rows, 0)


def binarizer(scored: Scored, binarization: Binarization) -> Prepare:
    """Return a function that marks the active inputs of contiguous rows of activations.

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


def active_sets(scored: Scored, binarization: Binarization, memory_budget: int) -> Side:
    """Make sets of the inputs where neurons are active; see `binarizer`."""
    return by_rows(binarizer(scored, binarization), torch.bool, memory_budget)


def present_sets(concept_threshold: float) -> Side:
    """Make sets of the inputs where concepts are present; see `present`."""
    return Side(present(concept_threshold), _SET_BYTES)


def present(concept_threshold: float) -> Prepare:
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


def sums(rows: Tensor, weights: Tensor | None, memory_budget: int = MEMORY_BUDGET) -> Tensor:
    """Sum rows over the inputs, weighted.

    Parameters
    ----------
    rows : Tensor, shape (columns, n_inputs)
        Booleans or numbers.
    weights : Tensor, shape (n_inputs,), float64, or None
        Sample weights.
    memory_budget : int, default 1 GiB
        Bytes that the metric may use.

    Returns
    -------
    Tensor, shape (columns,), float64
        The sums.
    """
    if weights is None and rows.dtype == torch.bool and rows.device.type == "cpu":
        # numpy counts booleans with vector instructions, twenty times as fast as torch.
        return torch.from_numpy(np.count_nonzero(rows.numpy(), axis=1).astype(np.float64))
    total = torch.zeros(rows.shape[0], dtype=torch.float64, device=rows.device)
    for tile in tiles(rows.shape[1], rows.shape[0], memory_budget, rows.device):
        part = rows[:, tile].to(torch.float64)
        total += part.sum(dim=1) if weights is None else part @ weights[tile]
    return total


def both_sides(sets: Tensor, weights: Tensor | None, memory_budget: int = MEMORY_BUDGET) -> Tensor:
    """Sum the weights inside and outside sets.

    Parameters
    ----------
    sets : Tensor, shape (columns, n_inputs), bool
        The sets.
    weights : Tensor, shape (n_inputs,), float64, or None
        Sample weights.
    memory_budget : int, default 1 GiB
        Bytes that the metric may use.

    Returns
    -------
    Tensor, shape (2, columns), float64
        Weights inside, weights outside. With weights the outside is summed, not subtracted:
        rounding would turn "none" into a very small number, and an undefined score into a wrong
        one.
    """
    inside = sums(sets, weights, memory_budget)
    if weights is None:
        return torch.stack([inside, sets.shape[1] - inside])
    return torch.stack([inside, sums(~sets, weights, memory_budget)])
