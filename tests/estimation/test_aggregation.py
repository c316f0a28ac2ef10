import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar

from estimation.aggregation import BRAgg, MajorityVote, MeanRating, bragg_posterior, prior_of_items
from estimation.checks import EstimationError
from estimation.ratings import RatingsError
from estimation.simulation import SimulatedRater, simulate_raters, simulate_ratings


def frame(votes):
    """One item a string: 1 present, 0 absent, ? cannot tell."""
    rows = [
        (item, f"r{number}", {"1": 1.0, "0": 0.0, "?": None}[vote])
        for item, line in enumerate(votes)
        for number, vote in enumerate(line)
    ]
    return pd.DataFrame(rows, columns=["item", "rater", "rating"])


def test_majority_vote_and_its_ties():
    vote = MajorityVote().fit(frame(["110", "100", "10?", "???"]))
    assert vote.labels_.tolist() == [1.0, 0.0, 0.5, 0.5]
    assert vote.ties_ == 2
    assert MajorityVote(tie=0.0).fit(frame(["10"])).labels_.tolist() == [0.0]


def test_mean_rating():
    mean = MeanRating().fit(frame(["110", "000", "1??", "???"]))
    np.testing.assert_allclose(mean.probabilities_.to_numpy(), [2 / 3, 0, 1, np.nan])
    assert mean.labels_.tolist()[:3] == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("error_rate", [0.05, 0.23, 0.45])
@pytest.mark.parametrize("prior", [0.01, 0.05, 0.6])
def test_bragg_is_bayes_rule(error_rate, prior):
    for n in range(5):
        for k in range(n + 1):
            present = prior * (1 - error_rate) ** k * error_rate ** (n - k)
            absent = (1 - prior) * error_rate**k * (1 - error_rate) ** (n - k)
            assert bragg_posterior(n, k, prior, error_rate=error_rate) == pytest.approx(
                present / (present + absent), rel=1e-12
            )


def test_bragg_as_published():
    # logit c = (2 alpha - m) ln(.77/.23) + logit(.05)
    fitted = BRAgg().fit(frame(["111", "110", "000"]))
    logits = np.array([3, 1, -3]) * np.log(0.77 / 0.23) + np.log(0.05 / 0.95)
    np.testing.assert_allclose(fitted.probabilities_, 1 / (1 + np.exp(-logits)), rtol=1e-12)
    assert fitted.error_rate_ == 0.23


def test_bragg_clips_the_concept_prior():
    fitted = BRAgg().fit(frame(["1", "1"]), [0.0, 1.0])
    expected = bragg_posterior(1, 1, [0.001, 0.999])
    np.testing.assert_allclose(fitted.probabilities_, expected, rtol=1e-12)


def test_bragg_estimates_the_error_rate_at_the_posterior_mode():
    raters = [SimulatedRater(f"r{i}", 0.3, 0.3) for i in range(6)]
    truth = (np.random.default_rng(0).random(400) < 0.4).astype(float)
    ratings = simulate_ratings(truth, raters, seed=1)
    fitted = BRAgg("estimate", prior=0.4).fit(ratings)

    def minus_log_posterior(rate):
        groups = ratings.groupby("item")["rating"]
        k, n = groups.sum().to_numpy(), groups.count().to_numpy()
        present = 0.4 * (1 - rate) ** k * rate ** (n - k)
        absent = 0.6 * rate**k * (1 - rate) ** (n - k)
        prior = 4.6 * np.log(rate) + 15.4 * np.log(1 - rate)
        return -np.sum(np.log(present + absent)) - prior

    best = minimize_scalar(minus_log_posterior, bounds=(0.01, 0.49), method="bounded").x
    assert fitted.error_rate_ == pytest.approx(best, abs=1e-4)
    assert fitted.error_rate_ == pytest.approx(0.3, abs=0.04)


def test_error_rate_stays_defined_when_raters_always_agree():
    fitted = BRAgg("estimate", prior=0.5).fit(frame(["111", "000", "111"]))
    assert 0 < fitted.error_rate_ < 0.23


def test_bragg_learns_prior_and_error_rate_at_the_posterior_mode():
    raters = [SimulatedRater(f"r{i}", 0.2, 0.2) for i in range(6)]
    truth = (np.random.default_rng(0).random(500) < 0.15).astype(float)
    ratings = simulate_ratings(truth, raters, seed=1)
    fitted = BRAgg("estimate", prior="estimate").fit(ratings)
    groups = ratings.groupby("item")["rating"]
    k, n = groups.sum().to_numpy(), groups.count().to_numpy()
    share = (k.sum() + 1) / (n.sum() + 2)

    def minus_log_posterior(values):
        rate, prior = values
        present = prior * (1 - rate) ** k * rate ** (n - k)
        absent = (1 - prior) * rate**k * (1 - rate) ** (n - k)
        before = 4.6 * np.log(rate) + 15.4 * np.log(1 - rate)
        before += 10 * share * np.log(prior) + 10 * (1 - share) * np.log(1 - prior)
        return -np.sum(np.log(present + absent)) - before

    best = minimize(minus_log_posterior, [0.3, 0.3], bounds=[(0.01, 0.49)] * 2, tol=1e-12).x
    assert (fitted.error_rate_, fitted.prior_) == pytest.approx(best, abs=1e-4)
    assert fitted.prior_ == pytest.approx(0.15, abs=0.04)
    assert share > 0.2  # the share itself would be far off


def test_bragg_with_a_given_error_rate_learns_the_prior_only():
    fitted = BRAgg(0.1, prior="estimate").fit(frame(["11", "00", "11", "11"]))
    assert fitted.error_rate_ == 0.1
    assert 0.6 < fitted.prior_ < 0.9
    assert BRAgg().fit(frame(["1"])).prior_ == 0.05
    assert BRAgg().fit(frame(["1"]), 0.3).prior_ is None


@pytest.mark.parametrize("prior", [0, 1, -0.1, "guess"])
def test_constant_prior_out_of_range(prior):
    with pytest.raises(RatingsError, match="constant prior"):
        BRAgg(prior=prior).fit(frame(["1"]))


@pytest.mark.parametrize(
    "setting",
    [{"clip": 0.7}, {"clip": np.nan}, {"prior_ratings": 0}, {"prior_items": -5}],
)
def test_bragg_settings_out_of_range(setting):
    with pytest.raises(RatingsError, match=next(iter(setting))):
        BRAgg("estimate", prior="estimate", **setting).fit(frame(["110"]))


@pytest.mark.parametrize(
    ("n", "k", "prior", "message"),
    [(np.nan, 1, 0.5, "k .ratings"), (3, 1, np.nan, "prior: holds"), (3, 1, 5.0, "prior: holds")],
)
def test_bragg_of_values_that_are_none(n, k, prior, message):
    with pytest.raises(RatingsError, match=message):
        bragg_posterior(n, k, prior)


def test_a_prior_is_given_or_learned_but_not_both():
    with pytest.raises(RatingsError, match="concept prior was given too"):
        BRAgg(prior="estimate").fit(frame(["1"]), 0.3)


BAD_TABLES = {
    "always the same": [(i, r, 1.0) for i in range(5) for r in "ab"],
    "one rating": [(0, "a", 1.0)],
    "all disagree": [(i, r, float(r == "a")) for i in range(5) for r in "ab"],
    "nobody could tell": [(i, "a", None) for i in range(3)],
}


@pytest.mark.parametrize("rows", BAD_TABLES.values(), ids=BAD_TABLES)
@pytest.mark.parametrize("method", [MajorityVote(), BRAgg(), BRAgg("estimate", prior="estimate")])
def test_poor_tables_have_a_defined_result(method, rows):
    ratings = pd.DataFrame(rows, columns=["item", "rater", "rating"])
    assert method.fit_predict_proba(ratings).between(0, 1).all()
    with pytest.raises(RatingsError, match="more than once"):
        method.fit(pd.concat([ratings, ratings]))


@pytest.mark.parametrize("rate", [0, 0.5, 0.7, -1, "often"])
def test_error_rate_out_of_range(rate):
    with pytest.raises(RatingsError, match="error_rate"):
        BRAgg(rate).fit(frame(["1"]))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.text("01?", min_size=1, max_size=4), min_size=1, max_size=6), st.integers(0, 99))
def test_order_of_rows_and_names_of_raters_change_nothing(votes, seed):
    ratings = frame(votes)
    shuffled = ratings.sample(frac=1, random_state=seed)
    renamed = shuffled.assign(rater="x" + shuffled["rater"])
    for method in (MajorityVote, MeanRating, BRAgg):
        before = method().fit(ratings).probabilities_
        after = method().fit(renamed).probabilities_.reindex(before.index)
        np.testing.assert_allclose(after, before)


def test_prior_forms_agree():
    ratings = pd.DataFrame(
        [(c, i, "r", 1) for c, i in itertools.product("ab", (0, 2))],
        columns=["concept", "item", "rater", "rating"],
    )
    vectors = {"a": np.array([0.1, 0.2, 0.3]), "b": np.array([0.4, 0.5, 0.6])}
    expected = [0.1, 0.3, 0.4, 0.6]
    keys = {("a", 0): 0.1, ("a", 2): 0.3, ("b", 0): 0.4, ("b", 2): 0.6}
    for prior in (vectors, keys, pd.Series(keys), expected):
        np.testing.assert_allclose(prior_of_items(ratings, prior), expected)
    np.testing.assert_allclose(prior_of_items(ratings, 0.5), 0.5)


def test_rating_outside_the_design():
    with pytest.raises(RatingsError, match="no prior for item 1"):
        BRAgg().fit(frame(["1", "1"]), {0: 0.5})
    ratings = frame(["1", "1"]).assign(concept="a")
    with pytest.raises(RatingsError, match="item 1 is outside the probe dataset of 1 inputs"):
        BRAgg().fit(ratings, {"a": np.array([0.5])})
    with pytest.raises(RatingsError, match="no prior for concept 'a'"):
        BRAgg().fit(ratings, {"b": np.array([0.5, 0.5])})


def test_prior_that_is_no_probability():
    with pytest.raises(EstimationError, match="outside"):
        BRAgg().fit(frame(["1"]), [1.5])
    with pytest.raises(RatingsError, match="2 ratings"):
        BRAgg().fit(frame(["1", "1"]), [0.1, 0.2, 0.3])


# --- simulated raters


def test_simulated_raters_have_the_mean_error_they_should():
    raters = simulate_raters(20_000, mean_error=0.23, spread=0.8, seed=0)
    rates = np.array([(r.miss_rate, r.false_alarm_rate) for r in raters])
    # 4.9 standard errors: false-alarm rate 1e-6
    assert abs(rates.mean() - 0.23) < 4.9 * rates.std() / np.sqrt(rates.size)
    assert rates.std() > 0.1


def test_simulated_raters_rate_as_their_rates_say():
    rater = SimulatedRater("r", 0.1, 0.4)
    truth = np.repeat([1.0, 0.0], 50_000)
    ratings = rater.rate(truth, np.random.default_rng(0))
    assert ratings[truth == 1].mean() == pytest.approx(0.9, abs=0.007)
    assert ratings[truth == 0].mean() == pytest.approx(0.4, abs=0.011)


def test_perfect_raters_are_never_wrong():
    truth = np.array([1.0, 0.0] * 50)
    rater = SimulatedRater("r", 0.0, 0.0)
    np.testing.assert_array_equal(rater.rate(truth, np.random.default_rng(0), 3.0), truth)


def test_simulated_ratings_have_the_redundancy_asked_for_and_no_duplicates():
    raters = simulate_raters(5, seed=0)
    ratings = simulate_ratings(np.ones(40), raters, items=[3, 3, 7], redundancy=4, seed=1)
    assert sorted(ratings["item"].unique()) == [3, 7]
    assert (ratings.groupby("item")["rater"].nunique() == 4).all()


def test_difficulty_makes_errors_agree():
    raters = [SimulatedRater(f"r{i}", 0.23, 0.23) for i in range(2)]
    truth = np.zeros(20_000)

    def agreement(difficulty_sd):
        ratings = simulate_ratings(truth, raters, redundancy=2, seed=1, difficulty_sd=difficulty_sd)
        wide = ratings.pivot_table(index="item", columns="rater", values="rating")
        return wide.corr().iloc[0, 1]

    assert abs(agreement(0.0)) < 0.035  # 5 standard errors
    assert agreement(2.0) > 0.2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"truth": [0.5], "redundancy": 1}, "truth"),
        ({"truth": [1.0], "redundancy": 3}, "redundancy"),
        ({"truth": [1.0], "redundancy": 0}, "redundancy"),
    ],
)
def test_simulation_of_nonsense(arguments, message):
    truth = arguments.pop("truth")
    with pytest.raises(EstimationError, match=message):
        simulate_ratings(truth, simulate_raters(2, seed=0), seed=0, **arguments)


def test_raters_of_nonsense():
    with pytest.raises(EstimationError, match="n_raters"):
        simulate_raters(0, seed=0)
    with pytest.raises(EstimationError, match="mean error rate"):
        simulate_raters(1, mean_error=0.0, seed=0)
    with pytest.raises(EstimationError, match="miss_rate"):
        SimulatedRater("r", 1.5, 0.1)
