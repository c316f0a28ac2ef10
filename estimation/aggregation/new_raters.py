"""Error rates of raters whom a fit did not know: those of the population it learned."""

import zlib
from collections.abc import Hashable, Sequence

import numpy as np

from estimation.checks import FloatArray


def rates_of_new_raters(
    raters: Sequence[Hashable], mean: FloatArray, spread: FloatArray, *, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Draw miss and false-alarm rates of new raters, one for each posterior draw.

    A rater's chance hangs on the seed and on the rater alone, so that in one posterior draw they
    have the same rates whatever concept is looked at.

    Parameters
    ----------
    raters : sequence of hashable, length n
        The new raters.
    mean, spread : ndarray, shape (m, 2)
        Population of (logit miss, logit false alarm), a row a posterior draw.
    seed : int
        Seed.

    Returns
    -------
    logit_miss, logit_false_alarm : ndarray, shape (m, n)
    """
    m = mean.shape[0]
    normal = np.empty((m, 2, len(raters)))
    for number, rater in enumerate(raters):
        own = zlib.crc32(repr(rater).encode())
        normal[:, :, number] = np.random.default_rng([seed, own]).standard_normal((m, 2))
    rates = mean[:, :, None] + spread[:, :, None] * normal
    return rates[:, 0], rates[:, 1]
