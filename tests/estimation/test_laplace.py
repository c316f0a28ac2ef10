import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from estimation.aggregation import LaplaceMixture, bragg_posterior
from estimation.aggregation.label_prior import COMPONENTS, Component
from estimation.checks import EstimationError
from estimation.ratings import RatingsError
from estimation.simulated_study import REGIMES, simulate_pair, simulate_study
from estimation.simulation import simulate_raters


def study(name="base", seed=0, n_draws=180):
    pair = simulate_pair(REGIMES[name], n_inputs=800, seed=seed)
    _, ratings = simulate_study([pair], simulate_raters(30, seed=seed), n_draws=n_draws, seed=seed)
    return pair, ratings


def test_posterior_equals_a_brute_force_grid():
    # slopes on the activation pinned to 0: intercept and slope are integrated on a grid
    pair, ratings = study()
    free = Component("free", (-1.0, 0.8, 0.0, 0.0), (1.2, 0.3, 1e-4, 1e-4))
    trust = Component("trust", (0.0, 1.0, 0.0, 0.0), (0.5, 0.15, 1e-4, 1e-4))
    model = LaplaceMixture(
        components=(trust, free), within_item_correlation=0.0, rate_sd=0.0, n_proposals=20_000
    ).fit(pair.activation, pair.prior, ratings)
    counts = ratings.groupby("item")["rating"].agg(["count", "sum"])
    n, k = counts["count"].to_numpy(), counts["sum"].to_numpy()
    x = logit(np.clip(pair.prior[counts.index], 1e-4, 1 - 1e-4))
    b0, b1 = np.meshgrid(np.linspace(-3, 3, 121), np.linspace(0, 2, 121), indexing="ij")
    log_like = np.zeros_like(b0)
    for xi, ni, ki in zip(x, n, k, strict=True):
        p = expit(b0 + b1 * xi)
        log_like += np.log(
            p * 0.77**ki * 0.23 ** (ni - ki) + (1 - p) * 0.23**ki * 0.77 ** (ni - ki)
        )
    shares, means = [], []
    for component in (trust, free):
        (m0, m1), (s0, s1) = component.mean[:2], component.sd[:2]
        prior = np.exp(-0.5 * (((b0 - m0) / s0) ** 2 + ((b1 - m1) / s1) ** 2)) / (s0 * s1)
        weight = prior * np.exp(log_like - log_like.max())
        shares.append(weight.sum())
        means.append([(weight * b0).sum(), (weight * b1).sum()])
    expected = np.sum(means, axis=0) / np.sum(shares)
    found = model.weights_ @ model.coefficients_[:, :2]
    np.testing.assert_allclose(found, expected, atol=0.015)
    assert model.component_weights_["trust"] == pytest.approx(shares[0] / sum(shares), abs=0.03)


def test_equals_bragg_when_the_prior_is_fully_trusted():
    pair, ratings = study()
    trust = Component("trust", (0.0, 1.0, 0.0, 0.0), (1e-5,) * 4)
    model = LaplaceMixture(
        components=(trust,), within_item_correlation=0.0, rate_sd=0.0, clip=0.001
    )
    g = model.fit(pair.activation, pair.prior, ratings).concept_draws(n_draws=20).mean(axis=0)
    counts = ratings.groupby("item")["rating"].agg(["count", "sum"])
    expected = bragg_posterior(counts["count"], counts["sum"], pair.prior[counts.index])
    np.testing.assert_allclose(g[counts.index], expected, atol=1e-3)


def test_evidence_finds_out_whether_the_prior_can_be_trusted():
    pair, ratings = study("useless prior", n_draws=400)
    useless = LaplaceMixture().fit(pair.activation, pair.prior, ratings).component_weights_
    assert useless["trust"] < 0.05
    assert sum(useless.values()) == pytest.approx(1)
    # a neuron that is silent about a concept whose prior is calibrated leaves trust standing
    pair, ratings = study("wrong explanation", n_draws=400)
    calibrated = LaplaceMixture().fit(pair.activation, pair.prior, ratings).component_weights_
    assert calibrated["trust"] > 1 / len(COMPONENTS)


def test_unrated_inputs_get_the_prediction():
    pair, ratings = study()
    model = LaplaceMixture().fit(pair.activation, pair.prior, ratings)
    g, prediction = model.concept_draws(n_draws=30), model.prediction_draws(n_draws=30)
    unrated = np.setdiff1d(np.arange(800), ratings["item"])
    np.testing.assert_array_equal(g[:, unrated], prediction[:, unrated])
    assert g.shape == (30, 800)
    assert model.n_effective_ > 200


def test_order_of_ratings_changes_nothing():
    pair, ratings = study()
    one = LaplaceMixture().fit(pair.activation, pair.prior, ratings)
    two = LaplaceMixture().fit(pair.activation, pair.prior, ratings.sample(frac=1, random_state=1))
    np.testing.assert_allclose(
        one.concept_draws().mean(axis=0), two.concept_draws().mean(axis=0), atol=1e-6
    )


@pytest.mark.parametrize("case", ["one rating", "all absent", "all present", "prior of 0 and 1"])
def test_strange_ratings_have_a_defined_result(case):
    pair, ratings = study()
    prior = pair.prior
    if case == "one rating":
        ratings = ratings.iloc[:1]
    elif case == "all absent":
        ratings = ratings.assign(rating=0.0)
    elif case == "all present":
        ratings = ratings.assign(rating=1.0)
    else:
        prior = (prior > 0.5).astype(float)
    g = LaplaceMixture().fit(pair.activation, prior, ratings).concept_draws()
    assert np.all((g >= 0) & (g <= 1))
    assert np.all(np.isfinite(g))


@pytest.mark.parametrize(
    "setting",
    [
        {"miss_rate": 0.0},
        {"false_alarm_rate": 1.0},
        {"within_item_correlation": -1},
        {"within_item_correlation": 1.0},
        {"rate_sd": -0.1},
        {"rate_sd": np.inf},
        {"clip": 0.0},
        {"clip": 0.7},
        {"n_proposals": 0},
        {"components": ()},
        {"seed": -1},
    ],
)
def test_settings_out_of_range(setting):
    pair, ratings = study()
    with pytest.raises(EstimationError, match=next(iter(setting))):
        LaplaceMixture(**setting).fit(pair.activation, pair.prior, ratings)


def test_raters_worse_than_chance():
    pair, ratings = study()
    with pytest.raises(EstimationError, match="not below 1"):
        LaplaceMixture(miss_rate=0.6, false_alarm_rate=0.5).fit(
            pair.activation, pair.prior, ratings
        )


def test_one_pair_at_a_time():
    pair, ratings = study()
    both = pd.concat([ratings, ratings.assign(concept="other")])
    with pytest.raises(RatingsError, match="of 2 concepts"):
        LaplaceMixture().fit(pair.activation, pair.prior, both)
