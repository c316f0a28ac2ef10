"""Time every metric beside a straightforward baseline, in the same run.

    python benchmarks/metrics.py                     # 100 x 100 and 1000 x 1000, about 20 minutes
    python benchmarks/metrics.py --sizes 100         # 100 x 100 only

The baseline scores one pair at a time with scikit-learn or scipy, as people do; it is timed on a
few pairs and extrapolated to all. Times are CPU seconds of one thread. The calibration task (one
float64 matrix product) is timed first, so that figures of two machines can be compared.
"""

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import stats
from sklearn import metrics as sk

from neuron_eval.binarize import TopFraction
from neuron_eval.functional.at_once import score_contingency_metrics
from neuron_eval.registry import METRICS

ALPHA = 0.05
BASELINE_PAIRS = 20


class Pair(NamedTuple):
    """One neuron and one concept: values, and the same as booleans."""

    a: np.ndarray
    c: np.ndarray
    nb: np.ndarray
    cb: np.ndarray


Score = Callable[[Pair], float]


def _top_and_random(correlate: Callable[..., Any]) -> Score:
    def score(p: Pair) -> float:
        rng = np.random.default_rng(0)
        top = rng.choice(np.flatnonzero(p.nb), 25, replace=False)
        drawn = np.concatenate([top, rng.choice(len(p.a), 25, replace=False)])
        return float(correlate(p.a[drawn], p.c[drawn])[0])

    return score


def _mean(*parts: Score) -> Score:
    return lambda p: float(stats.hmean([max(part(p), 0) for part in parts]))


#: One pair at a time, from the definitions.
BASELINE: dict[str, Score] = {
    "recall": lambda p: sk.recall_score(p.nb, p.cb),
    "precision": lambda p: sk.precision_score(p.nb, p.cb, zero_division=0),
    "f1_score": lambda p: sk.f1_score(p.nb, p.cb),
    "iou": lambda p: sk.jaccard_score(p.nb, p.cb),
    "accuracy": lambda p: sk.accuracy_score(p.nb, p.cb),
    "balanced_accuracy": lambda p: sk.balanced_accuracy_score(p.nb, p.cb),
    "inverse_balanced_accuracy": lambda p: sk.balanced_accuracy_score(p.cb, p.nb),
    "auroc": lambda p: sk.roc_auc_score(p.nb, p.c),
    "inverse_auroc": lambda p: sk.roc_auc_score(p.cb, p.a),
    "auprc": lambda p: sk.average_precision_score(p.nb, p.c),
    "inverse_auprc": lambda p: sk.average_precision_score(p.cb, p.a),
    "pearson_correlation": lambda p: stats.pearsonr(p.a, p.c).statistic,
    "spearman_correlation": lambda p: stats.spearmanr(p.a, p.c).statistic,
    "cosine_similarity": lambda p: p.a @ p.c / np.linalg.norm(p.a) / np.linalg.norm(p.c),
    "wpmi": lambda p: np.log(np.maximum(p.c[p.nb], 1e-8)).mean() - np.log(p.c.mean()),
    "mean_activation_difference": lambda p: p.a[p.cb].mean() - p.a[~p.cb].mean(),
    "pearson_correlation_top_and_random": _top_and_random(stats.pearsonr),
    "spearman_correlation_top_and_random": _top_and_random(stats.spearmanr),
}
BASELINE |= {
    "combined_auroc": _mean(BASELINE["auroc"], BASELINE["inverse_auroc"]),
    "combined_balanced_accuracy": _mean(
        BASELINE["balanced_accuracy"], BASELINE["inverse_balanced_accuracy"]
    ),
    "combined_recall_auroc": _mean(BASELINE["recall"], BASELINE["auroc"]),
    "combined_recall_inverse_auroc": _mean(BASELINE["recall"], BASELINE["inverse_auroc"]),
    "combined_precision_balanced_accuracy": _mean(
        BASELINE["precision"], BASELINE["balanced_accuracy"]
    ),
    "combined_precision_inverse_balanced_accuracy": _mean(
        BASELINE["precision"], BASELINE["inverse_balanced_accuracy"]
    ),
}


def make_data(n_inputs: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Make ReLU-like activations and graded concepts, float32, about 11% present."""
    rng = np.random.default_rng(0)
    activations = np.maximum(rng.standard_normal((n_inputs, size), dtype=np.float32), -0.5)
    # In place and in single precision: making the data must not need more memory than a metric.
    concepts = rng.random((n_inputs, size), dtype=np.float32)
    np.power(concepts, 6, out=concepts)
    return activations, concepts


def calibrate() -> float:
    """Time the shared calibration task: a 1000 x 20000 x 1000 product in float64, best of 3."""
    matrix = torch.ones((1000, 20_000), dtype=torch.float64)
    times = []
    for _ in range(3):
        start = time.process_time()
        matrix @ matrix.T
        times.append(time.process_time() - start)
    return min(times)


def time_baseline(name: str, activations: np.ndarray, concepts: np.ndarray) -> float:
    """Time the baseline on a few pairs and extrapolate to all pairs, in CPU seconds."""
    score = BASELINE[name]
    a, c = activations.astype(float), concepts.astype(float)
    columns = [(place % a.shape[1], (7 * place) % c.shape[1]) for place in range(BASELINE_PAIRS)]
    pairs = [
        Pair(
            a[:, i].copy(),
            c[:, j].copy(),
            a[:, i] >= np.quantile(a[:, i], 1 - ALPHA),
            c[:, j] >= 0.5,
        )
        for i, j in columns
    ]
    start = time.process_time()
    for pair in pairs:
        score(pair)
    per_pair = (time.process_time() - start) / BASELINE_PAIRS
    return per_pair * a.shape[1] * c.shape[1]


def measure(name: str, n_inputs: int, size: int) -> tuple[float, float]:
    """Run one metric; return CPU seconds and peak memory beyond its input, in MiB."""
    torch.set_num_threads(1)
    activations, concepts = make_data(n_inputs, size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    if name == "the ten contingency metrics":
        score_contingency_metrics(activations, concepts, binarization=TopFraction(ALPHA))
    else:
        metric = METRICS[name]
        takes = "binarization" in metric.parameters
        metric(activations, concepts, **({"binarization": TopFraction(ALPHA)} if takes else {}))
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return seconds, (peak - before) / 1024


def run_alone(name: str, n_inputs: int, size: int) -> tuple[float, float]:
    """Measure in a fresh process, so that one metric's memory does not hide another's."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as executor:
        return executor.submit(measure, name, n_inputs, size).result()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=50_000, help="number of probe inputs")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--metrics", nargs="+", default=[*METRICS, "the ten contingency metrics"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"calibration: {calibrate():.2f} s for a 1000 x 20000 x 1000 float64 product, one thread")
    for size in arguments.sizes:
        print(f"\n{size} x {size}, {arguments.inputs} inputs, alpha {ALPHA}, CPU seconds")
        print(f"{'metric':46s}{'here':>9s}{'MiB':>8s}{'baseline*':>12s}{'times':>8s}")
        activations, concepts = make_data(arguments.inputs, size)
        for name in arguments.metrics:
            seconds, memory = run_alone(name, arguments.inputs, size)
            line = f"{name:46s}{seconds:9.2f}{memory:8.0f}"
            if name in BASELINE:
                baseline = time_baseline(name, activations, concepts)
                line += f"{baseline:12.1f}{baseline / seconds:8.0f}"
            print(line, flush=True)
    print(f"\n* one pair at a time with scikit-learn or scipy, from {BASELINE_PAIRS} pairs")


if __name__ == "__main__":
    main()
