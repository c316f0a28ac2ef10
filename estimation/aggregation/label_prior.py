"""What one pair's labels may depend on, and how far the concept prior is trusted before any rating.

    logit P(c_i = 1) = b . x_i,  x_i = (1, logit s_i, asinh a_i, normal score of the rank of a_i)

The prior on b decides everything when ratings are few. A single loose one is worse than the
published method for rare concepts; a single tight one never recovers from a bad concept prior. So
it is a mixture of opinions, which the ratings weight by their evidence.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logit, ndtri
from scipy.stats import rankdata

from estimation.checks import EstimationError, FloatArray, probability_vector, standardized

#: Coefficients of the label model: intercept, logit of the prior, asinh, normal score.
N_COEFFICIENTS = 4


@dataclass(frozen=True)
class Component:
    """One opinion of the concept prior: independent normals on b.

    Attributes
    ----------
    name : str
        What the opinion is called.
    mean, sd : tuple of float
        Of intercept, slope on the logit of the prior, slope on asinh, slope on the normal score.
    """

    name: str
    mean: tuple[float, float, float, float]
    sd: tuple[float, float, float, float]


COMPONENTS = (
    Component("trust", (0.0, 1.0, 0.0, 0.0), (0.5, 0.15, 0.3, 0.3)),
    Component("miscalibrated", (-1.0, 0.8, 0.5, 0.0), (1.2, 0.3, 0.7, 0.7)),
    Component("distrust", (-3.0, 0.6, 1.5, 0.0), (3.0, 0.4, 1.5, 1.5)),
    # the explanation is right: the activation all but decides, whatever the concept prior says
    Component("activation", (-4.0, 0.3, 3.5, 0.0), (3.0, 0.4, 2.0, 1.0)),
)


def label_features(activation: ArrayLike, prior: ArrayLike, *, clip: float) -> FloatArray:
    """Make the features x_i of every input.

    Parameters
    ----------
    activation : array-like, shape (n_inputs,)
        Activations of the neuron.
    prior : array-like, shape (n_inputs,)
        Concept prior in [0, 1].
    clip : float
        It is clipped to [clip, 1 - clip].

    Returns
    -------
    ndarray, shape (n_inputs, 4), float64
        asinh follows large activations without being carried off by them, the rank does not mind
        their scale; together they bend as skewed activations need it.

    Raises
    ------
    EstimationError
        When activation or prior cannot be used, or `clip` is out of range.
    """
    check_clip(clip)
    scaled = standardized(activation)
    probabilities = probability_vector(prior, "prior", scaled.size)
    features = np.empty((scaled.size, N_COEFFICIENTS))
    features[:, 0] = 1.0
    features[:, 1] = logit(np.clip(probabilities, clip, 1 - clip))
    features[:, 2] = np.arcsinh(scaled)
    features[:, 3] = ndtri((rankdata(scaled) - 0.5) / scaled.size)
    return features


def check_clip(clip: float) -> None:
    """Refuse a limit of the concept prior outside (0, 0.5).

    Parameters
    ----------
    clip : float
        Priors are clipped to [clip, 1 - clip].

    Raises
    ------
    EstimationError
        When it is outside (0, 0.5): at 0 a prior of 0 has an infinite logit.
    """
    if not 0 < clip < 0.5:
        msg = f"clip: {clip} is outside (0, 0.5); 1e-4 is usual"
        raise EstimationError(msg)
