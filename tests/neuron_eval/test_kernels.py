"""What the compiled loops compute, against scikit-learn, scipy and the path of other devices."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from sklearn.metrics import average_precision_score

from neuron_eval.functional import _members, _order, auprc, average_precision, inverse_auprc
from neuron_eval.functional._columns import MEMORY_BUDGET

TYPES = [np.float32, np.float64]
FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)


@st.composite
def sets_and_scores(draw):
    """Sets from empty to full, scores with few levels or with none equal, weights or none."""
    n = draw(st.integers(1, 30))
    sets = draw(hnp.arrays(np.bool_, (draw(st.integers(1, 4)), n)))
    dtype = draw(st.sampled_from(TYPES))
    elements = draw(st.sampled_from([st.integers(-2, 2).map(float), FLOATS]))
    scores = draw(hnp.arrays(dtype, (2, n), elements=elements))
    weights = draw(st.none() | hnp.arrays(np.float64, n, elements=st.floats(0.01, 3.0)))
    return tuple(None if x is None else torch.from_numpy(x) for x in (sets, scores, weights))


def found(sets, scores, weights=None):
    return average_precision.average_precision(sets, scores, weights).numpy()


def close(got, expected, rtol=1e-12, atol=1e-12):
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol)


@settings(max_examples=200, deadline=None)
@given(sets_and_scores())
def test_average_precision_is_that_of_scikit_learn(data):
    sets, scores, weights = data
    expected = [
        [
            average_precision_score(members, row, sample_weight=weights)
            if members.any()
            else np.nan
            for row in scores.numpy()
        ]
        for members in sets.numpy()
    ]
    close(found(*data), expected)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("levels", [1, 3, 20, None])
@pytest.mark.parametrize("weighted", [False, True])
def test_average_precision_on_many_inputs(dtype, levels, weighted):
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(3, 4000))
    scores = (scores if levels is None else rng.integers(levels, size=scores.shape)).astype(dtype)
    sets = rng.random((3, 4000)) < np.array([[0.001], [0.1], [0.9]])
    weights = rng.gamma(0.5, size=4000) + 1e-6 if weighted else None
    got = found(
        torch.from_numpy(sets),
        torch.from_numpy(scores),
        None if weights is None else torch.from_numpy(weights),
    )
    expected = [
        [average_precision_score(members, row, sample_weight=weights) for row in scores]
        for members in sets
    ]
    close(got, expected)


def test_average_precision_at_the_edges():
    one = torch.tensor([[True], [False]])
    close(found(one, torch.tensor([[0.3]])), [[1.0], [np.nan]])
    scores = torch.tensor([[3.0, 2.0, 2.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    everything, nothing = (
        torch.ones((1, 4), dtype=torch.bool),
        torch.zeros((1, 4), dtype=torch.bool),
    )
    close(found(everything, scores), [[1.0, 1.0]])
    assert np.isnan(found(nothing, scores)).all()
    # By hand: the tied pair at depth 3 holds one member, the last input the other.
    last = torch.tensor([[False, True, False, True]])
    close(found(last, scores), [[(1 / 3 + 2 / 4) / 2, 1 / 2]])


def test_a_perfect_score_is_not_above_one():
    weights = torch.tensor([0.1, 0.7, 0.3, 1e-9, 5.0])
    scores = torch.tensor([[5.0, 4.0, 3.0, 2.0, 1.0]])
    for size in range(1, 6):
        members = torch.arange(5)[None, :] < size
        assert found(members, scores, weights.double()).item() == pytest.approx(1.0, abs=1e-15)
        assert found(members, scores, weights.double()).item() <= 1.0


@settings(max_examples=100, deadline=None)
@given(sets_and_scores())
def test_both_ways_to_find_agree(data):
    """Other devices take running sums over all inputs; here both run on the CPU."""
    sets, scores, weights = data
    mass = torch.ones(sets.shape[1], dtype=torch.float64) if weights is None else weights
    for budget in (1, MEMORY_BUDGET):
        results = []
        for find in (average_precision._by_members, average_precision._by_running_sums):
            results.append(torch.full((len(scores), len(sets)), -1.0, dtype=torch.float64))
            find(sets, scores, mass, results[-1], budget)
        close(*results)


@settings(max_examples=100, deadline=None)
@given(sets_and_scores())
def test_both_ways_to_rank_and_to_sum_agree(data):
    sets, scores, weights = data
    close(
        _order._midranks_row_by_row(scores, weights, torch.float64),
        _order._midranks_at_once(scores, weights),
    )
    ranks = _order.midranks(scores, weights)
    totals = []
    for add in (_members._add_members, _members._add_product):
        totals.append(torch.ones((len(sets), len(scores)), dtype=torch.float64))
        add(totals[-1], sets, ranks)
    close(*totals)


@settings(max_examples=200, deadline=None)
@given(hnp.arrays(np.float32, (2, 12), elements=FLOATS | st.sampled_from([0.0, -0.0, 1.0, -1.0])))
def test_rows_are_sorted_by_value_alone(values):
    for rows in (values, values.astype(np.float64)):
        order, keys = _order.ascending(torch.from_numpy(rows))
        for row, by_value, key in zip(rows, order, keys, strict=True):
            assert sorted(by_value) == list(range(12))
            ordered = row[by_value]
            np.testing.assert_array_equal(ordered, np.sort(row))
            np.testing.assert_array_equal(key[1:] == key[:-1], ordered[1:] == ordered[:-1])


@pytest.mark.parametrize("dtype", TYPES)
def test_midranks_are_those_of_scipy(dtype):
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(2, 500)), rng.integers(-3, 4, size=(2, 500))])
    ranks = _order.midranks(torch.from_numpy(rows.astype(dtype)), None)
    np.testing.assert_array_equal(ranks, stats.rankdata(rows.astype(dtype), axis=1) - 0.5)
    single = _order.midranks(torch.from_numpy(rows.astype(dtype)), None, torch.float32)
    np.testing.assert_array_equal(single, ranks)


def test_ties_are_those_of_the_given_type():
    """Two values that differ in double precision only are tied where single is given."""
    double = np.array([[0.3], [0.3 + 1e-9], [0.1], [0.9]])
    single = double.astype(np.float32)
    assert single[0] == single[1]
    members = np.array([[0.0], [1.0], [0.0], [1.0]])
    for values in (single, double):
        expected = average_precision_score(members[:, 0], values[:, 0])
        close(inverse_auprc(values, members), [[expected]])
    assert inverse_auprc(single, members) != inverse_auprc(double, members)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("metric", [auprc, inverse_auprc])
def test_average_precision_does_not_depend_on_chunks_or_threads_at_all(metric, dtype):
    rng = np.random.default_rng(5)
    a = rng.normal(size=(500, 40)).round(1).astype(dtype)
    c = (rng.random((500, 50)) ** 3).round(2).astype(dtype)
    w = rng.random(500)
    expected = metric(a, c, weights=w).numpy()
    for budget in (1, 60_000, 200_000):
        got = metric(a, c, weights=w, memory_budget=budget).numpy()
        np.testing.assert_array_equal(got, expected)
    torch.set_num_threads(2)
    try:
        np.testing.assert_array_equal(metric(a, c, weights=w).numpy(), expected)
    finally:
        torch.set_num_threads(1)
