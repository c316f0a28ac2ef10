"""The published table of the theoretical checks, beside exact values and the reasons they differ.

The published figures come from simulations of the paper's public code. Where they disagree with
the exact expectations, the public code is imitated here, so that three values stand beside each
other: published, *faithful* (what the public code's rule gives, computed here) and exact.

The rules that are imitated:

- Ranks break ties by adding uniform noise of 1e-7 to float32 values. Next to 1.0 the spacing of
  float32 is 1.19e-7, so the noise leaves two values there, and what is still tied is ranked in the
  order of the rows, in which the positives come first. AUROC, Spearman's correlation and the
  combinations with AUROC inherit this.
- Top-and-random correlation of a binary neuron uses all positives in place of k of them, and an
  undefined correlation counts as 0.
- WPMI, which is unbounded, is divided by 23.17, the range that was seen.

References
----------
Oikarinen, Yan, Weng, "Evaluating Neuron Explanations: A Unified Framework with Sanity Checks",
ICML 2025, arXiv 2506.05774, table of the theoretical checks (N = 500,000, 1,000 seeds).
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from neuron_eval.sanity.binary_scores import SAMPLED_SCORES, Counts
from neuron_eval.sanity.perturb import extra_probability
from neuron_eval.sanity.theoretical import GAMMAS, run_theoretical_checks, theoretical_table

FloatArray = npt.NDArray[np.float64]
Test = Literal["missing", "extra"]

N_INPUTS = 500_000
#: Simulated seeds behind each published figure.
N_SEEDS = 1000
#: What the published rows of WPMI were divided by.
WPMI_WIDTH = 23.17

_NOISE = np.float32(1e-7)
_TESTS: tuple[Test, Test] = ("missing", "extra")
_ROUNDING = 5e-5
# Standard errors that a published mean may be away from its expectation; 220 cells are compared.
_ERRORS = 4.0

_TIES = "ties broken by noise of 1e-7 in float32, then by the order of the rows"
_ALL_POSITIVES = "uses all positives in place of k, and counts an undefined correlation as 0"
_NOT_IMITATED = "as for Pearson, and ties broken by noise on the drawn inputs; not imitated"
_WIDTH = "divided by 23.17, the range of scores that was seen"

#: Why a metric's published row differs from the exact one, where it does.
REASONS: Mapping[str, str] = MappingProxyType(
    {
        "auroc": _TIES,
        "inverse_auroc": _TIES,
        "spearman_correlation": _TIES,
        "combined_auroc": _TIES,
        "combined_recall_auroc": _TIES,
        "combined_recall_inverse_auroc": _TIES,
        "pearson_correlation_top_and_random": _ALL_POSITIVES,
        "spearman_correlation_top_and_random": _NOT_IMITATED,
        "wpmi": _WIDTH,
    }
)


def published_table() -> pd.DataFrame:
    """Read the published table.

    Returns
    -------
    pandas.DataFrame
        One row per metric, density and test: ``metric``, ``gamma``, ``test``, ``difference``
        (mean normalised difference of the score) and ``accuracy`` (decrease accuracy in [0, 1]).
    """
    source = resources.files("neuron_eval.sanity") / "published_theoretical.csv"
    with source.open(encoding="utf-8") as stream:
        table = pd.read_csv(stream)
    table["accuracy"] = table.pop("accuracy_percent") / 100
    return table


def compare_with_published(
    *, n_draws: int = 10, seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> pd.DataFrame:
    """Lay the published table beside the exact values, and imitate it where they disagree.

    Parameters
    ----------
    n_draws : int, default 10
        Draws of the imitation by vectors of 500,000 inputs, per density and test.
    seed : int, default 0
        Seed of the imitation.
    progress : callable, optional
        Called with the number of imitated cells that are done and of all.

    Returns
    -------
    pandas.DataFrame
        One row per metric, density and test: ``published``, ``exact`` and ``faithful``
        differences (the last NaN where the public code's rule gives the exact value),
        ``published_accuracy`` and ``exact_accuracy`` in [0, 1], ``agrees`` (whether the published
        figure is within 4 standard errors and rounding of the exact one) and ``reason``.

    Raises
    ------
    ValueError
        If `n_draws` is below 1.
    """
    if n_draws < 1:
        raise ValueError(f"n_draws: found {n_draws!r}, expected at least 1.")
    published = published_table()
    exact = theoretical_table(run_theoretical_checks(metrics=list(published["metric"].unique())))
    keys = ["metric", "gamma", "test"]
    table = published.rename(
        columns={"difference": "published", "accuracy": "published_accuracy"}
    ).merge(exact, on=keys, validate="one_to_one")
    faithful = faithful_differences(n_draws=n_draws, seed=seed, progress=progress)
    table = table.merge(faithful, on=keys, how="left", validate="one_to_one")
    wpmi = table["metric"] == "wpmi"
    table.loc[wpmi, "faithful"] = table.loc[wpmi, "expected_difference"] / WPMI_WIDTH
    slack = _ERRORS * table["deviation"] / np.sqrt(N_SEEDS) + _ROUNDING
    table["agrees"] = (table["published"] - table["expected_difference"]).abs() <= slack
    table["reason"] = np.where(table["agrees"], "", table["metric"].map(REASONS))
    table = table.rename(
        columns={"expected_difference": "exact", "expected_accuracy": "exact_accuracy"}
    )
    columns = ["published", "exact", "faithful", "published_accuracy", "exact_accuracy"]
    return table[[*keys, *columns, "agrees", "reason"]]


def faithful_differences(
    *,
    gammas: Sequence[float] = GAMMAS,
    n_inputs: int = N_INPUTS,
    n_draws: int = 10,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Compute what the rules of the public code give, for the metrics that they change.

    Parameters
    ----------
    gammas : sequence of float
        Shares of inputs with the concept, in (0, 1/2].
    n_inputs : int, default 500,000
        Number of inputs.
    n_draws : int, default 10
        Draws per density and test of the rules on ranks, which need vectors; top-and-random
        correlation is computed from `N_SEEDS` draws of counts.
    seed : int, default 0
        Seed.
    progress : callable, optional
        Called with the number of cells that are done and of all.

    Returns
    -------
    pandas.DataFrame
        ``metric``, ``gamma``, ``test``, ``faithful``: the mean normalised difference.
    """
    rows = []
    for place, gamma in enumerate(gammas):
        positives = round(gamma * n_inputs)
        for number, test in enumerate(_TESTS):
            rng = np.random.default_rng([seed, positives, number])
            draws = pd.DataFrame(
                [_noisy_differences(test, positives, n_inputs, rng) for _ in range(n_draws)]
            )
            means = {**draws.mean(), **_all_positives(test, positives, n_inputs, rng)}
            rows += [(metric, gamma, test, value) for metric, value in means.items()]
            if progress is not None:
                progress(2 * place + number + 1, 2 * len(gammas))
    return pd.DataFrame(rows, columns=["metric", "gamma", "test", "faithful"])


def _noisy_differences(
    test: Test, positives: int, n_inputs: int, rng: np.random.Generator
) -> dict[str, float]:
    """Differences of one draw with ties broken by noise; the positives are the first rows."""
    neuron = np.zeros(n_inputs, dtype=bool)
    neuron[:positives] = True
    concept = neuron.copy()
    if test == "missing":
        concept[:positives] = rng.random(positives) >= 0.5
    else:
        chance = extra_probability(positives, n_inputs)
        concept[positives:] = rng.random(n_inputs - positives) < chance
    of_neuron, of_perfect, of_spoiled = (
        _noisy_ranks(side, rng) for side in (neuron, neuron, concept)
    )
    recall = float(concept[:positives].mean())
    auroc = _auroc(neuron, of_spoiled)
    inverse = _auroc(concept, of_neuron)
    spearman = np.corrcoef(of_neuron, of_spoiled)[0, 1] - np.corrcoef(of_neuron, of_perfect)[0, 1]
    return {
        "auroc": auroc - 1,
        "inverse_auroc": inverse - 1,
        "spearman_correlation": float(spearman) / 2,
        "combined_auroc": _harmonic(auroc, inverse) - 1,
        "combined_recall_auroc": _harmonic(recall, auroc) - 1,
        "combined_recall_inverse_auroc": _harmonic(recall, inverse) - 1,
    }


def _noisy_ranks(side: npt.NDArray[np.bool_], rng: np.random.Generator) -> FloatArray:
    noisy = side.astype(np.float32) + _NOISE * rng.random(len(side), dtype=np.float32)
    ranks = np.empty(len(side))
    ranks[np.argsort(noisy, kind="stable")] = np.arange(len(side))
    return ranks


def _auroc(reference: npt.NDArray[np.bool_], ranks: FloatArray) -> float:
    n_in = int(reference.sum())
    wins = ranks[reference].sum() - n_in * (n_in - 1) / 2
    return float(wins / (n_in * (len(reference) - n_in)))


def _harmonic(first: float, second: float) -> float:
    return 2 * first * second / (first + second)


def _all_positives(
    test: Test, positives: int, n_inputs: int, rng: np.random.Generator, n_random: int = 25
) -> dict[str, float]:
    """Mean difference of top-and-random correlation on all positives and 25 random inputs."""
    again = rng.hypergeometric(positives, n_inputs - positives, n_random, size=N_SEEDS)
    others = n_random - again
    zero = np.zeros(N_SEEDS)
    active = (positives + again).astype(float)
    before = Counts(active, zero, zero, others.astype(float))
    if test == "missing":
        kept = rng.binomial(positives, 0.5, size=N_SEEDS)
        kept = kept + rng.hypergeometric(kept, positives - kept, again)
        after = Counts(kept.astype(float), active - kept, zero, others.astype(float))
    else:
        gained = rng.binomial(others, extra_probability(positives, n_inputs)).astype(float)
        after = Counts(active, zero, gained, others - gained)
    name = "pearson_correlation_top_and_random"
    score = SAMPLED_SCORES[name]
    difference = np.nan_to_num(score(after)) - np.nan_to_num(score(before))
    return {name: float(difference.mean()) / 2}
