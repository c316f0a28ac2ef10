"""Dawid-Skene with item difficulty, integrated over what ratings leave open: honest probabilities.

Independent-rater models multiply the evidence of answers that share their mistakes, and treat rates
guessed from a handful of answers as known; their probabilities are far too sure. Three things mend
that here: a difficulty of items whose spread sigma is learned, raters' rates averaged over their
posterior, and sigma and the prevalence integrated out on a grid instead of put at their mode.
"""

import heapq
import warnings
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import t as student_t

from estimation.aggregation.dawid_skene import prevalence_groups
from estimation.aggregation.encoding import EncodedRatings, encode_ratings, prior_logits
from estimation.aggregation.item_difficulty import (
    MEAN_ERROR,
    RaterFit,
    answer_weights,
    error_correlation,
    fit_raters,
    mean_error_rates,
    predict_labels,
    starting_raters,
)
from estimation.aggregation.nuts import ConvergenceWarning
from estimation.aggregation.priors import PriorLike, prior_of_items
from estimation.checks import FloatArray
from estimation.ratings import RatingsError, RatingsWarning

#: Prior of sigma, normal cut off at 0: at raters' mean error of 0.2 its mean is a tau of 0.1.
SIGMA_PRIOR = (0.8, 0.4)
#: Prior of the prevalence: its logit is Student t around that of the share of "present" answers.
SHARE_DF, SHARE_SCALE = 2.0, 0.25
#: Weight, in answers, that pulls a concept's share towards that of all concepts, and, in items,
#: the prevalence found anew towards the last.
SHARE_WEIGHT = 10.0
#: Times that the prevalences of several concepts are found anew from the labels.
CONCEPT_ROUNDS = 2
#: First and last steps of the grid in (logit of prevalence, sigma).
FIRST_STEPS, LAST_STEPS = (0.5, 0.4), (0.125, 0.1)
#: Grid points this many nats below the best are left out.
DEPTH = 4.0


class CalibratedDawidSkene:
    """Aggregate ratings with raters' rates and items' difficulty, for calibrated probabilities.

    Parameters
    ----------
    consensus_error : float
        Probability, in [0, 0.5), that all raters of an item, however many, are misled the same way:
        p becomes e + (1 - 2e) p. No number of ratings can show it, so it is a prior: 2% by default,
        0 takes the crowd as infallible.
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
    ratings an item, so its prior matters there: near the share of "present" answers, with heavy
    tails, which many ratings overrule. In a table with several concepts each starts at its own
    share; their prevalences are then found anew from their labels, twice.

    References
    ----------
    Difficulty in Dawid-Skene models: Carpenter, "Multilevel Bayesian models of categorical data
    annotation" (2008), sec. 3. Observed information: Louis, JRSS B 44 (1982).
    """

    def __init__(self, *, consensus_error: float = 0.02, clip: float = 1e-3) -> None:
        self.consensus_error = consensus_error
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
        points = _Grid(data, centre, learn_prevalence=prior_of_item is None).explore()
        if groups is not None and len(groups[1]) > 1:
            for _ in range(CONCEPT_ROUNDS):
                centre = _recentred(data, centre, points[0][0], groups[0])
                points = _Grid(data, centre, learn_prevalence=True).explore()
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
        self, data: EncodedRatings, centre: FloatArray, points: "list[tuple[_Point, float]]"
    ) -> None:
        """Average labels, rates and correlations over the grid."""
        present = np.zeros(len(data.items))
        rates = np.zeros((len(data.raters), 2))
        tau = 0.0
        for point, weight in points:
            label = predict_labels(data, centre + point.shift, point.sigma, point.raters)
            present += weight * label
            rates += weight * mean_error_rates(point.raters, point.sigma)
            answers = answer_weights(data, label) if data.answers.size else np.ones_like(rates)
            tau += weight * error_correlation(point.raters, point.sigma, answers)
        present = self.consensus_error + (1 - 2 * self.consensus_error) * np.clip(present, 0, 1)
        if data.known.size:
            present = np.where(data.known >= 0, data.known, present)
        self.probabilities_ = pd.Series(present, index=data.items, name="probability")
        labels = 0.5 + 0.5 * np.sign(present - 0.5)
        self.labels_ = pd.Series(labels, index=data.items, name="label")
        self.false_alarm_rate_ = pd.Series(rates[:, 0], data.raters, name="false_alarm_rate")
        self.miss_rate_ = pd.Series(rates[:, 1], data.raters, name="miss_rate")
        self.within_item_correlation_ = tau
        self.difficulty_sd_ = float(sum(weight * point.sigma for point, weight in points))
        self.grid_ = pd.DataFrame(
            [(point.shift, point.sigma, weight) for point, weight in points],
            columns=["prevalence_shift", "difficulty_sd", "weight"],
        )


def estimate_within_item_correlation(
    ratings: pd.DataFrame, prior_of_item: PriorLike | None = None
) -> float:
    """Estimate tau, the correlation of raters' errors on one item, from the ratings alone.

    Parameters
    ----------
    ratings : DataFrame
        A ratings table, see `estimation.ratings.check_ratings`.
    prior_of_item : optional
        Concept prior of the items, see `estimation.aggregation.priors.prior_of_items`.

    Returns
    -------
    float
        In [0, 1): posterior mean; n answers of an item are worth n / (1 + (n - 1) tau).

    Raises
    ------
    RatingsError
        When the table does not pass the checks or items have no prior.

    Notes
    -----
    The prior on the spread of the items' difficulty puts the mean of tau at about 0.1; the fewer
    items have several ratings, the closer to it the estimate stays. Raters' own rates are in the
    model, so raters who differ do not pass for items that differ.
    """
    return CalibratedDawidSkene().fit(ratings, prior_of_item).within_item_correlation_


@dataclass(frozen=True, eq=False)
class _Point:
    """One point of the grid: a shift of the prevalence, a sigma, and the raters given both."""

    shift: float
    sigma: float
    height: float
    raters: RaterFit
    converged: bool


@dataclass(eq=False)
class _Grid:
    """A lattice of (prevalence shift, sigma) that is explored from its best point outwards."""

    data: EncodedRatings
    centre: FloatArray
    learn_prevalence: bool
    _points: dict[tuple[int, int], _Point] = field(default_factory=dict)

    def explore(self) -> list[tuple[_Point, float]]:
        """Refine while the posterior is narrow; return points with weights, best first."""
        steps = [round(first / last) for first, last in zip(FIRST_STEPS, LAST_STEPS, strict=True)]
        starts = self._starts(steps)
        for start in starts:
            self._evaluate(start, starting_raters(len(self.data.raters)))
        while True:
            places = self._flood(starts, steps)
            weight = np.array([self._mass(place) for place in places])
            weight /= weight.sum()
            starts = [places[int(weight.argmax())]]
            fine = True
            for axis in range(2):
                values = np.array([place[axis] for place in places], dtype=np.float64)
                spread = np.sqrt(weight @ (values - weight @ values) ** 2)
                if steps[axis] > 1 and spread < 0.6 * steps[axis]:
                    steps[axis] //= 2
                    fine = False
            if fine:
                break
        kept = [
            (self._points[p], float(w)) for p, w in zip(places, weight, strict=True) if w > 1e-3
        ]
        kept.sort(key=lambda pair: -pair[1])
        total = sum(w for _, w in kept)
        return [(point, w / total) for point, w in kept]

    def _starts(self, steps: list[int]) -> list[tuple[int, int]]:
        """Prevalence as the share of "present", and as if all raters erred at the mean rate.

        Where the two differ, as for rare concepts, the posterior may have a mode at each.
        """
        sigma = round(SIGMA_PRIOR[0] / LAST_STEPS[1])
        if not self.learn_prevalence:
            return [(0, sigma)]
        share = float(expit(self.centre).mean())
        corrected = np.clip((share - MEAN_ERROR) / (1 - 2 * MEAN_ERROR), 0.02, 0.98)
        shift = float(logit(corrected) - logit(share)) / (LAST_STEPS[0] * steps[0])
        return sorted({(0, sigma), (round(shift) * steps[0], sigma)})

    def _flood(self, starts: list[tuple[int, int]], steps: list[int]) -> list[tuple[int, int]]:
        """Evaluate the lattice around `starts`, as far as points come near the best one."""
        queue = [(-self._points[start].height, start) for start in starts]
        heapq.heapify(queue)
        seen, done = set(starts), []
        while queue:
            low, place = heapq.heappop(queue)
            best = max(self._points[p].height for p in seen)
            if -low < best - DEPTH:
                continue
            done.append(place)
            for near in self._neighbours(place, steps):
                if near not in seen:
                    self._evaluate(near, self._points[place].raters)
                    seen.add(near)
                    heapq.heappush(queue, (-self._points[near].height, near))
        best = max(self._points[p].height for p in done)
        return [place for place in done if self._points[place].height >= best - DEPTH]

    def _neighbours(self, place: tuple[int, int], steps: list[int]) -> list[tuple[int, int]]:
        near = [(place[0], place[1] - steps[1]), (place[0], place[1] + steps[1])]
        if self.learn_prevalence:
            near += [(place[0] - steps[0], place[1]), (place[0] + steps[0], place[1])]
        return [point for point in near if point[1] >= 0]

    def _evaluate(self, place: tuple[int, int], start: RaterFit) -> None:
        if place in self._points:
            return
        shift, sigma = place[0] * LAST_STEPS[0], place[1] * LAST_STEPS[1]
        prior = -0.5 * ((sigma - SIGMA_PRIOR[0]) / SIGMA_PRIOR[1]) ** 2
        if self.learn_prevalence:
            prior += float(student_t.logpdf(shift / SHARE_SCALE, SHARE_DF))
        best = max((point.height for point in self._points.values()), default=-np.inf)
        raters, converged = fit_raters(
            self.data, self.centre + shift, sigma, start, worth=best - DEPTH - prior
        )
        self._points[place] = _Point(shift, sigma, raters.height + prior, raters, converged)

    def _mass(self, place: tuple[int, int]) -> float:
        best = max(point.height for point in self._points.values())
        # the trapezium rule: sigma ends at 0, where a point stands for half a step
        return float(np.exp(self._points[place].height - best)) * (0.5 if place[1] == 0 else 1.0)


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
    data: EncodedRatings, centre: FloatArray, point: _Point, group: NDArray[np.int64]
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
