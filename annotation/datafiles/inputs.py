"""Inputs of a probe dataset, and what is asked of each before it is registered."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annotation.exceptions import DatasetProblem
from annotation.images import PNG_SIGNATURE
from annotation.models import Modality
from annotation.uploads import path_within

MAX_INPUTS = 1_000_000
MAX_TEXT = 20_000
TRUTH = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}


@dataclass(frozen=True)
class NewInput:
    """One input to register.

    Attributes
    ----------
    file : str
        Relative to the dataset's folder; empty where the input is a text.
    text : str
        The input, where it is a text.
    highlight : tuple of int, optional
        First character of the token that is asked about, and where it ends (not included).
    """

    file: str = ""
    text: str = ""
    highlight: tuple[int, int] | None = None


@dataclass(frozen=True)
class DatasetFiles:
    """What was read.

    Attributes
    ----------
    root : Path
        Folder of the inputs.
    modality : Modality
        Images or texts.
    inputs : list of NewInput
        In the order of the matrices' rows.
    labels : dict
        From concept to one value in [0, 1] an input: reference labels that came with the inputs.
    notes : list of str
        What was left out, for a person.
    """

    root: Path
    modality: Modality
    inputs: list[NewInput]
    labels: dict[str, list[float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def files_require(folder: Path, inputs: Sequence[NewInput]) -> None:
    """Refuse inputs whose file is missing or no image, by its first bytes.

    Parameters
    ----------
    folder : Path
        Where the files are.
    inputs : sequence of NewInput
        With files relative to it.

    Raises
    ------
    DatasetProblem
        The message names file and input.
    UnsafePath
        When a name or a link leads out of the folder.
    """
    for index, row in enumerate(inputs):
        path = path_within(folder, row.file)
        if not path.is_file():
            raise DatasetProblem(
                f"file: {row.file!r} (input {index}) is not in the folder {folder.name!r}; copy it "
                "there or correct the name."
            )
        with path.open("rb") as file:
            head = file.read(12)
        if not _is_image(head):
            what = "empty" if not head else "no PNG, JPEG, WebP or GIF"
            raise DatasetProblem(
                f"file: {row.file!r} (input {index}) is {what}; replace it by a sound image, or "
                "take it out of the dataset and of the matrices."
            )


def _is_image(head: bytes) -> bool:
    return head.startswith((PNG_SIGNATURE, b"\xff\xd8\xff", b"GIF87a", b"GIF89a")) or (
        head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    )


def lines_of(path: Path) -> Iterator[str]:
    """Read lines as they are; only line feeds end one, as in editors and `wc -l`."""
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            for line in file:
                yield line.removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise DatasetProblem(
            f"{path.name}: it is not UTF-8 ({error.reason}); save it with the encoding UTF-8."
        ) from error
    except OSError as error:
        raise DatasetProblem(f"{path.name}: it cannot be read ({error.strerror}).") from error


def text_require(text: str, path: Path, line: int) -> None:
    """Refuse a text that is empty, has a NUL character or is too long to be shown.

    Parameters
    ----------
    text : str
        The input.
    path : Path
        The file that it is from.
    line : int
        Where in it, from 1.

    Raises
    ------
    DatasetProblem
    """
    where = f"{path.name}, line {line}"
    if not text.strip():
        raise DatasetProblem(
            f"{where}: the text is empty, but every line is the input of one row of the matrices; "
            "remove the line there and here."
        )
    if "\0" in text:
        raise DatasetProblem(f"{where}: the text has a NUL character; remove it.")
    if len(text) > MAX_TEXT:
        raise DatasetProblem(
            f"{where}: the text has {len(text)} characters, at most {MAX_TEXT} can be shown to a "
            "rater; shorten it around the token that is asked about."
        )


def some_require(inputs: Sequence[NewInput], path: Path) -> None:
    """Refuse a dataset without inputs, or with more than the database should hold.

    Parameters
    ----------
    inputs : sequence of NewInput
        All of them.
    path : Path
        The file that they are from.

    Raises
    ------
    DatasetProblem
    """
    if not inputs:
        raise DatasetProblem(f"{path.name}: it has no inputs; give one a line.")
    if len(inputs) > MAX_INPUTS:
        raise DatasetProblem(f"{path.name}: {len(inputs)} inputs are more than {MAX_INPUTS}.")


def highlight_of(start: Any, end: Any, text: str, path: Path, line: int) -> tuple[int, int] | None:
    """Read where the highlighted token of a text begins and ends.

    Parameters
    ----------
    start, end : str, int or None
        As the file has them; None for no highlight.
    text : str
        The input.
    path : Path
        The file that it is from.
    line : int
        Where in it, from 1.

    Returns
    -------
    tuple of int, or None

    Raises
    ------
    DatasetProblem
        When they are no part of the text.
    """
    if start is None and end is None:
        return None
    try:
        first, last = int(start), int(end)
    except (TypeError, ValueError):
        first, last = -1, -1
    if not 0 <= first < last <= len(text):
        raise DatasetProblem(
            f"{path.name}, line {line}: the highlight from {start!r} to {end!r} is no part of the "
            f"text of {len(text)} characters; give the first character, from 0, and where it ends."
        )
    return first, last


def label_of(cell: Any) -> float | None:
    """Read a label: a number in [0, 1], yes, no, true or false.

    Parameters
    ----------
    cell : str, bool or number
        As the file has it.

    Returns
    -------
    float or None
        None where it is no label.
    """
    if isinstance(cell, bool):
        return float(cell)
    try:
        value = TRUTH[cell.strip().lower()] if str(cell).strip().lower() in TRUTH else float(cell)
    except (TypeError, ValueError):
        return None
    return value if 0.0 <= value <= 1.0 else None


def some(names: Iterable[str]) -> str:
    """Name the first few of some names, and say how many more there are.

    Parameters
    ----------
    names : iterable of str
        Any.

    Returns
    -------
    str
    """
    listed = list(names)
    more = len(listed) - 5
    return ", ".join(map(repr, listed[:5])) + (f" and {more} more" if more > 0 else "")
