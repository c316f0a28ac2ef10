"""What must hold for every metric of the registry, whatever the data.

A metric that is registered later inherits these tests; nothing here names a metric.
"""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neuron_eval.binarize import TopFraction
from neuron_eval.functional.at_once import score_contingency_metrics
from neuron_eval.metric_checks import CHECKS, Case
from neuron_eval.registry import METRICS
from neuron_eval.validation import InputError

ALL = sorted(METRICS)
SAMPLED = [name for name in ALL if METRICS[name].sampled]
N_INPUTS = st.integers(1, 24)


@st.composite
def cases(draw):
    """Few levels, so that ties, constants and empty sides come up often."""
    n = draw(N_INPUTS)
    levels = draw(st.sampled_from([(0, 1), (-2, 2), (-50, 50)]))
    a = draw(hnp.arrays(np.int64, (n, 2), elements=st.integers(*levels))) * 0.37
    steps = draw(st.sampled_from([1, 4, 64]))
    c = draw(hnp.arrays(np.int64, (n, 3), elements=st.integers(0, steps))) / steps
    w = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 3)))
    if w.sum() == 0:
        w[0] = 1
    order = np.array(draw(st.permutations(range(n))))
    return Case(a, c, w, order)


def score(name, a, c, **options):
    metric = METRICS[name]
    if "binarization" in metric.parameters:
        options.setdefault("binarization", TopFraction(0.2))
    return metric(a, c, **options).numpy()


def same(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("check", sorted(CHECKS))
@pytest.mark.parametrize("name", ALL)
@settings(max_examples=20, deadline=None)
@given(cases())
def test_metrics_keep_the_promises_of_their_entries(name, check, case):
    """Weights as repetitions, order, range, units, symmetry, types: see `metric_checks`."""
    CHECKS[check](METRICS[name], case)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("weighted", [False, True])
def test_chunks_types_and_threads_change_nothing(name, weighted):
    rng = np.random.default_rng(5)
    a = rng.normal(size=(300, 9)).round(1).astype(np.float32)
    c = (rng.random((300, 11)) ** 3).round(2).astype(np.float32)
    w = rng.random(300) if weighted else None
    expected = score(name, a, c, weights=w)
    for budget in (1, 50_000, 1 << 20):
        same(score(name, a, c, weights=w, memory_budget=budget), expected)
    same(score(name, torch.from_numpy(a), pd.DataFrame(c), weights=w), expected)
    same(score(name, np.asfortranarray(a.astype(np.float64)), c, weights=w), expected)
    torch.set_num_threads(2)
    try:
        same(score(name, a, c, weights=w), expected)
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("name", ALL)
def test_types_of_numbers_change_nothing(name):
    rng = np.random.default_rng(6)
    a, c = rng.integers(-3, 9, size=(60, 3)), rng.random((60, 4)) < 0.3
    expected = score(name, a.astype(np.float64), c.astype(np.float64))
    assert not np.isnan(expected).any()
    for kind in (np.int64, np.int8, np.float16, np.float32):
        same(score(name, a.astype(kind), c), expected)
        same(score(name, a.astype(kind), c.astype(kind)), expected)


def test_ten_metrics_at_once_are_the_ten_metrics():
    rng = np.random.default_rng(1)
    a, c, w = rng.normal(size=(80, 4)), rng.random((80, 5)), rng.random(80)
    together = score_contingency_metrics(a, c, weights=w, binarization=TopFraction(0.2))
    assert len(together) == 10
    for name, scores in together.items():
        np.testing.assert_array_equal(scores.numpy(), score(name, a, c, weights=w))


@pytest.mark.parametrize("name", SAMPLED)
def test_sampled_metrics_draw_by_seed_and_estimate_the_same_with_weights(name):
    rng = np.random.default_rng(0)
    a = rng.normal(size=(400, 1))
    c = np.clip(0.5 + 0.3 * a + 0.2 * rng.normal(size=(400, 1)), 0, 1)
    w = rng.integers(1, 4, size=400)
    assert score(name, a, c, seed=1) == score(name, a, c, seed=1)
    draws = [score(name, a, c, weights=w, seed=s).item() for s in range(200)]
    many = np.repeat(a, w, axis=0), np.repeat(c, w, axis=0)
    repeated = [score(name, *many, seed=s).item() for s in range(200)]
    assert len(set(draws)) > 100
    # Two means of 200 draws: 5 standard errors of their difference, false alarm below 1e-6;
    # repeated rows may be drawn twice, which on 400 inputs moves the mean by less than that.
    error = np.sqrt((np.var(draws) + np.var(repeated)) / 200)
    assert np.mean(draws) == pytest.approx(np.mean(repeated), abs=5 * error)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"concepts": np.full((4, 2), 0.5)}, "concepts: found 4 rows, expected 5"),
        ({"activations": np.full((5, 1), np.nan)}, "neuron 0 on input 0 is nan"),
        ({"concepts": np.full((5, 1), 1.1)}, "concept 0 on input 0 is 1.1"),
        ({"weights": [1, 1, -1, 1, 1]}, "weight of input 2 is -1"),
        ({"activations": np.zeros((0, 1)), "concepts": np.zeros((0, 1))}, "at least one input"),
        ({"memory_budget": 0}, "memory_budget: found 0"),
    ],
)
def test_bad_input_is_named(name, change, message):
    given = {"activations": np.arange(5.0)[:, None], "concepts": np.eye(5)[:, :2], **change}
    with pytest.raises(InputError, match=message):
        METRICS[name](given.pop("activations"), given.pop("concepts"), **given)
