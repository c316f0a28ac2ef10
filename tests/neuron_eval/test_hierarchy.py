"""Hierarchies of classes: read, made concepts of, and asked what contains what."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_eval.hierarchy import (
    class_concepts,
    class_sets,
    read_hierarchy,
    subclasses_of,
    superclass_concepts,
    superclasses_of,
)
from neuron_eval.validation import InputError

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
