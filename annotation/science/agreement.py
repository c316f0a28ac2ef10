"""How far raters agree, and how sure a share of few answers is.

Here numpy alone is needed, and inside a function: a page of the web process shows these numbers.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Resamples of the items behind an interval of alpha.
RESAMPLES = 2000


@dataclass(frozen=True)
class Agreement:
    """Krippendorff's alpha of some items.

    Attributes
    ----------
    alpha : float or None
        1 for perfect agreement, 0 for that of chance; None where it is undefined: no item has two
        votes, or all votes are the same.
    lower, upper : float or None
        Interval by resampling items; None where fewer than two items have two votes.
    n_items : int
        Items with at least two votes, on which it rests.
    n_votes : int
        Their votes.
    """

    alpha: float | None
    lower: float | None
    upper: float | None
    n_items: int
    n_votes: int


@dataclass(frozen=True)
class Share:
    """A share of right answers, with an interval.

    Attributes
    ----------
    k, n : int
        So many of so many.
    value, lower, upper : float or None
        None where n is 0.
    """

    k: int
    n: int
    value: float | None
    lower: float | None
    upper: float | None


def krippendorff_alpha(
    votes: Iterable[tuple[int, int]],
    *,
    level: float = 0.95,
    seed: int = 0,
    n_resamples: int = RESAMPLES,
) -> Agreement:
    """Compute Krippendorff's alpha for nominal values with missing data.

    Parameters
    ----------
    votes : iterable of (int, int)
        One pair an item: how many raters said present, how many absent. "Cannot tell" is missing.
    level : float
        Of the interval, from the quantiles of alpha over resampled items.
    seed : int
        Of the resampling.
    n_resamples : int
        How often; a resample in which all votes are the same has no alpha and is left out.

    Returns
    -------
    Agreement

    References
    ----------
    Krippendorff, "Content Analysis" (4th edition, 2018), chapter 12: alpha = 1 - D_o / D_e.
    """
    import numpy as np

    # items with the same counts are alike: a study of any size has few kinds of item
    kinds = Counter((k, n) for k, n in votes if k + n >= 2)
    if not kinds:
        return Agreement(None, None, None, 0, 0)
    counts = np.array(sorted(kinds), dtype=np.float64)
    items = np.array([kinds[int(k), int(n)] for k, n in counts])
    n_items = int(items.sum())
    alpha = _alphas(counts, items[None, :].astype(np.float64))[0]
    if np.isnan(alpha):
        return Agreement(None, None, None, n_items, int((counts.sum(axis=1) * items).sum()))
    lower = upper = None
    if n_items > 1:
        resampled = np.random.default_rng(seed).multinomial(
            n_items, items / n_items, size=n_resamples
        )
        ends = np.nanquantile(
            _alphas(counts, resampled.astype(np.float64)), [(1 - level) / 2, (1 + level) / 2]
        )
        lower, upper = (float(end) for end in ends)
    return Agreement(float(alpha), lower, upper, n_items, int((counts.sum(axis=1) * items).sum()))


def _alphas(counts: "NDArray[np.float64]", items: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Alpha of each row of numbers of items of each kind; NaN where it is undefined."""
    import numpy as np

    size = counts.sum(axis=1)
    # votes of an item that disagree, in ordered pairs, weighted as in the coincidence matrix
    disagreement = 2 * counts[:, 0] * counts[:, 1] / (size - 1)
    present, absent = items @ counts[:, 0], items @ counts[:, 1]
    observed = items @ disagreement
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = 2 * present * absent / (present + absent - 1)
        return np.where(expected > 0, 1 - observed / expected, np.nan)


def share(k: int, n: int, *, level: float = 0.95) -> Share:
    """Compute a share and its Wilson score interval.

    Parameters
    ----------
    k, n : int
        So many of so many.
    level : float
        Of the interval. Wilson's keeps near its level also for few answers and for shares near 0
        and 1, where the textbook interval has length 0.

    Returns
    -------
    Share
    """
    if n == 0:
        return Share(k, n, None, None, None)
    z = NormalDist().inv_cdf((1 + level) / 2)
    value = k / n
    spread = 1 + z * z / n
    centre = (value + z * z / (2 * n)) / spread
    half = z * (value * (1 - value) / n + z * z / (4 * n * n)) ** 0.5 / spread
    return Share(
        k,
        n,
        value,
        0.0 if k == 0 else max(0.0, centre - half),
        1.0 if k == n else min(1.0, centre + half),
    )
