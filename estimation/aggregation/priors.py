"""Matching the concept prior to the items of a ratings table."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from estimation.checks import FloatArray, numbers, probability_vector
from estimation.ratings import RatingsError, item_key, shown

#: What a concept prior may be given as, see `prior_of_items`.
PriorLike = Mapping[Any, Any] | pd.Series | ArrayLike


def prior_of_items(ratings: pd.DataFrame, prior: PriorLike) -> FloatArray:
    """Look up the concept prior of every row of a ratings table.

    Parameters
    ----------
    ratings : DataFrame, n rows
        A checked ratings table.
    prior : mapping, Series or array-like
        One of: a number for all; an array, one value a row of `ratings`; a mapping (or Series)
        from item, or from (concept, item) where the table has concepts, to a number; a mapping
        from concept to a vector over all inputs, where items are indices of inputs.

    Returns
    -------
    ndarray, shape (n,), float64
        Concept prior in [0, 1] of the item of each row.

    Raises
    ------
    RatingsError
        When an item has no prior, the length differs, or an index lies outside the vector.
    EstimationError
        When a value is no probability.
    """
    if isinstance(prior, pd.Series):
        prior = prior.to_dict()
    if isinstance(prior, Mapping):
        values = _look_up(ratings, prior)
    else:
        values = numbers(prior, "prior")
        if values.ndim == 0:
            values = np.full(len(ratings), float(values))
    if values.shape != (len(ratings),):
        msg = f"prior: got shape {values.shape} for {len(ratings)} ratings; give one value a rating"
        raise RatingsError(msg)
    return probability_vector(values, "prior")


def _look_up(ratings: pd.DataFrame, prior: Mapping[Any, Any]) -> FloatArray:
    first = next(iter(prior.values()), None)
    if "concept" in ratings.columns and np.ndim(first) == 1:  # type: ignore[arg-type]
        values = np.empty(len(ratings))
        for concept, rows in ratings.groupby("concept", sort=False).indices.items():
            if concept not in prior:
                msg = f"prior: no prior for concept {concept!r}; give its vector over all inputs"
                raise RatingsError(msg)
            values[rows] = rows_of_vector(
                ratings["item"].to_numpy()[rows], numbers(prior[concept], "prior")
            )
        return values
    key = item_key(ratings)
    names = (
        ratings["item"].tolist()
        if key == ["item"]
        else list(zip(ratings["concept"], ratings["item"], strict=True))
    )
    unknown = [name for name in names if name not in prior]
    if unknown:
        msg = (
            f"prior: no prior for item {shown(unknown[0])} ({len(set(unknown))} items in all); "
            "a rating lies outside the design, or the prior lacks that input"
        )
        raise RatingsError(msg)
    return numbers([prior[name] for name in names], "prior")


def rows_of_vector(items: Any, vector: FloatArray) -> FloatArray:
    """Take the entries of a vector over all inputs at the items of a ratings table.

    Parameters
    ----------
    items : array-like, shape (n,)
        Items; must be indices of inputs.
    vector : ndarray, shape (n_inputs,)
        One value an input.

    Returns
    -------
    ndarray, shape (n,), float64

    Raises
    ------
    RatingsError
        When items are no integers or lie outside the vector.
    """
    indices = item_indices(items, vector.size)
    entries: FloatArray = vector[indices]
    return entries


def item_indices(items: Any, n_inputs: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """Return items as indices of inputs.

    Parameters
    ----------
    items : array-like, shape (n,)
        Items of a ratings table.
    n_inputs : int
        Size N of the probe dataset.

    Returns
    -------
    ndarray, shape (n,), int64

    Raises
    ------
    RatingsError
        When an item is no integer in [0, N).
    """
    array = np.asarray(items)
    try:
        indices = array.astype(np.int64)
        whole = bool(np.all(indices == array.astype(np.float64)))
    except (TypeError, ValueError):
        whole = False
        indices = np.zeros(0, dtype=np.int64)
    if not whole:
        first = shown(array.ravel()[0])
        msg = f"ratings: items must be indices of inputs here, got {first} among them"
        raise RatingsError(msg)
    outside = (indices < 0) | (indices >= n_inputs)
    if outside.any():
        msg = (
            f"ratings: item {int(indices[outside][0])} is outside the probe dataset of "
            f"{n_inputs} inputs (0 to {n_inputs - 1})"
        )
        raise RatingsError(msg)
    return indices
