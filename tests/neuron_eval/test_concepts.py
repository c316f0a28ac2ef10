"""Concept sources: labels, arrays, probes."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import MultiLabelBinarizer

from neuron_eval.class_labels import attribute_concepts, multi_label_concepts, one_hot_concepts
from neuron_eval.concepts import ArraySource, ConceptSource, LinearProbeSource
from neuron_eval.hierarchy import (
    class_concepts,
    class_sets,
    read_hierarchy,
    subclasses_of,
    superclass_concepts,
    superclasses_of,
)
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


ANIMALS = {"animal": {0, 1, 2, 3}, "bird": {1, 2}, "fish": {0, 3}, "duck": {1, 2}}


def _hierarchy_file(tmp_path, text):
    path = tmp_path / "hierarchy.json"
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_a_hierarchy(tmp_path):
    path = _hierarchy_file(
        tmp_path, json.dumps({name: sorted(members) for name, members in ANIMALS.items()})
    )
    hierarchy = read_hierarchy(path, n_classes=4)
    assert hierarchy == ANIMALS
    assert list(hierarchy) == list(ANIMALS)
    texts, vectors = superclass_concepts([0, 2, -1], hierarchy)
    assert texts == ("animal", "bird", "fish", "duck")
    assert vectors.tolist() == [[1, 0, 1, 0], [1, 1, 0, 1], [0, 0, 0, 0]]
    with pytest.raises(InputError, match="'animal' has class 3, expected ids from 0 to 2"):
        read_hierarchy(path, n_classes=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": [0], "b": [1], "a": [2]}', "superclass 'a' stands there more than once"),
        ('{"a": [0, 1, 0]}', "superclass 'a' has class 0 more than once"),
        ('{"a": []}', r"superclass 'a' has \[\]"),
        ('{"a": 3}', "superclass 'a' has 3"),
        ('{"a": [1.0]}', "superclass 'a' has 1.0"),
        ('{"a": [true]}', "superclass 'a' has True"),
        ('{"a": [-1]}', "superclass 'a' has -1"),
        ('{"a": ["n01440764"]}', "superclass 'a' has 'n01440764'"),
        ('{" ": [1]}', "empty name"),
        ("{}", "an empty object"),
        ("[1]", "found list"),
        ("{", "no JSON"),
    ],
)
def test_hierarchy_refuses(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_hierarchy(_hierarchy_file(tmp_path, text))


def test_hierarchy_must_exist(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_hierarchy(tmp_path / "none.json")


def test_classes_then_superclasses():
    names = ["tench", "mallard", "teal", "pike"]
    texts, vectors = class_concepts([3, 1, -1], names, ANIMALS)
    assert texts == (*names, *ANIMALS)
    assert vectors.tolist() == [
        [0, 0, 0, 1, 1, 0, 1, 0],
        [0, 1, 0, 0, 1, 1, 0, 1],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ]
    texts, vectors = class_concepts([3], names)
    assert (texts, vectors.tolist()) == (tuple(names), [[0, 0, 0, 1]])
    with pytest.raises(InputError, match="label of input 0 is 4"):
        class_concepts([4], names, ANIMALS)


def test_repeated_class_names_are_told_apart():
    names = ["missile", "duck", "missile"]
    hierarchy = {"duck": {1}, "weapon": {0, 2}}
    with pytest.raises(InputError, match=r"'missile' is the name of several classes \(2 such"):
        class_sets(names, hierarchy)
    with pytest.raises(InputError, match="'duck' is the name of a class and a superclass"):
        class_sets(["duck", "teal"], {"duck": {0, 1}})
    sets = class_sets(names, hierarchy, repeated="number")
    assert sets == {
        "missile (class 0)": {0},
        "duck": {1},
        "missile (class 2)": {2},
        "duck (superclass)": {1},
        "weapon": {0, 2},
    }
    texts, vectors = class_concepts([2], names, hierarchy, repeated="number")
    assert texts == tuple(sets)
    assert vectors.tolist() == [[0, 0, 1, 0, 1]]
    with pytest.raises(InputError, match="coincide"):
        class_sets(["a", "a", "a (class 0)"], repeated="number")
    with pytest.raises(InputError, match="repeated"):
        class_sets(["a"], repeated="keep")


@pytest.mark.parametrize(("members", "found"), [({5}, "class 5"), (set(), "no classes")])
def test_superclasses_need_named_classes(members, found):
    with pytest.raises(InputError, match=f"superclass 'x' has {found}, expected classes from 0"):
        class_sets(["a", "b"], {"x": members})


def test_supersets_and_subsets_nearest_first():
    sets = class_sets(["tench", "mallard", "teal", "pike"], ANIMALS)
    assert superclasses_of("mallard", sets) == ["bird", "duck", "animal"]
    assert superclasses_of(1, sets) == superclasses_of({1}, sets) == ["bird", "duck", "animal"]
    assert superclasses_of("bird", sets) == ["animal"]
    assert superclasses_of("animal", sets) == []
    assert subclasses_of("animal", sets)[:3] == ["bird", "fish", "duck"]
    assert subclasses_of("bird", sets) == ["mallard", "teal"]
    assert subclasses_of("teal", sets) == []
    assert subclasses_of({1, 2, 3}, ANIMALS) == ["bird", "duck"]
    with pytest.raises(InputError, match="no concept 'birds'; did you mean 'bird'"):
        superclasses_of("birds", sets)
    with pytest.raises(InputError, match="no classes"):
        subclasses_of(set(), sets)


@given(
    st.dictionaries(st.text(min_size=1), st.frozensets(st.integers(0, 4), min_size=1), min_size=1)
)
def test_supersets_and_subsets_mirror_each_other(concepts):
    above = {(a, b) for a in concepts for b in superclasses_of(a, concepts)}
    below = {(b, a) for a in concepts for b in subclasses_of(a, concepts)}
    strict = {
        (a, b)
        for a in concepts
        for b in concepts
        if all(i in concepts[b] for i in concepts[a]) and len(concepts[a]) < len(concepts[b])
    }
    assert above == below == strict
    for text in concepts:
        up = [len(concepts[found]) for found in superclasses_of(text, concepts)]
        down = [len(concepts[found]) for found in subclasses_of(text, concepts)]
        assert up == sorted(up)
        assert down == sorted(down, reverse=True)


def test_array_source():
    source = ArraySource(["a", "b"], [[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
    assert isinstance(source, ConceptSource)
    assert source.concept_vectors([2, 0]).tolist() == [[0.3, 0.7], [0.1, 0.9]]
    assert source.concept_vectors(None).shape == (3, 2)
    with pytest.raises(InputError, match="expected 0 to 2"):
        source.concept_vectors([3])
    with pytest.raises(InputError, match="2 columns and 1 names"):
        ArraySource(["a"], [[0.1, 0.9]])


def _probe_data(rng, n):
    features = rng.normal(size=(n, 5)) * [1, 10, 1, 1, 1]
    labels = np.stack([features[:, 0] > 0, features[:, 1] + features[:, 2] > 5], axis=1)
    return features, labels.astype(float)


def test_linear_probe_learns_its_concepts():
    rng = np.random.default_rng(0)
    source = LinearProbeSource(["a", "b"], *_probe_data(rng, 200))
    assert isinstance(source, ConceptSource)
    features, labels = _probe_data(rng, 1000)
    vectors = source.concept_vectors(features)
    assert vectors.shape == (1000, 2)
    assert vectors.min() >= 0
    assert vectors.max() <= 1
    assert ((vectors >= 0.5) == labels).mean(axis=0).min() > 0.93


@pytest.mark.parametrize(("value", "kind"), [(0.0, "positive"), (1.0, "negative")])
def test_linear_probe_names_the_concept_without_examples(value, kind):
    features, labels = _probe_data(np.random.default_rng(0), 30)
    labels[:, 1] = value
    with pytest.raises(InputError, match=f"concept 'b' has no {kind} among the 30"):
        LinearProbeSource(["a", "b"], features, labels)


def test_linear_probe_refuses_other_features():
    source = LinearProbeSource(["a", "b"], *_probe_data(np.random.default_rng(0), 60))
    with pytest.raises(InputError, match="found 4 features, expected the 5"):
        source.concept_vectors(np.zeros((3, 4)))
    with pytest.raises(InputError, match="regularization"):
        LinearProbeSource(["a", "b"], *_probe_data(np.random.default_rng(0), 60), regularization=0)
