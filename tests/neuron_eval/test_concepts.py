"""Concept sources: arrays, files, probes."""

import numpy as np
import pytest

from neuron_eval.concepts import ArraySource, ConceptSource, LinearProbeSource
from neuron_eval.matrix_files import write_matrix
from neuron_eval.validation import InputError


def test_array_source():
    source = ArraySource(["a", "b"], [[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
    assert isinstance(source, ConceptSource)
    assert source.concept_vectors([2, 0]).tolist() == [[0.3, 0.7], [0.1, 0.9]]
    assert source.concept_vectors(None).shape == (3, 2)
    with pytest.raises(InputError, match="expected 0 to 2"):
        source.concept_vectors([3])
    with pytest.raises(InputError, match="2 columns and 1 names"):
        ArraySource(["a"], [[0.1, 0.9]])


def test_array_source_from_file(tmp_path):
    values = np.array([[0.25, 1.0], [0.5, 0.0]])
    named = write_matrix(tmp_path / "named.csv", values, ["a", "b"])
    source = ArraySource.from_file(named)
    assert source.texts == ("a", "b")
    assert source.concept_vectors([1]).tolist() == [[0.5, 0.0]]
    bare = tmp_path / "bare.npz"
    np.savez(bare, one=values, two=values)
    (tmp_path / "texts.txt").write_text("cat\ndog\n")
    assert ArraySource.from_file(bare, "two", tmp_path / "texts.txt").texts == ("cat", "dog")
    assert ArraySource.from_file(bare, "two", ["x", "y"]).texts == ("x", "y")
    with pytest.raises(ValueError, match="texts: found none"):
        ArraySource.from_file(bare, "two")
    with pytest.raises(ValueError, match="2 columns and 1 names"):
        ArraySource.from_file(bare, "two", ["x"])


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
