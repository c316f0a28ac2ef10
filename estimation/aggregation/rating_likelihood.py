"""How many of n raters say present, given the label: errors on one item go together.

A hard item misleads many raters at once, so their errors are not independent. Given the label, the
chance of "present" on an item is Beta distributed around the raters' mean rate with intraclass
correlation rho, and k of n ratings are then beta-binomial:

    P(k of n) ~ prod_{j<k} (p (1-rho) + j rho) prod_{j<n-k} ((1-p)(1-rho) + j rho)
                / prod_{j<n} (1 - rho + j rho),

p = 1 - miss rate if the concept is present, the false-alarm rate if it is absent. rho = 0 gives
independent errors, rho = 1 says that all raters of an item agree for one reason.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from estimation.checks import FloatArray

#: Rates are kept this far from 0 and 1, where a rating would be proof.
TINY = 1e-9


@dataclass(frozen=True, eq=False)
class CountsLikelihood:
    """Log likelihood of each pair (n, k) under both labels, for many parameter values at once.

    Attributes
    ----------
    present, absent : ndarray, shape (m, u)
        log P(k of n | present) and log P(k of n | absent), up to the binomial coefficient, a row a
        parameter value, a column a pair (n, k).
    d_present, d_absent : ndarray, shape (m, u, 2)
        Their derivatives by (the rate p of "present" under that label, rho).
    """

    present: FloatArray
    absent: FloatArray
    d_present: FloatArray
    d_absent: FloatArray


def counts_likelihood(
    n: NDArray[np.int64],
    k: NDArray[np.int64],
    miss_rate: FloatArray,
    false_alarm_rate: FloatArray,
    correlation: FloatArray,
) -> CountsLikelihood:
    """Compute the beta-binomial log likelihood of counts under both labels.

    Parameters
    ----------
    n, k : ndarray, shape (u,), int64
        Ratings of an item and those that say present, 0 <= k <= n.
    miss_rate, false_alarm_rate : ndarray, shape (m,)
        Raters' mean rates, in (0, 1).
    correlation : ndarray, shape (m,)
        Intraclass correlation rho of the ratings of an item given its label, in [0, 1).

    Returns
    -------
    CountsLikelihood

    References
    ----------
    Griffiths, "Maximum likelihood estimation for the beta-binomial distribution", Biometrics 29
    (1973), for the product form, which needs no gamma functions and holds at rho = 0.
    """
    rho = np.asarray(correlation, dtype=np.float64)[:, None]
    steps = np.arange(max(int(n.max(initial=0)), 1))
    total = np.cumsum(np.log(1 - rho + steps * rho), axis=1)
    d_total = np.cumsum((steps - 1) / (1 - rho + steps * rho), axis=1)

    def one_label(p: FloatArray) -> tuple[FloatArray, FloatArray]:
        p = np.clip(np.asarray(p, dtype=np.float64)[:, None], TINY, 1 - TINY)
        yes, no = p * (1 - rho) + steps * rho, (1 - p) * (1 - rho) + steps * rho
        value = _at(np.cumsum(np.log(yes), axis=1), k)
        value += _at(np.cumsum(np.log(no), axis=1), n - k) - _at(total, n)
        by_p = _at(np.cumsum((1 - rho) / yes, axis=1), k)
        by_p -= _at(np.cumsum((1 - rho) / no, axis=1), n - k)
        by_rho = _at(np.cumsum((steps - p) / yes, axis=1), k)
        by_rho += _at(np.cumsum((steps - 1 + p) / no, axis=1), n - k) - _at(d_total, n)
        return value, np.stack([by_p, by_rho], axis=2)

    present, d_present = one_label(1 - np.asarray(miss_rate, dtype=np.float64))
    absent, d_absent = one_label(false_alarm_rate)
    return CountsLikelihood(present, absent, d_present, d_absent)


def next_rating(
    n: FloatArray,
    k: FloatArray,
    miss_rate: float,
    false_alarm_rate: float,
    correlation: float,
) -> tuple[FloatArray, FloatArray]:
    """Compute the chance that one more rating of an item says present, under both labels.

    Parameters
    ----------
    n, k : ndarray
        Ratings so far, and those that say present.
    miss_rate, false_alarm_rate, correlation : float
        As in `counts_likelihood`.

    Returns
    -------
    if_present, if_absent : ndarray
        In (0, 1). The more raters agreed on an item for the same reason, the less one more says.
    """
    weight = 1 - correlation + n * correlation
    if_present: FloatArray = ((1 - miss_rate) * (1 - correlation) + k * correlation) / weight
    if_absent: FloatArray = (false_alarm_rate * (1 - correlation) + k * correlation) / weight
    return if_present, if_absent


def _at(cumulative: FloatArray, upto: NDArray[np.int64]) -> FloatArray:
    """Take the sum of the first `upto` terms from cumulative sums, 0 of none."""
    picked: FloatArray = np.where(upto > 0, cumulative[:, np.maximum(upto - 1, 0)], 0.0)
    return picked
