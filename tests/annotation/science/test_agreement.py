"""Krippendorff's alpha against its definition and a worked example; Wilson's against scipy."""

import itertools

import numpy as np
import pytest
from scipy.stats import binomtest

from annotation.science import krippendorff_alpha, share

#: Two observers, ten units, from Krippendorff's "Computing Krippendorff's alpha-reliability",
#: section A: alpha = 0.095.
PUBLISHED = ("0100000001", "1110010000")


def by_definition(votes: list[tuple[int, int]]) -> float | None:
    """1 - D_o / D_e from the coincidence matrix, pair by pair."""
    coincidences = np.zeros((2, 2))
    for n_present, n_absent in votes:
        values = [1] * n_present + [0] * n_absent
        for a, b in itertools.permutations(range(len(values)), 2):
            coincidences[values[a], values[b]] += 1 / (len(values) - 1)
    marginal = coincidences.sum(axis=0)
    n = marginal.sum()
    expected = 2 * marginal[0] * marginal[1] / (n * (n - 1)) if n > 1 else 0.0
    if expected == 0:
        return None
    observed = 2 * coincidences[0, 1] / n
    return float(1 - observed / expected)


def test_the_published_example() -> None:
    votes = [
        ((a == "1") + (b == "1"), (a == "0") + (b == "0")) for a, b in zip(*PUBLISHED, strict=True)
    ]
    assert krippendorff_alpha(votes).alpha == pytest.approx(0.095, abs=5e-4)


@pytest.mark.parametrize("seed", range(20))
def test_alpha_is_its_definition_with_missing_votes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    present = rng.integers(0, 4, size=12)
    votes = list(zip(present.tolist(), rng.integers(0, 3, size=12).tolist(), strict=True))
    found = krippendorff_alpha(votes)
    expected = by_definition([vote for vote in votes if sum(vote) > 1])
    assert found.alpha == (None if expected is None else pytest.approx(expected, abs=1e-12))
    assert found.n_items == sum(sum(vote) > 1 for vote in votes)
    assert found.n_votes == sum(sum(vote) for vote in votes if sum(vote) > 1)


def test_perfect_chance_and_contrary_raters() -> None:
    assert krippendorff_alpha([(3, 0), (0, 3), (3, 0)]).alpha == 1.0
    assert krippendorff_alpha([(1, 1)] * 10).alpha == pytest.approx(1 - 19 / 10)


@pytest.mark.parametrize("votes", [[], [(1, 0), (0, 1)], [(3, 0)] * 5, [(0, 2)]])
def test_alpha_is_undefined_without_pairs_or_with_one_answer(votes: list[tuple[int, int]]) -> None:
    found = krippendorff_alpha(votes)
    assert (found.alpha, found.lower, found.upper) == (None, None, None)


def test_the_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)

    def sample(n: int) -> list[tuple[int, int]]:
        label = rng.random(n) < 0.4
        right = rng.random((n, 3)) < 0.85
        present = np.where(label[:, None], right, ~right).sum(axis=1)
        return [(int(k), 3 - int(k)) for k in present]

    truth = krippendorff_alpha(sample(200_000), n_resamples=1).alpha
    held = 0
    for _ in range(200):
        found = krippendorff_alpha(sample(80), n_resamples=400)
        held += found.lower <= truth <= found.upper
    assert 0.9 <= held / 200 <= 0.985


def test_the_same_seed_gives_the_same_interval() -> None:
    votes = [(2, 1), (0, 3), (3, 0), (1, 2)] * 5
    assert krippendorff_alpha(votes, seed=3) == krippendorff_alpha(votes, seed=3)
    assert krippendorff_alpha(votes, seed=3) != krippendorff_alpha(votes, seed=4)


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (3, 7), (0, 30), (30, 30), (45, 60)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_a_share_has_wilsons_interval(k: int, n: int, level: float) -> None:
    found = share(k, n, level=level)
    expected = binomtest(k, n).proportion_ci(level, method="wilson")
    assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert found.value == k / n


def test_a_share_of_nothing_is_no_number() -> None:
    assert share(0, 0).value is None
