"""Manifests (CSV) and JSON lines: inputs with highlights and labels."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from annotation.datafiles.inputs import (
    DatasetFiles,
    NewInput,
    files_require,
    highlight_of,
    label_of,
    lines_of,
    some,
    some_require,
    text_require,
)
from annotation.exceptions import DatasetProblem
from annotation.models import Modality

DELIMITERS = {".csv": ",", ".tsv": "\t"}
#: Columns of a manifest and keys of a JSON line that are about the input itself.
FIELDS = ("file", "text", "highlight_start", "highlight_end")


def manifest_read(path: Path, folder: Path) -> DatasetFiles:
    """Read a table with a column of files or texts; other columns are labels.

    Parameters
    ----------
    path : Path
        A .csv or .tsv file.
    folder : Path
        What file names are relative to.

    Returns
    -------
    DatasetFiles

    Raises
    ------
    DatasetProblem
        When a row cannot be used; the message names its line.
    """
    rows = csv.reader(
        (f"{line}\n" for line in lines_of(path)), delimiter=DELIMITERS[path.suffix.lower()]
    )
    try:
        header = [name.strip() for name in next(rows, [])]
        table = [(rows.line_num, row) for row in rows if row]
    except csv.Error as error:
        raise DatasetProblem(f"{path.name}, line {rows.line_num}: {error}.") from error
    repeated = next((name for name in header if name and header.count(name) > 1), None)
    if repeated is not None:
        raise DatasetProblem(f"{path.name}: the column {repeated!r} is there twice; rename one.")
    if ("file" in header) == ("text" in header):
        raise DatasetProblem(
            f"{path.name}: found the columns {some(header)}, expected one named 'file' (with "
            "names relative to the manifest's folder) or one named 'text'."
        )
    columns: dict[str, list[str]] = {name: [] for name in header}
    for line, row in table:
        if len(row) != len(header):
            raise DatasetProblem(
                f"{path.name}, line {line}: it has {len(row)} cells, expected {len(header)}, one "
                "for every column."
            )
        for name, cell in zip(header, row, strict=True):
            columns[name].append(cell)
    lines = [line for line, _ in table]
    inputs = _manifest_inputs(path, columns, lines)
    some_require(inputs, path)
    modality = Modality.IMAGE if "file" in columns else Modality.TEXT
    if modality == Modality.IMAGE:
        files_require(folder, inputs)
    labels, notes = _label_columns(path, columns, lines)
    return DatasetFiles(folder, modality, inputs, labels, notes)


def _manifest_inputs(
    path: Path, columns: dict[str, list[str]], lines: Sequence[int]
) -> list[NewInput]:
    if "file" in columns:
        return [NewInput(file=cell.strip()) for cell in columns["file"]]
    inputs = []
    empty = [""] * len(lines)
    rows = zip(
        lines,
        columns["text"],
        columns.get("highlight_start", empty),
        columns.get("highlight_end", empty),
        strict=True,
    )
    for line, text, start, end in rows:
        text_require(text, path, line)
        highlight = highlight_of(start.strip() or None, end.strip() or None, text, path, line)
        inputs.append(NewInput(text=text, highlight=highlight))
    return inputs


def _label_columns(
    path: Path, columns: dict[str, list[str]], lines: Sequence[int]
) -> tuple[dict[str, list[float]], list[str]]:
    labels: dict[str, list[float]] = {}
    notes = []
    for name, cells in columns.items():
        if name in FIELDS or not name:
            continue
        values = [label_of(cell) for cell in cells]
        bad = next((k for k, value in enumerate(values) if value is None), None)
        if bad is None:
            labels[name] = [value for value in values if value is not None]
        elif cells[bad].strip() or not any(cell.strip() for cell in cells):
            notes.append(
                f"The column {name!r} is not used: {cells[bad]!r} on line {lines[bad]} is no label "
                "(a number in [0, 1], yes or no)."
            )
        else:
            raise DatasetProblem(
                f"{path.name}, line {lines[bad]}: the column {name!r} has no value; reference "
                "labels are needed for every input, or leave the column out."
            )
    return labels, notes


def json_lines_read(path: Path, folder: Path) -> DatasetFiles:
    """Read one JSON object a line: a text with highlight and labels, or a file.

    Parameters
    ----------
    path : Path
        UTF-8.
    folder : Path
        What file names are relative to.

    Returns
    -------
    DatasetFiles

    Raises
    ------
    DatasetProblem
        When a line cannot be used; the message names it.
    """
    inputs: list[NewInput] = []
    labels: dict[str, list[float]] = {}
    ignored: set[str] = set()
    for line, content in enumerate(lines_of(path), start=1):
        entry = _json_object(content, path, line)
        if isinstance(entry.get("file"), str) and "text" not in entry:
            inputs.append(NewInput(file=entry["file"]))
        elif isinstance(entry.get("text"), str) and "file" not in entry:
            text = entry["text"]
            text_require(text, path, line)
            highlight = highlight_of(*_json_highlight(entry), text, path, line)
            inputs.append(NewInput(text=text, highlight=highlight))
        else:
            raise DatasetProblem(
                f"{path.name}, line {line}: expected either a text under 'text' or a file name "
                "under 'file'."
            )
        _json_labels(entry.get("labels", {}), labels, path, line)
        ignored |= entry.keys() - {*FIELDS, "highlight", "labels"}
    some_require(inputs, path)
    kinds = {bool(row.file) for row in inputs}
    if len(kinds) > 1:
        raise DatasetProblem(f"{path.name}: files and texts are mixed; make two datasets of them.")
    modality = Modality.IMAGE if inputs[0].file else Modality.TEXT
    if modality == Modality.IMAGE:
        files_require(folder, inputs)
    notes = [f"Not used: {some(sorted(ignored))}."] if ignored else []
    return DatasetFiles(folder, modality, inputs, labels, notes)


def _json_object(content: str, path: Path, line: int) -> dict[str, Any]:
    try:
        entry = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DatasetProblem(
            f"{path.name}, line {line}: found no JSON ({error}); put one object on every line."
        ) from error
    if not isinstance(entry, dict):
        raise DatasetProblem(
            f'{path.name}, line {line}: expected an object such as {{"text": "..."}}.'
        )
    return entry


def _json_highlight(entry: dict[str, Any]) -> tuple[Any, Any]:
    given = entry.get("highlight")
    if isinstance(given, list) and len(given) == 2:
        return given[0], given[1]
    if given is not None:
        return given, None
    return entry.get("highlight_start"), entry.get("highlight_end")


def _json_labels(given: Any, labels: dict[str, list[float]], path: Path, line: int) -> None:
    if not isinstance(given, dict) or (line > 1 and given.keys() != labels.keys()):
        raise DatasetProblem(
            f"{path.name}, line {line}: its labels are not those of line 1; label every input with "
            "the same concepts, or leave the labels out."
        )
    for concept, cell in given.items():
        value = label_of(cell)
        if value is None:
            raise DatasetProblem(
                f"{path.name}, line {line}: the label {concept!r} is {cell!r}, expected a number "
                "in [0, 1]."
            )
        labels.setdefault(concept, []).append(value)
