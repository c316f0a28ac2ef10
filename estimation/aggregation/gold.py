"""Gold items: items whose label is known, put among the others to learn about the raters."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from estimation.aggregation.density import UNKNOWN
from estimation.checks import FloatArray
from estimation.ratings import RatingsError, shown


def known_labels(ratings: pd.DataFrame, item_codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Read the labels of gold items from the column ``gold``, where there is one.

    Parameters
    ----------
    ratings : DataFrame, n rows
        A checked ratings table.
    item_codes : ndarray, shape (n,), int64
        Number of each row's item, from 0 on.

    Returns
    -------
    ndarray, shape (n_items,), int64
        0 or 1, ``UNKNOWN`` for items that are not gold.

    Raises
    ------
    RatingsError
        When a value is neither 0, 1 nor missing, or the rows of one item differ.
    """
    known = np.full(int(item_codes.max(initial=-1)) + 1, UNKNOWN, dtype=np.int64)
    if "gold" not in ratings.columns:
        return known
    gold = pd.to_numeric(ratings["gold"], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    bad = ratings["gold"].notna().to_numpy() & ~np.isin(gold, [0.0, 1.0])
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        msg = (
            f"ratings: gold {shown(ratings['gold'].iloc[row])} in row {row} is none of 1, 0 and "
            "missing (no gold item); recode it"
        )
        raise RatingsError(msg)
    rows = np.flatnonzero(np.isfinite(gold))
    known[item_codes[rows]] = gold[rows]
    differs = known[item_codes[rows]] != gold[rows]
    if differs.any():
        item = ratings["item"].iloc[int(rows[differs][0])]
        msg = f"ratings: item {shown(item)} has gold labels 0 and 1; give it one"
        raise RatingsError(msg)
    return known


def clamp_known(probabilities: FloatArray, known: NDArray[np.int64]) -> FloatArray:
    """Put the known labels of gold items in place of their probabilities (last axis: items)."""
    return np.where(known == UNKNOWN, probabilities, known).astype(np.float64)
