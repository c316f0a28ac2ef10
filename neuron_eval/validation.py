"""Check what goes into the metrics, and say what is wrong with it by name.

Torch tensors, numpy arrays and pandas objects are accepted. Checks run over column blocks, so a
memory-mapped file is read piece by piece and never copied as a whole.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from neuron_eval.errors import NeuronEvalError

_BLOCK_ELEMENTS = 1 << 24


class InputError(NeuronEvalError):
    """Activations, concepts, weights or a parameter cannot be scored."""


def check_activations(
    activations: Any,
    *,
    n_inputs: int | None = None,
    names: Sequence[str] | None = None,
    dtype: torch.dtype | None = torch.float64,
) -> Tensor:
    """Check a matrix of activations and return it as a tensor.

    Parameters
    ----------
    activations : Tensor, ndarray, DataFrame or nested sequence, shape (n_inputs, n_neurons)
        Activations of every neuron (unit) on every probe input.
    n_inputs : int, optional
        The number of rows that is expected.
    names : sequence of str, optional
        Names of the neurons, for messages. A DataFrame's columns are used when None.
    dtype : torch.dtype or None, default torch.float64
        The type to convert to; None keeps the given type (and, where possible, its memory).

    Returns
    -------
    Tensor, shape (n_inputs, n_neurons)
        The activations.

    Raises
    ------
    InputError
        If the matrix is not two-dimensional, is empty, disagrees with `n_inputs`, or holds NaN
        or infinity; the first such column and row are named.
    """
    return _matrix(activations, "activations", "neuron", n_inputs, names, dtype)


def check_concepts(
    concepts: Any,
    *,
    n_inputs: int | None = None,
    names: Sequence[str] | None = None,
    dtype: torch.dtype | None = torch.float64,
) -> Tensor:
    """Check a matrix of concept vectors and return it as a tensor.

    Parameters
    ----------
    concepts : Tensor, ndarray, DataFrame or nested sequence, shape (n_inputs, n_concepts)
        P(concept | input), in [0, 1].
    n_inputs : int, optional
        The number of rows that is expected.
    names : sequence of str, optional
        Texts of the concepts, for messages. A DataFrame's columns are used when None.
    dtype : torch.dtype or None, default torch.float64
        The type to convert to; None keeps the given type (and, where possible, its memory).

    Returns
    -------
    Tensor, shape (n_inputs, n_concepts)
        The concept vectors.

    Raises
    ------
    InputError
        As `check_activations`, and if a value lies outside [0, 1].
    """
    matrix = _matrix(concepts, "concepts", "concept", n_inputs, names, dtype)
    texts = _column_names(concepts, names)
    if matrix.dtype == torch.bool or _extremes_within(matrix, 0.0, 1.0):
        return matrix
    for start, block in _column_blocks(matrix):
        wrong = (block < 0) | (block > 1)
        if not bool(wrong.any()):
            continue
        row, column = _first(wrong)
        where = _place("concept", start + column, row, texts)
        raise InputError(
            f"concepts: {where} is {block[row, column].item():g}, expected a value in [0, 1]; "
            "concept vectors are probabilities: rescale or calibrate them."
        )
    return matrix


def check_weights(weights: Any, *, n_inputs: int | None = None) -> Tensor:
    """Check sample weights and return them as a float64 tensor.

    Parameters
    ----------
    weights : Tensor, ndarray, Series or sequence, shape (n_inputs,)
        Non-negative weight of every probe input. A weight of 2 stands for the row twice.
    n_inputs : int, optional
        The number of weights that is expected.

    Returns
    -------
    Tensor, shape (n_inputs,), float64
        The weights.

    Raises
    ------
    InputError
        If the weights are not one-dimensional, disagree with `n_inputs`, are negative, NaN or
        infinite, or sum to zero.
    """
    vector = _as_tensor(weights, "weights").to(torch.float64)
    if vector.ndim != 1:
        raise InputError(
            f"weights: found shape {tuple(vector.shape)}, expected one weight per input, "
            "shape (n_inputs,)."
        )
    if n_inputs is not None and vector.shape[0] != n_inputs:
        raise InputError(
            f"weights: found {vector.shape[0]} weights, expected one per input, {n_inputs}."
        )
    wrong = ~torch.isfinite(vector) | (vector < 0)
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        raise InputError(
            f"weights: the weight of input {row} is {vector[row].item():g}, expected a finite "
            "value that is not negative."
        )
    if not float(vector.sum()) > 0:
        raise InputError("weights: the weights sum to 0, expected a positive sum.")
    return vector


def check_fraction(value: float, name: str) -> float:
    """Check that a parameter is a fraction in (0, 1].

    Parameters
    ----------
    value : float
        The value.
    name : str
        What the message calls it.

    Returns
    -------
    float
        The value.

    Raises
    ------
    InputError
        If the value is not in (0, 1].
    """
    if not 0 < value <= 1:
        raise InputError(f"{name}: found {value!r}, expected a fraction in (0, 1].")
    return float(value)


def _matrix(
    values: Any,
    field: str,
    column_word: str,
    n_inputs: int | None,
    names: Sequence[str] | None,
    dtype: torch.dtype | None,
) -> Tensor:
    matrix = _as_tensor(values, field)
    if matrix.ndim != 2:
        raise InputError(
            f"{field}: found shape {tuple(matrix.shape)}, expected two dimensions "
            f"(n_inputs, n_{column_word}s); reshape a single vector with [:, None]."
        )
    if 0 in matrix.shape:
        raise InputError(
            f"{field}: found shape {tuple(matrix.shape)}, expected at least one input and one "
            f"{column_word}."
        )
    if n_inputs is not None and matrix.shape[0] != n_inputs:
        raise InputError(
            f"{field}: found {matrix.shape[0]} rows, expected {n_inputs}, one per probe input."
        )
    columns = _column_names(values, names)
    if columns is not None and len(columns) != matrix.shape[1]:
        raise InputError(
            f"{field}: found {matrix.shape[1]} columns and {len(columns)} names, expected one "
            "name per column."
        )
    if matrix.is_floating_point():
        _check_finite(matrix, field, column_word, columns)
    return matrix if dtype is None else matrix.to(dtype)


def _as_tensor(values: Any, field: str) -> Tensor:
    if isinstance(values, Tensor):
        tensor = values.detach()
    else:
        if isinstance(values, pd.DataFrame | pd.Series):
            values = values.to_numpy()
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            raise InputError(
                f"{field}: found values of type {array.dtype}, expected numbers or booleans."
            )
        tensor = _wrap(array)
    if tensor.is_complex():
        raise InputError(f"{field}: found complex values, expected real ones.")
    return tensor


def _wrap(array: np.ndarray[Any, Any]) -> Tensor:
    """Share a numpy array's memory with torch where torch can, and copy where it cannot."""
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        array = array.astype(np.int64)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if any(stride < 0 for stride in array.strides):
        array = np.ascontiguousarray(array)
    if array.flags.writeable:
        return torch.from_numpy(array)
    # torch knows no read-only memory and warns; nothing in this package writes to its input.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writ")
        return torch.from_numpy(array)


def _check_finite(
    matrix: Tensor, field: str, column_word: str, names: Sequence[str] | None
) -> None:
    largest = torch.finfo(matrix.dtype).max
    if _extremes_within(matrix, -largest, largest):
        return
    for start, block in _column_blocks(matrix):
        wrong = ~torch.isfinite(block)
        if not bool(wrong.any()):
            continue
        row, column = _first(wrong)
        where = _place(column_word, start + column, row, names)
        raise InputError(
            f"{field}: {where} is {block[row, column].item()}, expected a finite number; remove "
            f"the input or the {column_word}, or repair what produced it."
        )


def _extremes_within(matrix: Tensor, low: float, high: float) -> bool:
    """Say whether all values lie in a range, without a mask and a row block at a time.

    NaN compares as outside: it is the minimum and the maximum of any block that holds it.
    """
    height = max(1, _BLOCK_ELEMENTS // matrix.shape[1])
    for start in range(0, matrix.shape[0], height):
        lowest, highest = matrix[start : start + height].aminmax()
        if not (float(lowest) >= low and float(highest) <= high):
            return False
    return True


def _column_blocks(matrix: Tensor) -> list[tuple[int, Tensor]]:
    width = max(1, _BLOCK_ELEMENTS // matrix.shape[0])
    return [(start, matrix[:, start : start + width]) for start in range(0, matrix.shape[1], width)]


def _first(mask: Tensor) -> tuple[int, int]:
    """Return row and column of the first hit, columns first."""
    column = int(mask.any(dim=0).nonzero()[0])
    return int(mask[:, column].nonzero()[0]), column


def _column_names(values: Any, names: Sequence[str] | None) -> list[str] | None:
    if names is not None:
        return [str(name) for name in names]
    if isinstance(values, pd.DataFrame):
        return [str(name) for name in values.columns]
    return None


def _place(column_word: str, column: int, row: int, names: Sequence[str] | None) -> str:
    name = f" ({names[column]!r})" if names is not None else ""
    return f"the value of {column_word} {column}{name} on input {row}"
