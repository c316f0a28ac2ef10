"""The one-pair model: labels of one (neuron, concept) in milliseconds, without a sampler.

The label model is that of ``density`` for one concept with known error rates:

    logit P(c_i = 1) = b . x_i,  x_i = (1, logit s_i, asinh a_i, normal score of the rank of a_i),

labels summed out over the ratings. The prior on b decides everything when ratings are few, so it is
a mixture: trust in the concept prior, a miscalibrated one, and distrust, weighted by their
evidence. Each component is fitted by Newton's method; the posterior is then sampled by importance
resampling from t-distributions at the modes, so that it is exact up to Monte Carlo error.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, gammaln, log_expit, logit, logsumexp, ndtri
from scipy.stats import rankdata

from estimation.aggregation.priors import item_indices
from estimation.checks import EstimationError, FloatArray, probability_vector, standardized
from estimation.ratings import RatingsError, rating_counts

PROPOSAL_DF = 5.0


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
)


class LaplaceMixture:
    """Posterior of one concept vector from one pair's ratings, prior and activations.

    Parameters
    ----------
    miss_rate, false_alarm_rate : float
        Raters' error rates, in (0, 1), with a sum below 1.
    within_item_correlation : float
        Correlation tau of raters' errors on one item: n answers count as n / (1 + (n - 1) tau).
    clip : float
        The concept prior is clipped to [clip, 1 - clip].
    components : sequence of Component
        The mixture, equal weights before any rating.
    n_proposals : int
        Draws that are weighted and resampled.
    seed : int
        Seed.

    Attributes
    ----------
    component_weights_ : dict of str to float
        Posterior probability of each component.
    coefficients_ : ndarray, shape (n_proposals, 4)
        Weighted draws of b, see ``weights_``.
    weights_ : ndarray, shape (n_proposals,)
        Importance weights, summing to 1.
    n_effective_ : float
        Effective number of those draws.
    """

    def __init__(
        self,
        *,
        miss_rate: float = 0.23,
        false_alarm_rate: float = 0.23,
        within_item_correlation: float = 0.1,
        clip: float = 1e-4,
        components: tuple[Component, ...] = COMPONENTS,
        n_proposals: int = 2000,
        seed: int = 0,
    ) -> None:
        self.miss_rate = miss_rate
        self.false_alarm_rate = false_alarm_rate
        self.within_item_correlation = within_item_correlation
        self.clip = clip
        self.components = components
        self.n_proposals = n_proposals
        self.seed = seed

    def fit(self, activation: ArrayLike, prior: ArrayLike, ratings: pd.DataFrame) -> Self:
        """Fit one pair.

        Parameters
        ----------
        activation : array-like, shape (n_inputs,)
            Activations of the neuron.
        prior : array-like, shape (n_inputs,)
            Concept prior in [0, 1].
        ratings : DataFrame
            Ratings of this concept, items being indices of inputs.

        Returns
        -------
        LaplaceMixture
            This object, fitted.

        Raises
        ------
        EstimationError
            When error rates are out of range, or activation or prior cannot be used.
        RatingsError
            When the table does not pass the checks, holds several concepts, or an item is no index.
        """
        counts = rating_counts(ratings)
        if counts.index.nlevels > 1:
            concepts = counts.index.get_level_values("concept").unique()
            if len(concepts) > 1:
                msg = f"ratings: of {len(concepts)} concepts; fit one pair at a time"
                raise RatingsError(msg)
            counts = counts.droplevel("concept")
        items = item_indices(counts.index.to_numpy(), np.asarray(prior).size)
        return self.fit_counts(
            activation, prior, items, counts["n"].to_numpy(), counts["k"].to_numpy()
        )

    def fit_counts(
        self,
        activation: ArrayLike,
        prior: ArrayLike,
        items: NDArray[np.int64],
        n: ArrayLike,
        k: ArrayLike,
    ) -> Self:
        """Fit one pair from counts: `n` ratings of each item, `k` of them present.

        Parameters
        ----------
        activation, prior
            As in `fit`.
        items : ndarray, shape (n_items,), int64
            Indices of the rated inputs, each once.
        n, k : array-like, shape (n_items,)
            Counts.

        Returns
        -------
        LaplaceMixture
            This object, fitted.

        Raises
        ------
        EstimationError
            As in `fit`.
        """
        self._check_settings()
        scaled = standardized(activation)
        probabilities = probability_vector(prior, "prior", scaled.size)
        logits = logit(np.clip(probabilities, self.clip, 1 - self.clip))
        # asinh follows large activations without being carried off by them, the rank does not mind
        # their scale; together they bend as skewed activations need it
        score = ndtri((rankdata(scaled) - 0.5) / scaled.size)
        self._design = np.column_stack(
            [
                np.ones(scaled.size),
                logits,
                standardized(np.arcsinh(scaled)),
                standardized(score),
            ]
        )
        self._items = np.asarray(items, dtype=np.int64)
        self._evidence = self._log_ratio(np.asarray(n, float), np.asarray(k, float))
        self._sample()
        return self

    def concept_draws(self, *, n_draws: int = 400) -> FloatArray:
        """Compute P(c_i = 1 | b, ratings) for every input.

        Parameters
        ----------
        n_draws : int
            Draws of b, resampled by weight (systematically, so evenly).

        Returns
        -------
        ndarray, shape (n_draws, n_inputs), float64
            Rows match those of `prediction_draws`.
        """
        z = self._coefficients(n_draws) @ self._design.T
        z[:, self._items] += self._evidence
        result: FloatArray = expit(z, out=z)
        return result

    def prediction_draws(self, *, n_draws: int = 400) -> FloatArray:
        """Compute P(c_i = 1 | b), before an input's own ratings; see `concept_draws`."""
        z = self._coefficients(n_draws) @ self._design.T
        result: FloatArray = expit(z, out=z)
        return result

    def _coefficients(self, n_draws: int) -> FloatArray:
        if n_draws < 1:
            msg = f"n_draws: {n_draws} is below 1"
            raise EstimationError(msg)
        places = (np.arange(n_draws) + 0.5) / n_draws
        picked = np.searchsorted(np.cumsum(self.weights_), places)
        rows: FloatArray = self.coefficients_[np.minimum(picked, self.weights_.size - 1)]
        return rows

    def _check_settings(self) -> None:
        for name in ("miss_rate", "false_alarm_rate"):
            if not 0 < getattr(self, name) < 1:
                msg = f"{name}: {getattr(self, name)} is outside (0, 1)"
                raise EstimationError(msg)
        if self.miss_rate + self.false_alarm_rate >= 1:
            msg = (
                f"miss_rate + false_alarm_rate: {self.miss_rate + self.false_alarm_rate:g} is not "
                "below 1, so a rating would speak against what it says"
            )
            raise EstimationError(msg)
        if not 0 <= self.within_item_correlation <= 1:
            msg = f"within_item_correlation: {self.within_item_correlation} is outside [0, 1]"
            raise EstimationError(msg)

    def _log_ratio(self, n: FloatArray, k: FloatArray) -> FloatArray:
        """Tempered log likelihood ratio of present to absent."""
        fn, fp = self.miss_rate, self.false_alarm_rate
        ratio = k * np.log((1 - fn) / fp) + (n - k) * np.log(fn / (1 - fp))
        tempered: FloatArray = ratio / (1 + np.maximum(n - 1, 0) * self.within_item_correlation)
        return tempered

    def _log_likelihood(self, b: FloatArray) -> FloatArray:
        """Log likelihood up to a constant of rows of coefficients, shape (m, 4)."""
        z = b @ self._design[self._items].T
        total: FloatArray = np.sum(log_expit(-z) - log_expit(-(z + self._evidence)), axis=1)
        return total

    def _mode(self, component: Component) -> tuple[FloatArray, FloatArray]:
        """Find the posterior mode under one component and the covariance of its curvature."""
        x, mean = self._design[self._items], np.asarray(component.mean)
        precision = 1 / np.asarray(component.sd) ** 2

        def objective(b: FloatArray) -> float:
            fit = float(self._log_likelihood(b[None])[0])
            return fit - 0.5 * float(np.sum(precision * (b - mean) ** 2))

        b = mean.copy()
        value = objective(b)
        for _ in range(100):
            z = x @ b
            before, after = expit(z), expit(z + self._evidence)
            gradient = x.T @ (after - before) - precision * (b - mean)
            curvature = before * (1 - before) - after * (1 - after)
            step = np.linalg.solve(_definite(x.T @ (curvature[:, None] * x), precision), gradient)
            scale = 1.0
            while scale > 1e-6 and objective(b + scale * step) < value:
                scale /= 2  # the likelihood is not concave: never step down
            b = b + scale * step
            new = objective(b)
            if abs(new - value) < 1e-9 * (1 + abs(value)):
                break
            value = new
        z = x @ b
        before, after = expit(z), expit(z + self._evidence)
        curvature = before * (1 - before) - after * (1 - after)
        inverse = np.linalg.inv(_definite(x.T @ (curvature[:, None] * x), precision))
        return b, np.asarray(inverse, dtype=np.float64)

    def _sample(self) -> None:
        """Draw from t-distributions at the modes and weight the draws by the posterior."""
        rng = np.random.default_rng(self.seed)
        d = self._design.shape[1]
        modes = [self._mode(component) for component in self.components]
        log_prior_share = -np.log(len(self.components))
        evidence = np.array(
            [
                float(self._log_likelihood(b[None])[0])
                + float(_log_normal(b[None], component)[0])
                + 0.5 * np.linalg.slogdet(covariance)[1]
                for component, (b, covariance) in zip(self.components, modes, strict=True)
            ]
        )
        # at least a tenth of the draws a component, so that a poor Laplace evidence cannot lose it
        share = 0.7 * np.exp(evidence - logsumexp(evidence)) + 0.3 / len(self.components)
        chosen = rng.choice(len(modes), self.n_proposals, p=share / share.sum())
        normal = rng.standard_normal((self.n_proposals, d))
        scale = np.sqrt(PROPOSAL_DF / rng.chisquare(PROPOSAL_DF, self.n_proposals))
        roots = [np.asarray(np.linalg.cholesky(c), dtype=np.float64) for _, c in modes]
        draws = np.stack([modes[c][0] for c in chosen])
        draws += scale[:, None] * np.einsum("mij,mj->mi", np.stack(roots)[chosen], normal)
        log_proposal = logsumexp(
            [
                np.log(share[j] / share.sum()) + _log_t(draws, modes[j][0], roots[j])
                for j in range(len(modes))
            ],
            axis=0,
        )
        by_component = np.stack(
            [log_prior_share + _log_normal(draws, component) for component in self.components]
        )
        log_weight = self._log_likelihood(draws) + logsumexp(by_component, axis=0) - log_proposal
        weights = np.exp(log_weight - logsumexp(log_weight))
        belongs = np.exp(by_component - logsumexp(by_component, axis=0))
        self.coefficients_, self.weights_ = draws, weights
        self.n_effective_ = float(1 / np.sum(weights**2))
        self.component_weights_ = {
            component.name: float(weights @ belongs[j])
            for j, component in enumerate(self.components)
        }


def _definite(curvature: FloatArray, precision: FloatArray) -> FloatArray:
    """Add the prior's precision; where the likelihood curves the wrong way, keep only that."""
    total = curvature + np.diag(precision)
    values, vectors = np.linalg.eigh(total)
    floor = 0.1 * float(precision.min())
    definite: FloatArray = (vectors * np.maximum(values, floor)) @ vectors.T
    return definite


def _log_normal(b: FloatArray, component: Component) -> FloatArray:
    """Log density of a component's prior, up to the constant that all components share."""
    sd = np.asarray(component.sd)
    total: FloatArray = -0.5 * np.sum(((b - np.asarray(component.mean)) / sd) ** 2, axis=1)
    return total - float(np.log(sd).sum())


def _log_t(b: FloatArray, centre: FloatArray, root: FloatArray) -> FloatArray:
    """Log density of a multivariate t-distribution, up to the constant that all share."""
    d = centre.size
    standard = np.linalg.solve(root, (b - centre).T)
    constant = gammaln((PROPOSAL_DF + d) / 2) - gammaln(PROPOSAL_DF / 2)
    constant -= float(np.log(np.diag(root)).sum())
    tail: FloatArray = np.log1p(np.sum(standard**2, axis=0) / PROPOSAL_DF)
    result: FloatArray = constant - (PROPOSAL_DF + d) / 2 * tail
    return result
