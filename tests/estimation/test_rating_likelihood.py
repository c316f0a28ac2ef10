import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import comb
from scipy.stats import betabinom

from estimation.aggregation.rating_likelihood import counts_likelihood, next_rating

RATE = st.floats(0.01, 0.99)
CORRELATION = st.floats(0.001, 0.9)


def likelihood(n, k, miss=0.2, false_alarm=0.1, correlation=0.15):
    return counts_likelihood(
        np.array([n]),
        np.array([k]),
        np.array([miss]),
        np.array([false_alarm]),
        np.array([correlation]),
    )


@given(RATE, RATE, CORRELATION, st.integers(0, 12), st.data())
def test_equals_scipys_beta_binomial(miss, false_alarm, rho, n, data):
    k = data.draw(st.integers(0, n))
    found = likelihood(n, k, miss, false_alarm, rho)
    scale = (1 - rho) / rho
    for value, p in ((found.present, 1 - miss), (found.absent, false_alarm)):
        expected = betabinom.logpmf(k, n, p * scale, (1 - p) * scale) - np.log(comb(n, k))
        assert value[0, 0] == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_independent_errors_are_binomial():
    found = likelihood(5, 2, miss=0.2, false_alarm=0.1, correlation=0.0)
    assert found.present[0, 0] == pytest.approx(2 * np.log(0.8) + 3 * np.log(0.2))
    assert found.absent[0, 0] == pytest.approx(2 * np.log(0.1) + 3 * np.log(0.9))


@settings(max_examples=50)
@given(RATE, RATE, CORRELATION, st.integers(1, 8), st.data())
def test_derivatives_equal_differences(miss, false_alarm, rho, n, data):
    k = data.draw(st.integers(0, n))
    step = 1e-7
    found = likelihood(n, k, miss, false_alarm, rho)

    def slope(name, **changed):
        ahead = {"miss": miss, "false_alarm": false_alarm, "correlation": rho}
        behind = dict(ahead)
        for key in changed:
            ahead[key] += step
            behind[key] -= step
        up, down = likelihood(n, k, **ahead), likelihood(n, k, **behind)
        return (getattr(up, name)[0, 0] - getattr(down, name)[0, 0]) / (2 * step)

    close = {"rel": 1e-3, "abs": 1e-3}
    assert -found.d_present[0, 0, 0] == pytest.approx(slope("present", miss=1), **close)
    assert found.d_absent[0, 0, 0] == pytest.approx(slope("absent", false_alarm=1), **close)
    assert found.d_present[0, 0, 1] == pytest.approx(slope("present", correlation=1), **close)
    assert found.d_absent[0, 0, 1] == pytest.approx(slope("absent", correlation=1), **close)


@given(RATE, RATE, CORRELATION, st.integers(0, 10), st.data())
def test_the_next_rating_is_the_ratio_of_likelihoods(miss, false_alarm, rho, n, data):
    k = data.draw(st.integers(0, n))
    now, after = (
        likelihood(n, k, miss, false_alarm, rho),
        likelihood(n + 1, k + 1, miss, false_alarm, rho),
    )
    if_present, if_absent = next_rating(
        np.array([float(n)]), np.array([float(k)]), miss, false_alarm, rho
    )
    assert if_present[0] == pytest.approx(np.exp(after.present - now.present)[0, 0], rel=1e-6)
    assert if_absent[0] == pytest.approx(np.exp(after.absent - now.absent)[0, 0], rel=1e-6)


def test_agreement_for_one_reason_says_little():
    # of two raters who always answer alike, the second adds nothing
    one, two = likelihood(1, 1, correlation=0.999), likelihood(2, 2, correlation=0.999)
    assert (two.present - two.absent)[0, 0] == pytest.approx(
        (one.present - one.absent)[0, 0], abs=0.01
    )
