"""Sampling designs: which inputs to have rated for one (neuron, concept) pair."""

import numpy as np
from numpy.typing import ArrayLike

from estimation.checks import FloatArray, finite_vector, probability_vector, standardized
from estimation.sampling.draw import Draw, SamplingError, check_budget, draw_from


def draw_uniform(n_inputs: int, n_draws: int, *, seed: int) -> Draw:
    """Draw inputs uniformly with replacement.

    Parameters
    ----------
    n_inputs : int
        Size N of the probe dataset.
    n_draws : int
        Number of draws.
    seed : int
        Seed of the generator.

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
    return draw_from(np.full(n_inputs, 1.0 / n_inputs), n_draws, design="uniform", seed=seed)


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
    )


def draw_top_and_random(
    activation: ArrayLike, n_draws: int, *, seed: int, top_fraction: float = 0.05
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
    standardized(activation)  # refuses constant and non-finite activations
    vector = finite_vector(activation, "activation")
    if not 0 < top_fraction <= 1:
        msg = f"top_fraction: {top_fraction} is outside (0, 1]"
        raise SamplingError(msg)
    n_top = int(np.ceil(top_fraction * vector.size))
    top = np.argsort(-vector, kind="stable")[:n_top]
    distribution = np.full(vector.size, 0.5 / vector.size)
    distribution[top] += 0.5 / n_top
    return draw_from(
        distribution,
        n_draws,
        design="top_and_random",
        seed=seed,
        parameters={"top_fraction": top_fraction},
    )


def model_guided_distribution(
    activation: ArrayLike, prior: ArrayLike, *, gamma: float = 0.2
) -> FloatArray:
    """Compute the draw probabilities of model-guided importance sampling.

    Parameters
    ----------
    activation : array-like, shape (n_inputs,)
        Activations of the neuron.
    prior : array-like, shape (n_inputs,)
        Concept prior s in [0, 1], not constant.
    gamma : float
        Share of uniform draws in (0, 1]; it bounds the importance weights by 1/gamma.

    Returns
    -------
    ndarray, shape (n_inputs,), float64
        q_i = (1 - gamma) |a_i s_i| / sum |a s| + gamma / N, with a and s standardised.

    Raises
    ------
    SamplingError
        When gamma is outside (0, 1] or the prior is constant.
    EstimationError
        When activations are constant or not finite, or the prior is no probability.

    References
    ----------
    Oikarinen, Yan, Kulkarni, Weng, arXiv 2506.07985, model-guided importance sampling (MG-IS).
    """
    scaled = standardized(activation)
    probabilities = probability_vector(prior, "prior", scaled.size)
    _check_gamma(gamma)
    spread = probabilities.std()
    if spread <= 1e-12:
        msg = (
            f"prior: constant ({probabilities[0]:g}) over all inputs, so it cannot guide the draw; "
            "use the design 'uniform' or 'top_and_random', or give a prior that varies"
        )
        raise SamplingError(msg)
    product = np.abs(scaled * (probabilities - probabilities.mean()) / spread)
    return _mixed(product, gamma)


def draw_model_guided(
    activation: ArrayLike, prior: ArrayLike, *, n_draws: int, gamma: float = 0.2, seed: int
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
        distribution, n_draws, design="model_guided", seed=seed, parameters={"gamma": gamma}
    )


def neyman_distribution(
    activation: ArrayLike, prior: ArrayLike, *, gamma: float = 0.1
) -> FloatArray:
    """Compute draw probabilities proportional to each input's expected effect on the score.

    The label c_i moves the correlation by f_i / N, where f_i = a_i/sd - T2 (1 - 2 mu)/(2 sd^3),
    mu = mean s, T2 = mean a s and sd^2 = mu (1 - mu); its standard deviation under the prior is
    sqrt(s_i (1 - s_i)). Their product is the optimal (Neyman) allocation when the prior is right.

    Parameters
    ----------
    activation : array-like, shape (n_inputs,)
        Activations of the neuron.
    prior : array-like, shape (n_inputs,)
        Concept prior s in [0, 1]; clipped to [0.001, 0.999], because a prior is never certain.
    gamma : float
        Share of uniform draws in (0, 1].

    Returns
    -------
    ndarray, shape (n_inputs,), float64
        q_i = (1 - gamma) |f_i| sqrt(s_i (1 - s_i)) / sum + gamma / N.

    Raises
    ------
    SamplingError
        When gamma is outside (0, 1].
    EstimationError
        When activations are constant or not finite, or the prior is no probability.

    References
    ----------
    Neyman, "On the two different aspects of the representative method" (1934).
    """
    scaled = standardized(activation)
    probabilities = np.clip(probability_vector(prior, "prior", scaled.size), 0.001, 0.999)
    _check_gamma(gamma)
    influence = correlation_influence(scaled, probabilities.mean(), (scaled * probabilities).mean())
    return _mixed(np.abs(influence) * np.sqrt(probabilities * (1 - probabilities)), gamma)


def draw_neyman(
    activation: ArrayLike, prior: ArrayLike, *, n_draws: int, gamma: float = 0.1, seed: int
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

    Returns
    -------
    Draw

    Raises
    ------
    SamplingError, EstimationError
        See `neyman_distribution`; also when `n_draws` is below 1.
    """
    distribution = neyman_distribution(activation, prior, gamma=gamma)
    return draw_from(distribution, n_draws, design="neyman", seed=seed, parameters={"gamma": gamma})


def correlation_influence(scaled: FloatArray, mu: float, t2: float) -> FloatArray:
    """Compute N times the derivative of the correlation by each binary label.

    Parameters
    ----------
    scaled : ndarray, shape (n,)
        Standardised activations.
    mu : float
        Share of positive labels, in (0, 1).
    t2 : float
        Mean of activation times label.

    Returns
    -------
    ndarray, shape (n,), float64
        f_i = a_i / sd - t2 (1 - 2 mu) / (2 sd^3), sd = sqrt(mu (1 - mu)).
    """
    deviation = np.sqrt(mu * (1 - mu))
    influence: FloatArray = scaled / deviation - t2 * (1 - 2 * mu) / (2 * deviation**3)
    return influence


def _check_gamma(gamma: float) -> None:
    if not 0 < gamma <= 1:
        msg = (
            f"gamma: {gamma} is outside (0, 1]; without uniform draws some inputs would never be "
            "drawn and weights would be unbounded"
        )
        raise SamplingError(msg)


def _mixed(size: FloatArray, gamma: float) -> FloatArray:
    """Normalise `size` and mix it with the uniform distribution."""
    mixed: FloatArray = (1 - gamma) * size / size.sum() + gamma / size.size
    return mixed
