import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from estimation.checks import EstimationError
from estimation.comparison import compare_methods
from estimation.separation import ratings_to_separate, separation_assurance


def table(differences, sd, **columns):
    n = len(differences)
    return pd.DataFrame(
        {
            "neuron": np.tile(np.arange(n), 2),
            "method": ["a"] * n + ["b"] * n,
            "score": np.concatenate([0.3 + np.asarray(differences), np.full(n, 0.3)]),
            "sd": np.broadcast_to(sd, 2 * n),
        }
    ).assign(**columns)


def spread_out(mean, spread, n):
    """Differences with exactly this mean and standard deviation."""
    z = norm.ppf((np.arange(n) + 0.5) / n)
    return mean + spread * z / z.std(ddof=1)


def test_present_posterior_of_the_difference():
    found = ratings_to_separate(
        table(spread_out(0.03, 0.2, 20), 0.1), "a", "b", ratings_per_explanation=50
    )
    errors = 2 * 0.1**2
    assert found.difference == pytest.approx(0.03)
    assert found.error_variance == pytest.approx(errors / 20)
    assert found.neuron_variance == pytest.approx((0.2**2 - errors) / 20)
    assert found.sd == pytest.approx(0.2 / np.sqrt(20))
    assert found.probability == pytest.approx(norm.cdf(0.03 / (0.2 / np.sqrt(20))))


def test_probability_agrees_with_the_leaderboard():
    scores = table(spread_out(0.03, 0.2, 40), 0.1)
    found = ratings_to_separate(scores, "a", "b", ratings_per_explanation=50)
    board = compare_methods(scores, n_draws=20_000)
    assert board.beats.loc["a", "b"] == pytest.approx(found.probability, abs=0.03)


def test_the_order_of_the_methods_is_only_a_sign():
    scores = table(spread_out(0.02, 0.1, 20), 0.1)
    one = ratings_to_separate(scores, "a", "b", ratings_per_explanation=50)
    two = ratings_to_separate(scores, "b", "a", ratings_per_explanation=50)
    assert two.difference == -one.difference
    assert two.probability == pytest.approx(1 - one.probability)
    assert two.further_ratings == one.further_ratings


@pytest.mark.parametrize("kind", ["finite", "sample"])
def test_recommended_ratings_separate_as_often_as_promised(kind):
    # simulation of the rest of the study, 4,000 times: what is true is drawn from the present
    # posterior, ratings are added. The share that ends separated is binomial around 0.8; two-sided
    # false-alarm rate 1e-4
    n, sd, now = 30, 0.12, 60
    spread = 0.14 if kind == "sample" else 0.3
    # the mean puts the observed difference a little above one standard deviation
    first = spread_out(0.03, np.sqrt(spread**2 + 2 * sd**2) if kind == "sample" else 0.3, n)
    plan = ratings_to_separate(
        table(first, sd), "a", "b", ratings_per_explanation=now, neurons=kind, assurance=0.8
    )
    errors_now = 2 * sd**2 / n
    luck = spread**2 / n if kind == "sample" else 0.0
    if plan.further_ratings is None:
        total = (errors_now + luck) * n / (n + plan.further_neurons)
    else:
        total = luck + errors_now * now / (now + plan.further_ratings)
    # the further data by themselves, combined with the present posterior by precision
    rng = np.random.default_rng(1)
    before = errors_now + luck
    new_data = 1 / (1 / total - 1 / before)
    truth = rng.normal(0.03, np.sqrt(before), 4000)
    seen = rng.normal(truth, np.sqrt(new_data))
    after = total * (0.03 / before + seen / new_data)
    separated = np.abs(after) / np.sqrt(total) >= norm.ppf(0.95)
    slack = norm.isf(0.5e-4) * np.sqrt(0.8 * 0.2 / 4000)
    # whole ratings are rounded up, so a little more often than promised
    assert 0.8 - slack < separated.mean() < 0.83 + slack


def test_neurons_that_differ_too_much_need_more_neurons():
    found = ratings_to_separate(
        table(spread_out(0.01, 0.3, 10), 0.02), "a", "b", ratings_per_explanation=100
    )
    assert found.ratings is None
    assert found.further_ratings is None
    assert found.further_neurons > 10
    assert f"add {found.further_neurons} neurons" in found.summary
    assert "cannot be separated with these 10 neurons" in found.summary


def test_finite_neurons_can_always_be_separated_by_ratings():
    scores = table(spread_out(0.01, 0.3, 10), 0.1)
    found = ratings_to_separate(scores, "a", "b", ratings_per_explanation=100, neurons="finite")
    assert found.neuron_variance == 0
    assert found.further_ratings > 0
    assert found.ratings == pytest.approx(100 + found.further_ratings, abs=1)
    assert "neurons" not in found.summary


def test_separated_already():
    found = ratings_to_separate(
        table(spread_out(0.3, 0.05, 10), 0.02), "a", "b", ratings_per_explanation=100
    )
    assert found.separated
    assert (found.further_ratings, found.further_neurons) == (0, 0)
    assert found.summary.startswith("'a' is better with probability 1.00")


def test_more_assurance_or_confidence_costs_more():
    scores = table(spread_out(0.02, 0.05, 20), 0.1)

    def further(**options):
        return ratings_to_separate(
            scores, "a", "b", ratings_per_explanation=50, neurons="finite", **options
        ).further_ratings

    assert further(assurance=0.6) < further() < further(assurance=0.9)
    assert further(confidence=0.9) < further() < further(confidence=0.99)


def test_assurance_falls_with_what_is_left_and_ends_at_one():
    for size in (0.0, 0.7, 1.6):
        curve = [separation_assurance(size, ratio, 1.645) for ratio in np.linspace(0, 0.99, 50)]
        assert curve[0] == pytest.approx(1)
        assert np.all(np.diff(curve) < 1e-12)


def test_same_explanations_have_no_error_in_the_difference():
    explanation = [f"concept {i}" for i in range(6)] + ["concept 0", "concept 1", *"wxyz"]
    scores = table(spread_out(0.05, 0.02, 6), 0.1, explanation=explanation)
    found = ratings_to_separate(scores, "a", "b", ratings_per_explanation=50, neurons="finite")
    assert found.error_variance == pytest.approx(4 * 0.02 / 36)
    everything = table(np.zeros(6), 0.1, explanation=[f"c{i}" for i in range(6)] * 2)
    alike = ratings_to_separate(everything, "a", "b", ratings_per_explanation=50)
    assert not alike.separated
    assert alike.ratings is None
    assert "same mean score" in alike.summary


def test_known_scores_are_settled():
    found = ratings_to_separate(
        table([-0.1, -0.2], 0.0), "a", "b", ratings_per_explanation=5, neurons="finite"
    )
    assert found.separated
    assert found.probability == 0
    assert found.summary == "'b' is better for certain: the scores have no error"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method_b": "c"}, "method_b: 'c' has no score; the table has 'a', 'b'"),
        ({"method_b": "a"}, "name two methods"),
        ({"ratings_per_explanation": 0}, "ratings_per_explanation: 0"),
        ({"neurons": "many"}, "neurons: 'many'"),
        ({"confidence": 0.5}, "confidence: 0.5"),
        ({"assurance": 1.0}, "assurance: 1.0"),
        ({"scores": table([0.1], 0.1)}, "share 1 neurons"),
        ({"scores": table([0.1, 0.2], 0.1).drop(columns="sd")}, "column 'sd' is missing"),
    ],
)
def test_bad_input(options, message):
    arguments = {
        "scores": table([0.1, 0.2, 0.3], 0.1),
        "method_a": "a",
        "method_b": "b",
        "ratings_per_explanation": 50,
    } | options
    with pytest.raises(EstimationError, match=message):
        ratings_to_separate(**arguments)
