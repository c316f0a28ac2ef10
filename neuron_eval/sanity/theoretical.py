"""Missing and Extra Labels for a perfect explanation, by counts.

The neuron equals its concept, both are 0 or 1, and K = γ N of N inputs are 1. Spoiled labels then
change one count only, and that count is binomial:

- missing: m ~ Bin(K, 1/2) of the positives are kept,
- extra: f ~ Bin(N - K, K / (N - K)) of the negatives become positive.

Expectations are sums over the binomial distribution, simulations draw m and f; no vector of N
inputs is ever made. Top-and-random correlation also draws inputs, which is hypergeometric.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from neuron_eval.registry import METRICS, Metric, get_metric
from neuron_eval.sanity.binary_scores import BINARY_SCORES, SAMPLED_SCORES, Counts
from neuron_eval.sanity.perturb import extra_probability
from neuron_eval.sanity.results import PASS_THRESHOLD
from neuron_eval.sanity.weighted_counts import scores_by_weights, takes_counts
from neuron_eval.validation import InputError

FloatArray = npt.NDArray[np.float64]
Score = Callable[[Counts], FloatArray]
Test = Literal["missing", "extra"]

#: Densities of the published table.
GAMMAS = (0.499, 0.1, 0.01, 0.001, 0.0001)
#: Scores of unbounded metrics are divided by this: for MAD of a neuron that is 0 or 1 it is the
#: greatest score, for WPMI it has no meaning beyond "not divided".
UNBOUNDED_WIDTH = 1.0

_TESTS: tuple[Test, Test] = ("missing", "extra")
# Binomial sums leave out what lies further from the mean: less than 1e-14 of the probability.
_STANDARD_DEVIATIONS = 8


@dataclass(frozen=True)
class TheoreticalCheck:
    """One metric, one density, one test.

    Attributes
    ----------
    metric : str
        Name of the metric.
    gamma : float
        Share of inputs with the concept.
    test : {"missing", "extra"}
        Which labels are wrong.
    expected_difference : float
        Exact expectation of the normalised difference of the score.
    expected_accuracy : float
        Exact probability that the difference is below -epsilon.
    deviation : float
        Exact standard deviation of the difference of one draw.
    simulated_difference : float
        Mean difference of the simulated draws.
    simulated_accuracy : float
        Share of the simulated draws whose difference is below -epsilon.
    """

    metric: str
    gamma: float
    test: Test
    expected_difference: float
    expected_accuracy: float
    deviation: float
    simulated_difference: float
    simulated_accuracy: float


def run_theoretical_checks(
    *,
    metrics: Sequence[str] | None = None,
    gammas: Sequence[float] = GAMMAS,
    n_inputs: int = 500_000,
    n_draws: int = 1000,
    epsilon: float = 1e-3,
    n_each: int = 25,
    seed: int = 0,
) -> list[TheoreticalCheck]:
    """Run both tests on a perfect explanation, exactly and by simulation.

    Parameters
    ----------
    metrics : sequence of str, optional
        Names of metrics; all of the registry that can be computed from counts when None. A metric
        of one's own can where it takes weights; that takes a second or two.
    gammas : sequence of float
        Shares of inputs with the concept, in (0, 1/2].
    n_inputs : int, default 500,000
        Number of inputs, N.
    n_draws : int, default 1000
        Simulated draws per metric, density and test.
    epsilon : float, default 1e-3
        Least fall that counts, as a fraction of the metric's range.
    n_each : int, default 25
        Draws of either kind for top-and-random correlation.
    seed : int, default 0
        Seed of the simulation.

    Returns
    -------
    list of TheoreticalCheck
        By metric, density and test, in the order given.

    Raises
    ------
    ValueError
        If a metric is unknown or cannot be computed from counts, or a density is out of range.

    Notes
    -----
    Draws whose score is undefined (no label left) are left out of both figures. Differences of
    unbounded metrics are divided by `UNBOUNDED_WIDTH`.
    """
    if metrics is None:
        entries = [metric for metric in METRICS.values() if _has_counts(metric)]
    else:
        entries = [get_metric(name) for name in metrics]
    for metric in entries:
        if not _has_counts(metric):
            raise InputError(
                f"metrics: {metric.name!r} takes no weights or draws inputs, so it has no form in "
                "counts; use run_sanity_checks for it."
            )
    checks = []
    for metric in entries:
        for gamma in gammas:
            positives = _positives(gamma, n_inputs)
            for test in _TESTS:
                # One seed per cell: a cell does not depend on which others are asked for.
                place = list(METRICS).index(metric.name)
                rng = np.random.default_rng([seed, place, positives, _TESTS.index(test)])
                exact, probabilities, simulated = _differences(
                    metric, test, positives, n_inputs, n_each, n_draws, rng
                )
                checks.append(
                    TheoreticalCheck(
                        metric.name,
                        gamma,
                        test,
                        *_summary(exact, probabilities, epsilon),
                        *_summary(simulated, np.ones_like(simulated), epsilon)[:2],
                    )
                )
    return checks


def theoretical_table(checks: Sequence[TheoreticalCheck]) -> pd.DataFrame:
    """Lay checks out as a table.

    Parameters
    ----------
    checks : sequence of TheoreticalCheck
        Checks of `run_theoretical_checks`.

    Returns
    -------
    pandas.DataFrame
        One row per check; accuracies are in [0, 1].
    """
    return pd.DataFrame([vars(check) for check in checks])


def summarize_theory(table: pd.DataFrame, threshold: float = PASS_THRESHOLD) -> pd.DataFrame:
    """Judge every metric by its weakest density.

    Parameters
    ----------
    table : pandas.DataFrame
        As of `theoretical_table`.
    threshold : float, default 0.9
        Share that the expected decrease accuracy must exceed in both tests at every density.

    Returns
    -------
    pandas.DataFrame
        One row per metric: ``metric``, ``verdict`` (pass or fail), ``missing_accuracy`` and
        ``extra_accuracy``, the least over the densities, in [0, 1].
    """
    worst = (
        table.pivot_table(
            index="metric", columns="test", values="expected_accuracy", aggfunc="min", sort=False
        )
        .rename(columns={test: f"{test}_accuracy" for test in _TESTS})
        .reset_index()
    )
    passes = worst[["missing_accuracy", "extra_accuracy"]].min(axis=1) > threshold
    worst.insert(1, "verdict", np.where(passes, "pass", "fail"))
    return worst[["metric", "verdict", "missing_accuracy", "extra_accuracy"]].rename_axis(
        columns=None
    )


def _has_counts(metric: Metric) -> bool:
    return metric.name in BINARY_SCORES or metric.name in SAMPLED_SCORES or takes_counts(metric)


def _positives(gamma: float, n_inputs: int) -> int:
    positives = round(gamma * n_inputs)
    if not 0 < gamma <= 0.5 or not 0 < positives <= n_inputs // 2:
        raise InputError(
            f"gammas: found {gamma!r} with {n_inputs} inputs, expected a share in (0, 1/2] that "
            "leaves at least one positive."
        )
    return positives


def _summary(
    differences: FloatArray, probabilities: FloatArray, epsilon: float
) -> tuple[float, float, float]:
    """Return mean, share below -epsilon and standard deviation of the defined differences."""
    defined = ~np.isnan(differences)
    total = probabilities[defined].sum()
    if total == 0:
        return float("nan"), float("nan"), float("nan")
    share = probabilities[defined] / total
    mean = float(share @ differences[defined])
    accuracy = share @ (differences[defined] < -epsilon)
    deviation = np.sqrt(share @ (differences[defined] - mean) ** 2)
    return mean, min(1.0, float(accuracy)), float(deviation)  # sums of shares round above 1


def _differences(
    metric: Metric,
    test: Test,
    positives: int,
    n_inputs: int,
    n_each: int,
    n_draws: int,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return all possible differences, their probabilities, and simulated differences."""
    width = metric.width or UNBOUNDED_WIDTH
    if metric.name in SAMPLED_SCORES:
        score = SAMPLED_SCORES[metric.name]
        before, after, probabilities = _sampled_support(test, positives, n_inputs, n_each)
        exact = (score(after) - score(before)) / width
        before, after = _sampled_draws(test, positives, n_inputs, n_each, n_draws, rng)
        return exact, probabilities, (score(after) - score(before)) / width
    score = BINARY_SCORES.get(metric.name) or scores_by_weights(metric)
    trials, chance = _spoiling(test, positives, n_inputs)
    support = _binomial_support(trials, chance)
    drawn = rng.binomial(trials, chance, size=n_draws).astype(float)
    perfect = score(_counts("missing", np.array([float(positives)]), positives, n_inputs))
    exact = (score(_counts(test, support, positives, n_inputs)) - perfect) / width
    simulated = (score(_counts(test, drawn, positives, n_inputs)) - perfect) / width
    return exact, stats.binom.pmf(support, trials, chance), simulated


def _spoiling(test: Test, positives: int, n_inputs: int) -> tuple[int, float]:
    if test == "missing":
        return positives, 0.5
    return n_inputs - positives, extra_probability(positives, n_inputs)


def _binomial_support(trials: int, chance: float) -> FloatArray:
    mean, deviation = trials * chance, np.sqrt(trials * chance * (1 - chance))
    low = max(0, int(mean - _STANDARD_DEVIATIONS * deviation) - 1)
    high = min(trials, int(mean + _STANDARD_DEVIATIONS * deviation) + 1)
    return np.arange(low, high + 1, dtype=float)


def _counts(test: Test, drawn: FloatArray, positives: int, n_inputs: int) -> Counts:
    """Counts after `drawn` positives were kept, or `drawn` negatives became positive."""
    zero = np.zeros_like(drawn)
    if test == "missing":
        return Counts(drawn, positives - drawn, zero, zero + n_inputs - positives)
    return Counts(zero + positives, zero, drawn, n_inputs - positives - drawn)


def _sampled_counts(
    test: Test,
    n_top: int,
    n_random: int,
    active: FloatArray,
    top: FloatArray,
    rest: FloatArray,
) -> tuple[Counts, Counts]:
    """Counts among the drawn inputs, before and after the labels are spoiled.

    `active` of the random inputs are positive. Missing: `top` of the top and `rest` of the
    active random inputs keep their label. Extra: `rest` of the other random inputs gain one.
    """
    zero = np.zeros_like(active + top + rest)
    n_active, n_other = zero + n_top + active, zero + n_random - active
    before = Counts(n_active, zero, zero, n_other)
    if test == "missing":
        kept = zero + top + rest
        return before, Counts(kept, n_active - kept, zero, n_other)
    return before, Counts(n_active, zero, zero + rest, n_other - rest)


def _sampled_sizes(positives: int, n_inputs: int, n_each: int) -> tuple[int, int]:
    n_top = min(n_each, positives)
    return n_top, min(n_each, n_inputs - n_top)


def _sampled_support(
    test: Test, positives: int, n_inputs: int, n_each: int
) -> tuple[Counts, Counts, FloatArray]:
    n_top, n_random = _sampled_sizes(positives, n_inputs, n_each)
    chance = 0.5 if test == "missing" else extra_probability(positives, n_inputs)
    active = np.arange(n_random + 1.0)[:, None, None]
    rest = np.arange(n_random + 1.0)[None, :, None]
    top = np.arange(n_top + 1.0 if test == "missing" else 1.0)[None, None, :]
    open_to_change = active if test == "missing" else n_random - active
    probabilities = stats.hypergeom.pmf(
        active, n_inputs - n_top, positives - n_top, n_random
    ) * stats.binom.pmf(rest, open_to_change, chance)
    if test == "missing":
        probabilities = probabilities * stats.binom.pmf(top, n_top, chance)
    possible = np.broadcast_to(rest <= open_to_change, probabilities.shape)
    active, rest, top = (
        np.broadcast_to(part, probabilities.shape)[possible] for part in (active, rest, top)
    )
    before, after = _sampled_counts(test, n_top, n_random, active, top, rest)
    return before, after, probabilities[possible]


def _sampled_draws(
    test: Test,
    positives: int,
    n_inputs: int,
    n_each: int,
    n_draws: int,
    rng: np.random.Generator,
) -> tuple[Counts, Counts]:
    n_top, n_random = _sampled_sizes(positives, n_inputs, n_each)
    chance = 0.5 if test == "missing" else extra_probability(positives, n_inputs)
    active = rng.hypergeometric(positives - n_top, n_inputs - positives, n_random, size=n_draws)
    top = rng.binomial(n_top, chance, size=n_draws)
    rest = rng.binomial(active if test == "missing" else n_random - active, chance)
    return _sampled_counts(
        test, n_top, n_random, active.astype(float), top.astype(float), rest.astype(float)
    )
