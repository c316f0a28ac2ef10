"""Time every metric beside a straightforward baseline, in the same run.

    python benchmarks/metrics.py                     # 100 x 100 and 1000 x 1000, about 20 minutes
    python benchmarks/metrics.py --sizes 100         # 100 x 100 only

The baseline scores one pair at a time with scikit-learn or scipy, as people do; it is timed on a
few pairs and extrapolated to all. Times are CPU seconds of one thread. The calibration task (one
float64 matrix product) is timed first, so that figures of two machines can be compared.
"""

import argparse
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import stats
from sklearn import metrics as sk
from threadpoolctl import threadpool_limits

from neuron_eval.binarize import TopFraction
from neuron_eval.functional.at_once import score_contingency_metrics
from neuron_eval.registry import METRICS

ALPHA = 0.05
BASELINE_PAIRS = 20
#: Short runs are repeated, and the best counts: the machine does other things too.
REPEATS, LONG_ENOUGH = 3, 10.0
AT_ONCE = "the ten contingency metrics"
#: Timed once more with little memory: one metric of counts, one of ranks.
BOUNDED = ("iou", "auroc")

#: CPU seconds of the paper's public code and of a fast exact prototype, per size. They were
#: measured on another two-core machine, in one thread, N = 50,000; where a range was given, its
#: upper end. The calibration task says how the machines compare.
PUBLISHED: dict[str, dict[int, tuple[float, float]]] = {
    AT_ONCE: {100: (1.9, 0.09), 1000: (52, 4.6)},
    "auroc": {100: (14.8, 0.31), 1000: (1630, 7)},
    "inverse_auroc": {100: (17, 0.38), 1000: (1730, 10)},
    "auprc": {100: (77, 0.24), 1000: (12_700, 7)},
    "inverse_auprc": {100: (43, 0.58), 1000: (6250, 42)},
    "spearman_correlation": {100: (2.1, 0.65), 1000: (19, 5.4)},
    "mean_activation_difference": {100: (2.0, 0.09), 1000: (380, 2.2)},
    "pearson_correlation_top_and_random": {100: (0.34, 0.09), 1000: (10, 5.2)},
    "spearman_correlation_top_and_random": {100: (0.34, 0.09), 1000: (10, 5.2)},
}


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
    # Idle threads of a BLAS spin, and would count as work.
    with threadpool_limits(1):
        start = time.process_time()
        for pair in pairs:
            score(pair)
        per_pair = (time.process_time() - start) / BASELINE_PAIRS
    return per_pair * a.shape[1] * c.shape[1]


def run_metric(name: str, activations: np.ndarray, concepts: np.ndarray, **options: Any) -> None:
    """Score all pairs with one metric, or with all ten of the 2 x 2 table."""
    if name == AT_ONCE:
        score_contingency_metrics(activations, concepts, binarization=TopFraction(ALPHA), **options)
        return
    metric = METRICS[name]
    if "binarization" in metric.parameters:
        options["binarization"] = TopFraction(ALPHA)
    metric(activations, concepts, **options)


def measure(name: str, n_inputs: int, size: int, memory_mib: int | None) -> tuple[float, float]:
    """Run one metric; return CPU seconds, best of some, and peak memory above its input, in MiB.

    Compiled kernels are loaded first, on a few inputs: a process pays that once. The peak is that
    of the resident set (VmHWM, which Linux resets on request); elsewhere it is NaN.
    """
    torch.set_num_threads(1)
    run_metric(name, *make_data(200, 3))
    activations, concepts = make_data(n_inputs, size)
    options = {} if memory_mib is None else {"memory_budget": memory_mib << 20}
    before = reset_peak()
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        run_metric(name, activations, concepts, **options)
        times.append(time.process_time() - start)
        if times[0] > LONG_ENOUGH:
            break
    return min(times), (peak() - before) / 1024


def reset_peak() -> float:
    """Set the recorded peak of memory to what is in use; return that, in KiB."""
    clear = Path("/proc/self/clear_refs")
    if not clear.exists():
        return float("nan")
    clear.write_text("5", encoding="ascii")
    return peak()


def peak() -> float:
    """Return the greatest resident set since the last reset, in KiB."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    [line] = [row for row in status.read_text().splitlines() if row.startswith("VmHWM")]
    return float(line.split()[1])


def run_alone(
    name: str, n_inputs: int, size: int, memory_mib: int | None = None
) -> tuple[float, float]:
    """Measure in a fresh process, so that one metric's memory does not hide another's."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as executor:
        return executor.submit(measure, name, n_inputs, size, memory_mib).result()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=50_000, help="number of probe inputs")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--metrics", nargs="+", default=[*METRICS, AT_ONCE])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"calibration: {calibrate():.2f} s for a 1000 x 20000 x 1000 float64 product, one thread")
    above: list[str] = []
    for size in arguments.sizes:
        print(f"\n{size} x {size}, {arguments.inputs} inputs, alpha {ALPHA}, CPU seconds")
        print(
            f"{'metric':46s}{'here':>8s}{'MiB':>7s}{'baseline':>10s}{'times':>7s}"
            f"{'reference':>11s}{'prototype':>11s}{'ratio':>7s}"
        )
        activations, concepts = make_data(arguments.inputs, size)
        for name in arguments.metrics:
            seconds, memory = run_alone(name, arguments.inputs, size)
            line = f"{name:46s}{seconds:8.2f}{memory:7.0f}"
            if name in BASELINE:
                baseline = time_baseline(name, activations, concepts)
                line += f"{baseline:10.1f}{baseline / seconds:7.0f}"
            else:
                line += f"{'':17s}"
            # The published figures are for these inputs and sizes only.
            if arguments.inputs == 50_000 and name in PUBLISHED and size in (100, 1000):
                reference, prototype = PUBLISHED[name][size]
                line += f"{reference:11.1f}{prototype:11.2f}{seconds / prototype:7.2f}"
                if seconds > prototype:
                    above.append(f"{name} at {size} x {size}")
            print(line, flush=True)
        for name in BOUNDED:
            seconds, memory = run_alone(name, arguments.inputs, size, memory_mib=64)
            print(f"{name + ', memory_budget 64 MiB':46s}{seconds:8.2f}{memory:7.0f}", flush=True)
    print(f"\nbaseline: one pair at a time with scikit-learn or scipy, from {BASELINE_PAIRS} pairs")
    print("reference: the paper's public code; prototype: a fast exact one; both measured on two")
    print("cores, single thread, 1000 x 1000 of the reference extrapolated; not in this run")
    print("MiB: peak above the input; scores (7.6 MiB at 1000 x 1000) and libraries included")
    print(f"above the prototype: {', '.join(above) or 'none'}")


if __name__ == "__main__":
    main()
