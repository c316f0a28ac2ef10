import numpy as np
import pandas as pd
import pytest

from estimation.checks import EstimationError
from estimation.comparison import compare_methods
from estimation.separation import ratings_to_separate


def table(scores, sd=0.0, **columns):
    """Scores of shape (n_neurons, n_methods) in the long form."""
    n_neurons, n_methods = np.shape(scores)
    frame = pd.DataFrame(
        {
            "neuron": np.repeat(np.arange(n_neurons), n_methods),
            "method": [f"m{j}" for j in range(n_methods)] * n_neurons,
            "score": np.ravel(scores),
            "sd": np.broadcast_to(sd, np.shape(scores)).ravel(),
        }
    )
    return frame.assign(**columns)


def test_known_scores_give_the_bayesian_bootstrap_of_the_mean():
    scores = np.random.default_rng(0).uniform(-0.2, 0.8, (30, 2))
    board = compare_methods(table(scores), n_draws=20_000)
    for j in range(2):
        row = board.table.loc[f"m{j}"]
        # mean and variance of a Dirichlet(1, ..., 1) weighted mean
        sd = np.sqrt(scores[:, j].var() / 31)
        assert row["mean"] == pytest.approx(scores[:, j].mean(), abs=5 * sd / np.sqrt(20_000))
        assert row["upper"] - row["lower"] == pytest.approx(2 * 1.96 * sd, rel=0.05)


def test_best_first_with_ranks_and_probabilities():
    rng = np.random.default_rng(0)
    base = rng.uniform(0.0, 0.3, (20, 1))
    board = compare_methods(table(base + np.array([0.0, 0.4, 0.2])))
    assert list(board.table.index) == ["m1", "m2", "m0"]
    assert list(board.table["rank"]) == [1, 2, 3]
    # paired: on every neuron m1 beats m2 beats m0, whatever the weights
    assert board.beats.loc["m1", "m2"] == 1
    assert board.beats.loc["m0", "m2"] == 0
    assert board.table.loc["m1", "probability_best"] == 1
    assert board.table.loc["m2", "rank_lower"] == board.table.loc["m2", "rank_upper"] == 2


def test_probabilities_are_consistent():
    rng = np.random.default_rng(1)
    board = compare_methods(table(rng.normal(0.3, 0.1, (12, 4)), sd=0.05))
    matrix = board.beats.loc[board.table.index, board.table.index].to_numpy()
    np.testing.assert_allclose(matrix + matrix.T, 1)
    np.testing.assert_allclose(np.diag(matrix), 0.5)
    assert board.table["probability_best"].sum() == pytest.approx(1)


def test_same_explanations_tie_exactly():
    scores = np.random.default_rng(0).uniform(0, 0.5, (10, 1)).repeat(2, axis=1)
    explanations = np.repeat([f"concept {i}" for i in range(10)], 2)
    board = compare_methods(table(scores, sd=0.1, explanation=explanations))
    assert board.beats.loc["m0", "m1"] == 0.5
    np.testing.assert_allclose(board.table["rank_lower"], 1.5)
    apart = compare_methods(table(scores, sd=0.1))
    assert apart.beats.loc["m0", "m1"] != 0.5


def test_errors_of_the_estimates_are_counted_once():
    # repeated studies of fresh neurons: the interval's spread must match that of the mean
    rng = np.random.default_rng(3)
    centres, widths = [], []
    for study in range(300):
        true = rng.normal(0.3, 0.1, (25, 1))
        board = compare_methods(
            table(true + rng.normal(0, 0.1, true.shape), sd=0.1), n_draws=500, seed=study
        )
        row = board.table.loc["m0"]
        centres.append(row["mean"])
        widths.append((row["upper"] - row["lower"]) / (2 * 1.96))
    # truth: sqrt((.1^2 + .1^2)/25) = .028; counted twice it would be .035
    assert np.std(centres) == pytest.approx(0.0283, rel=0.15)
    assert np.mean(widths) == pytest.approx(0.0283, rel=0.08)


def test_scores_at_the_end_of_their_range_err_as_far_as_they_say():
    board = compare_methods(table(np.tile([1.0, 0.99, 0.5], (6, 1)), sd=0.1), n_draws=20_000)
    assert list(board.table.index) == ["m0", "m1", "m2"]
    assert board.table["upper"].max() <= 1
    # the mean of six scores with standard error 0.1
    assert (board.table["mean"] - board.table["lower"]).max() < 4 * 0.1 / np.sqrt(6)
    assert board.table.loc["m2", "rank_lower"] == 3


def test_joint_draws_replace_standard_errors():
    rng = np.random.default_rng(0)
    scores = np.full((8, 2), 0.3)
    shared = rng.normal(0, 0.05, 2000)  # one error common to everything cancels in comparisons
    frame = table(scores).drop(columns="sd")
    draws = 0.3 + np.tile(shared, (16, 1)) + np.repeat([[0.01], [0.0]], 8, axis=1).T.reshape(16, 1)
    frame["score"] = draws.mean(axis=1)
    board = compare_methods(frame, draws=draws)
    best = board.table.index[0]
    assert board.table.loc[best, "upper"] - board.table.loc[best, "lower"] > 0.15
    assert board.beats.loc[best].drop(best).iloc[0] == 1


def test_missing_pairs_are_said():
    frame = table(np.random.default_rng(0).uniform(0, 1, (6, 2)))
    board = compare_methods(frame.iloc[:-1])
    assert any("1 of 12 (neuron, method) pairs have no score" in note for note in board.warnings)
    assert board.table.loc["m1", "n_neurons"] == 5


def test_single_neuron_is_warned_of():
    board = compare_methods(table([[0.3, 0.1]], sd=0.05))
    assert any("only 1 neurons" in note for note in board.warnings)
    assert board.table.index[0] == "m0"


def test_order_of_rows_changes_nothing():
    frame = table(np.random.default_rng(0).uniform(0, 1, (6, 3)))
    one = compare_methods(frame, n_draws=8000).table
    two = compare_methods(frame.sample(frac=1, random_state=1), n_draws=8000).table
    np.testing.assert_allclose(two.loc[one.index, "mean"], one["mean"], atol=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="sd"), "column 'sd' is missing"),
        (lambda f: f.iloc[:0], "empty"),
        (lambda f: pd.concat([f, f.iloc[:1]]), "neuron 0, method 'm0' has more than one score"),
        (lambda f: f.assign(score=np.nan), "score nan of neuron 0"),
        (lambda f: f.assign(score=1.5), "score 1.5 of neuron 0"),
        (lambda f: f.assign(sd=-1.0), "sd -1.0 of neuron 0"),
    ],
)
def test_bad_tables(change, message):
    with pytest.raises(EstimationError, match=message):
        compare_methods(change(table([[0.3, 0.1], [0.2, 0.2]])))


def test_draws_of_another_shape():
    frame = table([[0.3, 0.1]])
    with pytest.raises(EstimationError, match="draws: shape"):
        compare_methods(frame, draws=np.zeros((3, 10)))


def test_texts_that_are_numbers_count_and_others_are_refused():
    known = table([[0.1, 0.2], [0.3, 0.1]], sd=0.05)
    texts = known.assign(score=known["score"].astype(str), sd=known["sd"].astype(str))
    assert compare_methods(texts).table.equals(compare_methods(known).table)
    apart = {"method_a": "m0", "method_b": "m1", "ratings_per_explanation": 90}
    assert ratings_to_separate(texts, **apart) == ratings_to_separate(known, **apart)
    with pytest.raises(EstimationError, match="score 'high' of neuron 0, method 'm0'"):
        compare_methods(known.assign(score="high"))


def test_no_draws_are_refused():
    known = table([[0.1, 0.2], [0.3, 0.1]])
    with pytest.raises(EstimationError, match="n_draws: 0"):
        compare_methods(known, n_draws=0)
    with pytest.raises(EstimationError, match="draws: shape"):
        compare_methods(known, draws=np.zeros((4, 0)))


def test_an_assurance_next_to_one_takes_many_ratings():
    known = table([[0.1, 0.2], [0.3, 0.1], [0.2, 0.3]], sd=0.05)
    found = ratings_to_separate(
        known, "m0", "m1", ratings_per_explanation=90, assurance=1 - 1e-9, neurons="finite"
    )
    assert found.further_ratings > 1e6
