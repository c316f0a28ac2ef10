"""Pairs of a neuron and a concept, read from matrix files as options name them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from estimation.checks import EstimationError, FloatArray

if TYPE_CHECKING:
    from neuron_eval.matrices import Matrix

Activations = Annotated[
    Path, typer.Argument(help="Activations: a matrix with a row an input, a column a neuron.")
]
Prior = Annotated[
    Path, typer.Argument(help="Concept prior: a row an input, a column a concept, in [0, 1].")
]
ErrorRate = Annotated[
    float, typer.Option(help="Share of wrong ratings that is expected; 0.23 in published studies.")
]
Correlation = Annotated[
    float, typer.Option(help="Correlation of raters' errors on one input, from hard inputs.")
]


@dataclass(frozen=True, eq=False)
class NamedPair:
    """One (neuron, concept) pair.

    Attributes
    ----------
    name : str
        As it was asked for, ``NEURON:CONCEPT``.
    activation, prior : ndarray, shape (n_inputs,), float64
    """

    name: str
    activation: FloatArray
    prior: FloatArray


def read_pairs(activations: Path, prior: Path, names: list[str]) -> list[NamedPair]:
    """Read pairs from matrix files.

    Parameters
    ----------
    activations, prior : Path
        Files that `neuron_eval.matrix_files.read_matrix` takes.
    names : list of str
        ``NEURON:CONCEPT``, each the name of a column or its number, from 0.

    Returns
    -------
    list of NamedPair

    Raises
    ------
    EstimationError
        When a name has no colon or names no column, or the files differ in their inputs.
    neuron_eval.errors.NeuronEvalError
        When a file cannot be read.
    """
    import numpy as np

    from neuron_eval.matrix_files import read_matrix

    a, s = read_matrix(activations), read_matrix(prior)
    if a.values.shape[0] != s.values.shape[0]:
        msg = (
            f"{prior}: {s.values.shape[0]} inputs, but {activations} has {a.values.shape[0]}; "
            "give both over the same probe dataset, in the same order"
        )
        raise EstimationError(msg)
    pairs = []
    for name in names:
        neuron, colon, concept = name.partition(":")
        if not colon:
            msg = f"--pair: found {name!r}, expected NEURON:CONCEPT, such as 12:dog or 12:3"
            raise EstimationError(msg)
        pairs.append(
            NamedPair(
                name,
                np.asarray(a.values[:, _column(a, neuron)], dtype=np.float64),
                np.asarray(s.values[:, _column(s, concept)], dtype=np.float64),
            )
        )
    return pairs


def _column(matrix: "Matrix", name: str) -> int:
    n_columns = matrix.values.shape[1]
    if matrix.names is not None and name in matrix.names:
        return matrix.names.index(name)
    if name.isdecimal() and int(name) < n_columns:
        return int(name)
    known = "" if matrix.names is None else f", or one of {', '.join(matrix.names[:5])}, ..."
    msg = f"--pair: {matrix.path} has no column {name!r}; give a number from 0 to {n_columns - 1}"
    raise EstimationError(msg + known)
