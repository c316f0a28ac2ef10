"""Read small tables: neurons and their concepts, narrower and broader concepts, known labels."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from neuron_eval.errors import NeuronEvalError

Row = tuple[str, dict[str, str]]


class PairsError(NeuronEvalError):
    """A file of pairs cannot be read."""


def read_pairs(path: str | os.PathLike[str], texts: Sequence[str]) -> list[tuple[int, int]]:
    """Read a CSV with the columns ``neuron`` and ``concept``.

    Parameters
    ----------
    path : path-like
        The file. ``neuron`` is a column of the activations; ``concept`` is the text of a concept,
        or its column where no text is a whole number. A neuron may have several rows.
    texts : sequence of str
        Texts of the concepts.

    Returns
    -------
    list of (int, int)
        Neurons and columns of concepts, in the order of the file.

    Raises
    ------
    PairsError
        If the file is missing, lacks a column, is empty, or names what does not exist; the line
        is given.
    """
    columns = _columns(texts)
    return [
        (_neuron(row["neuron"], where), _concept(row, "concept", columns, where))
        for where, row in _read_rows(path, ("neuron", "concept"))
    ]


def read_relations(
    path: str | os.PathLike[str], texts: Sequence[str]
) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """Read a CSV with the columns ``narrower`` and ``broader``.

    Parameters
    ----------
    path : path-like
        The file: per row a concept and one that contains it, texts or columns as in `read_pairs`.
        The nearest come first.
    texts : sequence of str
        Texts of the concepts.

    Returns
    -------
    broader, narrower : dict of int to list of int
        Per concept, the columns of its broader and of its narrower concepts, in the order of the
        file, as `neuron_eval.sanity.semantic.run_semantic_checks` takes them.

    Raises
    ------
    PairsError
        As `read_pairs`, and if a concept is said to be broader than itself.
    """
    columns = _columns(texts)
    broader: dict[int, list[int]] = {}
    narrower: dict[int, list[int]] = {}
    for where, row in _read_rows(path, ("narrower", "broader")):
        below, above = (_concept(row, side, columns, where) for side in ("narrower", "broader"))
        if below == above:
            raise PairsError(f"{where}: {texts[below]!r} cannot be broader than itself.")
        broader.setdefault(below, []).append(above)
        narrower.setdefault(above, []).append(below)
    return broader, narrower


def read_known_labels(
    path: str | os.PathLike[str], inputs: Sequence[str], texts: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Read a CSV with the columns ``input``, ``concept`` and ``label``: a few known labels.

    Parameters
    ----------
    path : path-like
        The file. ``input`` is the name of an input or its number, ``concept`` as in
        `read_pairs`, ``label`` 0 or 1.
    inputs : sequence of str
        Names of the inputs.
    texts : sequence of str
        Texts of the concepts.

    Returns
    -------
    ndarray, shape (n_inputs, n_concepts), float64
        Labels, NaN where unknown, as `neuron_eval.calibration.fit_calibration` takes them.

    Raises
    ------
    PairsError
        As `read_pairs`, and if a pair is labelled twice and differently.
    """
    columns, rows = _columns(texts), {name: place for place, name in enumerate(inputs)}
    labels = np.full((len(inputs), len(texts)), np.nan)
    for where, row in _read_rows(path, ("input", "concept", "label")):
        name, value = row["input"].strip(), row["label"].strip()
        place = rows.get(name)
        if place is None and name.isdecimal() and int(name) < len(inputs):
            place = int(name)
        if place is None:
            raise PairsError(
                f"{where}: input is {name!r}, expected the name of an input, such as "
                f"{inputs[0]!r}, or its number, 0 to {len(inputs) - 1}."
            )
        if value not in ("0", "1"):
            raise PairsError(f"{where}: label is {value!r}, expected 0 or 1.")
        concept = _concept(row, "concept", columns, where)
        if labels[place, concept] == 1 - int(value):
            raise PairsError(
                f"{where}: {texts[concept]!r} on {name!r} is {value} here and was "
                f"{1 - int(value)} before; keep one of the two."
            )
        labels[place, concept] = int(value)
    return labels


def _read_rows(path: str | os.PathLike[str], needed: Sequence[str]) -> list[Row]:
    """Read the rows of a CSV, each with the place that an error names."""
    source = Path(path)
    if not source.is_file():
        raise PairsError(f"{source}: no such file; correct the path.")
    with source.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream, restval="")
        header = [name.strip().lower() for name in reader.fieldnames or []]
        if not set(needed) <= set(header):
            raise PairsError(
                f"{source}: found the columns {', '.join(header) or '(none)'}, expected "
                f"{','.join(needed)}."
            )
        reader.fieldnames = header
        rows = [(f"{source}, line {reader.line_num}", row) for row in reader]
    if not rows:
        raise PairsError(f"{source}: found no row, expected one per pair.")
    return rows


def _columns(texts: Sequence[str]) -> dict[str, int]:
    return {text.strip().casefold(): place for place, text in enumerate(texts)}


def _neuron(cell: str, where: str) -> int:
    text = cell.strip()
    if not text.isdecimal():
        raise PairsError(f"{where}: neuron is {text!r}, expected a whole number from 0.")
    return int(text)


def _concept(row: dict[str, str], side: str, columns: dict[str, int], where: str) -> int:
    text = row[side].strip()
    if text.casefold() in columns:
        return columns[text.casefold()]
    if text.isdecimal() and int(text) < len(columns):
        return int(text)
    raise PairsError(
        f"{where}: {side} is {text!r}, expected a text of the concept matrix or its column, 0 to "
        f"{len(columns) - 1}."
    )
