import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimation.checks import EstimationError, standardized
from estimation.correlation import importance_weighted_correlation
from estimation.model_correlation import model_assisted_correlation
from estimation.planning import (
    PLANNED_DESIGNS,
    PriorDoubt,
    RaterErrors,
    combine_plans,
    plan_pair,
    plot_plan,
    price,
    recommend,
    savings,
)
from estimation.planning.design_errors import planned_design
from estimation.planning.expected_error import linearized_error
from estimation.planning.ratings_ahead import posterior_moments
from estimation.sampling import DESIGNS
from estimation.simulated_study import REGIMES, simulate_pair

PAIR = simulate_pair(REGIMES["base"], n_inputs=800, seed=4)
NO_DOUBT = PriorDoubt(0.0, 0.0, 0.0)


def plan(**options):
    arguments = {"budgets": (90, 180, 540), "n_label_draws": 10} | options
    return plan_pair(PAIR.activation, PAIR.prior, **arguments)


# --- raters


@pytest.mark.parametrize("correlation", [0.0, 0.2])
def test_counts_have_the_mean_and_variance_of_correlated_ratings(correlation):
    n, error = 5, 0.23
    chances = RaterErrors(error, correlation).count_probabilities(n)
    k = np.arange(n + 1)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    np.testing.assert_allclose(chances @ k, [n * error, n * (1 - error)])
    variance = chances @ k**2 - (chances @ k) ** 2
    expected = n * error * (1 - error) * (1 + (n - 1) * correlation)
    np.testing.assert_allclose(variance, expected)


def test_posterior_moments_by_brute_force():
    raters = RaterErrors(0.3, 0.0)
    prior = np.array([0.1, 0.5, 0.999999])
    moments = posterior_moments(prior, 2, raters)
    odds = np.clip(prior, 0.001, 0.999) / (1 - np.clip(prior, 0.001, 0.999))
    for label in (0, 1):
        present = 0.7 if label else 0.3
        outcomes = {2: present**2, 1: 2 * present * (1 - present), 0: (1 - present) ** 2}
        posterior = {k: (o := odds * (7 / 3) ** (2 * k - 2)) / (1 + o) for k in outcomes}
        mean = sum(outcomes[k] * posterior[k] for k in outcomes)
        square = sum(outcomes[k] * posterior[k] ** 2 for k in outcomes)
        np.testing.assert_allclose(moments.mean[label], mean, rtol=1e-12)
        np.testing.assert_allclose(moments.variance[label], square - mean**2, atol=1e-14)


def test_posteriors_of_a_right_prior_are_calibrated():
    # law of total expectation: averaged over labels and outcomes the posterior is the prior
    prior = np.linspace(0.01, 0.99, 50)
    moments = posterior_moments(prior, 3, RaterErrors(0.23, 0.0))
    np.testing.assert_allclose((1 - prior) * moments.mean[0] + prior * moments.mean[1], prior)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RaterErrors(0.5), "error_rate: 0.5"),
        (lambda: RaterErrors(0.0), "error_rate: 0.0"),
        (lambda: RaterErrors(0.2, 1.0), "correlation: 1.0"),
        (lambda: PriorDoubt(-1.0), "intercept_sd: -1.0"),
        (lambda: PriorDoubt(0.1, np.nan), "slope_sd: nan"),
        (lambda: PriorDoubt(0.1, 0.1, np.inf), "activation_sd: inf"),
    ],
)
def test_bad_assumptions(make, message):
    with pytest.raises(EstimationError, match=message):
        make()


# --- against simulations of the same study


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "replacement"),
    [
        ("uniform", True),
        ("top_and_random", False),
        ("model_guided", True),
        ("neyman", False),
        ("stratified", True),
        ("stratified", False),
    ],
)
def test_planned_error_is_that_of_simulated_studies(name, replacement):
    # simulation: 120 studies of 90 inputs x 3 ratings for one concept vector. The standard
    # deviation over them has a relative error of 6.5% (heavier tails: 8%), so the 30% allowed are
    # four of them; the bias may be off by five standard errors and terms of the order 1/n
    n, r, n_studies = 90, 3, 120
    raters = RaterErrors(0.23, 0.1)
    scaled, truth = standardized(PAIR.activation), PAIR.truth
    prior = np.clip(PAIR.prior, 0.001, 0.999)
    size = prior.size
    posteriors, chances = raters.posteriors(prior, r), raters.count_probabilities(r)
    subject = {"uniform": (size,), "top_and_random": (PAIR.activation,)}
    rng = np.random.default_rng(1)
    found = {"importance_weighted": [], "model_assisted": []}
    for seed in range(n_studies):
        draw = DESIGNS[name](
            *subject.get(name, (PAIR.activation, prior)), n_draws=n, seed=seed,
            replacement=replacement,
        )  # fmt: skip
        counts = np.where(
            truth == 1, rng.choice(r + 1, size, p=chances[1]), rng.choice(r + 1, size, p=chances[0])
        )
        g = prior.copy()
        rated = draw.unique_indices
        g[rated] = posteriors[counts[rated], rated]
        options = {"n_imputations": 20, "seed": seed}
        found["importance_weighted"].append(
            importance_weighted_correlation(PAIR.activation, draw, g[draw.indices], **options).score
        )
        found["model_assisted"].append(
            model_assisted_correlation(PAIR.activation, draw, g, prior, **options).score
        )
    design = planned_design(name, PAIR.activation, prior, n, replacement=replacement)
    moments = posterior_moments(prior, r, raters)
    for estimator, scores in found.items():
        error = linearized_error(scaled, truth, moments, prior, estimator)
        sd = np.sqrt(design.variance(error.contribution, error.noise))
        assert np.std(scores) == pytest.approx(sd, rel=0.3), estimator
        off = np.mean(scores) - PAIR.score
        assert off == pytest.approx(error.bias, abs=5 * sd / np.sqrt(n_studies) + 0.5 * sd / 3)


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("name", PLANNED_DESIGNS)
def test_variance_of_known_values_is_that_of_the_estimated_mean(name, replacement):
    # 300 draws, no raters: relative error of a variance about 9%, 35% allowed
    rng = np.random.default_rng(0)
    values = PAIR.activation * rng.random(800)
    design = planned_design(name, PAIR.activation, PAIR.prior, 60, replacement=replacement)
    expected = design.variance(values, np.zeros(800))
    subject = {"uniform": (800,), "top_and_random": (PAIR.activation,)}
    centred = values - values.mean()
    means = []
    inputs = []
    for seed in range(300):
        draw = DESIGNS[name](
            *subject.get(name, (PAIR.activation, PAIR.prior)), n_draws=60, seed=seed,
            replacement=replacement,
        )  # fmt: skip
        means.append(np.mean(draw.weights * centred[draw.indices]))
        inputs.append(draw.unique_indices.size)
    assert np.var(means) == pytest.approx(expected, rel=0.35)
    spread = max(np.std(inputs), 1e-9)
    assert np.mean(inputs) == pytest.approx(design.expected_inputs, abs=5 * spread / np.sqrt(300))


def test_census_leaves_only_the_raters():
    design = planned_design("uniform", PAIR.activation, PAIR.prior, 800, replacement=False)
    noise = np.linspace(0, 1, 800)
    assert design.variance(PAIR.activation, noise) == pytest.approx(noise.sum() / 800**2)


def test_model_assisted_error_of_a_perfect_prediction_is_only_the_raters():
    moments = posterior_moments(PAIR.truth, 3, RaterErrors())
    error = linearized_error(
        standardized(PAIR.activation), PAIR.truth, moments, PAIR.truth, "model_assisted"
    )
    assert np.abs(error.contribution).max() < 0.15
    assert abs(error.bias) < 0.01


# --- the plan


def test_table_holds_every_study_once():
    table = plan().table
    assert not table.duplicated(["design", "budget", "redundancy"]).any()
    assert set(table["design"]) == set(PLANNED_DESIGNS)
    assert (table["n_inputs"] == table["budget"] // table["redundancy"]).all()
    assert (table["expected_ratings"] <= table["budget"] + 1e-9).all()
    np.testing.assert_allclose(table["rmse"] ** 2, table["sd"] ** 2 + table["bias"] ** 2)
    assert (table["absolute_error"] <= table["rmse"] + 1e-12).all()


def test_errors_fall_with_the_budget_and_good_designs_beat_uniform():
    best = plan(budgets=(60, 180, 540, 1620)).best()
    for _, own in best.groupby("design"):
        assert own["rmse"].is_monotonic_decreasing
    at = best[best["budget"] == 180].set_index("design")["rmse"]
    assert at["neyman"] < at["uniform"]
    assert at["stratified"] < at["uniform"]
    assert at["model_guided"] < at["uniform"]


def test_without_replacement_is_never_worse():
    one, two = plan(replacement=True).table, plan(replacement=False).table
    assert (two["sd"] <= one["sd"] * 1.02).all()


def test_doubt_about_the_prior_raises_the_error():
    sure = plan(doubt=NO_DOUBT, n_label_draws=30).table["rmse"].mean()
    doubtful = plan(doubt=PriorDoubt(1.0, 0.3, 0.6), n_label_draws=30).table["rmse"].mean()
    assert doubtful > 1.3 * sure


def test_same_seed_same_plan():
    pd.testing.assert_frame_equal(plan(seed=3).table, plan(seed=3).table)
    assert not plan(seed=3).table["rmse"].equals(plan(seed=4).table["rmse"])


def test_prior_of_zeros_and_ones_and_a_constant_prior():
    certain = plan_pair(PAIR.activation, PAIR.truth, budgets=(90,), n_label_draws=5)
    assert np.all(np.isfinite(certain.table["rmse"]))
    constant = plan_pair(PAIR.activation, np.full(800, 0.1), budgets=(90,), n_label_draws=5)
    assert "model_guided" not in set(constant.table["design"])
    assert any("model_guided was left out" in note for note in constant.warnings)


def test_very_rare_concept_warns():
    found = plan_pair(
        PAIR.activation, np.full(800, 0.001), budgets=(90,), designs=["uniform"], doubt=NO_DOUBT,
        n_label_draws=40,
    )  # fmt: skip
    assert any("of 40 concept vectors drawn from the prior" in note for note in found.warnings)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budgets": (4,)}, "4 ratings are too few for 5 inputs x 1.*raise the budget"),
        ({"budgets": ()}, "budgets: found"),
        ({"budgets": (0,)}, "budgets: found"),
        ({"redundancies": (1.5,)}, "redundancies: found"),
        ({"n_label_draws": 0}, "n_label_draws: 0"),
        ({"designs": ("best",)}, "designs: 'best' is none of uniform"),
        ({"estimator": "luck"}, "estimator: 'luck'"),
        ({"budgets": (5000,), "redundancies": (1,), "replacement": False}, "without replacement"),
    ],
)
def test_plans_that_cannot_be_made(options, message):
    with pytest.raises(EstimationError, match=message):
        plan(**options)


def test_pair_that_cannot_be_planned():
    with pytest.raises(EstimationError, match="activation: constant"):
        plan_pair(np.ones(800), PAIR.prior)
    with pytest.raises(EstimationError, match=r"prior: .* outside"):
        plan_pair(PAIR.activation, PAIR.prior + 1)
    with pytest.raises(EstimationError, match="have no positive"):
        plan_pair(
            np.arange(30.0), np.zeros(30), budgets=(10,), designs=["uniform"], doubt=NO_DOUBT,
            n_label_draws=1, redundancies=(1,),
        )  # fmt: skip


def test_plans_of_several_pairs_are_averaged():
    other = simulate_pair(REGIMES["rare"], n_inputs=800, seed=5)
    one = plan()
    two = plan_pair(other.activation, other.prior, budgets=(90, 180, 540), n_label_draws=10)
    both = combine_plans([one, two])
    key = ["design", "budget", "redundancy"]
    joined = one.table.merge(two.table, on=key).set_index(key)
    got = both.table.set_index(key).loc[joined.index]
    np.testing.assert_allclose(
        got["rmse"] ** 2, (joined["rmse_x"] ** 2 + joined["rmse_y"] ** 2) / 2
    )
    np.testing.assert_allclose(
        got["absolute_error"], (joined["absolute_error_x"] + joined["absolute_error_y"]) / 2
    )
    with pytest.raises(EstimationError, match="nothing to combine"):
        combine_plans([])
    with pytest.raises(EstimationError, match="plan all pairs alike"):
        combine_plans([one, plan(replacement=False)])


def test_pairs_that_lack_rows_are_said():
    constant = plan_pair(
        PAIR.activation, np.full(800, 0.1), budgets=(90, 180, 540), n_label_draws=5
    )
    both = combine_plans([plan(n_label_draws=5), constant])
    assert "model_guided" not in set(both.table["design"])
    assert any("rows that some pairs lack were left out" in note for note in both.warnings)


# --- recommendation, savings, price


def test_recommendation_is_the_best_row():
    made = plan()
    chosen = recommend(made, budget=200)
    fitting = made.table[made.table["budget"] <= 200]
    assert chosen.rmse == fitting["rmse"].min()
    assert chosen.budget <= 200
    cheap = recommend(made, rmse=chosen.rmse * 1.01)
    assert cheap.budget <= chosen.budget
    assert recommend(made, budget=200, designs=["uniform"]).design == "uniform"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either a budget or the rmse"),
        ({"budget": 90, "rmse": 0.1}, "either a budget or the rmse"),
        ({"budget": 89}, "least that was planned for is 90"),
        ({"rmse": 1e-6}, "no study planned reaches 1e-06; the best has"),
        ({"budget": 90, "designs": ["top"]}, "the plan has none of"),
    ],
)
def test_recommendations_that_cannot_be_given(options, message):
    with pytest.raises(EstimationError, match=message):
        recommend(plan(n_label_draws=3), **options)


def test_savings_of_a_known_curve():
    # errors 1/sqrt(budget) for the baseline and half of it for the other: four times fewer ratings
    budgets = np.array([100, 200, 400, 800, 1600])
    table = pd.concat(
        pd.DataFrame({"design": name, "budget": budgets, "redundancy": 1, "rmse": c / budgets**0.5})
        for name, c in (("uniform", 1.0), ("neyman", 0.5))
    ).reset_index(drop=True)
    made = plan(n_label_draws=1)
    found = savings(type(made)(table, 0.3, "model_assisted", True, RaterErrors(), NO_DOUBT))
    own = found[found["design"] == "neyman"].set_index("budget")["factor"]
    np.testing.assert_allclose(own[[400, 800, 1600]], 4)
    assert own[[100, 200]].isna().iloc[0]  # below the smallest budget planned
    np.testing.assert_allclose(found[found["design"] == "uniform"]["factor"], 1)
    with pytest.raises(EstimationError, match="no design 'top'"):
        savings(made, baseline="top")


def test_price_of_the_published_study():
    found = price(180, 3, reward_per_task=0.06, items_per_task=15)
    assert found.n_tasks == 12
    assert found.n_assignments == 36
    assert found.total == pytest.approx(2.16)
    assert found.fees == 0
    assert found.hourly_wage is None
    assert price(180, 3) == found


def test_price_from_a_wage():
    # 15 items x 0.2 minutes = 3 minutes a task; 12 an hour is 0.60 a task
    found = price(50, 2, hourly_rate=12, minutes_per_item=0.2, fee_rate=1 / 3)
    assert found.n_tasks == 4  # the last one holds five items
    assert found.reward_per_task == 0.6
    assert found.rewards == pytest.approx(4.8)
    assert found.total == pytest.approx(6.4)
    assert found.minutes == pytest.approx(20)
    assert found.hourly_wage == pytest.approx(14.4)  # 50 items are paid like 60


@settings(deadline=None)
@given(st.integers(1, 5000), st.integers(1, 9), st.integers(1, 60), st.floats(0.01, 2))
def test_price_pays_for_every_rating(n_inputs, redundancy, items, reward):
    found = price(n_inputs, redundancy, items_per_task=items, reward_per_task=reward)
    assert found.n_tasks * items >= n_inputs > (found.n_tasks - 1) * items
    assert found.total == pytest.approx(found.n_tasks * redundancy * reward)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_inputs": 0}, "n_inputs: found 0"),
        ({"redundancy": 0}, "redundancy: found 0"),
        ({"items_per_task": 0}, "items_per_task: found 0"),
        ({"fee_rate": -0.1}, "fee_rate: found -0.1"),
        ({"reward_per_task": float("nan")}, "reward_per_task: found nan"),
        ({"hourly_rate": 12}, "minutes_per_item: missing"),
        ({"hourly_rate": 12, "minutes_per_item": 1, "reward_per_task": 1}, "one of the two"),
    ],
)
def test_bad_prices(arguments, message):
    with pytest.raises(EstimationError, match=message):
        price(**({"n_inputs": 180, "redundancy": 3} | arguments))


# --- the picture


def test_picture_shows_every_design_at_its_best_redundancy(tmp_path):
    made = plan()
    figure = plot_plan(made, target=0.05)
    axes = figure.axes[0]
    best = made.best()
    lines = {line.get_label(): line for line in axes.lines}
    for name, own in best.groupby("design"):
        np.testing.assert_array_equal(lines[name].get_xdata(), own["budget"])
        np.testing.assert_array_equal(lines[name].get_ydata(), own["rmse"])
    written = [text.get_text() for text in axes.texts]
    assert sorted(written[:-1]) == sorted(best["redundancy"].astype(str))
    assert written[-1] == "wanted: 0.05"
    figure.savefig(tmp_path / "plan.png")
    assert (tmp_path / "plan.png").stat().st_size > 10_000
    with pytest.raises(EstimationError, match="error: 'sd'"):
        plot_plan(made, error="sd")
