"""Adaptive rounds: which inputs to have rated next, until the score is known well enough.

After every round the one-pair model says how much the posterior variance of the score would fall by
one more rating of each input, rated before or not; the next round is drawn in favour of those. So
doubtful inputs that matter get several ratings, clear ones one, and most of the others none.
Choosing by activation, prior and earlier ratings does not bias the model, which knows all three.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from estimation.aggregation.label_prior import label_features
from estimation.aggregation.laplace import LaplaceMixture
from estimation.aggregation.rating_likelihood import next_rating
from estimation.checks import EstimationError, FloatArray, standardized
from estimation.model_correlation import correlation_from_totals
from estimation.sampling import Draw, SamplingError, correlation_influence, draw_from
from estimation.score_estimate import Z_LIMIT, ScoreEstimate, check_level

#: Factor on the length of intervals, on Fisher's z scale: no logistic model is quite right.
#: Chosen in simulation, see docs/estimates.md.
MODEL_DOUBT = 1.35
#: Proposals of the fits between rounds; the last fit takes those of the model.
ROUND_PROPOSALS = 400


@dataclass(frozen=True, eq=False)
class RatingGain:
    """How much one more rating of each input is expected to take off the variance of the score.

    Attributes
    ----------
    direct : ndarray, shape (n_inputs,), float64
        Through the label of that input alone.
    full : ndarray, shape (n_inputs,), float64
        Also through what the rating says of all other labels.
    """

    direct: FloatArray
    full: FloatArray


def rating_gain(model: LaplaceMixture, activation: ArrayLike) -> RatingGain:
    """Compute the expected fall of the posterior variance of the score by one more rating.

    With g the posterior of the label, v = g (1 - g), and r1, r0 the chance that the next rating
    says present if the label is present or absent, r = r0 + (r1 - r0) g, the variance of the label
    falls by D = (v (r1 - r0))^2 / (r (1 - r)). The label moves the score by f/N (its influence), so
    the direct part is (f/N)^2 D. The rating also informs b, whose covariance is C: with
    S = sum_j x_j f_j v_j the full part is ((f + x'C S)/N)^2 D / (1 + D x'C x).

    Parameters
    ----------
    model : LaplaceMixture
        Fitted to the ratings so far (to none, before the first).
    activation : array-like, shape (n_inputs,)
        Activations of the neuron.

    Returns
    -------
    RatingGain

    Raises
    ------
    EstimationError
        When the activations cannot be used or are not those of the fit.
    """
    scaled = standardized(activation)
    features = model.features_
    if scaled.size != features.shape[0]:
        msg = f"activation: {scaled.size} inputs, but the fit has {features.shape[0]}"
        raise EstimationError(msg)
    n_inputs = scaled.size
    g = np.clip(model.label_means(), 1e-9, 1 - 1e-9)
    v = g * (1 - g)
    mu = float(np.clip(g.mean(), 0.5 / n_inputs, 1 - 0.5 / n_inputs))
    influence = correlation_influence(scaled, mu, float(np.mean(scaled * g)))
    n, k = np.zeros(n_inputs), np.zeros(n_inputs)
    n[model.items_], k[model.items_] = model.n_, model.k_
    if_present, if_absent = next_rating(n, k, *model.mean_rates())
    says_present = if_absent + (if_present - if_absent) * g
    fall = (v * (if_present - if_absent)) ** 2 / (says_present * (1 - says_present))
    covariance = model.coefficient_covariance()
    through = features @ (covariance @ (features.T @ (influence * v)))
    leverage = np.einsum("ip,pq,iq->i", features, covariance, features)
    direct = influence**2 * fall
    full = (influence + through) ** 2 * fall / (1 + fall * leverage)
    return RatingGain(direct / n_inputs**2, full / n_inputs**2)


def adaptive_distribution(
    gains: list[RatingGain], *, power: float = 2.0, uniform_share: float = 0.1
) -> FloatArray:
    """Turn expected gains into the draw probabilities of the next round.

    Parameters
    ----------
    gains : list of RatingGain
        Of the neurons that are scored with the concept: one rating serves them all, each counts
        alike.
    power : float
        Probabilities are proportional to gain**power. 1 spreads a round over the many inputs of
        little gain; a large power takes the best only, which trusts the model too much.
    uniform_share : float
        Share of uniform draws, in (0, 1]: what finds positives where the model expects none.

    Returns
    -------
    ndarray, shape (n_inputs,), float64
        Half by the direct parts, half by the full ones, mixed with uniform.

    Raises
    ------
    SamplingError
        When there is no gain, or a parameter is out of range.
    """
    if not gains:
        msg = "gains: none; give that of at least one neuron"
        raise SamplingError(msg)
    if not 0 < uniform_share <= 1:
        msg = f"uniform_share: {uniform_share} is outside (0, 1]"
        raise SamplingError(msg)
    if not power > 0:
        msg = f"power: {power} is not above 0"
        raise SamplingError(msg)
    n_inputs = gains[0].direct.size
    parts = [part for gain in gains for part in (gain.direct, gain.full)]
    mixed = np.full(n_inputs, uniform_share / n_inputs)
    for part in parts:
        largest = part.max()
        # an input of no gain at all: nothing is left to learn, so any input is as good
        size = (part / largest) ** power if largest > 0 else np.ones(n_inputs)
        mixed += (1 - uniform_share) / len(parts) * size / size.sum()
    return mixed


def draw_adaptive(
    models: list[LaplaceMixture],
    activations: list[NDArray[np.floating]],
    *,
    n_draws: int,
    power: float = 2.0,
    uniform_share: float = 0.1,
    seed: int,
) -> Draw:
    """Draw the inputs of the next round for the neurons of one concept.

    Parameters
    ----------
    models : list of LaplaceMixture
        One a neuron, fitted to the ratings of the concept so far.
    activations : list of array-like, each of shape (n_inputs,)
        Of the same neurons.
    n_draws : int
        Ratings of the round: an input drawn twice is to be rated by two raters.
    power, uniform_share : float
        See `adaptive_distribution`.
    seed : int
        Seed of the generator.

    Returns
    -------
    Draw
        Design "adaptive". Its probabilities hold given the rounds before.

    Raises
    ------
    SamplingError, EstimationError
        See `rating_gain` and `adaptive_distribution`; also when `n_draws` is below 1, or there are
        not as many activations as models.
    """
    if len(models) != len(activations):
        msg = (
            f"activations: {len(activations)} vectors for {len(models)} models; give the "
            "activations of each model's neuron, in the same order"
        )
        raise SamplingError(msg)
    gains = [rating_gain(model, a) for model, a in zip(models, activations, strict=True)]
    distribution = adaptive_distribution(gains, power=power, uniform_share=uniform_share)
    parameters = {"power": power, "uniform_share": uniform_share}
    return draw_from(distribution, n_draws, design="adaptive", seed=seed, parameters=parameters)


def one_pair_score(
    model: LaplaceMixture,
    activation: ArrayLike,
    *,
    level: float = 0.95,
    n_draws: int = 400,
    n_totals: int = 10,
    seed: int = 0,
) -> ScoreEstimate:
    """Estimate the correlation from the one-pair model, in memory of a chunk of inputs.

    Parameters
    ----------
    model : LaplaceMixture
        Fitted.
    activation : array-like, shape (n_inputs,)
        Activations of the neuron.
    level : float
        Nominal coverage of the interval.
    n_draws, n_totals : int
        Posterior draws of the parameters, and of the totals for each, see `LabelTotals`.
    seed : int
        Seed of the latter.

    Returns
    -------
    ScoreEstimate
        Estimator "posterior": median, and the interval of the posterior made longer by
        `MODEL_DOUBT` on Fisher's z scale.

    Raises
    ------
    EstimationError
        When the activations cannot be used or are not those of the fit.
    """
    check_level(level)
    totals = model.label_totals(activation, n_draws=n_draws)
    mu, t2 = totals.draw_means(n_totals, np.random.default_rng(seed))
    scores, clipped = correlation_from_totals(mu, t2, totals.n_inputs)
    ends = np.quantile(scores, [(1 - level) / 2, 0.5, (1 + level) / 2])
    lower, middle, upper = np.arctanh(np.clip(ends, -Z_LIMIT, Z_LIMIT))
    lower, upper = middle - MODEL_DOUBT * (middle - lower), middle + MODEL_DOUBT * (upper - middle)
    notes = []
    if clipped > 0.05:
        notes.append(
            f"in {clipped:.0%} of the draws the estimated share of positives left (0, 1): the "
            "concept is too rare for these ratings; rate more inputs"
        )
    if model.n_effective_ < 50:
        notes.append(
            f"the posterior rests on {model.n_effective_:.0f} effective draws; raise n_proposals"
        )
    return ScoreEstimate(
        float(ends[1]),
        float(np.tanh(lower)),
        float(np.tanh(upper)),
        level,
        float(scores.std()) * MODEL_DOUBT,
        float(totals.n_inputs),
        int(np.count_nonzero(model.n_)),
        "posterior",
        tuple(notes),
    )


@dataclass(frozen=True, eq=False)
class AdaptiveStudy:
    """A study in adaptive rounds.

    Attributes
    ----------
    estimate : ScoreEstimate
        After the last round.
    model : LaplaceMixture
        Fitted to all ratings.
    items, n, k : ndarray, shape (n_items,), int64
        Inputs rated, their ratings, and those that say present.
    draws : tuple of Draw
        The rounds.
    estimates : tuple of ScoreEstimate
        After each round.
    """

    estimate: ScoreEstimate
    model: LaplaceMixture
    items: NDArray[np.int64]
    n: NDArray[np.int64]
    k: NDArray[np.int64]
    draws: tuple[Draw, ...]
    estimates: tuple[ScoreEstimate, ...]


def adaptive_study(
    activation: ArrayLike,
    prior: ArrayLike,
    rate: Callable[[NDArray[np.int64]], ArrayLike],
    *,
    n_ratings: int,
    n_rounds: int = 6,
    half_width: float | None = None,
    model: LaplaceMixture | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> AdaptiveStudy:
    """Run a study of one pair in adaptive rounds.

    Parameters
    ----------
    activation : array-like, shape (n_inputs,)
        Activations of the neuron.
    prior : array-like, shape (n_inputs,)
        Concept prior in [0, 1].
    rate : callable
        Takes inputs, shape (n,), int64, some perhaps repeated, and returns one rating of each, 0 or
        1; an input given twice, or rated before, is to be rated by another rater.
    n_ratings : int
        The whole budget.
    n_rounds : int
        Rounds of equal size; four to six do nearly as well as many.
    half_width : float, optional
        Stop after the round when the interval's half width falls below this.
    model : LaplaceMixture, optional
        With the settings to use: expected error rates, opinions, number of proposals.
    level : float
        Nominal coverage of the intervals.
    seed : int
        Seed of rounds and fits.

    Returns
    -------
    AdaptiveStudy

    Raises
    ------
    SamplingError
        When there are fewer ratings than rounds.
    EstimationError
        When activation or prior cannot be used, or a rating is neither 0 nor 1.
    """
    if not 1 <= n_rounds <= n_ratings:
        msg = f"n_rounds: {n_rounds} rounds of {n_ratings} ratings; give each round one at least"
        raise SamplingError(msg)
    settings = (model or LaplaceMixture()).settings()
    features = label_features(activation, prior, clip=settings["clip"])
    values = np.asarray(activation, dtype=np.float64)
    n, k = np.zeros((2, values.size), dtype=np.int64)
    nothing = np.zeros(0, dtype=np.int64)
    quick = settings | {"n_proposals": min(ROUND_PROPOSALS, settings["n_proposals"]), "seed": seed}
    fitted = LaplaceMixture(**quick).fit_features(features, nothing, nothing, nothing)
    draws: list[Draw] = []
    estimates: list[ScoreEstimate] = []
    sizes = np.diff(np.round(np.linspace(0, n_ratings, n_rounds + 1)).astype(np.int64))
    for number, size in enumerate(sizes.tolist()):
        draw = draw_adaptive([fitted], [values], n_draws=size, seed=seed * 1000 + number)
        ratings = np.asarray(rate(draw.indices))
        if ratings.shape != draw.indices.shape or not np.all((ratings == 0) | (ratings == 1)):
            msg = f"rate: gave {ratings!r} for {size} inputs; give one rating of 0 or 1 each"
            raise EstimationError(msg)
        np.add.at(n, draw.indices, 1)
        np.add.at(k, draw.indices, ratings.astype(np.int64))
        draws.append(draw)
        items = np.flatnonzero(n)
        last = number == n_rounds - 1
        own = settings | {"seed": seed} if last else quick
        fitted = LaplaceMixture(**own).fit_features(features, items, n[items], k[items])
        estimates.append(one_pair_score(fitted, values, level=level, seed=seed))
        width = estimates[-1].upper - estimates[-1].lower
        if half_width is not None and width < 2 * half_width:
            break
    return AdaptiveStudy(
        estimates[-1], fitted, items, n[items], k[items], tuple(draws), tuple(estimates)
    )
