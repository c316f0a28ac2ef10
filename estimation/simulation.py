"""Simulated raters and ratings. Everything made here is a simulation, and should be called so."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import expit, logit

from estimation.checks import EstimationError, FloatArray, probability_vector

#: Mean error rate of the published study's raters.
PUBLISHED_ERROR_RATE = 0.23


@dataclass(frozen=True)
class SimulatedRater:
    """A rater who errs at random.

    Attributes
    ----------
    name : str
        Name in the ratings table.
    miss_rate : float
        Probability of "absent" where the concept is present, in [0, 1].
    false_alarm_rate : float
        Probability of "present" where the concept is absent, in [0, 1].
    looks : bool
        Whether the rater looks at the items; to one who does not, hard items are no harder.
    """

    name: str
    miss_rate: float
    false_alarm_rate: float
    looks: bool = True

    def __post_init__(self) -> None:
        for field in ("miss_rate", "false_alarm_rate"):
            value = getattr(self, field)
            if not 0 <= value <= 1:
                msg = f"{field}: {value} of rater {self.name!r} is outside [0, 1]"
                raise EstimationError(msg)

    def rate(
        self, truth: ArrayLike, rng: np.random.Generator, difficulty: ArrayLike = 0.0
    ) -> FloatArray:
        """Rate items whose labels are known.

        Parameters
        ----------
        truth : array-like, shape (n,)
            True labels, 0 or 1.
        rng : Generator
            Source of chance.
        difficulty : array-like, shape () or (n,)
            Added to the logit of the error rate: the same for all raters of an item.

        Returns
        -------
        ndarray, shape (n,), float64
            1 present, 0 absent.
        """
        labels = np.asarray(truth) == 1
        wrong = rng.random(labels.shape) < error_probability(
            labels, self.miss_rate, self.false_alarm_rate, difficulty=difficulty, looks=self.looks
        )
        ratings: FloatArray = np.where(wrong, ~labels, labels).astype(np.float64)
        return ratings


def error_probability(
    truth: ArrayLike,
    miss_rate: ArrayLike,
    false_alarm_rate: ArrayLike,
    *,
    difficulty: ArrayLike = 0.0,
    looks: ArrayLike = True,
) -> FloatArray:
    """Compute the probability that a rating is wrong.

    Parameters
    ----------
    truth : array-like, shape (n,)
        True labels, 0 or 1.
    miss_rate, false_alarm_rate : array-like, shape () or (n,)
        The rater's error rates, in [0, 1].
    difficulty : array-like, shape () or (n,)
        Added to the logit of the error rate.
    looks : array-like of bool, shape () or (n,)
        Whether the rater looks at the item; where not, difficulty does not count.

    Returns
    -------
    ndarray, shape (n,), float64
    """
    labels = np.asarray(truth) == 1
    error = np.where(labels, miss_rate, false_alarm_rate)
    shift = np.where(looks, difficulty, 0.0)
    # extreme logits leave perfect raters perfect
    probability: FloatArray = expit(logit(np.clip(error, 1e-300, 1 - 1e-16)) + shift)
    return probability


def location_for_mean(mean: float, spread: float) -> float:
    """Find the centre of a logit-normal distribution from its mean.

    Parameters
    ----------
    mean : float
        Mean on the probability scale, in (0, 1).
    spread : float
        Standard deviation on the logit scale, at least 0.

    Returns
    -------
    float
        m such that E sigmoid(m + spread Z) = mean, Z standard normal.

    Raises
    ------
    EstimationError
        When a parameter is out of range.
    """
    if not 0 < mean < 1 or spread < 0:
        msg = f"mean error rate {mean} must lie in (0, 1), spread {spread} must not be negative"
        raise EstimationError(msg)
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    weights = weights / weights.sum()

    def excess(location: float) -> float:
        return float(weights @ expit(location + spread * nodes)) - mean

    return float(brentq(excess, logit(mean) - 10 - 5 * spread, logit(mean) + 10 + 5 * spread))


#: Raters who do not look, as (miss rate, false-alarm rate).
SPAMMERS: Mapping[str, tuple[float, float]] = {
    "always-yes": (0.0, 1.0),
    "always-no": (1.0, 0.0),
    "coin-flip": (0.5, 0.5),
}


def simulate_raters(
    n_raters: int,
    *,
    mean_error: float = PUBLISHED_ERROR_RATE,
    mean_false_alarm: float | None = None,
    spread: float = 0.5,
    spammer_share: float = 0.0,
    seed: int,
    prefix: str = "rater",
) -> list[SimulatedRater]:
    """Draw raters whose error rates differ.

    Parameters
    ----------
    n_raters : int
        How many.
    mean_error : float
        Mean of miss and false-alarm rates over raters, in (0, 1).
    mean_false_alarm : float, optional
        Mean of the false-alarm rates where it is another; `mean_error` is then that of misses.
    spread : float
        Standard deviation of their logits; 0 makes all raters alike.
    spammer_share : float
        Share of the panel, in [0, 1], that does not look: always yes, always no, and coin flips in
        turn. The means above are those of the others.
    seed : int
        Seed. The raters who look are the same whatever the share of those who do not.
    prefix : str
        Names are prefix-001, prefix-002, ...; a spammer's ends in what they do.

    Returns
    -------
    list of SimulatedRater

    Raises
    ------
    EstimationError
        When a parameter is out of range.
    """
    if n_raters < 1:
        msg = f"n_raters: {n_raters}; at least one rater is needed"
        raise EstimationError(msg)
    if not 0 <= spammer_share <= 1:
        msg = f"spammer_share: {spammer_share} is outside [0, 1]; give a share of the panel"
        raise EstimationError(msg)
    centres = [
        location_for_mean(mean, spread)
        for mean in (mean_error, mean_error if mean_false_alarm is None else mean_false_alarm)
    ]
    rates = expit(np.random.default_rng(seed).normal(centres, spread, (n_raters, 2)))
    panel = [
        SimulatedRater(f"{prefix}-{number + 1:03d}", float(miss), float(false_alarm))
        for number, (miss, false_alarm) in enumerate(rates)
    ]
    n_spammers = round(spammer_share * n_raters)
    places = np.random.default_rng([seed, 1]).choice(n_raters, n_spammers, replace=False)
    for place, (what, (miss, false_alarm)) in zip(places, cycle(SPAMMERS.items()), strict=False):
        panel[place] = SimulatedRater(f"{panel[place].name}-{what}", miss, false_alarm, looks=False)
    return panel


def simulate_ratings(
    truth: ArrayLike,
    raters: Sequence[SimulatedRater],
    *,
    items: ArrayLike | None = None,
    redundancy: int = 3,
    seed: int,
    difficulty_sd: float = 0.0,
    concept: Hashable = None,
    task_size: int = 15,
) -> pd.DataFrame:
    """Have simulated raters rate inputs, in tasks, each task by `redundancy` different raters.

    Parameters
    ----------
    truth : array-like, shape (n_inputs,)
        True labels of all inputs.
    raters : sequence of SimulatedRater
        The panel, at least `redundancy` of them.
    items : array-like of int, optional
        Indices of the inputs to rate (each once); all by default.
    redundancy : int
        Ratings an item.
    seed : int
        Seed.
    difficulty_sd : float
        Standard deviation of an item's difficulty on the logit of all its raters' error rates;
        0 makes errors independent.
    concept : hashable, optional
        Value of the column ``concept``; without it there is no such column.
    task_size : int
        Items shown to one rater together.

    Returns
    -------
    DataFrame
        Columns ``item`` (index of the input), ``rater``, ``rating``, and ``concept`` if given.

    Raises
    ------
    EstimationError
        When there are fewer raters than ratings an item, or labels are not 0 or 1.
    """
    labels = probability_vector(truth, "truth")
    if not np.all((labels == 0) | (labels == 1)):
        msg = "truth: simulated raters need true labels of 0 and 1"
        raise EstimationError(msg)
    if not 1 <= redundancy <= len(raters):
        msg = f"redundancy: {redundancy} ratings an item need as many raters, got {len(raters)}"
        raise EstimationError(msg)
    rng = np.random.default_rng(seed)
    chosen = np.arange(labels.size) if items is None else np.unique(np.asarray(items, np.int64))
    chosen = rng.permutation(chosen)
    difficulty = rng.normal(0.0, 1.0, chosen.size) * difficulty_sd
    parts = []
    for start in range(0, chosen.size, task_size):
        task = slice(start, start + task_size)
        for number in rng.choice(len(raters), redundancy, replace=False):
            rater = raters[number]
            parts.append(
                pd.DataFrame(
                    {
                        "item": chosen[task],
                        "rater": rater.name,
                        "rating": rater.rate(labels[chosen[task]], rng, difficulty[task]),
                    }
                )
            )
    frame = pd.concat(parts, ignore_index=True)
    if concept is not None:
        frame["concept"] = pd.Series([concept] * len(frame), index=frame.index)
    return frame
