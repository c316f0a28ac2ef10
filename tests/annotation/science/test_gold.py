"""Gold items tell about the raters, and touch neither labels nor calibration of a concept."""

from functools import partial

import numpy as np
import pytest

import estimation.aggregation
from annotation.science import GoldRow, RatingRow, aggregate
from annotation.science.gold import gold_activation, gold_frame, gold_prior
from estimation.aggregation import features

RATERS = 6


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return np.random.default_rng(0).random(60) < 0.4


@pytest.fixture(scope="module")
def prior(labels: np.ndarray) -> np.ndarray:
    return np.full(labels.size, 0.5)


def ratings(labels: np.ndarray) -> list[RatingRow]:
    """Rater 0 is always wrong, rater 1 always right; each item has those two."""
    return [
        RatingRow(1, item, rater, float(labels[item] if rater else not labels[item]))
        for item in range(40)
        for rater in (0, 1)
    ]


def gold(labels: np.ndarray) -> list[GoldRow]:
    return [
        GoldRow(1, item, rater, float(labels[item] if rater else not labels[item]), labels[item])
        for item in range(40, 60)
        for rater in (0, 1)
    ]


@pytest.mark.parametrize("aggregation", ["majority", "mean", "bragg"])
def test_counting_ignores_gold(aggregation: str, labels: np.ndarray, prior: np.ndarray) -> None:
    without = aggregate(aggregation, ratings(labels), {1: prior}, {1: []}, seed=0)
    with_gold = aggregate(
        aggregation, ratings(labels), {1: prior}, {1: []}, seed=0, gold=gold(labels)
    )
    np.testing.assert_array_equal(with_gold.labels[1], without.labels[1])
    np.testing.assert_array_equal(with_gold.voted[1], without.voted[1])
    assert list(with_gold.labels) == [1]


def test_dawid_skene_learns_from_gold_whom_to_believe(
    labels: np.ndarray, prior: np.ndarray
) -> None:
    rows = ratings(labels)
    without = aggregate("dawid_skene", rows, {1: prior}, {1: []}, seed=0)
    found = aggregate("dawid_skene", rows, {1: prior}, {1: []}, seed=0, gold=gold(labels))
    # two raters who always differ: only gold says which of them is right
    assert np.ptp(without.labels[1][0, :40]) < 0.1
    assert np.array_equal(found.labels[1][0, :40] > 0.5, labels[:40])
    # inputs of gold items that were not drawn keep what the prior says
    np.testing.assert_array_equal(found.labels[1][0, 40:], prior[40:])
    assert list(found.labels) == list(found.voted) == [1]
    assert found.diagnostics["n_gold_votes"] == 40


def test_the_hierarchical_model_learns_from_gold_whom_to_believe(
    labels: np.ndarray, prior: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the same posterior as by the default sampler, without its compilation
    quick = partial(estimation.aggregation.HierarchicalBayes, sampler="kernel")
    monkeypatch.setattr(estimation.aggregation, "HierarchicalBayes", quick)
    activations = {1: [np.random.default_rng(2).normal(size=labels.size)]}
    found = aggregate(
        "hierarchical", ratings(labels), {1: prior}, activations, seed=0, gold=gold(labels)
    )
    assert list(found.labels) == list(found.predictions) == [1]
    mean = found.labels[1].mean(axis=0)
    assert np.mean((mean[:40] > 0.5) == labels[:40]) > 0.95
    # what is known of gold inputs stays out of the labels of the concept
    np.testing.assert_allclose(
        found.labels[1][:, 40:], found.predictions[1][:, 40:], rtol=0, atol=1e-12
    )


def test_a_rater_who_meets_a_gold_item_again_is_counted_once() -> None:
    rows = [GoldRow(1, 5, 0, 1.0, 1.0), GoldRow(1, 5, 0, 0.0, 1.0), GoldRow(2, 5, 0, None, 0.0)]
    frame = gold_frame(rows)
    assert frame[["rater", "rating", "gold"]].values.tolist() == [[0, 1.0, 1.0]]


def test_gold_items_have_no_activation_and_no_prior() -> None:
    table = features.activation_features(gold_activation(4))
    np.testing.assert_allclose(table[:4], 0.0, atol=1e-12)
    design = features.design_matrix(gold_prior(4)[:4], table[:4], 1e-4)
    np.testing.assert_allclose(design[:, 1:], 0.0, atol=1e-12)
