"""Raters who can be asked for one more rating of any item, the same way in every design."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from estimation.checks import EstimationError, FloatArray, probability_vector
from estimation.simulation import SimulatedRater, error_probability

IntArray = NDArray[np.int64]


class RatingSource:
    """Ratings on demand, each of an item by a rater who has not rated it yet.

    The j-th rating of an item depends on seed, item and j alone, never on what was asked before. So
    methods compared at one seed meet the same raters and the same answers wherever they ask for the
    same item (common random numbers), and asking one by one gives what asking at once gives.

    Make one with `from_raters` or `from_shares`.

    Attributes
    ----------
    n_inputs : int
        Size N of the probe dataset.
    n_asked : ndarray, shape (n_inputs,), int64
        Ratings of each item so far.
    """

    def __init__(
        self,
        truth: NDArray[np.bool_],
        *,
        share: FloatArray | None,
        raters: Sequence[SimulatedRater],
        difficulty: FloatArray,
        seed: int,
    ) -> None:
        self.n_inputs = truth.size
        self.n_asked = np.zeros(truth.size, dtype=np.int64)
        self._truth, self._share, self._difficulty, self._seed = truth, share, difficulty, seed
        self._rates = np.array([[r.miss_rate, r.false_alarm_rate, r.looks] for r in raters])
        self._n_raters = len(raters)
        self._chances: list[FloatArray] = []
        rng = np.random.default_rng([seed, 1])
        if raters:
            # start and stride of an item's walk through the panel; a stride that shares no factor
            # with the panel's size meets everyone once
            strides = np.flatnonzero(np.gcd(np.arange(self._n_raters), self._n_raters) == 1)
            self._start = rng.integers(self._n_raters, size=truth.size)
            self._stride = rng.choice(strides if strides.size else [1], truth.size)

    @classmethod
    def from_raters(
        cls,
        truth: ArrayLike,
        raters: Sequence[SimulatedRater],
        *,
        difficulty_sd: float = 0.0,
        difficulty: ArrayLike = 0.0,
        seed: int,
    ) -> "RatingSource":
        """Have a panel of simulated raters answer.

        Parameters
        ----------
        truth : array-like, shape (n_inputs,)
            True labels, 0 or 1.
        raters : sequence of SimulatedRater
            The panel.
        difficulty_sd : float
            Standard deviation of an item's difficulty on the logit of its raters' error rates.
        difficulty : array-like, shape () or (n_inputs,)
            Mean of that difficulty, for all items or item by item.
        seed : int
            Seed of difficulties, of who rates what, and of the answers.

        Returns
        -------
        RatingSource

        Raises
        ------
        EstimationError
            When labels are not 0 or 1, there is no rater, the standard deviation is negative, or
            difficulties do not match the labels.
        """
        labels = probability_vector(truth, "truth")
        if not np.all((labels == 0) | (labels == 1)):
            msg = "truth: simulated raters need true labels of 0 and 1"
            raise EstimationError(msg)
        if not raters:
            msg = "raters: the panel is empty; simulate at least one rater"
            raise EstimationError(msg)
        if difficulty_sd < 0:
            msg = f"difficulty_sd: {difficulty_sd} is negative; 0 makes all items alike"
            raise EstimationError(msg)
        mean = np.asarray(difficulty, dtype=np.float64)
        if mean.shape not in ((), labels.shape) or not np.isfinite(mean).all():
            msg = (
                f"difficulty: shape {mean.shape} for {labels.size} items; give one number, or one "
                "an item, none of them NaN or infinite"
            )
            raise EstimationError(msg)
        chance = np.random.default_rng([seed, 2]).normal(0.0, 1.0, labels.size)
        own = mean + chance * difficulty_sd
        return cls(labels == 1, share=None, raters=raters, difficulty=own, seed=seed)

    @classmethod
    def from_shares(cls, share: ArrayLike, *, seed: int) -> "RatingSource":
        """Have people answer of whom the share that says "present" is known for every item.

        Parameters
        ----------
        share : array-like, shape (n_inputs,)
            Probability that a rating of the item says present, for instance counts of real answers
            divided by their number.
        seed : int
            Seed of the answers.

        Returns
        -------
        RatingSource
            Every rating is by somebody new: who the people are is not known.

        Raises
        ------
        EstimationError
            When a value is outside [0, 1].
        """
        shares = probability_vector(share, "share")
        nobody = np.zeros(shares.size)
        return cls(shares > 0.5, share=shares, raters=(), difficulty=nobody, seed=seed)

    @property
    def n_ratings(self) -> int:
        """Ratings given so far."""
        return int(self.n_asked.sum())

    def rate(self, items: ArrayLike) -> tuple[IntArray, IntArray]:
        """Give one more rating of each item listed.

        Parameters
        ----------
        items : array-like of int, shape (n,)
            Indices of inputs; one listed twice gets two ratings, by different raters.

        Returns
        -------
        raters : ndarray, shape (n,), int64
            Codes of the raters.
        ratings : ndarray, shape (n,), int64
            1 present, 0 absent.

        Raises
        ------
        EstimationError
            When an item is no input, or has been rated by the whole panel.
        """
        asked = np.asarray(items)
        if asked.size == 0:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        if asked.ndim != 1 or asked.dtype.kind not in "iu":
            msg = f"items: found shape {asked.shape} of {asked.dtype}, expected a vector of indices"
            raise EstimationError(msg)
        asked = asked.astype(np.int64)
        if asked.min() < 0 or asked.max() >= self.n_inputs:
            msg = (
                f"items: span {asked.min()} to {asked.max()}, but there are {self.n_inputs} inputs"
            )
            raise EstimationError(msg)
        turn = self.n_asked[asked] + _occurrence(asked)
        if self._share is None and turn.max() >= self._n_raters:
            item = int(asked[turn.argmax()])
            msg = (
                f"items: input {item} was rated by all {self._n_raters} raters; ask for fewer "
                "ratings of it, or simulate a larger panel"
            )
            raise EstimationError(msg)
        np.add.at(self.n_asked, asked, 1)
        chance = np.empty(asked.size)
        for j in np.unique(turn):
            here = turn == j
            chance[here] = self._chance(int(j))[asked[here]]
        if self._share is not None:
            return turn * self.n_inputs + asked, (chance < self._share[asked]).astype(np.int64)
        raters = (self._start[asked] + turn * self._stride[asked]) % self._n_raters
        miss, false_alarm, looks = self._rates[raters].T
        labels = self._truth[asked]
        wrong = chance < error_probability(
            labels,
            miss,
            false_alarm,
            difficulty=self._difficulty[asked],
            looks=looks.astype(bool),
        )
        return raters.astype(np.int64), (labels != wrong).astype(np.int64)

    def count(self, items: IntArray, redundancy: int) -> IntArray:
        """Have each of some distinct items rated several times.

        Parameters
        ----------
        items : ndarray, shape (n,), int64
            Indices of inputs, each once.
        redundancy : int
            Ratings an item.

        Returns
        -------
        ndarray, shape (n,), int64
            How many of them say present.
        """
        ratings = self.rate(np.repeat(items, redundancy))[1]
        counts: IntArray = ratings.reshape(items.size, redundancy).sum(axis=1)
        return counts

    def _chance(self, j: int) -> FloatArray:
        while len(self._chances) <= j:
            rng = np.random.default_rng([self._seed, 3, len(self._chances)])
            self._chances.append(rng.random(self.n_inputs))
        return self._chances[j]


def _occurrence(items: IntArray) -> IntArray:
    """Number equal values in the order they come: 0 for the first, 1 for the second, ..."""
    order = np.argsort(items, kind="stable")
    ordered = items[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    run = np.arange(items.size) - np.repeat(first, np.diff(np.append(first, items.size)))
    number = np.empty(items.size, dtype=np.int64)
    number[order] = run
    return number
