"""Items with known labels, and correlated errors within items, in the hierarchical model."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from scipy.stats import betabinom

from estimation.aggregation import HierarchicalBayes
from estimation.aggregation.density import UNKNOWN, CalibrationPrior
from estimation.aggregation.gold import known_labels
from estimation.aggregation.shared_errors import (
    GRID,
    ItemCounts,
    marginal_correlation,
    profile_log_likelihood,
)
from estimation.ratings import RatingsError
from estimation.simulation import SimulatedRater, simulate_raters, simulate_ratings


def model(**settings):
    options = {"sampler": "kernel", "draws": 300, "tune": 300, "max_r_hat": 1.05, "seed": 1}
    return HierarchicalBayes(**(options | settings))


# --- gold items


def careless_panel(n_items=200):
    """Ratings of one concept with a useless prior; two raters of ten err more often than not."""
    rng = np.random.default_rng(0)
    truth = (rng.random(n_items) < 0.4).astype(float)
    raters = simulate_raters(8, mean_error=0.15, spread=0.3, seed=0)
    raters += [SimulatedRater("bad-1", 0.6, 0.5), SimulatedRater("bad-2", 0.5, 0.6)]
    return simulate_ratings(truth, raters, redundancy=3, seed=2), truth, raters


def rate_errors(fitted, raters):
    table = fitted.rater_table()
    return np.mean(
        [
            abs(table.loc[r.name, "miss_rate"] - r.miss_rate)
            + abs(table.loc[r.name, "false_alarm_rate"] - r.false_alarm_rate)
            for r in raters
        ]
    )


@pytest.mark.slow
def test_gold_items_teach_the_rates_of_raters():
    ratings, truth, raters = careless_panel()
    gold = ratings.assign(gold=truth[ratings["item"]])
    # every second item gold
    gold.loc[gold["item"] % 2 == 1, "gold"] = np.nan
    plain = model(within_item_correlation=0.0).fit(ratings, 0.5)
    taught = model(within_item_correlation=0.0).fit(gold, 0.5)
    assert rate_errors(taught, raters) < 0.9 * rate_errors(plain, raters)


def test_gold_items_have_their_known_label():
    ratings, truth, _ = careless_panel()
    ratings = ratings.assign(concept="zebra", gold=np.nan)
    ratings.loc[ratings["item"] < 20, "gold"] = truth[ratings["item"][ratings["item"] < 20]]
    # one row that says so is enough for an item
    first = ratings["item"] == 30
    ratings.loc[ratings.index[first][0], "gold"] = 1
    fitted = model(draws=100, tune=200, max_rounds=1, max_r_hat=2).fit(
        ratings, {"zebra": np.full(200, 0.4)}
    )
    known = fitted.probabilities_["zebra"]
    np.testing.assert_array_equal(known[np.arange(20)], truth[:20])
    assert known[30] == 1
    others = known.drop([*range(20), 30])
    assert ((others > 0) & (others < 1)).all()
    g = fitted.concept_draws("zebra", np.full(200, 0.4), n_draws=10)
    np.testing.assert_array_equal(g[:, :20], np.tile(truth[:20], (10, 1)))
    assert np.all((g[:, 31:] > 0) & (g[:, 31:] < 1))
    # the prediction is the one before the input's own label
    p = fitted.prediction_draws("zebra", np.full(200, 0.4), n_draws=10)
    assert np.all((p > 0) & (p < 1))


def test_a_column_without_gold_changes_nothing():
    ratings, _, _ = careless_panel()
    options = {"draws": 50, "tune": 100, "max_rounds": 1, "max_r_hat": 5}
    one = model(**options).fit(ratings, 0.5)
    two = model(**options).fit(ratings.assign(gold=pd.NA), 0.5)
    pd.testing.assert_series_equal(one.probabilities_, two.probabilities_)


def test_gold_that_makes_no_sense():
    frame = pd.DataFrame({"item": [3, 3], "rater": ["a", "b"], "rating": [1.0, 0.0]})
    codes = np.zeros(2, dtype=np.int64)
    with pytest.raises(RatingsError, match="item 3 has gold labels 0 and 1"):
        known_labels(frame.assign(gold=[0, 1]), codes)
    with pytest.raises(RatingsError, match=r"gold 0\.5 in row 1"):
        known_labels(frame.assign(gold=[0, 0.5]), codes)
    assert known_labels(frame, codes).tolist() == [UNKNOWN]
    assert known_labels(frame.assign(gold=[None, True]), codes).tolist() == [1]


# --- errors that raters share


def simulated_counts(tau, n_items=4000, n_ratings=3, seed=0, gold=0.0):
    """Beta-binomial answers with correlation tau, a calibrated prior, error rates of .2 and .25."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-1, 2, n_items)
    truth = rng.random(n_items) < expit(z)
    rate = np.where(truth, 0.8, 0.25)
    if tau > 0:
        rate = rng.beta(rate * (1 / tau - 1), (1 - rate) * (1 / tau - 1))
    n = np.full(n_items, n_ratings)
    known = np.where(rng.random(n_items) < gold, truth.astype(int), UNKNOWN)
    features = np.column_stack([np.ones(n_items), z])
    concept = rng.integers(0, 4, n_items)
    return ItemCounts(features, concept, n, rng.binomial(n, rate), known, CalibrationPrior())


@pytest.mark.parametrize("tau", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("gold", [0.0, 1.0])
def test_correlation_is_recovered(tau, gold):
    # 4,000 items of 3 ratings: the sampling error of a pairwise correlation is about
    # 1/sqrt(3 x 4,000) = .009 with known labels and up to twice that without; 4 of them and the
    # grid's step are allowed: false-alarm rate below 1e-3
    assert marginal_correlation(simulated_counts(tau, gold=gold)) == pytest.approx(tau, abs=0.06)


def test_few_ratings_leave_the_prior():
    assert marginal_correlation(simulated_counts(0.4, n_ratings=1)) == pytest.approx(0.1)
    few = marginal_correlation(simulated_counts(0.4, n_items=10))
    assert few == pytest.approx(0.1, abs=0.06)


def test_profile_is_the_height_of_the_mode():
    # scipy's beta-binomial and its own optimiser, one concept, one feature
    from scipy.optimize import minimize
    from scipy.stats import norm

    counts = simulated_counts(0.2, n_items=150, n_ratings=4)
    concept = np.zeros(150, dtype=np.int64)
    calibration = CalibrationPrior(mean_sd=(0.7, 0.3, 1.5), spread=(0.4, 0.15, 0.5))
    counts = ItemCounts(
        counts.features[:, :1], concept, counts.n, counts.k, counts.known, calibration
    )

    def height(tau):
        scale = 1 / tau - 1

        def negative(theta):
            mean, deviation, miss, false_alarm = theta
            present = expit(mean + 0.4 * deviation)
            one, zero = (
                betabinom.pmf(counts.k, 4, rate * scale, (1 - rate) * scale)
                for rate in (expit(-miss), expit(false_alarm))
            )
            prior = norm.logpdf([mean / 0.7, deviation]).sum()
            prior += norm.logpdf((np.array([miss, false_alarm]) - logit(0.2)) / 0.7).sum()
            return -np.log(present * one + (1 - present) * zero).sum() - prior

        start = [-0.5, -0.5, logit(0.2), logit(0.25)]
        return -minimize(negative, start, method="BFGS", options={"gtol": 1e-6}).fun

    ours = profile_log_likelihood(counts, np.array([0.05, 0.2, 0.5]))
    expected = np.array([height(tau) for tau in (0.05, 0.2, 0.5)])
    np.testing.assert_allclose(ours - ours[0], expected - expected[0], atol=1e-3)


def test_order_of_items_changes_no_correlation():
    counts = simulated_counts(0.1, n_items=300)
    order = np.random.default_rng(0).permutation(300)
    shuffled = ItemCounts(
        counts.features[order],
        counts.concept[order],
        counts.n[order],
        counts.k[order],
        counts.known[order],
        counts.calibration,
    )
    assert marginal_correlation(shuffled) == pytest.approx(marginal_correlation(counts), abs=1e-4)


def test_the_estimate_is_used_and_can_be_replaced():
    ratings, _, _ = careless_panel()
    options = {"draws": 20, "tune": 50, "max_rounds": 1, "max_r_hat": 9}
    estimated = model(within_item_correlation="estimate", **options).fit(ratings, 0.5)
    assert 0 <= estimated.within_item_correlation_ <= max(GRID)
    given = model(
        within_item_correlation="estimate", correlation_estimator=lambda _: 0.37, **options
    ).fit(ratings, 0.5)
    assert given.within_item_correlation_ == 0.37
    fixed = model(within_item_correlation=0.37, **options).fit(ratings, 0.5)
    pd.testing.assert_series_equal(given.probabilities_, fixed.probabilities_)
    with pytest.raises(RatingsError, match="'guess' is neither 'estimate' nor"):
        model(within_item_correlation="guess").fit(ratings, 0.5)
