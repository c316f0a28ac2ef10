"""Concept vectors from class labels: one class, several, attributes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import MultiLabelBinarizer

from neuron_eval.class_labels import attribute_concepts, multi_label_concepts, one_hot_concepts
from neuron_eval.validation import InputError


def test_one_hot():
    got = one_hot_concepts(torch.tensor([0, 2, -1]), 3)
    assert got.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize(
    ("labels", "n_classes", "message"),
    [
        ([0, 3], 3, "label of input 1 is 3"),
        ([-2], 3, "label of input 0 is -2"),
        ([0.5], 3, "whole numbers"),
        ([[0]], 3, "one label per input"),
        ([0], 0, "n_classes"),
    ],
)
def test_one_hot_refuses(labels, n_classes, message):
    with pytest.raises(InputError, match=message):
        one_hot_concepts(labels, n_classes)


def test_attributes():
    got = attribute_concepts([0, 1, 2, -1], {"even": {0, 2}, "one": {1}})
    assert got.tolist() == [[1, 0], [0, 1], [1, 0], [0, 0]]
    with pytest.raises(InputError, match="'none' has no classes"):
        attribute_concepts([0], {"none": set()})
    with pytest.raises(InputError, match="attributes: found none"):
        attribute_concepts([0], {})


@given(st.lists(st.sets(st.integers(0, 6)), min_size=1, max_size=8))
def test_multi_label_equals_scikit_learn(label_sets):
    expected = MultiLabelBinarizer(classes=range(7)).fit_transform(label_sets)
    got = multi_label_concepts([list(labels) for labels in label_sets], 7)
    assert got.dtype == torch.float64
    assert got.tolist() == expected.tolist()


def test_multi_label_takes_any_collection():
    got = multi_label_concepts([set(), (1, 1), np.array([0, 2]), torch.tensor([2])], 3)
    assert got.tolist() == [[0, 0, 0], [0, 1, 0], [1, 0, 1], [0, 0, 1]]


@pytest.mark.parametrize(
    ("label_sets", "n_classes", "message"),
    [
        ([{0}, {3}], 3, "input 1 has class 3, expected classes from 0 to 2"),
        ([{-1}], 3, "input 0 has -1"),
        ([[0.5]], 3, "input 0 has 0.5"),
        ([[True, False]], 3, "input 0 has True"),
        ([1], 3, "one_hot_concepts"),
        (["12"], 3, "input 0 has '12'"),
        ([], 3, "found no input"),
        ([{0}], 0, "n_classes"),
    ],
)
def test_multi_label_refuses(label_sets, n_classes, message):
    with pytest.raises(InputError, match=message):
        multi_label_concepts(label_sets, n_classes)
