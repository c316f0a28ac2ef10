"""Every metric of the registry against scikit-learn, scipy or a loop, on six kinds of data."""

import numpy as np
import pytest
import torch

from neuron_eval.binarize import TopFraction
from neuron_eval.registry import METRICS
from tests.neuron_eval import references

N_INPUTS, N_NEURONS, N_CONCEPTS = 120, 7, 6
BUILT_IN = sorted(METRICS)


def _data(kind, rng):
    a = rng.normal(size=(N_INPUTS, N_NEURONS))
    c = rng.beta(0.4, 0.8, size=(N_INPUTS, N_CONCEPTS))
    if kind == "twenty_levels":
        a, c = np.round(a * 5) / 5, np.round(c * 20) / 20
    elif kind == "binary":
        a, c = (a > 0.8).astype(float), (c > 0.7).astype(float)
    elif kind == "constant":
        a[:, ::2], c[:, ::2] = 0.1, 0.7
        c[:, 1], a[:, 1] = 0.0, 0.0
    elif kind == "all_tied":
        a[:], c[:] = -0.3, 0.3
    elif kind == "sparse":
        a = np.where(rng.random(a.shape) < 0.03, np.abs(a), 0.0)
        c = np.where(rng.random(c.shape) < 0.05, c, 0.0)
    return a, c


KINDS = ["continuous", "twenty_levels", "binary", "constant", "all_tied", "sparse"]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BUILT_IN)
def test_metric_equals_its_reference(name, kind, weighted):
    rng = np.random.default_rng(7)
    a, c = _data(kind, rng)
    w = rng.gamma(1.0, size=N_INPUTS) if weighted else np.ones(N_INPUTS)
    metric = METRICS[name]
    parameters = {}
    if "binarization" in metric.parameters:
        parameters["binarization"] = TopFraction(0.1)
    scores = metric(a, c, weights=w if weighted else None, **parameters)
    assert scores.dtype == torch.float64
    reference = getattr(references, name)
    expected = np.full((N_NEURONS, N_CONCEPTS), np.nan)
    for i in range(N_NEURONS):
        nb = references.top_fraction(a[:, i], 0.1, w)
        for j in range(N_CONCEPTS):
            score = reference(a[:, i], c[:, j], w, nb)
            expected[i, j] = np.nan if score is None else score
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-12, atol=1e-12)
    if kind == "continuous":
        assert not np.isnan(expected).any()


@pytest.mark.parametrize("name", ["pearson_correlation", "cosine_similarity"])
@pytest.mark.parametrize("factor", [1e-303, 1e-160, 1e-100, 1e100, 1e160, 4e307])
def test_correlation_survives_the_whole_range_of_floats(name, factor):
    """Neither squares nor sums nor differences of the activations may leave the range of floats."""
    a, c = _data("continuous", np.random.default_rng(7))
    expected = METRICS[name](a, c)
    scores = METRICS[name](a * factor, c, weights=np.full(N_INPUTS, 0.5))
    np.testing.assert_allclose(scores, expected, rtol=1e-10, atol=1e-12)


def test_correlation_keeps_its_digits_far_from_zero():
    a, c = _data("continuous", np.random.default_rng(7))
    a = np.round(a * 1024)
    expected = METRICS["pearson_correlation"](a, c)
    far = METRICS["pearson_correlation"](a + 2.0**40, c)
    np.testing.assert_allclose(far, expected, rtol=1e-12, atol=1e-12)
