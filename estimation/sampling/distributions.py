"""Draw probabilities of the designs: which inputs a design prefers, and why."""

import numpy as np
from numpy.typing import ArrayLike

from estimation.checks import FloatArray, finite_vector, probability_vector, standardized
from estimation.sampling.draw import SamplingError


def top_and_random_distribution(activation: ArrayLike, *, top_fraction: float = 0.05) -> FloatArray:
    """Compute the draw probabilities of half top, half anywhere.

    Parameters
    ----------
    activation : array-like, shape (n_inputs,)
        Activations of the neuron.
    top_fraction : float
        Share of the inputs, in (0, 1], that counts as top.

    Returns
    -------
    ndarray, shape (n_inputs,), float64
        q_i = 0.5/N, and 0.5/n_top more for the n_top = ceil(top_fraction N) top inputs.

    Raises
    ------
    SamplingError
        When `top_fraction` is outside (0, 1].
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
    return distribution


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
        When gamma is outside (0, 1], the prior is constant, or activation and prior never leave
        their means on the same input.
    EstimationError
        When activations are constant or not finite, or the prior is no probability.

    References
    ----------
    Oikarinen, Yan, Kulkarni, Weng, arXiv 2506.07985, model-guided importance sampling (MG-IS).
    """
    scaled = standardized(activation)
    probabilities = probability_vector(prior, "prior", scaled.size)
    check_gamma(gamma)
    spread = probabilities.std()
    if spread <= 1e-12:
        msg = (
            f"prior: constant ({probabilities[0]:g}) over all inputs, so it cannot guide the draw; "
            "use the design 'uniform' or 'top_and_random', or give a prior that varies"
        )
        raise SamplingError(msg)
    product = np.abs(scaled * (probabilities - probabilities.mean()) / spread)
    if product.max() <= 1e-12:
        msg = (
            "prior: at its mean wherever the activation is not at its own, so that their product "
            "is 0 on all inputs and cannot guide the draw; use the design 'uniform' or 'neyman'"
        )
        raise SamplingError(msg)
    return _mixed(product, gamma)


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
    check_gamma(gamma)
    influence, probabilities = prior_influence(activation, prior)
    return _mixed(np.abs(influence) * np.sqrt(probabilities * (1 - probabilities)), gamma)


def prior_influence(activation: ArrayLike, prior: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Compute the influence of every label on the score where labels are as the prior expects.

    Parameters
    ----------
    activation : array-like, shape (n_inputs,)
        Activations of the neuron.
    prior : array-like, shape (n_inputs,)
        Concept prior s in [0, 1].

    Returns
    -------
    influence : ndarray, shape (n_inputs,), float64
        See `correlation_influence`.
    probabilities : ndarray, shape (n_inputs,), float64
        The prior, clipped to [0.001, 0.999], because a prior is never certain.

    Raises
    ------
    EstimationError
        When activations are constant or not finite, or the prior is no probability.
    """
    scaled = standardized(activation)
    probabilities = np.clip(probability_vector(prior, "prior", scaled.size), 0.001, 0.999)
    mu, t2 = float(probabilities.mean()), float((scaled * probabilities).mean())
    return correlation_influence(scaled, mu, t2), probabilities


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


def check_gamma(gamma: float) -> None:
    """Refuse a share of uniform draws outside (0, 1].

    Parameters
    ----------
    gamma : float
        Share of uniform draws.

    Raises
    ------
    SamplingError
        When it is outside (0, 1].
    """
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
