"""Simulated raters and the source of ratings.

Shares of wrong answers are compared with their expectation by binomial tests at 1e-4 each, some
twenty in all: a false alarm in one of 500 seeds, and seeds are fixed.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit, logit

from estimation.checks import EstimationError
from estimation.laboratory.rating_source import RatingSource
from estimation.simulation import (
    SimulatedRater,
    error_probability,
    location_for_mean,
    simulate_raters,
)

ALPHA = 1e-4


def assert_share(hits, expected: float) -> None:
    hits = np.asarray(hits)
    assert stats.binomtest(int(hits.sum()), hits.size, expected).pvalue > ALPHA


def test_asymmetric_means_are_met():
    panel = simulate_raters(4000, mean_error=0.35, mean_false_alarm=0.1, spread=0.8, seed=0)
    # standard errors are below .003
    assert np.mean([r.miss_rate for r in panel]) == pytest.approx(0.35, abs=0.012)
    assert np.mean([r.false_alarm_rate for r in panel]) == pytest.approx(0.1, abs=0.012)


def test_panels_of_before_are_the_same_still():
    """One mean error rate for both: the numbers that studies and the demo were made with."""
    rates = expit(np.random.default_rng(7).normal(location_for_mean(0.23, 0.5), 0.5, (5, 2)))
    panel = simulate_raters(5, seed=7)
    assert [(r.miss_rate, r.false_alarm_rate) for r in panel] == [tuple(pair) for pair in rates]


def test_spammers_are_a_share_and_change_nobody_else():
    panel = simulate_raters(50, spammer_share=0.2, seed=1)
    plain = simulate_raters(50, seed=1)
    spammers = [r for r in panel if not r.looks]
    assert len(spammers) == 10
    assert {(r.miss_rate, r.false_alarm_rate) for r in spammers} == {(0, 1), (1, 0), (0.5, 0.5)}
    assert [r for r in panel if r.looks] == [
        old for old, new in zip(plain, panel, strict=True) if new.looks
    ]
    assert len({r.name for r in panel}) == 50
    with pytest.raises(EstimationError, match=r"spammer_share: 1.2"):
        simulate_raters(5, spammer_share=1.2, seed=0)


@pytest.mark.parametrize(
    ("rates", "share"), [((0.0, 1.0), 1.0), ((1.0, 0.0), 0.0), ((0.5, 0.5), 0.5)]
)
def test_spammers_answer_without_looking(rates, share):
    rng = np.random.default_rng(0)
    truth = np.arange(4000) % 2
    rater = SimulatedRater("s", *rates, looks=False)
    # on items where whoever looks is always wrong
    ratings = rater.rate(truth, rng, difficulty=50.0)
    for label in (0, 1):
        assert_share(ratings[truth == label], share)


@given(
    st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(-3, 3), st.integers(0, 1), st.booleans()
)
def test_error_probability_is_a_shift_on_the_logit(miss, false_alarm, difficulty, truth, looks):
    found = error_probability([truth], miss, false_alarm, difficulty=difficulty, looks=looks)[0]
    rate = miss if truth else false_alarm
    assert found == pytest.approx(expit(logit(rate) + (difficulty if looks else 0.0)), rel=1e-9)


def make_source(seed: int = 0, n: int = 200, n_raters: int = 12, **options) -> RatingSource:
    truth = (np.arange(n) % 3 == 0).astype(float)
    return RatingSource.from_raters(truth, simulate_raters(n_raters, seed=5), seed=seed, **options)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(0, 3), st.data())
def test_answers_do_not_depend_on_how_one_asks(items, seed, data):
    """All at once, one by one, and in another order of items: the same ratings of each item."""
    items = [item for item in items if items.count(item) <= 12]
    at_once, one_by_one, shuffled = (make_source(seed, n=10) for _ in range(3))
    raters, ratings = at_once.rate(np.array(items, dtype=int))
    alone = [one_by_one.rate([item]) for item in items]
    assert [(int(r[0]), int(v[0])) for r, v in alone] == list(
        zip(raters.tolist(), ratings.tolist(), strict=True)
    )
    order = data.draw(st.permutations(items))
    again = shuffled.rate(np.array(order, dtype=int))

    def by_item(asked, answers):
        return sorted(zip(asked, *(part.tolist() for part in answers), strict=True))

    assert by_item(order, again) == by_item(items, (raters, ratings))
    assert at_once.n_ratings == len(items)


@pytest.mark.parametrize("n_raters", [1, 2, 7, 12])
def test_every_rater_rates_an_item_once_until_the_panel_is_done(n_raters):
    source = make_source(n=20, n_raters=n_raters)
    raters = source.rate(np.repeat(np.arange(20), n_raters))[0].reshape(20, n_raters)
    for row in raters:
        assert sorted(row) == list(range(n_raters))
    with pytest.raises(EstimationError, match=f"rated by all {n_raters} raters"):
        source.rate([3])
    assert source.n_ratings == 20 * n_raters  # a refused question leaves nothing behind


def test_error_rates_of_the_source_are_those_of_its_raters():
    truth = np.arange(4000) % 2
    panel = [SimulatedRater("a", 0.3, 0.1), SimulatedRater("b", 0.05, 0.4)]
    source = RatingSource.from_raters(truth, panel, seed=3)
    items = np.repeat(np.arange(4000), 2)
    raters, ratings = source.rate(items)
    for code, rater in enumerate(panel):
        for label, rate in ((1, rater.miss_rate), (0, rater.false_alarm_rate)):
            here = (raters == code) & (truth[items] == label)
            assert_share(ratings[here] != label, rate)


def test_item_difficulty_persists_and_is_shared_by_raters():
    n = 3000
    panel = [SimulatedRater(str(k), 0.23, 0.23) for k in range(30)]

    def wrong(difficulty_sd: float) -> np.ndarray:
        source = RatingSource.from_raters(np.zeros(n), panel, difficulty_sd=difficulty_sd, seed=2)
        first = source.count(np.arange(n), 10)
        return np.stack([first, source.count(np.arange(n), 10)])

    alike, differing = wrong(0.0), wrong(1.5)
    # without difficulty counts are binomial; correlation of the halves has standard error .018
    assert abs(np.corrcoef(alike)[0, 1]) < 0.08
    assert np.corrcoef(differing)[0, 1] > 0.5


def test_real_counts_are_answered_in_their_shares_by_people_without_end():
    share = np.array([0.0, 1.0, 0.3, 0.85])
    source = RatingSource.from_shares(share, seed=0)
    raters, ratings = source.rate(np.repeat(np.arange(4), 3000))
    for item in range(4):
        assert_share(ratings.reshape(4, -1)[item], share[item])
    assert np.unique(raters).size == raters.size  # nobody is known twice


def test_sources_differ_by_seed():
    items = np.arange(200)
    assert not np.array_equal(make_source(0).rate(items)[1], make_source(1).rate(items)[1])


@pytest.mark.parametrize(
    ("items", "match"),
    [
        ([200], "span 200 to 200"),
        ([-1], "span -1"),
        ([0.5], "vector of indices"),
        ([[1, 2]], "vector of indices"),
    ],
)
def test_items_that_are_none_are_refused(items, match):
    with pytest.raises(EstimationError, match=match):
        make_source().rate(items)


def test_an_empty_question_has_an_empty_answer():
    raters, ratings = make_source().rate([])
    assert raters.size == ratings.size == 0


def test_bad_panels_are_refused():
    with pytest.raises(EstimationError, match="panel is empty"):
        RatingSource.from_raters([0, 1], [], seed=0)
    with pytest.raises(EstimationError, match="labels of 0 and 1"):
        RatingSource.from_raters([0, 0.5], simulate_raters(2, seed=0), seed=0)
    with pytest.raises(EstimationError, match="difficulty_sd: -1"):
        make_source(difficulty_sd=-1)
    with pytest.raises(EstimationError, match="share"):
        RatingSource.from_shares([0.2, 1.4], seed=0)
