import numpy as np
import pytest

from estimation.checks import EstimationError
from estimation.imputation import impute_labels
from estimation.sampling import draw_model_guided, draw_neyman, pool_draws
from estimation.sanity import SampledPair, check_estimated_labels, posterior_pair
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


@pytest.mark.parametrize(
    "metric", ["pearson_correlation", "inverse_auroc", "f1_score", "cosine_similarity"]
)
def test_equals_scoring_every_labelling_by_itself(metric):
    from neuron_eval.binarize import Threshold
    from neuron_eval.registry import get_metric
    from neuron_eval.sanity.perturb import PerturbationError, extra_labels, missing_labels

    score = get_metric(metric)
    # few draws and a common concept: some labellings cannot take the extra test
    studied = [*pairs(3, n_draws=60), *pairs(3, n_draws=12, regime="common")]
    result = check_estimated_labels(studied, metric=metric, n_labellings=8, seed=5)
    differences = {"missing": [], "extra": []}
    for number, pair in enumerate(studied):
        rng = np.random.default_rng([5, number])
        imputed = impute_labels(
            pair.labels, pair.draw, n_imputations=8, seed=int(rng.integers(2**31))
        )
        unique, first, inverse = np.unique(
            pair.draw.indices, return_index=True, return_inverse=True
        )
        weights = np.bincount(inverse, weights=pair.draw.weights)
        activation = pair.activation[unique][:, None]
        options = {}
        if metric == "f1_score":
            # active are the 5% highest of all inputs, not of the sample; none are tied here
            cut = np.sort(pair.activation)[-int(np.ceil(0.05 * pair.activation.size)) - 1]
            options = {"binarization": Threshold(float(cut))}

        def score_of(labels, activation=activation, weights=weights, options=options):
            return float(score(activation, labels[:, None], weights=weights, **options))

        for labels in imputed[np.arange(8) * imputed.shape[0] // 8][:, first]:
            for test, spoil in (
                ("missing", lambda c: missing_labels(c, rng)),  # noqa: B023 used at once
                ("extra", lambda c: extra_labels(c, rng, weights=weights)),  # noqa: B023
            ):
                try:
                    spoiled = spoil(labels)[:, 0]
                except PerturbationError:
                    continue
                difference = score_of(spoiled) - score_of(labels)
                if np.isfinite(difference):
                    differences[test].append(difference / score.width)
    assert max(len(values) for values in differences.values()) <= 6 * 8
    assert len(differences["extra"]) < 6 * 8  # some labellings have too many positives
    for outcome, values in zip((result.missing, result.extra), differences.values(), strict=True):
        assert outcome.n_tested == len(values)
        assert outcome.share == pytest.approx(np.mean(np.array(values) < -1e-3), abs=1e-12)
        assert outcome.mean_difference == pytest.approx(np.mean(values), abs=1e-12)


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
    with pytest.raises(ValueError, match="no metric 'pearson'"):
        check_estimated_labels(pairs(1), metric="pearson")
    with pytest.raises(ValueError, match="takes no parameter 'alpha'"):
        check_estimated_labels(pairs(1), metric="iou", parameters={"alpha": 0.1})
    one = pairs(1)[0]
    with pytest.raises(EstimationError, match="999 inputs"):
        check_estimated_labels([SampledPair(one.activation[:-1], one.draw, one.labels)])


def test_every_metric_can_be_checked():
    from neuron_eval.registry import METRICS

    tested = pairs(3)
    for metric in METRICS:
        result = check_estimated_labels(tested, metric=metric, n_labellings=4)
        assert result.verdict in {"pass", "fail", "too close to call"}, metric
        assert 0 < result.missing.n_tested <= 12
        assert np.isfinite(result.extra.mean_difference)


def test_draws_without_replacement_and_pools_of_them():
    found = []
    for seed in range(60):
        pair = simulate_pair(REGIMES["base"], n_inputs=1000, seed=seed)
        draws = [
            draw_neyman(
                pair.activation, pair.prior, n_draws=90, seed=2 * seed + k, replacement=False
            )
            for k in range(2)
        ]
        draw = draws[0] if seed % 2 else pool_draws(draws)
        labels = np.clip(pair.truth[draw.indices], 0.02, 0.98)
        found.append(SampledPair(pair.activation, draw, labels))
    result = check_estimated_labels(found, n_labellings=10)
    assert result.missing.share > 0.9
    assert result.extra.share > 0.9


def test_whole_posterior_vectors_are_scored_unweighted():
    from neuron_eval.sanity.perturb import missing_labels

    pair = simulate_pair(REGIMES["base"], n_inputs=400, seed=1)
    tested = posterior_pair(pair.activation, pair.truth, name="whole")
    np.testing.assert_allclose(tested.draw.weights, 1.0)
    result = check_estimated_labels([tested], n_labellings=300)
    # independent reference: numpy on the vectors in their own order, other luck
    rng = np.random.default_rng(8)
    spoiled = missing_labels(pair.truth, rng, n_draws=300)
    falls = [np.corrcoef(pair.activation, column)[0, 1] - pair.score for column in spoiled.T]
    noise = 4 * np.std(falls) / 2 * np.sqrt(2 / 300)  # 4 sd of the difference of two such means
    assert result.missing.mean_difference == pytest.approx(np.mean(falls) / 2, abs=noise)
    with pytest.raises(EstimationError, match="g: "):
        posterior_pair(pair.activation, pair.truth[:-1])
