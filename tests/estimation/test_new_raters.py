import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from scipy.stats import norm

from estimation.aggregation import HierarchicalBayes
from estimation.aggregation.new_raters import rates_of_new_raters
from estimation.simulated_study import REGIMES, simulate_pair, simulate_study
from estimation.simulation import simulate_raters


def test_rates_follow_the_population_and_hang_on_the_rater_alone():
    """Kolmogorov distance to the normal, tested at 1e-4 each."""
    m = 4000
    mean, spread = np.tile([-1.5, -2.0], (m, 1)), np.tile([0.5, 0.3], (m, 1))
    miss, false_alarm = rates_of_new_raters(["a", "b"], mean, spread, seed=3)
    assert miss.shape == false_alarm.shape == (m, 2)
    for values, centre, sd in ((miss, -1.5, 0.5), (false_alarm, -2.0, 0.3)):
        for column in values.T:
            grid = np.sort(norm.cdf((column - centre) / sd))
            distance = np.max(np.abs(grid - (np.arange(m) + 0.5) / m))
            assert distance * np.sqrt(m) < 2.23
    alone = rates_of_new_raters(["b"], mean, spread, seed=3)[0][:, 0]
    np.testing.assert_array_equal(alone, miss[:, 1])
    assert abs(np.corrcoef(miss.T)[0, 1]) < 4 / np.sqrt(m)
    assert not np.array_equal(rates_of_new_raters(["b"], mean, spread, seed=4)[0][:, 0], alone)


def unfitted() -> HierarchicalBayes:
    return HierarchicalBayes(
        sampler="kernel", draws=300, tune=200, within_item_correlation=0.0, max_r_hat=1.1
    )


@pytest.fixture(scope="module")
def study():
    """Two pairs; the model has seen the ratings of 15 of 20 raters."""
    pairs = [simulate_pair(REGIMES["base"], n_inputs=400, seed=t) for t in range(2)]
    _, ratings = simulate_study(pairs, simulate_raters(20, spread=0.5, seed=0), n_draws=80, seed=1)
    late = ratings["rater"].isin(ratings["rater"].unique()[:5])
    model = unfitted().fit(ratings[~late], {t: pair.prior for t, pair in enumerate(pairs)})
    return model, ratings, late, pairs


def test_a_new_rater_moves_a_label_by_what_the_population_is_worth(study):
    model, ratings, _, pairs = study
    own = ratings[ratings["concept"] == 0]
    item = int(own["item"].iloc[0])
    one = own[own["item"] == item].head(1).assign(rater="somebody", rating=1.0)
    told = model.concept_draws(0, pairs[0].prior, one)
    before = model.prediction_draws(0, pairs[0].prior)
    others = np.arange(400) != item
    np.testing.assert_array_equal(told[:, others], before[:, others])
    picked = model._pick(400)
    rates = rates_of_new_raters(
        ["somebody"],
        model.posterior_["rater_mean"][picked],
        model.posterior_["rater_spread"][picked],
        seed=model.seed,
    )
    hit, alarm = expit(-rates[0][:, 0]), expit(rates[1][:, 0])
    expected = expit(logit(before[:, item]) + np.log(hit / alarm))
    np.testing.assert_allclose(told[:, item], expected, rtol=1e-9)


def test_late_ratings_say_most_of_what_another_fit_would(study):
    model, ratings, late, pairs = study
    priors = {t: pair.prior for t, pair in enumerate(pairs)}
    refit = unfitted().fit(ratings, priors)
    for t in priors:
        own = ratings[ratings["concept"] == t]
        items = own.loc[late[own.index], "item"].unique()
        stale, updated, wanted = (
            fit.concept_draws(t, priors[t], rows).mean(axis=0)[items]
            for fit, rows in ((model, own[~late[own.index]]), (model, own), (refit, own))
        )
        assert np.abs(updated - wanted).mean() < 0.5 * np.abs(stale - wanted).mean()


def test_names_of_raters_may_be_of_another_kind(study):
    model, ratings, _, pairs = study
    own = ratings[ratings["concept"] == 1].head(3)
    numbered = pd.concat([own, own.assign(rater=[7, 8, 7])])
    assert np.isfinite(model.concept_draws(1, pairs[1].prior, numbered)).all()
