import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import expit, logit
from scipy.stats import norm

from estimation.aggregation import (
    CalibratedDawidSkene,
    DawidSkene,
)
from estimation.aggregation.encoding import encode_ratings
from estimation.aggregation.item_difficulty import (
    MEAN_BIAS_SD,
    MEAN_SKILL_SD,
    SPREAD_WEIGHT,
    error_correlation,
    fit_raters,
    mean_error_rates,
    predict_labels,
    starting_raters,
)
from estimation.ratings import RatingsError, RatingsWarning
from estimation.simulation import SimulatedRater, simulate_raters, simulate_ratings


def simulated(difficulty_sd, *, seed=0, n_items=300, redundancy=5, share=0.4):
    truth = (np.random.default_rng(seed).random(n_items) < share).astype(float)
    raters = simulate_raters(15, mean_error=0.2, seed=seed + 1)
    ratings = simulate_ratings(
        truth, raters, redundancy=redundancy, seed=seed + 2, difficulty_sd=difficulty_sd
    )
    return truth, ratings


def frame(rows):
    return pd.DataFrame(rows, columns=["item", "rater", "rating"])


@pytest.fixture(scope="module")
def hard():
    truth, ratings = simulated(1.5, n_items=600)
    return truth, ratings, CalibratedDawidSkene().fit(ratings)


# --- the model of one grid point, against direct integration


def test_one_item_equals_integration_over_difficulty():
    data = encode_ratings(frame([(0, "a", 1.0), (0, "b", 1.0), (0, "c", 0.0)]))
    raters = starting_raters(3)
    sigma, prior = 0.8, float(logit(0.3))
    sd = np.sqrt(raters.covariance[0].diagonal())

    x = np.linspace(-8, 8, 2001)
    density = norm.pdf(x) * (x[1] - x[0])

    def error(u, label):
        return float(expit(raters.mean[label] + sigma * u + sd[label] * x) @ density)

    absent = quad(lambda u: error(u, 0) ** 2 * (1 - error(u, 0)) * norm.pdf(u), -6, 6)[0]
    present = quad(lambda u: (1 - error(u, 1)) ** 2 * error(u, 1) * norm.pdf(u), -6, 6)[0]
    expected = 0.3 * present / (0.3 * present + 0.7 * absent)
    got = predict_labels(data, np.array([prior]), sigma, raters)[0]
    assert got == pytest.approx(expected, abs=2e-3)


def test_height_is_the_log_marginal_likelihood_when_raters_say_little():
    """One rating a rater: theta is integrated out by brute force at the fitted m and S."""
    data = encode_ratings(frame([(0, "a", 1.0), (1, "b", 0.0)]))
    prior = np.full(2, float(logit(0.4)))
    fit, converged = fit_raters(data, prior, 0.0, starting_raters(2), tolerance=1e-6)
    assert converged
    points, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    root = np.linalg.cholesky(fit.spread)
    total = 0.0
    for says_present in (True, False):
        value = 0.0
        for x, wx in zip(points, weights, strict=True):
            alarm, miss = expit(fit.mean[:, None] + root @ np.stack([np.full(60, x), points]))
            yes = 0.4 * (1 - miss) + 0.6 * alarm
            value += wx * float(weights @ (yes if says_present else 1 - yes))
        total += np.log(value)
    # the priors of m and S, which the height includes
    start = starting_raters(1)
    mix = np.array([[1, 1], [1, -1]])
    far = fit.mean - start.mean
    total -= (
        0.5 * far @ np.linalg.solve(mix @ np.diag([MEAN_SKILL_SD**2, MEAN_BIAS_SD**2]) @ mix.T, far)
    )
    total -= (SPREAD_WEIGHT / 2) * (
        np.trace(start.spread @ np.linalg.inv(fit.spread)) + np.linalg.slogdet(fit.spread)[1]
    )
    assert fit.height == pytest.approx(total, abs=0.1)  # Laplace's method is no quadrature


def test_error_rates_and_correlation_without_difficulty():
    raters = starting_raters(1)
    assert error_correlation(raters, 0.0, np.ones((1, 2))) == pytest.approx(0, abs=1e-12)
    draws = np.random.default_rng(0).normal(
        raters.mean[0], np.sqrt(raters.covariance[0, 0, 0]), 10**6
    )
    assert mean_error_rates(raters, 0.0)[0, 0] == pytest.approx(expit(draws).mean(), abs=1e-3)


def test_correlation_is_that_of_two_simulated_raters():
    rng = np.random.default_rng(1)
    chance = expit(logit(0.2) + 1.2 * rng.normal(size=10**6))
    two = rng.random((2, 10**6)) < chance
    expected = np.corrcoef(two)[0, 1]
    assert error_correlation(starting_raters(1), 1.2, np.ones((1, 2))) == pytest.approx(
        expected, abs=0.005
    )


# --- what it is for


def test_probabilities_are_calibrated_where_items_differ(hard):
    truth, ratings, fitted = hard
    plain = DawidSkene().fit(ratings).probabilities_

    def loss(p):
        t = truth[p.index]
        q = np.clip(p, 1e-10, 1 - 1e-10)
        return -np.mean(t * np.log(q) + (1 - t) * np.log(1 - q))

    assert loss(fitted.probabilities_) < loss(plain) - 0.05
    p, t = fitted.probabilities_, truth[fitted.probabilities_.index]
    # 4 standard errors of the mean of t - p among confident items: false-alarm rate 6e-5
    for sure in (p > 0.8, p < 0.2):
        off = np.sum((t - p)[sure]) / np.sqrt(np.sum((p * (1 - p))[sure]))
        assert abs(off) < 4


def test_difficulty_is_seen_where_it_is_and_only_there(hard):
    _, _, fitted = hard
    assert fitted.within_item_correlation_ > 0.1
    assert fitted.difficulty_sd_ == pytest.approx(1.5, abs=0.5)
    easy = CalibratedDawidSkene().fit(simulated(0.0, n_items=600)[1])
    assert easy.within_item_correlation_ < 0.03


def test_few_ratings_leave_the_correlation_at_its_prior():
    one_each = simulated(1.5, n_items=40, redundancy=1)[1]
    for prior in (None, 0.4):
        fitted = CalibratedDawidSkene().fit(one_each, prior)
        assert fitted.within_item_correlation_ == pytest.approx(0.1, abs=0.03)


def test_the_prior_of_the_prevalence_decides_while_ratings_are_few():
    """One rating an item says nothing of its rater, so the prior's scale sets the prevalence."""
    _, ratings = simulated(0.0, n_items=40, redundancy=1, share=0.1)
    found = [
        CalibratedDawidSkene(prevalence_scale=scale).fit(ratings).prevalence_
        for scale in (0.05, 0.2, 1.0)
    ]
    assert found[0] > found[1] > found[2]
    assert found[0] > 0.35


def test_a_wide_prior_of_the_prevalence_is_integrated_whole():
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "item": np.tile(np.arange(20), 3),
            "rater": np.repeat(["x", "y", "z"], 20),
            "rating": rng.integers(0, 2, 60),
        }
    )
    grid = CalibratedDawidSkene(prevalence_scale=10).fit(table).grid_
    # answers that are all chance say next to nothing of the prevalence: the prior decides, which
    # is flat as far as the grid goes, 4 nats below its height
    assert len(grid) > 400
    assert grid["prevalence_shift"].min() < -20
    assert grid["prevalence_shift"].max() > 20


def test_many_ratings_overrule_the_prior_of_the_prevalence():
    truth, ratings = simulated(0.0, n_items=600, redundancy=5, share=0.05)
    fitted = CalibratedDawidSkene().fit(ratings)
    assert fitted.prevalence_ == pytest.approx(truth.mean(), abs=0.03)


def test_prevalence_and_rates_are_found():
    truth, ratings = simulated(0.0, n_items=800, share=0.25)
    fitted = CalibratedDawidSkene().fit(ratings)
    assert fitted.prevalence_ == pytest.approx(truth.mean(), abs=0.05)
    panel = {r.name: r.miss_rate for r in simulate_raters(15, mean_error=0.2, seed=1)}
    actual = np.array([panel[name] for name in fitted.miss_rate_.index])
    assert np.abs(fitted.miss_rate_ - actual).mean() < 0.06
    assert fitted.grid_["weight"].sum() == pytest.approx(1)


def test_concepts_have_prevalences_of_their_own():
    parts = [
        simulated(0.0, share=share)[1].assign(concept=name)
        for name, share in (("rare", 0.1), ("common", 0.7))
    ]
    fitted = CalibratedDawidSkene().fit(pd.concat(parts, ignore_index=True))
    assert fitted.prevalence_["rare"] < 0.25 < 0.55 < fitted.prevalence_["common"]


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 1000))
def test_order_and_names_change_nothing(seed):
    _, ratings = simulated(1.0, n_items=15, redundancy=3)
    before = CalibratedDawidSkene().fit(ratings)
    other = ratings.sample(frac=1, random_state=seed)
    other = other.assign(rater="x" + other["rater"], item=other["item"] + 1000)
    after = CalibratedDawidSkene().fit(other)
    got = after.probabilities_.reindex(before.probabilities_.index + 1000)
    np.testing.assert_allclose(got, before.probabilities_, atol=1e-6)
    assert after.within_item_correlation_ == pytest.approx(
        before.within_item_correlation_, abs=1e-6
    )


def test_reversed_labels_give_reversed_probabilities():
    _, ratings = simulated(1.0, n_items=60, redundancy=3)
    ours = CalibratedDawidSkene().fit(ratings).probabilities_
    mirror = CalibratedDawidSkene().fit(ratings.assign(rating=1 - ratings["rating"]))
    np.testing.assert_allclose(mirror.probabilities_, 1 - ours, atol=1e-6)


def test_gold_items_are_known():
    truth, ratings = simulated(0.0, n_items=60, redundancy=3)
    gold = ratings["item"].map(lambda item: 1 - truth[item] if item < 5 else np.nan)
    fitted = CalibratedDawidSkene().fit(ratings.assign(gold=gold))
    np.testing.assert_array_equal(fitted.probabilities_.loc[range(5)], 1 - truth[:5])
    rest = fitted.probabilities_.drop(index=range(5))
    assert rest.between(0.02, 0.98).all()


def test_a_concept_prior_counts_and_prevalence_is_not_learned():
    _, ratings = simulated(0.0, n_items=40, redundancy=1)
    low = CalibratedDawidSkene().fit(ratings, 0.05)
    high = CalibratedDawidSkene().fit(ratings, 0.6)
    assert (low.probabilities_ < high.probabilities_).all()
    assert low.prevalence_ is None


# --- bad input


def test_a_rater_who_answers_everything_the_same_says_nothing():
    truth, ratings = simulated(0.0, n_items=200, redundancy=4)
    yes = pd.DataFrame({"item": range(200), "rater": "yes", "rating": 1.0})
    fitted = CalibratedDawidSkene().fit(pd.concat([ratings, yes], ignore_index=True))
    assert fitted.false_alarm_rate_["yes"] > 0.85
    assert np.mean(fitted.labels_ == truth[fitted.labels_.index]) > 0.85


def test_one_rating_in_all():
    for answer in (0.0, 1.0):
        fitted = CalibratedDawidSkene().fit(frame([("x", "a", answer)]))
        assert 0.1 < abs(fitted.probabilities_["x"] - (1 - answer)) < 0.95
        assert fitted.labels_["x"] == answer


def test_raters_who_always_disagree_leave_one_half():
    rows = [(i, r, float((r == "a") == (i % 2 == 0))) for i in range(20) for r in "ab"]
    fitted = CalibratedDawidSkene().fit(frame(rows))
    np.testing.assert_allclose(fitted.probabilities_, 0.5, atol=0.02)


def test_raters_who_never_disagree_stay_below_certainty():
    rows = [(i, r, float(i % 2)) for i in range(30) for r in "abcdef"]
    fitted = CalibratedDawidSkene().fit(frame(rows))
    assert fitted.probabilities_.between(0.02, 0.98).all()
    assert fitted.labels_.tolist() == [float(i % 2) for i in range(30)]
    infallible = CalibratedDawidSkene(consensus_error=0.0).fit(frame(rows))
    assert infallible.probabilities_.max() > 0.99


def test_priors_of_zero_and_one_are_clipped():
    fitted = CalibratedDawidSkene().fit(frame([(0, "a", 1.0), (1, "a", 0.0)]), {0: 0.0, 1: 1.0})
    assert 0 < fitted.probabilities_[0] < 0.05 < 0.95 < fitted.probabilities_[1] < 1


def test_nobody_could_tell():
    with pytest.warns(RatingsWarning, match="cannot tell"):
        fitted = CalibratedDawidSkene().fit(frame([(0, "a", None), (1, "b", None)]))
    assert fitted.probabilities_.tolist() == pytest.approx([0.5, 0.5])
    assert fitted.within_item_correlation_ == pytest.approx(0.1, abs=0.03)


def test_input_that_cannot_be_used():
    with pytest.raises(RatingsError, match="more than once"):
        CalibratedDawidSkene().fit(frame([(0, "a", 1.0), (0, "a", 1.0)]))
    with pytest.raises(RatingsError, match="no prior for item 0"):
        CalibratedDawidSkene().fit(frame([(0, "a", 1.0)]), {1: 0.5})
    for scale in (0.0, -1.0, np.nan, 1e9, np.inf):
        with pytest.raises(RatingsError, match="prevalence_scale: found"):
            CalibratedDawidSkene(prevalence_scale=scale).fit(frame([(0, "a", 1.0)]))
    for bad in ({"consensus_error": 0.5}, {"clip": 0.0}):
        with pytest.raises(RatingsError, match="consensus_error"):
            CalibratedDawidSkene(**bad).fit(frame([(0, "a", 1.0)]))


def test_every_rater_counts_in_simulations_with_spammers():
    truth = (np.random.default_rng(5).random(300) < 0.5).astype(float)
    panel = [SimulatedRater(f"g{i}", 0.15, 0.15) for i in range(6)]
    panel += [SimulatedRater(f"s{i}", 0.5, 0.5) for i in range(6)]
    ratings = simulate_ratings(truth, panel, redundancy=5, seed=6)
    fitted = CalibratedDawidSkene().fit(ratings)
    spam = fitted.miss_rate_.index.str.startswith("s")
    assert fitted.miss_rate_[spam].min() > fitted.miss_rate_[~spam].max()
