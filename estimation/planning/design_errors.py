"""Sampling variance of a mean over all inputs that a design would have, in closed form.

Every input has a contribution m_i to the estimate, and noise with variance t_i from its ratings;
the estimate is the weighted mean of the sample:

- with replacement, independent draws from q: sum (m^2 + t) / (N^2 q) / n + (1 - 1/n) sum t / N^2,
  the last term because an input drawn twice has its noise once;
- without replacement, inclusion probabilities p: Hajek's variance of sum m / (N p), which needs no
  joint probabilities, and sum t / (N^2 p);
- in strata: the variance within each.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from estimation.checks import EstimationError, FloatArray
from estimation.sampling import (
    Strata,
    fixed_size_inclusion,
    model_guided_distribution,
    neyman_distribution,
    strata_of,
    top_and_random_distribution,
)
from estimation.sampling.draw import included_with_replacement

#: Designs that a plan can compare: all that have weights.
PLANNED_DESIGNS = ("uniform", "top_and_random", "model_guided", "neyman", "stratified")


@dataclass(frozen=True, eq=False)
class PlannedDesign:
    """A design with a number of draws, ready to say how exact it would be.

    Attributes
    ----------
    name : str
        Name of the design.
    n_draws : int
        Number of draws.
    expected_inputs : float
        Expected number of distinct inputs.
    variance : callable
        From contributions and noise variances, each of shape (n_inputs,), the sampling variance of
        the estimated mean.
    """

    name: str
    n_draws: int
    expected_inputs: float
    variance: Callable[[FloatArray, FloatArray], float]


def planned_design(
    name: str,
    activation: ArrayLike,
    prior: ArrayLike,
    n_draws: int,
    *,
    replacement: bool = True,
) -> PlannedDesign:
    """Prepare a design with its default parameters.

    Parameters
    ----------
    name : str
        One of `PLANNED_DESIGNS`.
    activation, prior : array-like, shape (n_inputs,)
        Of the pair.
    n_draws : int
        Number of draws.
    replacement : bool
        Whether an input may be drawn more than once.

    Returns
    -------
    PlannedDesign

    Raises
    ------
    SamplingError
        When the design cannot be drawn so.
    EstimationError
        When it is unknown, or activations or prior cannot be used.
    """
    n_inputs = int(np.asarray(activation).size)
    if name == "stratified":
        strata = strata_of(activation, prior, n_draws=n_draws, replacement=replacement)
        return _stratified(strata, replacement=replacement)
    if name == "uniform":
        q = np.full(n_inputs, 1.0 / n_inputs)
    elif name == "top_and_random":
        q = top_and_random_distribution(activation)
    elif name == "model_guided":
        q = model_guided_distribution(activation, prior)
    elif name == "neyman":
        q = neyman_distribution(activation, prior)
    else:
        msg = f"designs: {name!r} is none of {', '.join(PLANNED_DESIGNS)}"
        raise EstimationError(msg)
    if not replacement:
        return _without_replacement(name, fixed_size_inclusion(q, n_draws), n_draws)

    per_draw, n_squared = 1.0 / (n_inputs**2 * q), n_inputs**2

    def variance(contribution: FloatArray, noise: FloatArray) -> float:
        centred = contribution - contribution.mean()
        one_draw = float((centred**2 + noise) @ per_draw)
        return one_draw / n_draws + (1 - 1 / n_draws) * float(noise.sum()) / n_squared

    expected = float(included_with_replacement(q, n_draws).sum())
    return PlannedDesign(name, n_draws, expected, variance)


def _without_replacement(name: str, inclusion: FloatArray, n_draws: int) -> PlannedDesign:
    n_inputs = inclusion.size
    inverse = np.divide(1.0, inclusion, out=np.zeros(n_inputs), where=inclusion > 0)
    by_chance = np.maximum(1.0 - inclusion, 0.0)
    spread = inclusion * by_chance
    total = float(spread.sum())
    # Hajek's correction, of the size of the entropy of the design
    correction = n_inputs / (n_inputs - 1) if n_inputs > 1 else 1.0

    def variance(contribution: FloatArray, noise: FloatArray) -> float:
        centred = contribution - contribution.mean()
        centre = float(by_chance @ centred) / total if total > 0 else 0.0
        sampled = float(spread @ (centred * inverse - centre) ** 2) * correction
        return (sampled + float(noise @ inverse)) / n_inputs**2

    return PlannedDesign(name, n_draws, float(n_draws), variance)


def _stratified(strata: Strata, *, replacement: bool) -> PlannedDesign:
    labels, sizes, allocation = strata.of_input, strata.sizes, strata.allocation
    n_inputs = int(sizes.sum())
    n_draws = int(allocation.sum())

    def variance(contribution: FloatArray, noise: FloatArray) -> float:
        centre = np.bincount(labels, contribution) / sizes
        squares = np.bincount(labels, (contribution - centre[labels]) ** 2)
        noises = np.bincount(labels, noise)
        if replacement:
            sampled = sizes * squares / allocation
            rated = noises * (sizes + allocation - 1) / allocation
        else:
            left = 1.0 - allocation / sizes
            sampled = sizes**2 * left * squares / (np.maximum(sizes - 1, 1) * allocation)
            rated = noises * sizes / allocation
        return float((sampled + rated).sum()) / n_inputs**2

    each = allocation if not replacement else sizes * (1 - (1 - 1 / sizes) ** allocation)
    return PlannedDesign("stratified", n_draws, float(each.sum()), variance)
