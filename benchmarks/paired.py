"""Paired differences between two methods that saw the same random subsets of several data sets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """Mean paired difference over data sets, each with the same weight.

    Attributes
    ----------
    mean : float
        First method minus second.
    half_width : float
        Of the 95% interval over subsets: it says nothing of other data sets. 0 where nothing was
        drawn at random, nan from one subset.
    n : int
        Subsets that both methods saw.
    """

    mean: float
    half_width: float
    n: int


def paired_difference(first: Sequence[Values], second: Sequence[Values]) -> Difference:
    """Compare two methods on the subsets that both saw.

    Parameters
    ----------
    first, second : sequence of ndarray
        One array (n_subsets,) a data set, subsets in the same order for both; the method that saw
        fewer saw the first of them.

    Returns
    -------
    Difference
    """
    differences = [
        a[: min(a.size, b.size)] - b[: min(a.size, b.size)]
        for a, b in zip(first, second, strict=True)
    ]
    n = max(d.size for d in differences)
    variance = 0.0
    for d in differences:
        if d.size > 1:
            variance += float(d.var(ddof=1)) / d.size
    whole = max(a.size for a in [*first, *second]) == 1
    half_width = 1.96 * float(np.sqrt(variance)) / len(differences)
    if n == 1 and not whole:
        half_width = float("nan")
    return Difference(float(np.mean([d.mean() for d in differences])), half_width, n)


def average_over(parts: Sequence[Sequence[Values]]) -> list[Values]:
    """Average a method's values over several ways to draw, subset by subset.

    Parameters
    ----------
    parts : sequence of sequences of ndarray
        For each way to draw, one array (n_subsets,) a data set. Subsets of the same number share
        their randomness, so they are averaged before an interval is made.

    Returns
    -------
    list of ndarray
        One array (n_subsets,) a data set; a way with a single value, where all ratings were kept,
        gives it to every subset.
    """
    averages = []
    for arrays in zip(*parts, strict=True):
        n = max(a.size for a in arrays)
        averages.append(np.mean([np.broadcast_to(a, n) for a in arrays], axis=0))
    return averages


def print_differences(
    title: str,
    differences: Mapping[str, Sequence[Difference]],
    columns: Sequence[str],
    *,
    higher_is_better: bool,
) -> None:
    """Print a row for each peer; * marks the hardest peer of each column.

    Without an interval where all ratings were kept, or where there was one subset.

    Parameters
    ----------
    title : str
        Of the table.
    differences : mapping from str to sequence of Difference
        By peer, one a column.
    columns : sequence of str
        Their heads.
    higher_is_better : bool
        Whether a difference above 0 speaks for the first method.
    """
    table = Table(title=title)
    table.add_column("peer")
    for name in [*columns, "n"]:
        table.add_column(name, justify="right")
    pick = min if higher_is_better else max
    hardest = [
        pick(row[column].mean for row in differences.values()) for column in range(len(columns))
    ]
    for peer, row in differences.items():
        cells = [
            ("*" if cell.mean == worst else "")
            + f"{cell.mean:+.4f}"
            + (f" ±{cell.half_width:.4f}" if cell.half_width > 0 else "")
            for cell, worst in zip(row, hardest, strict=True)
        ]
        table.add_row(peer, *cells, str(row[-1].n))
    Console().print(table)
