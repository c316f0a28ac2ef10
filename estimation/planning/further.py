"""Planning after some ratings: how many more, where, and when to stop."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from estimation.checks import EstimationError, FloatArray, standardized
from estimation.model_correlation import checked_rows
from estimation.planning.ratings_ahead import RaterErrors
from estimation.sampling import correlation_influence
from estimation.score_estimate import ScoreEstimate, check_level

#: Further ratings of one input that are looked ahead.
LOOKAHEAD = 5


@dataclass(frozen=True, eq=False)
class FurtherRatings:
    """What further ratings are expected to do to the posterior of a score.

    Attributes
    ----------
    curve : DataFrame
        ``ratings`` (further ones, rising), ``sd``, ``half_width`` (of the interval).
    needed : int or None
        Further ratings until the half width wanted, 0 when it is reached; None when the curve ends
        before.
    next_inputs : ndarray of int64
        Inputs to rate in turn, an input as often as it should be rated, at most `needed` (or the
        whole curve).
    label_variance, model_variance : float
        The posterior variance of the score now, from doubt about labels given the model, and from
        doubt about the model.
    """

    curve: pd.DataFrame
    needed: int | None
    next_inputs: NDArray[np.int64]
    label_variance: float
    model_variance: float


def further_ratings(
    activation: ArrayLike,
    g: ArrayLike,
    n_ratings: int,
    *,
    half_width: float,
    level: float = 0.95,
    raters: RaterErrors | None = None,
    max_further: int = 2000,
) -> FurtherRatings:
    """Work out from the posterior how many further ratings a score needs.

    The variance of the score has two parts. Doubt about labels, given the model, is
    sum f_i^2 v_i / N^2, f_i the influence of a label and v_i its variance; k further ratings of
    input i take v_i to an expected value that follows from the raters' errors, and ratings go
    where they take away most. Doubt about the model, the variance of the score over rows of `g`,
    is taken to fall as one over the number of all ratings.

    Parameters
    ----------
    activation : array-like, shape (n_inputs,)
        Activations of the neuron.
    g : array-like, shape (n_inputs,) or (n_posterior, n_inputs)
        P(c_i = 1 | parameters, ratings) for every input, a row a posterior draw. With a single row
        there is no doubt about the model.
    n_ratings : int
        Ratings so far, at least 0; with 0 doubt about the model is taken to halve with the first.
    half_width : float
        Half width of the interval that is wanted, positive.
    level : float
        Nominal coverage of the interval.
    raters : RaterErrors, optional
        How raters err; error rate 0.23 with correlation 0.1 by default.
    max_further : int
        Length of the curve.

    Returns
    -------
    FurtherRatings

    Raises
    ------
    EstimationError
        When shapes do not match or values are out of range.

    Notes
    -----
    An expectation, not a promise: where ratings contradict the model, doubt grows before it falls.
    """
    check_level(level)
    scaled = standardized(activation)
    rows = checked_rows(g, scaled.size, "g")
    raters = RaterErrors() if raters is None else raters
    if not 0 < half_width < math.inf:
        msg = f"half_width: {half_width} is not positive; 0.03 is usual"
        raise EstimationError(msg)
    if n_ratings < 0 or max_further < 1:
        msg = (
            f"n_ratings: {n_ratings} ratings so far and at most {max_further} further ones; give "
            "at least 0 and 1"
        )
        raise EstimationError(msg)
    n = scaled.size
    mean = rows.mean(axis=0)
    share = np.clip(rows.mean(axis=1), 0.5 / n, 1 - 0.5 / n)
    scores = (rows @ scaled / n) / np.sqrt(share * (1 - share))
    mu = float(np.clip(mean.mean(), 0.5 / n, 1 - 0.5 / n))
    influence = correlation_influence(scaled, mu, float(mean @ scaled) / n) / n
    # given the parameters; the variance of the mean row would count doubt about the model twice
    v = (rows * (1 - rows)).mean(axis=0)
    labels_now = float(influence**2 @ v)
    model_now = float(scores.var())
    gains, inputs = _gains(influence, mean, v, raters, max_further)
    removed = np.concatenate([[0.0], np.cumsum(gains)])
    steps = np.arange(removed.size)
    so_far = max(n_ratings, 1)
    variance = np.maximum(labels_now - removed, 0.0) + model_now * so_far / (so_far + steps)
    sd = np.sqrt(variance)
    width = sd * norm.ppf((1 + level) / 2)
    reached = np.flatnonzero(width <= half_width)
    needed = int(reached[0]) if reached.size else None
    return FurtherRatings(
        pd.DataFrame({"ratings": steps, "sd": sd, "half_width": width}),
        needed,
        inputs[:needed],
        labels_now,
        model_now,
    )


def _gains(
    influence: FloatArray, g: FloatArray, v: FloatArray, raters: RaterErrors, n_further: int
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Expected falls of the variance by the best further ratings, greatest first, and where."""
    clipped = np.clip(g, 1e-9, 1 - 1e-9)
    chances = np.stack([1 - clipped, clipped])
    whole = clipped * (1 - clipped)
    left = [np.ones(g.size)]  # share of the label variance that is left after k ratings
    for k in range(1, LOOKAHEAD + 1):
        posterior = raters.posteriors(clipped, k)
        outcome = raters.count_probabilities(k).T @ chances
        left.append((outcome * posterior * (1 - posterior)).sum(axis=0) / whole)
    falls = -np.diff(np.stack(left), axis=0)
    # where a second rating would tell more than the first, both count their average, so that the
    # order of ratings of an input is kept; negative ones are rounding
    falls = np.minimum.accumulate(np.maximum(falls, 0.0), axis=0)
    gain = (influence**2 * v) * falls
    flat = gain.ravel()
    n_further = min(n_further, flat.size)
    top = np.argpartition(-flat, n_further - 1)[:n_further]
    top = top[np.argsort(-flat[top], kind="stable")]
    return flat[top], (top % g.size).astype(np.int64)


@dataclass(frozen=True)
class StoppingRule:
    """When a study of one pair has enough ratings.

    Attributes
    ----------
    half_width : float
        Stop when half the width of the interval is no more than this.
    min_ratings : int
        Never stop before.
    max_ratings : int
        Always stop from here on.
    """

    half_width: float = 0.03
    min_ratings: int = 60
    max_ratings: int = 540

    def __post_init__(self) -> None:
        if not 0 < self.half_width < math.inf:
            msg = f"half_width: {self.half_width} is not positive; 0.03 is usual"
            raise EstimationError(msg)
        if not 0 <= self.min_ratings <= self.max_ratings:
            msg = (
                f"min_ratings: {self.min_ratings}, expected between 0 and max_ratings "
                f"({self.max_ratings})"
            )
            raise EstimationError(msg)


@dataclass(frozen=True)
class StopDecision:
    """Whether to stop, and why.

    Attributes
    ----------
    stop : bool
        Whether to stop.
    reason : str
        Why, in a sentence.
    further : int or None
        Ratings still expected until the rule stops: 0 when it does, None when unknown.
    """

    stop: bool
    reason: str
    further: int | None


def should_stop(
    estimate: ScoreEstimate,
    n_ratings: int,
    rule: StoppingRule,
    *,
    ahead: FurtherRatings | None = None,
) -> StopDecision:
    """Decide whether a pair has enough ratings.

    Parameters
    ----------
    estimate : ScoreEstimate
        The present estimate.
    n_ratings : int
        Ratings so far.
    rule : StoppingRule
        The rule.
    ahead : FurtherRatings, optional
        From `further_ratings`, for the number still expected; without it widths are taken to fall
        as one over the square root of the number of ratings.

    Returns
    -------
    StopDecision

    Raises
    ------
    EstimationError
        When the number of ratings is negative.

    Notes
    -----
    Looking at the interval after every round and stopping when it is short does no harm to a
    posterior. The share of intervals that cover can be a little lower than at a fixed number of
    ratings, since those that are short by luck stop; `min_ratings` limits this.
    """
    if n_ratings < 0:
        msg = f"n_ratings: {n_ratings}, expected 0 or more"
        raise EstimationError(msg)
    half = (estimate.upper - estimate.lower) / 2
    known = math.isfinite(estimate.score)
    if n_ratings >= rule.max_ratings:
        shown = f"half width {half:.3f}" if known else "the score is still undefined"
        return StopDecision(True, f"{n_ratings} ratings, the most that the rule allows; {shown}", 0)
    most = rule.max_ratings - n_ratings
    if known and half <= rule.half_width and n_ratings >= rule.min_ratings:
        return StopDecision(
            True, f"half width {half:.3f}, no more than {rule.half_width:g} was wanted", 0
        )
    if not known:
        return StopDecision(False, "the score is undefined so far; rate more inputs", None)
    first = max(rule.min_ratings - n_ratings, 0)
    if half <= rule.half_width:
        reason = f"{n_ratings} ratings, fewer than the least of {rule.min_ratings}"
        return StopDecision(False, reason, first)
    reason = f"half width {half:.3f}, above {rule.half_width:g}"
    if ahead is not None:
        expected = most if ahead.needed is None else ahead.needed
    else:
        expected = math.ceil(n_ratings * ((half / rule.half_width) ** 2 - 1))
    return StopDecision(False, reason, min(max(expected, first, 1), most))
