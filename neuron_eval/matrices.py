"""Matrices with the names of their columns and inputs, and the error of files that hold none."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from neuron_eval.arrays import ArrayFileError

Array = npt.NDArray[Any]


class MatrixFileError(ArrayFileError):
    """A file holds no matrix that can be read, or none of this name."""


@dataclass(frozen=True)
class Matrix:
    """A matrix from a file.

    Attributes
    ----------
    values : ndarray, shape (n_inputs, n_columns)
        Numbers or booleans, memory-mapped where the format allows it.
    names : tuple of str or None
        Names of the columns (neurons, or texts of concepts), where the file has them.
    path : pathlib.Path
        The file.
    rows : tuple of str or None, default None
        Names of the inputs, where the file has them.
    """

    values: Array
    names: tuple[str, ...] | None
    path: Path
    rows: tuple[str, ...] | None = None


def check_numbers(values: Array, source: Path) -> None:
    """Refuse values that are no real numbers or booleans.

    Parameters
    ----------
    values : ndarray
        The values.
    source : pathlib.Path
        The file, for messages.

    Raises
    ------
    MatrixFileError
        If their type is another.
    """
    if values.dtype.kind not in "biuf":
        raise MatrixFileError(
            f"{source}: found values of type {values.dtype}, expected real numbers or booleans."
        )


def no_key(source: Path, word: str, key: str, keys: Sequence[str]) -> str:
    """Say that a file has no array, layer or column of this name.

    Parameters
    ----------
    source : pathlib.Path
        The file.
    word : str
        What the names stand for.
    key : str
        The name.
    keys : sequence of str
        The names that there are.

    Returns
    -------
    str
        The message.
    """
    return f"{source}: found no {word} {key!r}; the {word}s are {listed(keys)}."


def listed(keys: Sequence[str]) -> str:
    """Write out names for a message, at most twenty of them.

    Parameters
    ----------
    keys : sequence of str
        The names.

    Returns
    -------
    str
        The names, in quotes.
    """
    shown = ", ".join(map(repr, keys[:20]))
    return shown if len(keys) <= 20 else f"{shown} and {len(keys) - 20} more"
