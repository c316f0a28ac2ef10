import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimation.aggregation.dawid_skene import DawidSkene
from estimation.aggregation.encoding import encode_ratings
from estimation.aggregation.nuts import ConvergenceWarning
from estimation.ratings import RatingsError, RatingsWarning
from estimation.simulation import SimulatedRater, simulate_raters, simulate_ratings


@pytest.fixture(scope="module")
def study():
    truth = (np.random.default_rng(0).random(400) < 0.3).astype(float)
    ratings = simulate_ratings(truth, simulate_raters(12, spread=0.8, seed=1), redundancy=4, seed=2)
    return truth, ratings


def plain_em(ratings, n_sweeps, error_prior=(2.0, 5.0), prevalence_prior=(2.0, 2.0), gold=None):
    """Dawid-Skene written with dense arrays and probabilities instead of log odds."""
    wide = ratings.pivot(index="item", columns="rater", values="rating")
    y, seen = wide.fillna(0).to_numpy(), wide.notna().to_numpy()
    a, b = error_prior
    miss = np.full(y.shape[1], a / (a + b))
    alarm, prevalence = miss.copy(), 0.5
    for _ in range(n_sweeps):
        present = np.where(seen, np.where(y == 1, 1 - miss, miss), 1).prod(axis=1) * prevalence
        absent = np.where(seen, np.where(y == 1, alarm, 1 - alarm), 1).prod(axis=1)
        p = present / (present + absent * (1 - prevalence))
        if gold is not None:
            p = gold.reindex(wide.index).fillna(pd.Series(p, wide.index)).to_numpy()
        on_present, on_absent = seen * p[:, None], seen * (1 - p)[:, None]
        miss = ((on_present * (1 - y)).sum(0) + a - 1) / (on_present.sum(0) + a + b - 2)
        alarm = ((on_absent * y).sum(0) + a - 1) / (on_absent.sum(0) + a + b - 2)
        pa, pb = prevalence_prior
        prevalence = (p.sum() + pa - 1) / (p.size + pa + pb - 2)
    return pd.Series(p, wide.index), pd.Series(miss, wide.columns), prevalence


def test_equals_a_plain_em(study):
    _, ratings = study
    fitted = DawidSkene(max_iterations=25, tolerance=0).fit(ratings)
    p, miss, prevalence = plain_em(ratings, 25)
    np.testing.assert_allclose(fitted.probabilities_.reindex(p.index), p, atol=1e-10)
    np.testing.assert_allclose(fitted.miss_rate_.reindex(miss.index), miss, rtol=1e-8)
    assert fitted.prevalence_ == pytest.approx(prevalence, rel=1e-9)
    assert fitted.n_iterations_ == 25


def test_log_posterior_is_that_of_the_labels_summed_out(study):
    _, ratings = study
    fitted = DawidSkene(max_iterations=1, tolerance=0).fit(ratings)
    error, value = 2 / 7, 0.0
    for _, votes in ratings.groupby("item")["rating"]:
        k, n = votes.sum(), votes.size
        value += np.log(
            0.5 * (1 - error) ** k * error ** (n - k) + 0.5 * error**k * (1 - error) ** (n - k)
        )
    assert fitted.log_likelihood_[0] == pytest.approx(value, rel=1e-12)
    prior = 24 * (np.log(error) + 4 * np.log(1 - error)) + 2 * np.log(0.5)
    assert fitted.log_posterior_[0] == pytest.approx(value + prior, rel=1e-12)


@st.composite
def small_tables(draw):
    n_items, n_raters = draw(st.integers(1, 8)), draw(st.integers(1, 5))
    values = draw(
        st.lists(
            st.sampled_from([0.0, 1.0, np.nan, -1.0]),
            min_size=n_items * n_raters,
            max_size=n_items * n_raters,
        )
    )
    frame = pd.DataFrame(
        [(i // n_raters, f"r{i % n_raters}", value) for i, value in enumerate(values)],
        columns=["item", "rater", "rating"],
    )
    frame = frame[frame["rating"] != -1].reset_index(drop=True)
    return frame if len(frame) else pd.DataFrame({"item": [0], "rater": ["r0"], "rating": [1.0]})


@pytest.mark.filterwarnings("ignore::estimation.ratings.RatingsWarning")
@settings(deadline=None, max_examples=60)
@given(small_tables(), st.sampled_from(["two_coin", "one_coin"]), st.booleans())
def test_log_posterior_never_falls(ratings, kind, with_prior):
    prior = 0.3 if with_prior else None
    fitted = DawidSkene(kind, max_iterations=40, tolerance=0).fit(ratings, prior)
    assert np.all(np.diff(fitted.log_posterior_) >= -1e-9)
    assert fitted.probabilities_.between(0, 1).all()


@pytest.mark.filterwarnings("ignore::estimation.ratings.RatingsWarning")
@settings(deadline=None, max_examples=40)
@given(small_tables(), st.integers(0, 99))
def test_order_and_names_change_nothing(ratings, seed):
    method = DawidSkene(max_iterations=30, tolerance=0)
    before = method.fit_predict_proba(ratings)
    miss = method.miss_rate_
    # far apart integers and texts take the two ways of numbering
    for item, rater in ((lambda i: 10**12 * i, lambda r: "x" + r), (str, lambda r: int(r[1:]))):
        other = ratings.sample(frac=1, random_state=seed)
        other = other.assign(item=other["item"].map(item), rater=other["rater"].map(rater))
        after = DawidSkene(max_iterations=30, tolerance=0).fit(other)
        got = after.probabilities_.reindex(before.index.map(item))
        np.testing.assert_allclose(got, before, atol=1e-9)
        np.testing.assert_allclose(after.miss_rate_.reindex(miss.index.map(rater)), miss, atol=1e-9)


def test_finds_labels_and_raters(study):
    truth, ratings = study
    fitted = DawidSkene().fit(ratings)
    votes = ratings.groupby("item")["rating"].mean().reindex(fitted.labels_.index)
    actual = truth[fitted.labels_.index]
    # half a point for a tied vote
    majority = np.mean(np.where(votes == 0.5, 0.5, (votes > 0.5) == actual))
    assert np.mean(fitted.labels_ == actual) > majority
    panel = {r.name: r for r in simulate_raters(12, spread=0.8, seed=1)}
    true_alarm = np.array([panel[name].false_alarm_rate for name in fitted.false_alarm_rate_.index])
    assert np.corrcoef(true_alarm, fitted.false_alarm_rate_)[0, 1] > 0.8
    assert fitted.converged_


def test_one_coin_has_one_rate_a_rater(study):
    _, ratings = study
    fitted = DawidSkene("one_coin").fit(ratings)
    np.testing.assert_array_equal(fitted.miss_rate_, fitted.false_alarm_rate_)
    assert fitted.miss_rate_.nunique() == 12


def test_gold_items_are_known_and_teach(study):
    truth, ratings = study
    gold = pd.Series(1 - truth[:30], index=range(30))
    with_gold = ratings.assign(gold=ratings["item"].map(gold))
    fitted = DawidSkene(max_iterations=20, tolerance=0).fit(with_gold)
    np.testing.assert_array_equal(fitted.probabilities_.loc[gold.index], gold)
    expected, miss, _ = plain_em(ratings, 20, gold=gold)
    np.testing.assert_allclose(fitted.probabilities_.reindex(expected.index), expected, atol=1e-9)
    np.testing.assert_allclose(fitted.miss_rate_.reindex(miss.index), miss, rtol=1e-8)
    assert np.all(np.diff(fitted.log_posterior_) >= -1e-9)


def test_a_concept_prior_decides_where_ratings_do_not():
    ratings = pd.DataFrame({"item": [0, 0, 1, 1], "rater": list("abab"), "rating": [1, 0, 1, 0]})
    fitted = DawidSkene().fit(ratings, {0: 0.9, 1: 0.1})
    assert fitted.labels_.to_dict() == {0: 1.0, 1: 0.0}
    assert fitted.prevalence_ is None


def test_every_concept_has_a_prevalence_of_its_own():
    raters = simulate_raters(6, seed=0)
    rng = np.random.default_rng(1)
    parts = [
        simulate_ratings(rng.random(300) < share, raters, seed=seed, concept=name)
        for seed, (name, share) in enumerate({"rare": 0.05, "common": 0.6}.items())
    ]
    fitted = DawidSkene().fit(pd.concat(parts, ignore_index=True))
    assert fitted.prevalence_["rare"] < 0.2 < 0.45 < fitted.prevalence_["common"]
    assert fitted.probabilities_.index.names == ["concept", "item"]


def test_predict_uses_what_was_learned(study):
    _, ratings = study
    fitted = DawidSkene(tolerance=0, max_iterations=300).fit(ratings)
    np.testing.assert_allclose(fitted.predict_proba(ratings), fitted.probabilities_, atol=1e-6)
    new = pd.DataFrame({"item": [0], "rater": ["nobody"], "rating": [1.0]})
    odds = fitted.prevalence_ / (1 - fitted.prevalence_)
    odds *= (1 - fitted.miss_rate_.mean()) / fitted.false_alarm_rate_.mean()
    assert fitted.predict_proba(new).iloc[0] == pytest.approx(odds / (1 + odds))


def test_predict_without_what_it_needs(study):
    _, ratings = study
    with pytest.raises(RatingsError, match="call fit first"):
        DawidSkene().predict_proba(ratings)
    with pytest.raises(RatingsError, match="concept prior"):
        DawidSkene().fit(ratings, 0.3).predict_proba(ratings)
    concepts = DawidSkene().fit(ratings.assign(concept="x"))
    with pytest.raises(RatingsError, match="column 'concept'"):
        concepts.predict_proba(ratings)
    with pytest.raises(RatingsError, match="concept 'y' was not in the fit"):
        concepts.predict_proba(ratings.assign(concept="y"))


# --- bad input


def test_a_rater_who_answers_everything_the_same_says_nothing():
    truth = (np.random.default_rng(3).random(300) < 0.5).astype(float)
    good = [SimulatedRater(f"g{i}", 0.15, 0.15) for i in range(4)]
    ratings = simulate_ratings(truth, good, redundancy=4, seed=4)
    yes = pd.DataFrame({"item": range(300), "rater": "yes", "rating": 1.0})
    fitted = DawidSkene().fit(pd.concat([ratings, yes], ignore_index=True))
    assert fitted.miss_rate_["yes"] < 0.02
    assert fitted.false_alarm_rate_["yes"] > 0.9
    without = DawidSkene().fit(ratings).labels_
    assert np.mean(fitted.labels_.reindex(without.index) == without) > 0.98


def test_one_rating_in_all():
    fitted = DawidSkene().fit(pd.DataFrame({"item": ["x"], "rater": ["a"], "rating": [1]}))
    assert 0.5 < fitted.probabilities_["x"] < 1


def test_raters_who_always_disagree_leave_the_prior():
    ratings = pd.DataFrame(
        [(i, r, float(r == "a")) for i in range(20) for r in "ab"],
        columns=["item", "rater", "rating"],
    )
    fitted = DawidSkene().fit(ratings)
    np.testing.assert_allclose(fitted.probabilities_, 0.5, atol=1e-9)


def test_priors_of_zero_and_one_are_clipped():
    ratings = pd.DataFrame({"item": [0, 1], "rater": ["a", "a"], "rating": [1, 0]})
    fitted = DawidSkene().fit(ratings, {0: 0.0, 1: 1.0})
    assert 0 < fitted.probabilities_[0] < 0.01 < 0.99 < fitted.probabilities_[1] < 1


def test_nobody_could_tell():
    ratings = pd.DataFrame({"item": [0, 1], "rater": ["a", "a"], "rating": [None, None]})
    with pytest.warns(RatingsWarning, match="cannot tell"):
        fitted = DawidSkene().fit(ratings)
    assert fitted.probabilities_.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rating": [1, 2]}, "rating 2"),
        ({"rating": ["1", "x"]}, "rating 'x'"),
        ({"item": [0, 0], "rater": ["a", "a"]}, "more than once"),
        ({"item": [0, None]}, "'item' has no value"),
        ({"rater": [None, "a"]}, "'rater' has no value"),
        ({"concept": ["x", None]}, "'concept' has no value"),
        ({"item": [], "rater": [], "rating": []}, "empty"),
    ],
)
def test_tables_that_cannot_be_used(changes, message):
    columns = {"item": [0, 1], "rater": ["a", "a"], "rating": [1, 0]} | changes
    with pytest.raises(RatingsError, match=message):
        DawidSkene().fit(pd.DataFrame(columns))


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"kind": "three_coin"}, "three_coin"),
        ({"error_prior": (5.0, 2.0)}, "below one half"),
        ({"error_prior": (0.5, 2.0)}, "below one half"),
        ({"error_prior": (1.0, np.inf)}, "below one half"),
        ({"prevalence_prior": (1.0, 1.0)}, "prevalence_prior"),
        ({"prevalence_prior": (2.0, np.nan)}, "prevalence_prior"),
        ({"prevalence_prior": (2.0, np.inf)}, "prevalence_prior"),
        ({"max_iterations": 0}, "max_iterations"),
        ({"clip": 0.0}, "clip"),
    ],
)
def test_settings_out_of_range(settings_, message):
    with pytest.raises(RatingsError, match=message):
        DawidSkene(**settings_).fit(pd.DataFrame({"item": [0], "rater": [0], "rating": [1]}))


def test_too_few_sweeps_are_reported(study):
    with pytest.warns(ConvergenceWarning, match="2 sweeps"):
        fitted = DawidSkene(max_iterations=2).fit(study[1])
    assert not fitted.converged_


def test_encoding_takes_every_kind_of_column():
    plain = pd.DataFrame({"item": [5, 5, 3], "rater": [1, 2, 1], "rating": [1.0, np.nan, 0.0]})
    expected = encode_ratings(plain)
    assert expected.answers.tolist() == [1, 0]
    assert expected.starts.tolist() == [0, 1, 2]
    for kinds in (
        {"item": "str", "rater": "category"},
        {"item": "Int64", "rating": "Int64"},
        {"rating": "object", "item": "uint8"},
    ):
        got = encode_ratings(plain.astype(kinds))
        np.testing.assert_array_equal(got.answers, expected.answers)
        np.testing.assert_array_equal(got.starts, expected.starts)
        assert [str(item) for item in got.items] == ["5", "3"]
