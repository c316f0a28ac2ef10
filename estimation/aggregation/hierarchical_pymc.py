"""The hierarchical model of ratings in PyMC: the reference for ``density``.

PyMC is imported inside the function, because it takes seconds, and by name, because
its tensors are untyped.
"""

from importlib import import_module
from typing import Any

import numpy as np

from estimation.aggregation.density import CONCEPT_DF, CalibrationPrior, LogDensity, RatingData


def pymc_model(data: RatingData, calibration: CalibrationPrior) -> Any:
    """Build the model of `estimation.aggregation.density` in PyMC.

    Parameters
    ----------
    data : RatingData
        Ratings.
    calibration : CalibrationPrior
        Prior on the calibration.

    Returns
    -------
    pymc.Model
        Free variables ``means``, ``log_spreads``, ``concepts``, ``raters`` in the layout of
        `LogDensity`; deterministic ones named as in `LogDensity.natural`.
    """
    pm: Any = import_module("pymc")
    pt: Any = import_module("pytensor.tensor")
    pts: Any = import_module("pytensor.sparse")

    density = LogDensity(data, calibration)
    p = density.n_features
    with pm.Model() as model:
        means = pm.Normal("means", density.population_mean, density.population_sd, shape=p + 2)
        log_spreads = pm.Normal(
            "log_spreads", density.log_spread_mean, density.log_spread_sd, shape=p + 2
        )
        concepts = pm.StudentT(
            "concepts", nu=CONCEPT_DF, mu=0.0, sigma=1.0, shape=(p, data.n_concepts)
        )
        raters = pm.Normal("raters", 0.0, 1.0, shape=(2, data.n_raters))
        spreads = pt.exp(log_spreads)
        calibrated = pm.Deterministic("calibration", means[:p, None] + spreads[:p, None] * concepts)
        rates = means[p:, None] + spreads[p:, None] * raters
        miss = pm.Deterministic("logit_miss", rates[0])
        false_alarm = pm.Deterministic("logit_false_alarm", rates[1])
        pm.Deterministic("calibration_mean", means[:p])
        pm.Deterministic("calibration_spread", spreads[:p])
        pm.Deterministic("rater_mean", means[p:])
        pm.Deterministic("rater_spread", spreads[p:])

        # log P(answer | label) of every answer "present by j" and "absent by j", then summed over
        # the answers an item got, and the label summed out
        log_present = pt.concatenate([-pt.softplus(miss), -pt.softplus(-miss)])
        log_absent = pt.concatenate([-pt.softplus(-false_alarm), -pt.softplus(false_alarm)])
        answers = pts.as_sparse_variable(data.answers)
        if_present, if_absent = (
            pts.structured_dot(answers, column[:, None])[:, 0]
            for column in (log_present, log_absent)
        )
        prior_logit = pt.sum(
            pt.as_tensor(np.ascontiguousarray(data.features.T)) * calibrated[:, data.concept],
            axis=0,
        )
        pm.Potential(
            "ratings",
            pt.sum(
                pt.logaddexp(
                    -pt.softplus(-prior_logit) + if_present, -pt.softplus(prior_logit) + if_absent
                )
            ),
        )
    return model
