"""What a round draws by what the ratings say: counts, error rate, draws, pooling."""

import numpy as np
import pytest

from annotation import science
from annotation.exceptions import SamplingProblem
from annotation.science import RatingRow
from estimation.sampling import draw_model_guided, join_rounds, pool_draws

N = 300
RNG = np.random.default_rng(3)
LABELS = (RNG.random(N) < 0.2).astype(np.float64)
ACTIVATIONS = [LABELS + RNG.normal(0, 0.7, N) for _ in range(2)]
PRIOR = np.clip(0.1 + 0.5 * LABELS + RNG.normal(0, 0.1, N), 0.02, 0.98)


def rated(error_rate: float, n_items: int = 80) -> list[RatingRow]:
    rng = np.random.default_rng(4)
    rows = []
    for item in rng.permutation(N)[:n_items].tolist():
        for rater in range(3):
            value = LABELS[item] if rng.random() >= error_rate else 1 - LABELS[item]
            rows.append(RatingRow(7, item, rater, float(value)))
    return rows


def drawn(votes: science.Votes | None, **options: object) -> science.AdaptiveDraws:
    fields = {
        "activations": ACTIVATIONS,
        "prior": PRIOR,
        "votes": votes,
        "error_rate": 0.2,
        "n_draws": 50,
        "seeds": [1, 2],
        "half_width": 0.03,
        "what": "concept 'red'",
        **options,
    }
    return science.draw_adaptive(**fields)


def test_votes_are_counted_by_input_and_cannot_tell_is_none() -> None:
    rows = [
        RatingRow(1, 5, 0, 1.0),
        RatingRow(1, 5, 1, 0.0),
        RatingRow(1, 2, 0, 1.0),
        RatingRow(1, 9, 0, None),
        RatingRow(2, 9, 0, None),
    ]
    votes = science.votes_by_concept(rows)
    assert set(votes) == {1}
    assert votes[1].items.tolist() == [2, 5]
    assert votes[1].n.tolist() == [1, 2]
    assert votes[1].k.tolist() == [1, 1]


@pytest.mark.parametrize("truth", [0.05, 0.15, 0.3])
def test_the_error_rate_is_estimated_from_the_ratings(truth: float) -> None:
    """Within .04: 240 ratings, of which a share `truth` is wrong, have an sd of .03 at most."""
    found, estimated = science.rater_error_rate(rated(truth), {7: PRIOR})
    assert estimated
    assert found == pytest.approx(truth, abs=0.06)


def test_without_a_vote_it_is_the_published_one_and_never_certain() -> None:
    assert science.rater_error_rate([], {}) == (0.23, False)
    assert science.rater_error_rate([RatingRow(7, 1, 1, None)], {7: PRIOR}) == (0.23, False)
    found, _ = science.rater_error_rate(rated(0.0, n_items=300), {7: PRIOR})
    assert 0.01 <= found < 0.05


def test_neurons_of_a_concept_draw_from_one_distribution() -> None:
    votes = science.votes_by_concept(rated(0.2))[7]
    found = drawn(votes)
    one, two = found.draws
    assert one.design == two.design == "adaptive"
    assert one.indices.tolist() != two.indices.tolist()
    assert one.distribution is not None
    assert np.array_equal(one.distribution, two.distribution)
    assert one.distribution.sum() == pytest.approx(1)
    assert one.distribution.min() >= 0.1 / N * 0.999
    assert dict(one.parameters)["error_rate"] == 0.2
    again = drawn(votes)
    assert again.draws[0].indices.tolist() == one.indices.tolist()
    # neither knows the other: the further ratings of each are a number, or beyond the look ahead
    assert len(found.further) == 2


def test_inputs_that_raters_agree_on_are_drawn_less() -> None:
    """Where three say the same, one more rating tells little; where they differ, much."""
    votes = science.votes_by_concept(rated(0.3))[7]
    distribution = drawn(votes, error_rate=0.3).draws[0].distribution
    assert distribution is not None
    split = votes.items[(votes.k > 0) & (votes.k < votes.n)]
    agreed = votes.items[(votes.k == 0) | (votes.k == votes.n)]
    assert distribution[split].mean() > 2 * distribution[agreed].mean()


def test_without_votes_activation_and_prior_guide_the_round() -> None:
    found = drawn(None)
    distribution = found.draws[0].distribution
    assert distribution is not None
    likely = np.argsort(-PRIOR)[:30]
    assert distribution[likely].sum() > 2 * 30 / N


def test_an_adaptive_round_read_from_its_rows_pools_as_it_was_drawn() -> None:
    votes = science.votes_by_concept(rated(0.2))[7]
    launch = [draw_model_guided(a, PRIOR, n_draws=30, seed=5) for a in ACTIVATIONS]
    further = drawn(votes).draws
    read = [
        science.stored_draw(
            design="adaptive",
            indices=draw.indices.tolist(),
            probabilities=draw.probabilities.tolist(),
            n_inputs=N,
            seed=draw.seed,
            parameters=draw.parameters,
            what="a pair",
        )
        for draw in further
    ]
    everything = np.arange(N)
    joined = science.pooled_rated([launch, read], everything)
    expected = join_rounds([pool_draws(launch), pool_draws(further)])
    assert joined is not None
    assert joined.indices.tolist() == expected.indices.tolist()
    assert joined.probabilities == pytest.approx(expected.probabilities, rel=1e-12)
    with pytest.raises(SamplingProblem, match="a pair"):
        science.stored_draw(
            design="adaptive",
            indices=[1],
            probabilities=[0.1, 0.2],
            n_inputs=N,
            seed=0,
            parameters={},
            what="a pair",
        )
