"""Baseline explanation methods find planted concepts, all but the random one."""

import numpy as np
import pytest

from neuron_eval.binarize import TopFraction
from neuron_eval.explainers import EXPLAINERS, explain_random_concept, explain_sparse_linear
from neuron_eval.explanations import Explanation, Term, predicted_activations
from neuron_eval.validation import InputError


@pytest.fixture
def planted():
    """Ten concepts of 10% each, one neuron for every concept, in a known order."""
    rng = np.random.default_rng(3)
    concepts = (rng.random((2000, 10)) < 0.1).astype(float)
    truth = rng.permutation(10)
    activations = concepts[:, truth] + 0.3 * rng.normal(size=(2000, 10))
    return activations, concepts, truth


@pytest.mark.parametrize("name", ["best_iou", "best_auroc", "wpmi"])
def test_methods_find_the_planted_concept(planted, name):
    activations, concepts, truth = planted
    options = {} if name == "best_auroc" else {"binarization": TopFraction(0.1)}
    explanations = EXPLAINERS[name](activations, concepts, **options)
    assert [e.unit for e in explanations] == list(range(10))
    assert [e.terms[0].concept for e in explanations] == truth.tolist()
    assert all(e.score is not None for e in explanations)


@pytest.mark.parametrize("name", sorted(EXPLAINERS))
def test_weights_stand_for_repetitions(planted, name):
    activations, concepts, _ = planted
    weights = np.random.default_rng(0).integers(0, 3, size=len(activations))
    weighted = EXPLAINERS[name](activations, concepts, weights=weights)
    repeated = EXPLAINERS[name](
        np.repeat(activations, weights, axis=0), np.repeat(concepts, weights, axis=0)
    )
    for one, other in zip(weighted, repeated, strict=True):
        assert [t.concept for t in one.terms] == [t.concept for t in other.terms]
        np.testing.assert_allclose(
            [t.weight for t in one.terms], [t.weight for t in other.terms], rtol=1e-9
        )
        assert (one.score is None) == (other.score is None)
        if one.score is not None:
            assert one.score == pytest.approx(other.score, abs=1e-12)


@pytest.mark.parametrize("name", ["best_iou", "best_auroc", "wpmi", "sparse_linear"])
def test_dead_neurons_and_empty_concepts_win_nothing(planted, name):
    activations, concepts, truth = planted
    activations[:, 4], concepts[:, truth[2]] = 0.7, 0.0
    explanations = EXPLAINERS[name](activations, concepts)
    # A dead neuron's AUROC is one half for every concept: defined, and of no use.
    if name == "best_auroc":
        assert explanations[4].score == 0.5
    elif name == "best_iou":
        assert explanations[4].score == 0.0
    else:
        assert explanations[4].terms == ()
        assert explanations[4].score is None
    assert all(t.concept != truth[2] for e in explanations for t in e.terms)


def test_sparse_linear_recovers_a_sum():
    rng = np.random.default_rng(1)
    concepts = rng.random((500, 8))
    concepts[:, 7] = 0.4
    activations = np.stack(
        [
            2.0 + 3 * concepts[:, 1] - 0.5 * concepts[:, 6],
            np.full(500, 5.0),
            concepts[:, 2] + 0.1 * rng.normal(size=500),
        ],
        axis=1,
    )
    exact, dead, noisy = explain_sparse_linear(activations, concepts)
    assert [t.concept for t in exact.terms] == [1, 6]
    np.testing.assert_allclose([t.weight for t in exact.terms], [3, -0.5], rtol=1e-10)
    assert exact.bias == pytest.approx(2.0)
    assert exact.score == pytest.approx(1.0)
    assert (dead.terms, dead.score) == ((), None)
    assert dead.bias == pytest.approx(5.0)
    assert noisy.terms[0].concept == 2
    assert len(noisy.terms) == 3
    predicted = predicted_activations([exact, dead, noisy], concepts)
    np.testing.assert_allclose(predicted[:, :2], activations[:, :2], atol=1e-10)
    assert noisy.score == pytest.approx(np.corrcoef(predicted[:, 2], activations[:, 2])[0, 1])


def test_sparse_linear_ends_where_concepts_repeat():
    column = np.random.default_rng(0).random((50, 1))
    [explanation] = explain_sparse_linear(column + 0.0, np.repeat(column, 3, axis=1))
    assert len(explanation.terms) == 1
    assert explanation.terms[0].weight == pytest.approx(1.0)
    with pytest.raises(InputError, match="max_terms"):
        explain_sparse_linear(column, column, max_terms=0)


def test_random_concept_is_seeded_and_blind(planted):
    activations, concepts, _ = planted
    first = explain_random_concept(activations, concepts, seed=1)
    assert first == explain_random_concept(-activations, concepts, seed=1)
    assert first != explain_random_concept(activations, concepts, seed=2)


def test_prediction_refuses_unknown_concepts():
    explanation = Explanation(3, (Term(5),))
    with pytest.raises(InputError, match="unit 3 names concept 5, expected 0 to 1"):
        predicted_activations([explanation], [[0.0, 1.0]])
