"""The checks pass for every built-in metric, and each catches the fault it is for."""

import numpy as np
import pytest
import torch

from neuron_eval import functional, registry
from neuron_eval.errors import NeuronEvalError
from neuron_eval.metric_checks import CHECKS, MetricCheckError, check_metric, make_cases
from neuron_eval.registry import METRICS, Metric


@pytest.mark.parametrize("name", sorted(METRICS))
def test_built_in_metrics_keep_their_promises(name):
    check_metric(METRICS[name])


def _metric(function, **properties):
    return Metric("own", function, **{"range": (-1.0, 1.0), "binarizes": "nothing", **properties})


def _single(a, c, *, weights=None):
    return functional.pearson_correlation(a, c, weights=weights).float()


def _too_wide(a, c, *, weights=None):
    return 3 * functional.pearson_correlation(a, c, weights=weights)


def _infinite(a, c, *, weights=None):
    return torch.nan_to_num(functional.pearson_correlation(a, c, weights=weights), nan=float("inf"))


def _ignores_weights(a, c, *, weights=None):
    return functional.pearson_correlation(a, c)


def _takes_no_weights(a, c):
    return functional.pearson_correlation(a, c)


def _looks_at_the_first_row(a, c, *, weights=None):
    scores = functional.pearson_correlation(a, c, weights=weights)
    return scores if np.asarray(c)[0, 0] > 0.5 else -scores


def _spoils_its_input(a, c, *, weights=None):
    a[:] = 0
    return torch.zeros((a.shape[1], c.shape[1]), dtype=torch.float64)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (_metric(_single), "check 'form', .*expected .* of float64"),
        (_metric(_too_wide), "range: found"),
        (_metric(_infinite), "found an infinite score"),
        (_metric(_spoils_its_input), "activations are left alone"),
        (_metric(_ignores_weights), "a weight of 2 is the row twice"),
        (_metric(_takes_no_weights), "takes no argument 'weights'"),
        (_metric(_looks_at_the_first_row), "check 'order'"),
        (_metric(functional.cosine_similarity), "shift_free"),
        (_metric(functional.mean_activation_difference, range=None), "scale_free"),
        (
            _metric(functional.cosine_similarity, shift_free=False, concept_units_free=True),
            "concept_units_free",
        ),
        (_metric(functional.recall, binarizes="both", symmetric=True), "symmetric"),
    ],
)
def test_broken_promises_are_caught(metric, message):
    with pytest.raises(MetricCheckError, match=message):
        check_metric(metric)


def test_three_lines_register_and_check(monkeypatch):
    monkeypatch.setattr(registry, "_REGISTERED", dict(METRICS))

    def dice_of_tails(activations, concepts, *, weights=None):
        """Score the overlap at the top tenth."""
        from neuron_eval.binarize import TopFraction

        return functional.f1_score(
            activations, concepts, weights=weights, binarization=TopFraction(0.1)
        )

    check_metric(
        registry.register_metric("dice_of_tails", dice_of_tails, range=(0.0, 1.0), binarizes="both")
    )


def test_cases_meet_every_kind():
    cases = make_cases(36)
    assert any(np.ptp(case.activations[:, 0]) == 0 for case in cases)
    assert any((case.concepts == 0).all(axis=0).any() for case in cases)
    assert any((case.concepts == 1).all(axis=0).any() for case in cases)
    assert any((case.weights == 0).any() for case in cases)
    assert set(CHECKS) == {"form", "weights", "order", "units", "symmetry", "types"}
    with pytest.raises(NeuronEvalError, match="n_cases: found 0"):
        check_metric(METRICS["iou"], n_cases=0)
