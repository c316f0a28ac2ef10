"""Files that researchers have: matrices of any format, and what methods say of the neurons."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from annotation.exceptions import AnnotationError, ArrayProblem, ExplanationFileProblem

if TYPE_CHECKING:
    from numpy.typing import NDArray

FirstUnit = Literal[0, 1]


@dataclass(frozen=True)
class MatrixFile:
    """A matrix from a file.

    Attributes
    ----------
    values : ndarray, shape (n_inputs, n_columns)
        Numbers or booleans; whether they are finite is checked where they are registered.
    names : tuple of str or None
        Names of the columns, where the file has them.
    rows : tuple of str or None
        Names of the inputs, where the file has them.
    """

    values: "NDArray[Any]"
    names: tuple[str, ...] | None
    rows: tuple[str, ...] | None


@dataclass(frozen=True)
class ExplanationRow:
    """One explanation of a file.

    Attributes
    ----------
    unit : int
        Neuron, from 0.
    layer : str or None
        Where the file names it.
    terms : dict
        From concept text to weight.
    bias : float
        Of a linear explanation.
    """

    unit: int
    layer: str | None
    terms: dict[str, float] = field(default_factory=dict)
    bias: float = 0.0


@dataclass(frozen=True)
class ExplanationRows:
    """What was read from an explanation file.

    Attributes
    ----------
    format : str
        The format that was recognised.
    rows : list of ExplanationRow
        What it says, in the order of the file.
    notes : list of str
        What was changed or not used, and what was left out, with the lines of the file.
    """

    format: str
    rows: list[ExplanationRow]
    notes: list[str]


def matrix_read(path: Path, *, key: str | None = None, name: str | None = None) -> MatrixFile:
    """Read a matrix from .npy, .npz, .safetensors, .csv, .tsv or .parquet; nothing is unpickled.

    Parameters
    ----------
    path : Path
        The file.
    key : str, optional
        Which array, where the file holds several.
    name : str, optional
        The file's name in messages, where `path` is a temporary one.

    Returns
    -------
    MatrixFile

    Raises
    ------
    ArrayProblem
        When it cannot be read, or holds several arrays and no key was given.
    """
    from neuron_eval.matrix_files import read_matrix

    with _file_named(path, name, ArrayProblem):
        matrix = read_matrix(path, key=key)
    return MatrixFile(matrix.values, matrix.names, matrix.rows)


def texts_read(path: Path, *, name: str | None = None) -> list[str]:
    """Read the texts of concepts, one a line.

    Parameters
    ----------
    path : Path
        The file, UTF-8.
    name : str, optional
        Its name in messages.

    Returns
    -------
    list of str

    Raises
    ------
    ArrayProblem
        When it is missing or not UTF-8, or a line is blank or a repetition.
    """
    from neuron_eval.text_files import read_texts

    with _file_named(path, name, ArrayProblem):
        return list(read_texts(path))


def explanations_read(
    path: Path, *, first_unit: FirstUnit | None = None, name: str | None = None
) -> ExplanationRows:
    """Read an explanation file of a published method, or one of ours.

    Parameters
    ----------
    path : Path
        A table or our JSON, in UTF-8.
    first_unit : {0, 1}, optional
        The number of the file's first neuron; guessed from the format when None.
    name : str, optional
        Its name in messages.

    Returns
    -------
    ExplanationRows

    Raises
    ------
    ExplanationFileProblem
        When it is not text, of an unknown format, or without a readable row.
    """
    from neuron_eval.explanation_files import read_explanations

    with _file_named(path, name, ExplanationFileProblem):
        read = read_explanations(path, first_unit=first_unit)
    notes = [*read.notes, *read.skipped_lines()]
    rows = []
    for explanation in read.explanations:
        terms: dict[str, float] = {}
        for term in explanation.terms:
            terms[term.text] = terms.get(term.text, 0.0) + term.weight
        rows.append(ExplanationRow(explanation.unit, explanation.layer, terms, explanation.bias))
    return ExplanationRows(read.format, rows, notes)


@contextmanager
def _file_named(path: Path, name: str | None, error_class: type[AnnotationError]) -> Iterator[None]:
    """Tell errors by the name that the researcher gave the file, never by where it lies here."""
    try:
        yield
    except ValueError as error:
        raise error_class(str(error).replace(str(path), name or path.name)) from error
