"""What ratings will say before they are given: label posteriors, averaged over their outcomes."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit
from scipy.stats import betabinom, binom

from estimation.aggregation.bragg import PUBLISHED_CLIP, PUBLISHED_ERROR_RATE, bragg_posterior
from estimation.checks import EstimationError, FloatArray


@dataclass(frozen=True)
class RaterErrors:
    """How raters are expected to err.

    Attributes
    ----------
    error_rate : float
        Probability, in (0, 0.5), that a rating is wrong.
    correlation : float
        Correlation, in [0, 1), of the errors of two raters on one input. Counts are beta-binomial,
        and the aggregation tempers n ratings to n / (1 + (n - 1) correlation), as the model does.
    """

    error_rate: float = PUBLISHED_ERROR_RATE
    correlation: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.error_rate < 0.5:
            msg = (
                f"error_rate: {self.error_rate} is outside (0, 0.5); at one half ratings say "
                "nothing, and raters who never err need no plan"
            )
            raise EstimationError(msg)
        if not 0 <= self.correlation < 1:
            msg = f"correlation: {self.correlation} is outside [0, 1); 0.1 is usual"
            raise EstimationError(msg)

    def count_probabilities(self, n: int) -> FloatArray:
        """Compute the distribution of "present" among n ratings of one input.

        Parameters
        ----------
        n : int
            Ratings, at least 1.

        Returns
        -------
        ndarray, shape (2, n + 1), float64
            P(k say present | concept absent), and P(k | present).
        """
        k = np.arange(n + 1)
        rows = []
        for says_present in (self.error_rate, 1 - self.error_rate):
            if self.correlation == 0:
                rows.append(binom.pmf(k, n, says_present))
                continue
            strength = (1 - self.correlation) / self.correlation
            rows.append(betabinom.pmf(k, n, says_present * strength, (1 - says_present) * strength))
        return np.stack(rows)

    def posteriors(self, prior: FloatArray, n: int) -> FloatArray:
        """Compute the label posterior after n ratings, for every number of them that say present.

        Parameters
        ----------
        prior : ndarray, shape (n_inputs,)
            Label probabilities before.
        n : int
            Ratings an input.

        Returns
        -------
        ndarray, shape (n + 1, n_inputs), float64
        """
        worth = 1.0 / (1.0 + (n - 1) * self.correlation)
        k = np.arange(n + 1)[:, None]
        return bragg_posterior(n * worth, k * worth, prior[None, :], error_rate=self.error_rate)


@dataclass(frozen=True, eq=False)
class PosteriorMoments:
    """Mean and variance of the label posterior over the outcomes of ratings, given the label.

    Attributes
    ----------
    mean, variance : ndarray, shape (2, n_inputs)
        Row 0: the concept is absent, row 1: present.
    """

    mean: FloatArray
    variance: FloatArray


def posterior_moments(prior: FloatArray, n: int, raters: RaterErrors) -> PosteriorMoments:
    """Compute the moments of label posteriors after n ratings an input.

    Parameters
    ----------
    prior : ndarray, shape (n_inputs,)
        Label probabilities that the aggregation starts from.
    n : int
        Ratings an input, at least 1.
    raters : RaterErrors
        How raters err.

    Returns
    -------
    PosteriorMoments
    """
    chances = raters.count_probabilities(n)
    posteriors = raters.posteriors(prior, n)
    mean = chances @ posteriors
    variance = np.maximum(chances @ posteriors**2 - mean**2, 0.0)
    return PosteriorMoments(mean, variance)


@dataclass(frozen=True)
class PriorDoubt:
    """How far the concept prior may be off: labels follow sigmoid(b0 + b1 logit s + b2 asinh a).

    Attributes
    ----------
    intercept_sd, slope_sd, activation_sd : float
        Standard deviations of b0 around 0, b1 around 1 and b2 around 0; zero for all takes the
        prior at its word. The defaults are those of the model's trusting component. With b2 labels
        depend on the activations beyond the prior, as they do where an explanation is right and
        the prior blunt; it is what makes labels that lean to the prior bias the score.
    """

    intercept_sd: float = 0.5
    slope_sd: float = 0.15
    activation_sd: float = 0.3

    def __post_init__(self) -> None:
        for name in ("intercept_sd", "slope_sd", "activation_sd"):
            value = getattr(self, name)
            if not 0 <= value < np.inf:
                msg = f"{name}: {value} is no standard deviation; give 0 or more"
                raise EstimationError(msg)

    def draw_labels(
        self, prior: FloatArray, scaled: FloatArray, rng: np.random.Generator
    ) -> FloatArray:
        """Draw one concept vector.

        Parameters
        ----------
        prior : ndarray, shape (n_inputs,)
            Concept prior.
        scaled : ndarray, shape (n_inputs,)
            Standardised activations.
        rng : Generator
            Source of chance.

        Returns
        -------
        ndarray, shape (n_inputs,), float64
            Zeros and ones.
        """
        certain = np.clip(prior, PUBLISHED_CLIP, 1 - PUBLISHED_CLIP)
        intercept, slope, tilt = rng.normal(
            [0.0, 1.0, 0.0], [self.intercept_sd, self.slope_sd, self.activation_sd]
        )
        chance = expit(intercept + slope * logit(certain) + tilt * np.arcsinh(scaled))
        labels: FloatArray = (rng.random(prior.size) < chance).astype(np.float64)
        return labels
