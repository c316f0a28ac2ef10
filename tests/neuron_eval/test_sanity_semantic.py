"""Semantic variants: broader and narrower concepts in place of the concept."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from neuron_eval.binarize import AlreadyBinary
from neuron_eval.sanity.semantic import nested_concepts, run_semantic_checks
from neuron_eval.validation import InputError

BINARY = {"binarization": AlreadyBinary()}


@pytest.fixture(scope="module")
def hierarchy():
    """60 classes; 12 groups of five; three kinds of four groups. One neuron per group."""
    labels = np.random.default_rng(0).integers(0, 60, size=4000)
    classes = labels[:, None] == np.arange(60)
    groups = labels[:, None] // 5 == np.arange(12)
    kinds = labels[:, None] // 20 == np.arange(3)
    concepts = np.concatenate([classes, groups, kinds], axis=1).astype(float)
    return groups.astype(float), concepts, [(i, 60 + i) for i in range(12)]


def test_neighbours_are_found_in_the_labels(hierarchy):
    _, concepts, _ = hierarchy
    broader, narrower = nested_concepts(concepts)
    sizes = concepts.sum(axis=0)
    assert broader[0] == [60, 72]
    assert broader[60 + 11] == [74]
    assert 72 not in broader
    assert sorted(narrower[61]) == [5, 6, 7, 8, 9]
    assert list(sizes[narrower[61]]) == sorted(sizes[narrower[61]], reverse=True)
    assert len(narrower[73]) == 24


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.bool_, (5, 4)))
def test_nesting_is_strict_inclusion(labels):
    broader, narrower = nested_concepts(labels.astype(float))
    sets = [set(np.flatnonzero(column)) for column in labels.T]
    for i, one in enumerate(sets):
        expected = {
            j for j, other in enumerate(sets) if one < other and one and len(other) < len(labels)
        }
        assert set(broader.get(i, ())) == expected
        assert all(i in narrower[j] for j in expected)


def test_known_verdicts(hierarchy):
    """A broader concept leaves recall at 1, a narrower one leaves precision at 1."""
    broader, narrower = nested_concepts(hierarchy[1])
    result = run_semantic_checks(
        *hierarchy,
        broader=broader,
        narrower=narrower,
        metrics=["recall", "precision", "iou", "pearson_correlation"],
        parameters={"recall": BINARY, "precision": BINARY, "iou": BINARY},
    )
    frame = result.to_frame().set_index("metric")
    assert result.n_pairs == 12
    assert frame["missing_accuracy"].to_dict() == {
        "recall": 1.0,
        "precision": 0.0,
        "iou": 1.0,
        "pearson_correlation": 1.0,
    }
    assert frame["extra_accuracy"].to_dict() == {
        "recall": 0.0,
        "precision": 1.0,
        "iou": 1.0,
        "pearson_correlation": 1.0,
    }
    # Five classes a group, four groups a kind: what is left is a fifth, or a quarter.
    assert frame.loc["recall", "missing_difference"] == pytest.approx(1 / 5 - 1, abs=0.01)
    assert frame.loc["precision", "extra_difference"] == pytest.approx(1 / 4 - 1, abs=0.02)
    assert frame.loc["recall", "verdict"] == "fail"


def test_pairs_count_where_they_have_neighbours(hierarchy):
    activations, concepts, pairs = hierarchy
    result = run_semantic_checks(
        activations,
        concepts,
        pairs[:3],
        broader={60: [72]},
        narrower={60: [0, 1, 2], 61: [5]},
        n_draws=2,
    )
    assert [(s.neuron, s.reason) for s in result.skipped] == [
        (2, "concept: no concept is narrower or broader.")
    ]
    outcome = result.metrics[0]
    assert (outcome.missing.n_draws, outcome.extra.n_draws) == (3, 1)


def test_bad_input(hierarchy):
    with pytest.raises(InputError, match="broader: concept 60 has neighbour 60, expected another"):
        run_semantic_checks(*hierarchy, broader={60: [60]}, narrower={})
    with pytest.raises(InputError, match="narrower: concept 1 has neighbour 99"):
        run_semantic_checks(*hierarchy, broader={}, narrower={1: [99]})
    with pytest.raises(InputError, match="concept_threshold: found 0"):
        nested_concepts(hierarchy[1], concept_threshold=0)
    with pytest.raises(InputError, match="n_draws: found 0"):
        run_semantic_checks(*hierarchy, broader={}, narrower={}, n_draws=0)
