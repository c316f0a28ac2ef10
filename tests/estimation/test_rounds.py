"""Rounds joined: every draw with its own probability; what is missing is missing by chance."""

import numpy as np
import pytest

from estimation.correlation import importance_weighted_correlation
from estimation.model_correlation import model_assisted_correlation
from estimation.sampling import (
    Draw,
    SamplingError,
    draw_from,
    draw_model_guided,
    draw_neyman,
    join_rounds,
    pool_draws,
    rated_rounds,
)

N = 200
RNG = np.random.default_rng(0)
LABELS = (RNG.random(N) < 0.3).astype(np.float64)
ACTIVATION = LABELS + RNG.normal(0, 1, N)
PRIOR = np.clip(0.1 + 0.5 * LABELS + RNG.normal(0, 0.1, N), 0.02, 0.98)
FIRST = draw_model_guided(ACTIVATION, PRIOR, n_draws=1, seed=0).distribution


def by_label(first: Draw, answers: np.ndarray) -> np.ndarray:
    """A second round after what was answered: inputs near those called present, in index order."""
    q = np.full(N, 0.2 / N)
    present = first.indices[answers == 1]
    weight = np.bincount((present + 1) % N, minlength=N) + np.bincount(present, minlength=N)
    q += 0.8 * (weight / weight.sum() if weight.sum() else np.full(N, 1 / N))
    return q


def two_rounds(seed: int, error_rate: float = 0.23) -> tuple[Draw, np.ndarray]:
    """Draws of two rounds, the second by the noisy answers to the first; and noisy labels."""
    rng = np.random.default_rng([7, seed])
    answers = np.where(rng.random(N) < error_rate, 1 - LABELS, LABELS)
    first = draw_from(FIRST, 40, design="model_guided", seed=seed)
    q = by_label(first, answers[first.indices])
    second = draw_from(q, 40, design="adaptive", seed=10_000 + seed)
    return join_rounds([first, second]), answers


def test_one_round_is_itself() -> None:
    draw = draw_model_guided(ACTIVATION, PRIOR, n_draws=30, seed=1)
    assert join_rounds([draw]) is draw
    part = rated_rounds([draw], draw.indices[:10])
    assert part is not None
    keep = np.isin(draw.indices, draw.indices[:10])
    assert part.indices.tolist() == draw.restricted(keep).indices.tolist()
    assert part.probabilities.tolist() == draw.probabilities[keep].tolist()


def test_every_draw_keeps_its_own_probability() -> None:
    first = draw_model_guided(ACTIVATION, PRIOR, n_draws=30, seed=1)
    second = draw_neyman(ACTIVATION, PRIOR, n_draws=20, seed=2, replacement=False)
    joined = join_rounds([first, second])
    assert joined.indices.tolist() == [*first.indices, *second.indices]
    assert joined.probabilities.tolist() == [*first.probabilities, *second.probabilities]
    assert joined.source is not None
    assert joined.source.tolist() == [0] * 30 + [1] * 20
    assert joined.own_inclusion is not None
    assert np.all(joined.own_inclusion[:30] == 0)
    assert np.all(joined.own_inclusion[30:] == second.own_inclusion)
    missed = (1 - first.distribution) ** 30 * (1 - second.inclusion)
    assert joined.inclusion_probabilities == pytest.approx(1 - missed[joined.indices])
    assert joined.provenance()["parts"] == [first.provenance(), second.provenance()]


def test_the_order_of_rounds_changes_no_estimate() -> None:
    first = draw_model_guided(ACTIVATION, PRIOR, n_draws=60, seed=1)
    second = draw_neyman(ACTIVATION, PRIOR, n_draws=50, seed=2)
    scores = []
    for rounds in ([first, second], [second, first]):
        joined = join_rounds(rounds)
        estimate = importance_weighted_correlation(ACTIVATION, joined, LABELS[joined.indices])
        scores.append((estimate.score, estimate.lower, estimate.upper))
    assert scores[0] == pytest.approx(scores[1], abs=1e-12)


def test_the_mean_and_a_difference_estimator_are_unbiased_after_a_choice_by_ratings() -> None:
    """2500 studies; a mean 4 standard errors off would be chance once in 16,000 runs a case."""
    model = np.clip(PRIOR + 0.1, 0, 1)
    means, corrected, mixed = [], [], []
    for seed in range(2500):
        joined, answers = two_rounds(seed)
        h = (answers * (1 + ACTIVATION))[joined.indices]
        truth = np.mean(answers * (1 + ACTIVATION))
        means.append(np.mean(joined.weights * h) - truth)
        # model over all inputs, corrected by the weighted sample of what it misses
        off = (answers - model)[joined.indices]
        corrected.append(model.mean() + np.mean(joined.weights * off) - answers.mean())
        # the balance heuristic over rounds, as if the second did not depend on the first
        first = Draw("x", joined.indices[:40], joined.probabilities[:40], N, 0)
        q2 = by_label(first, answers[joined.indices[:40]])
        q = (FIRST + q2) / 2
        mixed.append(np.mean(h / (N * q[joined.indices])) - truth)
    for errors in (means, corrected):
        assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(len(errors))
    assert abs(np.mean(mixed)) > 8 * np.std(mixed) / np.sqrt(len(mixed))


def test_a_round_half_rated_stands_for_the_whole() -> None:
    """Draws on old inputs are rated at once: kept alone, they would be a biased part."""
    weighed, naive = [], []
    for seed in range(1500):
        joined, answers = two_rounds(seed, error_rate=0.1)
        first = joined.restricted(joined.source == 0)
        second = joined.restricted(joined.source == 1)
        rng = np.random.default_rng([8, seed])
        fresh = np.setdiff1d(second.indices, first.indices)
        rated = np.concatenate([first.indices, rng.permutation(fresh)[: fresh.size * 3 // 4]])
        part = rated_rounds([first, second], rated)
        assert part is not None
        assert np.isin(part.indices, rated).all()
        if part.source is None or part.source.max() == 0:
            continue  # by chance fewer than half of the new draws are on inputs that were asked
        own = part.restricted(part.source == 1)
        weighed.append(np.mean(own.weights * answers[own.indices]) - answers.mean())
        kept = second.restricted(np.isin(second.indices, rated))
        naive.append(np.mean(kept.weights * answers[kept.indices]) - answers.mean())
    assert len(weighed) > 1400
    assert abs(np.mean(weighed)) < 4 * np.std(weighed) / np.sqrt(len(weighed))
    assert abs(np.mean(naive)) > 4 * np.std(naive) / np.sqrt(len(naive))


def test_a_later_round_waits_for_half_of_each_group() -> None:
    first = Draw("x", np.array([0, 1, 2, 3]), np.full(4, 0.1), 10, 0)
    second = Draw("adaptive", np.array([0, 4, 5, 6, 7]), np.full(5, 0.1), 10, 1)
    part = rated_rounds([first, second], [0, 1, 2, 3, 4])
    assert part is not None
    assert part.indices.tolist() == [0, 1, 2, 3]
    part = rated_rounds([first, second], [0, 1, 4, 5])
    assert part is not None
    assert part.indices.tolist() == [0, 1, 0, 4, 5]
    # 3 of 5 draws left: the old input stands for itself, each new one for two
    assert 1 / part.probabilities == pytest.approx([10, 10, 6, 12, 12])
    assert np.sum(1 / part.probabilities[2:]) / 3 == pytest.approx(10)
    assert rated_rounds([first, second], [8]) is None
    assert rated_rounds([second], [0]) is not None


def test_what_cannot_be_joined_is_refused() -> None:
    draw = Draw("x", np.array([0, 1]), np.full(2, 0.1), 10, 0)
    with pytest.raises(SamplingError, match="no round to join"):
        join_rounds([])
    with pytest.raises(SamplingError, match=r"different sizes \[10, 11\]"):
        join_rounds([draw, Draw("x", np.array([0]), np.array([0.1]), 11, 0)])
    with pytest.raises(SamplingError, match="least_share: 0"):
        rated_rounds([draw], [0], least_share=0)
    with pytest.raises(SamplingError, match="a round has no `distribution`"):
        _ = join_rounds([draw, draw]).inclusion_probabilities
    with pytest.raises(SamplingError, match="has no `distribution`"):
        pool_draws([join_rounds([draw, draw])])


def test_estimators_take_joined_rounds() -> None:
    joined, _ = two_rounds(3)
    weighted = importance_weighted_correlation(ACTIVATION, joined, LABELS[joined.indices])
    truth = np.corrcoef(ACTIVATION, LABELS)[0, 1]
    assert weighted.lower < truth < weighted.upper
    g = np.tile(PRIOR, (20, 1))
    g[:, joined.indices] = LABELS[joined.indices]
    assisted = model_assisted_correlation(ACTIVATION, joined, g, np.tile(PRIOR, (20, 1)))
    assert assisted.lower < truth < assisted.upper
