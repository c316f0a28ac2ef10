"""The hierarchical model of ratings in PyMC, for nutpie or PyMC to compile and sample.

PyMC is imported inside the functions, because it takes seconds, and by name, because its tensors
are untyped.
"""

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimation.aggregation.density import (
    CONCEPT_DF,
    UNKNOWN,
    CalibrationPrior,
    LogDensity,
    RatingData,
)
from estimation.checks import FloatArray


def pymc_model(data: RatingData, calibration: CalibrationPrior) -> Any:
    """Build the model of `estimation.aggregation.density` in PyMC.

    All arrays are flat and all look-ups are by index: each further kind of operation costs about a
    second of compilation, so matrices, slices and sparse products would double the wait.

    Parameters
    ----------
    data : RatingData
        Ratings.
    calibration : CalibrationPrior
        Prior on the calibration.

    Returns
    -------
    pymc.Model
        Free variables ``population`` (means, then log spreads), ``concepts`` and ``raters``, which
        one after the other are the vector that `LogDensity.natural` names.
    """
    pm: Any = import_module("pymc")
    pt: Any = import_module("pytensor.tensor")

    density = LogDensity(data, calibration)
    p, n_concepts, n_raters = density.n_features, data.n_concepts, data.n_raters
    n_items = data.features.shape[0]
    answers = data.answers.tocoo()
    rater = np.arange(n_raters)
    miss, false_alarm = np.tile(rater, 2), np.tile(rater, 2) + n_raters
    present = np.repeat([True, False], n_raters)
    n_answers = np.asarray(answers.sum(axis=0)).ravel()

    def sum_by_item(item: NDArray[np.int64], values: Any) -> Any:
        return pt.inc_subtensor(pt.zeros(n_items)[item], values)

    with pm.Model() as model:
        population = pm.Normal(
            "population", density.population_centre, density.population_scale, shape=2 * (p + 2)
        )
        concepts = pm.StudentT("concepts", nu=CONCEPT_DF, mu=0.0, sigma=1.0, shape=p * n_concepts)
        raters = pm.Normal("raters", 0.0, 1.0, shape=2 * n_raters)
        spread = pt.exp(population)
        kind = np.repeat(np.arange(p), n_concepts)
        coefficients = population[kind] + spread[kind + p + 2] * concepts
        kind = np.repeat([p, p + 1], n_raters)
        rates = population[kind] + spread[kind + p + 2] * raters

        # log P(answer | absent) of "present by j" is rate - softplus(rate), of "absent by j"
        # -softplus(rate), rate being j's logit of false alarms; log P(answer | present) alike with
        # misses. Their difference is the evidence of the answer.
        softplus = pt.softplus(rates)
        evidence = (
            softplus[false_alarm]
            - softplus[miss]
            + np.where(present, -1.0, 1.0) * rates[np.where(present, false_alarm, miss)]
        )
        none = np.zeros(n_raters)
        if_absent = pt.sum(rates * np.r_[none, n_answers[:n_raters]]) - pt.sum(
            softplus * np.r_[none, n_answers[:n_raters] + n_answers[n_raters:]]
        )
        place = (np.arange(p)[:, None] * n_concepts + data.concept).ravel()
        prior_logit = sum_by_item(
            np.tile(np.arange(n_items), p), coefficients[place] * data.features.T.ravel()
        )
        item_evidence = sum_by_item(
            answers.row.astype(np.int64), evidence[answers.col.astype(np.int64)] * answers.data
        )
        # the label summed out, or clamped where it is known: see the module `density`
        posterior_logit = prior_logit + item_evidence
        label_term = pt.softplus(posterior_logit)
        if np.any(data.known != UNKNOWN):
            label_term = (data.known == UNKNOWN) * label_term + (data.known == 1) * posterior_logit
        pm.Potential("ratings", if_absent + pt.sum(label_term - pt.softplus(prior_logit)))
    return model


def compile_model(model: Any, start: FloatArray) -> Any:
    """Compile a model to machine code by nutpie, through numba.

    Parameters
    ----------
    model : pymc.Model
        From `pymc_model`.
    start : ndarray, shape (size,)
        Where chains start, each with a little noise of its own.

    Returns
    -------
    nutpie.CompiledModel
    """
    from dataclasses import replace

    import nutpie

    from estimation.aggregation.nuts import starts_around

    pytensor: Any = import_module("pytensor")
    # The density is compiled by numba whatever the mode says; mode and C compiler are for the
    # initial points that nutpie prepares, which are replaced here. Without the C compiler PyTensor
    # does not search for BLAS (and complain) either: no product in the model would use it.
    with pytensor.config.change_flags(mode="FAST_COMPILE", cxx=""):
        compiled: Any = nutpie.compile_pymc_model(model, backend="numba", jitter_rvs=set())
    return replace(compiled, initial_point_func=starts_around(start))
