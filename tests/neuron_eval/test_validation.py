"""Bad input is named, good input keeps its memory."""

import numpy as np
import pandas as pd
import pytest
import torch

from neuron_eval import validation
from neuron_eval.validation import InputError, check_activations, check_concepts, check_weights


@pytest.mark.parametrize(
    "given",
    [
        [[1, 2], [3, 4]],
        np.array([[1, 2], [3, 4]], dtype=np.float32),
        np.array([[1, 2], [3, 4]], dtype=">f8"),
        np.array([[1, 2], [3, 4]], dtype=np.uint16),
        np.array([[4, 3], [2, 1]])[::-1, ::-1],
        pd.DataFrame({"a": [1, 3], "b": [2, 4]}),
        torch.tensor([[1, 2], [3, 4]], dtype=torch.float16),
        torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True),
    ],
)
def test_accepts_and_converts(given):
    matrix = check_activations(given)
    assert matrix.dtype == torch.float64
    assert not matrix.requires_grad
    assert matrix.tolist() == [[1, 2], [3, 4]]


def test_memory_maps_are_not_copied(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((4, 2), dtype=np.float32))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    matrix = check_activations(mapped, dtype=None)
    assert matrix.data_ptr() == mapped.__array_interface__["data"][0]


@pytest.mark.parametrize("block", [1 << 24, 8, 1])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_names_the_first_bad_value(monkeypatch, block, value):
    monkeypatch.setattr(validation, "_BLOCK_ELEMENTS", block)
    a = np.zeros((5, 4))
    a[3, 2] = a[1, 3] = a[4, 2] = value
    with pytest.raises(InputError, match=r"activations: the value of neuron 2 on input 3"):
        check_activations(a)
    with pytest.raises(InputError, match=r"neuron 2 \('ears'\) on input 3"):
        check_activations(a, names=["x", "y", "ears", "z"])
    with pytest.raises(InputError, match=r"concept 2 \('b'\) on input 3"):
        check_concepts(pd.DataFrame(a, columns=["p", "q", "b", "s"]))


def test_large_finite_values_pass():
    assert check_activations(np.full((3, 2), 1.7e308)).max() == 1.7e308


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros(3), "expected two dimensions"),
        (np.zeros((0, 3)), "at least one input"),
        (np.zeros((3, 0)), "at least one input"),
        (np.zeros((2, 2), dtype=complex), "expected numbers"),
        ([["a", "b"]], "expected numbers"),
        (torch.zeros((2, 2), dtype=torch.complex64), "complex"),
    ],
)
def test_refuses_other_shapes_and_types(given, message):
    with pytest.raises(InputError, match=message):
        check_activations(given)


def test_shapes_must_agree():
    with pytest.raises(InputError, match="concepts: found 3 rows, expected 4"):
        check_concepts(np.zeros((3, 2)), n_inputs=4)
    with pytest.raises(InputError, match="2 columns and 1 names"):
        check_concepts(np.zeros((3, 2)), names=["one"])


@pytest.mark.parametrize("value", [-0.01, 1.5])
def test_concepts_are_probabilities(value):
    c = np.full((4, 3), 0.5)
    c[2, 1] = value
    with pytest.raises(InputError, match=rf"concept 1 on input 2 is {value:g}.*\[0, 1\]"):
        check_concepts(c)


def test_boolean_concepts_are_fine():
    assert check_concepts(np.array([[True], [False]])).tolist() == [[1.0], [0.0]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([[1.0]], "one weight per input"),
        ([1.0, 2.0], "found 2 weights, expected one per input, 3"),
        ([1.0, -0.5, 1.0], "weight of input 1 is -0.5"),
        ([1.0, 1.0, np.nan], "weight of input 2 is nan"),
        ([1.0, np.inf, 1.0], "weight of input 1 is inf"),
        ([0.0, 0.0, 0.0], "sum to 0"),
    ],
)
def test_bad_weights(given, message):
    with pytest.raises(InputError, match=message):
        check_weights(given, n_inputs=3)
