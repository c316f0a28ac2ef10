"""Run metrics over pairs whose labels are spoiled in some way; tune their parameters first.

How labels are spoiled is the caller's: a function from a pair to its labels as they are, with
missing and with extra ones.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuron_eval.registry import Metric, get_metric
from neuron_eval.sanity.perturb import PerturbationError
from neuron_eval.sanity.results import (
    PASS_THRESHOLD,
    SanityResult,
    ScoreChanges,
    SkippedPair,
    judge,
)
from neuron_eval.tuning import check_validation, default_grid, split_neurons
from neuron_eval.validation import InputError, check_activations, check_concepts, check_weights

FloatArray = npt.NDArray[np.float64]
Pair = tuple[int, int]
Parameters = Mapping[str, Mapping[str, Any]]
Grids = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class SpoiledLabels:
    """Labels of one pair.

    Attributes
    ----------
    labels : ndarray, shape (n_inputs,), float64
        As they are.
    missing : ndarray, shape (n_inputs, n_missing), float64
        Copies with missing labels; there may be none.
    extra : ndarray, shape (n_inputs, n_extra), float64
        Copies with extra labels; there may be none.
    """

    labels: FloatArray
    missing: FloatArray
    extra: FloatArray


#: Spoil the labels of (neuron, concept); raises `PerturbationError` where that cannot be done.
Spoil = Callable[[int, int, FloatArray], SpoiledLabels]


@dataclass(frozen=True)
class Data:
    """Checked input of a sanity check.

    Attributes
    ----------
    activations : Tensor, shape (n_inputs, n_neurons)
        Activations.
    concepts : Tensor, shape (n_inputs, n_concepts)
        Labels.
    weights : Tensor, shape (n_inputs,), or None
        Sample weights.
    """

    activations: Tensor
    concepts: Tensor
    weights: Tensor | None

    def labels(self, concept: int) -> FloatArray:
        """Return the labels of one concept, shape (n_inputs,), float64."""
        column: FloatArray = self.concepts[:, concept].to(torch.float64).cpu().numpy()
        return column


def check_data(activations: Any, concepts: Any, weights: Any) -> Data:
    """Check activations, labels and weights together.

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations.
    concepts : array-like, shape (n_inputs, n_concepts)
        Labels in [0, 1].
    weights : array-like, shape (n_inputs,), or None
        Non-negative sample weights.

    Returns
    -------
    Data
        The checked input.

    Raises
    ------
    InputError
        If an input is invalid.
    """
    a = check_activations(activations, dtype=None)
    c = check_concepts(concepts, n_inputs=a.shape[0], dtype=None)
    mass = None if weights is None else check_weights(weights, n_inputs=a.shape[0])
    return Data(a, c, mass)


def run_checks(
    data: Data,
    pairs: Sequence[Pair],
    spoil: Spoil,
    *,
    metrics: Sequence[str],
    seed: int,
    epsilon: float,
    threshold: float = PASS_THRESHOLD,
    parameters: Parameters | None = None,
    validation: float = 0.05,
    grids: Grids | None = None,
    progress: Callable[[int], None] | None = None,
) -> SanityResult:
    """Score pairs with and without spoiled labels, and judge every metric.

    Parameters
    ----------
    data : Data
        Activations, labels and weights.
    pairs : sequence of (int, int)
        Neurons and the concepts that describe them.
    spoil : callable
        From neuron, concept and its labels to spoiled labels.
    metrics : sequence of str
        Names of metrics in the registry.
    seed : int
        Seed of the split.
    epsilon, threshold, parameters, validation, grids, progress
        As in `neuron_eval.sanity.experimental.run_sanity_checks`.

    Returns
    -------
    SanityResult
        Decrease accuracies, verdicts and skipped pairs.

    Raises
    ------
    ValueError
        If an option is invalid, a metric unknown or a pair out of range.
    """
    entries = [get_metric(name) for name in metrics]
    _check_options(data, pairs, epsilon, threshold)
    given = _known(parameters or {}, metrics, "parameters")
    tried = _known(grids or {}, metrics, "grids")
    choices = {
        metric.name: _choices(metric, tried.get(metric.name), given.get(metric.name, {}))
        for metric in entries
    }
    # The dearest part is spoiling and scoring; nothing is split off where nothing is to be tuned.
    tuned: list[Pair] = []
    tested = list(pairs)
    if any(len(choice) > 1 for choice in choices.values()):
        tuned, tested = _split(pairs, validation, seed)
    steps = _Steps(progress)
    chosen: dict[str, Mapping[str, Any]] = {name: c[0] for name, c in choices.items()}
    skipped: list[SkippedPair] = []
    if tuned:
        spoiled = list(_walk(data, tuned, spoil, steps, skipped))
        chosen = {
            metric.name: _best(data, metric, spoiled, choices[metric.name], epsilon)
            for metric in entries
        }
    changes: dict[str, list[ScoreChanges]] = {metric.name: [] for metric in entries}
    n_pairs = 0
    for pair, labels in _walk(data, tested, spoil, steps, skipped):
        n_pairs += 1
        for metric in entries:
            change = score_changes(data, metric, pair[0], labels, chosen[metric.name])
            if change is None:
                reason = "the score of the labels as they are is undefined."
                skipped.append(SkippedPair(*pair, reason, metric.name))
            else:
                changes[metric.name].append(change)
    outcomes = tuple(
        judge(metric, changes[metric.name], chosen[metric.name], epsilon, threshold)
        for metric in entries
    )
    return SanityResult(outcomes, tuple(skipped), n_pairs, len(tuned), epsilon, threshold, seed)


def score_changes(
    data: Data, metric: Metric, neuron: int, spoiled: SpoiledLabels, options: Mapping[str, Any]
) -> ScoreChanges | None:
    """Score one pair's labels as they are and spoiled.

    Parameters
    ----------
    data : Data
        Activations and weights.
    metric : Metric
        The metric.
    neuron : int
        Column of the activations.
    spoiled : SpoiledLabels
        Labels of the pair.
    options : mapping
        Parameters of the metric.

    Returns
    -------
    ScoreChanges or None
        The scores; None where those of the labels as they are are all undefined.
    """
    column = data.activations[:, [neuron]]
    n_missing = spoiled.missing.shape[1]
    together = np.concatenate([spoiled.labels[:, None], spoiled.missing, spoiled.extra], axis=1)
    n_draws = together.shape[1] - 1
    if metric.sampled and "seed" in metric.parameters and "seed" not in options:
        before, after = np.empty(n_draws), np.empty(n_draws)
        for draw in range(n_draws):
            # A sampled metric draws its inputs anew each time, the same before and after.
            two = together[:, [0, 1 + draw]]
            seed = draw if draw < n_missing else draw - n_missing
            scores = metric(column, two, weights=data.weights, seed=seed, **options)[0]
            before[draw], after[draw] = scores.tolist()
    else:
        scores = metric(column, together, weights=data.weights, **options)[0]
        row: FloatArray = scores.to(torch.float64).cpu().numpy()
        before, after = np.repeat(row[0], n_draws), row[1:]
    if np.isnan(before).all():
        return None
    return ScoreChanges(
        before[:n_missing], after[:n_missing], before[n_missing:], after[n_missing:]
    )


class _Steps:
    """Counts the pairs that are done, for whoever watches."""

    def __init__(self, progress: Callable[[int], None] | None) -> None:
        self._progress = progress
        self._done = 0

    def one_more(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done)


def _walk(
    data: Data, pairs: Sequence[Pair], spoil: Spoil, steps: _Steps, skipped: list[SkippedPair]
) -> Iterator[tuple[Pair, SpoiledLabels]]:
    """Yield every pair that can be tested with its labels; note the others."""
    present = slice(None) if data.weights is None else (data.weights > 0).cpu().numpy()
    for neuron, concept in pairs:
        labels = data.labels(concept)
        try:
            _check_pair(data.activations[:, neuron].cpu().numpy()[present], labels[present])
            spoiled = spoil(neuron, concept, labels)
        except PerturbationError as error:
            skipped.append(SkippedPair(neuron, concept, str(error)))
        else:
            yield (neuron, concept), spoiled
        steps.one_more()


def _check_pair(column: FloatArray, labels: FloatArray) -> None:
    if column.min() == column.max():
        raise PerturbationError("neuron: its activations are constant.")
    positive = labels >= 0.5
    if positive.all() or not positive.any():
        kind = "all" if positive.all() else "no"
        raise PerturbationError(f"concept: constant, {kind} labels are positive.")


def _best(
    data: Data,
    metric: Metric,
    spoiled: Sequence[tuple[Pair, SpoiledLabels]],
    choices: Sequence[Mapping[str, Any]],
    epsilon: float,
) -> Mapping[str, Any]:
    """Choose the parameters whose weaker test is strongest.

    On a few neurons many are equal; then the sum of the two decides, then the weaker fall.
    """

    def strength(options: Mapping[str, Any]) -> tuple[float, float, float]:
        found = [score_changes(data, metric, pair[0], labels, options) for pair, labels in spoiled]
        outcome = judge(metric, [c for c in found if c is not None], options, epsilon, 0.5)
        tests = (outcome.missing, outcome.extra)
        shares = np.nan_to_num([test.share for test in tests], nan=0.0)
        falls = np.nan_to_num([-test.mean_difference for test in tests], nan=0.0)
        return float(shares.min()), float(shares.sum()), float(falls.min())

    return choices[0] if len(choices) == 1 else max(choices, key=strength)


def _choices(
    metric: Metric, grid: Sequence[Mapping[str, Any]] | None, given: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """List the parameters to try; what is given is not tuned."""
    options = []
    for combination in default_grid(metric) if grid is None else grid:
        option = {**combination, **given}
        if option not in options:
            options.append(option)
    if not options:
        raise InputError(f"grids: found no parameters to try for {metric.name!r}.")
    return options


def _known(given: Mapping[str, Any], metrics: Sequence[str], field: str) -> dict[str, Any]:
    if unknown := set(given) - set(metrics):
        raise InputError(f"{field}: found {sorted(unknown)}, expected metrics that are tested.")
    return dict(given)


def _split(pairs: Sequence[Pair], validation: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Split by neuron, so that no neuron tunes and tests."""
    check_validation(validation)
    neurons = sorted({neuron for neuron, _ in pairs})
    if len(neurons) < 2:
        raise InputError(
            f"pairs: found {len(neurons)} neuron, expected at least one to tune parameters on and "
            "one to test; give the parameters of every metric to test without tuning."
        )
    tuned = set(split_neurons(neurons, validation, seed)[0].tolist())
    return [p for p in pairs if p[0] in tuned], [p for p in pairs if p[0] not in tuned]


def _check_options(data: Data, pairs: Sequence[Pair], epsilon: float, threshold: float) -> None:
    if not epsilon >= 0:
        raise InputError(f"epsilon: found {epsilon!r}, expected a number of at least 0.")
    if not 0 < threshold < 1:
        raise InputError(f"threshold: found {threshold!r}, expected a share in (0, 1).")
    if len(pairs) == 0:
        raise InputError("pairs: found none, expected neurons and the concepts that they show.")
    n_neurons, n_concepts = data.activations.shape[1], data.concepts.shape[1]
    for neuron, concept in pairs:
        if not (0 <= neuron < n_neurons and 0 <= concept < n_concepts):
            raise InputError(
                f"pairs: found ({neuron}, {concept}), expected a neuron below {n_neurons} and a "
                f"concept below {n_concepts}."
            )
