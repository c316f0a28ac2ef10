"""Dawid-Skene: every rater has error rates of their own, found together with the labels."""

import warnings
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit

from estimation.aggregation.encoding import EncodedRatings, encode_ratings, prior_logits
from estimation.aggregation.nuts import ConvergenceWarning
from estimation.aggregation.priors import PriorLike, prior_of_items
from estimation.checks import FloatArray
from estimation.ratings import RatingsError, RatingsWarning

#: Beta prior of a rater's error rate; its mode, 0.2, is what published studies found.
ERROR_PRIOR = (2.0, 5.0)
#: Beta prior of the prevalence: two imagined items, one of each label, at its mode of one half.
PREVALENCE_PRIOR = (2.0, 2.0)


class DawidSkene:
    """Aggregate ratings by EM with error rates by rater, at the mode of their posterior.

    Priors on all rates keep the solution defined for raters with few or one-sided answers, and tell
    it from its mirror image, in which every label and every rater is reversed.

    Parameters
    ----------
    kind : {"two_coin", "one_coin"}
        A miss rate and a false-alarm rate a rater, or one error rate a rater for both.
    error_prior : tuple of float
        Beta prior (a, b), both at least 1 and not both 1, of every error rate. Its mode
        (a - 1)/(a + b - 2) must be below one half.
    prevalence_prior : tuple of float
        Beta prior (a, b), both above 1, of the share of present items where it is learned.
    clip : float
        Concept priors are clipped to [clip, 1 - clip].
    max_iterations : int
        Sweeps at most.
    tolerance : float
        Stop when the log posterior grows by less than this per rating; 0 runs all iterations.

    Attributes
    ----------
    probabilities_ : Series of float64, one an item
        P(present | ratings); 0 or 1 of gold items; the prior of items that nobody could tell.
    labels_ : Series of float64
        1 above one half, 0 below, 0.5 at one half.
    miss_rate_, false_alarm_rate_ : Series of float64, one a rater
        P(absent | present) and P(present | absent).
    prevalence_ : float, or Series by concept, or None
        Learned share of present items, of each concept where the table has the column; None where a
        concept prior was given.
    log_posterior_ : ndarray of float64
        Log posterior density of the rates before each sweep; never falls.
    log_likelihood_ : ndarray of float64
        Its part from the ratings.
    n_iterations_ : int
        Sweeps done.
    converged_ : bool
        Whether the tolerance was met.

    References
    ----------
    Dawid and Skene, "Maximum likelihood estimation of observer error-rates using the EM algorithm",
    JRSS C 28 (1979). Beta priors: Raykar et al., "Learning from crowds", JMLR 11 (2010), sec. 2.6.
    """

    def __init__(
        self,
        kind: Literal["two_coin", "one_coin"] = "two_coin",
        *,
        error_prior: tuple[float, float] = ERROR_PRIOR,
        prevalence_prior: tuple[float, float] = PREVALENCE_PRIOR,
        clip: float = 1e-3,
        max_iterations: int = 100,
        tolerance: float = 1e-7,
    ) -> None:
        self.kind = kind
        self.error_prior = error_prior
        self.prevalence_prior = prevalence_prior
        self.clip = clip
        self.max_iterations = max_iterations
        self.tolerance = tolerance

    def fit(self, ratings: pd.DataFrame, prior_of_item: PriorLike | None = None) -> Self:
        """Find labels and error rates.

        Parameters
        ----------
        ratings : DataFrame
            A ratings table, see `estimation.ratings.check_ratings`. Labels in a column ``gold`` are
            taken as known.
        prior_of_item : optional
            Concept prior of the items, see `estimation.aggregation.priors.prior_of_items`; without
            it the prevalence is learned.

        Returns
        -------
        DawidSkene
            This object, fitted.

        Raises
        ------
        RatingsError
            When the table does not pass the checks, items have no prior, or a setting is out of
            range.

        Warns
        -----
        ConvergenceWarning
            When the tolerance was not met in `max_iterations` sweeps.
        RatingsWarning
            When no rating says present or absent.
        """
        self._check_settings()
        data = encode_ratings(ratings)
        if data.answers.size == 0:
            warnings.warn(
                "ratings: every rating is 'cannot tell', so probabilities are those of the prior",
                RatingsWarning,
                stacklevel=2,
            )
        if prior_of_item is None:
            group, self._groups = prevalence_groups(data)
            fixed = None
        else:
            group, self._groups = None, None
            fixed = prior_logits(prior_of_items(ratings, prior_of_item), data.first_row, self.clip)
        posterior = self._run(data, group, fixed)
        self._store(posterior, data)
        if not self.converged_ and self.tolerance > 0:
            warnings.warn(
                f"DawidSkene: not converged in {self.max_iterations} sweeps; raise max_iterations, "
                "or ask for more ratings an item",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def fit_predict_proba(
        self, ratings: pd.DataFrame, prior_of_item: PriorLike | None = None
    ) -> "pd.Series[float]":
        """Fit and return ``probabilities_``, see `fit`."""
        return self.fit(ratings, prior_of_item).probabilities_

    def predict_proba(
        self, ratings: pd.DataFrame, prior_of_item: PriorLike | None = None
    ) -> "pd.Series[float]":
        """Aggregate ratings with the error rates that were found, without learning more.

        Parameters
        ----------
        ratings : DataFrame
            A ratings table. A rater who was not in the fit has the mean error rates of its raters.
        prior_of_item : optional
            Concept prior of the items; without it the learned prevalence is used.

        Returns
        -------
        Series of float64, one an item

        Raises
        ------
        RatingsError
            When nothing was fitted, the table does not pass the checks, neither a prior nor a
            learned prevalence exists, or a concept was not in the fit.
        """
        from estimation.aggregation import em_kernel

        if not hasattr(self, "miss_rate_"):
            msg = "predict_proba: no error rates were found yet; call fit first"
            raise RatingsError(msg)
        data = encode_ratings(ratings)
        rates = [
            series.reindex(data.raters).fillna(float(series.mean())).to_numpy()
            for series in (self.miss_rate_, self.false_alarm_rate_)
        ]
        if prior_of_item is not None:
            prior = prior_logits(prior_of_items(ratings, prior_of_item), data.first_row, self.clip)
        else:
            prior = self._learned_prior(data)
        posterior = np.empty(len(data.items))
        evidence = _answer_evidence(np.stack(rates, axis=1))
        em_kernel.two_coin_sweep(
            data.starts,
            data.answers,
            evidence,
            prior,
            data.known,
            posterior,
            np.empty(evidence.size),
        )
        return pd.Series(posterior, index=data.items, name="probability")

    def _check_settings(self) -> None:
        if self.kind not in ("two_coin", "one_coin"):
            msg = f"kind: {self.kind!r} is neither 'two_coin' nor 'one_coin'"
            raise RatingsError(msg)
        a, b = self.error_prior
        if not (1 <= a < b < np.inf):
            msg = (
                f"error_prior: Beta{self.error_prior} has no mode below one half; give (a, b) with "
                "1 <= a < b, so that raters are taken to be right more often than wrong"
            )
            raise RatingsError(msg)
        if not all(1 < number < np.inf for number in self.prevalence_prior):
            msg = (
                f"prevalence_prior: Beta{self.prevalence_prior} must have both numbers above 1 "
                "and finite"
            )
            raise RatingsError(msg)
        if self.max_iterations < 1 or not self.tolerance >= 0 or not 0 < self.clip < 0.5:
            msg = (
                f"max_iterations {self.max_iterations}, tolerance {self.tolerance}, clip "
                f"{self.clip}: must be at least 1, at least 0, and in (0, 0.5)"
            )
            raise RatingsError(msg)

    def _run(
        self,
        data: EncodedRatings,
        group: NDArray[np.int64] | None,
        fixed: FloatArray | None,
    ) -> FloatArray:
        """Run EM and leave rates and history on this object."""
        from estimation.aggregation import em_kernel

        n_raters, n_items = len(data.raters), len(data.items)
        total = em_kernel.count_answers(data.answers, n_raters).reshape(n_raters, 2)
        present = np.empty(2 * n_raters)
        posterior = np.empty(n_items)
        a, b = self.error_prior
        rates = np.full((n_raters, 2), a / (a + b))  # miss, false alarm
        n_groups = 1 if self._groups is None else len(self._groups)
        prevalence = np.full(n_groups, 0.5)
        in_group = np.array([n_items]) if group is None else np.bincount(group, minlength=n_groups)
        log_posterior: list[float] = []
        log_likelihood: list[float] = []
        self.converged_ = False
        for _ in range(self.max_iterations):
            prior = fixed
            if prior is None:
                prior = logit(prevalence) if group is None else logit(prevalence)[group]
            # all items absent: the constant that the sweep leaves out
            value = float(total[:, 0] @ np.log1p(-rates[:, 1]) + total[:, 1] @ np.log(rates[:, 1]))
            value += em_kernel.two_coin_sweep(
                data.starts,
                data.answers,
                _answer_evidence(rates),
                prior,
                data.known,
                posterior,
                present,
            )
            log_likelihood.append(value)
            log_posterior.append(value + self._log_prior(rates, prevalence, fixed is None))
            gain = log_posterior[-1] - log_posterior[-2] if len(log_posterior) > 1 else np.inf
            if gain < self.tolerance * max(data.answers.size, 1):
                self.converged_ = True
                break
            rates = self._rates(total, present.reshape(n_raters, 2))
            if fixed is None:
                of_group = (
                    np.array([posterior.sum()])
                    if group is None
                    else np.bincount(group, posterior, minlength=n_groups)
                )
                pa, pb = self.prevalence_prior
                prevalence = (of_group + pa - 1) / (in_group + pa + pb - 2)
        self._prevalence = None if fixed is not None else prevalence
        self._rates_found = rates
        self.n_iterations_ = len(log_posterior)
        self.log_posterior_ = np.array(log_posterior)
        self.log_likelihood_ = np.array(log_likelihood)
        return posterior

    def _rates(self, total: FloatArray, present: FloatArray) -> FloatArray:
        """Find the most probable miss and false-alarm rates from expected counts of answers."""
        a, b = self.error_prior
        absent = total - present
        wrong = np.stack([present[:, 0], absent[:, 1]], axis=1)
        tries = np.stack([present.sum(axis=1), absent.sum(axis=1)], axis=1)
        if self.kind == "one_coin":
            wrong = np.repeat(wrong.sum(axis=1, keepdims=True), 2, axis=1)
            tries = np.repeat(tries.sum(axis=1, keepdims=True), 2, axis=1)
        # sums of probabilities may end a rounding error outside [0, tries]
        rates = (np.clip(wrong, 0, tries) + a - 1) / (tries + a + b - 2)
        # a = 1 allows a rate of 0, whose logarithm the next sweep needs
        clipped: FloatArray = np.clip(rates, 1e-12, 1 - 1e-12)
        return clipped

    def _log_prior(self, rates: FloatArray, prevalence: FloatArray, learned: bool) -> float:
        a, b = self.error_prior
        value = float(np.sum((a - 1) * np.log(rates) + (b - 1) * np.log1p(-rates)))
        if self.kind == "one_coin":
            value /= 2
        if learned:
            pa, pb = self.prevalence_prior
            value += float(np.sum((pa - 1) * np.log(prevalence) + (pb - 1) * np.log1p(-prevalence)))
        return value

    def _store(self, posterior: FloatArray, data: EncodedRatings) -> None:
        self.probabilities_ = pd.Series(posterior, index=data.items, name="probability")
        labels = 0.5 + 0.5 * np.sign(posterior - 0.5)
        self.labels_ = pd.Series(labels, index=data.items, name="label")
        self.miss_rate_ = pd.Series(self._rates_found[:, 0], index=data.raters, name="miss_rate")
        self.false_alarm_rate_ = pd.Series(
            self._rates_found[:, 1], index=data.raters, name="false_alarm_rate"
        )
        self.prevalence_: float | pd.Series[float] | None = None
        if self._prevalence is not None:
            self.prevalence_ = (
                float(self._prevalence[0])
                if self._groups is None
                else pd.Series(self._prevalence, index=self._groups, name="prevalence")
            )

    def _learned_prior(self, data: EncodedRatings) -> FloatArray:
        if self.prevalence_ is None:
            msg = "prior_of_item: the fit used a concept prior; give that of these items too"
            raise RatingsError(msg)
        if not isinstance(self.prevalence_, pd.Series):
            return np.array([logit(self.prevalence_)])
        if data.items.nlevels == 1:
            msg = "ratings: the fit had a column 'concept'; give one here too"
            raise RatingsError(msg)
        concepts = data.items.get_level_values("concept")
        missing = concepts[~concepts.isin(self.prevalence_.index)]
        if missing.size:
            msg = f"ratings: concept {missing[0]!r} was not in the fit; fit again with its ratings"
            raise RatingsError(msg)
        prior: FloatArray = logit(self.prevalence_.loc[concepts].to_numpy())
        return prior


def _answer_evidence(rates: FloatArray) -> FloatArray:
    """Log likelihood ratio of the answers "absent" and "present" of every rater, in turn."""
    evidence = np.empty((rates.shape[0], 2))
    evidence[:, 0] = np.log(rates[:, 0]) - np.log1p(-rates[:, 1])
    evidence[:, 1] = np.log1p(-rates[:, 0]) - np.log(rates[:, 1])
    return evidence.ravel()


def prevalence_groups(
    data: EncodedRatings,
) -> "tuple[NDArray[np.int64] | None, pd.Index[Any] | None]":
    """Number the concepts of the items, or (None, None) where there are none."""
    if data.items.nlevels == 1:
        return None, None
    codes, concepts = pd.factorize(data.items.get_level_values("concept"))
    return codes.astype(np.int64), pd.Index(concepts, name="concept")
