import itertools
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from estimation.checks import EstimationError
from estimation.correlation import importance_weighted_correlation
from estimation.sampling import (
    DESIGNS,
    Draw,
    SamplingError,
    design_variance,
    draw_from,
    draw_model_guided,
    draw_neyman,
    draw_stratified,
    draw_top,
    draw_top_and_random,
    draw_uniform,
    fixed_size_inclusion,
    labels_of_draw,
    pool_draws,
    repeat_draw,
    strata_of,
)

RNG = np.random.default_rng(0)
ACTIVATION = RNG.gamma(1.0, size=200)
PRIOR = RNG.beta(0.5, 2.0, size=200)


# --- without replacement


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=40), st.data())
def test_fixed_size_inclusion_sums_to_the_size_and_is_proportional_below_one(sizes, data):
    size = np.array(sizes)
    n = data.draw(st.integers(1, size.size))
    inclusion = fixed_size_inclusion(size, n)
    assert inclusion.sum() == pytest.approx(n)
    assert inclusion.max() <= 1
    free = inclusion < 1
    if free.any():
        ratio = inclusion[free] / size[free]
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)
        # what is certain has a size that the same factor carries to 1
        assert np.all(size[~free] * ratio[0] >= 1 - 1e-6)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=40), st.data())
def test_without_replacement_every_input_comes_once(sizes, data):
    q = np.array(sizes) / np.sum(sizes)
    n = data.draw(st.integers(1, q.size))
    draw = draw_from(q, n, design="mine", seed=3, replacement=False)
    assert draw.n_draws == draw.unique_indices.size == n
    assert set(np.flatnonzero(draw.inclusion >= 1)) <= set(draw.indices.tolist())


def test_big_inputs_are_certain_and_count_for_themselves():
    q = np.array([0.6, 0.2, 0.1, 0.1])
    draw = draw_from(q, 2, design="mine", seed=0, replacement=False)
    np.testing.assert_allclose(draw.inclusion, [1, 0.5, 0.25, 0.25])
    # the certain input stands for itself: weight n / (N pi)
    assert draw.weights[draw.indices == 0] == pytest.approx(2 / 4)


def test_census_gives_the_score_itself():
    truth = (np.random.default_rng(1).random(200) < PRIOR).astype(float)
    draw = draw_uniform(200, 200, seed=1, replacement=False)
    estimate = importance_weighted_correlation(ACTIVATION, draw, truth[draw.indices])
    assert estimate.score == pytest.approx(np.corrcoef(ACTIVATION, truth)[0, 1], abs=1e-12)
    assert estimate.standard_error == pytest.approx(0, abs=1e-9)
    assert estimate.upper - estimate.lower < 1e-6


def test_uniform_variance_is_that_of_simple_random_sampling():
    draw = draw_uniform(200, 50, seed=1, replacement=False)
    values = draw.weights * ACTIVATION[draw.indices]
    expected = values.var(ddof=1) / 50 * (1 - 50 / 200)
    assert float(design_variance(values, draw)) == pytest.approx(expected, rel=1e-9)


def test_without_replacement_is_more_exact():
    # 400 samples of half of the inputs: the variance should be about half, 0.75 is 4 sd away
    truth = (np.random.default_rng(1).random(200) < PRIOR).astype(float)
    errors = {True: [], False: []}
    for replacement, found in errors.items():
        for seed in range(400):
            draw = draw_uniform(200, 100, seed=seed, replacement=replacement)
            found.append(np.mean(draw.weights * truth[draw.indices]))
    assert np.var(errors[False]) < 0.75 * np.var(errors[True])


def test_more_draws_than_inputs_without_replacement():
    with pytest.raises(SamplingError, match="only 200 of 200 can be drawn"):
        draw_uniform(200, 201, seed=0, replacement=False)
    zero_one = np.array([0.5, 0.5, 0.0])
    with pytest.raises(SamplingError, match="only 2 of 3 can be drawn"):
        draw_from(zero_one, 3, design="mine", seed=0, replacement=False)


def test_distribution_that_is_none():
    for bad in ([0.5, 0.6], [1.5, -0.5], [np.nan, 1.0], [0.0, 0.0]):
        with pytest.raises(SamplingError, match="draw probabilities"):
            draw_from(np.array(bad), 1, design="mine", seed=0)


def test_single_random_draw_says_nothing_of_its_variance():
    q = np.array([0.8, 0.1, 0.1])
    draw = draw_from(q, 2, design="mine", seed=0, replacement=False)  # one certain, one by chance
    assert float(design_variance(np.array([1.0, 2.0]), draw)) == np.inf
    assert float(design_variance(np.array([1.0]), draw_uniform(9, 1, seed=0))) == np.inf


# --- pooling draws of both kinds


def mixed_pool(seed):
    other = np.random.default_rng(9).gamma(1.0, size=200)
    return pool_draws(
        [
            draw_model_guided(ACTIVATION, PRIOR, n_draws=25, seed=3 * seed, replacement=False),
            draw_neyman(other, PRIOR, n_draws=30, seed=3 * seed + 1),
            draw_stratified(
                other, PRIOR, n_draws=20, n_strata=4, seed=3 * seed + 2, replacement=False
            ),
        ]
    )


def test_pool_of_both_kinds_is_unbiased_with_the_right_variance_and_inclusion():
    # z-tests over 600 pools, false-alarm rate 1e-4 each; inclusion: the worst of 200 at 1e-4
    values = ACTIVATION * (np.random.default_rng(5).random(200) < PRIOR)
    means, variances, hits = [], [], np.zeros(200)
    for seed in range(600):
        pooled = mixed_pool(seed)
        weighted = pooled.weights * values[pooled.indices]
        means.append(weighted.mean())
        variances.append(float(design_variance(weighted, pooled)))
        hits[pooled.unique_indices] += 1
    errors = np.array(means) - values.mean()
    assert abs(errors.mean()) < norm.isf(0.5e-4) * errors.std() / np.sqrt(600)
    gap = errors**2 - np.array(variances)
    slack = 0.05 * np.mean(variances)  # Deville's formula is an approximation
    assert abs(gap.mean()) < norm.isf(0.5e-4) * gap.std() / np.sqrt(600) + slack
    included = pooled.inclusion
    off = (hits / 600 - included) / np.sqrt(included * (1 - included) / 600 + 1e-12)
    assert np.abs(off).max() < norm.isf(0.5e-4 / 200) + 0.5  # the binomial is a little skewed


def test_pool_keeps_parts_apart():
    pooled = mixed_pool(0)
    assert pooled.replacement
    assert np.bincount(pooled.source).tolist()[:2] == [25, 30]
    assert pooled.source.max() >= 4
    assert np.all(pooled.own_inclusion[25:55] == 0)
    assert np.all(pooled.own_inclusion[:25] > 0)
    assert len(pooled.parts) == 3


def test_pooling_one_draw_without_replacement_changes_nothing():
    draw = draw_neyman(ACTIVATION, PRIOR, n_draws=20, seed=1, replacement=False)
    pooled = pool_draws([draw])
    np.testing.assert_allclose(pooled.weights, draw.weights, rtol=1e-12)
    values = np.arange(20.0)
    assert design_variance(values, pooled) == pytest.approx(design_variance(values, draw))
    assert not pooled.replacement


def test_top_draws_add_no_variance_to_a_pool():
    top = draw_top(ACTIVATION, 30)
    pooled = pool_draws([top, draw_uniform(200, 20, seed=0)])
    values = np.concatenate([RNG.normal(size=30), np.ones(20)])
    assert float(design_variance(values, pooled)) == pytest.approx(0, abs=1e-15)


# --- leaving draws out


def test_restricted_draw_keeps_weights_and_renumbers_parts():
    pooled = mixed_pool(0)
    keep = np.ones(pooled.n_draws, dtype=bool)
    keep[:25] = False  # nothing of the first draw is rated
    part = pooled.restricted(keep)
    np.testing.assert_array_equal(part.weights, pooled.weights[25:])
    assert part.source.min() == 0
    assert np.all(np.isfinite(design_variance(np.arange(float(part.n_draws)), part)))


def test_half_of_a_simple_random_sample_is_one_of_half_the_size():
    draw = draw_uniform(200, 80, seed=0, replacement=False)
    half = draw.restricted(np.arange(80) < 40)
    np.testing.assert_allclose(half.own_inclusion, 40 / 200)
    np.testing.assert_allclose(half.inclusion_probabilities, 40 / 200)


@pytest.mark.parametrize("keep", [np.zeros(20, bool), np.ones(19, bool)])
def test_restricting_to_nothing(keep):
    with pytest.raises(SamplingError, match="keep: "):
        draw_uniform(200, 20, seed=0).restricted(keep)


def test_fields_of_other_lengths():
    with pytest.raises(SamplingError, match="own_inclusion has shape"):
        Draw(
            "uniform", np.array([0, 1]), np.array([0.1, 0.1]), 10, 0, own_inclusion=np.array([0.5])
        )


# --- strata


def test_strata_of_equal_inputs_are_quantiles():
    strata = strata_of(
        ACTIVATION, PRIOR, n_draws=40, by="prior", edges="inputs", n_strata=4,
        allocation="proportional",
    )  # fmt: skip
    assert strata.sizes.tolist() == [49, 50, 50, 51]
    assert strata.allocation.sum() == 40
    assert np.ptp(strata.allocation) <= 1
    edges = [PRIOR[strata.of_input == h] for h in range(4)]
    assert all(low.max() < high.min() for low, high in itertools.pairwise(edges))


def test_strata_of_equal_size_set_the_few_large_ones_apart():
    prior = np.full(1000, 0.001)
    prior[:20] = 0.5
    strata = strata_of(np.arange(1000.0), prior, n_draws=60, by="prior", n_strata=5)
    top = np.bincount(strata.of_input[:20], minlength=strata.sizes.size)
    assert np.flatnonzero(top).size == 1
    assert strata.sizes[np.flatnonzero(top)[0]] == 20


def test_neyman_allocation_follows_size_times_spread():
    strata = strata_of(ACTIVATION, PRIOR, n_draws=2000, gamma=1e-9, n_strata=5)
    from estimation.sampling import prior_influence

    f, s = prior_influence(ACTIVATION, PRIOR)
    # brute force: variance of f c within the stratum, over labels and inputs
    rng = np.random.default_rng(0)
    contributions = f * (rng.random((4000, 200)) < s)
    spread = np.array([contributions[:, strata.of_input == h].std() for h in range(5)])
    expected = strata.sizes * spread
    np.testing.assert_allclose(
        strata.allocation / 2000, expected / expected.sum(), rtol=0.03, atol=0.002
    )


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from([0.0, 0.1, 0.1, 0.5, 0.9, 1.0]), min_size=8, max_size=40),
    st.integers(1, 8),
    st.booleans(),
    st.sampled_from(["influence", "prior"]),
    st.sampled_from(["size", "inputs"]),
)
def test_any_prior_gives_strata_with_two_draws_each(prior, n_strata, replacement, by, edges):
    n = len(prior)
    try:
        strata = strata_of(
            np.arange(float(n)), prior, n_draws=n // 2, n_strata=n_strata, by=by, edges=edges,
            replacement=replacement,
        )  # fmt: skip
    except SamplingError as error:
        assert "strata of at least 2" in str(error)  # noqa: PT017 the only refusal allowed
        return
    assert strata.allocation.sum() == n // 2
    assert strata.allocation.min() >= 2
    assert strata.sizes.min() >= 2
    assert strata.sizes.size <= n_strata
    assert strata.distribution.sum() == pytest.approx(1)
    if not replacement:
        assert np.all(strata.allocation <= strata.sizes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_draws": 9}, "n_draws: 9 draws for 10 strata .* give 20 draws, or at most 4 strata"),
        ({"n_draws": 0}, "a study with no budget"),
        ({"n_strata": 0}, "n_strata: 0"),
        ({"by": "luck"}, "by: 'luck' is none of influence, prior"),
        ({"edges": "luck"}, "edges: 'luck'"),
        ({"allocation": "luck"}, "allocation: 'luck'"),
        ({"gamma": 0.0}, "gamma"),
        ({"n_draws": 300, "replacement": False}, "there are 200"),
    ],
)
def test_strata_refuse(options, message):
    with pytest.raises(SamplingError, match=message):
        draw_stratified(ACTIVATION, PRIOR, **{"n_draws": 40, "seed": 0, **options})


def test_stratified_estimate_beats_uniform_on_a_rare_concept():
    # simulation: 300 draws each; the ratio of mean squared errors is about .1, its chance of
    # exceeding .5 is far below 1e-6
    rng = np.random.default_rng(3)
    prior = np.where(rng.random(2000) < 0.03, 0.6, 0.002)
    truth = (rng.random(2000) < prior).astype(float)
    activation = rng.gamma(1.0, size=2000) + 2 * truth
    errors = {"uniform": [], "stratified": []}
    for seed in range(300):
        for name, found in errors.items():
            draw = (
                draw_uniform(2000, 60, seed=seed)
                if name == "uniform"
                else draw_stratified(activation, prior, n_draws=60, seed=seed)
            )
            found.append(np.mean(draw.weights * truth[draw.indices]) - truth.mean())
    assert np.mean(np.square(errors["stratified"])) < 0.5 * np.mean(np.square(errors["uniform"]))


# --- provenance


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("name", sorted(DESIGNS))
def test_draw_is_repeated_from_its_stored_provenance(name, replacement):
    subject = {"uniform": (200,), "top_and_random": (ACTIVATION,), "top": (ACTIVATION,)}
    options = {"gamma": 0.3} if name in {"model_guided", "neyman"} else {}
    if name != "top":
        options["replacement"] = replacement
    if name == "stratified":
        options |= {"n_strata": 4, "by": "prior"}
    draw = DESIGNS[name](*subject.get(name, (ACTIVATION, PRIOR)), n_draws=30, seed=8, **options)
    stored = json.loads(json.dumps(draw.provenance()))
    assert stored == draw.provenance()
    again = repeat_draw(stored, ACTIVATION, PRIOR)
    np.testing.assert_array_equal(again.indices, draw.indices)
    np.testing.assert_array_equal(again.probabilities, draw.probabilities)
    assert again.provenance() == stored
    assert len(stored["distribution_sha256"]) == 64


def test_parts_of_a_pool_are_repeated():
    stored = json.loads(json.dumps(mixed_pool(4).provenance()))
    first = repeat_draw(stored["parts"][0], ACTIVATION, PRIOR)
    np.testing.assert_array_equal(first.indices, mixed_pool(4).indices[:25])
    with pytest.raises(SamplingError, match="a pool of 3 draws"):
        repeat_draw(stored, ACTIVATION, PRIOR)


def test_repetition_from_other_data_is_noticed():
    record = draw_neyman(ACTIVATION, PRIOR, n_draws=30, seed=8).provenance()
    with pytest.raises(SamplingError, match="activations or prior are not those"):
        repeat_draw(record, ACTIVATION[::-1], PRIOR)
    with pytest.raises(SamplingError, match="199 inputs, but the draw was made over 200"):
        repeat_draw(record, ACTIVATION[:-1], PRIOR[:-1])
    with pytest.raises(SamplingError, match="'mine' is none of"):
        repeat_draw({**record, "design": "mine"}, ACTIVATION, PRIOR)
    with pytest.raises(SamplingError, match=r"by version 0\.0 of the library"):
        repeat_draw({**record, "indices_sha256": "0", "library_version": "0.0"}, ACTIVATION, PRIOR)


# --- labels in the order of a draw


def test_labels_follow_the_draw_and_outsiders_are_said():
    draw = draw_model_guided(ACTIVATION, PRIOR, n_draws=40, seed=0)
    outside = np.setdiff1d(np.arange(200), draw.indices)[:3]
    labels = pd.Series(PRIOR, index=np.arange(200)).loc[[*outside, *draw.unique_indices[::-1]]]
    found, notes = labels_of_draw(draw, labels)
    np.testing.assert_array_equal(found, PRIOR[draw.indices])
    assert notes == ("3 rated inputs are outside the design and were left out",)
    assert labels_of_draw(draw, labels.iloc[3:])[1] == ()


def test_labels_that_are_missing_or_twice():
    draw = draw_model_guided(ACTIVATION, PRIOR, n_draws=40, seed=0)
    labels = pd.Series(PRIOR, index=np.arange(200))
    with pytest.raises(SamplingError, match=rf"no label \(first: {draw.unique_indices[0]}\)"):
        labels_of_draw(draw, labels.drop(draw.unique_indices[0]))
    with pytest.raises(SamplingError, match="input 7 has more than one label"):
        labels_of_draw(draw, pd.concat([labels, labels.iloc[[7]]]))


def test_top_and_random_without_replacement_refuses_what_with_refuses():
    with pytest.raises(SamplingError, match="top_fraction"):
        draw_top_and_random(ACTIVATION, 20, seed=0, top_fraction=0.0, replacement=False)
    with pytest.raises(EstimationError, match="constant"):
        draw_top_and_random(np.ones(200), 20, seed=0, replacement=False)
