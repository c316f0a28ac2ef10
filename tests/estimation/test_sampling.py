import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom, chisquare, norm

from estimation.checks import EstimationError
from estimation.planning import plan_pair
from estimation.sampling import (
    DESIGNS,
    Draw,
    SamplingError,
    correlation_influence,
    design_variance,
    draw_model_guided,
    draw_neyman,
    draw_stratified,
    draw_top,
    draw_top_and_random,
    draw_uniform,
    model_guided_distribution,
    neyman_distribution,
    pool_draws,
)

RNG = np.random.default_rng(0)
ACTIVATION = RNG.gamma(1.0, size=200)
PRIOR = RNG.beta(0.5, 2.0, size=200)


def every_design(seed=1, n_draws=30):
    return {
        "uniform": draw_uniform(200, n_draws, seed=seed),
        "top": draw_top(ACTIVATION, n_draws, seed=seed),
        "top_and_random": draw_top_and_random(ACTIVATION, n_draws, seed=seed),
        "model_guided": draw_model_guided(ACTIVATION, PRIOR, n_draws=n_draws, seed=seed),
        "neyman": draw_neyman(ACTIVATION, PRIOR, n_draws=n_draws, seed=seed),
        "stratified": draw_stratified(ACTIVATION, PRIOR, n_draws=n_draws, seed=seed),
    }


def test_registry_lists_the_designs_by_the_name_their_draws_carry():
    draws = every_design()
    assert set(draws) == set(DESIGNS)
    assert all(draw.design == name for name, draw in draws.items())


def test_same_seed_same_draw_and_other_seed_another():
    for name in DESIGNS:
        first, again, other = every_design()[name], every_design()[name], every_design(2)[name]
        np.testing.assert_array_equal(first.indices, again.indices)
        if name != "top":
            assert not np.array_equal(first.indices, other.indices)


def test_draw_is_pinned_so_that_stored_seeds_keep_their_meaning():
    draw = draw_uniform(1000, 5, seed=42)
    expected = np.floor(np.random.default_rng(42).random(5) * 1000).astype(int)
    np.testing.assert_array_equal(draw.indices, expected)


def test_model_guided_distribution_is_the_published_formula():
    a = (ACTIVATION - ACTIVATION.mean()) / ACTIVATION.std()
    s = (PRIOR - PRIOR.mean()) / PRIOR.std()
    expected = 0.8 * np.abs(a * s) / np.abs(a * s).sum() + 0.2 / 200
    np.testing.assert_allclose(model_guided_distribution(ACTIVATION, PRIOR), expected, rtol=1e-12)


def test_weights_undo_the_probabilities():
    draw = draw_model_guided(ACTIVATION, PRIOR, n_draws=50, seed=3)
    q = model_guided_distribution(ACTIVATION, PRIOR)
    np.testing.assert_allclose(draw.weights, 1 / (200 * q[draw.indices]), rtol=1e-12)
    assert draw.weights.max() <= 1 / 0.2 + 1e-12


def test_draws_follow_the_distribution():
    # chi-square at a false-alarm rate of 1e-4
    q = model_guided_distribution(ACTIVATION, PRIOR)
    draw = draw_model_guided(ACTIVATION, PRIOR, n_draws=200_000, seed=11)
    observed = np.bincount(draw.indices, minlength=200)
    assert chisquare(observed, 200_000 * q).pvalue > 1e-4


WEIGHTED = ["model_guided", "neyman", "top_and_random", "uniform", "stratified"]


def one(design, seed, *, n_draws=30, **options):
    """Draw of any design over the 200 inputs."""
    subject = {"uniform": (200,), "top_and_random": (ACTIVATION,)}.get(design, (ACTIVATION, PRIOR))
    return DESIGNS[design](*subject, n_draws=n_draws, seed=seed, **options)


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("design", WEIGHTED)
def test_weighted_mean_is_unbiased_and_its_variance_is_estimated(design, replacement):
    # two-sided z-tests over 500 draws of 40 inputs, false-alarm rate 1e-4 each, 20 tests: Hansen
    # and Hurwitz with replacement, Horvitz and Thompson without
    rng = np.random.default_rng(5)
    truth = rng.random(200) < PRIOR
    values = ACTIVATION * truth
    means, variances = [], []
    for seed in range(500):
        draw = one(design, seed, n_draws=40, replacement=replacement)
        weighted = draw.weights * values[draw.indices]
        means.append(weighted.mean())
        variances.append(float(design_variance(weighted, draw)))
    errors = np.array(means) - values.mean()
    z = errors.mean() / (errors.std() / np.sqrt(500))
    assert abs(z) < norm.isf(0.5e-4)
    # the estimated variances average to the squared errors; without replacement Deville's formula
    # is an approximation, hence 5% more
    gap = errors**2 - np.array(variances)
    slack = 0.0 if replacement else 0.05 * np.mean(variances)
    assert abs(gap.mean()) < norm.isf(0.5e-4) * gap.std() / np.sqrt(500) + slack


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("design", WEIGHTED)
def test_inclusion_probabilities_are_the_frequencies(design, replacement):
    # 200 two-sided tests of binomial frequencies over 600 draws, false-alarm rate 1e-4 in all
    hits = np.zeros(200)
    for seed in range(600):
        draw = one(design, seed, replacement=replacement)
        hits[draw.unique_indices] += 1
    included = draw.inclusion
    if included is None:
        included = 1 - (1 - draw.distribution) ** 30
    np.testing.assert_allclose(draw.inclusion_probabilities, included[draw.indices], rtol=1e-9)
    certain = included > 1 - 1e-9
    assert np.all(hits[certain] == 600)
    tails = 2 * np.minimum(
        binom.cdf(hits, 600, included)[~certain], binom.sf(hits - 1, 600, included)[~certain]
    )
    assert tails.min() > 1e-4 / 200


def test_top_takes_the_highest_and_has_no_weights():
    draw = draw_top(np.array([0.0, 3.0, 1.0, 3.0]), 3)
    assert draw.indices.tolist() == [1, 3, 2]
    with pytest.raises(SamplingError, match="no importance weights"):
        _ = draw.weights


def test_top_of_more_than_there_is():
    with pytest.raises(SamplingError, match="only 4 inputs"):
        draw_top(np.arange(4.0), 5)


def test_influence_is_the_derivative_of_the_correlation():
    rng = np.random.default_rng(7)
    a = rng.normal(size=300)
    a = (a - a.mean()) / a.std()
    c = rng.random(300) < 0.3

    def rho(label):
        mu = label.mean()
        return (a * label).mean() / np.sqrt(mu * (1 - mu))

    influence = correlation_influence(a, c.mean(), (a * c).mean()) / 300
    for i in (0, 17, 123):
        step = np.zeros(300)
        step[i] = 1e-6
        slope = (rho(c + step) - rho(c - step)) / 2e-6
        assert influence[i] == pytest.approx(slope, rel=1e-6)


def test_neyman_prefers_doubtful_and_influential_inputs():
    a = np.array([0.0, 0.0, 5.0, 5.0, 1.0, -1.0])
    s = np.array([0.01, 0.01, 0.5, 0.99, 0.01, 0.01])
    q = neyman_distribution(a, s)
    assert np.argmax(q) == 2
    assert q.sum() == pytest.approx(1)


# --- pooling


def test_pooled_probabilities_are_the_mixture():
    one = draw_model_guided(ACTIVATION, PRIOR, n_draws=20, seed=1)
    two = draw_uniform(200, 60, seed=2)
    pooled = pool_draws([one, two])
    mixture = 0.25 * model_guided_distribution(ACTIVATION, PRIOR) + 0.75 / 200
    np.testing.assert_allclose(pooled.probabilities, mixture[pooled.indices], rtol=1e-12)
    assert pooled.source.tolist() == [0] * 20 + [1] * 60


def test_pooled_mean_is_unbiased_and_no_worse_than_one_draw():
    # z-test over 500 pools, false-alarm rate 1e-4
    rng = np.random.default_rng(9)
    other = rng.gamma(1.0, size=200)
    values = ACTIVATION * (rng.random(200) < PRIOR)
    pooled_means, own_means = [], []
    for seed in range(500):
        own = draw_model_guided(ACTIVATION, PRIOR, n_draws=25, seed=2 * seed)
        extra = draw_model_guided(other, PRIOR, n_draws=25, seed=2 * seed + 1)
        pooled = pool_draws([own, extra])
        pooled_means.append(np.mean(pooled.weights * values[pooled.indices]))
        own_means.append(np.mean(own.weights * values[own.indices]))
    z = (np.mean(pooled_means) - values.mean()) / (np.std(pooled_means) / np.sqrt(500))
    assert abs(z) < norm.isf(0.5e-4)
    assert np.std(pooled_means) < np.std(own_means)


def test_pooling_one_draw_changes_nothing():
    draw = draw_model_guided(ACTIVATION, PRIOR, n_draws=20, seed=1)
    np.testing.assert_allclose(pool_draws([draw]).weights, draw.weights, rtol=1e-12)


def test_pooling_refuses_what_it_cannot_weight():
    with pytest.raises(SamplingError, match="nothing to pool"):
        pool_draws([])
    with pytest.raises(SamplingError, match="different sizes"):
        pool_draws([draw_uniform(10, 2, seed=1), draw_uniform(11, 2, seed=1)])
    bare = Draw("uniform", np.array([0, 1]), np.array([0.1, 0.1]), 10, 0)
    with pytest.raises(SamplingError, match="no `distribution`"):
        pool_draws([bare])


# --- bad input


@pytest.mark.parametrize("n_draws", [0, -3])
def test_study_with_no_budget(n_draws):
    with pytest.raises(SamplingError, match="a study with no budget"):
        draw_uniform(10, n_draws, seed=0)
    with pytest.raises(SamplingError, match="a study with no budget"):
        draw_top(ACTIVATION, n_draws)
    with pytest.raises(SamplingError, match="a study with no budget"):
        draw_model_guided(ACTIVATION, PRIOR, n_draws=n_draws, seed=0)


def test_constant_activation():
    with pytest.raises(EstimationError, match="activation: constant"):
        draw_model_guided(np.full(200, 0.3), PRIOR, n_draws=5, seed=0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_activation_that_is_not_finite(bad):
    broken = ACTIVATION.copy()
    broken[17] = bad
    with pytest.raises(EstimationError, match=r"activation: 1 of 200 values .* index 17"):
        draw_model_guided(broken, PRIOR, n_draws=5, seed=0)


@pytest.mark.parametrize("bad", [-0.1, 1.1])
def test_prior_outside_the_unit_interval(bad):
    broken = PRIOR.copy()
    broken[3] = bad
    with pytest.raises(EstimationError, match=r"prior: .* at index 3 is outside"):
        draw_model_guided(ACTIVATION, broken, n_draws=5, seed=0)


def test_constant_prior_cannot_guide():
    with pytest.raises(SamplingError, match="prior: constant"):
        draw_model_guided(ACTIVATION, np.full(200, 0.1), n_draws=5, seed=0)


def test_prior_of_another_length():
    with pytest.raises(EstimationError, match="expected 200 values"):
        draw_model_guided(ACTIVATION, PRIOR[:-1], n_draws=5, seed=0)


@pytest.mark.parametrize("gamma", [0.0, -0.1, 1.2, np.nan])
def test_gamma_out_of_range(gamma):
    with pytest.raises(SamplingError, match="gamma"):
        draw_model_guided(ACTIVATION, PRIOR, n_draws=5, gamma=gamma, seed=0)


def test_prior_of_zeros_and_ones_is_fine():
    draw = draw_model_guided(ACTIVATION, (PRIOR > 0.3).astype(float), n_draws=20, seed=0)
    assert np.all(np.isfinite(draw.weights))


def test_draw_checks_itself():
    with pytest.raises(SamplingError, match="probabilit"):
        Draw("uniform", np.array([0, 1]), np.array([0.1]), 10, 0)
    with pytest.raises(SamplingError, match="probe dataset has 10 inputs"):
        Draw("uniform", np.array([10]), np.array([0.1]), 10, 0)
    with pytest.raises(SamplingError, match="draw probability"):
        Draw("uniform", np.array([1]), np.array([0.0]), 10, 0)


@settings(deadline=None, max_examples=50)
@given(
    arrays(np.float64, 12, elements=st.floats(-1e6, 1e6)),
    arrays(np.float64, 12, elements=st.floats(0, 1)),
    st.floats(0.05, 1.0),
)
def test_any_usable_input_gives_a_distribution(activation, prior, gamma):
    try:
        q = model_guided_distribution(activation, prior, gamma=gamma)
    except EstimationError:
        # only constant vectors are refused
        assert np.ptp(activation) < 1e-5 or np.ptp(prior) < 1e-9
        return
    assert q.sum() == pytest.approx(1)
    assert q.min() >= gamma / 12 * (1 - 1e-12)


def test_a_prior_that_never_leaves_its_mean_where_the_neuron_does_cannot_guide():
    activation, prior = np.zeros(50), np.full(50, 0.5)
    activation[:2] = 1.0, -1.0
    prior[2:4] = 0.2, 0.8
    with pytest.raises(SamplingError, match="cannot guide the draw"):
        draw_model_guided(activation, prior, n_draws=10, seed=0)
    plan = plan_pair(activation, prior, budgets=[60], n_label_draws=3)
    assert "model_guided" not in set(plan.table["design"])
    assert np.isfinite(plan.table["rmse"]).all()
