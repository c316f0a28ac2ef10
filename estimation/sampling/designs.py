"""Sampling designs: which inputs to have rated for one (neuron, concept) pair."""

import numpy as np
from numpy.typing import ArrayLike

from estimation.checks import finite_vector
from estimation.sampling.distributions import (
    correlation_influence as correlation_influence,  # other modules look for it here
)
from estimation.sampling.distributions import (
    model_guided_distribution,
    neyman_distribution,
    top_and_random_distribution,
)
from estimation.sampling.draw import Draw, SamplingError, check_budget
from estimation.sampling.drawing import draw_from


def draw_uniform(n_inputs: int, n_draws: int, *, seed: int, replacement: bool = True) -> Draw:
    """Draw inputs uniformly.

    Parameters
    ----------
    n_inputs : int
        Size N of the probe dataset.
    n_draws : int
        Number of draws.
    seed : int
        Seed of the generator.
    replacement : bool
        Whether an input may be drawn more than once; see `draw_from`.

    Returns
    -------
    Draw

    Raises
    ------
    SamplingError
        When there are no inputs or no draws.
    """
    if n_inputs < 1:
        msg = f"n_inputs: the probe dataset has {n_inputs} inputs; it needs at least one"
        raise SamplingError(msg)
    return draw_from(
        np.full(n_inputs, 1.0 / n_inputs),
        n_draws,
        design="uniform",
        seed=seed,
        replacement=replacement,
    )


def draw_top(activation: ArrayLike, n_draws: int, *, seed: int = 0) -> Draw:
    """Take the inputs with the highest activation, as early studies did.

    Nothing is random, so the draw has no importance weights and scores only the top: it is here to
    be compared with. Ties at the cutoff go to the lower index.

    Parameters
    ----------
    activation : array-like, shape (n_inputs,)
        Activations of the neuron.
    n_draws : int
        Number of inputs, at most N.
    seed : int
        Recorded only.

    Returns
    -------
    Draw
        Each input once, highest activation first, with probability 1/n_draws.

    Raises
    ------
    SamplingError
        When `n_draws` is below 1 or above N.
    EstimationError
        When activations are not finite.
    """
    vector = finite_vector(activation, "activation")
    check_budget(n_draws)
    if n_draws > vector.size:
        msg = f"n_draws: {n_draws} top inputs asked for, but there are only {vector.size} inputs"
        raise SamplingError(msg)
    order = np.argsort(-vector, kind="stable")[:n_draws].astype(np.int64)
    distribution = np.zeros(vector.size)
    distribution[order] = 1.0 / n_draws
    return Draw(
        design="top",
        indices=order,
        probabilities=distribution[order],
        n_inputs=int(vector.size),
        seed=seed,
        parameters={},
        distribution=distribution,
        replacement=False,
        inclusion=distribution * n_draws,
        own_inclusion=np.ones(n_draws),
    )


def draw_top_and_random(
    activation: ArrayLike,
    n_draws: int,
    *,
    seed: int,
    top_fraction: float = 0.05,
    replacement: bool = True,
) -> Draw:
    """Draw half of the inputs among the top activations and half anywhere.

    Earlier studies score such samples without weights; here the mixture is recorded, so that
    importance weights are right.

    Parameters
    ----------
    activation : array-like, shape (n_inputs,)
        Activations of the neuron.
    n_draws : int
        Number of draws.
    seed : int
        Seed of the generator.
    replacement : bool
        Whether an input may be drawn more than once; see `draw_from`.
    top_fraction : float
        Share of the inputs, in (0, 1], that counts as top; ceil(top_fraction N) inputs.

    Returns
    -------
    Draw

    Raises
    ------
    SamplingError
        When `n_draws` is below 1 or `top_fraction` is outside (0, 1].
    EstimationError
        When activations are constant or not finite.
    """
    return draw_from(
        top_and_random_distribution(activation, top_fraction=top_fraction),
        n_draws,
        design="top_and_random",
        seed=seed,
        parameters={"top_fraction": top_fraction},
        replacement=replacement,
    )


def draw_model_guided(
    activation: ArrayLike,
    prior: ArrayLike,
    *,
    n_draws: int,
    gamma: float = 0.2,
    seed: int,
    replacement: bool = True,
) -> Draw:
    """Draw inputs by model-guided importance sampling (MG-IS).

    Parameters
    ----------
    activation : array-like, shape (n_inputs,)
        Activations of the neuron.
    prior : array-like, shape (n_inputs,)
        Concept prior s in [0, 1], not constant.
    n_draws : int
        Number of draws; the published study draws 180.
    gamma : float
        Share of uniform draws in (0, 1].
    seed : int
        Seed of the generator.
    replacement : bool
        Whether an input may be drawn more than once; see `draw_from`.

    Returns
    -------
    Draw

    Raises
    ------
    SamplingError, EstimationError
        See `model_guided_distribution`; also when `n_draws` is below 1.

    References
    ----------
    Oikarinen, Yan, Kulkarni, Weng, arXiv 2506.07985, model-guided importance sampling (MG-IS).
    """
    distribution = model_guided_distribution(activation, prior, gamma=gamma)
    return draw_from(
        distribution,
        n_draws,
        design="model_guided",
        seed=seed,
        parameters={"gamma": gamma},
        replacement=replacement,
    )


def draw_neyman(
    activation: ArrayLike,
    prior: ArrayLike,
    *,
    n_draws: int,
    gamma: float = 0.1,
    seed: int,
    replacement: bool = True,
) -> Draw:
    """Draw inputs by the Neyman design on their influence on the score.

    Parameters
    ----------
    activation : array-like, shape (n_inputs,)
        Activations of the neuron.
    prior : array-like, shape (n_inputs,)
        Concept prior s in [0, 1].
    n_draws : int
        Number of draws.
    gamma : float
        Share of uniform draws in (0, 1].
    seed : int
        Seed of the generator.
    replacement : bool
        Whether an input may be drawn more than once; see `draw_from`.

    Returns
    -------
    Draw

    Raises
    ------
    SamplingError, EstimationError
        See `neyman_distribution`; also when `n_draws` is below 1.
    """
    distribution = neyman_distribution(activation, prior, gamma=gamma)
    return draw_from(
        distribution,
        n_draws,
        design="neyman",
        seed=seed,
        parameters={"gamma": gamma},
        replacement=replacement,
    )
