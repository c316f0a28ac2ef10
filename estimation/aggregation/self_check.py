"""Simulation-based calibration: how often the posterior holds the truth, against what it says.

Parameters are drawn from the prior of the hierarchical model, labels and ratings from the
parameters, and the model is fitted to the ratings. Were the sampler and the density right, the rank
of every true value among its posterior draws would be uniform; that is all that is checked, and it
finds errors that looking at single fits does not.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from estimation.aggregation.density import (
    CONCEPT_DF,
    RATER_MEAN,
    RATER_MEAN_SD,
    RATER_SPREAD,
    RATER_SPREAD_LOG_SD,
    CalibrationPrior,
)
from estimation.aggregation.hierarchical import HierarchicalBayes
from estimation.checks import FloatArray, standardized


@dataclass(frozen=True, eq=False)
class PriorStudy:
    """A study whose parameters were drawn from the model's prior.

    Attributes
    ----------
    ratings : DataFrame
        Columns ``concept``, ``item``, ``rater``, ``rating``.
    prior, activation, truth : dict of int to ndarray, shape (n_inputs,)
        Concept prior, activations and true labels of each concept.
    calibration_mean : ndarray, shape (2,)
        Population mean of intercept and slope on the logit of the prior.
    rater_mean : ndarray, shape (2,)
        Population mean of the logits of miss and false-alarm rates.
    """

    ratings: pd.DataFrame
    prior: dict[int, FloatArray]
    activation: dict[int, FloatArray]
    truth: dict[int, FloatArray]
    calibration_mean: FloatArray
    rater_mean: FloatArray


def simulate_from_prior(
    *,
    seed: int,
    n_concepts: int = 2,
    n_inputs: int = 60,
    n_raters: int = 5,
    redundancy: int = 2,
    calibration: CalibrationPrior | None = None,
) -> PriorStudy:
    """Draw parameters from the prior of the hierarchical model, then labels, then ratings.

    Half of the inputs are rated; the label model has no feature but the concept prior, so that
    activations, which are drawn without regard to labels, only serve for the score.

    Parameters
    ----------
    seed : int
        Seed.
    n_concepts, n_inputs, n_raters, redundancy : int
        Sizes; `redundancy` ratings a rated input, at most `n_raters`.
    calibration : CalibrationPrior, optional
        Prior on the calibration.

    Returns
    -------
    PriorStudy
    """
    rng = np.random.default_rng(seed)
    mean, mean_sd, log_spread = (calibration or CalibrationPrior()).columns(2)
    log_sd = (calibration or CalibrationPrior()).spread_log_sd
    population = rng.normal(mean, mean_sd)
    spread = np.exp(rng.normal(log_spread, log_sd))
    b = population[:, None] + spread[:, None] * rng.standard_t(CONCEPT_DF, (2, n_concepts))
    rater_mean = rng.normal(RATER_MEAN, RATER_MEAN_SD, 2)
    rater_spread = np.exp(rng.normal(np.log(RATER_SPREAD), RATER_SPREAD_LOG_SD, 2))
    rates = expit(rater_mean[:, None] + rater_spread[:, None] * rng.normal(size=(2, n_raters)))
    prior, activation, truth, frames = {}, {}, {}, []
    for t in range(n_concepts):
        z = rng.normal(-0.5, 1.5, n_inputs)
        prior[t] = expit(z)
        truth[t] = (rng.random(n_inputs) < expit(b[0, t] + b[1, t] * z)).astype(np.float64)
        activation[t] = rng.gamma(0.5, size=n_inputs)
        item = np.repeat(np.arange(n_inputs // 2), redundancy)
        rater = np.concatenate(
            [rng.permutation(n_raters)[:redundancy] for _ in range(n_inputs // 2)]
        )
        present = np.where(truth[t][item] == 1, 1 - rates[0, rater], rates[1, rater])
        rating = (rng.random(item.size) < present).astype(np.float64)
        frames.append(pd.DataFrame({"concept": t, "item": item, "rater": rater, "rating": rating}))
    return PriorStudy(
        pd.concat(frames, ignore_index=True), prior, activation, truth, population, rater_mean
    )


def calibration_ranks(
    study: PriorStudy, model: HierarchicalBayes, *, n_draws: int = 100, seed: int = 0
) -> dict[str, float]:
    """Fit a model to a study from the prior; give the rank of every true value.

    Parameters
    ----------
    study : PriorStudy
        From `simulate_from_prior`.
    model : HierarchicalBayes
        Unfitted, with ``within_item_correlation=0``, which is what the study was drawn with.
    n_draws : int
        Posterior draws that a true value is ranked among, evenly spaced.
    seed : int
        Seed of labels and of the places within ties.

    Returns
    -------
    dict of str to float
        Share of posterior draws below the true value, in (0, 1), uniform if all is right:
        intercept, slope, miss, false_alarm (population means); positives and score (of the first
        concept, labels drawn from their probabilities); and label (of the first input, ties
        broken at random).
    """
    rng = np.random.default_rng(seed)
    model.fit(study.ratings, study.prior)
    g = model.concept_draws(0, study.prior[0], n_draws=n_draws)
    labels = (rng.random(g.shape) < g).astype(np.float64)
    picked: NDArray[np.int64] = np.arange(n_draws) * len(model.posterior_["rater_mean"]) // n_draws
    a = standardized(study.activation[0])

    def score(rows: FloatArray) -> FloatArray:
        deviation = rows.std(axis=-1)
        # constant labels have no correlation; 0 for all, so that ranks stay comparable
        scores: FloatArray = np.divide(
            rows @ a / a.size, deviation, out=np.zeros_like(deviation), where=deviation > 0
        )
        return scores

    truth = study.truth[0]
    population = np.concatenate(
        [model.posterior_["calibration_mean"][picked], model.posterior_["rater_mean"][picked]],
        axis=1,
    )
    true_population = np.concatenate([study.calibration_mean, study.rater_mean])
    values: dict[str, tuple[FloatArray, float]] = {
        name: (population[:, k], float(true_population[k]))
        for k, name in enumerate(("intercept", "slope", "miss", "false_alarm"))
    }
    values["positives"] = labels.sum(axis=1), float(truth.sum())
    values["score"] = score(labels), float(score(truth[None])[0])
    values["label"] = labels[:, 0], float(truth[0])
    return {
        name: float(
            (np.sum(draws < true) + rng.random() * (1 + np.sum(draws == true))) / (1 + draws.size)
        )
        for name, (draws, true) in values.items()
    }
