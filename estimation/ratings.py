"""The ratings table: one row a rating, checked once, then trusted.

Columns: ``item`` (any hashable; the index of the input where all inputs are scored), ``rater``,
``rating`` (1 present, 0 absent, missing for "cannot tell"), and, where there are any:

- ``concept``, where ratings of several concepts share a table. A rating is about an (input,
  concept) pair, so with the column ``concept`` one item is one (concept, item) pair.
- ``gold``, the known label of a gold item, 1 or 0, on its rows; missing on those of other items.
- ``time``, the seconds that the rater took to answer, missing where unknown.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from estimation.checks import EstimationError

REQUIRED_COLUMNS = ("item", "rater", "rating")


class RatingsError(EstimationError):
    """Raised when a ratings table cannot be used as it is."""


class RatingsWarning(UserWarning):
    """Warned when a result is defined but says little, such as of items that nobody could tell."""


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
        Columns ``item``, ``rater``, ``rating`` in {0, 1, missing}, optionally ``concept``, ``gold``
        in {0, 1, missing} and ``time`` in seconds; other columns are kept.

    Returns
    -------
    DataFrame
        A copy with a fresh index; ``rating`` is float64, NaN where the rater could not tell;
        ``gold`` and ``time`` are float64 where they are given.

    Raises
    ------
    RatingsError
        When a column is missing or there twice, the table is empty, a rating or gold label has
        another value, an item, rater or concept is missing or not hashable, one rater rated one
        item twice, an item has two gold labels, or a time is negative. The message names the first
        culprit.
    """
    _check_columns(frame)
    if frame.empty:
        msg = "ratings: the table is empty; collect at least one rating first"
        raise RatingsError(msg)
    clean = frame.reset_index(drop=True).copy()
    clean["rating"] = _zero_one(
        clean["rating"],
        "rating",
        "none of 1 (present), 0 (absent) and missing (cannot tell); recode it",
    )
    key = item_key(clean)
    for column in (*key, "rater"):
        missing = clean[column].isna()
        if missing.any():
            row = int(np.flatnonzero(missing.to_numpy())[0])
            msg = f"ratings: column {column!r} has no value in row {row}; fill it or drop the row"
            raise RatingsError(msg)
    repeated = _repeated(clean, [*key, "rater"])
    if repeated.any():
        first = clean[repeated.to_numpy()].astype(object).iloc[0]
        what = ", ".join(f"{column} {shown(first[column])}" for column in key)
        msg = (
            f"ratings: rater {shown(first['rater'])} rated {what} more than once "
            f"({int(repeated.sum())} repeated rows in all); keep one rating an item and rater"
        )
        raise RatingsError(msg)
    if "gold" in clean.columns:
        clean["gold"] = _zero_one(
            clean["gold"],
            "gold label",
            "none of 1 (present), 0 (absent) and missing (no gold item); correct it",
        )
        _check_gold(clean, key)
    if "time" in clean.columns:
        clean["time"] = _seconds(clean["time"])
    return clean


def gold_labels(frame: pd.DataFrame) -> "pd.Series[float]":
    """Give the known labels of the gold items.

    Parameters
    ----------
    frame : DataFrame
        A ratings table, see `check_ratings`.

    Returns
    -------
    Series of float64
        1 or 0, one a gold item, indexed by ``item`` (or ``(concept, item)``) as first seen; empty
        where the table has no column ``gold``.

    Raises
    ------
    RatingsError
        When the table does not pass `check_ratings`.
    """
    clean = check_ratings(frame)
    key = item_key(clean)
    if "gold" not in clean.columns:
        clean = clean.assign(gold=np.nan)
    known = clean.dropna(subset="gold")
    return known.groupby(key, sort=False)["gold"].first().astype("float64")


def check_designed(frame: pd.DataFrame, items: Iterable[Any]) -> pd.DataFrame:
    """Check a ratings table and that all its items belong to the sampling design.

    Parameters
    ----------
    frame : DataFrame
        A ratings table, see `check_ratings`.
    items : iterable
        Items that the design drew: values of ``item``, or ``(concept, item)`` pairs where the table
        has a column ``concept``.

    Returns
    -------
    DataFrame
        The checked table.

    Raises
    ------
    RatingsError
        When the table does not pass `check_ratings`, or an item lies outside the design. Ratings
        outside the design have no inclusion probability, so they cannot be weighted.
    """
    clean = check_ratings(frame)
    designed = set(items)
    key = item_key(clean)
    rated = clean[key].drop_duplicates()
    names = list(rated["item"]) if len(key) == 1 else list(rated.itertuples(index=False, name=None))
    outside = [name for name in names if name not in designed]
    if outside:
        first = ", ".join(shown(name) for name in outside[:3])
        more = f" and {len(outside) - 3} more" if len(outside) > 3 else ""
        msg = (
            f"ratings: {len(outside)} of {len(names)} items are outside the sampling design "
            f"({first}{more}); drop their ratings, or use the design that drew them"
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
    if isinstance(value, tuple):
        return f"({', '.join(shown(part) for part in value)})"
    return repr(value.item() if isinstance(value, np.generic) else value)


def _check_columns(frame: object) -> None:
    """Refuse what is no table, or has not the columns of one."""
    if not isinstance(frame, pd.DataFrame):
        msg = f"ratings: found {type(frame).__name__}, expected a pandas DataFrame, a row a rating"
        raise RatingsError(msg)
    if frame.columns.has_duplicates:
        first = frame.columns[frame.columns.duplicated()][0]
        msg = f"ratings: column {shown(first)} is there more than once; keep one"
        raise RatingsError(msg)
    for column in REQUIRED_COLUMNS:
        if column not in frame.columns:
            msg = (
                f"ratings: column {column!r} is missing (columns found: "
                f"{', '.join(map(str, frame.columns)) or 'none'}); rename or add it"
            )
            raise RatingsError(msg)


def _repeated(clean: pd.DataFrame, columns: list[str]) -> "pd.Series[bool]":
    """Say which rows repeat an earlier one in some columns."""
    try:
        return clean.duplicated(columns)
    except TypeError:
        for column in columns:
            check_hashable(clean[column])  # raises, and says which value
        raise


def check_hashable(column: "pd.Series[Any]") -> None:
    """Refuse lists and the like, which cannot name an item, rater or concept.

    Parameters
    ----------
    column : Series
        Items, raters or concepts.

    Raises
    ------
    RatingsError
        When a value is not hashable.
    """
    for row, value in enumerate(column):
        try:
            hash(value)
        except TypeError as error:
            msg = (
                f"ratings: {column.name} {shown(value)} in row {row} is a {type(value).__name__}, "
                "which names nothing; give numbers, texts or tuples"
            )
            raise RatingsError(msg) from error


def _zero_one(column: "pd.Series[Any]", name: str, wrong: str) -> "pd.Series[float]":
    """Turn 0, 1, False, True and missing into float64; refuse everything else."""
    values = pd.to_numeric(column, errors="coerce").astype("float64")
    bad = column.notna() & ~values.isin([0.0, 1.0])
    if bad.any():
        row = int(np.flatnonzero(bad.to_numpy())[0])
        msg = f"ratings: {name} {shown(column.iloc[row])} in row {row} is {wrong}"
        raise RatingsError(msg)
    return values


def _check_gold(clean: pd.DataFrame, key: list[str]) -> None:
    """Refuse items with two gold labels."""
    known = clean.loc[clean["gold"].notna(), [*key, "gold"]].drop_duplicates()
    twice = known.duplicated(key)
    if twice.any():
        first = known[twice.to_numpy()].astype(object).iloc[0]
        what = ", ".join(f"{column} {shown(first[column])}" for column in key)
        msg = (
            f"ratings: {what} has the gold labels 0 and 1 ({int(twice.sum())} such items in all); "
            "keep one known label an item"
        )
        raise RatingsError(msg)


def _seconds(column: "pd.Series[Any]") -> "pd.Series[float]":
    """Turn times into float64 seconds; refuse what is no number, negative or infinite."""
    values = pd.to_numeric(column, errors="coerce").astype("float64")
    bad = column.notna() & ~(values.ge(0) & np.isfinite(values))
    if bad.any():
        row = int(np.flatnonzero(bad.to_numpy())[0])
        msg = (
            f"ratings: time {shown(column.iloc[row])} in row {row} is no number of seconds of at "
            "least 0; give the seconds the answer took, or leave it missing"
        )
        raise RatingsError(msg)
    return values
