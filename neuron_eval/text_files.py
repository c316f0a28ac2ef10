"""Texts of concepts and names of columns in text files, one a line."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from neuron_eval.matrices import MatrixFileError


def read_texts(path: str | os.PathLike[str], *, unique: bool = True) -> tuple[str, ...]:
    """Read texts of concepts, or names of classes or neurons, one a line.

    Parameters
    ----------
    path : path-like
        A UTF-8 text file. Spaces around a text are dropped.
    unique : bool, default True
        Whether a repeated text is an error; names of classes are not always unique.

    Returns
    -------
    tuple of str
        The texts, in the order of the file.

    Raises
    ------
    MatrixFileError
        If the file is missing, empty or not UTF-8, or a line is blank or a repetition; the line
        is named.
    """
    source = Path(path)
    try:
        content = source.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise MatrixFileError(f"{source}: no such file; correct the path.") from None
    except UnicodeDecodeError as error:
        raise MatrixFileError(
            f"{source}: found no UTF-8 text ({error}); save it as such."
        ) from None
    # Not str.splitlines, which also breaks lines at characters that a text may hold.
    texts = [line.strip() for line in content.removesuffix("\n").split("\n")]
    seen: dict[str, int] = {}
    for line, text in enumerate(texts, start=1):
        if not text:
            raise MatrixFileError(f"{source}: line {line} is blank, expected a text; remove it.")
        first = seen.setdefault(text, line)
        if unique and first != line:
            raise MatrixFileError(
                f"{source}: line {line} repeats {text!r} of line {first}, expected different "
                "texts; remove or rename one."
            )
    return tuple(texts)


def names_file(target: Path) -> Path:
    """Give the text file that holds the names of the columns of a ``.npy`` file.

    Parameters
    ----------
    target : pathlib.Path
        The ``.npy`` file.

    Returns
    -------
    pathlib.Path
        ``x.names.txt`` beside ``x.npy``; it need not exist.
    """
    return target.with_name(f"{target.stem}.names.txt")


def checked_names(target: Path, names: Sequence[str], n_columns: int) -> list[str]:
    """Check names of columns that are to be written.

    Parameters
    ----------
    target : pathlib.Path
        The file, for messages.
    names : sequence of str
        Names of the columns.
    n_columns : int
        Number of columns.

    Returns
    -------
    list of str
        The names.

    Raises
    ------
    MatrixFileError
        If they do not fit, or one is empty, repeated or of several lines.
    """
    columns = [str(name) for name in names]
    if len(columns) != n_columns:
        raise MatrixFileError(
            f"{target}: found {len(columns)} names and {n_columns} columns, expected one name per "
            "column."
        )
    for place, name in enumerate(columns):
        if not name.strip() or name != name.strip() or "\n" in name or "\r" in name:
            raise MatrixFileError(
                f"{target}: name {place} is {name!r}, expected one line of text without spaces "
                "around it."
            )
    repeated = next((name for name, count in Counter(columns).items() if count > 1), None)
    if repeated is not None:
        raise MatrixFileError(f"{target}: {repeated!r} names several columns; rename one.")
    return columns
