"""BRAgg, Bayesian rating aggregation: every rater has the same known error rate."""

from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from estimation.aggregation.priors import PriorLike, prior_of_items
from estimation.checks import FloatArray
from estimation.ratings import RatingsError, check_ratings, item_key, rating_counts

#: Values of the published study.
PUBLISHED_ERROR_RATE = 0.23
PUBLISHED_CONSTANT_PRIOR = 0.05
PUBLISHED_CLIP = 0.001


def bragg_posterior(
    n: ArrayLike,
    k: ArrayLike,
    prior: ArrayLike,
    *,
    error_rate: float = PUBLISHED_ERROR_RATE,
    clip: float = PUBLISHED_CLIP,
) -> FloatArray:
    """Compute the posterior probability of a label from its ratings, in closed form.

    Parameters
    ----------
    n : array-like of int
        Ratings an item.
    k : array-like of int
        Those that say present.
    prior : array-like
        Prior probability of the label, in [0, 1].
    error_rate : float
        Probability, in (0, 0.5), that a rating is wrong.
    clip : float
        The prior is clipped to [clip, 1 - clip].

    Returns
    -------
    ndarray, float64, broadcast shape
        sigmoid((2k - n) ln((1 - error_rate)/error_rate) + logit(prior)).

    Raises
    ------
    RatingsError
        When the error rate is outside (0, 0.5), k is outside [0, n], the prior outside [0, 1], or
        `clip` outside [0, 0.5).

    References
    ----------
    Oikarinen, Yan, Kulkarni, Weng, arXiv 2506.07985, Bayesian rating aggregation (BRAgg).
    """
    check_error_rate(error_rate)
    _check_clip(clip)
    counts_n = np.asarray(n, dtype=np.float64)
    counts_k = np.asarray(k, dtype=np.float64)
    before = np.asarray(prior, dtype=np.float64)
    # written so that NaN fails too
    if not (np.all(counts_k >= 0) and np.all(counts_k <= counts_n)):
        msg = "ratings: k (ratings that say present) must lie between 0 and n"
        raise RatingsError(msg)
    if not np.all((before >= 0) & (before <= 1)):
        msg = "prior: holds values that are no probabilities (NaN, or outside [0, 1])"
        raise RatingsError(msg)
    clipped = np.clip(before, clip, 1 - clip)
    evidence = (2 * counts_k - counts_n) * np.log((1 - error_rate) / error_rate)
    posterior: FloatArray = expit(evidence + logit(clipped))
    return posterior


class BRAgg:
    """Aggregate ratings by Bayes' rule with one error rate for all raters.

    Parameters
    ----------
    error_rate : float or "estimate"
        Probability that a rating is wrong, 0.23 as published; or estimate it by maximum a
        posteriori over all items (the prior is the Beta distribution of `prior_ratings` ratings
        with the published error rate, which keeps it defined when raters always agree).
    prior : float or "estimate"
        Constant prior probability of a label for items without a concept prior, 0.05 as published;
        or estimate it (the published "empirical prior") together with the labels, at the mode of
        its posterior under a Beta prior of `prior_items` items around the share of "present"
        ratings. Concept prior and "estimate" exclude each other.
    clip : float
        Concept priors are clipped to [clip, 1 - clip].
    prior_ratings : float
        Weight, in ratings and above 0, of the prior on the estimated error rate.
    prior_items : float
        Weight, in items and above 0, of the share of "present" ratings on the estimated prior.

    Attributes
    ----------
    probabilities_ : Series of float64, one an item
        Posterior probability of the label.
    labels_ : Series of float64
        1 where the probability exceeds one half.
    error_rate_ : float
        Error rate that was used.
    prior_ : float or None
        Constant prior that was used; None where a concept prior was given.
    n_iterations_ : int
        Iterations of the estimate; 0 when error rate and prior were given.
    """

    def __init__(
        self,
        error_rate: float | Literal["estimate"] = PUBLISHED_ERROR_RATE,
        *,
        prior: float | Literal["estimate"] = PUBLISHED_CONSTANT_PRIOR,
        clip: float = PUBLISHED_CLIP,
        prior_ratings: float = 20.0,
        prior_items: float = 10.0,
    ) -> None:
        self.error_rate = error_rate
        self.prior = prior
        self.clip = clip
        self.prior_ratings = prior_ratings
        self.prior_items = prior_items

    def fit(self, ratings: pd.DataFrame, prior_of_item: PriorLike | None = None) -> Self:
        """Aggregate.

        Parameters
        ----------
        ratings : DataFrame
            A ratings table, see `estimation.ratings.check_ratings`; a column ``gold`` is not used.
        prior_of_item : optional
            Concept prior of the items, see `estimation.aggregation.priors.prior_of_items`; without
            it the constant prior is used.

        Returns
        -------
        BRAgg
            This object, fitted.

        Raises
        ------
        RatingsError
            When the table does not pass the checks, or items have no prior, or the error rate or
            the constant prior is out of range.
        """
        learn_prior = self._check_settings(prior_of_item)
        clean = check_ratings(ratings)
        counts = rating_counts(clean)
        n, k = counts["n"].to_numpy(), counts["k"].to_numpy()
        if prior_of_item is None:
            share = (float(k.sum()) + 1) / (float(n.sum()) + 2)
            prior = np.full(n.size, share if learn_prior else self.prior, dtype=np.float64)
        else:
            rows = clean.assign(prior=prior_of_items(clean, prior_of_item))
            prior = (
                rows.groupby(item_key(clean), sort=False)["prior"]
                .first()
                .to_numpy(dtype=np.float64)
            )
        self.error_rate_, prior, self.n_iterations_ = self._estimate(n, k, prior, learn_prior)
        self.prior_ = float(prior[0]) if prior_of_item is None else None
        posterior = bragg_posterior(n, k, prior, error_rate=self.error_rate_, clip=self.clip)
        self.probabilities_ = pd.Series(posterior, index=counts.index, name="probability")
        self.labels_ = (self.probabilities_ > 0.5).astype("float64").rename("label")
        return self

    def fit_predict_proba(
        self, ratings: pd.DataFrame, prior_of_item: PriorLike | None = None
    ) -> "pd.Series[float]":
        """Fit and return ``probabilities_``, see `fit`."""
        return self.fit(ratings, prior_of_item).probabilities_

    def _check_settings(self, prior_of_item: PriorLike | None) -> bool:
        """Refuse settings out of range; say whether the prior is to be learned."""
        if self.error_rate != "estimate":
            check_error_rate(self.error_rate)
        _check_clip(self.clip)
        for name in ("prior_ratings", "prior_items"):
            weight = getattr(self, name)
            if not 0 < weight < np.inf:
                msg = f"{name}: found {weight!r}, expected a number above 0; 10 or 20 is usual"
                raise RatingsError(msg)
        if self.prior == "estimate":
            if prior_of_item is not None:
                msg = "prior: 'estimate' learns a constant prior, but a concept prior was given too"
                raise RatingsError(msg)
            return True
        _check_prior(self.prior)
        return False

    def _estimate(
        self,
        n: np.ndarray,
        k: np.ndarray,
        prior: FloatArray,
        learn_prior: bool,
        tolerance: float = 1e-10,
    ) -> tuple[float, FloatArray, int]:
        """Run EM for the one-coin error rate, the prior, or both, with labels summed out.

        Returns
        -------
        error_rate : float
        prior : ndarray, shape (n_items,)
        n_iterations : int
        """
        if self.error_rate != "estimate" and not learn_prior:
            return float(self.error_rate), prior, 0
        wrong_before = self.prior_ratings * PUBLISHED_ERROR_RATE
        share = float(prior[0])
        rate = PUBLISHED_ERROR_RATE if self.error_rate == "estimate" else float(self.error_rate)
        for iteration in range(1, 5001):
            label = bragg_posterior(n, k, prior, error_rate=rate, clip=self.clip)
            new, change = rate, 0.0
            if self.error_rate == "estimate":
                wrong = float(np.sum(label * (n - k) + (1 - label) * k))
                # above one half "error" and "right" would swap names; labels keep their meaning
                new = min((wrong + wrong_before) / (float(n.sum()) + self.prior_ratings), 0.499)
                change = abs(new - rate)
            if learn_prior:
                weight = self.prior_items
                learned = (float(label.sum()) + weight * share) / (label.size + weight)
                change = max(change, abs(learned - float(prior[0])))
                prior = np.full(n.size, learned)
            if change < tolerance:
                return new, prior, iteration
            rate = new
        msg = (
            "error_rate, prior: the estimate did not converge in 5000 iterations; give numbers "
            "instead"
        )
        raise RatingsError(msg)


def _check_clip(clip: float) -> None:
    if not 0 <= clip < 0.5:
        msg = f"clip: {clip} is outside [0, 0.5); {PUBLISHED_CLIP} is published"
        raise RatingsError(msg)


def _check_prior(prior: object) -> None:
    if not isinstance(prior, int | float) or not 0 < prior < 1:
        msg = f"prior: the constant prior {prior!r} is neither in (0, 1) nor 'estimate'"
        raise RatingsError(msg)


def check_error_rate(error_rate: object) -> None:
    """Refuse an error rate outside (0, 0.5).

    Parameters
    ----------
    error_rate : float
        Probability that a rating is wrong.

    Raises
    ------
    RatingsError
        When it is no number in (0, 0.5): at one half ratings say nothing, above they say the
        opposite.
    """
    if not isinstance(error_rate, int | float) or not 0 < error_rate < 0.5:
        msg = f"error_rate: {error_rate!r} is neither a number in (0, 0.5) nor 'estimate'"
        raise RatingsError(msg)
