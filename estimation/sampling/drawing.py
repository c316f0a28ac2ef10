"""Drawing inputs from probabilities, with and without replacement.

Without replacement the sample has a fixed size and known inclusion probabilities pi_i = n q_i
(1 for inputs with n q_i >= 1, the rest scaled up). The method is systematic sampling in random
order: of the fixed-size methods it is the only one that is both exact in pi for any q and linear
in N. Sampford's is exact but rejects nearly every try once n is large; Pareto and sequential
Poisson sampling meet pi only nearly, so their weights would be a little wrong.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimation.checks import FloatArray
from estimation.sampling.draw import Draw, SamplingError, check_budget

# An inclusion probability this close to 1 is 1.
_CERTAIN = 1 - 1e-9


def draw_from(
    distribution: FloatArray,
    n_draws: int,
    *,
    design: str,
    seed: int,
    parameters: Mapping[str, Any] | None = None,
    replacement: bool = True,
) -> Draw:
    """Draw inputs from a distribution over all inputs.

    Parameters
    ----------
    distribution : ndarray, shape (n_inputs,), float64
        Draw probabilities q, non-negative, summing to 1.
    n_draws : int
        Number of draws, at least 1.
    design : str
        Name recorded with the draw.
    seed : int
        Seed of the generator.
    parameters : Mapping, optional
        Parameters recorded with the draw.
    replacement : bool
        Whether an input may be drawn more than once. Without replacement an input is in the sample
        with probability n_draws q_i, or 1 where that is more; see `fixed_size_inclusion`.

    Returns
    -------
    Draw

    Raises
    ------
    SamplingError
        When `n_draws` is below 1, the distribution is not one, or there are fewer inputs with a
        chance than draws without replacement.

    References
    ----------
    Hansen and Hurwitz, "On the theory of sampling from finite populations" (1943), with
    replacement; Hartley and Rao, "Sampling with unequal probabilities and without replacement"
    (1962), systematic sampling in random order.
    """
    check_budget(n_draws)
    # written so that NaN fails too
    if not (np.all(distribution >= 0) and np.isclose(distribution.sum(), 1.0, rtol=0, atol=1e-8)):
        msg = f"draw probabilities: negative, or summing to {distribution.sum():g} instead of 1"
        raise SamplingError(msg)
    rng = np.random.default_rng(seed)
    recorded = dict(parameters or {})
    n_inputs = int(distribution.size)
    if not replacement:
        inclusion = fixed_size_inclusion(distribution, n_draws)
        indices = systematic(inclusion, rng)
        return Draw(
            design=design,
            indices=indices,
            probabilities=inclusion[indices] / n_draws,
            n_inputs=n_inputs,
            seed=seed,
            parameters=recorded,
            distribution=inclusion / n_draws,
            replacement=False,
            inclusion=inclusion,
            own_inclusion=inclusion[indices],
        )
    # inversion of the cumulative sum: the draw then depends on seed and q alone, not on how
    # a numpy version happens to implement Generator.choice
    cumulative = np.cumsum(distribution)
    indices = np.searchsorted(cumulative, rng.random(n_draws) * cumulative[-1], side="right")
    indices = np.minimum(indices.astype(np.int64), n_inputs - 1)
    return Draw(
        design=design,
        indices=indices,
        probabilities=distribution[indices],
        n_inputs=n_inputs,
        seed=seed,
        parameters=recorded,
        distribution=distribution,
    )


def fixed_size_inclusion(size: FloatArray, n_draws: int) -> FloatArray:
    """Compute inclusion probabilities proportional to size that sum to the sample size.

    Parameters
    ----------
    size : ndarray, shape (n_inputs,), float64
        Sizes, non-negative.
    n_draws : int
        Sample size n.

    Returns
    -------
    ndarray, shape (n_inputs,), float64
        min(1, c size_i), c such that they sum to n.

    Raises
    ------
    SamplingError
        When fewer than n inputs have a positive size.

    Notes
    -----
    Inputs with n size_i / sum >= 1 are certain; the rest shares what is left, which may make more
    of them certain.
    """
    positive = int(np.count_nonzero(size))
    if n_draws > positive:
        msg = (
            f"n_draws: {n_draws} inputs without replacement, but only {positive} of {size.size} "
            "can be drawn; ask for fewer, or draw with replacement"
        )
        raise SamplingError(msg)
    certain = np.zeros(size.size, dtype=bool)
    while True:
        left = n_draws - int(certain.sum())
        total = float(size[~certain].sum())
        scale = left / total if left > 0 else 0.0
        more = ~certain & (size * scale >= _CERTAIN)
        if not more.any():
            return np.where(certain, 1.0, size * scale)
        certain |= more


def systematic(inclusion: FloatArray, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw a sample of fixed size with given inclusion probabilities.

    Inputs are put in random order on a line, each as long as its inclusion probability; those that
    the points u, u + 1, u + 2, ... fall on are taken, u uniform in [0, 1).

    Parameters
    ----------
    inclusion : ndarray, shape (n_inputs,), float64
        Probabilities in [0, 1] with a whole sum.
    rng : Generator
        Source of chance.

    Returns
    -------
    ndarray, shape (n,), int64
        Distinct inputs, the certain ones first.
    """
    certain = np.flatnonzero(inclusion >= _CERTAIN)
    order = rng.permutation(np.flatnonzero((inclusion > 0) & (inclusion < _CERTAIN)))
    n_random = round(float(inclusion[order].sum()))
    if n_random == 0:
        return certain.astype(np.int64)
    cumulative = np.cumsum(inclusion[order])
    points = (rng.random() + np.arange(n_random)) * (cumulative[-1] / n_random)
    taken = np.minimum(np.searchsorted(cumulative, points, side="right"), order.size - 1)
    return np.concatenate([certain, order[taken]]).astype(np.int64)
