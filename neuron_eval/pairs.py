"""Read which concept belongs to which neuron: the known pairs of a layer."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

from neuron_eval.errors import NeuronEvalError

_COLUMNS = ("neuron", "concept")


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
    source = Path(path)
    if not source.is_file():
        raise PairsError(f"{source}: no such file; correct the path.")
    columns = {text.strip().casefold(): place for place, text in enumerate(texts)}
    pairs = []
    with source.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        header = [name.strip().lower() for name in reader.fieldnames or []]
        if not set(_COLUMNS) <= set(header):
            raise PairsError(
                f"{source}: found the columns {', '.join(header) or '(none)'}, expected "
                "neuron,concept."
            )
        reader.fieldnames = header
        for row in reader:
            where = f"{source}, line {reader.line_num}"
            pairs.append((_neuron(row["neuron"], where), _concept(row["concept"], columns, where)))
    if not pairs:
        raise PairsError(f"{source}: found no row, expected one per pair.")
    return pairs


def _neuron(cell: str | None, where: str) -> int:
    text = (cell or "").strip()
    if not text.isdecimal():
        raise PairsError(f"{where}: neuron is {text!r}, expected a whole number from 0.")
    return int(text)


def _concept(cell: str | None, columns: dict[str, int], where: str) -> int:
    text = (cell or "").strip()
    if text.casefold() in columns:
        return columns[text.casefold()]
    if text.isdecimal() and int(text) < len(columns):
        return int(text)
    raise PairsError(
        f"{where}: concept is {text!r}, expected a text of the concept matrix or its column, 0 to "
        f"{len(columns) - 1}."
    )
