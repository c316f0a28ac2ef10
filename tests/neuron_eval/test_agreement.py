"""Agreement of metrics against scipy, row by row."""

import numpy as np
import pytest
import torch
from scipy import stats

from neuron_eval.agreement import metric_agreement
from neuron_eval.validation import InputError


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    one = rng.normal(size=(12, 9)).round(1)
    other = one + rng.normal(size=one.shape).round(1)
    third = rng.normal(size=one.shape)
    third[0, :4], third[1], third[2, 8] = np.nan, np.nan, np.nan
    other[3] = 0.5
    return {name: torch.from_numpy(m) for name, m in [("a", one), ("b", other), ("c", third)]}


def test_order_is_the_mean_of_spearman_over_neurons(scores):
    table = metric_agreement(scores)
    for i in scores:
        for j in scores:
            found = []
            for x, y in zip(scores[i].numpy(), scores[j].numpy(), strict=True):
                both = ~(np.isnan(x) | np.isnan(y))
                if both.sum() > 1 and np.ptp(x[both]) > 0 and np.ptp(y[both]) > 0:
                    found.append(stats.spearmanr(x[both], y[both]).statistic)
            assert table.loc[i, j] == pytest.approx(np.mean(found), abs=1e-12)
    assert table.loc["a", "b"] == table.loc["b", "a"]


def test_best_counts_equal_choices(scores):
    table = metric_agreement(scores, kind="best")
    a, c = scores["a"].numpy(), scores["c"].numpy()
    hits = []
    for x, y in zip(a, c, strict=True):
        both = ~np.isnan(y)
        if both.any():
            hits.append(np.argmax(x[both]) == np.argmax(y[both]))
    assert len(hits) == 11
    assert table.loc["a", "c"] == pytest.approx(np.mean(hits))
    assert table.loc["c", "c"] == 1.0


def test_nothing_to_compare_is_nan():
    nothing = torch.full((2, 3), torch.nan, dtype=torch.float64)
    some = torch.arange(6.0, dtype=torch.float64).view(2, 3)
    for kind in ("order", "best"):
        assert np.isnan(metric_agreement({"a": nothing, "b": some}, kind=kind).loc["a", "b"])


def test_bad_input(scores):
    with pytest.raises(InputError, match="kind: found 'rank'"):
        metric_agreement(scores, kind="rank")
    with pytest.raises(InputError, match="same pairs"):
        metric_agreement({**scores, "d": scores["a"][:, :2]})
    with pytest.raises(InputError, match="at least one metric"):
        metric_agreement({})
