"""The ratings table: one row a rating, checked once, then trusted.

Columns: ``item`` (any hashable; the index of the input where all inputs are scored), ``rater``,
``rating`` (1 present, 0 absent, missing for "cannot tell"), and ``concept`` where ratings of
several concepts share a table. A rating is about an (input, concept) pair, so with the column
``concept`` one item is one (concept, item) pair.
"""

import numpy as np
import pandas as pd

REQUIRED_COLUMNS = ("item", "rater", "rating")


class RatingsError(ValueError):
    """Raised when a ratings table cannot be used as it is."""


def item_key(frame: pd.DataFrame) -> list[str]:
    """Name the columns that identify what was rated.

    Parameters
    ----------
    frame : DataFrame
        A ratings table.

    Returns
    -------
    list of str
        ``["concept", "item"]`` where the table has a concept column, ``["item"]`` otherwise.
    """
    return ["concept", "item"] if "concept" in frame.columns else ["item"]


def check_ratings(frame: pd.DataFrame) -> pd.DataFrame:
    """Check a ratings table and return a clean copy with ``rating`` as float64.

    Parameters
    ----------
    frame : DataFrame
        Columns ``item``, ``rater``, ``rating`` in {0, 1, missing}, optionally ``concept``; other
        columns are kept.

    Returns
    -------
    DataFrame
        A copy with a fresh index; ``rating`` is float64, NaN where the rater could not tell.

    Raises
    ------
    RatingsError
        When a column is missing, the table is empty, a rating has another value, an item, rater or
        concept is missing, or one rater rated one item twice. The message names the first culprit.
    """
    for column in REQUIRED_COLUMNS:
        if column not in frame.columns:
            msg = (
                f"ratings: column {column!r} is missing (columns found: "
                f"{', '.join(map(str, frame.columns)) or 'none'}); rename or add it"
            )
            raise RatingsError(msg)
    if frame.empty:
        msg = "ratings: the table is empty; collect at least one rating first"
        raise RatingsError(msg)
    clean = frame.reset_index(drop=True).copy()
    clean["rating"] = _ratings_as_float(clean["rating"])
    key = item_key(clean)
    for column in (*key, "rater"):
        missing = clean[column].isna()
        if missing.any():
            row = int(np.flatnonzero(missing.to_numpy())[0])
            msg = f"ratings: column {column!r} has no value in row {row}; fill it or drop the row"
            raise RatingsError(msg)
    repeated = clean.duplicated([*key, "rater"])
    if repeated.any():
        first = clean[repeated.to_numpy()].iloc[0]
        what = ", ".join(f"{column} {shown(first[column])}" for column in key)
        msg = (
            f"ratings: rater {shown(first['rater'])} rated {what} more than once "
            f"({int(repeated.sum())} repeated rows in all); keep one rating an item and rater"
        )
        raise RatingsError(msg)
    return clean


def rating_counts(frame: pd.DataFrame) -> pd.DataFrame:
    """Count the ratings of every item.

    Parameters
    ----------
    frame : DataFrame
        A ratings table, see `check_ratings`.

    Returns
    -------
    DataFrame
        One row an item, indexed by ``item`` (or ``(concept, item)``), sorted as first seen, with
        int64 columns ``n`` (ratings that say present or absent), ``k`` (those that say present) and
        ``n_cannot_tell``.

    Raises
    ------
    RatingsError
        When the table does not pass `check_ratings`.
    """
    clean = check_ratings(frame)
    grouped = clean.groupby(item_key(clean), sort=False)["rating"]
    n = grouped.count()
    return pd.DataFrame(
        {
            "n": n.astype("int64"),
            "k": grouped.sum().round().astype("int64"),
            "n_cannot_tell": (grouped.size() - n).astype("int64"),
        }
    )


def shown(value: object) -> str:
    """Write a value of a table as people write it: 3, not np.int64(3)."""
    return repr(value.item() if isinstance(value, np.generic) else value)


def _ratings_as_float(column: "pd.Series[float]") -> "pd.Series[float]":
    """Turn 0, 1, False, True and missing into float64; refuse everything else."""
    values = pd.to_numeric(column, errors="coerce").astype("float64")
    bad = column.notna() & ~values.isin([0.0, 1.0])
    if bad.any():
        row = int(np.flatnonzero(bad.to_numpy())[0])
        msg = (
            f"ratings: rating {shown(column.iloc[row])} in row {row} is none of 1 (present), "
            "0 (absent) and missing (cannot tell); recode it"
        )
        raise RatingsError(msg)
    return values
