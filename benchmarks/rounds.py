"""What a further round of ratings is worth at equal ratings, by how its inputs are chosen.

    python benchmarks/rounds.py                # 15 studies a regime, about five minutes
    python benchmarks/rounds.py --seeds 4      # quicker

Everything is a simulation (`estimation.simulated_study`: eight regimes, 2000 inputs; raters who err
in 23% of their ratings, 3 ratings an input). A study of the web app launches with 60 draws of MG-IS
for a pair, about 55 distinct inputs, and then has 40 more inputs rated, chosen in one of several
ways; the number of draws is set beforehand so that 40 new inputs are expected. "One launch" draws
as many distinct inputs at once. "Single ratings" is `neuron-estimate next`, which may also have an
input rated again: what rounds of whole items give up. Errors are absolute, intervals of the mean
over studies; posterior and estimates that the sample corrects come from the one-pair model.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from estimation.adaptive import (
    adaptive_distribution,
    adaptive_study,
    one_pair_score,
    rating_gain,
)
from estimation.aggregation import LaplaceMixture
from estimation.checks import FloatArray
from estimation.combined import combined_correlation
from estimation.model_correlation import model_assisted_correlation
from estimation.sampling import (
    Draw,
    draw_from,
    draw_model_guided,
    join_rounds,
    model_guided_distribution,
)
from estimation.score_estimate import ScoreEstimate
from estimation.simulated_study import REGIMES, SimulatedPair, simulate_pair

N_INPUTS = 2000
REDUNDANCY = 3
ERROR_RATE = 0.23
LAUNCH_DRAWS = 60
NEW_INPUTS = 40
POWERS = {"adaptive, gain^.5": 0.5, "adaptive, gain": 1.0, "adaptive, gain^2": 2.0}
ESTIMATORS = ("model_assisted", "combined", "posterior")


class Study:
    """One pair whose every input has its ratings ready, unread until a method asks for them."""

    def __init__(self, regime: str, seed: int) -> None:
        self.pair: SimulatedPair = simulate_pair(REGIMES[regime], n_inputs=N_INPUTS, seed=seed)
        self.rng = np.random.default_rng([5, seed])
        present = np.where(self.pair.truth > 0, 1 - ERROR_RATE, ERROR_RATE)
        self.k = self.rng.binomial(REDUNDANCY, present)
        self.present = present
        self.seed = seed

    def fit(self, draw: Draw, n_proposals: int) -> LaplaceMixture:
        """Fit the one-pair model to the ratings of the inputs drawn."""
        items = draw.unique_indices
        n = np.full(items.size, REDUNDANCY)
        model = LaplaceMixture(n_proposals=n_proposals, seed=self.seed)
        return model.fit_counts(self.pair.activation, self.pair.prior, items, n, self.k[items])

    def scores(self, draw: Draw) -> dict[str, ScoreEstimate]:
        """Estimate the score in every way."""
        a, model = self.pair.activation, self.fit(draw, 1000)
        g, predicted = model.concept_draws(n_draws=100), model.prediction_draws(n_draws=100)
        return {
            "model_assisted": model_assisted_correlation(a, draw, g, predicted, n_imputations=100),
            "combined": combined_correlation(a, draw, g, predicted),
            "posterior": one_pair_score(model, a),
        }

    def single_ratings(self, n_ratings: int) -> ScoreEstimate:
        """Run rounds of single ratings, which choose inputs that were rated before as well."""

        def rate(items: NDArray[np.int64]) -> NDArray[np.bool_]:
            says: NDArray[np.bool_] = self.rng.random(items.size) < self.present[items]
            return says

        pair = self.pair
        return adaptive_study(
            pair.activation, pair.prior, rate, n_ratings=n_ratings, seed=self.seed
        ).estimate


def draws_for(distribution: FloatArray, wanted: float) -> int:
    """The least number of draws that is expected to fall on so many distinct inputs."""
    low, high = 1, 100 * N_INPUTS
    while low < high:
        middle = (low + high) // 2
        expected = -np.expm1(middle * np.log1p(-distribution)).sum()
        low, high = (middle + 1, high) if expected < wanted else (low, middle)
    return low


def one_study(regime: str, seed: int) -> Iterator[tuple[str, int, dict[str, ScoreEstimate]]]:
    """Give the scores of a study in each way to choose its inputs, with how many were rated."""
    study = Study(regime, seed)
    a, prior = study.pair.activation, study.pair.prior
    launch = draw_model_guided(a, prior, n_draws=LAUNCH_DRAWS, seed=7 * seed + 1)
    guided = model_guided_distribution(a, prior)
    yield "launch alone", launch.unique_indices.size, study.scores(launch)
    in_all = launch.unique_indices.size + NEW_INPUTS
    larger = draw_from(guided, draws_for(guided, in_all), design="x", seed=7 * seed + 4)
    yield "one launch, as many inputs", larger.unique_indices.size, study.scores(larger)

    gain = rating_gain(study.fit(launch, 400), a)
    fresh = np.ones(N_INPUTS)
    fresh[launch.indices] = 0
    rounds = {"second round by MG-IS": guided}
    rounds |= {name: adaptive_distribution([gain], power=p) for name, p in POWERS.items()}
    for name, q in rounds.items():
        n_draws = draws_for(q * fresh, NEW_INPUTS)
        second = draw_from(q, n_draws, design="adaptive", seed=7 * seed + 3)
        joined = join_rounds([launch, second])
        yield name, joined.unique_indices.size, study.scores(joined)
    single = study.single_ratings(REDUNDANCY * in_all)
    yield "single ratings, six rounds", in_all, {"posterior": single}


def main() -> None:
    """Run the studies and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=15, help="studies a regime")
    options = parser.parse_args()
    console = Console()
    errors: dict[tuple[str, str], list[float]] = defaultdict(list)
    covers: dict[tuple[str, str], list[bool]] = defaultdict(list)
    inputs: dict[str, list[int]] = defaultdict(list)
    studies = [(regime, 1000 + seed) for regime in REGIMES for seed in range(options.seeds)]
    for regime, seed in track(studies, description="studies", console=console):
        truth = simulate_pair(REGIMES[regime], n_inputs=N_INPUTS, seed=seed).score
        for name, n_inputs, scores in one_study(regime, seed):
            inputs[name].append(n_inputs)
            for estimator, estimate in scores.items():
                errors[name, estimator].append(abs(estimate.score - truth))
                covers[name, estimator].append(estimate.lower <= truth <= estimate.upper)
    table = Table(title=f"Mean absolute error over {len(studies)} simulated studies (coverage)")
    for column in ("inputs chosen", "inputs", *ESTIMATORS):
        table.add_column(column, justify="left" if column == "inputs chosen" else "right")
    for name, sizes in inputs.items():
        cells = []
        for estimator in ESTIMATORS:
            values = np.array(errors.get((name, estimator), []))
            if values.size == 0:
                cells.append("")
                continue
            half = 1.96 * values.std(ddof=1) / np.sqrt(values.size)
            share = np.mean(covers[name, estimator])
            cells.append(f"{values.mean():.4f} +- {half:.4f} ({share:.0%})")
        table.add_row(name, f"{np.mean(sizes):.0f}", *cells)
    console.print(table)
    base = np.array(errors["one launch, as many inputs", "model_assisted"])
    for name in ("second round by MG-IS", *POWERS):
        ratio = np.array(errors[name, "model_assisted"])
        rng = np.random.default_rng(0)
        picks = rng.integers(0, base.size, (2000, base.size))
        ends = np.quantile(ratio[picks].mean(axis=1) / base[picks].mean(axis=1), [0.025, 0.975])
        console.print(
            f"{name}: error {ratio.mean() / base.mean():.2f} [{ends[0]:.2f}, {ends[1]:.2f}] of one "
            "launch with as many inputs, model-assisted (bootstrap over studies)"
        )


if __name__ == "__main__":
    main()
