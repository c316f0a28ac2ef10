"""How often the intervals of the demo study hold the true correlation, over several seeds.

    python benchmarks/interval_coverage.py                # five studies, about three minutes
    python benchmarks/interval_coverage.py --seeds 20

Each seed is a study of its own, as `make demo` runs it but without the web: another network, other
labelled images for the concept prior, other samples, other simulated raters (mean error rate 23%).
Everything is a simulation except the digits. The published method (importance weights on BRAgg
labels) and majority votes are scored in the same run. Explanations of one study share raters and
calibration, so the interval of the coverage is taken over studies, not over explanations.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy import stats

from demo import digits, network
from estimation.aggregation import BRAgg, HierarchicalBayes, MajorityVote
from estimation.linear_explanations import linear_explanation_correlation
from estimation.sampling import draw_model_guided, pool_draws
from estimation.simulation import simulate_raters, simulate_ratings
from neuron_eval.activations import record_activations
from neuron_eval.class_labels import attribute_concepts
from neuron_eval.concepts import LinearProbeSource
from neuron_eval.explainers import EXPLAINERS

REDUNDANCY = 3
MEAN_ERROR = 0.23
N_NEURONS = {network.HIDDEN_LAYER: 8, network.OUTPUT_LAYER: 6}


def neurons_of(seed: int, data: digits.Digits) -> np.ndarray:
    """Train a network; return the activations of its neurons, shape (n_inputs, 14)."""
    model, _ = network.train(data, seed=seed)
    images = torch.from_numpy(data.images).unsqueeze(1)
    recorded = record_activations(model, list(N_NEURONS), images.split(256))
    hidden = recorded[network.HIDDEN_LAYER].numpy().astype(np.float64)
    varied = np.argsort(-hidden.std(axis=0), kind="stable")[: N_NEURONS[network.HIDDEN_LAYER]]
    output = recorded[network.OUTPUT_LAYER].numpy().astype(np.float64)
    return np.hstack([hidden[:, varied], output[:, : N_NEURONS[network.OUTPUT_LAYER]]])


def explanations_of(activations: np.ndarray, prior: np.ndarray, seed: int) -> set[tuple]:
    """Return the distinct (neuron, ((concept, weight), ...)) of all explanation methods."""
    found = set()
    for name, explain in EXPLAINERS.items():
        options = {"seed": seed} if name == "random_concept" else {}
        for explanation in explain(activations, prior, **options):
            terms = tuple((term.concept, term.weight) for term in explanation.terms)
            found.add((explanation.unit, terms))
    return found


def study(seed: int, n_draws: int, sampler: str) -> Iterator[tuple[str, float, bool, float]]:
    """Run one study; yield method, error, whether the interval holds the truth, its width."""
    data = digits.load(seed=seed)
    truth = attribute_concepts(data.labels, digits.CONCEPTS).numpy()
    pixels = data.images.reshape(len(data.images), -1)
    source = LinearProbeSource(list(digits.CONCEPTS), pixels[data.labelled], truth[data.labelled])
    prior = source.concept_vectors(pixels)
    activations = neurons_of(seed, data)
    explanations = explanations_of(activations, prior, seed)

    neurons = defaultdict(set)
    for unit, terms in explanations:
        for concept, _ in terms:
            neurons[concept].add(unit)
    raters = simulate_raters(60, mean_error=MEAN_ERROR, seed=seed)
    draws, tables = {}, []
    for concept, units in neurons.items():
        draws[concept] = pool_draws(
            [
                draw_model_guided(
                    activations[:, unit],
                    prior[:, concept],
                    n_draws=n_draws,
                    seed=1000 * seed + 50 * concept + unit,
                )
                for unit in sorted(units)
            ]
        )
        tables.append(
            simulate_ratings(
                truth[:, concept],
                raters,
                items=draws[concept].unique_indices,
                redundancy=REDUNDANCY,
                seed=1000 * seed + concept,
                concept=concept,
            )
        )
    ratings = pd.concat(tables, ignore_index=True)
    priors = {concept: prior[:, concept] for concept in neurons}
    model = HierarchicalBayes(seed=seed, sampler=sampler).fit(
        ratings,
        priors,
        activations={c: activations[:, sorted(units)] for c, units in neurons.items()},
    )
    labels = {
        "hierarchical Bayes, model-assisted": {
            c: model.concept_draws(c, priors[c], n_draws=200) for c in neurons
        },
        "BRAgg, importance-weighted (published)": _filled(
            BRAgg().fit(ratings, priors).probabilities_, priors
        ),
        "majority vote, importance-weighted": _filled(
            MajorityVote().fit(ratings).probabilities_, priors
        ),
    }
    predictions = {c: model.prediction_draws(c, priors[c], n_draws=200) for c in neurons}
    for unit, terms in sorted(explanations):
        concepts, weights = zip(*terms, strict=True)
        target = truth[:, concepts] @ np.asarray(weights)
        score = np.corrcoef(activations[:, unit], target)[0, 1]
        for method, rows in labels.items():
            estimate = linear_explanation_correlation(
                activations[:, unit],
                weights,
                [draws[c] for c in concepts],
                [rows[c] for c in concepts],
                prediction=[predictions[c] for c in concepts] if "assisted" in method else None,
                n_imputations=200,
            )
            holds = estimate.lower <= score <= estimate.upper
            yield method, abs(estimate.score - score), holds, estimate.upper - estimate.lower


def _filled(probabilities: pd.Series, priors: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Put the probabilities of rated items over the concept prior, one row a concept."""
    labels = {}
    for concept, prior in priors.items():
        own = probabilities.loc[concept]
        label = prior.copy()
        label[own.index.to_numpy()] = own.to_numpy()
        labels[concept] = label[None, :]
    return labels


def main() -> None:
    """Run the studies and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="number of studies")
    parser.add_argument("--draws", type=int, default=50, help="draws a (neuron, concept) pair")
    parser.add_argument("--sampler", default="kernel", help="of HierarchicalBayes")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    rows = [
        (seed, *row)
        for seed in track(range(options.seeds), description="studies")
        for row in study(seed, options.draws, options.sampler)
    ]
    frame = pd.DataFrame(rows, columns=["seed", "method", "error", "holds", "width"])
    n = frame.groupby("seed").size().sum() // frame["method"].nunique()
    table = Table(
        title=f"95% intervals of {n} explanations in {options.seeds} simulated studies",
        caption="coverage: mean over studies, with its 95% interval over studies",
    )
    for name in ("labels and estimator", "coverage", "mean abs. error", "mean width"):
        table.add_column(name, justify="left" if name.startswith("labels") else "right")
    for method, own in frame.groupby("method", sort=False):
        coverage = own.groupby("seed")["holds"].mean()
        half = 0.0
        if len(coverage) > 1:
            half = stats.t.ppf(0.975, len(coverage) - 1) * stats.sem(coverage)
        table.add_row(
            str(method),
            f"{coverage.mean():.1%} ± {half:.1%}",
            f"{own['error'].mean():.3f}",
            f"{own['width'].mean():.3f}",
        )
    console = Console()
    console.print(table)
    console.print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
