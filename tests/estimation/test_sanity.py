import numpy as np
import pytest

from estimation.checks import EstimationError
from estimation.sampling import draw_model_guided
from estimation.sanity import SampledPair, check_estimated_labels
from estimation.simulated_study import REGIMES, simulate_pair


def pairs(n=25, n_draws=180, regime="base"):
    found = []
    for seed in range(n):
        pair = simulate_pair(REGIMES[regime], n_inputs=1000, seed=seed)
        draw = draw_model_guided(pair.activation, pair.prior, n_draws=n_draws, seed=seed)
        labels = np.clip(pair.truth[draw.indices], 0.02, 0.98)
        found.append(SampledPair(pair.activation, draw, labels, name=f"neuron {seed}"))
    return found


def test_correlation_notices_spoiled_labels():
    result = check_estimated_labels(pairs(60))
    assert result.missing.share > 0.95
    assert result.extra.share > 0.95
    assert result.verdict == "pass"
    assert result.missing.mean_difference < -0.01
    assert result.missing.n_tested == 60 * 20


def test_recall_does_not_notice_extra_labels():
    from neuron_eval.registry import get_metric

    assert get_metric("recall").width == 1
    result = check_estimated_labels(pairs(10), metric="recall")
    # recall can only rise by extra labels
    assert result.extra.share == 0
    assert result.verdict == "fail"


def test_same_seed_same_result():
    assert check_estimated_labels(pairs(3), seed=4) == check_estimated_labels(pairs(3), seed=4)


def test_too_common_a_concept_skips_the_extra_test_only():
    pair = simulate_pair(REGIMES["common"], n_inputs=500, seed=0)
    draw = draw_model_guided(pair.activation, pair.prior, n_draws=100, seed=0)
    labels = np.ones(100)
    labels[:5] = 0.0
    result = check_estimated_labels([SampledPair(pair.activation, draw, labels)])
    assert result.extra.n_tested == 0
    assert result.missing.n_tested > 0
    assert result.verdict == "not tested"


def test_pair_without_positives_is_skipped_by_name():
    good = pairs(2)
    empty = SampledPair(good[0].activation, good[0].draw, np.zeros(180), name="dead neuron")
    result = check_estimated_labels([*good, empty])
    assert len(result.skipped) == 1
    assert result.skipped[0].startswith("dead neuron:")


def test_bad_input():
    with pytest.raises(EstimationError, match="at least one pair"):
        check_estimated_labels([])
    with pytest.raises(EstimationError, match="unbounded"):
        check_estimated_labels(pairs(1), metric="wpmi")
    one = pairs(1)[0]
    with pytest.raises(EstimationError, match="999 inputs"):
        check_estimated_labels([SampledPair(one.activation[:-1], one.draw, one.labels)])
