"""Items with known labels, and correlated errors within items, in the hierarchical model."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from scipy.stats import betabinom

from estimation.aggregation import HierarchicalBayes, estimate_within_item_correlation
from estimation.aggregation.density import UNKNOWN, CalibrationPrior
from estimation.aggregation.encoding import encode_ratings
from estimation.aggregation.gold import known_labels
from estimation.aggregation.shared_errors import RatedItems, calibrated_logits
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


def simulated_items(difficulty_sd, *, n_items=800, redundancy=4, seed=0, gold=0.0, shift=0.0):
    """Ratings by unlike raters on items that differ in difficulty; the prior's logit is shifted."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-1, 2, n_items)
    truth = (rng.random(n_items) < expit(z)).astype(float)
    raters = simulate_raters(20, mean_error=0.2, spread=0.5, seed=seed)
    ratings = simulate_ratings(
        truth, raters, redundancy=redundancy, seed=seed + 1, difficulty_sd=difficulty_sd
    )
    known = np.where(rng.random(n_items) < gold, truth, np.nan)
    prior = dict(enumerate(expit(z + shift)))
    return ratings.assign(gold=known[ratings["item"]]), prior, raters


def correlation_of(raters, difficulty_sd):
    """Compute tau of raters by a simulation of their items' difficulty."""
    rates = np.array([rate for r in raters for rate in (r.miss_rate, r.false_alarm_rate)])
    u = np.random.default_rng(0).normal(size=20_000)
    chance = expit(logit(rates)[:, None] + difficulty_sd * u)
    mean = chance.mean(axis=1)
    return float(chance.var(axis=1).sum() / np.sum(mean * (1 - mean)))


@pytest.mark.parametrize("difficulty_sd", [0.0, 1.0])
@pytest.mark.parametrize(("gold", "shift"), [(0.0, 0.0), (0.0, 1.5), (1.0, 0.0)])
def test_correlation_is_recovered(difficulty_sd, gold, shift):
    # 800 items of 4 ratings: the sampling error of a pairwise correlation is about
    # 1/sqrt(6 x 800) = .015 with known labels, twice that without; 2 of the latter and the pull of
    # the prior towards .1, itself below .03 here: false-alarm rate below .05, with a fixed seed
    ratings, prior, raters = simulated_items(difficulty_sd, gold=gold, shift=shift)
    tau = estimate_within_item_correlation(ratings, prior)
    assert tau == pytest.approx(correlation_of(raters, difficulty_sd), abs=0.06)


def test_few_ratings_leave_the_prior():
    ratings, prior, _ = simulated_items(1.0, redundancy=1)
    assert estimate_within_item_correlation(ratings, prior) == pytest.approx(0.1, abs=0.05)
    ratings, prior, _ = simulated_items(1.0, n_items=10)
    assert estimate_within_item_correlation(ratings, prior) == pytest.approx(0.1, abs=0.06)


def test_several_concepts_have_calibrations_of_their_own():
    tables, priors = [], {}
    for name, shift in (("low", -2.0), ("high", 2.0)):
        ratings, prior, _ = simulated_items(0.0, n_items=400, shift=shift)
        tables.append(ratings.assign(concept=name))
        priors[name] = np.array(list(prior.values()))
    ratings = pd.concat(tables, ignore_index=True)
    assert estimate_within_item_correlation(ratings, priors) < 0.06


def test_the_prior_is_calibrated_at_the_mode():
    # scipy's beta-binomial and its own optimiser, one concept, one feature
    from scipy.optimize import minimize
    from scipy.stats import norm

    ratings, _, _ = simulated_items(0.8, n_items=150)
    data = encode_ratings(ratings)
    k = ratings.groupby("item", sort=False)["rating"].sum().to_numpy()
    calibration = CalibrationPrior(mean_sd=(0.7, 0.3, 1.5), spread=(0.4, 0.15, 0.5))
    items = RatedItems(data, np.ones((150, 1)), np.zeros(150, dtype=np.int64), calibration)
    tau = 0.2
    scale = 1 / tau - 1

    def negative(theta):
        mean, deviation, miss, false_alarm = theta
        present = expit(mean + 0.4 * deviation)
        one, zero = (
            betabinom.pmf(k, 4, rate * scale, (1 - rate) * scale)
            for rate in (expit(-miss), expit(false_alarm))
        )
        prior = norm.logpdf([mean / 0.7, deviation]).sum()
        prior += norm.logpdf((np.array([miss, false_alarm]) - logit(0.2)) / 0.7).sum()
        return -np.log(present * one + (1 - present) * zero).sum() - prior

    start = [-0.5, -0.5, logit(0.2), logit(0.25)]
    best = minimize(negative, start, method="BFGS", options={"gtol": 1e-6}).x
    np.testing.assert_allclose(calibrated_logits(items, tau), best[0] + 0.4 * best[1], atol=2e-3)


def test_order_of_ratings_changes_no_correlation():
    ratings, prior, _ = simulated_items(1.0, n_items=200)
    before = estimate_within_item_correlation(ratings, prior)
    after = estimate_within_item_correlation(ratings.sample(frac=1, random_state=0), prior)
    assert after == pytest.approx(before, abs=1e-3)


def test_the_model_sees_each_item_with_its_own_prior():
    """Items stand in one order in ratings and features, whatever the order of the rows."""
    ratings, prior, _ = simulated_items(1.0, n_items=200)
    seen = []

    def look(items):
        z = logit(np.array([prior[item] for _, item in items.ratings.items]))
        np.testing.assert_allclose(items.features[:, 1], np.clip(z, -9.21, 9.21), atol=0.01)
        seen.append(items)
        return 0.1

    options = {"draws": 20, "tune": 50, "max_rounds": 1, "max_r_hat": 9}
    shuffled = ratings.drop(columns="gold").sample(frac=1, random_state=1)
    model(correlation_estimator=look, **options).fit(shuffled, prior)
    assert len(seen) == 1


def test_the_estimate_is_used_and_can_be_replaced():
    ratings, _, _ = careless_panel()
    options = {"draws": 20, "tune": 50, "max_rounds": 1, "max_r_hat": 9}
    estimated = model(within_item_correlation="estimate", **options).fit(ratings, 0.5)
    assert 0 <= estimated.within_item_correlation_ < 1
    given = model(
        within_item_correlation="estimate", correlation_estimator=lambda _: 0.37, **options
    ).fit(ratings, 0.5)
    assert given.within_item_correlation_ == 0.37
    fixed = model(within_item_correlation=0.37, **options).fit(ratings, 0.5)
    pd.testing.assert_series_equal(given.probabilities_, fixed.probabilities_)
    with pytest.raises(RatingsError, match="'guess' is neither 'estimate' nor"):
        model(within_item_correlation="guess").fit(ratings, 0.5)
