"""The one-pair model: labels of one (neuron, concept) in milliseconds, without a sampler.

Labels depend on concept prior and activation as ``label_prior`` says, counts of ratings on the
label as ``rating_likelihood`` says, and labels are summed out. The mixture of opinions, raters'
rates and the correlation of their errors on one item are fitted together: each opinion at its mode,
then the posterior by importance resampling from t-distributions at the modes, so that it is exact
up to Monte Carlo error.
"""

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_expit, logit, logsumexp

from estimation.aggregation.importance import find_mode, log_normal, weighted_draws
from estimation.aggregation.label_prior import (
    COMPONENTS,
    N_COEFFICIENTS,
    Component,
    check_clip,
    label_features,
)
from estimation.aggregation.priors import item_indices
from estimation.aggregation.rating_likelihood import CountsLikelihood, counts_likelihood
from estimation.checks import EstimationError, FloatArray, standardized
from estimation.label_totals import CHUNK, LabelTotals
from estimation.ratings import RatingsError, rating_counts


class LaplaceMixture:
    """Posterior of one concept vector from one pair's ratings, prior and activations.

    Parameters
    ----------
    miss_rate, false_alarm_rate : float
        Raters' expected error rates, in (0, 1), with a sum below 1.
    rate_sd : float
        Doubt about each of them: standard deviation on the logit. 0 takes them as known.
    within_item_correlation : float
        Expected correlation of raters' answers on one item given its label, in [0, 1).
    correlation_sd : float
        Doubt about it: standard deviation on the logit; without effect where it is 0.
    clip : float
        The concept prior is clipped to [clip, 1 - clip]; in (0, 0.5).
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
    miss_rates_, false_alarm_rates_, correlations_ : ndarray, shape (n_proposals,)
        Weighted draws of the raters' rates, same rows.
    weights_ : ndarray, shape (n_proposals,)
        Importance weights, summing to 1.
    n_effective_ : float
        Effective number of those draws.
    features_ : ndarray, shape (n_inputs, 4)
        Features of every input.
    """

    def __init__(
        self,
        *,
        miss_rate: float = 0.23,
        false_alarm_rate: float = 0.23,
        rate_sd: float = 0.3,
        within_item_correlation: float = 0.1,
        correlation_sd: float = 1.2,
        clip: float = 1e-4,
        components: tuple[Component, ...] = COMPONENTS,
        n_proposals: int = 2000,
        seed: int = 0,
    ) -> None:
        self.miss_rate = miss_rate
        self.false_alarm_rate = false_alarm_rate
        self.rate_sd = rate_sd
        self.within_item_correlation = within_item_correlation
        self.correlation_sd = correlation_sd
        self.clip = clip
        self.components = components
        self.n_proposals = n_proposals
        self.seed = seed

    def settings(self) -> dict[str, Any]:
        """Return the parameters that the object was made with, to make others like it."""
        names = (
            "miss_rate",
            "false_alarm_rate",
            "rate_sd",
            "within_item_correlation",
            "correlation_sd",
            "clip",
            "components",
            "n_proposals",
            "seed",
        )
        return {name: getattr(self, name) for name in names}

    def fit(self, activation: ArrayLike, prior: ArrayLike, ratings: pd.DataFrame) -> Self:
        """Fit one pair.

        Parameters
        ----------
        activation : array-like, shape (n_inputs,)
            Activations of the neuron.
        prior : array-like, shape (n_inputs,)
            Concept prior in [0, 1].
        ratings : DataFrame
            Ratings of this concept, items being indices of inputs. A column ``gold`` is not used:
            labels that are known count by their ratings alone.

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
            Indices of the rated inputs, each once; none is allowed: the prior alone then speaks.
        n, k : array-like, shape (n_items,)
            Counts.

        Returns
        -------
        LaplaceMixture
            This object, fitted.

        Raises
        ------
        EstimationError
            As in `fit`; also when counts do not fit the items.
        """
        return self.fit_features(label_features(activation, prior, clip=self.clip), items, n, k)

    def fit_features(
        self, features: FloatArray, items: NDArray[np.int64], n: ArrayLike, k: ArrayLike
    ) -> Self:
        """Fit one pair from the features of its inputs, made once for many fits.

        Parameters
        ----------
        features : ndarray, shape (n_inputs, 4), float64
            From `label_features`.
        items, n, k
            As in `fit_counts`.

        Returns
        -------
        LaplaceMixture
            This object, fitted.

        Raises
        ------
        EstimationError
            As in `fit_counts`.
        """
        self._check_settings()
        self.features_ = features
        self.items_, self.n_, self.k_ = _checked_counts(items, n, k, features.shape[0])
        # few distinct (n, k): their likelihood is computed once each
        self._cells, self._cell = np.unique(
            np.stack([self.n_, self.k_], axis=1), axis=0, return_inverse=True
        )
        self._cell = self._cell.reshape(-1)
        self._cell_sizes = np.bincount(self._cell, minlength=len(self._cells)).astype(np.float64)
        self._sample()
        return self

    def concept_draws(self, *, n_draws: int = 400) -> FloatArray:
        """Compute P(c_i = 1 | b, rates, ratings) for every input.

        Parameters
        ----------
        n_draws : int
            Draws, resampled by weight (systematically, so evenly).

        Returns
        -------
        ndarray, shape (n_draws, n_inputs), float64
            Rows match those of `prediction_draws`.
        """
        picked = self._picked(n_draws)
        z = self.coefficients_[picked] @ self.features_.T
        z[:, self.items_] += self._evidence(picked)
        result: FloatArray = expit(z, out=z)
        return result

    def prediction_draws(self, *, n_draws: int = 400) -> FloatArray:
        """Compute P(c_i = 1 | b), before an input's own ratings; see `concept_draws`."""
        z = self.coefficients_[self._picked(n_draws)] @ self.features_.T
        result: FloatArray = expit(z, out=z)
        return result

    def label_totals(self, activation: ArrayLike, *, n_draws: int = 400) -> LabelTotals:
        """Sum the labels' posterior over all inputs, without holding draws x inputs in memory.

        Parameters
        ----------
        activation : array-like, shape (n_inputs,)
            Activations of the neuron that is scored.
        n_draws : int
            Draws.

        Returns
        -------
        LabelTotals

        Raises
        ------
        EstimationError
            When the activations cannot be used.
        """
        scaled = standardized(activation)
        self._check_size(scaled.size)
        picked = self._picked(n_draws)
        coefficients = self.coefficients_[picked]
        totals = LabelTotals.zeros(n_draws, scaled.size)
        for rows in self._chunks():
            totals.add(expit(self.features_[rows] @ coefficients.T), scaled[rows])
        # rated inputs: their prediction out, their posterior in
        z = self.features_[self.items_] @ coefficients.T
        totals.add(expit(z), scaled[self.items_], sign=-1)
        totals.add(expit(z + self._evidence(picked).T), scaled[self.items_])
        return totals

    def label_means(self, *, n_draws: int = 64) -> FloatArray:
        """Compute the posterior probability of every input's label.

        Parameters
        ----------
        n_draws : int
            Draws of the parameters to average over.

        Returns
        -------
        ndarray, shape (n_inputs,), float64
        """
        picked = self._picked(n_draws)
        coefficients = self.coefficients_[picked]
        means = np.empty(self.features_.shape[0])
        for rows in self._chunks():
            means[rows] = expit(self.features_[rows] @ coefficients.T).mean(axis=1)
        z = self.features_[self.items_] @ coefficients.T
        means[self.items_] = expit(z + self._evidence(picked).T).mean(axis=1)
        return means

    def mean_rates(self) -> tuple[float, float, float]:
        """Average miss rate, false-alarm rate and within-item correlation over the posterior."""
        miss, false_alarm, correlation = (
            float(self.weights_ @ values)
            for values in (self.miss_rates_, self.false_alarm_rates_, self.correlations_)
        )
        return miss, false_alarm, correlation

    def coefficient_covariance(self) -> FloatArray:
        """Compute the posterior covariance of the coefficients b, shape (4, 4)."""
        off = self.coefficients_ - self.weights_ @ self.coefficients_
        covariance: FloatArray = (off * self.weights_[:, None]).T @ off
        return covariance

    def _chunks(self) -> Iterator[slice]:
        for start in range(0, self.features_.shape[0], CHUNK):
            yield slice(start, start + CHUNK)

    def _check_size(self, n_inputs: int) -> None:
        if n_inputs != self.features_.shape[0]:
            msg = f"activation: {n_inputs} inputs, but the fit has {self.features_.shape[0]}"
            raise EstimationError(msg)

    def _picked(self, n_draws: int) -> NDArray[np.int64]:
        """Resample draws by weight."""
        if n_draws < 1:
            msg = f"n_draws: {n_draws} is below 1"
            raise EstimationError(msg)
        places = (np.arange(n_draws) + 0.5) / n_draws
        picked = np.searchsorted(np.cumsum(self.weights_), places)
        return np.minimum(picked, self.weights_.size - 1).astype(np.int64)

    def _evidence(self, picked: NDArray[np.int64]) -> FloatArray:
        """Log likelihood ratio of present to absent of each rated input, shape (m, n_items)."""
        table = self._likelihood(self._theta[picked])
        ratio: FloatArray = (table.present - table.absent)[:, self._cell]
        return ratio

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
        if not 0 <= self.within_item_correlation < 1:
            msg = f"within_item_correlation: {self.within_item_correlation} is outside [0, 1)"
            raise EstimationError(msg)
        for name in ("rate_sd", "correlation_sd"):
            if not 0 <= getattr(self, name) < np.inf:
                msg = f"{name}: {getattr(self, name)} is negative or infinite; 0 means certainty"
                raise EstimationError(msg)
        check_clip(self.clip)
        if self.n_proposals < 1:
            msg = f"n_proposals: {self.n_proposals} is below 1; 2000 is usual"
            raise EstimationError(msg)
        if not self.components:
            msg = "components: none; give at least one opinion of the concept prior"
            raise EstimationError(msg)
        if self.seed < 0:
            msg = f"seed: {self.seed} is negative; give 0 or more"
            raise EstimationError(msg)

    def _rates(self, theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Miss rates, false-alarm rates and correlations of rows of parameters."""
        rates = expit(theta[:, N_COEFFICIENTS:])
        correlation = rates[:, 2] if self.within_item_correlation > 0 else np.zeros(len(theta))
        return rates[:, 0], rates[:, 1], correlation

    def _likelihood(self, theta: FloatArray) -> CountsLikelihood:
        return counts_likelihood(self._cells[:, 0], self._cells[:, 1], *self._rates(theta))

    def _log_likelihood(self, theta: FloatArray) -> FloatArray:
        """Log likelihood up to a constant of rows of parameters, shape (m, 7)."""
        z = theta[:, :N_COEFFICIENTS] @ self.features_[self.items_].T
        table = self._likelihood(theta)
        after = z + (table.present - table.absent)[:, self._cell]
        # log(P(present) e^L1 + P(absent) e^L0) = L0 + softplus(z + L1 - L0) - softplus(z)
        total: FloatArray = table.absent @ self._cell_sizes
        total += np.sum(np.maximum(after, 0) - np.maximum(z, 0), axis=1)
        np.abs(after, out=after)
        np.abs(z, out=z)
        total += np.sum(np.log1p(np.exp(-after)) - np.log1p(np.exp(-z)), axis=1)
        return total

    def _gradient(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Log likelihood of one parameter vector, and its gradient, shape (7,)."""
        x = self.features_[self.items_]
        z = x @ theta[:N_COEFFICIENTS]
        table = self._likelihood(theta[None])
        present = log_expit(z) + table.present[0, self._cell]
        either = np.logaddexp(present, log_expit(-z) + table.absent[0, self._cell])
        posterior = np.exp(present - either)
        by_present = posterior @ table.d_present[0, self._cell]
        by_absent = (1 - posterior) @ table.d_absent[0, self._cell]
        miss, false_alarm, correlation = (float(rate[0]) for rate in self._rates(theta[None]))
        gradient = np.concatenate(
            [
                x.T @ (posterior - expit(z)),
                [
                    -by_present[0] * miss * (1 - miss),
                    by_absent[0] * false_alarm * (1 - false_alarm),
                    (by_present[1] + by_absent[1]) * correlation * (1 - correlation),
                ],
            ]
        )
        return float(either.sum()), gradient

    def _sample(self) -> None:
        """Draw the posterior, coordinates without doubt left out."""
        rng = np.random.default_rng(self.seed)
        centre = [self.miss_rate, self.false_alarm_rate, self.within_item_correlation or 0.5]
        doubt = [self.rate_sd, self.rate_sd, self.correlation_sd]
        if self.within_item_correlation == 0:
            doubt[2] = 0.0
        means = np.array([[*component.mean, *logit(centre)] for component in self.components])
        sds = np.array([[*component.sd, *doubt] for component in self.components])
        free = sds[0] > 0

        def whole(theta: FloatArray) -> FloatArray:
            full = np.repeat(means[:1], len(theta), axis=0)
            full[:, free] = theta
            return full

        modes = []
        for mean, sd in zip(means[:, free], sds[:, free], strict=True):

            def objective(
                theta: FloatArray, mean: FloatArray = mean, sd: FloatArray = sd
            ) -> tuple[float, FloatArray]:
                value, gradient = self._gradient(whole(theta[None])[0])
                prior = float(log_normal(theta[None], mean, sd)[0])
                return value + prior, gradient[free] - (theta - mean) / sd**2

            modes.append(find_mode(objective, mean, 1 / sd**2))

        def by_component(theta: FloatArray) -> FloatArray:
            return np.stack(
                [
                    log_normal(theta, mean, sd)
                    for mean, sd in zip(means[:, free], sds[:, free], strict=True)
                ]
            )

        def log_density(theta: FloatArray) -> FloatArray:
            prior: FloatArray = logsumexp(by_component(theta), axis=0)
            return self._log_likelihood(whole(theta)) + prior

        draws, self.weights_ = weighted_draws(modes, log_density, self.n_proposals, rng)
        self._theta = whole(draws)
        self.coefficients_ = self._theta[:, :N_COEFFICIENTS]
        self.miss_rates_, self.false_alarm_rates_, self.correlations_ = self._rates(self._theta)
        self.n_effective_ = float(1 / np.sum(self.weights_**2))
        prior = by_component(draws)
        belongs = np.exp(prior - logsumexp(prior, axis=0))
        self.component_weights_ = {
            component.name: float(self.weights_ @ belongs[j])
            for j, component in enumerate(self.components)
        }


def _checked_counts(
    items: NDArray[np.int64], n: ArrayLike, k: ArrayLike, n_inputs: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Check counts of ratings."""
    places = item_indices(items, n_inputs) if np.size(items) else np.zeros(0, dtype=np.int64)
    total, present = np.asarray(n, dtype=np.int64), np.asarray(k, dtype=np.int64)
    if total.shape != places.shape or present.shape != places.shape:
        msg = f"n, k: shapes {total.shape} and {present.shape} for {places.size} items"
        raise EstimationError(msg)
    if np.unique(places).size < places.size:
        msg = "items: an input is there more than once; add its ratings up"
        raise EstimationError(msg)
    if np.any(present < 0) or np.any(present > total):
        msg = "n, k: k (ratings that say present) must lie between 0 and n"
        raise EstimationError(msg)
    return places, total, present
