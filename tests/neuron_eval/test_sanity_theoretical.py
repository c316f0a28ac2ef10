"""Theoretical sanity checks: counts against the metrics, exact sums against closed forms."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from neuron_eval import functional, registry
from neuron_eval.binarize import AlreadyBinary
from neuron_eval.registry import METRICS
from neuron_eval.sanity import theoretical
from neuron_eval.sanity.binary_scores import BINARY_SCORES, SAMPLED_SCORES, Counts
from neuron_eval.sanity.perturb import extra_labels, missing_labels
from neuron_eval.sanity.theoretical import run_theoretical_checks, theoretical_table
from neuron_eval.validation import InputError

# Four rows stand for all inputs; their weights are the counts.
ROWS = (np.array([[1.0], [1.0], [0.0], [0.0]]), np.array([[1.0], [0.0], [1.0], [0.0]]))


@pytest.fixture(scope="module")
def published_setup():
    return run_theoretical_checks()


def test_every_metric_has_a_form_in_counts():
    assert set(BINARY_SCORES) | set(SAMPLED_SCORES) == set(METRICS)


@pytest.mark.parametrize("name", sorted(BINARY_SCORES))
def test_counts_score_as_the_metric_with_weights_does(name):
    metric = METRICS[name]
    parameters = {"binarization": AlreadyBinary()} if "binarization" in metric.parameters else {}
    for cell in itertools.product((0, 1, 3), repeat=4):
        if sum(cell) == 0:
            continue
        counts = Counts(*(np.array([float(count)]) for count in cell))
        expected = metric(*ROWS, weights=list(cell), **parameters).numpy()[0]
        np.testing.assert_allclose(
            BINARY_SCORES[name](counts), expected, rtol=1e-12, atol=1e-14, err_msg=str(cell)
        )


def _closed_forms(g):
    """Leading-order expected differences at density g: (missing, extra)."""
    return {
        "recall": (-1 / 2, 0),
        "precision": (0, -1 / 2),
        "f1_score": (-1 / 3, -1 / 3),
        "iou": (-1 / 2, -1 / 2),
        "accuracy": (-g / 2, -g),
        "balanced_accuracy": (-1 / 4, -g / (2 * (1 - g))),
        "inverse_balanced_accuracy": (-g / (4 - 2 * g), -1 / 4),
        "auroc": (-1 / 4, -g / (2 * (1 - g))),
        "inverse_auroc": (-g / (4 - 2 * g), -1 / 4),
        "pearson_correlation": (
            (math.sqrt((1 - g) / (2 - g)) - 1) / 2,
            (math.sqrt((1 - 2 * g) / (2 - 2 * g)) - 1) / 2,
        ),
        "spearman_correlation": (
            (math.sqrt((1 - g) / (2 - g)) - 1) / 2,
            (math.sqrt((1 - 2 * g) / (2 - 2 * g)) - 1) / 2,
        ),
        "cosine_similarity": ((math.sqrt(1 / 2) - 1) / 2,) * 2,
        "mean_activation_difference": (-g / (2 - g), -1 / 2),
        "auprc": (-(1 - g) / 2, -1 / 2),
        "inverse_auprc": (-1 / 2, -(1 / 2 - g)),
        "wpmi": (math.log(1e-8) / 2 + math.log(2), -math.log(2)),
    }


def test_expectations_are_the_closed_forms(published_setup):
    table = {(c.metric, c.gamma, c.test): c for c in published_setup}
    for gamma in (0.499, 0.1, 0.01, 0.001, 0.0001):
        for name, forms in _closed_forms(gamma).items():
            for test, expected in zip(("missing", "extra"), forms, strict=True):
                got = table[name, gamma, test].expected_difference
                # The forms leave out terms of order 1/K; the variance of Pearson's correlation
                # at the edge, where almost no negative is left, is of order 1/sqrt(K).
                slack = 2 / (gamma * 500_000) * (20 if name == "wpmi" else 1)
                if "correlation" in name and gamma == 0.499:
                    slack = 1e-4
                assert got == pytest.approx(expected, abs=slack), (name, gamma, test)


def test_verdicts_of_the_published_table(published_setup):
    """Both accuracies above 90% at every density, with the ties that spoiled Spearman mended."""
    passes = {
        name
        for name in METRICS
        if all(c.expected_accuracy > 0.9 for c in published_setup if c.metric == name)
    }
    assert passes == {
        "f1_score",
        "iou",
        "pearson_correlation",
        "spearman_correlation",
        "cosine_similarity",
        "auprc",
        "wpmi",
        "combined_auroc",
        "combined_balanced_accuracy",
        "combined_recall_inverse_auroc",
        "combined_precision_balanced_accuracy",
    }


def test_correct_auroc_differs_from_the_published_one(published_setup):
    """The published -.7562, -.0844, -.0077 come from breaking ties at random."""
    table = {(c.metric, c.gamma, c.test): c for c in published_setup}
    got = [table["auroc", g, "extra"].expected_difference for g in (0.499, 0.1, 0.01)]
    np.testing.assert_allclose(got, [-0.4980, -0.0556, -0.0051], atol=5e-5)


def test_simulation_agrees_with_expectation(published_setup):
    """Within 5 standard errors everywhere; a single draw differs by at most half the range."""
    for c in published_setup:
        if c.metric != "wpmi":
            assert c.simulated_difference == pytest.approx(
                c.expected_difference, abs=5 * 0.25 / math.sqrt(1000)
            )
        spread = math.sqrt(c.expected_accuracy * (1 - c.expected_accuracy) / 1000)
        assert c.simulated_accuracy == pytest.approx(c.expected_accuracy, abs=5 * spread + 1e-6)


@pytest.mark.parametrize("name", ["iou", "pearson_correlation", "inverse_auprc"])
def test_exact_sums_by_enumeration(name):
    """Ten inputs, four positives: every set of lost or added labels, one by one."""
    metric = METRICS[name]
    parameters = {"binarization": AlreadyBinary()} if "binarization" in metric.parameters else {}
    neuron = np.array([1.0] * 4 + [0.0] * 6)
    [missing, extra] = run_theoretical_checks(metrics=[name], gammas=[0.4], n_inputs=10)
    width = metric.width
    for check, changed, chance in ((missing, range(4), 0.5), (extra, range(4, 10), 4 / 6)):
        mean = mass = 0.0
        for flips in itertools.product((0, 1), repeat=len(changed)):
            labels = neuron.copy()
            labels[list(changed)] = np.abs(labels[list(changed)] - flips)
            probability = np.prod([chance if flip else 1 - chance for flip in flips])
            score = metric(neuron[:, None], labels[:, None], **parameters).item()
            if not math.isnan(score):
                mean += probability * (score - 1.0) / width
                mass += probability
        assert check.expected_difference == pytest.approx(mean / mass, rel=1e-12)


@pytest.mark.parametrize("test", ["missing", "extra"])
@pytest.mark.parametrize("name", sorted(SAMPLED_SCORES))
def test_sampled_metrics_by_drawing_real_inputs(name, test):
    """The metric itself on 300 inputs, 400 times; 5 standard errors, false alarm below 1e-6."""
    n_inputs, n_draws = 300, 400
    neuron = np.zeros(n_inputs)
    neuron[:60] = 1.0
    rng = np.random.default_rng(0)
    differences = []
    for draw in range(n_draws):
        spoil = missing_labels if test == "missing" else extra_labels
        concepts = np.concatenate([neuron[:, None], spoil(neuron, rng)], axis=1)
        before, after = METRICS[name](
            neuron[:, None], concepts, binarization=AlreadyBinary(), n_each=10, seed=draw
        )[0].tolist()
        differences.append((after - before) / 2)
    checks = run_theoretical_checks(metrics=[name], gammas=[0.2], n_inputs=n_inputs, n_each=10)
    expected = {check.test: check for check in checks}[test].expected_difference
    differences = np.array(differences)
    differences = differences[~np.isnan(differences)]
    error = differences.std() / math.sqrt(len(differences))
    assert differences.mean() == pytest.approx(expected, abs=5 * error)


def test_table_and_independence_of_cells(published_setup):
    table = theoretical_table(published_setup)
    assert len(table) == 24 * 5 * 2
    alone = run_theoretical_checks(metrics=["auprc"], gammas=[0.01])
    assert all(check in published_setup for check in alone)


@pytest.mark.parametrize("gamma", [0.0, 0.6, -0.1, 1e-9])
def test_densities_must_leave_positives_and_negatives(gamma):
    with pytest.raises(InputError, match="gammas: found"):
        run_theoretical_checks(metrics=["iou"], gammas=[gamma])


def test_deviation_is_that_of_the_draws():
    """Precision after f extra labels, K / (K + f): the standard deviation by enumeration."""
    [_, extra] = run_theoretical_checks(metrics=["precision"], gammas=[0.3], n_inputs=40)
    f = np.arange(29)
    mass = stats.binom.pmf(f, 28, 12 / 28)
    change = 12 / (12 + f) - 1
    mean = mass @ change
    assert extra.expected_difference == pytest.approx(mean, rel=1e-12)
    assert extra.deviation == pytest.approx(math.sqrt(mass @ (change - mean) ** 2), rel=1e-9)


def test_a_metric_of_ones_own_is_checked_by_its_weights(monkeypatch):
    """A copy of the IoU under another name, without a form in counts, gets the IoU's figures."""
    monkeypatch.setattr(registry, "_REGISTERED", dict(METRICS))
    monkeypatch.setattr(theoretical, "METRICS", registry._REGISTERED)
    registry.register_metric("my_iou", functional.iou, range=(0.0, 1.0), binarizes="both")
    options = {"gammas": [0.1, 0.001], "n_inputs": 5000, "n_draws": 50}
    own = run_theoretical_checks(metrics=["my_iou"], **options)
    built_in = run_theoretical_checks(metrics=["iou"], **options)
    for one, other in zip(own, built_in, strict=True):
        assert one.expected_difference == pytest.approx(other.expected_difference, rel=1e-12)
        assert one.expected_accuracy == pytest.approx(other.expected_accuracy, rel=1e-12)
    everything = run_theoretical_checks(gammas=[0.1], n_inputs=1000, n_draws=10)
    assert "my_iou" in {check.metric for check in everything}

    def unweighted(activations, concepts):
        """Score nothing."""
        return functional.iou(activations, concepts)

    registry.register_metric("unweighted", unweighted, range=(0.0, 1.0), binarizes="both")
    with pytest.raises(InputError, match="'unweighted' takes no weights or draws inputs"):
        run_theoretical_checks(metrics=["unweighted"])
