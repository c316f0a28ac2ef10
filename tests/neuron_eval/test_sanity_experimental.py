"""Experimental sanity checks give the verdicts that are known, and say what they skipped."""

import numpy as np
import pytest
from scipy import stats

from neuron_eval.binarize import AlreadyBinary, Threshold, TopFraction
from neuron_eval.sanity.experimental import run_fraction_ablation, run_sanity_checks
from neuron_eval.sanity.intervals import clopper_pearson, clustered_share
from neuron_eval.sanity.perturb import PerturbationError, extra_labels, missing_labels
from neuron_eval.tuning import split_neurons
from neuron_eval.validation import InputError


@pytest.fixture(scope="module")
def neurons():
    """Forty binary neurons that equal their concepts, which hold for 4% of 3,000 inputs."""
    concepts = (np.random.default_rng(0).random((3000, 40)) < 0.04).astype(float)
    return concepts.copy(), concepts


def test_known_verdicts(neurons):
    activations, concepts = neurons
    names = ("pearson_correlation", "recall", "precision", "iou", "accuracy", "auroc", "auprc")
    binary = {
        name: {"binarization": AlreadyBinary()} for name in names if name != "pearson_correlation"
    }
    done = []
    result = run_sanity_checks(
        activations,
        concepts,
        [(i, i) for i in range(40)],
        metrics=names,
        n_draws=5,
        parameters=binary,
        progress=done.append,
    )
    assert done == list(range(1, 41))
    frame = result.to_frame().set_index("metric")
    assert frame["verdict"].to_dict() == {
        "pearson_correlation": "pass",
        "recall": "fail",
        "precision": "fail",
        "iou": "pass",
        "accuracy": "pass",
        "auroc": "pass",
        "auprc": "pass",
    }
    assert frame.loc["recall", "extra_accuracy"] == 0
    assert frame.loc["precision", "missing_accuracy"] == 0
    # Leading-order expectations at this density, see docs/metrics.md.
    assert frame.loc["recall", "missing_difference"] == pytest.approx(-0.5, abs=0.03)
    assert frame.loc["accuracy", "extra_difference"] == pytest.approx(-0.04, abs=0.01)
    assert frame.loc["auroc", "missing_difference"] == pytest.approx(-0.25, abs=0.02)
    assert result.n_pairs == 40
    assert result.skipped == ()


def test_few_pairs_are_too_close_to_call(neurons):
    result = run_sanity_checks(*neurons, [(0, 0), (1, 1)], n_draws=50)
    assert result.metrics[0].missing.share == 1.0
    assert result.metrics[0].verdict == "too close to call"


def test_skips_with_reasons(neurons):
    activations, concepts = (x.copy() for x in neurons)
    concepts[:, 0], concepts[:, 1], concepts[:1600, 2] = 0.0, 1.0, 1.0
    activations[:, 3] = 0.5
    result = run_sanity_checks(activations, concepts, [(i, i) for i in range(6)], n_draws=3)
    reasons = {(s.neuron, s.concept): s.reason for s in result.skipped}
    assert set(reasons) == {(0, 0), (1, 1), (2, 2), (3, 3)}
    assert "no labels are positive" in reasons[0, 0]
    assert "all labels are positive" in reasons[1, 1]
    assert "too many to be multiplied by 2: at most 1500" in reasons[2, 2]
    assert "activations are constant" in reasons[3, 3]
    assert result.n_pairs == 2


def test_undefined_originals_are_skipped_for_their_metric_only(neurons):
    never = {"recall": {"binarization": Threshold(2.0)}}
    result = run_sanity_checks(
        *neurons,
        [(0, 0), (1, 1)],
        metrics=["recall", "pearson_correlation"],
        parameters=never,
        n_draws=3,
    )
    assert {(s.neuron, s.metric) for s in result.skipped} == {(0, "recall"), (1, "recall")}
    recall, pearson = result.metrics
    assert recall.missing.n_draws == 0
    assert np.isnan(recall.missing.share)
    assert recall.verdict == "too close to call"
    assert pearson.missing.n_draws == 6


def test_tuning_chooses_on_validation_neurons_and_tests_on_the_others(neurons):
    """Concepts hold for 4%: at 4% the IoU falls in both tests, at 50% precision is lost."""
    activations, concepts = neurons
    noisy = activations + 0.01 * np.random.default_rng(1).random(activations.shape)
    pairs = [(i, i) for i in range(40)]
    grids = {"iou": [{"binarization": TopFraction(alpha)} for alpha in (0.5, 0.04)]}
    result = run_sanity_checks(
        noisy, concepts, pairs, metrics=["iou"], n_draws=3, validation=0.1, grids=grids, seed=4
    )
    assert result.metrics[0].parameters == {"binarization": TopFraction(0.04)}
    assert (result.n_validation, result.n_pairs) == (4, 36)
    tuned, tested = split_neurons(range(40), 0.1, 4)
    assert (len(tuned), len(tested)) == (4, 36)
    # Spoil the test neurons' labels: the choice must not change, the outcome must.
    spoiled = concepts.copy()
    spoiled[:, tested] = np.roll(concepts[:, tested], 1, axis=0)
    other = run_sanity_checks(
        noisy, spoiled, pairs, metrics=["iou"], n_draws=3, validation=0.1, grids=grids, seed=4
    )
    assert other.metrics[0].parameters == result.metrics[0].parameters
    assert other.metrics[0].missing.share < result.metrics[0].missing.share


def test_equal_shares_are_decided_by_the_fall(neurons):
    """At 2% and at 4% every draw falls; the score falls further at 4%, where the neuron fires."""
    activations, concepts = neurons
    noisy = activations + 0.01 * np.random.default_rng(1).random(activations.shape)
    grids = {"iou": [{"binarization": TopFraction(alpha)} for alpha in (0.02, 0.04)]}
    result = run_sanity_checks(
        noisy, concepts, [(i, i) for i in range(6)], metrics=["iou"], n_draws=2, grids=grids
    )
    assert result.metrics[0].parameters == {"binarization": TopFraction(0.04)}


def test_given_parameters_are_not_tuned_and_nothing_is_split_off(neurons):
    given = {"wpmi": {"binarization": TopFraction(0.04), "lam": 0.5}}
    result = run_sanity_checks(
        *neurons, [(0, 0), (1, 1)], metrics=["wpmi"], parameters=given, n_draws=2
    )
    assert result.n_validation == 0
    assert result.n_pairs == 2
    assert result.metrics[0].parameters == given["wpmi"]
    with pytest.raises(InputError, match="found 1 neuron, expected at least one to tune"):
        run_sanity_checks(*neurons, [(0, 0)], metrics=["wpmi"])


def test_fraction_ablation_is_the_test_at_one_half_and_grows(neurons):
    options = {"metrics": ["pearson_correlation", "iou"], "n_draws": 4}
    options["parameters"] = {"iou": {"binarization": AlreadyBinary()}}
    pairs = [(i, i) for i in range(8)]
    done = []
    table = run_fraction_ablation(
        *neurons, pairs, fractions=(0.1, 0.5, 0.75), progress=done.append, **options
    )
    assert done == list(range(1, 25))
    test = run_sanity_checks(*neurons, pairs, **options).to_frame().set_index("metric")
    half = table[table["fraction"] == 0.5].set_index(["metric", "test"])
    for metric in ("pearson_correlation", "iou"):
        for kind in ("missing", "extra"):
            assert half.loc[(metric, kind), "difference"] == test.loc[metric, f"{kind}_difference"]
            falls = table[(table["metric"] == metric) & (table["test"] == kind)]["difference"]
            assert (np.diff(falls) < 0).all()
    # A perfect binary neuron: IoU falls by the share of wrong labels, both ways.
    iou = table[table["metric"] == "iou"]
    np.testing.assert_allclose(iou["difference"], -iou["fraction"], atol=0.05)
    with pytest.raises(InputError, match="fractions: found 1"):
        run_fraction_ablation(*neurons, pairs, fractions=(1.0,))


def test_a_pair_does_not_depend_on_the_others(neurons):
    alone = run_sanity_checks(*neurons, [(5, 5)], n_draws=4, seed=9)
    again = run_sanity_checks(*neurons, [(5, 5), (5, 5)], n_draws=4, seed=9)
    other = run_sanity_checks(*neurons, [(5, 5)], n_draws=4, seed=10)
    assert alone.metrics[0].missing.mean_difference == pytest.approx(
        again.metrics[0].missing.mean_difference, rel=1e-12
    )
    assert alone.metrics[0].missing.mean_difference != other.metrics[0].missing.mean_difference


def test_sampled_metric_and_unbounded_metric(neurons):
    result = run_sanity_checks(
        *neurons,
        [(i, i) for i in range(10)],
        metrics=["pearson_correlation_top_and_random", "wpmi"],
        n_draws=3,
    )
    sampled, wpmi = result.metrics
    assert sampled.width_is_known
    assert not wpmi.width_is_known
    assert wpmi.width > 1
    assert sampled.missing.share == 1.0


def test_weights_enter_the_number_of_positives():
    concept = np.zeros(100)
    concept[:20] = 1.0
    weights = np.ones(100)
    weights[:20] = 0.1  # 2 of 82 by weight
    rng = np.random.default_rng(0)
    spoiled = extra_labels(concept, rng, weights=weights, n_draws=4000)
    added = spoiled[20:].mean()
    # 320,000 trials of probability 2 / 80: 5 standard errors, false alarm below 1e-6
    assert added == pytest.approx(0.025, abs=5 * np.sqrt(0.025 * 0.975 / 320_000))
    assert (spoiled[:20] == 1).all()


def test_missing_labels_keep_a_half():
    concept = np.array([0.9] * 50 + [0.2] * 50)
    spoiled = missing_labels(concept, np.random.default_rng(0), n_draws=2000)
    assert (spoiled[50:] == 0.2).all()
    assert set(np.unique(spoiled[:50])) == {0.0, 0.9}
    kept = (spoiled[:50] > 0).mean()
    assert kept == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(100_000))


@pytest.mark.parametrize(
    ("spoil", "options", "message"),
    [
        (missing_labels, {"keep": 1.0}, "keep: found 1.0"),
        (missing_labels, {"keep": -0.1}, "keep: found -0.1"),
        (extra_labels, {"growth": 1.0}, "growth: found 1.0"),
        (extra_labels, {"growth": 30.0}, "too many to be multiplied by 30"),
    ],
)
def test_perturbation_errors(spoil, options, message):
    concept = np.array([1.0] + [0.0] * 9)
    with pytest.raises(PerturbationError, match=message):
        spoil(concept, np.random.default_rng(0), **options)
    with pytest.raises(PerturbationError, match="no label is positive"):
        spoil(np.zeros(3), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pairs": []}, "pairs: found none"),
        ({"grids": {"iou": []}}, r"grids: found \['iou'\]"),
        ({"metrics": ["iou"], "validation": 0.0}, "validation: found 0.0"),
        ({"pairs": [(0, 99)]}, r"found \(0, 99\)"),
        ({"n_draws": 0}, "n_draws"),
        ({"epsilon": -1}, "epsilon"),
        ({"threshold": 1.0}, "threshold"),
        ({"metrics": ["nope"]}, "no metric 'nope'"),
        ({"parameters": {"iou": {}}}, r"parameters: found \['iou'\]"),
    ],
)
def test_bad_options(neurons, options, message):
    with pytest.raises(ValueError, match=message):
        run_sanity_checks(*neurons, **{"pairs": [(0, 0)], **options})


def test_clopper_pearson_is_that_of_scipy():
    for hits, trials in [(0, 10), (3, 10), (10, 10), (90, 100)]:
        expected = stats.binomtest(hits, trials).proportion_ci(0.95, method="exact")
        assert clopper_pearson(hits, trials) == pytest.approx(tuple(expected))


def test_clustered_interval_lies_between_its_extremes():
    together = clustered_share([10, 0] * 20, [10] * 40)
    apart = clustered_share([5] * 40, [10] * 40)
    assert together[1:] == pytest.approx(clopper_pearson(20, 40), abs=0.01)
    assert apart[1:] == pytest.approx(clopper_pearson(200, 400))
    assert np.isnan(clustered_share([], [])[0])


@pytest.mark.slow
def test_clustered_interval_covers():
    """Beta-binomial clusters: the 95% interval must cover at least 93% of the time.

    With 2,000 repetitions the false-alarm rate at a true coverage of 95% is below 1e-4.
    """
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(2000):
        hits = rng.binomial(10, rng.beta(4.5, 0.5, size=60))
        _, low, high = clustered_share(hits, [10] * 60)
        covered += low <= 0.9 <= high
    assert covered / 2000 >= 0.93
