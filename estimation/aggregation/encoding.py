"""A ratings table as arrays sorted by item, checked on the way, for methods that must be fast."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from estimation.aggregation.density import UNKNOWN
from estimation.ratings import (
    REQUIRED_COLUMNS,
    RatingsError,
    check_hashable,
    check_ratings,
    gold_labels,
    item_key,
)


@dataclass(frozen=True, eq=False)
class EncodedRatings:
    """Ratings sorted by item.

    Attributes
    ----------
    items : Index
        Items, or (concept, item) pairs, in order of first appearance.
    raters : Index
        Raters in order of first appearance.
    starts : ndarray of int64, shape (n_items + 1,)
        Ratings of item i are ``answers[starts[i]:starts[i + 1]]``.
    answers : ndarray of int32
        2 * rater + rating; "cannot tell" is left out.
    first_row : ndarray of int64, shape (n_items,)
        Row of the table in which each item appears first.
    known : ndarray of int8, shape (0,) or (n_items,)
        Labels of gold items, ``UNKNOWN`` elsewhere; empty when there are none.
    """

    items: "pd.Index[Any]"
    raters: "pd.Index[Any]"
    starts: NDArray[np.int64]
    answers: NDArray[np.int32]
    first_row: NDArray[np.int64]
    known: NDArray[np.int8]


def encode_ratings(frame: pd.DataFrame) -> EncodedRatings:
    """Number items and raters and sort ratings by item.

    Parameters
    ----------
    frame : DataFrame
        A ratings table. It passes the same checks as in `estimation.ratings.check_ratings`, in
        linear time and without a copy of the table.

    Returns
    -------
    EncodedRatings

    Raises
    ------
    RatingsError
        When the table does not pass the checks.
    """
    from estimation.aggregation import em_kernel

    if (
        not isinstance(frame, pd.DataFrame)
        or frame.columns.has_duplicates
        or any(name not in frame.columns for name in REQUIRED_COLUMNS)
        or frame.empty
    ):
        check_ratings(frame)  # raises, and says why
    key = item_key(frame)
    ratings = frame["rating"]
    if ratings.dtype.kind not in "bif":
        # the slow path: objects, strings, nullable types
        frame = check_ratings(frame)
        ratings = frame["rating"]
    codes, first = _number(frame[key[-1]])
    if len(key) == 2:
        concept, first_concept = _number(frame["concept"])
        pair = concept.astype(np.int64) * first.size + codes
        pair[(concept < 0) | (codes < 0)] = -1
        del first_concept
        codes, first = _number(pd.Series(pair)) if pair.min() >= 0 else (pair, first)
    raters, first_rater = _number(frame["rater"])
    if codes.min() < 0 or raters.min() < 0:
        check_ratings(frame)  # a missing item, rater or concept
    starts, answers, fault = em_kernel.sort_by_item(
        codes,
        raters,
        ratings.to_numpy(dtype=np.float64, na_value=np.nan),
        first.size,
        first_rater.size,
    )
    if fault:
        check_ratings(frame)
        msg = "ratings: the table changed while it was read; do not edit it from another thread"
        raise RatingsError(msg)
    rows = frame[key].iloc[first]
    items = pd.MultiIndex.from_frame(rows) if len(key) == 2 else pd.Index(rows["item"], name="item")
    names = pd.Index(frame["rater"].iloc[first_rater], name="rater")
    return EncodedRatings(items, names, starts, answers, first, _known(frame, items))


def _number(column: "pd.Series[Any]") -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Number the values of a column by first appearance, -1 where missing; and the first rows."""
    from estimation.aggregation import em_kernel

    values = column.to_numpy() if column.dtype.kind in "iu" else None
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu" and values.dtype != np.uint64:
        lowest, highest = int(values.min()), int(values.max())
        if highest - lowest < 4 * values.size + 1024:
            codes, first = em_kernel.number_integers(values, lowest, highest - lowest + 1)
            return codes, first
    try:
        numbers, _ = pd.factorize(column)
    except TypeError:
        check_hashable(column)  # raises, and says which value
        raise
    codes = numbers.astype(np.int32)
    first = np.full(int(codes.max(initial=-1)) + 1, -1, dtype=np.int64)
    backwards = np.arange(codes.size - 1, -1, -1)
    present = backwards[codes[::-1] >= 0]
    first[codes[present]] = present
    return codes, first


def _known(frame: pd.DataFrame, items: "pd.Index[Any]") -> NDArray[np.int8]:
    if "gold" not in frame.columns:
        return np.zeros(0, dtype=np.int8)
    gold = gold_labels(frame).reindex(items).to_numpy(dtype=np.float64)
    if np.isnan(gold).all():
        return np.zeros(0, dtype=np.int8)
    return np.where(np.isnan(gold), UNKNOWN, gold).astype(np.int8)


def prior_logits(rows: NDArray[np.float64], first_row: NDArray[np.int64], clip: float) -> Any:
    """Turn the prior of every row of a table into logits, one an item.

    Parameters
    ----------
    rows : ndarray, shape (n_rows,)
        Prior probability of the item of each row.
    first_row : ndarray, shape (n_items,)
        Row in which each item appears first.
    clip : float
        Priors are clipped to [clip, 1 - clip].

    Returns
    -------
    ndarray, shape (n_items,), float64
    """
    clipped = np.clip(rows[first_row], clip, 1 - clip)
    return np.log(clipped) - np.log1p(-clipped)
