"""Time the hierarchical Bayesian model on a large simulated study.

    python benchmarks/hierarchical.py                       # 100 pairs x 180 inputs x 3 ratings
    python benchmarks/hierarchical.py --pairs 20 --samplers kernel

Everything is a simulation: pairs of the regime "base", 300 raters, 54,000 ratings. Each sampler is
fitted cold (first fit of the process, compilation included) and warm (again in the same process,
with other seeds). The population's R-hat and effective sample size say whether the time was worth
it; the goal is under 60 s on two cores with R-hat below 1.01.
"""

import argparse
import os
import time

from rich.console import Console
from rich.table import Table

from estimation.aggregation import HierarchicalBayes
from estimation.simulated_study import REGIMES, simulate_pair, simulate_study
from estimation.simulation import simulate_raters


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
    Console().print(table)


if __name__ == "__main__":
    main()
