import numpy as np
import pandas as pd
import pytest
from scipy import stats

from estimation.checks import EstimationError
from estimation.laboratory.ordering import ordering_table
from estimation.laboratory.report import ordering_report


def normal_studies(
    sd: float, claimed: float, *, n_pairs: int = 30, n_seeds: int = 20, seed: int = 0, **columns
) -> pd.DataFrame:
    """Studies whose errors are normal with standard deviation `sd` and believed to be `claimed`."""
    rng = np.random.default_rng(seed)
    pair, repetition = np.divmod(np.arange(n_pairs * n_seeds), n_seeds)
    truth = rng.uniform(0.2, 0.8, n_pairs)[pair]
    score = truth + rng.normal(0, sd, pair.size)
    half = stats.norm.ppf(0.975) * claimed
    plain = {"setting": "s", "method": "m", "budget": 180, "redundancy": 0, "n_ratings": 170.0}
    return pd.DataFrame(
        {
            **plain,
            "pair": pair,
            "seed": repetition,
            "truth": truth,
            "score": score,
            "lower": score - half,
            "upper": score + half,
            **columns,
        }
    )


def test_shares_are_those_of_normal_errors():
    """600 errors stand for all: their own doubt about the share is below .02 (5 sigma)."""
    sd = 0.03
    (row,) = ordering_table(normal_studies(sd, sd)).to_dict("records")
    spread = sd * np.sqrt(2)
    z = stats.norm.ppf(0.95)
    assert row["right"] == pytest.approx(stats.norm.cdf(0.05 / spread), abs=0.02)
    assert row["told_apart"] == pytest.approx(stats.norm.sf(z - 0.05 / spread), abs=0.04)
    assert row["told_wrong"] == pytest.approx(stats.norm.cdf(-z - 0.05 / spread), abs=0.02)
    assert row["right_lower"] < row["right"] < row["right_upper"]
    assert row["n_ratings"] == 170


def test_it_is_every_two_studies_of_different_pairs():
    """Brute force over all studies, some of them undefined."""
    studies = normal_studies(0.05, 0.02, n_pairs=4, n_seeds=3, seed=1)
    studies.loc[5, ["score", "lower", "upper"]] = np.nan
    error = studies["score"] - studies["truth"]
    shares = {}
    for i in studies.index:
        for j in studies.index:
            a, b = studies.loc[i, "pair"], studies.loc[j, "pair"]
            if a != b:
                estimated = 0.1 + error[i] - error[j]
                right = 0.5 if np.isnan(estimated) else float(estimated > 0)
                shares.setdefault((a, b), []).append(right)
    (row,) = ordering_table(studies, difference=0.1).to_dict("records")
    assert row["right"] == pytest.approx(np.mean([np.mean(each) for each in shares.values()]))
    assert 0 < row["told_apart"] < row["right"]


def test_undefined_scores_order_nothing():
    studies = normal_studies(0.01, 0.01).assign(score=np.nan, lower=np.nan, upper=np.nan)
    (row,) = ordering_table(studies).to_dict("records")
    assert row["right"] == row["right_lower"] == row["right_upper"] == 0.5


def test_a_bias_that_all_pairs_share_does_no_harm_and_one_of_their_own_does():
    studies = normal_studies(0.001, 0.001)
    studies["score"] += 0.2
    assert ordering_table(studies)["right"].item() == 1
    studies["score"] += 0.2 * (studies["pair"] % 2)
    assert ordering_table(studies)["right"].item() == pytest.approx(0.75, abs=0.02)


def test_order_of_rows_and_names_of_pairs_change_nothing():
    studies = normal_studies(0.05, 0.05, n_pairs=5, n_seeds=3)
    renamed = studies.assign(pair=studies["pair"] * 7 + 3).sample(frac=1, random_state=0)
    columns = ["right", "told_apart", "told_wrong"]
    one, two = ordering_table(studies), ordering_table(renamed)
    np.testing.assert_allclose(one[columns], two[columns])


def test_what_cannot_be_compared_is_said():
    studies = normal_studies(0.1, 0.1)
    with pytest.raises(EstimationError, match="'s' has one pair"):
        ordering_table(studies[studies["pair"] == 0])
    with pytest.raises(EstimationError, match="difference: 0"):
        ordering_table(studies, difference=0)
    assert ordering_report(studies.assign(budget=540)) is None
    assert ordering_report(studies[studies["pair"] == 0]) is None


def test_the_report_shows_the_largest_budget_below_200():
    studies = pd.concat(
        [
            normal_studies(0.2, 0.2, budget=60),
            normal_studies(0.001, 0.001, redundancy=3),
            normal_studies(0.2, 0.2, redundancy=9),
            normal_studies(0.001, 0.001, budget=540),
            normal_studies(0.1, np.nan, budget=0, method="prior alone"),
        ]
    )
    title, table = ordering_report(studies)
    assert "0.05 apart in the right order at 180 ratings each" in title
    (row,) = table.to_dict("records")
    assert row["m"] == "1.000 (1.000-1.000), 1.00"
    assert row["prior alone"].endswith(")")
