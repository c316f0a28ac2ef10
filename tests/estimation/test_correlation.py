import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from estimation import combined
from estimation.aggregation import prior_of_items
from estimation.checks import EstimationError
from estimation.combined import (
    combined_correlation,
    combined_linear_correlation,
    residual_correlation,
)
from estimation.correlation import (
    importance_weighted_correlation,
    published_correlation,
    variance_of_mean,
)
from estimation.imputation import impute_labels
from estimation.linear_explanations import linear_explanation_correlation
from estimation.model_correlation import model_assisted_correlation, posterior_correlation
from estimation.sampling import (
    Draw,
    SamplingError,
    draw_from,
    draw_model_guided,
    draw_top,
    draw_uniform,
    pool_draws,
)
from estimation.score_estimate import mixture_interval
from estimation.simulated_study import REGIMES, simulate_pair

PAIR = simulate_pair(REGIMES["base"], n_inputs=1000, seed=0)
DRAW = draw_model_guided(PAIR.activation, PAIR.prior, n_draws=180, seed=1)


def census(n):
    """A draw that takes every input exactly once, all weights 1."""
    return Draw("uniform", np.arange(n), np.full(n, 1 / n), n, 0, {}, np.full(n, 1 / n))


def soft_labels(seed=0):
    return np.random.default_rng(seed).beta(0.5, 1.0, DRAW.n_draws)


# --- the published estimator


def test_published_formula():
    labels = soft_labels()
    a = (PAIR.activation - PAIR.activation.mean()) / PAIR.activation.std()
    w = 1 / (1000 * DRAW.probabilities)
    mu = np.mean(w * labels)
    sd = np.sqrt(np.mean(w * (labels - mu) ** 2))
    expected = np.mean(w * a[DRAW.indices] * (labels - mu)) / sd
    estimate = published_correlation(PAIR.activation, DRAW, labels)
    assert estimate.score == pytest.approx(expected, rel=1e-12)
    assert estimate.estimator == "published"


def test_published_and_weighted_are_pearson_on_a_census():
    draw = census(1000)
    expected = np.corrcoef(PAIR.activation, PAIR.truth)[0, 1]
    for estimator in (published_correlation, importance_weighted_correlation):
        estimate = estimator(PAIR.activation, draw, PAIR.truth)
        assert estimate.score == pytest.approx(expected, rel=1e-12)


def test_published_standard_error_is_that_of_the_bootstrap():
    labels = soft_labels()
    a = (PAIR.activation - PAIR.activation.mean()) / PAIR.activation.std()
    w, x = DRAW.weights, a[DRAW.indices]
    rng = np.random.default_rng(0)
    scores = []
    for _ in range(4000):
        rows = rng.integers(0, 180, 180)
        mu = np.mean(w[rows] * labels[rows])
        off = labels[rows] - mu
        scores.append(np.mean(w[rows] * x[rows] * off) / np.sqrt(np.mean(w[rows] * off**2)))
    estimate = published_correlation(PAIR.activation, DRAW, labels)
    assert estimate.standard_error == pytest.approx(np.std(scores), rel=0.1)


# --- importance weights


def test_weighted_score_is_the_weighted_pearson_correlation():
    # an integer weight is a row repeated
    truth = PAIR.truth[DRAW.indices]
    rounded = np.maximum(np.round(DRAW.weights * 3), 1)
    draw = Draw("x", DRAW.indices, 1 / (1000 * rounded), 1000, 0)
    rows = np.repeat(np.arange(180), rounded.astype(int))
    expected = np.corrcoef(PAIR.activation[draw.indices][rows], truth[rows])[0, 1]
    estimate = importance_weighted_correlation(PAIR.activation, draw, truth)
    assert estimate.score == pytest.approx(expected, rel=1e-10)


def test_weighted_standard_error_is_that_of_repeated_sampling():
    scores, errors = [], []
    for seed in range(600):
        draw = draw_model_guided(PAIR.activation, PAIR.prior, n_draws=180, seed=seed)
        estimate = importance_weighted_correlation(PAIR.activation, draw, PAIR.truth[draw.indices])
        scores.append(estimate.score)
        errors.append(estimate.standard_error)
    # the sd of 600 scores is known to 3%; linearisation costs a few per cent at n = 180
    assert np.mean(errors) == pytest.approx(np.std(scores), rel=0.12)
    # the ratio estimator's bias is of the order 1/n
    assert abs(np.mean(scores) - PAIR.score) < 0.25 * np.std(scores)


def test_label_doubt_widens_the_interval_and_is_counted_once():
    # labels of a census carry no sampling error that matters at the known weights: what is left is
    # the labels' own spread, which has a closed form through the influence function
    truth = PAIR.truth[DRAW.indices]
    sure = importance_weighted_correlation(PAIR.activation, DRAW, truth)
    doubt = np.clip(truth, 0.15, 0.85)
    unsure = importance_weighted_correlation(PAIR.activation, DRAW, doubt, n_imputations=2000)
    assert unsure.standard_error > sure.standard_error
    imputed = impute_labels(doubt, DRAW, n_imputations=2000, seed=0)
    each = [importance_weighted_correlation(PAIR.activation, DRAW, row) for row in imputed[:500]]
    rubin = np.sqrt(np.mean([e.standard_error**2 for e in each]) + np.var([e.score for e in each]))
    assert unsure.standard_error == pytest.approx(rubin, rel=0.06)


def test_repeated_inputs_share_their_label():
    draw = draw_uniform(20, 200, seed=0)
    imputed = impute_labels(np.full(200, 0.5), draw, n_imputations=50, seed=1)
    for index in range(20):
        rows = imputed[:, draw.indices == index]
        assert np.all(rows == rows[:, :1])
    assert 0.4 < imputed.mean() < 0.6


def test_order_of_draws_changes_nothing():
    order = np.random.default_rng(0).permutation(180)
    shuffled = Draw("x", DRAW.indices[order], DRAW.probabilities[order], 1000, 0)
    labels = np.random.default_rng(1).random(1000)
    for estimator in (published_correlation, importance_weighted_correlation):
        one = estimator(PAIR.activation, DRAW, labels[DRAW.indices])
        two = estimator(PAIR.activation, shuffled, labels[shuffled.indices])
        assert one.score == pytest.approx(two.score, rel=1e-9)
        assert one.lower == pytest.approx(two.lower, rel=1e-6)


def test_scale_of_activations_changes_nothing_and_sign_flips_the_score():
    truth = PAIR.truth[DRAW.indices]
    one = importance_weighted_correlation(PAIR.activation, DRAW, truth)
    two = importance_weighted_correlation(-1e6 * PAIR.activation + 3, DRAW, truth)
    assert (two.score, two.lower, two.upper) == pytest.approx(
        (-one.score, -one.upper, -one.lower), rel=1e-6
    )


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 40), st.floats(0.0, 1.0))
def test_intervals_hold_the_score_inside_the_unit_range(seed, n_draws, level_of_doubt):
    rng = np.random.default_rng(seed)
    a = rng.gamma(0.5, size=50)
    prior = rng.random(50)
    draw = draw_model_guided(a, prior, n_draws=n_draws, seed=seed)
    labels = (rng.random(50) < prior) * (1 - level_of_doubt) + prior * level_of_doubt
    estimate = importance_weighted_correlation(
        a, draw, labels[draw.indices], n_imputations=50, seed=seed
    )
    assert -1 <= estimate.lower <= estimate.upper <= 1
    if np.isfinite(estimate.score):
        assert estimate.lower <= estimate.score + 1e-9
        assert estimate.score <= estimate.upper + 1e-9
    else:
        assert estimate.warnings


def test_mixture_of_one_is_the_fisher_interval():
    lower, upper = mixture_interval(
        np.array([0.6]), np.array([0.01]), level=0.95, degrees_of_freedom=1e9
    )
    half = norm.isf(0.025) * 0.1 / (1 - 0.36)
    assert lower == pytest.approx(np.tanh(np.arctanh(0.6) - half), rel=1e-6)
    assert upper == pytest.approx(np.tanh(np.arctanh(0.6) + half), rel=1e-6)


def test_variance_of_a_pooled_mean_is_taken_within_draws():
    one = draw_uniform(10, 3, seed=0)
    two = draw_uniform(10, 5, seed=1)
    pooled = pool_draws([one, two])
    values = np.array([1.0, 2, 3, 10, 10, 10, 10, 12])
    expected = (3 * values[:3].var(ddof=1) + 5 * values[3:].var(ddof=1)) / 64
    assert variance_of_mean(values, pooled) == pytest.approx(expected)
    assert variance_of_mean(
        values, one.__class__("x", pooled.indices, pooled.probabilities, 10, 0)
    ) == pytest.approx(values.var(ddof=1) / 8)


# --- with a model of all inputs


def known(truth, rows=3):
    return np.tile(truth, (rows, 1))


def test_model_estimators_are_exact_when_the_model_knows_all():
    truth = known(PAIR.truth)
    posterior = posterior_correlation(PAIR.activation, truth)
    assisted = model_assisted_correlation(PAIR.activation, DRAW, truth, truth)
    for estimate in (posterior, assisted):
        assert estimate.score == pytest.approx(PAIR.score, rel=1e-9)
        assert estimate.upper - estimate.lower < 1e-6


def test_posterior_draws_have_the_spread_of_independent_labels():
    rng = np.random.default_rng(0)
    g = np.clip(PAIR.prior, 0.02, 0.98)
    labels = rng.random((4000, 1000)) < g
    a = (PAIR.activation - PAIR.activation.mean()) / PAIR.activation.std()
    mu = labels.mean(axis=1)
    scores = labels @ a / 1000 / np.sqrt(mu * (1 - mu))
    estimate = posterior_correlation(PAIR.activation, known(g, 400))
    assert estimate.score == pytest.approx(np.median(scores), abs=0.004)
    assert estimate.standard_error == pytest.approx(scores.std(), rel=0.05)
    assert estimate.lower == pytest.approx(np.quantile(scores, 0.025), abs=0.008)


def test_a_wrong_model_leaves_the_assisted_estimate_unbiased():
    # labels of the sample known; prediction useless. z-test, false-alarm rate 1e-4, on top of the
    # ratio bias that is allowed a fifth of the standard deviation
    rng = np.random.default_rng(0)
    wrong = np.clip(rng.random(1000), 0.05, 0.95)
    scores = []
    for seed in range(500):
        draw = draw_model_guided(PAIR.activation, PAIR.prior, n_draws=180, seed=seed)
        scores.append(
            model_assisted_correlation(
                PAIR.activation, draw, PAIR.truth[None], wrong[None] * 0.2
            ).score
        )
    tolerance = (0.2 + norm.isf(0.5e-4) / np.sqrt(500)) * np.std(scores)
    assert abs(np.mean(scores) - PAIR.score) < tolerance


def test_a_good_model_shortens_the_interval():
    right = np.clip(PAIR.truth, 0.05, 0.95)[None]
    assisted = model_assisted_correlation(PAIR.activation, DRAW, PAIR.truth[None], right)
    weighted = importance_weighted_correlation(PAIR.activation, DRAW, PAIR.truth[DRAW.indices])
    assert assisted.standard_error < 0.5 * weighted.standard_error


# --- linear explanations


def test_doubt_about_labels_is_in_the_assisted_interval_once():
    """With parameters known, what is left is the sampling variance of f (c - p), c drawn from g."""
    prediction = PAIR.prior[None]
    g = np.random.default_rng(0).beta(0.5, 1.0, prediction.shape)
    one, two = (
        model_assisted_correlation(PAIR.activation, DRAW, g, prediction, seed=seed)
        for seed in (0, 1)
    )
    assert one.score == two.score
    at, w = DRAW.indices, DRAW.weights / DRAW.weights.mean()
    a = (PAIR.activation - PAIR.activation.mean()) / PAIR.activation.std()
    mu = prediction.mean() + np.mean(w * (g - prediction)[0, at])
    t2 = np.mean(a * prediction[0]) + np.mean(w * (a * (g - prediction)[0])[at])
    assert one.score == pytest.approx(t2 / np.sqrt(mu * (1 - mu)))
    sd = np.sqrt(mu * (1 - mu))
    influence = a[at] / sd - t2 * (1 - 2 * mu) / (2 * sd**3)
    moved, doubt = (g - prediction)[0, at], (g * (1 - g))[0, at]
    centred = influence * moved - np.mean(w * influence * moved)
    n = at.size
    # an input drawn several times has one label, whose doubt then counts as often squared
    together = np.bincount(at, w * influence)[np.unique(at)]
    of_labels = np.sum(together**2 * doubt[np.unique(at, return_index=True)[1]]) / n**2
    expected = np.sqrt(np.mean((w * centred) ** 2) / (n - 1) + of_labels)
    assert one.standard_error == pytest.approx(expected, rel=0.1)


def test_linear_explanation_on_a_census_is_the_correlation_with_the_sum():
    rng = np.random.default_rng(0)
    other = (rng.random(1000) < 0.3).astype(float)
    b = [0.7, -1.3]
    target = b[0] * PAIR.truth + b[1] * other
    expected = np.corrcoef(PAIR.activation, target)[0, 1]
    draws = [census(1000), census(1000)]
    g = [PAIR.truth[None], other[None]]
    for prediction in (None, g):
        estimate = linear_explanation_correlation(
            PAIR.activation, b, draws, g, prediction=prediction
        )
        assert estimate.score == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("assisted", [False, True])
def test_one_concept_alone_is_the_plain_estimate(assisted):
    g, prediction = known(np.clip(PAIR.truth, 0.1, 0.9)), known(PAIR.prior)
    linear = linear_explanation_correlation(
        PAIR.activation, [2.5], [DRAW], [g], prediction=[prediction] if assisted else None
    )
    plain = (
        model_assisted_correlation(PAIR.activation, DRAW, g, prediction)
        if assisted
        else importance_weighted_correlation(PAIR.activation, DRAW, g[:, DRAW.indices])
    )
    assert linear == plain


def test_two_halves_of_a_concept_agree_with_the_whole():
    # splitting b into b/2 + b/2 of the same concept must not change the score much: the diagonal
    # comes from the samples, the cross term from the (here: exact) model
    g = known(PAIR.truth)
    linear = linear_explanation_correlation(
        PAIR.activation, [0.5, 0.5], [DRAW, DRAW], [g, g], prediction=[g, g]
    )
    assert linear.score == pytest.approx(PAIR.score, rel=1e-9)


@pytest.mark.parametrize("assisted", [False, True])
def test_linear_standard_error_is_that_of_repeated_sampling(assisted):
    rng = np.random.default_rng(0)
    other = simulate_pair(REGIMES["common"], n_inputs=1000, seed=4)
    b = [1.0, 0.4]
    target = PAIR.truth * b[0] + other.truth * b[1]
    true_score = np.corrcoef(PAIR.activation, target)[0, 1]
    g = [PAIR.truth[None], other.truth[None]]
    prediction = [PAIR.prior[None], other.prior[None]]
    scores, errors, covered = [], [], 0
    for _ in range(300):
        draws = [
            draw_model_guided(
                PAIR.activation, pair.prior, n_draws=180, seed=int(rng.integers(2**31))
            )
            for pair in (PAIR, other)
        ]
        estimate = linear_explanation_correlation(
            PAIR.activation,
            b,
            draws,
            g,
            prediction=prediction if assisted else None,
            n_imputations=1,
        )
        scores.append(estimate.score)
        errors.append(estimate.standard_error)
        covered += estimate.lower <= true_score <= estimate.upper
    assert np.mean(errors) == pytest.approx(np.std(scores), rel=0.2)
    # binomial(300, .95): below 268 has probability 1e-4
    assert covered >= 268


# --- the combined estimate


def shares(seed=0, rows=50):
    """Posterior and prediction of a model that is right, a little unsure of its level."""
    rng = np.random.default_rng(seed)
    level = rng.normal(0, 0.2, (rows, 1))
    p = 1 / (1 + np.exp(-(np.log(PAIR.prior / (1 - PAIR.prior)) + level)))
    g = p.copy()
    rated = DRAW.unique_indices
    g[:, rated] = np.clip(0.8 * PAIR.truth[rated] + 0.1, 0, 1)
    return g, p


def test_combined_is_exact_when_the_model_knows_all():
    truth = known(PAIR.truth)
    estimate = combined_correlation(PAIR.activation, DRAW, truth, truth)
    assert estimate.score == pytest.approx(PAIR.score, rel=1e-9)
    assert estimate.upper - estimate.lower < 1e-6
    assert estimate.estimator == "combined"


def test_combined_is_the_posterior_where_the_sample_does_not_object():
    # ratings that moved nothing: no residual, no correction
    p = shares()[1]
    estimate = combined_correlation(PAIR.activation, DRAW, p, p)
    posterior = posterior_correlation(PAIR.activation, p, n_totals=200)
    assert estimate.score == pytest.approx(posterior.score, abs=0.003)
    assert estimate.standard_error == pytest.approx(posterior.standard_error, rel=0.05)
    assert (estimate.lower, estimate.upper) == pytest.approx(
        (posterior.lower, posterior.upper), abs=0.01
    )


def test_a_model_that_is_wrong_is_corrected_by_the_sample():
    # every prediction is 0.3 for certain; the sampled labels are known
    p = np.full((3, 1000), 0.3)
    g = p.copy()
    g[:, DRAW.unique_indices] = PAIR.truth[DRAW.unique_indices]
    error = {
        name: abs(estimate.score - PAIR.score)
        for name, estimate in (
            ("combined", combined_correlation(PAIR.activation, DRAW, g, p)),
            ("posterior", posterior_correlation(PAIR.activation, g)),
        )
    }
    assert error["combined"] < 0.5 * error["posterior"]
    wide = combined_correlation(PAIR.activation, DRAW, g, p)
    assert wide.lower <= PAIR.score <= wide.upper


def test_combined_formula():
    # one posterior draw; influences on rho from finite differences
    p = np.full(1000, 0.3)  # a model so wrong that the sample objects
    g = p.copy()
    g[DRAW.unique_indices] = 0.8 * PAIR.truth[DRAW.unique_indices] + 0.1
    a = (PAIR.activation - PAIR.activation.mean()) / PAIR.activation.std()
    w = DRAW.weights / DRAW.weights.mean()

    def rho(mu, t2):
        return t2 / np.sqrt(mu * (1 - mu))

    def influence(mu, t2, d=1e-6):
        return (rho(mu + d, t2 + d * a) - rho(mu - d, t2 - d * a)) / (2 * d)

    def corrected(x):
        return np.mean(x * p) + np.mean(w * (x * (g - p))[DRAW.indices])

    plain = g.mean(), np.mean(a * g)
    moved = corrected(np.ones(1000)), corrected(a)
    difference = rho(*moved) - rho(*plain)
    residual = (influence(*moved) * (g - p))[DRAW.indices]
    noise = np.var(w * (residual - np.mean(w * residual)), ddof=1) / 180
    bias = max(0, difference**2 - noise)
    share = noise / (noise + bias)
    labels = np.sum(influence(*plain) ** 2 * g * (1 - g)) / 1000**2
    variance = labels + share**2 * bias + (1 - share) ** 2 * noise * (bias > 0)
    estimate = combined_correlation(PAIR.activation, DRAW, g, p)
    assert bias > 0
    assert estimate.score == pytest.approx(rho(*plain) + (1 - share) * difference, rel=1e-7)
    assert estimate.standard_error == pytest.approx(np.sqrt(variance), rel=1e-6)


def test_combined_linear_split_scaled_and_turned():
    g, p = shares()
    alone = combined_correlation(PAIR.activation, DRAW, g, p)
    scaled = combined_linear_correlation(PAIR.activation, [3.0], [DRAW], [g], [p])
    turned = combined_linear_correlation(PAIR.activation, [-1.0], [DRAW], [g], [p])
    none = combined_linear_correlation(PAIR.activation, [1.0, 0.0], [DRAW, DRAW], [g, p], [p, p])
    for other in (scaled, none):
        assert (other.score, other.lower, other.upper) == pytest.approx(
            (alone.score, alone.lower, alone.upper), rel=1e-6
        )
    assert (turned.score, turned.lower, turned.upper) == pytest.approx(
        (-alone.score, -alone.upper, -alone.lower), rel=1e-6
    )


def test_doubt_about_what_concepts_share_is_in_the_interval():
    # nothing rated for both: the cross term is unknown, and wider with larger coefficients
    g, p = shares()
    far = Draw("x", DRAW.indices, DRAW.probabilities, 1000, 0)
    other = draw_uniform(1000, 180, seed=3)
    free = np.setdiff1d(np.arange(1000), DRAW.unique_indices)
    other = Draw("x", free[other.indices % free.size], other.probabilities, 1000, 0)
    both = combined_linear_correlation(PAIR.activation, [1.0, 1.0], [far, other], [g, p], [p, p])
    assert 0 < both.standard_error < 0.2
    assert both.lower < both.score < both.upper


def test_residual_correlation_is_recovered():
    # two labels of one input correlate by .5 beyond the model, ratings of both are noisy
    rng = np.random.default_rng(0)
    n, error = 20_000, 0.2
    latent = rng.multivariate_normal([0, 0], [[1, 0.7071], [0.7071, 1]], n)
    labels = latent > 0  # orthant probability: a correlation of 2 arcsin(.7071) / pi = .5
    ratings = labels ^ (rng.random((n, 2)) < error)
    g = np.where(ratings, 1 - error, error)
    v = np.full(n, 0.25)
    mean, sd = residual_correlation(g[:, 0] - 0.5, g[:, 1] - 0.5, v, v)
    assert mean == pytest.approx(0.5, abs=4.5 * sd)
    assert sd < 0.03
    nothing = np.zeros(0)
    assert residual_correlation(nothing, nothing, nothing, nothing) == (0.0, 0.2)


def test_combined_input_that_makes_no_sense():
    g, p = shares()
    with pytest.raises(EstimationError, match="all zero"):
        combined_linear_correlation(PAIR.activation, [0.0], [DRAW], [g], [p])
    with pytest.raises(EstimationError, match="2 of them, with 1 draws"):
        combined_linear_correlation(PAIR.activation, [1.0, 2.0], [DRAW], [g], [p])
    with pytest.raises(EstimationError, match="different numbers of posterior draws"):
        combined_linear_correlation(PAIR.activation, [1.0, 2.0], [DRAW] * 2, [g, g[:2]], [p, p[:2]])
    with pytest.raises(EstimationError, match=r"prediction\[0\]: shape"):
        combined_correlation(PAIR.activation, DRAW, g, p[:2])
    with pytest.raises(EstimationError, match="made over 1000 inputs"):
        combined_correlation(PAIR.activation[:-1], DRAW, g[:, :-1], p[:, :-1])


def test_labels_that_are_all_alike_have_no_combined_score():
    zeros = np.zeros((3, 1000))
    estimate = combined_correlation(PAIR.activation, DRAW, zeros, zeros)
    assert np.isnan(estimate.score)
    assert any("constant" in note for note in estimate.warnings)


# --- bad input


def test_no_positives_in_the_sample():
    for labels in (np.zeros(180), np.ones(180)):
        for estimator in (published_correlation, importance_weighted_correlation):
            estimate = estimator(PAIR.activation, DRAW, labels)
            assert np.isnan(estimate.score)
            assert (estimate.lower, estimate.upper) == (-1, 1)
            assert any("in the sample" in note for note in estimate.warnings)


def test_a_linear_explanation_of_concepts_that_nobody_saw_is_undefined():
    for sign in (1.0, -1.0):
        estimate = linear_explanation_correlation(
            PAIR.activation,
            [1.0, sign],
            [DRAW, DRAW],
            [np.zeros((5, 1000))] * 2,
            prediction=[np.zeros((5, 1000))] * 2,
        )
        assert np.isnan(estimate.score)
        assert (estimate.lower, estimate.upper) == (-1, 1)
        assert any(note.startswith("concept 1: in 100% of the draws") for note in estimate.warnings)


def test_a_concept_that_nobody_saw_is_named_beside_one_that_was_seen():
    seen, unseen = np.tile(PAIR.prior, (5, 1)), np.zeros((5, 1000))
    estimate = linear_explanation_correlation(
        PAIR.activation, [1.0, 1.0], [DRAW] * 2, [seen, unseen], prediction=[seen, unseen]
    )
    alone = model_assisted_correlation(PAIR.activation, DRAW, seen, seen)
    assert estimate.score == pytest.approx(alone.score, abs=0.01)
    assert [note[:11] for note in estimate.warnings] == ["concept 1: "]


def test_few_positives_are_warned_of():
    labels = np.zeros(180)
    labels[0] = 0.3
    estimate = importance_weighted_correlation(PAIR.activation, DRAW, labels)
    assert any("only one label" in note for note in estimate.warnings)


def test_degenerate_weights_are_warned_of():
    q = np.full(180, 0.01)
    q[0] = 1e-6
    draw = Draw("x", DRAW.indices, q, 1000, 0)
    estimate = importance_weighted_correlation(PAIR.activation, draw, soft_labels())
    assert any("weights degenerate" in note for note in estimate.warnings)
    assert estimate.n_effective < 2


def test_one_draw_only():
    draw = draw_uniform(1000, 1, seed=0)
    estimate = importance_weighted_correlation(PAIR.activation, draw, [0.5])
    assert np.isnan(estimate.score)
    assert estimate.warnings


def test_one_draw_left_to_chance_says_nothing_of_its_variance():
    # nine inputs are certain, one of the last two is drawn
    size = np.array([*[1.0] * 9, 0.5, 0.5])
    draw = draw_from(size / size.sum(), 10, design="x", seed=0, replacement=False)
    assert sorted(draw.own_inclusion) == [0.5] + [1.0] * 9
    activation = np.arange(11.0)
    labels = 0.2 + 0.6 * (draw.indices % 2)
    g = np.full((4, 11), 0.4)
    for found in (
        importance_weighted_correlation(activation, draw, labels),
        published_correlation(activation, draw, labels),
        model_assisted_correlation(activation, draw, g, g),
        linear_explanation_correlation(activation, [1.0, 2.0], [draw] * 2, [g, g]),
    ):
        assert np.isfinite(found.score)
        assert (found.lower, found.upper) == (-1, 1)
        assert any("chance decided a single draw" in note for note in found.warnings)


def test_a_linear_explanation_whose_sample_has_one_activation_is_undefined():
    activation = np.zeros(1000)
    draw = draw_uniform(1000, 20, seed=0)
    activation[np.setdiff1d(np.arange(1000), draw.indices)[:3]] = 1.0  # not drawn
    g = np.tile(PAIR.prior, (4, 1))
    estimate = linear_explanation_correlation(activation, [1.0, 2.0], [draw, draw], [g, g])
    assert np.isnan(estimate.score)
    assert (estimate.lower, estimate.upper) == (-1, 1)
    assert "concept 0: all sampled inputs have the same activation" in estimate.warnings[0]


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_the_scale_of_coefficients_changes_nothing(scale):
    g = [np.tile(PAIR.prior, (4, 1)), np.tile(PAIR.prior[::-1], (4, 1))]
    for estimator in (linear_explanation_correlation, combined_linear_correlation):
        known = estimator(PAIR.activation, [1.0, -0.5], [DRAW] * 2, g, prediction=g)
        scaled = estimator(PAIR.activation, [scale, -0.5 * scale], [DRAW] * 2, g, prediction=g)
        assert scaled.score == pytest.approx(known.score)
        assert (scaled.lower, scaled.upper) == pytest.approx((known.lower, known.upper))


def test_a_linear_explanation_holds_few_copies_of_the_posterior():
    rng = np.random.default_rng(0)
    activation, prior = rng.gamma(1.0, size=20_000), rng.beta(0.5, 3.0, 20_000)
    draw = draw_model_guided(activation, prior, n_draws=90, seed=0)
    g = [np.tile(prior, (50, 1)), np.tile(prior[::-1], (50, 1))]
    tracemalloc.start()
    linear_explanation_correlation(activation, [1.0, 0.5], [draw] * 2, g, prediction=g)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.5 * g[0].nbytes


def test_a_combined_estimate_is_the_same_in_blocks_and_holds_few_at_a_time(monkeypatch):
    g = [np.tile(PAIR.prior, (50, 1)), np.tile(PAIR.prior[::-1], (50, 1))]
    g[0] *= np.linspace(0.5, 1.0, 50)[:, None]
    arguments = (PAIR.activation, [1.0, 0.5], [DRAW] * 2, g, [rows * 0.9 for rows in g])
    whole = combined_linear_correlation(*arguments)
    monkeypatch.setattr(combined, "BLOCK", 7000)
    tracemalloc.start()
    in_blocks = combined_linear_correlation(*arguments)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    for name in ("score", "lower", "upper", "standard_error"):
        assert getattr(in_blocks, name) == pytest.approx(getattr(whole, name), rel=1e-9)
    assert peak < 2 * g[0].nbytes


def test_top_design_has_no_weighted_score():
    draw = draw_top(PAIR.activation, 30)
    with pytest.raises(SamplingError, match="no importance weights"):
        importance_weighted_correlation(PAIR.activation, draw, np.zeros(30))


@pytest.mark.parametrize("bad", [np.nan, -0.1, 1.1])
def test_labels_that_are_no_probabilities(bad):
    labels = soft_labels()
    labels[7] = bad
    for estimator in (published_correlation, importance_weighted_correlation):
        with pytest.raises(EstimationError, match=f"drawn input {DRAW.indices[7]} is not a prob"):
            estimator(PAIR.activation, DRAW, labels)


@pytest.mark.parametrize("wrong", ["x", 1j, [0.5, 0.5]])
def test_values_that_are_no_numbers_are_named(wrong):
    some = [0.5] * 999
    with pytest.raises(EstimationError, match="activation: expected an array of numbers"):
        importance_weighted_correlation([wrong, *some], DRAW, soft_labels())
    with pytest.raises(EstimationError, match="labels: expected an array of numbers"):
        importance_weighted_correlation(PAIR.activation, DRAW, [wrong, *some[:179]])
    with pytest.raises(EstimationError, match="g: expected an array of numbers"):
        posterior_correlation(PAIR.activation, [[wrong, *some]])
    with pytest.raises(EstimationError, match="prior: expected an array of numbers"):
        prior_of_items(pd.DataFrame({"item": [3]}), {3: "x"})


def test_shapes_that_do_not_match():
    with pytest.raises(EstimationError, match="does not match the draw of 180"):
        importance_weighted_correlation(PAIR.activation, DRAW, np.zeros(179))
    with pytest.raises(EstimationError, match="999 inputs, but the draw was made over 1000"):
        importance_weighted_correlation(PAIR.activation[:-1], DRAW, np.zeros(180))
    with pytest.raises(EstimationError, match=r"expected \(n_posterior, 1000\)"):
        posterior_correlation(PAIR.activation, np.zeros((2, 999)))
    with pytest.raises(EstimationError, match="prediction: shape"):
        model_assisted_correlation(
            PAIR.activation, DRAW, np.full((2, 1000), 0.5), np.full((3, 1000), 0.5)
        )


def test_constant_neuron():
    with pytest.raises(EstimationError, match="activation: constant"):
        importance_weighted_correlation(np.ones(1000), DRAW, soft_labels())


@pytest.mark.parametrize("level", [0, 1, 95])
def test_level_out_of_range(level):
    with pytest.raises(EstimationError, match="level"):
        importance_weighted_correlation(PAIR.activation, DRAW, soft_labels(), level=level)


def test_linear_explanations_that_make_no_sense():
    g = known(PAIR.prior)
    with pytest.raises(EstimationError, match="all zero"):
        linear_explanation_correlation(PAIR.activation, [0.0], [DRAW], [g])
    with pytest.raises(EstimationError, match="2 of them, with 1 draws"):
        linear_explanation_correlation(PAIR.activation, [1.0, 2.0], [DRAW], [g])
    with pytest.raises(EstimationError, match="different numbers of posterior draws"):
        linear_explanation_correlation(PAIR.activation, [1.0, 2.0], [DRAW] * 2, [g, g[:2]])
