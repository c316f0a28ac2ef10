"""Exactly the top fraction, whole groups of ties, never a sparse neuron's zeros."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neuron_eval.binarize import (
    AlreadyBinary,
    Threshold,
    TopFraction,
    already_binary,
    binarize_threshold,
    binarize_top,
)
from neuron_eval.validation import InputError
from tests.neuron_eval import references


@given(st.integers(1, 400), st.floats(1e-4, 1.0))
def test_marks_exactly_k_of_distinct_values(n_inputs, alpha):
    values = np.random.default_rng(n_inputs).permutation(n_inputs).astype(float)
    marked = binarize_top(values[:, None], alpha)[:, 0].numpy()
    k = math.ceil(round(alpha * n_inputs, 9))
    # The minimum is never active, so at most all but one are marked.
    assert marked.sum() == min(k, n_inputs - 1)
    if marked.any() and not marked.all():
        assert values[marked].min() > values[~marked].max()


def test_fraction_is_not_spoiled_by_rounding():
    assert 0.07 * 100 > 7
    assert binarize_top(np.arange(100.0)[:, None], 0.07).sum() == 7


def test_sparse_neuron_is_active_only_where_it_fires():
    a = np.zeros((1000, 1))
    a[:7, 0] = np.arange(1.0, 8.0)
    assert binarize_top(a, 0.05).nonzero()[:, 0].tolist() == list(range(7))


def test_zeros_in_the_middle_do_not_fill_up():
    a = np.zeros((1000, 1))
    a[:7], a[7:9] = 1.0, -1.0
    assert binarize_top(a, 0.05).sum() == 7


def test_binary_and_constant_neurons():
    a = np.zeros((100, 2))
    a[:30, 0] = 1.0
    assert binarize_top(a, 0.05).sum(dim=0).tolist() == [30, 0]


@given(
    hnp.arrays(np.float64, st.integers(1, 40), elements=st.integers(-3, 3).map(float)),
    st.floats(0.01, 1.0),
    st.data(),
)
def test_weights_are_repetitions_and_order_is_irrelevant(values, alpha, data):
    weights = data.draw(hnp.arrays(np.int64, len(values), elements=st.integers(0, 3)))
    if weights.sum() == 0:
        weights[0] = 1
    marked = binarize_top(values[:, None], alpha, weights=weights)[:, 0].numpy()
    repeated = binarize_top(np.repeat(values, weights)[:, None], alpha)[:, 0].numpy()
    np.testing.assert_array_equal(np.repeat(marked, weights), repeated)
    assert not marked[weights == 0].any()
    order = np.random.default_rng(0).permutation(len(values))
    shuffled = binarize_top(values[order][:, None], alpha, weights=weights[order])[:, 0].numpy()
    np.testing.assert_array_equal(shuffled, marked[order])
    np.testing.assert_array_equal(
        marked, references.top_fraction(values, alpha, weights.astype(float))
    )


def test_threshold_is_strict():
    assert binarize_threshold([[1.0], [2.0], [2.5]], 2.0)[:, 0].tolist() == [False, False, True]


def test_already_binary_refuses_other_values():
    assert already_binary([[1.0], [0.0]])[:, 0].tolist() == [True, False]
    with pytest.raises(InputError, match=r"found 0\.5 on input 1"):
        already_binary([[1.0], [0.5]])


@pytest.mark.parametrize("alpha", [0.0, -0.1, 1.01, math.nan])
def test_fraction_must_be_a_fraction(alpha):
    with pytest.raises(InputError, match="alpha: found"):
        TopFraction(alpha)


def test_threshold_must_be_a_number():
    with pytest.raises(InputError, match="value: found nan"):
        Threshold(math.nan)
    assert AlreadyBinary() == AlreadyBinary()
