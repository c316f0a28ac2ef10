"""How often the intervals of the demo study hold the true correlation, over several seeds.

    python benchmarks/interval_coverage.py                # five studies, about three minutes
    python benchmarks/interval_coverage.py --seeds 20
    python benchmarks/interval_coverage.py --regimes      # the simulation regimes, ten minutes

Each seed is a study of its own, as `make demo` runs it but without the web: another network, other
labelled images for the concept prior, other samples, other simulated raters (mean error rate 23%).
Everything is a simulation except the digits. The published method (importance weights on BRAgg
labels) and majority votes are scored in the same run. Explanations of one study share raters and
calibration, so the interval of the coverage is taken over studies, not over explanations.

With --regimes nothing is real: studies of 16 simulated (neuron, concept) pairs in each regime of
`estimation.simulated_study`, 180 draws x 3 ratings a pair, 60 raters, and every estimator.
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
from estimation.combined import combined_correlation, combined_linear_correlation
from estimation.correlation import importance_weighted_correlation, published_correlation
from estimation.linear_explanations import linear_explanation_correlation
from estimation.model_correlation import model_assisted_correlation, posterior_correlation
from estimation.sampling import draw_model_guided, pool_draws
from estimation.score_estimate import ScoreEstimate
from estimation.simulated_study import REGIMES, simulate_pair, simulate_study
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
    model_labels = {c: model.concept_draws(c, priors[c], n_draws=200) for c in neurons}
    labels = {
        "hierarchical Bayes, model-assisted": model_labels,
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
            yield outcome(method, estimate, score)
        estimate = combined_linear_correlation(
            activations[:, unit],
            weights,
            [draws[c] for c in concepts],
            [model_labels[c] for c in concepts],
            [predictions[c] for c in concepts],
        )
        yield outcome("hierarchical Bayes, combined", estimate, score)


def outcome(method: str, estimate: ScoreEstimate, score: float) -> tuple[str, float, bool, float]:
    """Return method, error, whether the interval holds the truth, its width."""
    holds = estimate.lower <= score <= estimate.upper
    return method, abs(estimate.score - score), holds, estimate.upper - estimate.lower


def regime_study(
    name: str, seed: int, n_draws: int, sampler: str, n_pairs: int = 16, n_inputs: int = 1500
) -> Iterator[tuple[str, float, bool, float]]:
    """Simulate one study of a regime; yield what `study` does."""
    regime = REGIMES[name]
    pairs = [
        simulate_pair(regime, n_inputs=n_inputs, seed=10_000 * (seed + 1) + t)
        for t in range(n_pairs)
    ]
    raters = simulate_raters(60, mean_error=MEAN_ERROR, seed=seed)
    draws, ratings = simulate_study(
        pairs,
        raters,
        n_draws=n_draws,
        redundancy=REDUNDANCY,
        difficulty_sd=regime.difficulty_sd,
        seed=seed + 50,
    )
    priors = {t: pair.prior for t, pair in enumerate(pairs)}
    model = HierarchicalBayes(seed=seed, sampler=sampler, draws=500).fit(
        ratings, priors, activations={t: pair.activation for t, pair in enumerate(pairs)}
    )
    bragg = BRAgg().fit(ratings, priors).probabilities_
    for t, (pair, draw) in enumerate(zip(pairs, draws, strict=True)):
        g = model.concept_draws(t, pair.prior, n_draws=200)
        prediction = model.prediction_draws(t, pair.prior, n_draws=200)
        labels = bragg.loc[[(t, i) for i in draw.indices]].to_numpy()
        a = pair.activation
        for estimate in (
            published_correlation(a, draw, labels),
            importance_weighted_correlation(a, draw, g[:, draw.indices]),
            model_assisted_correlation(a, draw, g, prediction),
            posterior_correlation(a, g),
            combined_correlation(a, draw, g, prediction),
        ):
            yield outcome(estimate.estimator, estimate, pair.score)


def _filled(probabilities: pd.Series, priors: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Put the probabilities of rated items over the concept prior, one row a concept."""
    labels = {}
    for concept, prior in priors.items():
        own = probabilities.loc[concept]
        label = prior.copy()
        label[own.index.to_numpy()] = own.to_numpy()
        labels[concept] = label[None, :]
    return labels


def coverage_table(frame: pd.DataFrame, title: str) -> Table:
    """Make the table of coverage, error and width, a row a group and method."""
    table = Table(
        title=title, caption="coverage: mean over studies, with its 95% interval over studies"
    )
    for name in ("regime", "labels and estimator"):
        table.add_column(name)
    for name in ("coverage", "mean abs. error", "mean width"):
        table.add_column(name, justify="right")
    for (regime, method), own in frame.groupby(["regime", "method"], sort=False):
        coverage = own.groupby(["regime_of", "seed"])["holds"].mean()
        half = 0.0
        if len(coverage) > 1:
            half = stats.t.ppf(0.975, len(coverage) - 1) * stats.sem(coverage)
        table.add_row(
            str(regime),
            str(method),
            f"{coverage.mean():.1%} ± {half:.1%}",
            f"{own['error'].mean():.3f}",
            f"{own['width'].mean():.3f}",
        )
    return table


def main() -> None:
    """Run the studies and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="number of studies")
    parser.add_argument("--draws", type=int, default=None, help="draws a (neuron, concept) pair")
    parser.add_argument("--sampler", default="kernel", help="of HierarchicalBayes")
    parser.add_argument("--regimes", action="store_true", help="the simulation regimes")
    parser.add_argument("--only", choices=list(REGIMES), help="one of the regimes")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    console = Console()
    names = ["digits"] if not options.regimes else [options.only] if options.only else REGIMES
    draws = options.draws or (180 if options.regimes else 50)
    rows = [
        (name, name, seed, *row)
        for name, seed in track(
            [(name, seed) for name in names for seed in range(options.seeds)], description="studies"
        )
        for row in (
            regime_study(name, seed, draws, options.sampler)
            if options.regimes
            else study(seed, draws, options.sampler)
        )
    ]
    columns = ["regime", "regime_of", "seed", "method", "error", "holds", "width"]
    frame = pd.DataFrame(rows, columns=columns)
    n = len(frame) // frame["method"].nunique()
    if len(frame["regime"].unique()) > 1:
        frame = pd.concat([frame, frame.assign(regime="all")])
    title = f"95% intervals of {n} explanations in {len(names) * options.seeds} simulated studies"
    console.print(coverage_table(frame, title))
    console.print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
