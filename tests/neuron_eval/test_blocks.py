"""Blocks, pieces and tiles cover everything once and keep to the memory budget."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuron_eval.functional import _columns
from neuron_eval.validation import InputError

CPU = torch.device("cpu")
BUDGETS = st.sampled_from([1, 10_000, 300_000, 5_000_000, 1 << 30])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 400),
    st.integers(1, 30),
    st.integers(1, 30),
    BUDGETS,
    st.sampled_from(["neurons", "concepts"]),
)
def test_every_pair_is_in_one_block(n_inputs, n_neurons, n_concepts, budget, outer):
    a, c = torch.rand((n_inputs, n_neurons)), torch.rand((n_inputs, n_concepts))
    made = {"neurons": 0, "concepts": 0}
    seen = torch.zeros((n_neurons, n_concepts))

    def counted(name):
        def prepare(rows):
            made[name] += len(rows)
            return rows.to(torch.float64)

        return _columns.Side(prepare, 8)

    def visit(neurons, concepts, left, right):
        seen[neurons, concepts] += 1
        assert torch.equal(left, a[:, neurons].T.double())
        assert torch.equal(right, c[:, concepts].T.double())
        for side in (left, right):
            assert len(side) == 1 or side.nbytes <= budget / 4

    scored = _columns.check(a, c, None)
    sides = counted("neurons"), counted("concepts")
    _columns.each_block(scored, budget, *sides, visit, outer=outer)
    assert (seen == 1).all()
    assert made[outer] == {"neurons": n_neurons, "concepts": n_concepts}[outer]


@given(st.integers(1, 10**6), st.integers(1, 5000), BUDGETS)
def test_tiles_cover_the_inputs(n_inputs, n_columns, budget):
    tiles = list(_columns.tiles(n_inputs, n_columns, budget, CPU))
    assert [tile.start for tile in tiles] == [0, *(tile.stop for tile in tiles[:-1])]
    assert tiles[-1].stop == n_inputs
    longest = max(tile.stop - tile.start for tile in tiles)
    # So that few inputs at a time do not cost more than they save, 256 are always allowed.
    assert longest <= 256 or 8 * longest * n_columns <= budget / 4


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 500), st.integers(1, 60), BUDGETS)
def test_pieces_are_contiguous_copies(n_inputs, n_columns, budget):
    matrix = torch.rand((n_inputs, n_columns))
    covered = []
    for piece, rows in _columns.pieces(matrix.T, budget):
        covered += range(piece.start, piece.stop)
        assert rows.is_contiguous()
        assert rows.data_ptr() != matrix.data_ptr()
        assert torch.equal(rows, matrix[:, piece].T)
        assert len(rows) == 1 or 8 * rows.numel() <= budget / 4
    assert covered == list(range(n_columns))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (torch.bool, torch.float32),
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.int64, torch.float64),
        (torch.uint8, torch.float64),
        (torch.float64, torch.float64),
    ],
)
def test_values_become_floats_that_hold_them(kind, expected):
    values = torch.tensor([[0, 1, 1]]).to(kind)
    assert _columns.in_float(values).dtype == expected
    assert torch.equal(_columns.in_float(values).double(), values.double())
    large = torch.tensor([2**53 - 1])
    assert _columns.in_float(large).item() == 2**53 - 1


@given(st.integers(1, 40), st.integers(1, 3000), st.booleans())
@settings(max_examples=30, deadline=None)
def test_sums_do_not_depend_on_the_layout(n_columns, n_inputs, weighted):
    rng = np.random.default_rng(n_inputs)
    values = rng.normal(size=(n_columns, n_inputs))
    weights = rng.random(n_inputs) if weighted else np.ones(n_inputs)
    mass = torch.from_numpy(weights) if weighted else None
    for array in (values, values > 0.5):
        expected = (array * weights).sum(axis=1)
        rows = torch.from_numpy(array)
        for view in (rows, rows.T.contiguous().T):
            got = _columns.sums(view, mass, 100_000)
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-10)
    inside, outside = _columns.both_sides(rows, mass)
    np.testing.assert_allclose(inside + outside, weights.sum(), rtol=1e-12)


def test_a_budget_must_be_positive():
    scored = _columns.check(torch.rand((3, 1)), torch.rand((3, 1)), None)
    side = _columns.AS_THEY_ARE
    with pytest.raises(InputError, match="memory_budget: found 0"):
        _columns.fill(scored, 0, side, side, lambda left, right: left @ right.T)
    with pytest.raises(InputError, match="memory_budget: found -1"):
        next(_columns.rows_of(torch.rand((3, 1)), -1))
