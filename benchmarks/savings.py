"""How many ratings each method needs, on real human ratings (CIFAR-10H) or in simulation.

    python benchmarks/savings.py --data FOLDER        real ratings; FOLDER holds classes_0_to_4.npz
    python benchmarks/savings.py --simulate           simulation in the published setting

The four published rungs (uniform or model-guided draws, majority or BRAgg) stand beside the
one-pair model with the model-assisted estimator. For each method and budget the best redundancy is
taken; "ratings needed" interpolates the relative correlation error (RCE) on log scales.

A neuron is one model's softmax column, a concept "is class k", a concept prior another model's
column, a rating a Bernoulli draw from the share of people who chose the class (--error-rate 0.23
replaces the people by simulated raters of that error rate).
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import expit, logit

from estimation.aggregation import LaplaceMixture, bragg_posterior
from estimation.correlation import published_correlation
from estimation.model_correlation import model_assisted_correlation
from estimation.sampling import Draw, draw_model_guided, draw_uniform

BUDGETS = (60, 180, 540, 1620, 4860, 14580, 43740)
REDUNDANCIES = (1, 3, 9, 27)
FILE = "classes_0_to_4.npz"


@dataclass
class Pair:
    """One (neuron, concept) pair with what a rater says of every input."""

    activation: np.ndarray
    prior: np.ndarray
    truth: np.ndarray
    says_present: np.ndarray  # probability that a rating of the input says present

    @property
    def score(self) -> float:
        """True correlation."""
        return float(np.corrcoef(self.activation, self.truth)[0, 1])


def cifar_pairs(folder: Path, error_rate: float | None) -> Iterator[Pair]:
    """Read pairs: five classes, three (neuron model, prior model) combinations."""
    path = folder / FILE
    if not path.is_file():
        sys.exit(
            f"--data: {path} does not exist. It is CIFAR-10H (human_counts, human_total, truth) "
            "with softmax columns of resnet110, densenet190 and weak_cnn; point --data at its "
            "folder, or use --simulate."
        )
    data = np.load(path, allow_pickle=False)
    share = data["human_counts"] / np.reshape(data["human_total"], (-1, 1))
    for neuron, prior in (
        ("resnet110", "densenet190"),
        ("densenet190", "weak_cnn"),
        ("weak_cnn", "resnet110"),
    ):
        for k in range(5):
            truth = (data["truth"] == k).astype(float)
            says = share[:, k] if error_rate is None else _noisy(truth, error_rate)
            yield Pair(
                data[neuron][:, k].astype(float),
                np.clip(data[prior][:, k].astype(float), 0, 1),
                truth,
                says,
            )


def simulated_pairs(error_rate: float, n_pairs: int = 10) -> Iterator[Pair]:
    """Simulate the published setting: 50,000 inputs, classes of 50, scores of about 0.25."""
    for seed in range(n_pairs):
        rng = np.random.default_rng(seed)
        truth = np.zeros(50_000)
        truth[rng.choice(50_000, 50, replace=False)] = 1
        # alone, this prior errs by about as much as the published one (32%)
        evidence = rng.normal(truth * 3.7 - 1.85)
        prior = expit(3.7 * evidence + logit(0.001))
        activation = np.maximum(rng.normal(truth * 6.0 * rng.random(50_000)) + 0.5, 0) ** 2
        yield Pair(activation, prior, truth, _noisy(truth, error_rate))


def _noisy(truth: np.ndarray, error_rate: float) -> np.ndarray:
    return np.where(truth == 1, 1 - error_rate, error_rate)


def rate(pair: Pair, draw: Draw, redundancy: int, rng: np.random.Generator) -> np.ndarray:
    """Count ratings that say present of every drawn input; repeated inputs share their ratings."""
    unique, inverse = np.unique(draw.indices, return_inverse=True)
    counts: np.ndarray = rng.binomial(redundancy, pair.says_present[unique])
    return counts[inverse]


def published(design: str, aggregation: str) -> Callable[..., float]:
    """Make one of the four published rungs."""

    def estimate(pair: Pair, n: int, redundancy: int, seed: int, error_rate: float) -> float:
        draw = (
            draw_uniform(pair.truth.size, n, seed=seed)
            if design == "uniform"
            else draw_model_guided(pair.activation, pair.prior, n_draws=n, seed=seed)
        )
        k = rate(pair, draw, redundancy, np.random.default_rng([seed, 1]))
        if aggregation == "majority":
            labels = (2 * k > redundancy).astype(float)
        else:
            labels = bragg_posterior(redundancy, k, pair.prior[draw.indices], error_rate=error_rate)
        score = published_correlation(pair.activation, draw, labels).score
        return 0.0 if np.isnan(score) else score  # no positives seen: the error is then 100%

    return estimate


def one_pair_model(pair: Pair, n: int, redundancy: int, seed: int, error_rate: float) -> float:
    """Draw by MG-IS, fit the one-pair model, score by the model-assisted estimator."""
    draw = draw_model_guided(pair.activation, pair.prior, n_draws=n, seed=seed)
    k = rate(pair, draw, redundancy, np.random.default_rng([seed, 1]))
    items, first = np.unique(draw.indices, return_index=True)
    model = LaplaceMixture(miss_rate=error_rate, false_alarm_rate=error_rate, seed=seed)
    model.fit_counts(pair.activation, pair.prior, items, np.full(items.size, redundancy), k[first])
    return model_assisted_correlation(
        pair.activation,
        draw,
        model.concept_draws(n_draws=100),
        model.prediction_draws(n_draws=100),
        n_imputations=200,
    ).score


METHODS: dict[str, Callable[..., float]] = {
    "uniform + majority": published("uniform", "majority"),
    "uniform + BRAgg": published("uniform", "bragg"),
    "MG-IS + majority": published("model_guided", "majority"),
    "MG-IS + BRAgg": published("model_guided", "bragg"),
    "MG-IS + one-pair model": one_pair_model,
}


def error_curve(
    method: str, pairs: list[Pair], n_seeds: int, error_rate: float, largest: int
) -> list[float]:
    """Mean RCE at every budget, at the best redundancy."""
    curve = []
    for budget in (b for b in BUDGETS if b <= largest):
        by_redundancy = []
        for redundancy in (3,) if method.endswith("model") else REDUNDANCIES:
            rce = [
                abs(
                    METHODS[method](pair, budget // redundancy, redundancy, seed, error_rate)
                    - pair.score
                )
                / abs(pair.score)
                for pair in pairs
                for seed in range(n_seeds)
            ]
            by_redundancy.append(float(np.mean(rce)))
        curve.append(min(by_redundancy))
    return curve


def ratings_needed(curve: list[float], target: float) -> float:
    """Interpolate log ratings by log error; infinite where the target is never reached."""
    for number, value in enumerate(curve):
        if value <= target:
            if number == 0:
                return float(BUDGETS[0])
            x0, x1 = np.log(BUDGETS[number - 1 : number + 1])
            y0, y1 = np.log(curve[number - 1]), np.log(value)
            return float(np.exp(x0 + (x1 - x0) * (y0 - np.log(target)) / (y0 - y1)))
    return float("inf")


def main() -> None:
    """Print the table of errors and savings."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="folder of CIFAR-10H")
    source.add_argument("--simulate", action="store_true", help="simulate the published setting")
    parser.add_argument("--error-rate", type=float, help="replace people by simulated raters")
    parser.add_argument(
        "--target", type=float, default=0.275, help="RCE to reach (published: .275)"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--largest", type=int, default=BUDGETS[-1], help="largest budget, ratings")
    arguments = parser.parse_args()
    if arguments.simulate:
        rate_of_errors = arguments.error_rate or 0.23
        pairs = list(simulated_pairs(rate_of_errors))
        print("SIMULATION: 50,000 inputs, 50 positives each")
    else:
        pairs = list(cifar_pairs(arguments.data, arguments.error_rate))
        # what the aggregation is told: people of CIFAR-10H err rarely, and it may know
        rate_of_errors = arguments.error_rate or 0.03
        kind = (
            f"simulated raters, error rate {arguments.error_rate}"
            if arguments.error_rate
            else "people"
        )
        print(f"CIFAR-10H, 10,000 inputs, {len(pairs)} pairs, ratings by {kind}")
    prior = np.mean(
        [abs(np.corrcoef(p.activation, p.prior)[0, 1] - p.score) / abs(p.score) for p in pairs]
    )
    print(
        f"mean true score {np.mean([p.score for p in pairs]):.3f}, "
        f"RCE of the prior alone {prior:.3f}"
    )
    used = [budget for budget in BUDGETS if budget <= arguments.largest]
    print(
        f"{'RCE at ratings':26s}"
        + "".join(f"{b:>8d}" for b in used)
        + f"  needed for {arguments.target}"
    )
    baseline = float("nan")
    for method in METHODS:
        # the model is slow beyond some thousand ratings, and needs no more
        largest = min(arguments.largest, 1620) if method.endswith("model") else arguments.largest
        curve = error_curve(method, pairs, arguments.seeds, rate_of_errors, largest)
        needed = ratings_needed(curve, arguments.target)
        baseline = needed if method == "uniform + majority" else baseline
        cells = "".join(f"{value:8.3f}" for value in curve).ljust(8 * len(used))
        times = f"({baseline / needed:.1f}x)" if np.isfinite(baseline) else ""
        print(f"{method:26s}{cells}  {needed:8.0f}  {times}", flush=True)


if __name__ == "__main__":
    main()
