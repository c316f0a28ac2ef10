"""The registry finds metrics, explains itself and takes new ones."""

import pytest
import torch

from neuron_eval import functional, registry
from neuron_eval.registry import METRICS, UnknownMetricError, get_metric, register_metric


def test_every_public_metric_is_registered():
    assert set(functional.__all__) == set(METRICS)
    assert len(METRICS) == 24


def test_entries_describe_themselves():
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.summary.endswith(".")
        assert metric.function.__doc__.count("References") == 1
        binarizing = metric.binarizes in ("both", "neuron") or metric.sampled
        assert ("binarization" in metric.parameters) == binarizing
        assert ("concept_threshold" in metric.parameters) == (
            metric.binarizes in ("both", "concept")
        )


def test_unknown_names_get_near_matches():
    with pytest.raises(UnknownMetricError, match=r"'pearson'.*'pearson_correlation'"):
        get_metric("pearson")
    with pytest.raises(UnknownMetricError, match="see METRICS"):
        get_metric("zzz")


def test_unknown_parameters_are_refused():
    with pytest.raises(ValueError, match="auroc: takes no parameter 'alpha'; it takes binariz"):
        get_metric("auroc")([[0.0], [1.0]], [[0.0], [1.0]], alpha=0.1)


def test_own_metric(monkeypatch):
    monkeypatch.setattr(registry, "_REGISTERED", dict(METRICS))

    def agreement(activations, concepts, *, weights=None, sharpness=1.0):
        """Score agreement."""
        return torch.full((1, 1), sharpness, dtype=torch.float64)

    metric = register_metric("agreement", agreement, range=(0.0, 1.0), binarizes="nothing")
    assert get_metric("agreement") is metric
    assert dict(metric.parameters) == {"sharpness": 1.0}
    assert metric.summary == "Score agreement."
    assert metric([[0.0]], [[0.0]], sharpness=0.5).item() == 0.5
    with pytest.raises(ValueError, match="already"):
        register_metric("agreement", agreement, range=None, binarizes="nothing")
    with pytest.raises(ValueError, match="identifier"):
        register_metric("my-metric", agreement, range=None, binarizes="nothing")
    with pytest.raises(ValueError, match="least, greatest"):
        register_metric("other", agreement, range=(1.0, 0.0), binarizes="nothing")
