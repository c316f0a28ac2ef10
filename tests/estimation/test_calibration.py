"""Simulation-based calibration of the hierarchical model. Slow, and about statistics only."""

import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import kstest

from estimation.aggregation import HierarchicalBayes
from estimation.aggregation.density import CalibrationPrior
from estimation.aggregation.self_check import calibration_ranks, simulate_from_prior

N_STUDIES = 24


def model(**settings):
    options = {"draws": 150, "tune": 150, "max_rounds": 1, "max_r_hat": 9}
    return HierarchicalBayes(sampler="kernel", within_item_correlation=0.0, **(options | settings))


def ranks(n_studies, **settings):
    rows = [
        calibration_ranks(simulate_from_prior(seed=seed), model(seed=seed, **settings), seed=seed)
        for seed in range(n_studies)
    ]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.slow
def test_ranks_of_true_values_are_uniform():
    # Kolmogorov-Smirnov for 7 values, each at 1e-4: a false alarm in fewer than 1 of 1,000 runs,
    # draws being a little correlated
    for name, values in ranks(N_STUDIES).items():
        assert kstest(values, "uniform").pvalue > 1e-4, name


def test_a_prior_that_is_wrong_is_noticed():
    # a model that is sure of the wrong intercept: the check must be able to fail
    wrong = CalibrationPrior(mean=(4.0, 1.0, 0.0), mean_sd=(0.1, 0.5, 1.5))
    found = ranks(8, calibration_prior=wrong)
    assert kstest(found["intercept"], "uniform").pvalue < 1e-4


def test_a_study_from_the_prior_has_what_it_says():
    study = simulate_from_prior(seed=3, n_concepts=3, n_inputs=40, n_raters=4, redundancy=3)
    counts = study.ratings.groupby(["concept", "item"]).size()
    assert counts.index.get_level_values("concept").unique().tolist() == [0, 1, 2]
    assert (counts == 3).all()
    assert counts.index.get_level_values("item").max() == 19
    assert not study.ratings.duplicated(["concept", "item", "rater"]).any()


def test_prior_studies_have_the_prior_means():
    studies = [simulate_from_prior(seed=seed, n_inputs=4) for seed in range(400)]
    # means of 400 draws, standard errors .7/20, 1.5/20, .5/20: 4.5 of them, false alarms below 1e-4
    rater = np.mean([study.rater_mean for study in studies], axis=0)
    np.testing.assert_allclose(rater, logit(0.2), atol=4.5 * 0.7 / 20)
    intercept, slope = np.mean([study.calibration_mean for study in studies], axis=0)
    assert intercept == pytest.approx(0.0, abs=4.5 * 1.5 / 20)
    assert slope == pytest.approx(1.0, abs=4.5 * 0.5 / 20)
