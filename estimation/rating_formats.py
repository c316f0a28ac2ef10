"""Ratings tables from and to other forms: crowd-kit's long table, a wide matrix, counts.

crowd-kit calls an item a task, a rater a worker and a rating a label. Its labels may be anything,
ours are 1 (present) and 0 (absent): other labels are translated by a mapping that the caller gives,
never by a guess.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from estimation.ratings import RatingsError, check_ratings, item_key, rating_counts, shown

#: Our columns in crowd-kit's words.
CROWDKIT_COLUMNS = {"item": "task", "rater": "worker", "rating": "label"}


def from_crowdkit(
    table: pd.DataFrame, *, labels: Mapping[Any, int | float | None] | None = None
) -> pd.DataFrame:
    """Make a ratings table from crowd-kit's long table.

    Parameters
    ----------
    table : DataFrame
        Columns ``task``, ``worker``, ``label``; other columns are kept.
    labels : mapping, optional
        What each label means: 1, 0 or None (cannot tell), e.g. ``{"yes": 1, "no": 0}``. Without it
        labels must be 0 and 1.

    Returns
    -------
    DataFrame
        A checked ratings table.

    Raises
    ------
    RatingsError
        When a column is missing, a label is not in the mapping, or the table does not pass
        `estimation.ratings.check_ratings`.
    """
    missing = [name for name in CROWDKIT_COLUMNS.values() if name not in table.columns]
    if missing:
        msg = (
            f"crowd-kit table: column {missing[0]!r} is missing (columns found: "
            f"{', '.join(map(str, table.columns)) or 'none'}); it needs task, worker, label"
        )
        raise RatingsError(msg)
    back = {theirs: ours for ours, theirs in CROWDKIT_COLUMNS.items()}
    taken = [name for name in CROWDKIT_COLUMNS if name in table.columns]
    if taken:
        msg = (
            f"crowd-kit table: it has both {CROWDKIT_COLUMNS[taken[0]]!r} and {taken[0]!r}; "
            "drop one of them"
        )
        raise RatingsError(msg)
    renamed = table.rename(columns=back)
    if labels is not None:
        renamed = renamed.assign(rating=translate_labels(renamed["rating"], labels))
    elif any(isinstance(label, bool | np.bool_ | str) for label in renamed["rating"].unique()):
        msg = (
            "labels: True, False and texts are no ratings by themselves; say what they mean, e.g. "
            "labels={True: 1, False: 0}"
        )
        raise RatingsError(msg)
    return check_ratings(renamed)


def to_crowdkit(
    ratings: pd.DataFrame, *, labels: Mapping[Any, int | float | None] | None = None
) -> pd.DataFrame:
    """Make crowd-kit's long table from a ratings table.

    Parameters
    ----------
    ratings : DataFrame
        A ratings table; "cannot tell" has no counterpart and is left out, as are columns other than
        item, rater, rating and concept. With a column ``concept`` a task is a (concept, item) pair.
    labels : mapping, optional
        As in `from_crowdkit`, so that a table goes there and back; without it labels are 0 and 1.

    Returns
    -------
    DataFrame
        Columns ``task``, ``worker``, ``label``.

    Raises
    ------
    RatingsError
        When the table does not pass the checks, or the mapping names no label for 1 or 0, or two.
    """
    clean = check_ratings(ratings).dropna(subset="rating")
    task: Any = clean["item"].to_numpy()
    if item_key(clean) == ["concept", "item"]:
        pairs = list(zip(clean["concept"], clean["item"], strict=True))
        task = np.empty(len(pairs), dtype=object)
        task[:] = pairs
    values = clean["rating"].astype("int64")
    label: Any = values.to_numpy()
    if labels is not None:
        label = values.map(_names_of_ratings(labels)).to_numpy()
    return pd.DataFrame({"task": task, "worker": clean["rater"].to_numpy(), "label": label})


def to_agg_label(probabilities: "pd.Series[float]", *, tie: int | None = None) -> "pd.Series[int]":
    """Turn posterior probabilities into what crowd-kit's ``fit_predict`` returns.

    Parameters
    ----------
    probabilities : Series of float64, one an item
        Posterior probability of the label, as in ``probabilities_`` of our aggregators.
    tie : {0, 1}, optional
        Label of items at exactly one half; without it they are refused, because crowd-kit has no
        label for them and a silent 0 would be a wrong answer half of the time.

    Returns
    -------
    Series of int64
        Named ``agg_label``, indexed by ``task``.

    Raises
    ------
    RatingsError
        When a probability is missing or no probability, or items are tied and `tie` is not given.
    """
    values = _checked_probabilities(probabilities)
    tied = values == 0.5
    if tied.any() and tie is None:
        msg = (
            f"probabilities: {int(tied.sum())} items are at exactly 0.5 (first: "
            f"{shown(probabilities.index[int(np.flatnonzero(tied)[0])])}); give tie=0 or tie=1"
        )
        raise RatingsError(msg)
    picked = np.where(tied, 0 if tie is None else tie, values > 0.5).astype(np.int64)
    return pd.Series(picked, index=_task_index(probabilities.index), name="agg_label")


def to_task_probabilities(probabilities: "pd.Series[float]") -> pd.DataFrame:
    """Turn posterior probabilities into what crowd-kit's ``fit_predict_proba`` returns.

    Parameters
    ----------
    probabilities : Series of float64, one an item
        Posterior probability of the label.

    Returns
    -------
    DataFrame
        Indexed by ``task``, columns 0 and 1 named ``label``; rows add up to 1.

    Raises
    ------
    RatingsError
        When a value is missing or no probability.
    """
    values = _checked_probabilities(probabilities)
    return pd.DataFrame(
        np.column_stack([1 - values, values]),
        index=_task_index(probabilities.index),
        columns=pd.Index([0, 1], name="label"),
    )


def from_task_probabilities(table: pd.DataFrame, *, present: Any = 1) -> "pd.Series[float]":
    """Read crowd-kit's probabilities as ours.

    Parameters
    ----------
    table : DataFrame
        Tasks x labels, as crowd-kit's ``fit_predict_proba`` returns it.
    present : hashable
        The label that means present.

    Returns
    -------
    Series of float64
        Named ``probability``, indexed by ``item``. A label that no rater gave has no column; its
        probability is then 0.

    Raises
    ------
    RatingsError
        When there are more than two labels, or two of which none is `present`, or values are no
        probabilities.
    """
    if table.shape[1] > 2 or (table.shape[1] == 2 and present not in table.columns):
        msg = (
            f"probabilities: labels {', '.join(map(shown, table.columns))} are not "
            f"{shown(present)} and one other; ratings here are present or absent"
        )
        raise RatingsError(msg)
    values = table[present] if present in table.columns else pd.Series(0.0, index=table.index)
    checked = _checked_probabilities(values)
    index = table.index.copy()
    index.name = "item"
    return pd.Series(checked, index=index, name="probability")


def from_wide(matrix: pd.DataFrame) -> pd.DataFrame:
    """Make a ratings table from a matrix of items x raters.

    Parameters
    ----------
    matrix : DataFrame
        Items as index, raters as columns, values 1, 0 and NaN: not rated. "Cannot tell" cannot be
        told from "not rated" in this form.

    Returns
    -------
    DataFrame
        A checked ratings table, item by item.

    Raises
    ------
    RatingsError
        When an item or a rater occurs twice, or a value is none of 1, 0 and NaN, or nothing was
        rated.
    """
    for what, labels in (("item", matrix.index), ("rater", matrix.columns)):
        if labels.has_duplicates:
            first = labels[labels.duplicated()][0]
            msg = (
                f"matrix: {what} {shown(first)} occurs more than once; give one row or column each"
            )
            raise RatingsError(msg)
    wide = matrix.copy()
    wide.index.name, wide.columns.name = "item", "rater"
    rows, columns = np.nonzero(wide.notna().to_numpy())
    table = pd.DataFrame(
        {
            "item": wide.index.to_numpy()[rows],
            "rater": wide.columns.to_numpy()[columns],
            "rating": wide.to_numpy()[rows, columns],
        }
    )
    return check_ratings(table)


def to_wide(ratings: pd.DataFrame) -> pd.DataFrame:
    """Make a matrix of items x raters.

    Parameters
    ----------
    ratings : DataFrame
        A ratings table of one concept, or several: rows are then (concept, item) pairs.

    Returns
    -------
    DataFrame of float64
        Items (as first seen) x raters (as first seen), NaN: not rated, or could not tell.

    Raises
    ------
    RatingsError
        When the table does not pass the checks.
    """
    clean = check_ratings(ratings)
    key = item_key(clean)
    groups = clean.groupby(key, sort=False)
    item = groups.ngroup().to_numpy()
    rater, names = pd.factorize(clean["rater"])
    values = np.full((int(item.max()) + 1, len(names)), np.nan)
    values[item, rater] = clean["rating"].to_numpy()
    index = groups.size().index
    return pd.DataFrame(values, index=index, columns=pd.Index(names, name="rater"))


def from_counts(counts: pd.DataFrame) -> pd.DataFrame:
    """Make a ratings table from counts, whose raters are unknown.

    Parameters
    ----------
    counts : DataFrame
        One row an item, indexed by ``item`` (or ``(concept, item)``), columns ``n`` (ratings),
        ``k`` (those that say present) and optionally ``n_cannot_tell``.

    Returns
    -------
    DataFrame
        A checked ratings table. Raters are named "anonymous-1", "anonymous-2", ... within an item:
        the same name on two items is not the same person, so only methods that do not tell raters
        apart (votes, BRAgg) make sense.

    Raises
    ------
    RatingsError
        When a column is missing, an item occurs twice, or counts are no integers with 0 <= k <= n.
    """
    for column in ("n", "k"):
        if column not in counts.columns:
            msg = f"counts: column {column!r} is missing; give n (ratings) and k (present) an item"
            raise RatingsError(msg)
    if counts.index.has_duplicates:
        first = counts.index[counts.index.duplicated()][0]
        msg = f"counts: item {shown(first)} occurs more than once; give one row an item"
        raise RatingsError(msg)
    if "n_cannot_tell" not in counts.columns:
        counts = counts.assign(n_cannot_tell=0)
    numbers = counts[["n", "k", "n_cannot_tell"]].to_numpy(dtype=np.float64)
    n, k, unsure = numbers.T
    bad = ~(np.isfinite(numbers).all(axis=1) & (numbers == np.round(numbers)).all(axis=1))
    bad |= ~((k >= 0) & (k <= n) & (unsure >= 0))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        msg = (
            f"counts: item {shown(counts.index[row])} has n = {n[row]:g}, k = {k[row]:g}, "
            f"n_cannot_tell = {unsure[row]:g}; give integers with 0 <= k <= n"
        )
        raise RatingsError(msg)
    total = (n + unsure).astype(np.int64)
    of = np.repeat(np.arange(len(counts)), total)
    place = np.arange(of.size) - np.repeat(np.cumsum(total) - total, total)
    names = ["item"] if counts.index.nlevels == 1 else ["concept", "item"]
    table = pd.DataFrame(
        {name: counts.index.get_level_values(level).take(of) for level, name in enumerate(names)}
    )
    table["rater"] = np.char.add("anonymous-", (place + 1).astype(str)).astype(object)
    table["rating"] = np.where(place < k[of], 1.0, np.where(place < n[of], 0.0, np.nan))
    return check_ratings(table)


def to_counts(ratings: pd.DataFrame) -> pd.DataFrame:
    """Count ratings by item; see `estimation.ratings.rating_counts`.

    Parameters
    ----------
    ratings : DataFrame
        A ratings table.

    Returns
    -------
    DataFrame
        Columns ``n``, ``k``, ``n_cannot_tell``; `from_counts` takes it back, without the raters'
        names.
    """
    return rating_counts(ratings)


def translate_labels(
    column: "pd.Series[Any]", labels: Mapping[Any, int | float | None]
) -> "pd.Series[float]":
    """Translate labels to ratings by an explicit mapping.

    Parameters
    ----------
    column : Series
        Labels.
    labels : mapping
        From label to 1, 0 or None (cannot tell). Missing labels stay missing.

    Returns
    -------
    Series of float64

    Raises
    ------
    RatingsError
        When a label is not in the mapping, or the mapping leads to another value.
    """
    wrong = [value for value in labels.values() if not (value is None or value in (0, 1))]
    if wrong:
        msg = f"labels: the mapping leads to {shown(wrong[0])}; use 1, 0 or None (cannot tell)"
        raise RatingsError(msg)
    unknown = [value for value in column.dropna().unique().tolist() if value not in labels]
    if unknown:
        msg = (
            f"labels: label {shown(unknown[0])} is not in the mapping (known: "
            f"{', '.join(map(shown, labels))}); add what it means"
        )
        raise RatingsError(msg)
    meanings = {label: np.nan if value is None else float(value) for label, value in labels.items()}
    return column.map(meanings).astype("float64")


def _names_of_ratings(labels: Mapping[Any, int | float | None]) -> dict[int, Any]:
    names: dict[int, Any] = {}
    for value in (0, 1):
        found = [label for label, meaning in labels.items() if meaning == value]
        if len(found) != 1:
            msg = (
                f"labels: {len(found)} labels of the mapping mean {value}; "
                "the way back needs exactly one for 0 and one for 1"
            )
            raise RatingsError(msg)
        names[value] = found[0]
    return names


def _checked_probabilities(probabilities: "pd.Series[float]") -> "np.ndarray[Any, Any]":
    values = np.asarray(probabilities, dtype=np.float64)
    bad = ~((values >= 0) & (values <= 1))
    if bad.any():
        where = int(np.flatnonzero(bad)[0])
        msg = (
            f"probabilities: {values[where]:g} of item {shown(probabilities.index[where])} is no "
            "probability; drop items that nobody could tell"
        )
        raise RatingsError(msg)
    return values


def _task_index(index: "pd.Index[Any]") -> "pd.Index[Any]":
    if isinstance(index, pd.MultiIndex):
        index = index.to_flat_index()
    return index.rename("task")
