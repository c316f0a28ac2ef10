"""Time every explainer beside a straightforward baseline, and test the beam search by simulation.

    python benchmarks/explainers.py                                  # 100 x 500, about 2 minutes
    python benchmarks/explainers.py --neurons 2048 --concepts 1000   # a layer of ResNet-50

The baseline explains one neuron at a time from the definitions, with numpy and scikit-learn; it
is timed on a few neurons (or, where it scores pairs, on a few pairs) and extrapolated to all.
Times are CPU seconds of one thread, memory is the peak beyond the input. The second table is a
simulation: neurons are made that follow a random formula of three concepts, with noise, and the
search is run with beams of several widths.
"""

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch
from sklearn.linear_model import orthogonal_mp
from sklearn.metrics import jaccard_score, roc_auc_score

from neuron_eval.binarize import TopFraction
from neuron_eval.explainers import EXPLAINERS, explain_best_auroc
from neuron_eval.formulas import Formula, Literal

ALPHA = 0.05
BEAM = {"max_length": 3}
BASELINE_SETS = 20
BASELINE_NEURONS = 2
#: Sets per concept that a plain search scores: the concepts, and 4 extensions of 3 formulas, twice.
SETS_OF_A_SEARCH = 1 + 2 * 3 * 4
#: What is timed: name of the line, explainer, options.
LINES: dict[str, tuple[str, dict[str, int]]] = {name: (name, {}) for name in EXPLAINERS} | {
    "best_iou, length 3": ("best_iou", BEAM),
    "best_auroc, length 3": ("best_auroc", BEAM),
}


def make_data(n_inputs: int, n_neurons: int, n_concepts: int) -> tuple[np.ndarray, np.ndarray]:
    """Make ReLU-like activations and graded concepts, float32, about 11% present."""
    rng = np.random.default_rng(0)
    activations = np.maximum(rng.standard_normal((n_inputs, n_neurons), dtype=np.float32), -0.5)
    concepts = rng.random((n_inputs, n_concepts), dtype=np.float32)
    np.power(concepts, 6, out=concepts)
    return activations, concepts


# The baselines: each returns CPU seconds for all neurons.


Baseline = Callable[[np.ndarray, np.ndarray], float]


def _per_set(
    score: Callable[[np.ndarray, np.ndarray], object], sets_per_concept: int = 1
) -> Baseline:
    def seconds(activations: np.ndarray, concepts: np.ndarray) -> float:
        n_neurons, n_concepts = activations.shape[1], concepts.shape[1]
        start = time.process_time()
        for place in range(BASELINE_SETS):
            row = activations[:, place % n_neurons].astype(float)
            score(row, concepts[:, (7 * place) % n_concepts].astype(float))
        per_set = (time.process_time() - start) / BASELINE_SETS
        return per_set * n_neurons * n_concepts * sets_per_concept

    return seconds


def _per_neuron(explain: Callable[[np.ndarray, np.ndarray], object]) -> Baseline:
    def seconds(activations: np.ndarray, concepts: np.ndarray) -> float:
        start = time.process_time()
        for neuron in range(BASELINE_NEURONS):
            explain(activations[:, neuron].astype(float), concepts)
        return (time.process_time() - start) / BASELINE_NEURONS * activations.shape[1]

    return seconds


def _active(row: np.ndarray) -> np.ndarray:
    return row >= np.quantile(row, 1 - ALPHA)


def _wpmi(row: np.ndarray, concepts: np.ndarray) -> int:
    logs = np.log(np.maximum(concepts[_active(row)], 1e-8)).mean(axis=0)
    return int(np.argmax(logs - np.log(concepts.mean(axis=0))))


def _soft_wpmi(row: np.ndarray, concepts: np.ndarray) -> int:
    p = 0.998 - np.arange(100) / 100 * 0.028
    logs = np.log(1 + p[:, None] * (concepts[np.argsort(-row)[:100]] - 1)).mean(axis=0)
    return int(np.argmax(logs - np.log(concepts.mean(axis=0))))


def _matching_pursuit(row: np.ndarray, concepts: np.ndarray) -> np.ndarray:
    centred = concepts - concepts.mean(axis=0)
    scaled = centred / np.linalg.norm(centred, axis=0)
    return orthogonal_mp(scaled.astype(float), row - row.mean(), n_nonzero_coefs=3)


def _iou(row: np.ndarray, concept: np.ndarray) -> float:
    return jaccard_score(_active(row), concept >= 0.5)


def _auroc(row: np.ndarray, concept: np.ndarray) -> float:
    return roc_auc_score(concept >= 0.5, row)


BASELINES: dict[str, Baseline] = {
    "best_iou": _per_set(_iou),
    "best_iou, length 3": _per_set(_iou, SETS_OF_A_SEARCH),
    "best_auroc": _per_set(_auroc),
    "best_auroc, length 3": _per_set(_auroc, SETS_OF_A_SEARCH),
    "wpmi": _per_neuron(_wpmi),
    "soft_wpmi": _per_neuron(_soft_wpmi),
    "sparse_linear": _per_neuron(_matching_pursuit),
}


def measure(line: str, n_inputs: int, n_neurons: int, n_concepts: int) -> tuple[float, float]:
    """Run one explainer; return CPU seconds and peak memory beyond its input, in MiB."""
    torch.set_num_threads(1)
    activations, concepts = make_data(n_inputs, n_neurons, n_concepts)
    name, options = LINES[line]
    more = {"binarization": TopFraction(ALPHA)} if name in ("best_iou", "wpmi") else {}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    EXPLAINERS[name](activations, concepts, **options, **more)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return seconds, (peak - before) / 1024


def run_alone(line: str, *sizes: int) -> tuple[float, float]:
    """Measure in a fresh process, so that one explainer's memory does not hide another's."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as executor:
        return executor.submit(measure, line, *sizes).result()


def plant(rng: np.random.Generator, concepts: np.ndarray) -> tuple[Formula, np.ndarray]:
    """Draw a formula of three concepts, not all negated, that holds on 0.5% to 50% of inputs."""
    while True:
        drawn = rng.choice(concepts.shape[1], size=3, replace=False)
        negated = rng.random(3) < 1 / 3
        joins = tuple(rng.choice(["and", "or"], size=2).tolist())
        chain = zip(drawn.tolist(), negated.tolist(), strict=True)
        formula = Formula(tuple(Literal(*each) for each in chain), joins)
        holds = formula.evaluate(concepts) > 0
        if not negated.all() and 0.005 <= holds.mean() <= 0.5:
            return formula, holds


def simulate(
    seed: int, width: int, *, n_inputs: int, n_neurons: int, n_concepts: int, noise: float
) -> np.ndarray:
    """Return, for every neuron: is the planted set found, an equal score, what lacks."""
    rng = np.random.default_rng(seed)
    frequencies = rng.uniform(0.02, 0.3, size=n_concepts)
    concepts = (rng.random((n_inputs, n_concepts)) < frequencies).astype(np.float32)
    planted = [plant(rng, concepts)[1] for _ in range(n_neurons)]
    activations = np.stack(planted, axis=1) + noise * rng.normal(size=(n_inputs, n_neurons))
    found = explain_best_auroc(activations, concepts, max_length=3, beam_width=width)
    results = []
    for row, holds, explanation in zip(activations.T, planted, found, strict=True):
        formula = explanation.formula or Formula((Literal(explanation.terms[0].concept),))
        same = np.array_equal(formula.evaluate(concepts) > 0, holds)
        lacks = max(0.0, roc_auc_score(holds, row) - explanation.score)
        results.append((same, lacks < 1e-9, lacks))
    return np.array(results)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=50_000, help="number of probe inputs")
    parser.add_argument("--neurons", type=int, default=100)
    parser.add_argument("--concepts", type=int, default=500)
    parser.add_argument("--lines", nargs="+", default=list(LINES), choices=list(LINES))
    parser.add_argument("--widths", type=int, nargs="*", default=[1, 3, 5, 10])
    parser.add_argument("--seeds", type=int, default=5, help="of the simulation; 0 leaves it out")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sizes = (arguments.inputs, arguments.neurons, arguments.concepts)
    print(f"{sizes[0]} inputs, {sizes[1]} neurons x {sizes[2]} concepts, CPU seconds, one thread")
    print(f"{'explainer':24s}{'here':>9s}{'MiB':>8s}{'baseline*':>12s}{'times':>8s}")
    activations, concepts = make_data(*sizes)
    for line in arguments.lines:
        seconds, memory = run_alone(line, *sizes)
        text = f"{line:24s}{seconds:9.2f}{memory:8.0f}"
        if line in BASELINES:
            baseline = BASELINES[line](activations, concepts)
            text += f"{baseline:12.1f}{baseline / seconds:8.0f}"
        print(text, flush=True)
    print(
        f"* one neuron at a time with numpy or scikit-learn, from {BASELINE_NEURONS} neurons; "
        f"IoU and AUROC one set at a time, from {BASELINE_SETS} sets"
    )
    if not arguments.seeds:
        return
    shape = {"n_inputs": 10_000, "n_neurons": 20, "n_concepts": 200}
    print(
        f"\nSimulation: best_auroc, length 3, {arguments.seeds} seeds of {shape['n_neurons']} "
        f"neurons, {shape['n_inputs']} inputs, {shape['n_concepts']} concepts;\n"
        "a neuron is its planted formula (0 or 1) plus normal noise"
    )
    print(
        f"{'noise':>6s}{'beam':>6s}{'planted found':>15s}{'score as high':>15s}"
        f"{'lacks, mean':>13s}{'CPU s':>8s}"
    )
    for noise in (0.2, 0.5, 1.0):
        for width in arguments.widths:
            start = time.process_time()
            found = np.concatenate(
                [simulate(seed, width, noise=noise, **shape) for seed in range(arguments.seeds)]
            )
            seconds = time.process_time() - start
            same, as_high, lacks = found.mean(axis=0)
            print(
                f"{noise:6.1f}{width:6d}{same:15.0%}{as_high:15.0%}{lacks:13.3f}{seconds:8.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
