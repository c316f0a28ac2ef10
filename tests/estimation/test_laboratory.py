import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from estimation.aggregation import bragg_posterior
from estimation.checks import EstimationError
from estimation.laboratory.cifar10h import CifarRecipe
from estimation.laboratory.curves import (
    best_redundancy,
    bootstrap_means,
    cost_curves,
    run_studies,
    study_errors,
)
from estimation.laboratory.figures import plot_curves, save_figure
from estimation.laboratory.methods import BASELINE, METHODS, PRIOR_ALONE, PUBLISHED, StudyInput
from estimation.laboratory.pairs import PriorChange, SimulatedRecipe, change_prior
from estimation.laboratory.rating_source import RatingSource
from estimation.laboratory.report import coverage_report, error_report, savings_report
from estimation.laboratory.savings import (
    overall_savings,
    ratings_needed,
    safety_table,
    savings_table,
)
from estimation.laboratory.settings import (
    Raters,
    Setting,
    cifar_settings,
    rating_source,
    simulated_settings,
)
from estimation.simulation import simulate_raters

SMALL = SimulatedRecipe(n_inputs=800, n_positives=80, evidence=3.0, signal=5.0, seed=1)


# --- pairs and settings -------------------------------------------------------------------------
def test_a_recipe_makes_the_same_pair_with_the_positives_asked_for():
    one, two = SMALL.make(), SMALL.make()
    np.testing.assert_array_equal(one.activation, two.activation)
    np.testing.assert_array_equal(one.prior, two.prior)
    assert one.truth.sum() == 80
    assert one.score == pytest.approx(stats.pearsonr(one.activation, one.truth)[0])


def test_simulated_priors_are_calibrated():
    """Positives expected from the prior and counted, in five bins; tested at 1e-4 in all."""
    pair = SimulatedRecipe(100_000, 10_000, 3.0, 5.0, seed=3).make()
    chi = 0.0
    for low, high in ((0, 0.02), (0.02, 0.1), (0.1, 0.5), (0.5, 0.9), (0.9, 1.01)):
        here = (pair.prior >= low) & (pair.prior < high)
        expected = pair.prior[here].sum()
        variance = (pair.prior[here] * (1 - pair.prior[here])).sum()
        chi += (pair.truth[here].sum() - expected) ** 2 / variance
    assert stats.chi2.sf(chi, 5) > 1e-4


def test_a_superclass_neuron_fires_most_for_one_of_its_classes():
    recipe = SimulatedRecipe(5000, 500, 3.0, 6.0, seed=0, n_classes=5)
    pair, single = recipe.make(), SimulatedRecipe(5000, 500, 3.0, 6.0, seed=0).make()
    active = pair.activation[pair.truth == 1]
    assert single.activation[single.truth == 1].mean() > 1.5 * active.mean()
    assert np.quantile(active, 0.95) > 3 * np.median(active)


def test_prior_changes():
    rng = np.random.default_rng(0)
    positive = np.arange(1000) < 300
    prior = np.where(positive, 0.9, 0.1)
    blind = change_prior(prior, positive, PriorChange(blind=1 / 3), rng)
    assert np.isclose(blind[positive], 0.1).sum() == 100
    np.testing.assert_allclose(blind[~positive], 0.1)
    bent = change_prior(prior, positive, PriorChange(shift=1.0, stretch=0.5), rng)
    np.testing.assert_allclose(
        np.log(bent / (1 - bent)), 1 + 0.5 * np.log(prior / (1 - prior)), rtol=1e-9
    )
    np.testing.assert_array_equal(
        change_prior(prior, positive, PriorChange(constant=0.05), rng), np.full(1000, 0.05)
    )
    assert change_prior(prior, positive, PriorChange(), rng) is prior
    noisy = change_prior(prior, positive, PriorChange(noise=1.0), rng)
    assert np.unique(noisy).size == 1000
    np.testing.assert_array_equal(prior, np.where(positive, 0.9, 0.1))


def test_the_published_setting_is_what_was_published():
    setting = simulated_settings(n_pairs=4)["published"]
    pairs = [recipe.make() for recipe in setting.recipes]
    assert {pair.truth.size for pair in pairs} == {50_000}
    assert {pair.truth.sum() for pair in pairs} == {50}
    errors = [
        abs(np.corrcoef(pair.activation, pair.prior)[0, 1] - pair.score) / pair.score
        for pair in pairs
    ]
    # published: 32.1%; a pair's own differs by some .05
    assert np.mean(errors) == pytest.approx(0.32, abs=0.06)
    assert all(0.15 < pair.score < 0.85 for pair in pairs)
    assert setting.told_miss == setting.raters.miss == 0.23


def test_raters_err_where_inputs_resemble_the_concept():
    """Shares of "present" among look-alikes and all other negatives; tested at 1e-4 in all."""
    setting = simulated_settings(n_pairs=2, published_inputs=20_000)["published, look-alikes"]
    pair = setting.recipes[0].make()
    source = rating_source(pair, setting.raters, seed=0)
    assert pair.related.sum() == 240
    assert not np.any(pair.truth[pair.related])
    for where, rate in ((pair.related, 0.23), (~pair.related & (pair.truth == 0), 0.002)):
        items = np.flatnonzero(where)
        counts = source.count(items, 5)
        p_value = stats.binomtest(int(counts.sum()), 5 * items.size, rate).pvalue
        assert p_value > 1e-4 / 2
    everywhere = Raters(false_alarm=0.002)
    plain = rating_source(pair, everywhere, seed=0)
    assert plain.count(np.flatnonzero(pair.related), 5).sum() < 30


def test_difficulties_of_items_must_match_the_labels():
    truth, panel = np.array([0, 1, 1]), simulate_raters(5, seed=0)
    for wrong in ([0.0, 1.0], [0.0, np.nan, 1.0]):
        with pytest.raises(EstimationError, match="difficulty"):
            RatingSource.from_raters(truth, panel, difficulty=wrong, seed=0)


def test_every_simulated_setting_can_be_made_and_is_what_its_name_says():
    every = simulated_settings(n_pairs=2, n_inputs=2000, published_inputs=10_000)
    made = {name: setting.recipes[0].make() for name, setting in every.items()}
    assert made["10% positives"].truth.mean() == 0.1
    assert made["1% positives"].truth.mean() == 0.01
    assert abs(made["wrong explanation"].score) < 0.2
    assert np.ptp(made["useless prior"].prior) == 0
    assert all(setting.simulated for setting in every.values())
    for name, setting in every.items():
        answers = rating_source(made[name], setting.raters, seed=0).rate([0, 1, 1])[1]
        assert set(answers) <= {0, 1}


@pytest.fixture
def cifar_folder(tmp_path):
    """Make a small file of the same form."""
    rng = np.random.default_rng(0)
    n, k = 1500, 5
    truth = rng.choice([-1, 0, 1, 2, 3, 4], n, p=[0.5, 0.1, 0.1, 0.1, 0.1, 0.1]).astype(np.int8)
    hot = (truth[:, None] == np.arange(k)).astype(float)
    total = np.full(n, 50, dtype=np.int16)
    models = {
        name: np.clip(0.9 * hot + 0.1 * rng.random((n, k)), 0, 1).astype(np.float32)
        for name in ("resnet110", "densenet190", "weak_cnn")
    }
    np.savez(
        tmp_path / "classes_0_to_4.npz",
        truth=truth,
        human_counts=rng.binomial(50, 0.02 + 0.93 * hot).astype(np.int16),
        human_total=total,
        **models,
    )
    return tmp_path


def test_real_settings_are_made_from_the_file(cifar_folder):
    every = cifar_settings(cifar_folder)
    assert {len(setting.recipes) for setting in every.values()} == {15}
    data = np.load(cifar_folder / "classes_0_to_4.npz")
    pair = every["A10"].recipes[7].make()  # second pair of models, class 2
    np.testing.assert_allclose(pair.activation, data["densenet190"][:, 2])
    np.testing.assert_allclose(pair.prior, data["weak_cnn"][:, 2])
    np.testing.assert_array_equal(pair.truth, data["truth"] == 2)
    np.testing.assert_allclose(pair.share, data["human_counts"][:, 2] / 50)
    rare = every["A01"].recipes[0].make()
    assert rare.truth.mean() == pytest.approx(0.01, abs=0.0005)
    assert (rare.truth == 0).sum() == (data["truth"] != 0).sum()
    wrong = every["WRONG"].recipes[0].make()
    np.testing.assert_array_equal(wrong.truth, data["truth"] == 1)
    np.testing.assert_allclose(wrong.activation, data["resnet110"][:, 0])
    group = every["SUPER"].recipes[0].make()
    np.testing.assert_array_equal(group.truth, np.isin(data["truth"], [0, 1, 2]))
    assert not every["A10"].simulated


def test_a_missing_data_file_and_missing_fields_are_said(tmp_path):
    with pytest.raises(EstimationError, match=r"found no .*classes_0_to_4"):
        cifar_settings(tmp_path)
    np.savez(tmp_path / "classes_0_to_4.npz", truth=np.zeros(3))
    with pytest.raises(EstimationError, match="has no human_counts"):
        cifar_settings(tmp_path)


# --- methods ------------------------------------------------------------------------------------
def study(pair, seed: int = 0, raters: Raters | None = None) -> StudyInput:
    source = rating_source(pair, raters or Raters(), seed=seed)
    return StudyInput(pair.activation, pair.prior, source, 0.23, 0.23)


@pytest.mark.parametrize("name", METHODS)
def test_methods_keep_to_their_budget_and_repeat(name):
    pair = SMALL.make()
    first = METHODS[name].run(study(pair), 60, 3, 5)
    again = METHODS[name].run(study(pair), 60, 3, 5)
    assert repr(first) == repr(again)  # an absent interval is NaN
    assert first.n_ratings <= 60
    assert first.n_inputs <= first.n_ratings
    if METHODS[name].rates:
        assert first.n_ratings > 0
        assert first.lower <= first.score <= first.upper


def test_the_published_method_is_the_published_formula():
    """Brute force from the same draw and answers."""
    pair = SMALL.make()
    found = METHODS[PUBLISHED].run(study(pair, 4), 180, 3, 9)
    z_a = (pair.activation - pair.activation.mean()) / pair.activation.std()
    z_s = (pair.prior - pair.prior.mean()) / pair.prior.std()
    q = 0.8 * np.abs(z_a * z_s) / np.abs(z_a * z_s).sum() + 0.2 / 800
    uniforms = np.random.default_rng(9).random(60)
    drawn = np.searchsorted(np.cumsum(q), uniforms * np.cumsum(q)[-1], side="right")
    source = rating_source(pair, Raters(), seed=4)
    items = np.unique(drawn)
    counts = dict(zip(items, source.count(items, 3), strict=True))
    k = np.array([counts[i] for i in drawn])
    c = bragg_posterior(3, k, pair.prior[drawn], error_rate=0.23)
    w = 1 / 800 / q[drawn]
    mu = np.mean(w * c)
    var = np.mean(w * (c - mu) ** 2)
    assert found.score == pytest.approx(np.mean(w * z_a[drawn] * (c - mu)) / np.sqrt(var))
    assert found.n_ratings == 3 * items.size


def test_with_perfect_raters_many_ratings_find_the_truth():
    pair = SMALL.make()
    perfect = Raters(miss=1e-6, false_alarm=1e-6)
    source = rating_source(pair, perfect, seed=0)
    known = StudyInput(pair.activation, pair.prior, source, 1e-6, 1e-6)
    found = METHODS[BASELINE].run(known, 100_000, 1, 0)
    # 100,000 draws with replacement of 800 inputs: standard error about .003
    assert found.score == pytest.approx(pair.score, abs=0.015)
    assert found.n_ratings == 800


def test_the_prior_alone_is_a_plain_correlation():
    pair = SMALL.make()
    found = METHODS[PRIOR_ALONE].run(study(pair), 60, 3, 0)
    assert found.score == pytest.approx(stats.pearsonr(pair.activation, pair.prior)[0])
    assert found.n_ratings == 0
    flat = StudyInput(pair.activation, np.full(800, 0.05), study(pair).source, 0.23, 0.23)
    assert np.isnan(METHODS[PRIOR_ALONE].run(flat, 60, 3, 0).score)
    assert np.isfinite(METHODS[PUBLISHED].run(flat, 60, 3, 0).score)


# --- curves -------------------------------------------------------------------------------------
RUN = [BASELINE, PUBLISHED, PRIOR_ALONE]


@pytest.fixture(scope="module")
def studies() -> pd.DataFrame:
    recipes = tuple(SimulatedRecipe(800, 80, 3.0, 3.0 + k, seed=k) for k in range(3))
    wrong = tuple(SimulatedRecipe(800, 80, 3.0, 0.0, seed=k) for k in range(3))
    return run_studies(
        [Setting("right", "", recipes), Setting("wrong", "", wrong, absolute=True)],
        RUN,
        budgets=[60, 180, 540],
        redundancies=[1, 3],
        seeds=[0, 1],
        n_jobs=1,
        progress=False,
    )


@pytest.fixture(scope="module")
def curves(studies) -> pd.DataFrame:
    return cost_curves(studies)


def test_every_study_is_there_once(studies):
    keys = ["setting", "pair", "seed", "method", "budget", "redundancy"]
    assert not studies.duplicated(keys).any()
    assert len(studies) == 2 * 3 * 2 * (2 * 3 * 2 + 1)
    assert set(studies.loc[studies["method"] == PRIOR_ALONE, "budget"]) == {0}


def test_studies_are_kept_and_do_not_depend_on_what_else_runs(studies, tmp_path):
    recipes = tuple(SimulatedRecipe(800, 80, 3.0, 3.0 + k, seed=k) for k in range(2))
    options = {"redundancies": [3], "seeds": [1], "n_jobs": 1, "progress": False}
    setting = Setting("right", "", recipes)
    some = run_studies([setting], [PUBLISHED], budgets=[180], folder=tmp_path, **options)
    keys = ["setting", "pair", "seed", "method", "budget", "redundancy"]
    both = some.merge(studies, on=keys, suffixes=("", "_all"))
    assert len(both) == 2
    pd.testing.assert_series_equal(both["score"], both["score_all"], check_names=False)
    again = run_studies([setting], [PUBLISHED], budgets=[180], folder=tmp_path, **options)
    pd.testing.assert_frame_equal(
        some, again
    )  # with the times of the first run, so nothing was run


def test_errors_are_relative_or_absolute_as_the_setting_says():
    frame = pd.DataFrame(
        {
            "score": [0.4, 0.1, np.nan],
            "lower": [0.3, 0.05, -1.0],
            "upper": [0.45, 0.2, 1.0],
            "truth": [0.5, 0.02, 0.5],
            "absolute": [False, True, False],
        }
    )
    errors = study_errors(frame)
    np.testing.assert_allclose(errors["error"], [0.2, 0.08, 1.0])
    np.testing.assert_allclose(errors["abs_error"], [0.1, 0.08, 0.5])
    np.testing.assert_array_equal(errors["covered"], [0, 0, 1])
    assert study_errors(frame.assign(lower=np.nan))["covered"].isna().all()


def test_curves_are_means_over_studies(studies, curves):
    errors = study_errors(studies)
    row = curves.query(
        "setting == 'right' and method == @PUBLISHED and budget == 180 and redundancy == 3"
    ).iloc[0]
    here = errors.query(
        "setting == 'right' and method == @PUBLISHED and budget == 180 and redundancy == 3"
    )
    assert row["error"] == pytest.approx(here["error"].mean())
    assert row["coverage"] == pytest.approx(here["covered"].mean())
    assert row["n_ratings"] == pytest.approx(here["n_ratings"].mean())
    assert row["error_lower"] <= row["error"] <= row["error_upper"]
    best = best_redundancy(curves)
    least = curves.groupby(["setting", "method", "budget"])["error"].min()
    np.testing.assert_allclose(
        best.set_index(["setting", "method", "budget"])["error"].sort_index(), least.sort_index()
    )


def test_bootstrap_intervals_cover_at_their_level():
    """300 data sets of 20 pairs x 3 seeds; 95% nominal, some percent lower with 20 pairs.

    Coverage below .87 or above .985 would come about by chance in fewer than one of 10,000 seeds
    if the true coverage were .93.
    """
    rng = np.random.default_rng(0)
    inside = 0
    for number in range(300):
        values = rng.normal(0, 1, (20, 1)) + rng.normal(0, 1, (20, 3))
        low, high = np.quantile(
            bootstrap_means(values[None], seed=number, n_bootstrap=300)[:, 0], [0.025, 0.975]
        )
        inside += low <= 0 <= high
    assert 0.87 <= inside / 300 <= 0.985


def test_unknown_names_and_empty_lists_are_refused():
    setting = Setting("s", "", (SMALL,))
    with pytest.raises(EstimationError, match="methods: found 'magic'"):
        run_studies([setting], ["magic"])
    with pytest.raises(EstimationError, match="budgets: found"):
        run_studies([setting], [BASELINE], budgets=[])
    with pytest.raises(EstimationError, match="redundancies: found"):
        run_studies([setting], [BASELINE], redundancies=[0])


# --- savings ------------------------------------------------------------------------------------
@given(st.floats(0.2, 2.0), st.floats(0.1, 3.0), st.floats(0.02, 0.9))
def test_a_power_law_is_inverted_exactly(exponent, factor, share):
    cost = np.array([30.0, 90.0, 270.0, 810.0, 2430.0])
    error = factor * cost**-exponent
    target = float(np.exp(share * np.log(error[0]) + (1 - share) * np.log(error[-1])))
    expected = (factor / target) ** (1 / exponent)
    assert ratings_needed(cost, error, target) == pytest.approx(expected, rel=1e-6)


def test_ratings_needed_at_the_ends_and_with_a_lucky_dip():
    cost = [60, 180, 540]
    assert ratings_needed(cost, [0.2, 0.1, 0.05], 0.3) == 60
    assert ratings_needed(cost, [0.2, 0.1, 0.05], 0.01) == np.inf
    # pooled with its neighbour, the dip to .01 is worth sqrt(.01 x .9) = .095
    assert ratings_needed(cost, [1.0, 0.01, 0.9], 0.09) == np.inf
    assert ratings_needed(cost, [1.0, 0.01, 0.9], 0.096) < 180
    assert ratings_needed([60], [0.2], 0.2) == 60


@pytest.mark.parametrize(
    ("cost", "error", "target", "match"),
    [
        ([1, 2], [1], 0.1, "cost"),
        ([2, 1], [1, 1], 0.1, "increasing"),
        ([0, 1], [1, 1], 0.1, "positive"),
        ([1, 2], [1, 0.5], 0.0, "target"),
    ],
)
def test_ratings_needed_refuses_what_is_no_curve(cost, error, target, match):
    with pytest.raises(EstimationError, match=match):
        ratings_needed(cost, error, target)


def synthetic(errors: dict[str, list[float]], budgets=(60, 180, 540, 1620)) -> pd.DataFrame:
    """Make studies without chance: all pairs and seeds have the same errors."""
    rows = [
        {
            "setting": "s",
            "pair": pair,
            "seed": seed,
            "method": method,
            "budget": budget,
            "redundancy": 3,
            "score": 0.5 * (1 - error),
            "lower": 0.0,
            "upper": 1.0,
            "n_ratings": budget // 2 if method == PUBLISHED else budget,
            "n_inputs": budget // 3,
            "wall": 0.1,
            "truth": 0.5,
            "absolute": False,
        }
        for method, values in errors.items()
        for budget, error in zip(budgets, values, strict=True)
        for pair in range(3)
        for seed in range(2)
    ]
    return pd.DataFrame(rows)


def test_savings_of_known_curves():
    studies = synthetic(
        {
            BASELINE: [0.8, 0.4, 0.2, 0.1],
            PUBLISHED: [0.3, 0.2, 0.1, 0.05],
            "adaptive model": [0.1, 0.05, 0.02, 0.01],
        }
    )
    table = savings_table(studies, by="budget").set_index("method")
    assert table["target"].unique() == pytest.approx([0.1])
    assert table["needed"].to_dict() == pytest.approx(
        {BASELINE: 1620, PUBLISHED: 540, "adaptive model": 60}
    )
    assert table["savings_published"].to_dict() == pytest.approx(
        {BASELINE: 1 / 3, PUBLISHED: 1, "adaptive model": 9}
    )
    assert table["savings_baseline"]["adaptive model"] == pytest.approx(27)
    assert table["bound"]["adaptive model"] == "at most"
    np.testing.assert_allclose(table["needed_lower"], table["needed_upper"])  # no chance
    bought = savings_table(studies).set_index("method")
    assert bought["savings_published"]["adaptive model"] == pytest.approx(270 / 60)
    at = savings_table(studies, target=0.2, by="budget").set_index("method")
    assert at["savings_published"].to_dict() == pytest.approx(
        {BASELINE: 1 / 3, PUBLISHED: 1, "adaptive model": 3}
    )
    never = savings_table(studies, target=0.04, by="budget").set_index("method")
    assert never["bound"].to_dict() == {BASELINE: "never", PUBLISHED: "never", "adaptive model": ""}
    overall = overall_savings(table.reset_index()).set_index("method")
    assert overall["geometric_mean"]["adaptive model"] == pytest.approx(9)


def test_safety_is_over_the_better_of_two():
    studies = synthetic({PUBLISHED: [0.3, 0.2, 0.1, 0.05], "adaptive model": [0.1, 0.3, 0.1, 0.1]})
    prior = synthetic({PRIOR_ALONE: [0.15]}, budgets=(0,)).assign(redundancy=0)
    table = safety_table(pd.concat([studies, prior])).set_index("budget")
    np.testing.assert_allclose(table["ratio"], [0.1 / 0.15, 2.0, 1.0, 2.0])
    with pytest.raises(EstimationError, match="neither"):
        safety_table(synthetic({BASELINE: [0.1] * 4}))


def test_a_reference_that_was_not_run_is_said():
    studies = synthetic({BASELINE: [0.8, 0.4, 0.2, 0.1]})
    with pytest.raises(EstimationError, match=r"MG-IS . BRAgg at 540 ratings, 3 an input, was not"):
        savings_table(studies)
    with pytest.raises(EstimationError, match="by: found 'hours'"):
        savings_table(studies, by="hours")


# --- figures and tables -------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["ratings", "inputs", "ratings_per_input"])
def test_figures_show_every_method_by_name(curves, kind, tmp_path):
    figure = plot_curves(curves, kind=kind, inputs=180)
    for axes in figure.axes:
        assert {text.get_text() for text in axes.texts} == set(RUN)
        heights = sorted(text.xy[1] for text in axes.texts)
        assert min(np.diff(heights)) > 0.06  # no two names over each other
        assert len(axes.lines) == len(RUN)
    assert figure.axes[0].get_ylabel() == "Relative correlation error"
    assert figure.axes[1].get_ylabel() == "Absolute error"
    for suffix in (".png", ".svg"):
        save_figure(figure, tmp_path / f"f{suffix}")
        assert (tmp_path / f"f{suffix}").stat().st_size > 1000
    with pytest.raises(EstimationError, match=r"expected a name that ends in .png"):
        save_figure(figure, tmp_path / "f.gif")


def test_a_figure_of_nothing_is_refused(curves):
    with pytest.raises(EstimationError, match="no row has inputs 77"):
        plot_curves(curves, kind="ratings_per_input", inputs=77)


def test_reports_say_what_the_tables_hold(studies, curves):
    titles = [title for title, _ in error_report(curves)]
    assert titles == ["right: RCE by budget", "wrong: absolute error by budget"]
    table = dict(error_report(curves))["right: RCE by budget"].set_index("method")
    error = (
        best_redundancy(curves)
        .query("setting == 'right' and method == @PUBLISHED and budget == 180")["error"]
        .iloc[0]
    )
    assert table.loc[PUBLISHED, "180"].startswith(f"{error:.3f} (")
    assert len(set(table.loc[PRIOR_ALONE])) == 1  # the same at all budgets
    assert list(coverage_report(curves)[1]["setting"]) == ["right", "wrong"]
    parts = list(savings_report(studies))
    assert len(parts) == 3
    assert len(parts[0][1]) == 4
    renamed = studies.assign(setting=studies["setting"].replace("right", "published"))
    assert "22,560" in list(list(savings_report(renamed))[-1][1]["published"])


def test_recipes_are_plain_enough_to_travel():
    import pickle

    for recipe in (SMALL, CifarRecipe("f", "a", "b", 0, (1,))):
        assert pickle.loads(pickle.dumps(recipe)) == recipe  # noqa: S301 - our own bytes
