"""Several metrics at once, and explanations against their own neurons."""

import numpy as np
import pandas as pd
import pytest
import torch

from neuron_eval.binarize import TopFraction
from neuron_eval.explanations import Explanation, Term
from neuron_eval.registry import METRICS, get_metric
from neuron_eval.scoring import score_explanations, score_metrics, top_concepts
from neuron_eval.validation import InputError


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    concepts = rng.random((200, 4)) ** 2
    activations = concepts @ rng.normal(size=(4, 3)) + 0.1 * rng.normal(size=(200, 3))
    return activations, concepts, rng.integers(0, 3, size=200)


def test_all_metrics_at_once_are_each_metric(data):
    a, c, w = data
    options = {"binarization": TopFraction(0.1)}
    parameters = {n: options for n, m in METRICS.items() if "binarization" in m.parameters}
    together = score_metrics(a, c, list(METRICS), weights=w, parameters=parameters)
    assert list(together) == list(METRICS)
    for name, scores in together.items():
        alone = get_metric(name)(a, c, weights=w, **parameters.get(name, {}))
        assert torch.equal(torch.nan_to_num(scores, 9.0), torch.nan_to_num(alone, 9.0))


def test_different_parameters_are_not_mixed_up(data):
    a, c, _ = data
    parameters = {"recall": {"binarization": TopFraction(0.3)}}
    scores = score_metrics(a, c, ["recall", "iou"], parameters=parameters)
    assert torch.equal(scores["recall"], METRICS["recall"](a, c, **parameters["recall"]))
    assert torch.equal(scores["iou"], METRICS["iou"](a, c))
    with pytest.raises(InputError, match=r"parameters: found \['auroc'\]"):
        score_metrics(a, c, ["recall"], parameters={"auroc": {}})


def test_explanations_get_the_score_of_their_vector(data):
    a, c, w = data
    explanations = [
        Explanation(2, (Term(1),)),
        Explanation(0, (Term(0, 3.0), Term(3, -2.0)), bias=0.4),
        Explanation(2, (Term(0),)),
        Explanation(1, ()),
    ]
    table = score_explanations(
        a, c, explanations, ["pearson_correlation", "auroc", "recall"], weights=w
    )
    assert table["unit"].tolist() == [2, 0, 2, 1]
    pearson = METRICS["pearson_correlation"](a, c, weights=w).numpy()
    assert table["pearson_correlation"][0] == pytest.approx(pearson[2, 1], rel=1e-12)
    assert table["recall"][2] == pytest.approx(METRICS["recall"](a, c, weights=w)[2, 0].item())
    # The correlation of a linear explanation, by numpy on the repeated rows.
    sums = np.repeat(3 * c[:, 0] - 2 * c[:, 3], w)
    expected = np.corrcoef(np.repeat(a[:, 0], w), sums)[0, 1]
    assert table["pearson_correlation"][1] == pytest.approx(expected, rel=1e-10)
    assert not np.isnan(table["auroc"][1])
    assert np.isnan(table["recall"][1])
    # Without terms nothing varies: the correlation is undefined.
    assert np.isnan(table["pearson_correlation"][3])
    with pytest.raises(InputError, match="found one of unit 7, expected 0 to 2"):
        score_explanations(a, c, [Explanation(7, (Term(0),))])


def test_top_concepts():
    scores = torch.tensor([[0.1, torch.nan, 0.7], [torch.nan, torch.nan, torch.nan]])
    expected = pd.DataFrame(
        {"unit": [0, 0], "rank": [1, 2], "concept": ["c", "a"], "score": [0.7, 0.1]}
    )
    table = top_concepts(scores.double(), 5, ["a", "b", "c"])
    pd.testing.assert_frame_equal(table, expected, check_exact=False)
    assert top_concepts(scores, 1)["concept"].tolist() == ["2"]
    with pytest.raises(InputError, match="n_top: found 0"):
        top_concepts(scores, 0)
    with pytest.raises(InputError, match="texts: found 1, expected one per concept, 3"):
        top_concepts(scores, 1, ["a"])
