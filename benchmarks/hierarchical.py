"""Time the hierarchical Bayesian model on a large simulated study.

    python benchmarks/hierarchical.py                       # 100 pairs x 180 inputs x 3 ratings
    python benchmarks/hierarchical.py --pairs 20 --samplers kernel

Everything is a simulation: pairs of the regime "base", 300 raters, 54,000 ratings. Each sampler is
fitted cold (first fit of the process, compilation included) and warm (again in the same process,
with other seeds). The population's R-hat and effective sample size say whether the time was worth
it; the goal is under 60 s on two cores with R-hat below 1.01.

A second table shows what ratings that came in after a fit change: labels follow them at once while
calibration and raters stay (``concept_draws`` with all ratings). Scores are compared with those of
another fit, in posterior standard deviations of a score.
"""

import argparse
import os
import time

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from estimation.aggregation import HierarchicalBayes
from estimation.model_correlation import posterior_correlation
from estimation.simulated_study import REGIMES, simulate_pair, simulate_study
from estimation.simulation import simulate_raters


def scores(model: HierarchicalBayes, pairs: list, ratings: pd.DataFrame) -> np.ndarray:
    """Score every pair with the labels that a model gives under some ratings: (n_pairs, 2)."""
    found = []
    for t, pair in enumerate(pairs):
        own = ratings[ratings["concept"] == t]
        estimate = posterior_correlation(
            pair.activation, model.concept_draws(t, pair.prior, own, n_draws=200)
        )
        found.append((estimate.score, estimate.standard_error))
    return np.array(found)


def late_ratings(pairs: list, ratings: pd.DataFrame, priors: dict, activations: dict) -> Table:
    """Compare labels that follow late ratings with another fit, for some shares of late ones."""
    table = Table(
        title="ratings that came in after a fit (kernel sampler)",
        caption="mean absolute difference of the scores from those of a fit of all ratings, in "
        "posterior standard deviations; two fits of all ratings with other seeds: last line",
    )
    for name in ("late ratings", "seconds", "labels follow", "late ratings left out"):
        table.add_column(name, justify="right")
    start = time.perf_counter()
    full = HierarchicalBayes(sampler="kernel", seed=100).fit(
        ratings, priors, activations=activations
    )
    refit = time.perf_counter() - start
    wanted = scores(full, pairs, ratings)
    rng = np.random.default_rng(0)
    for share in (0.01, 0.1, 0.3):
        early = ratings[rng.random(len(ratings)) >= share]
        model = HierarchicalBayes(sampler="kernel", seed=101).fit(
            early, priors, activations=activations
        )
        start = time.perf_counter()
        followed = scores(model, pairs, ratings)
        seconds = time.perf_counter() - start
        left_out = scores(model, pairs, early)
        off = [np.mean(np.abs(s[:, 0] - wanted[:, 0]) / wanted[:, 1]) for s in (followed, left_out)]
        table.add_row(f"{share:.0%}", f"{seconds:.1f}", f"{off[0]:.2f}", f"{off[1]:.2f}")
    again = HierarchicalBayes(sampler="kernel", seed=102).fit(
        ratings, priors, activations=activations
    )
    off = np.mean(np.abs(scores(again, pairs, ratings)[:, 0] - wanted[:, 0]) / wanted[:, 1])
    table.add_row("another fit", f"{refit:.1f}", f"{off:.2f}", "")
    return table


def main() -> None:
    """Run the fits and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--inputs", type=int, default=2000, help="size of the probe dataset")
    parser.add_argument("--draws", type=int, default=180, help="draws a pair")
    parser.add_argument("--raters", type=int, default=300)
    parser.add_argument("--warm", type=int, default=1, help="warm fits a sampler")
    parser.add_argument("--samplers", nargs="+", default=["kernel", "nutpie"])
    options = parser.parse_args()
    pairs = [
        simulate_pair(REGIMES["base"], n_inputs=options.inputs, seed=t)
        for t in range(options.pairs)
    ]
    raters = simulate_raters(options.raters, spread=0.5, seed=0)
    _, ratings = simulate_study(pairs, raters, n_draws=options.draws, seed=1)
    priors = {t: pair.prior for t, pair in enumerate(pairs)}
    activations = {t: pair.activation for t, pair in enumerate(pairs)}
    table = Table(
        title=f"{len(ratings):,} ratings, {options.pairs} pairs, {options.raters} raters, "
        f"{os.cpu_count()} cores",
        caption="default settings: 2 chains; R-hat and effective draws of population parameters",
    )
    for name in (
        "sampler",
        "fit",
        "seconds",
        "CPU s",
        "R-hat",
        "effective draws",
        "divergences",
        "rounds",
    ):
        table.add_column(name, justify="left" if name in ("sampler", "fit") else "right")
    for sampler in options.samplers:
        for number in range(1 + options.warm):
            start, cpu = time.perf_counter(), time.process_time()
            model = HierarchicalBayes(sampler=sampler, seed=number)
            model.fit(ratings, priors, activations=activations)
            found = model.diagnostics_
            table.add_row(
                sampler,
                "warm" if number else "cold",
                f"{time.perf_counter() - start:.1f}",
                f"{time.process_time() - cpu:.1f}",
                f"{found.r_hat_population:.4f}",
                f"{found.ess_population:.0f}",
                str(found.divergences),
                str(found.rounds),
            )
    console = Console()
    console.print(table)
    console.print(late_ratings(pairs, ratings, priors, activations))


if __name__ == "__main__":
    main()
