import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from estimation.aggregation import HierarchicalBayes, bragg_posterior
from estimation.aggregation.density import (
    UNKNOWN,
    CalibrationPrior,
    LogDensity,
    RatingData,
    answer_matrix,
)
from estimation.aggregation.features import activation_features
from estimation.aggregation.nuts import ConvergenceWarning
from estimation.aggregation.samplers import FREE, prepare_sampler
from estimation.checks import EstimationError
from estimation.ratings import RatingsError
from estimation.simulation import simulate_raters, simulate_ratings


def small_data(seed=0, n_items=700, n_raters=9, n_concepts=3, n_extra=1):
    rng = np.random.default_rng(seed)
    item = np.repeat(np.arange(n_items), 3)
    rater = np.concatenate([rng.choice(n_raters, 3, replace=False) for _ in range(n_items)])
    rating = rng.choice([0.0, 1.0, np.nan], item.size, p=[0.6, 0.3, 0.1])
    features = np.column_stack(
        [np.ones(n_items), rng.normal(-1, 2, n_items), rng.normal(size=(n_items, n_extra))]
    )
    answers = answer_matrix(
        item, rater, rating, n_items=n_items, n_raters=n_raters, within_item_correlation=0.1
    )
    concept = rng.integers(0, n_concepts, n_items)
    known = rng.choice([UNKNOWN, 0, 1], n_items, p=[0.7, 0.15, 0.15])
    return RatingData(features, concept, answers, n_concepts, n_raters, known)


def brute_force_log_likelihood(data, parameters):
    """Sum over both labels of every item, or take its known label, answer by answer."""
    miss = expit(parameters["logit_miss"])
    false_alarm = expit(parameters["logit_false_alarm"])
    total = 0.0
    table = data.answers.toarray()
    for i in range(table.shape[0]):
        z = data.features[i] @ parameters["calibration"][:, data.concept[i]]
        present, absent = expit(z), expit(-z)
        for j in range(data.n_raters):
            for says, weight in ((1, table[i, j]), (0, table[i, data.n_raters + j])):
                present *= (1 - miss[j] if says else miss[j]) ** weight
                absent *= (false_alarm[j] if says else 1 - false_alarm[j]) ** weight
        total += np.log({1: present, 0: absent, UNKNOWN: present + absent}[data.known[i]])
    return total


def log_prior(density, theta):
    """Log prior written with scipy, up to a constant."""
    from scipy import stats

    means, log_spreads, concepts, raters = density.split(theta)
    return (
        stats.norm.logpdf(means, density.population_mean, density.population_sd).sum()
        + stats.norm.logpdf(log_spreads, density.log_spread_mean, density.log_spread_sd).sum()
        + stats.t.logpdf(concepts, 4).sum()
        + stats.norm.logpdf(raters).sum()
    )


def test_log_density_is_prior_times_brute_force_likelihood():
    data = small_data()
    density = LogDensity(data, CalibrationPrior())
    rng = np.random.default_rng(1)
    one, two = (density.start + rng.normal(0, 0.5, density.size) for _ in range(2))
    expected = [
        brute_force_log_likelihood(data, density.natural(theta)) + log_prior(density, theta)
        for theta in (one, two)
    ]
    # constants cancel in differences
    assert density(one)[0] - density(two)[0] == pytest.approx(expected[0] - expected[1], rel=1e-10)


def test_gradient_is_that_of_finite_differences():
    density = LogDensity(small_data(), CalibrationPrior())
    theta = density.start + np.random.default_rng(2).normal(0, 0.5, density.size)
    gradient = density(theta)[1]
    for k in range(density.size):
        step = np.zeros(density.size)
        step[k] = 1e-5
        slope = (density(theta + step)[0] - density(theta - step)[0]) / 2e-5
        assert gradient[k] == pytest.approx(slope, rel=1e-5, abs=1e-5)


def test_named_parameters_keep_leading_dimensions():
    density = LogDensity(small_data(n_items=20), CalibrationPrior())
    theta = density.start + np.random.default_rng(2).normal(0, 0.5, (2, 3, density.size))
    together = density.natural(theta)
    for name, value in density.natural(theta[1, 2]).items():
        np.testing.assert_array_equal(together[name][1, 2], value)


@pytest.mark.slow
def test_pymc_model_has_the_same_density_and_gradient():
    from estimation.aggregation.hierarchical_pymc import pymc_model

    data = small_data(n_items=60)
    density = LogDensity(data, CalibrationPrior())
    model = pymc_model(data, CalibrationPrior())
    assert [variable.name for variable in model.free_RVs] == FREE
    compiled = model.logp_dlogp_function(ravel_inputs=True, mode="FAST_COMPILE")
    compiled.set_extra_values({})
    rng = np.random.default_rng(3)
    differences = []
    for _ in range(3):
        theta = density.start + rng.normal(0, 0.7, density.size)
        value, gradient = compiled(theta)
        own_value, own_gradient = density(theta)
        differences.append(float(value) - own_value)
        np.testing.assert_allclose(own_gradient, gradient, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(differences, differences[0], rtol=1e-10)


def kernel(**settings):
    """Sample without compiling; that the density is the same is tested apart."""
    return HierarchicalBayes(sampler="kernel", **settings)


def simulated(n_concepts=3, n_inputs=400, n_raters=12, seed=0, intercept=-0.8, slope=0.7):
    """Concepts whose prior is miscalibrated in the same way; raters who differ."""
    rng = np.random.default_rng(seed)
    raters = simulate_raters(n_raters, spread=0.6, seed=seed)
    prior, truth, frames = {}, {}, []
    for t in range(n_concepts):
        z = rng.normal(-1, 2, n_inputs)
        truth[t] = (rng.random(n_inputs) < expit(intercept + slope * z)).astype(float)
        prior[t] = expit(z)
        frames.append(simulate_ratings(truth[t], raters, seed=seed + t, concept=t))
    return pd.concat(frames, ignore_index=True), prior, truth, raters


@pytest.fixture(scope="module")
def fitted():
    ratings, prior, truth, raters = simulated(n_inputs=300)
    model = kernel(seed=1, within_item_correlation=0.0).fit(ratings, prior)
    return model, ratings, prior, truth, raters


def test_fit_recovers_calibration_and_raters(fitted):
    # posterior z-scores of 2 + 24 parameters; 4.5 sd for any of them is a 2e-4 false-alarm rate
    model, _, _, _, raters = fitted
    assert model.diagnostics_.converged
    assert model.diagnostics_.divergences <= 0.01 * model.diagnostics_.n_draws
    mean = model.posterior_["calibration_mean"]
    for draws, truth in zip(mean.T, (-0.8, 0.7), strict=True):
        assert abs(draws.mean() - truth) < 4.5 * draws.std()
    by_name = {rater.name: rater for rater in raters}
    for number, name in enumerate(model.raters_):
        for kind in ("miss", "false_alarm"):
            draws = model.posterior_[f"logit_{kind}"][:, number]
            truth = logit(getattr(by_name[name], f"{kind}_rate"))
            assert abs(draws.mean() - truth) < 4.5 * draws.std()


def test_label_probabilities_are_calibrated(fitted):
    # sum of (label - probability) is asymptotically normal with variance sum g(1-g) plus that of
    # shared parameters (posterior): |z| < 4 in each third, false-alarm rate 2e-4
    model, _, prior, truth, _ = fitted
    for t in range(3):
        g = model.concept_draws(t, prior[t])
        mean = g.mean(axis=0)
        for low, high in ((0, 0.2), (0.2, 0.8), (0.8, 1.01)):
            rows = (mean >= low) & (mean < high)
            variance = np.sum(mean[rows] * (1 - mean[rows])) + g[:, rows].sum(axis=1).var()
            assert abs(np.sum(truth[t][rows] - mean[rows])) < 4 * np.sqrt(variance)


def test_probabilities_beat_the_majority(fitted):
    model, ratings, _, truth, _ = fitted
    probability = model.probabilities_
    label = np.array([truth[t][i] for t, i in probability.index])
    share = ratings.groupby(["concept", "item"])["rating"].mean().reindex(probability.index)
    assert np.mean((probability - label) ** 2) < 0.6 * np.mean((share - label) ** 2)


def test_unrated_inputs_get_the_calibrated_prior(fitted):
    model, ratings, prior, _, _ = fitted
    few = ratings[(ratings["concept"] == 0) & (ratings["item"] < 5)]
    g = model.concept_draws(0, prior[0], few, n_draws=50)
    prediction = model.prediction_draws(0, prior[0], n_draws=50)
    assert g.shape == (50, 300)
    np.testing.assert_allclose(g[:, 5:], prediction[:, 5:], rtol=1e-12)
    assert not np.allclose(g[:, :5], prediction[:, :5])


def test_rater_table(fitted):
    model, ratings, _, _, raters = fitted
    table = model.rater_table()
    assert set(table.index) == {rater.name for rater in raters}
    assert table["n_ratings"].sum() == len(ratings)
    assert (table["miss_lower"] < table["miss_rate"]).all()
    assert (table["false_alarm_rate"] < table["false_alarm_upper"]).all()


def test_order_of_rows_and_names_change_nothing_but_noise(fitted):
    model, ratings, prior, _, _ = fitted
    shuffled = ratings.sample(frac=1, random_state=0).assign(rater="x" + ratings["rater"])
    other = kernel(seed=1, draws=500, within_item_correlation=0.0, max_r_hat=1.03)
    other.fit(shuffled, prior)
    before, after = model.probabilities_, other.probabilities_.reindex(model.probabilities_.index)
    # both are means over 200 correlated draws of the same posterior
    assert np.abs(before - after).max() < 0.05
    assert np.abs(before - after).mean() < 0.005


def test_same_seed_same_posterior():
    ratings, prior, _, _ = simulated(n_concepts=1, n_inputs=60)
    one, two = (
        kernel(seed=5, draws=100, tune=100, max_rounds=1, max_r_hat=2).fit(ratings, prior)
        for _ in range(2)
    )
    np.testing.assert_array_equal(one.posterior_["logit_miss"], two.posterior_["logit_miss"])


def test_posterior_of_labels_given_parameters_is_bayes_rule(fitted):
    # one parameter draw, one item, both labels by hand
    model, ratings, prior, _, _ = fitted
    own = ratings[(ratings["concept"] == 1) & (ratings["item"] == 7)]
    g = model.concept_draws(1, prior[1], own, n_draws=1)[0, 7]
    b0, b1 = model.posterior_["calibration"][0, :, 1]
    present = expit(b0 + b1 * logit(np.clip(prior[1][7], 1e-4, 1 - 1e-4)))
    absent = 1 - present
    for rater, rating in zip(own["rater"], own["rating"], strict=True):
        number = model.raters_.index(rater)
        miss = expit(model.posterior_["logit_miss"][0, number])
        false_alarm = expit(model.posterior_["logit_false_alarm"][0, number])
        present *= 1 - miss if rating else miss
        absent *= false_alarm if rating else 1 - false_alarm
    assert g == pytest.approx(present / (present + absent), rel=1e-9)


def test_equals_the_closed_form_when_everything_is_pinned():
    # raters pinned to one error rate, prior pinned to full trust: BRAgg's closed form
    class Pinned(CalibrationPrior):
        pass

    pinned = Pinned(mean_sd=(1e-4, 1e-4, 1e-4), spread=(1e-4, 1e-4, 1e-4))
    ratings, prior, _, _ = simulated(n_concepts=1, n_inputs=50, n_raters=4)
    model = kernel(
        draws=50,
        tune=200,
        calibration_prior=pinned,
        within_item_correlation=0.0,
        max_rounds=1,
        max_r_hat=5,
    ).fit(ratings, prior)
    model.posterior_["logit_miss"][:] = logit(0.23)
    model.posterior_["logit_false_alarm"][:] = logit(0.23)
    counts = ratings.groupby("item")["rating"].agg(["count", "sum"])
    expected = bragg_posterior(counts["count"], counts["sum"], prior[0], clip=1e-4)
    g = model.concept_draws(0, prior[0]).mean(axis=0)
    np.testing.assert_allclose(g, expected, atol=2e-3)


def test_posterior_equals_a_brute_force_grid():
    # one rater, so the posterior of (miss, false alarm) can be integrated on a grid once the
    # calibration is pinned; rater spread integrates out through its prior draws
    rng = np.random.default_rng(0)
    prior = np.clip(rng.beta(0.5, 0.5, 300), 0.01, 0.99)
    truth = (rng.random(300) < prior).astype(float)
    ratings = simulate_ratings(truth, simulate_raters(1, seed=3), redundancy=1, seed=4)
    pinned = CalibrationPrior(mean_sd=(1e-4,) * 3, spread=(1e-4,) * 3)
    model = kernel(draws=2000, tune=500, calibration_prior=pinned, seed=2).fit(
        ratings, ratings["item"].map(dict(enumerate(prior))).to_numpy()
    )
    says = ratings.set_index("item")["rating"].reindex(range(300)).to_numpy() == 1
    grid = np.linspace(-5, 3, 161)
    # marginal prior of a rater's logit: Normal(mean, spread) mixed over mean and spread
    means = rng.normal(logit(0.2), 0.7, 40_000)
    spreads = np.exp(rng.normal(np.log(0.4), 0.6, 40_000))
    edges = np.append(grid - 0.025, grid[-1] + 0.025)
    marginal = np.histogram(means + spreads * rng.normal(size=40_000), edges, density=True)[0]
    miss, false_alarm = expit(grid)[:, None], expit(grid)[None, :]
    log_post = np.log(marginal + 1e-12)[:, None] + np.log(marginal + 1e-12)[None, :]
    for s, yes in zip(prior, says, strict=True):
        log_post += np.log(
            s * (1 - miss if yes else miss) + (1 - s) * (false_alarm if yes else 1 - false_alarm)
        )
    weight = np.exp(log_post - log_post.max())
    weight /= weight.sum()
    for name, axis in (("logit_miss", 1), ("logit_false_alarm", 0)):
        density = weight.sum(axis=axis)
        mean = density @ grid
        sd = np.sqrt(density @ (grid - mean) ** 2)
        draws = model.posterior_[name][:, 0]
        # Monte Carlo error of both sides is about 0.05 sd
        assert draws.mean() == pytest.approx(mean, abs=0.25 * sd)
        assert draws.std() == pytest.approx(sd, rel=0.15)


def test_the_default_is_the_compiled_pymc_model():
    assert HierarchicalBayes().sampler == "nutpie"


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["nutpie", "pymc"])
def test_samplers_of_the_pymc_model_agree_with_the_kernel(sampler):
    ratings, prior, _, _ = simulated(n_concepts=2, n_inputs=40, n_raters=4)
    settings = {"draws": 500, "tune": 400, "max_r_hat": 1.1, "max_rounds": 1, "seed": 3}
    ours = kernel(**settings).fit(ratings, prior)
    theirs = HierarchicalBayes(sampler=sampler, **settings).fit(ratings, prior)
    assert theirs.diagnostics_.n_draws == 500
    # Means of some hundred effective draws err by under a tenth of a posterior standard deviation
    # each: .45 of one, for 2 + 2 + 6 + 8 parameters, is 3.2 standard errors of a difference at 100
    # effective draws and more at their usual 300 to 1000; false-alarm rate below 1% (seeds fixed)
    for name, one in ours.posterior_.items():
        two = theirs.posterior_[name]
        assert one.shape == two.shape
        assert np.all(np.abs(one.mean(0) - two.mean(0)) < 0.45 * one.std(0))
    probabilities = theirs.probabilities_.reindex(ours.probabilities_.index)
    np.testing.assert_allclose(ours.probabilities_, probabilities, atol=0.08)


def test_the_model_is_compiled_once_however_many_rounds(monkeypatch):
    from estimation.aggregation import hierarchical_pymc, nuts

    compiled, sampled = [], []

    def compile_model(model, _start):
        compiled.append(model)
        return f"machine code {len(compiled)}"

    def sample_compiled(model, **settings):
        sampled.append((model, settings["draws"]))

    monkeypatch.setattr(hierarchical_pymc, "compile_model", compile_model)
    monkeypatch.setattr(nuts, "sample_compiled", sample_compiled)
    monkeypatch.setattr(nuts, "name_parameters", lambda idata, *_: idata)
    sample = prepare_sampler("nutpie", small_data(n_items=20), CalibrationPrior())
    sample(draws=1)
    sample(draws=2)
    assert sampled == [("machine code 1", 1), ("machine code 1", 2)]


# --- strange and bad input


@pytest.mark.parametrize(
    "case", ["constant rater", "one rating", "all disagree", "hard prior", "cannot tell"]
)
def test_strange_ratings_have_a_defined_result(case):
    ratings, prior, _, _ = simulated(n_concepts=1, n_inputs=40, n_raters=4)
    ratings = ratings.drop(columns="concept")
    prior_rows = prior[0][ratings["item"].to_numpy()]
    if case == "constant rater":
        ratings.loc[ratings["rater"] == ratings["rater"][0], "rating"] = 1.0
    elif case == "one rating":
        ratings, prior_rows = ratings.iloc[:1], prior_rows[:1]
    elif case == "all disagree":
        two = ratings.groupby("item").head(2).sort_values("item")
        ratings = two.assign(rating=[0.0, 1.0] * (len(two) // 2)).reset_index(drop=True)
        prior_rows = prior[0][ratings["item"].to_numpy()]
    elif case == "hard prior":
        prior_rows = (prior_rows > 0.5).astype(float)
    else:
        ratings.loc[ratings["item"] == ratings["item"][0], "rating"] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = kernel(draws=200, tune=300, max_rounds=1).fit(ratings, prior_rows)
    assert np.all((model.probabilities_ > 0) & (model.probabilities_ < 1))
    assert len(model.probabilities_) == ratings["item"].nunique()


def test_chains_that_disagree_are_reported():
    ratings, prior, _, _ = simulated(n_concepts=1, n_inputs=40)
    model = kernel(draws=8, tune=2, max_rounds=2)
    with pytest.warns(ConvergenceWarning, match="not converged after 2 rounds"):
        model.fit(ratings, prior)
    assert not model.diagnostics_.converged
    assert model.diagnostics_.rounds == 2
    assert model.diagnostics_.n_draws == 16


def test_nothing_but_cannot_tell():
    ratings = pd.DataFrame({"item": [0, 1], "rater": ["a", "a"], "rating": [np.nan, np.nan]})
    with pytest.raises(RatingsError, match="every rating is 'cannot tell'"):
        HierarchicalBayes().fit(ratings, 0.5)


def test_unknown_concept_and_input(fitted):
    model, _, prior, _, _ = fitted
    with pytest.raises(RatingsError, match="concept: 'zebra' was not in the fit"):
        model.concept_draws("zebra", prior[0])
    with pytest.raises(RatingsError, match="outside the probe dataset"):
        model.concept_draws(0, prior[0][:3])


@pytest.mark.parametrize(
    "setting",
    [
        {"draws": 0},
        {"seed": -1},
        {"chains": 0},
        {"within_item_correlation": 1.5},
        {"clip": 0.5},
        {"sampler": "x"},
    ],
)
def test_settings_out_of_range(setting):
    ratings, prior, _, _ = simulated(n_concepts=1, n_inputs=20)
    with pytest.raises(RatingsError, match=next(iter(setting))):
        HierarchicalBayes(**setting).fit(ratings, prior)


def test_activations_must_fit():
    ratings, prior, _, _ = simulated(n_concepts=1, n_inputs=20)
    with pytest.raises(EstimationError, match="none for concept 0"):
        HierarchicalBayes().fit(ratings, prior, activations={"other": np.arange(20.0)})
    with pytest.raises(EstimationError, match="constant"):
        HierarchicalBayes().fit(ratings, prior, activations={0: np.ones(20)})


def curves(activation):
    """The two curves of one neuron, standardised: asinh bent at 1 and at 4 standard deviations."""
    z = (activation - activation.mean()) / activation.std()
    return np.stack([np.arcsinh(z / bend) for bend in (1, 4)], axis=1)


def test_one_neuron_gives_both_its_curves():
    activation = np.random.default_rng(0).gamma(0.3, size=500)
    features = activation_features(activation)
    assert features.shape == (500, 2)
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(features.T @ features / 500, np.eye(2), atol=1e-10)
    with_constant = np.column_stack([np.ones(500), features])
    expected = curves(activation)
    fitted = with_constant @ np.linalg.lstsq(with_constant, expected, rcond=None)[0]
    np.testing.assert_allclose(fitted, expected, atol=1e-9)


def test_a_neuron_that_hardly_bends_has_one_feature():
    # two values only: both curves are the same step
    assert activation_features(np.repeat([0.0, 1.0], 250)).shape == (500, 1)


def test_activation_features_are_whitened_and_span_the_neurons():
    rng = np.random.default_rng(0)
    common = rng.gamma(0.5, size=(500, 1))
    table = common + 0.3 * rng.gamma(0.5, size=(500, 4))
    features = activation_features(table)
    assert 4 < features.shape[1] <= 8
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(features.T @ features / 500, np.eye(features.shape[1]), atol=1e-10)
    # each neuron's main course is a combination of the directions
    for column in table.T:
        own = activation_features(column)[:, 0]
        np.testing.assert_allclose(features @ (features.T @ own) / 500, own, atol=0.1)
    # neurons that share their course: the main direction grows with all of them
    assert all(np.corrcoef(features[:, 0], column)[0, 1] > 0.5 for column in table.T)


def test_activation_features_drop_what_repeats():
    activation = np.random.default_rng(0).gamma(0.3, size=500)
    table = np.column_stack([activation, activation * 3 + 1, activation.astype(np.float32)])
    features = activation_features(table)
    np.testing.assert_allclose(features, activation_features(activation), atol=1e-5)


def test_signs_of_activation_features_are_fixed():
    rng = np.random.default_rng(1)
    # two neurons weigh equally in both directions: the first decides
    table = rng.gamma(0.5, size=(300, 2)) + rng.gamma(0.5, size=(300, 1))
    features = activation_features(table)
    first = activation_features(table[:, 0])[:, 0]
    assert np.all((features.T @ first)[:2] > 0)
    np.testing.assert_array_equal(features, activation_features(table.copy()))


def test_tempering_weights_are_the_design_effect():
    answers = answer_matrix(
        np.array([0, 0, 0, 1]),
        np.array([0, 1, 2, 0]),
        np.array([1.0, 1.0, 0.0, 1.0]),
        n_items=2,
        n_raters=3,
        within_item_correlation=0.1,
    ).toarray()
    np.testing.assert_allclose(answers[0], np.array([1, 1, 0, 0, 0, 1]) / 1.2)
    np.testing.assert_allclose(answers[1], [1, 0, 0, 0, 0, 0])
