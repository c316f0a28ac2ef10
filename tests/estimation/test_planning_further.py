import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import norm

from estimation.checks import EstimationError
from estimation.model_correlation import posterior_correlation
from estimation.planning import RaterErrors, StoppingRule, further_ratings, should_stop
from estimation.score_estimate import ScoreEstimate, undefined_score
from estimation.simulated_study import REGIMES, simulate_pair

PAIR = simulate_pair(REGIMES["base"], n_inputs=500, seed=4)
RATERS = RaterErrors(0.2, 0.0)


def estimate(lower, upper):
    return ScoreEstimate((lower + upper) / 2, lower, upper, 0.95, 0.1, 100.0, 60, "posterior")


def test_present_width_is_that_of_the_posterior():
    rng = np.random.default_rng(0)
    shifts = rng.normal(0, 0.4, (300, 1))
    rows = expit(logit(np.clip(PAIR.prior, 0.02, 0.98)) + shifts)
    found = further_ratings(PAIR.activation, rows, 100, half_width=0.01)
    reference = posterior_correlation(PAIR.activation, rows, n_totals=100)
    assert found.curve["sd"].iloc[0] == pytest.approx(reference.standard_error, rel=0.1)
    assert found.model_variance > 0
    # a single row leaves no doubt about the model
    one = further_ratings(PAIR.activation, PAIR.prior, 100, half_width=0.01)
    assert one.model_variance == pytest.approx(0, abs=1e-15)


def test_expected_fall_is_what_ratings_bring():
    # simulation: 3,000 times labels and ratings of the inputs recommended; the mean label variance
    # of the score afterwards has a relative error below 1%, 5% allowed
    g = np.clip(PAIR.prior, 0.05, 0.95)
    found = further_ratings(PAIR.activation, g, 0, half_width=1e-9, raters=RATERS, max_further=80)
    inputs = found.next_inputs
    times = np.bincount(inputs, minlength=g.size)
    assert times.sum() == 80
    a = (PAIR.activation - PAIR.activation.mean()) / PAIR.activation.std()
    mu, t2 = g.mean(), (a * g).mean()
    sd = np.sqrt(mu * (1 - mu))
    influence = (a / sd - t2 * (1 - 2 * mu) / (2 * sd**3)) / g.size
    rng = np.random.default_rng(1)
    labels = rng.random((3000, g.size)) < g
    present = rng.binomial(times, np.where(labels, 0.8, 0.2))
    after = expit(logit(g) + (2 * present - times) * np.log(0.8 / 0.2))
    left = (after * (1 - after)) @ influence**2
    assert found.curve["sd"].iloc[-1] ** 2 == pytest.approx(left.mean(), rel=0.05)


def test_doubtful_and_influential_inputs_come_first():
    g = np.full(100, 0.001)
    g[[3, 7]] = 0.5
    activation = np.arange(100.0)
    activation[7] = 300.0
    found = further_ratings(activation, g, 10, half_width=1e-9, raters=RATERS, max_further=6)
    assert found.next_inputs[0] == 7
    assert set(found.next_inputs.tolist()) == {3, 7}


def test_curve_falls_and_needed_is_where_it_crosses():
    rows = expit(
        logit(np.clip(PAIR.prior, 0.02, 0.98)) + np.random.default_rng(0).normal(0, 0.3, (50, 1))
    )
    found = further_ratings(PAIR.activation, rows, 60, half_width=0.07, max_further=1500)
    width = found.curve["half_width"].to_numpy()
    assert np.all(np.diff(width) <= 1e-15)
    assert found.needed is not None
    assert width[found.needed] <= 0.07 < width[found.needed - 1]
    assert found.next_inputs.size == found.needed
    np.testing.assert_allclose(width, found.curve["sd"] * norm.ppf(0.975))
    never = further_ratings(PAIR.activation, rows, 60, half_width=1e-6, max_further=10)
    assert never.needed is None


def test_known_labels_need_nothing():
    found = further_ratings(PAIR.activation, PAIR.truth, 60, half_width=0.03)
    assert found.needed == 0
    assert found.next_inputs.size == 0
    nobody = further_ratings(PAIR.activation, np.zeros(500), 60, half_width=0.03)
    assert nobody.needed == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"half_width": 0.0}, "half_width: 0.0"),
        ({"n_ratings": -1}, "n_ratings: -1"),
        ({"max_further": 0}, "at most 0 further"),
        ({"level": 0.0}, "level: 0.0"),
        ({"g": np.zeros(499)}, "g: shape"),
        ({"g": np.full(500, np.nan)}, "g: holds values"),
    ],
)
def test_bad_input(options, message):
    arguments = {"g": PAIR.prior, "n_ratings": 10, "half_width": 0.03} | options
    with pytest.raises(EstimationError, match=message):
        further_ratings(PAIR.activation, **arguments)


# --- stopping


def test_stops_when_the_interval_is_short():
    found = should_stop(estimate(0.30, 0.35), 120, StoppingRule(0.03))
    assert found.stop
    assert found.further == 0
    assert found.reason == "half width 0.025, no more than 0.03 was wanted"


def test_goes_on_while_it_is_wide_with_the_number_still_expected():
    found = should_stop(estimate(0.3, 0.42), 100, StoppingRule(0.03))
    assert not found.stop
    assert found.further == 300  # half of the width takes four times the ratings
    assert should_stop(estimate(0.2, 0.6), 100, StoppingRule(0.03)).further == 440  # the most


def test_curve_says_how_many_are_expected():
    ahead = further_ratings(PAIR.activation, PAIR.prior, 60, half_width=0.07)
    assert 0 < ahead.needed < 440
    found = should_stop(estimate(0.3, 0.5), 100, StoppingRule(0.07), ahead=ahead)
    assert found.further == ahead.needed


def test_least_and_most():
    rule = StoppingRule(0.03, min_ratings=60, max_ratings=200)
    early = should_stop(estimate(0.30, 0.31), 50, rule)
    assert (early.stop, early.further) == (False, 10)
    assert "fewer than the least of 60" in early.reason
    late = should_stop(estimate(0.1, 0.6), 200, rule)
    assert late.stop
    assert "the most that the rule allows; half width 0.250" in late.reason


def test_undefined_score_goes_on_until_the_most():
    nothing = undefined_score("posterior", 0.95, 10.0, 5, ())
    found = should_stop(nothing, 100, StoppingRule())
    assert (found.stop, found.further) == (False, None)
    assert "undefined" in found.reason
    assert should_stop(nothing, 540, StoppingRule()).stop


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StoppingRule(0.0), "half_width: 0.0"),
        (lambda: StoppingRule(0.03, 100, 50), "min_ratings: 100"),
        (lambda: should_stop(estimate(0, 1), -1, StoppingRule()), "n_ratings: -1"),
    ],
)
def test_bad_rules(make, message):
    with pytest.raises(EstimationError, match=message):
        make()
