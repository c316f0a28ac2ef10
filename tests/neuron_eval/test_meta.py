"""Meta-evaluation: the AUPRC of scikit-learn, honest splits, known winners."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from neuron_eval import tuning
from neuron_eval.binarize import TopFraction
from neuron_eval.meta import average_ranks, evaluate_metrics, pair_auprc
from neuron_eval.registry import METRICS, get_metric
from neuron_eval.tuning import default_grid
from neuron_eval.validation import InputError


@pytest.fixture(scope="module")
def planted():
    """Thirty neurons of 30 concepts of various sizes, with noise."""
    rng = np.random.default_rng(2)
    concepts = rng.random((1500, 30)) < np.geomspace(0.01, 0.3, 30)
    truth = rng.permutation(30)
    activations = concepts[:, truth] + 0.4 * rng.normal(size=(1500, 30))
    return activations, concepts.astype(float), truth


@pytest.mark.parametrize("levels", [3, 10_000])
def test_pair_auprc_is_that_of_scikit_learn(levels):
    rng = np.random.default_rng(levels)
    scores = rng.integers(0, levels, size=(20, 15)) / levels
    truth = rng.random((20, 15)) < 0.1
    assert pair_auprc(scores, truth) == pytest.approx(
        average_precision_score(truth.ravel(), scores.ravel()), rel=1e-12
    )
    counts = rng.integers(0, 3, size=20)
    assert pair_auprc(scores, truth, counts) == pytest.approx(
        average_precision_score(
            np.repeat(truth, counts, axis=0).ravel(), np.repeat(scores, counts, axis=0).ravel()
        ),
        rel=1e-12,
    )


def test_undefined_scores_rank_last():
    scores = np.array([[0.9, np.nan], [-5.0, 0.1]])
    truth = np.array([[False, True], [True, False]])
    assert pair_auprc(scores, truth) == pytest.approx((1 / 3 + 2 / 4) / 2)


def test_all_metrics_run_and_correlation_beats_recall(planted):
    done = []
    result = evaluate_metrics(*planted, n_bootstrap=50, validation=0.1, progress=done.append)
    assert done == list(METRICS)
    frame = result.to_frame().set_index("metric")
    assert (result.n_validation, result.n_test) == (3, 27)
    assert result.chance == pytest.approx(1 / 30)
    assert frame.loc["pearson_correlation", "test_auprc"] > 0.95
    assert frame.loc["pearson_correlation", "rank"] < frame.loc["recall", "rank"]
    assert ((frame["low"] <= frame["test_auprc"]) & (frame["test_auprc"] <= frame["high"])).all()
    assert isinstance(frame.loc["iou", "parameters"]["binarization"], TopFraction)
    assert frame.loc["pearson_correlation", "parameters"] == {}


def test_tuning_sees_validation_neurons_only(planted, monkeypatch):
    """Spoil the truth of the test neurons: the chosen parameters must not change."""
    activations, concepts, truth = planted
    options = {"metrics": ["recall", "wpmi"], "n_bootstrap": 0, "validation": 0.2, "seed": 3}
    honest = evaluate_metrics(activations, concepts, truth, **options)
    _, tested = tuning.split_neurons(range(30), 0.2, 3)
    spoiled = truth.copy()
    spoiled[tested] = (truth[tested] + 1) % 30
    other = evaluate_metrics(activations, concepts, spoiled, **options)
    for one, two in zip(honest.metrics, other.metrics, strict=True):
        assert one.parameters == two.parameters
        assert one.validation_auprc == two.validation_auprc
        assert one.test_auprc > two.test_auprc
        assert np.isnan(one.low)


def test_weights_are_repetitions(planted):
    activations, concepts, truth = planted
    weights = np.random.default_rng(0).integers(0, 3, size=len(activations))
    options = {"metrics": ["iou", "inverse_auroc"], "n_bootstrap": 0}
    weighted = evaluate_metrics(activations, concepts, truth, weights=weights, **options)
    repeated = evaluate_metrics(
        np.repeat(activations, weights, axis=0),
        np.repeat(concepts, weights, axis=0),
        truth,
        **options,
    )
    for one, two in zip(weighted.metrics, repeated.metrics, strict=True):
        assert one.parameters == two.parameters
        assert one.test_auprc == pytest.approx(two.test_auprc, abs=1e-9)


def test_several_true_concepts_and_average_ranks(planted):
    activations, concepts, truth = planted
    many = truth[:, None] == np.arange(30)
    options = {"metrics": ["pearson_correlation", "recall"], "n_bootstrap": 0}
    one = evaluate_metrics(activations, concepts, truth, **options)
    two = evaluate_metrics(activations, concepts, many, **options)
    assert [m.test_auprc for m in one.metrics] == [m.test_auprc for m in two.metrics]
    third = evaluate_metrics(activations, concepts, truth, seed=5, **options)
    table = average_ranks({"a": one, "b": third})
    assert table["rank"].to_dict() == {"pearson_correlation": 1.0, "recall": 2.0}
    expected = (one.metrics[0].test_auprc + third.metrics[0].test_auprc) / 2
    assert table.loc["pearson_correlation", "auprc"] == pytest.approx(expected)
    with pytest.raises(InputError, match="same metrics"):
        average_ranks({})


def test_grids():
    assert default_grid(get_metric("pearson_correlation")) == [{}]
    assert len(default_grid(get_metric("iou"))) == len(tuning.ALPHAS)
    assert len(default_grid(get_metric("wpmi"))) == len(tuning.ALPHAS) * len(tuning.LAMBDAS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"truth": [0, 1]}, "found 2 concepts for 3 neurons"),
        ({"truth": [0, 1, 7]}, "neuron 2 has concept 7, expected 0 to 3"),
        ({"truth": np.zeros((3, 4), bool)}, "neuron 0 has no true concept"),
        ({"truth": np.zeros((3, 5), bool)}, r"found shape \(3, 5\)"),
        ({"validation": 1.0}, "validation: found 1.0"),
        ({"n_bootstrap": -1}, "n_bootstrap"),
    ],
)
def test_bad_input(change, message):
    given = {"activations": np.eye(6)[:, :3], "concepts": np.eye(6)[:, :4], "truth": [0, 1, 2]}
    with pytest.raises(InputError, match=message):
        evaluate_metrics(**{**given, **change})
    with pytest.raises(InputError, match="found 1 neuron"):
        evaluate_metrics(np.eye(6)[:, :1], np.eye(6), [0])
