import numpy as np
import pytest
from scipy.stats import norm

from estimation.aggregation.importance import FARTHEST, find_mode, weighted_draws


def test_a_normal_density_is_its_own_laplace_approximation():
    mean, sd = np.array([1.0, -2.0]), np.array([0.5, 3.0])

    def objective(theta):
        off = (theta - mean) / sd
        return float(-0.5 * off @ off), -off / sd

    mode = find_mode(objective, np.zeros(2), 1 / sd**2)
    np.testing.assert_allclose(mode.place, mean, atol=1e-4)
    np.testing.assert_allclose(mode.root @ mode.root.T, np.diag(sd**2), rtol=1e-3, atol=1e-6)
    assert mode.log_evidence == pytest.approx(np.log(2 * np.pi * sd.prod()), abs=1e-3)
    draws, weights = weighted_draws(
        [mode], lambda t: norm.logpdf(t, mean, sd).sum(axis=1), 4000, np.random.default_rng(0)
    )
    assert weights.sum() == pytest.approx(1)
    # simulation error: sd / sqrt of the effective draws, five of them
    n_effective = 1 / np.sum(weights**2)
    assert np.all(np.abs(weights @ draws - mean) < 5 * sd / np.sqrt(n_effective))


def test_no_line_search_leaves_what_a_float_can_hold():
    # a gradient of 1e8 at the start throws an unbounded search to where exp overflows
    farthest = 0.0

    def objective(theta):
        nonlocal farthest
        farthest = max(farthest, float(np.abs(theta).max()))
        with np.errstate(over="raise"):
            steep = 1e8 * float(np.tanh(1e3 * theta[0])) - float(np.exp(theta[0]))
        slope = 1e11 / np.cosh(min(1e3 * abs(theta[0]), 300)) ** 2 - np.exp(theta[0])
        return steep - 0.5 * float(theta @ theta), np.array([slope]) - theta

    mode = find_mode(objective, np.zeros(1), np.ones(1))
    assert np.isfinite(mode.log_evidence)
    assert farthest <= FARTHEST + 1e-3
