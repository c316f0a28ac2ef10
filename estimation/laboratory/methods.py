"""Methods beside each other: each takes a pair, raters and a budget, and returns a score.

To add one, write a function like those below and an entry in ``METHODS``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from estimation.aggregation import LaplaceMixture, bragg_posterior
from estimation.checks import FloatArray, standardized
from estimation.correlation import published_correlation
from estimation.laboratory.rating_source import IntArray, RatingSource
from estimation.model_correlation import model_assisted_correlation
from estimation.sampling import Draw, draw_from, draw_model_guided, draw_uniform
from estimation.score_estimate import ScoreEstimate

#: gamma of MG-IS, as published.
GAMMA = 0.2
#: Rounds of the adaptive model.
ROUNDS = 6


@dataclass(frozen=True, eq=False)
class StudyInput:
    """What a method may know, and whom it may ask.

    Attributes
    ----------
    activation, prior : ndarray, shape (n_inputs,)
        Activations and concept prior.
    source : RatingSource
        The raters.
    miss_rate, false_alarm_rate : float
        What the method is told of their errors.
    """

    activation: FloatArray
    prior: FloatArray
    source: RatingSource
    miss_rate: float
    false_alarm_rate: float


@dataclass(frozen=True)
class StudyResult:
    """What a method says.

    Attributes
    ----------
    score : float
        Estimated correlation; NaN where it is undefined.
    lower, upper : float
        Interval of nominally 95%; NaN where the method has none.
    n_ratings : int
        Ratings that were bought: below the budget when an input was drawn twice, since its ratings
        are then used twice.
    n_inputs : int
        Distinct inputs rated.
    """

    score: float
    lower: float
    upper: float
    n_ratings: int
    n_inputs: int


Run = Callable[[StudyInput, int, int, int], StudyResult]


@dataclass(frozen=True)
class Method:
    """An entry of the table of methods.

    Attributes
    ----------
    run : callable
        ``run(study, budget, redundancy, seed)`` returns a StudyResult, `budget` counting ratings.
    redundancy : bool
        Whether it takes a number of ratings an input; others decide that themselves.
    redundancies : tuple of int, optional
        The only ones that it is run with, because it is slow and others are never best.
    rates : bool
        Whether it buys ratings at all.
    largest_budget : int, optional
        Beyond it the method is not run, because it is slow and long done.
    """

    run: Run
    redundancy: bool = True
    redundancies: tuple[int, ...] | None = None
    rates: bool = True
    largest_budget: int | None = None


def published(
    study: StudyInput,
    budget: int,
    redundancy: int,
    seed: int,
    *,
    design: Literal["uniform", "model_guided"],
    aggregation: Literal["majority", "bragg"],
) -> StudyResult:
    """Run one rung of the published ladder.

    Parameters
    ----------
    study : StudyInput
        Pair and raters.
    budget : int
        Ratings; budget // redundancy inputs are drawn.
    redundancy : int
        Ratings an input.
    seed : int
        Seed of the draw.
    design : {"uniform", "model_guided"}
        How inputs are drawn. Where the prior is constant, and MG-IS therefore undefined, inputs are
        drawn by the size of their activation alone.
    aggregation : {"majority", "bragg"}
        How labels are made; BRAgg is told the mean of miss and false-alarm rate.

    Returns
    -------
    StudyResult
        With the published estimator, and our interval for it.
    """
    n_draws = max(budget // redundancy, 1)
    if design == "uniform":
        draw = draw_uniform(study.activation.size, n_draws, seed=seed)
    else:
        draw = _guided(study, n_draws, seed)
    items, counts = _rated(study, draw, redundancy)
    if aggregation == "majority":
        labels = (2 * counts > redundancy).astype(np.float64)
    else:
        error_rate = (study.miss_rate + study.false_alarm_rate) / 2
        labels = bragg_posterior(redundancy, counts, study.prior[items], error_rate=error_rate)
    estimate = published_correlation(
        study.activation, draw, labels[np.searchsorted(items, draw.indices)]
    )
    return _result(study, estimate)


def prior_alone(study: StudyInput, budget: int, redundancy: int, seed: int) -> StudyResult:  # noqa: ARG001
    """Correlate with the concept prior, without any rating.

    Returns
    -------
    StudyResult
        Without an interval; of a constant prior NaN.
    """
    spread = float(study.prior.std())
    score = float("nan")
    if spread > 1e-12:
        centred = study.prior - study.prior.mean()
        score = float(np.mean(standardized(study.activation) * centred) / spread)
    return StudyResult(score, float("nan"), float("nan"), 0, 0)


def one_pair_model(study: StudyInput, budget: int, redundancy: int, seed: int) -> StudyResult:
    """Draw once by MG-IS, fit the one-pair model, correct it by the weighted sample.

    Parameters
    ----------
    study, budget, redundancy, seed
        As in `published`.

    Returns
    -------
    StudyResult
        With the model-assisted estimator.
    """
    draw = _guided(study, max(budget // redundancy, 1), seed)
    items, counts = _rated(study, draw, redundancy)
    model = LaplaceMixture(
        miss_rate=study.miss_rate, false_alarm_rate=study.false_alarm_rate, seed=seed
    )
    n = np.full(items.size, redundancy)
    model.fit_counts(study.activation, study.prior, items, n, counts)
    estimate = model_assisted_correlation(
        study.activation,
        draw,
        model.concept_draws(n_draws=100),
        model.prediction_draws(n_draws=100),
        n_imputations=200,
        seed=seed,
    )
    return _result(study, estimate)


def adaptive(study: StudyInput, budget: int, redundancy: int, seed: int) -> StudyResult:  # noqa: ARG001
    """Ask in rounds, each time for the ratings that are worth most.

    Parameters
    ----------
    study, budget, seed
        As in `published`.
    redundancy : int
        Of no account: the method chooses who is rated again.

    Returns
    -------
    StudyResult
    """
    from estimation.adaptive import adaptive_study

    found = adaptive_study(
        study.activation,
        study.prior,
        lambda items: study.source.rate(items)[1],
        n_ratings=budget,
        n_rounds=min(ROUNDS, budget),
        model=LaplaceMixture(miss_rate=study.miss_rate, false_alarm_rate=study.false_alarm_rate),
        seed=seed,
    ).estimate
    return _result(study, found)


BASELINE = "uniform + majority"
PUBLISHED = "MG-IS + BRAgg"
PRIOR_ALONE = "prior alone"

#: Every method by name, the published ladder first.
METHODS: Mapping[str, Method] = {
    BASELINE: Method(partial(published, design="uniform", aggregation="majority")),
    "uniform + BRAgg": Method(partial(published, design="uniform", aggregation="bragg")),
    "MG-IS + majority": Method(partial(published, design="model_guided", aggregation="majority")),
    PUBLISHED: Method(partial(published, design="model_guided", aggregation="bragg")),
    PRIOR_ALONE: Method(prior_alone, redundancy=False, rates=False),
    "MG-IS + one-pair model": Method(one_pair_model, redundancies=(1, 3), largest_budget=1620),
    "adaptive model": Method(adaptive, redundancy=False, largest_budget=1620),
}


def _guided(study: StudyInput, n_draws: int, seed: int) -> Draw:
    if study.prior.std() > 1e-12:
        return draw_model_guided(
            study.activation, study.prior, n_draws=n_draws, gamma=GAMMA, seed=seed
        )
    size = np.abs(standardized(study.activation))
    q = (1 - GAMMA) * size / size.sum() + GAMMA / size.size
    return draw_from(q, n_draws, design="model_guided", seed=seed, parameters={"gamma": GAMMA})


def _result(study: StudyInput, estimate: ScoreEstimate) -> StudyResult:
    source = study.source
    n_inputs = int(np.count_nonzero(source.n_asked))
    return StudyResult(estimate.score, estimate.lower, estimate.upper, source.n_ratings, n_inputs)


def _rated(study: StudyInput, draw: Draw, redundancy: int) -> tuple[IntArray, IntArray]:
    """Have the distinct inputs of a draw rated."""
    items = draw.unique_indices
    return items, study.source.count(items, redundancy)
