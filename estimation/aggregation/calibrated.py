"""Dawid-Skene with item difficulty, integrated over what ratings leave open: honest probabilities.

Independent-rater models multiply the evidence of answers that share their mistakes, and treat rates
guessed from a handful of answers as known; their probabilities are far too sure. Three things mend
that here: a difficulty of items whose spread sigma is learned, raters' rates averaged over their
posterior, and sigma and the prevalence integrated out on a grid instead of put at their mode.
"""

import warnings
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from estimation.aggregation.dawid_skene import prevalence_groups
from estimation.aggregation.difficulty_grid import (
    PREVALENCE_SCALE,
    GridPoint,
    explore_grid,
    mean_error_correlation,
)
from estimation.aggregation.encoding import EncodedRatings, encode_ratings, prior_logits
from estimation.aggregation.item_difficulty import mean_error_rates, predict_labels
from estimation.aggregation.nuts import ConvergenceWarning
from estimation.aggregation.priors import PriorLike, prior_of_items
from estimation.checks import FloatArray
from estimation.ratings import RatingsError, RatingsWarning

#: Weight, in answers, that pulls a concept's share towards that of all concepts, and, in items,
#: the prevalence found anew towards the last.
SHARE_WEIGHT = 10.0
#: Greatest scale of the prior of the prevalence: where ratings say little of it, a wider one is
#: integrated over all the logits that it allows, in hours.
WIDEST = 10.0
#: Times that the prevalences of several concepts are found anew from the labels.
CONCEPT_ROUNDS = 2


class CalibratedDawidSkene:
    """Aggregate ratings with raters' rates and items' difficulty, for calibrated probabilities.

    Parameters
    ----------
    consensus_error : float
        Probability, in [0, 0.5), that all raters of an item, however many, are misled the same way:
        p becomes e + (1 - 2e) p. No number of ratings can show it, so it is a prior: 2% by default,
        0 takes the crowd as infallible.
    prevalence_scale : float
        Scale, in (0, 10], of the prior of the prevalence where it is learned: its logit is Student
        t around 0, with 2 degrees of freedom. A smaller scale holds the prevalence of few ratings
        nearer to one half.
    clip : float
        Concept priors are clipped to [clip, 1 - clip].

    Attributes
    ----------
    probabilities_ : Series of float64, one an item
        P(present | ratings); exactly 0 or 1 of gold items.
    labels_ : Series of float64
        1 above one half, 0 below, 0.5 at one half.
    miss_rate_, false_alarm_rate_ : Series of float64, one a rater
        Posterior means, averaged over difficulty.
    prevalence_ : float, or Series by concept, or None
        Posterior mean of the share of present items; None where a concept prior was given.
    difficulty_sd_ : float
        Posterior mean of sigma.
    within_item_correlation_ : float
        Posterior mean of tau, the correlation of two alike raters' errors on one item: n answers of
        an item are worth n / (1 + (n - 1) tau) independent ones.
    grid_ : DataFrame
        Columns ``prevalence_shift`` (on the logit, from the share of "present" answers),
        ``difficulty_sd`` and ``weight``: what was integrated over.

    Notes
    -----
    Model: see `estimation.aggregation.item_difficulty`. The prevalence is hardly identified by few
    ratings an item, so its prior matters there: near one half, with heavy tails, which many ratings
    overrule. A prior around the share of "present" answers would use the ratings twice, and takes
    the bias of raters who say "present" rarely for rare concepts; on real crowds its labels were
    less accurate. In a table with several concepts the prior is that of their mean logit; each
    starts at its own share, and their prevalences are then found anew from their labels, twice.

    References
    ----------
    Difficulty in Dawid-Skene models: Carpenter, "Multilevel Bayesian models of categorical data
    annotation" (2008), sec. 3. Observed information: Louis, JRSS B 44 (1982).
    """

    def __init__(
        self,
        *,
        consensus_error: float = 0.02,
        prevalence_scale: float = PREVALENCE_SCALE,
        clip: float = 1e-3,
    ) -> None:
        self.consensus_error = consensus_error
        self.prevalence_scale = prevalence_scale
        self.clip = clip

    def fit(self, ratings: pd.DataFrame, prior_of_item: PriorLike | None = None) -> Self:
        """Aggregate.

        Parameters
        ----------
        ratings : DataFrame
            A ratings table, see `estimation.ratings.check_ratings`. Labels in a column ``gold`` are
            taken as known.
        prior_of_item : optional
            Concept prior of the items, see `estimation.aggregation.priors.prior_of_items`, taken as
            it is; without it the prevalence is learned.

        Returns
        -------
        CalibratedDawidSkene
            This object, fitted.

        Raises
        ------
        RatingsError
            When the table does not pass the checks, items have no prior, or a setting is out of
            range.

        Warns
        -----
        ConvergenceWarning
            When rates at the best point of the grid have not converged.
        RatingsWarning
            When no rating says present or absent.
        """
        if not 0 <= self.consensus_error < 0.5 or not 0 < self.clip < 0.5:
            msg = (
                f"consensus_error {self.consensus_error}, clip {self.clip}: must lie in [0, 0.5) "
                "and (0, 0.5)"
            )
            raise RatingsError(msg)
        if not 0 < self.prevalence_scale <= WIDEST:
            msg = (
                f"prevalence_scale: found {self.prevalence_scale}, expected a number in "
                f"(0, {WIDEST:g}]; {WIDEST:g} lets the ratings alone decide"
            )
            raise RatingsError(msg)
        data = encode_ratings(ratings)
        if data.answers.size == 0:
            warnings.warn(
                "ratings: every rating is 'cannot tell', so probabilities are those of the prior",
                RatingsWarning,
                stacklevel=2,
            )
        if prior_of_item is None:
            centre, groups = _share_logits(data)
        else:
            centre = prior_logits(prior_of_items(ratings, prior_of_item), data.first_row, self.clip)
            groups = None
        scale = self.prevalence_scale if prior_of_item is None else None
        points = explore_grid(data, centre, scale)
        if groups is not None and len(groups[1]) > 1:
            for _ in range(CONCEPT_ROUNDS):
                centre = _recentred(data, centre, points[0][0], groups[0])
                points = explore_grid(data, centre, scale)
        self._average(data, centre, points)
        self.prevalence_: float | pd.Series[float] | None = None
        if prior_of_item is None:
            shares = sum(w * expit(centre + p.shift) for p, w in points)
            self.prevalence_ = _by_group(np.asarray(shares), groups)
        if not points[0][0].converged:
            warnings.warn(
                "CalibratedDawidSkene: raters' rates have not converged; ask for more ratings an "
                "item before trusting a single rater's rates",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def fit_predict_proba(
        self, ratings: pd.DataFrame, prior_of_item: PriorLike | None = None
    ) -> "pd.Series[float]":
        """Fit and return ``probabilities_``, see `fit`."""
        return self.fit(ratings, prior_of_item).probabilities_

    def _average(
        self, data: EncodedRatings, centre: FloatArray, points: list[tuple[GridPoint, float]]
    ) -> None:
        """Average labels, rates and correlations over the grid."""
        present = np.zeros(len(data.items))
        rates = np.zeros((len(data.raters), 2))
        for point, weight in points:
            label = predict_labels(data, centre + point.shift, point.sigma, point.raters)
            present += weight * label
            rates += weight * mean_error_rates(point.raters, point.sigma)
        present = self.consensus_error + (1 - 2 * self.consensus_error) * np.clip(present, 0, 1)
        if data.known.size:
            present = np.where(data.known >= 0, data.known, present)
        self.probabilities_ = pd.Series(present, index=data.items, name="probability")
        labels = 0.5 + 0.5 * np.sign(present - 0.5)
        self.labels_ = pd.Series(labels, index=data.items, name="label")
        self.false_alarm_rate_ = pd.Series(rates[:, 0], data.raters, name="false_alarm_rate")
        self.miss_rate_ = pd.Series(rates[:, 1], data.raters, name="miss_rate")
        self.within_item_correlation_ = mean_error_correlation(data, centre, points)
        self.difficulty_sd_ = float(sum(weight * point.sigma for point, weight in points))
        self.grid_ = pd.DataFrame(
            [(point.shift, point.sigma, weight) for point, weight in points],
            columns=["prevalence_shift", "difficulty_sd", "weight"],
        )


def _share_logits(data: EncodedRatings) -> tuple[FloatArray, Any]:
    """Logit of the share of "present" answers of every item's concept, and the concepts."""
    n = np.diff(data.starts)
    yes = np.concatenate([[0], np.cumsum(data.answers & 1)])
    k = yes[data.starts[1:]] - yes[data.starts[:-1]]
    overall = (k.sum() + 1) / (n.sum() + 2)
    group, concepts = prevalence_groups(data)
    if group is None:
        return np.full(n.size, float(logit(overall))), None
    share = (np.bincount(group, k) + SHARE_WEIGHT * overall) / (
        np.bincount(group, n) + SHARE_WEIGHT
    )
    return logit(share)[group], (group, concepts)


def _recentred(
    data: EncodedRatings, centre: FloatArray, point: GridPoint, group: NDArray[np.int64]
) -> FloatArray:
    """Give every concept the prevalence that its labels have, pulled a little towards the last."""
    label = predict_labels(data, centre + point.shift, point.sigma, point.raters)
    n = np.bincount(group)
    last = np.bincount(group, expit(centre + point.shift)) / n
    share = (np.bincount(group, label) + SHARE_WEIGHT * last) / (n + SHARE_WEIGHT)
    logits: FloatArray = logit(np.clip(share, 1e-6, 1 - 1e-6))[group]
    return logits


def _by_group(shares: FloatArray, groups: Any) -> "float | pd.Series[float]":
    if groups is None:
        return float(shares[0])
    group, concepts = groups
    values = np.empty(len(concepts))
    values[group] = shares
    return pd.Series(values, index=concepts, name="prevalence")
