"""What commands share on the terminal: tables, progress bars, files of results."""

import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from neuron_eval.errors import NeuronEvalError

if TYPE_CHECKING:
    import pandas as pd

# A pipe has no width to keep to; there, tables keep their columns whole.
_PIPE_COLUMNS = 160
_PIPED = not sys.stdout.isatty() and "COLUMNS" not in os.environ
CONSOLE = Console(emoji=False, width=_PIPE_COLUMNS if _PIPED else None)
#: Progress and errors go here, so that standard output can be piped.
ERROR_CONSOLE = Console(emoji=False, stderr=True)

_VERDICTS = {"pass": "green", "fail": "red", "too close to call": "yellow"}


class OutputError(NeuronEvalError):
    """Results cannot be written as asked."""


class Steps:
    """A progress bar of known length; `to` sets how many steps are done."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def to(self, done: int, _total: int | None = None) -> None:
        """Say how many steps are done.

        Parameters
        ----------
        done : int
            Steps done so far.
        """
        self._progress.update(self._task, completed=done)

    def one_more(self, *_what: Any) -> None:
        """Say that one more step is done."""
        self._progress.advance(self._task)


@contextmanager
def progress_bar(description: str, total: int | None) -> Iterator[Steps]:
    """Show a progress bar on standard error while a block runs.

    Parameters
    ----------
    description : str
        What is being done.
    total : int or None
        Number of steps; unknown when None.

    Yields
    ------
    Steps
        To say how many steps are done.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # Where standard error is a file, a bar would only leave blank lines in it.
    hidden = not ERROR_CONSOLE.is_terminal
    with Progress(*columns, console=ERROR_CONSOLE, transient=True, disable=hidden) as progress:
        yield Steps(progress, progress.add_task(description, total=total))


def note(text: str) -> None:
    """Print a remark on standard error.

    Parameters
    ----------
    text : str
        The remark; square brackets are printed as they are.
    """
    ERROR_CONSOLE.print(text, style="dim", markup=False, soft_wrap=True)


def show_table(frame: "pd.DataFrame", title: str = "", *, most: int = 60, digits: int = 3) -> None:
    """Print a table.

    Parameters
    ----------
    frame : pandas.DataFrame
        The table; numbers are rounded for the eye, verdicts coloured.
    title : str
        Printed above it.
    most : int, default 60
        Rows that are printed at most; a last line says how many more there are.
    digits : int, default 3
        Decimals of numbers.
    """
    if title:
        CONSOLE.print(title, style="bold", markup=False, highlight=False, soft_wrap=True)
    table = Table()
    for name in frame.columns:
        right = frame[name].dtype.kind in "fiu"
        # Long names are folded, never cut.
        table.add_column(
            str(name).replace("_", " "), justify="right" if right else "left", overflow="fold"
        )
    for row in frame.head(most).itertuples(index=False):
        table.add_row(*(_cell(value, digits) for value in row))
    CONSOLE.print(table)
    if len(frame) > most:
        CONSOLE.print(f"... and {len(frame) - most} more rows; --output FILE writes all of them.")


def _cell(value: Any, digits: int) -> str:
    from rich.markup import escape

    if isinstance(value, float):
        if math.isnan(value):
            return "-"
        return f"{value:.{digits}f}" if abs(value) < 1000 else f"{value:.4g}"
    if isinstance(value, dict):
        return escape(describe_parameters(value)) or "-"
    text = escape(str(value))
    colour = _VERDICTS.get(str(value))
    return f"[{colour}]{text}[/]" if colour else text


def describe_parameters(parameters: dict[str, Any]) -> str:
    """Write the parameters of a metric for a table.

    Parameters
    ----------
    parameters : dict
        Values by name.

    Returns
    -------
    str
        Such as ``alpha=0.05, lam=0.7``; binarizations other than the top fraction are named.
    """
    parts = []
    for name, value in parameters.items():
        alpha = getattr(value, "alpha", None)
        if name != "binarization":
            parts.append(f"{name}={value}")
        else:
            parts.append(str(value) if alpha is None else f"alpha={alpha}")
    return ", ".join(parts)


def write_table(frame: "pd.DataFrame", path: Path | None) -> None:
    """Write a table to a file, if one is given.

    Parameters
    ----------
    frame : pandas.DataFrame
        The table.
    path : pathlib.Path or None
        Where to; ``.csv`` or ``.json`` (a list of records; undefined values are null).

    Raises
    ------
    OutputError
        If the name ends otherwise or the folder does not exist.
    """
    if path is None:
        return
    check_output(path, (".csv", ".json"))
    plain = frame.copy()
    for name in plain.columns:
        if plain[name].dtype == object:
            plain[name] = [
                describe_parameters(v) if isinstance(v, dict) else v for v in plain[name]
            ]
    if path.suffix == ".csv":
        plain.to_csv(path, index=False)
    else:
        records = json.loads(plain.to_json(orient="records", double_precision=15))
        path.write_text(json.dumps(records, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    note(f"wrote {path} ({len(frame)} rows)")


def check_output(path: Path | None, suffixes: Sequence[str]) -> None:
    """Check that results can be written to a file, before they are computed.

    Parameters
    ----------
    path : pathlib.Path or None
        The file, None for none.
    suffixes : sequence of str
        How its name may end.

    Raises
    ------
    OutputError
        If the name ends otherwise or the folder does not exist.
    """
    if path is None:
        return
    if path.suffix not in suffixes:
        raise OutputError(f"output: found {path}, expected a name that ends in {_or(suffixes)}.")
    if not path.parent.is_dir():
        raise OutputError(f"output: found no folder {path.parent}; create it first.")


def _or(words: Sequence[str]) -> str:
    return " or ".join(words)
