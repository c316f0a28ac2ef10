import dataclasses

import numpy as np
import pytest
from scipy.stats import binom, norm
from scipy.stats import t as student_t
from sklearn.metrics import roc_auc_score

from estimation.checks import EstimationError
from estimation.correlation import importance_weighted_correlation, weighted_pearson
from estimation.metric_estimates import (
    estimate_metric,
    estimate_metrics,
    posterior_metric,
    posterior_metrics,
)
from estimation.metric_intervals import mixture_of_t
from estimation.model_correlation import posterior_correlation
from estimation.sampling import (
    design_variance,
    draw_model_guided,
    draw_neyman,
    draw_stratified,
    draw_uniform,
    pool_draws,
)
from estimation.simulated_study import REGIMES, simulate_pair

PAIR = simulate_pair(REGIMES["base"], n_inputs=600, seed=2)


def census():
    return draw_uniform(600, 600, seed=0, replacement=False)


def sample(n_draws=80, seed=0, **options):
    return draw_model_guided(PAIR.activation, PAIR.prior, n_draws=n_draws, seed=seed, **options)


def test_census_of_known_labels_gives_every_metric_itself():
    from neuron_eval.registry import METRICS

    draw = census()
    names = [name for name, metric in METRICS.items() if not metric.sampled]
    assert len(names) >= 22
    found = estimate_metrics(names, PAIR.activation, draw, PAIR.truth[draw.indices])
    for name in names:
        expected = METRICS[name](PAIR.activation[:, None], PAIR.truth[:, None]).item()
        assert found[name].score == pytest.approx(expected, abs=1e-9), name
        assert found[name].standard_error == pytest.approx(0, abs=1e-9), name
        assert found[name].lower == pytest.approx(expected, abs=1e-3), name


def test_active_inputs_are_those_of_the_whole_dataset():
    # the weights of a sample would put the top 5% elsewhere
    draw = sample(30)
    truth = PAIR.truth[draw.indices]
    cut = np.sort(PAIR.activation)[-31]
    active = PAIR.activation[draw.indices] > cut
    both = np.sum(draw.weights * (active & (truth == 1)))
    either = np.sum(draw.weights * (active | (truth == 1)))
    found = estimate_metric("iou", PAIR.activation, draw, truth)
    assert found.score == pytest.approx(both / either, abs=1e-12)


@pytest.mark.parametrize(
    "draw",
    [
        sample(),
        sample(replacement=False),
        draw_stratified(PAIR.activation, PAIR.prior, n_draws=80, n_strata=5, seed=1),
        pool_draws([sample(40), draw_neyman(PAIR.activation, PAIR.prior, n_draws=40, seed=3)]),
    ],
    ids=["with", "without", "strata", "pool"],
)
def test_pearson_agrees_with_its_own_estimator(draw):
    labels = np.clip(PAIR.truth[draw.indices], 0.1, 0.9)
    found = estimate_metric("pearson_correlation", PAIR.activation, draw, labels, n_labellings=300)
    reference = importance_weighted_correlation(PAIR.activation, draw, labels, n_imputations=300)
    assert found.score == pytest.approx(reference.score, abs=1e-9)
    # jackknife against linearisation: second-order terms differ
    assert found.standard_error == pytest.approx(reference.standard_error, rel=0.12)
    assert found.lower == pytest.approx(reference.lower, abs=0.06)
    assert found.n_effective == reference.n_effective
    assert found.n_inputs_rated == reference.n_inputs_rated


def test_jackknife_of_a_share_is_the_linearised_variance():
    # accuracy is a weighted share, its variance has a closed form up to 1/n
    draw = sample(200, replacement=False)
    truth = PAIR.truth[draw.indices]
    active = PAIR.activation[draw.indices] > np.sort(PAIR.activation)[-31]
    agree = (active == (truth == 1)).astype(float)
    relative = draw.weights / draw.weights.mean()
    share = np.mean(relative * agree)
    expected = design_variance(relative * (agree - share), draw)
    found = estimate_metric("accuracy", PAIR.activation, draw, truth)
    assert found.score == pytest.approx(share)
    assert found.standard_error == pytest.approx(float(np.sqrt(expected)), rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("design", ["with", "strata without"])
def test_intervals_cover_for_metrics_of_every_kind(design):
    # simulation: 25 samples of known labels; an interval that covers 95% covers fewer than the
    # 2e-4 quantile of the binomial with that probability, a metric and design (4 tests)
    from neuron_eval.registry import METRICS

    names = ["iou", "inverse_auroc"]
    truth = {n: METRICS[n](PAIR.activation[:, None], PAIR.truth[:, None]).item() for n in names}
    covered = dict.fromkeys(names, 0)
    for seed in range(25):
        draw = (
            draw_neyman(PAIR.activation, PAIR.prior, n_draws=90, gamma=0.4, seed=seed)
            if design == "with"
            else draw_stratified(
                PAIR.activation, PAIR.prior, n_draws=90, n_strata=5, gamma=0.4, seed=seed,
                replacement=False,
            )
        )  # fmt: skip
        found = estimate_metrics(names, PAIR.activation, draw, PAIR.truth[draw.indices])
        for name, estimate in found.items():
            covered[name] += estimate.lower <= truth[name] <= estimate.upper
    least = int(binom.ppf(2e-4, 25, 0.95))
    assert min(covered.values()) >= least, covered


def test_metrics_share_their_labellings_and_order_changes_nothing():
    draw = sample()
    labels = np.clip(PAIR.truth[draw.indices], 0.2, 0.8)
    both = estimate_metrics(["auroc", "iou"], PAIR.activation, draw, labels, n_labellings=30)
    assert both["iou"] == estimate_metric("iou", PAIR.activation, draw, labels, n_labellings=30)
    again = estimate_metrics(["iou", "auroc"], PAIR.activation, draw, labels, n_labellings=30)
    assert again == both


def test_parameters_reach_the_metric():
    from neuron_eval.binarize import Threshold

    draw = census()
    cut = float(np.median(PAIR.activation))
    found = estimate_metrics(
        ["recall", "iou"],
        PAIR.activation,
        draw,
        PAIR.truth[draw.indices],
        parameters={"recall": {"binarization": Threshold(cut)}},
    )
    active = PAIR.activation > cut
    # recall asks how many of the active inputs the concept finds
    assert found["recall"].score == pytest.approx(PAIR.truth[active].mean())
    with pytest.raises(ValueError, match="takes no parameter 'alpha'"):
        estimate_metric("iou", PAIR.activation, draw, PAIR.truth, parameters={"alpha": 0.1})


def test_interval_stays_inside_the_range_and_widens_with_doubt():
    draw = sample(40)
    truth = PAIR.truth[draw.indices]
    for name in ("iou", "auroc", "cosine_similarity"):
        sure = estimate_metric(name, PAIR.activation, draw, truth)
        doubtful = estimate_metric(name, PAIR.activation, draw, np.clip(truth, 0.15, 0.85))
        assert -1 <= sure.lower <= sure.score <= sure.upper <= 1
        assert doubtful.upper - doubtful.lower > 0
        assert doubtful.standard_error > 0


# --- what is undefined, and why


def test_no_positives_in_the_sample():
    from neuron_eval.registry import METRICS

    draw = sample()
    found = estimate_metrics(["iou", "auroc", "wpmi"], PAIR.activation, draw, np.zeros(80))
    for name, estimate in found.items():
        assert np.isnan(estimate.score)
        assert "no positives in the sample" in estimate.warnings[-1]
        ends = METRICS[name].range or (-np.inf, np.inf)
        assert (estimate.lower, estimate.upper) == ends
    # of all inputs it is knowledge
    known = estimate_metric("iou", PAIR.activation, census(), np.zeros(600))
    assert known.score == 0
    inverse = estimate_metric("mean_activation_difference", PAIR.activation, draw, np.ones(80))
    assert np.isnan(inverse.score)
    assert (inverse.lower, inverse.upper) == (-np.inf, np.inf)
    assert "no negatives in the sample" in inverse.warnings[-1]


def test_neuron_that_no_sampled_input_activates():
    draw = draw_uniform(600, 20, seed=0)
    activation = np.zeros(600)
    activation[np.setdiff1d(np.arange(600), draw.indices)[:10]] = np.arange(1.0, 11.0)
    found = estimate_metric("auroc", activation, draw, PAIR.prior[draw.indices])
    assert np.isnan(found.score)
    assert "same activation" in found.warnings[-1]


def test_metric_of_a_random_part_needs_the_model():
    draw = sample()
    name = "pearson_correlation_top_and_random"
    found = estimate_metric(name, PAIR.activation, draw, PAIR.truth[draw.indices])
    assert np.isnan(found.score)
    assert "use `posterior_metric`" in found.warnings[-1]
    modelled = posterior_metric(name, PAIR.activation, np.clip(PAIR.truth, 0.01, 0.99))
    assert 0.3 < modelled.lower < modelled.upper <= 1


def test_single_positive_says_nothing_of_the_error():
    draw = draw_uniform(600, 30, seed=0, replacement=False)
    labels = np.zeros(30)
    labels[4] = 1.0
    found = estimate_metric("inverse_auroc", PAIR.activation, draw, labels)
    assert np.isfinite(found.score)
    assert (found.lower, found.upper) == (0.0, 1.0)
    assert any("one draw decides" in note for note in found.warnings)


def test_few_inputs_and_uneven_weights_are_said():
    draw = draw_uniform(600, 4, seed=0)
    found = estimate_metric("auroc", PAIR.activation, draw, [1.0, 0.0, 1.0, 0.0])
    assert any("weights degenerate" in note for note in found.warnings)
    assert (found.lower, found.upper) == (0.0, 1.0)


def test_two_positives_make_a_rough_interval():
    draw = draw_uniform(600, 60, seed=0, replacement=False)
    labels = np.zeros(60)
    labels[[4, 9]] = 1.0
    found = estimate_metric("inverse_auroc", PAIR.activation, draw, labels)
    assert any("degrees of freedom): its interval is rough" in note for note in found.warnings)
    many = estimate_metric("inverse_auroc", PAIR.activation, draw, np.arange(60) % 2)
    assert many.warnings == ()


@pytest.mark.parametrize("function", [estimate_metrics, posterior_metrics])
def test_bad_input(function):
    last = (census(), PAIR.truth) if function is estimate_metrics else (PAIR.prior,)
    with pytest.raises(EstimationError, match="at least one metric"):
        function([], PAIR.activation, *last)
    with pytest.raises(EstimationError, match="at least one metric"):
        function("iou", PAIR.activation, *last)
    with pytest.raises(ValueError, match="no metric 'iuo'"):
        function(["iuo"], PAIR.activation, *last)
    with pytest.raises(EstimationError, match="activation: constant over all 600"):
        function(["iou"], np.ones(600), *last)
    with pytest.raises(EstimationError, match="level: 1"):
        function(["iou"], PAIR.activation, *last, level=1)
    with pytest.raises(EstimationError, match=r"599|\(n_posterior"):
        function(["iou"], PAIR.activation[:-1], *last)


def test_labels_that_are_no_probabilities():
    draw = sample()
    with pytest.raises(EstimationError, match="labels: "):
        estimate_metric("iou", PAIR.activation, draw, np.full(80, 1.5))
    with pytest.raises(EstimationError, match="labels: shape"):
        estimate_metric("iou", PAIR.activation, draw, np.ones(79))


# --- from the model of all labels


def test_posterior_of_pearson_agrees_with_the_closed_form():
    g = np.clip(PAIR.prior, 0.05, 0.95)
    found = posterior_metric("pearson_correlation", PAIR.activation, g, n_labellings=4000)
    reference = posterior_correlation(PAIR.activation, g, n_totals=4000)
    # 4,000 draws each: 5 standard errors of a median and of a standard deviation
    se = reference.standard_error
    assert found.score == pytest.approx(reference.score, abs=5 * 1.25 * se * np.sqrt(2 / 4000))
    assert found.standard_error == pytest.approx(se, rel=5 / np.sqrt(4000))


def test_posterior_of_known_labels_is_the_metric_itself():
    found = posterior_metrics(["auroc", "inverse_auroc"], PAIR.activation, PAIR.truth)
    expected = roc_auc_score(PAIR.truth, PAIR.activation)
    assert found["inverse_auroc"].score == pytest.approx(expected, abs=1e-9)
    assert found["inverse_auroc"].upper == found["inverse_auroc"].lower


def test_rows_of_the_posterior_are_used_evenly():
    rows = np.stack([PAIR.truth, 1 - PAIR.truth])
    found = posterior_metric("pearson_correlation", PAIR.activation, rows, n_labellings=10)
    assert found.upper == pytest.approx(PAIR.score, abs=1e-9)
    assert found.lower == pytest.approx(-PAIR.score, abs=1e-9)


def test_posterior_without_positives():
    found = posterior_metric("inverse_auroc", PAIR.activation, np.zeros(600), n_inputs_rated=3)
    assert np.isnan(found.score)
    assert "in 100% of the posterior concept vectors" in found.warnings[0]
    rare = np.zeros(600)
    rare[:2] = 0.5  # one in four vectors has no positive
    some = posterior_metric("inverse_auroc", PAIR.activation, rare)
    assert np.isfinite(some.score)
    assert "are left out" in some.warnings[0]


def test_same_seed_same_posterior():
    one = posterior_metrics(["iou"], PAIR.activation, PAIR.prior, seed=4)["iou"]
    two = posterior_metrics(["iou"], PAIR.activation, PAIR.prior, seed=4)["iou"]
    other = posterior_metrics(["iou"], PAIR.activation, PAIR.prior, seed=5)["iou"]
    assert dataclasses.asdict(one) == dataclasses.asdict(two)
    assert one.score != other.score
    with pytest.raises(EstimationError, match="at least 2 concept vectors"):
        posterior_metric("iou", PAIR.activation, PAIR.prior, n_labellings=1)


# --- intervals


def test_mixture_of_one_is_a_t_interval_on_its_scale():
    low, high = mixture_of_t(np.array([2.0]), 0.25, None, level=0.9, degrees_of_freedom=7)
    half = 0.5 * student_t.ppf(0.95, 7)
    assert (low, high) == pytest.approx((2 - half, 2 + half))
    low, high = mixture_of_t(np.array([0.5]), 0.01, (-1, 1), level=0.95, degrees_of_freedom=1e9)
    z = np.arctanh(0.5) + np.array([-1, 1]) * norm.ppf(0.975) * 0.1 / (1 - 0.25)
    np.testing.assert_allclose([low, high], np.tanh(z), rtol=1e-6)


def test_score_at_an_end_has_a_finite_interval():
    low, high = mixture_of_t(np.array([1.0]), 1e-4, (0, 1), level=0.95, degrees_of_freedom=50)
    assert 0.9 < low < high <= 1
    exact = mixture_of_t(np.array([1.0]), 0.0, (0, 1), level=0.95, degrees_of_freedom=50)
    assert exact == pytest.approx((1, 1), abs=1e-6)


def test_jackknife_matches_linearisation_for_many_draws():
    draw = sample(300)
    truth = PAIR.truth[draw.indices]
    scaled = (PAIR.activation - PAIR.activation.mean()) / PAIR.activation.std()
    linear = weighted_pearson(scaled[draw.indices], truth[None, :], draw).variances[0]
    found = estimate_metric("pearson_correlation", PAIR.activation, draw, truth)
    assert found.standard_error == pytest.approx(np.sqrt(linear), rel=0.05)
