"""How often two explanations whose true scores differ by a little are put in the right order."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from estimation.checks import EstimationError, FloatArray
from estimation.laboratory.curves import N_BOOTSTRAP

#: Difference of two true scores that one would want to see.
DIFFERENCE = 0.05
#: Posterior probability of being the better one from which on two explanations are told apart.
CONFIDENCE = 0.95


def ordering_table(
    studies: pd.DataFrame, *, difference: float = DIFFERENCE, seed: int = 0
) -> pd.DataFrame:
    """Work out how often studies tell two explanations apart, from the errors that they made.

    For studies i and j of different pairs with errors e_i and e_j, the estimated difference of two
    explanations whose true scores differ by d would be d + e_i - e_j. Every two studies of a
    setting are taken, a method's bias for a pair included; an undefined score is right half of the
    time. What is left out is that two explanations of one neuron share its activations, so that
    their errors may go together: then they are told apart more often than this says.

    Parameters
    ----------
    studies : DataFrame
        As of `estimation.laboratory.curves.run_studies`, of two pairs a setting at least.
    difference : float
        The true difference d, above 0.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    DataFrame
        A row a (setting, method, budget, redundancy): ``right``, the share put in the right order,
        with a 95% bootstrap interval over pairs (``right_lower``, ``right_upper``); ``told_apart``,
        the share where the normal approximation of the two intervals also gives the better one 95%
        probability, and ``told_wrong``, where it gives that to the worse one (NaN for methods
        without intervals); ``n_ratings``, mean ratings bought for each explanation.

    Raises
    ------
    EstimationError
        When the difference is not above 0, or a setting has one pair only.
    """
    if not difference > 0:
        msg = f"difference: {difference}, expected above 0"
        raise EstimationError(msg)
    z = norm.ppf(CONFIDENCE)
    rows = []
    keys = ["setting", "method", "budget", "redundancy"]
    for names, group in studies.groupby(keys, sort=False):
        numbers = group["pair"].unique()
        if numbers.size < 2:
            msg = f"studies: the setting {names[0]!r} has one pair; two are needed to be compared"
            raise EstimationError(msg)
        errors = (group["score"] - group["truth"]).to_numpy()
        sd = (group["upper"] - group["lower"]).to_numpy() / (2 * norm.ppf(0.975))
        pair = np.searchsorted(np.sort(numbers), group["pair"])
        found = difference + errors[:, None] - errors[None, :]
        spread = np.sqrt(sd[:, None] ** 2 + sd[None, :] ** 2)
        # without a score a study puts nothing in order, and is right half of the time
        right = _by_pairs(np.where(np.isnan(found), 0.5, (found > 0) + 0.5 * (found == 0)), pair)
        row: dict[str, Any] = dict(zip(keys, names, strict=True))
        row["right"] = _mean_of_others(right, np.ones(numbers.size))
        resampled = _bootstrap(right, seed)
        row["right_lower"], row["right_upper"] = np.quantile(resampled, [0.025, 0.975])
        for name, yes in (("told_apart", found > z * spread), ("told_wrong", found < -z * spread)):
            # without its interval a study tells nothing apart
            share = _mean_of_others(_by_pairs(yes.astype(float), pair), np.ones(numbers.size))
            row[name] = np.nan if np.isnan(sd).all() else share
        row["n_ratings"] = group["n_ratings"].mean()
        rows.append(row)
    return pd.DataFrame(rows)


def _by_pairs(values: FloatArray, pair: NDArray[np.integer[Any]]) -> FloatArray:
    """Average a matrix of studies by studies over the studies of each two pairs."""
    member = (pair[:, None] == np.arange(pair.max() + 1)).astype(np.float64)
    counts = member.sum(axis=0)
    total: FloatArray = member.T @ values @ member / np.outer(counts, counts)
    return total


def _mean_of_others(shares: FloatArray, weights: FloatArray) -> float:
    """Average over two different pairs, a pair counted as often as its weight says."""
    both = np.outer(weights, weights)
    np.fill_diagonal(both, 0.0)
    return float((both * shares).sum() / both.sum())


def _bootstrap(shares: FloatArray, seed: int) -> FloatArray:
    n = len(shares)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=N_BOOTSTRAP)
    # a resample of a single pair has nothing to compare
    means = [_mean_of_others(shares, row.astype(float)) for row in drawn if row.max() < n]
    return np.array(means)
