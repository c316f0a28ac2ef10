"""Meta-evaluation: how well metrics find the true concepts of neurons that are known.

All (neuron, concept) pairs of neurons with known concepts are scored, and a metric is as good as
the average precision (AUPRC) with which its scores find the true pairs. Parameters of a metric
are tuned on a few of the neurons, the others test it.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from neuron_eval.registry import METRICS, get_metric
from neuron_eval.tuning import check_validation, default_grid, split_neurons
from neuron_eval.validation import InputError, check_activations, check_concepts, check_weights

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class MetricMeta:
    """Meta-evaluation of one metric.

    Attributes
    ----------
    metric : str
        Name of the metric.
    parameters : mapping
        Parameters that were chosen on the validation neurons.
    validation_auprc : float
        AUPRC on the validation neurons.
    test_auprc : float
        AUPRC on the others, in [0, 1].
    low, high : float
        95% interval of the test AUPRC over neurons like these (percentile bootstrap).
    n_undefined : int
        Test pairs without a defined score; they rank below all others.
    """

    metric: str
    parameters: Mapping[str, Any]
    validation_auprc: float
    test_auprc: float
    low: float
    high: float
    n_undefined: int


@dataclass(frozen=True)
class MetaResult:
    """Meta-evaluation of several metrics on the same neurons.

    Attributes
    ----------
    metrics : tuple of MetricMeta
        One entry per metric.
    n_validation, n_test : int
        Numbers of neurons.
    chance : float
        AUPRC of random scores: the share of true pairs among the test pairs.
    seed : int
        Seed of the split and of the bootstrap.
    """

    metrics: tuple[MetricMeta, ...]
    n_validation: int
    n_test: int
    chance: float
    seed: int

    def to_frame(self) -> pd.DataFrame:
        """Return one row per metric, the best first, with its rank.

        Returns
        -------
        pandas.DataFrame
            The table.
        """
        frame = pd.DataFrame([vars(entry) for entry in self.metrics])
        frame["rank"] = frame["test_auprc"].rank(ascending=False)
        return frame.sort_values("rank", kind="stable").reset_index(drop=True)


def evaluate_metrics(
    activations: Any,
    concepts: Any,
    truth: Any,
    *,
    metrics: Sequence[str] | None = None,
    weights: Any = None,
    validation: float = 0.05,
    grids: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    n_bootstrap: int = 200,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> MetaResult:
    """Evaluate metrics on neurons whose concepts are known.

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations.
    concepts : array-like, shape (n_inputs, n_concepts)
        Concept vectors, in [0, 1].
    truth : array-like, shape (n_neurons,) of int or (n_neurons, n_concepts) of bool
        The true concept of each neuron, or all its true concepts; at least one each.
    metrics : sequence of str, optional
        Names of metrics; all of the registry when None.
    weights : array-like, shape (n_inputs,), optional
        Non-negative sample weights.
    validation : float, default 0.05
        Fraction of the neurons that parameters are tuned on, in (0, 1); at least one neuron.
    grids : mapping of str to sequence of mapping, optional
        Parameters to try per metric; `neuron_eval.tuning.default_grid` where one is not named.
    n_bootstrap : int, default 200
        Resamples of the test neurons for the interval; 0 for none (NaN).
    seed : int, default 0
        Seed of the split and of the bootstrap.
    progress : callable, optional
        Called with the name of each metric that is done.

    Returns
    -------
    MetaResult
        AUPRC per metric on the neurons that were not tuned on.

    Raises
    ------
    ValueError
        If an input is invalid, there are fewer than two neurons, or a neuron has no concept.

    References
    ----------
    Oikarinen, Yan, Weng, ICML 2025, arXiv 2506.05774, section on meta-evaluation.
    """
    a = check_activations(activations, dtype=None)
    c = check_concepts(concepts, n_inputs=a.shape[0], dtype=None)
    mass = None if weights is None else check_weights(weights, n_inputs=a.shape[0])
    true_pairs = _truth(truth, a.shape[1], c.shape[1])
    check_validation(validation)
    if n_bootstrap < 0:
        raise InputError(f"n_bootstrap: found {n_bootstrap!r}, expected at least 0.")
    tuned, tested = split_neurons(range(a.shape[1]), validation, seed)
    entries = []
    for name in METRICS if metrics is None else metrics:
        metric = get_metric(name)
        grid = list((grids or {}).get(name) or default_grid(metric))
        best: tuple[float, Mapping[str, Any]] = (-1.0, {})
        for parameters in grid:
            scores = metric(a[:, tuned], c, weights=mass, **parameters).cpu().numpy()
            found = pair_auprc(scores, true_pairs[tuned])
            if found > best[0]:
                best = (found, parameters)
        scores = metric(a[:, tested], c, weights=mass, **best[1]).cpu().numpy()
        low, high = _bootstrap(scores, true_pairs[tested], n_bootstrap, seed)
        entries.append(
            MetricMeta(
                name,
                best[1],
                best[0],
                pair_auprc(scores, true_pairs[tested]),
                low,
                high,
                int(np.isnan(scores).sum()),
            )
        )
        if progress is not None:
            progress(name)
    chance = float(true_pairs[tested].mean())
    return MetaResult(tuple(entries), len(tuned), len(tested), chance, seed)


def pair_auprc(scores: Any, truth: Any, neuron_counts: Any = None) -> float:
    """Compute the average precision of scores in finding true pairs.

    Parameters
    ----------
    scores : array-like, shape (n_neurons, n_concepts)
        Scores; NaN ranks below everything, ties share their precision.
    truth : array-like, shape (n_neurons, n_concepts), bool
        The true pairs.
    neuron_counts : array-like, shape (n_neurons,), optional
        How often each neuron counts; once when None.

    Returns
    -------
    float
        AUPRC, in [0, 1]; NaN if no true pair counts.
    """
    [result] = _auprc_of_counts(
        np.asarray(scores, dtype=float),
        np.asarray(truth, dtype=bool),
        [np.ones(len(scores)) if neuron_counts is None else np.asarray(neuron_counts, dtype=float)],
    )
    return result


def average_ranks(results: Mapping[str, MetaResult]) -> pd.DataFrame:
    """Average the AUPRC and the rank of every metric over settings.

    Parameters
    ----------
    results : mapping of str to MetaResult
        Results by name of the setting; all with the same metrics.

    Returns
    -------
    pandas.DataFrame
        One row per metric, the best average rank first: ``auprc``, ``rank``.

    Raises
    ------
    InputError
        If the settings do not hold the same metrics.
    """
    return average_tables({name: result.to_frame() for name, result in results.items()})


def average_tables(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Average the AUPRC and the rank of every metric over the tables of several settings.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        Tables by name of the setting, as of `MetaResult.to_frame` or `read_result`.

    Returns
    -------
    pandas.DataFrame
        One row per metric, the best average rank first: ``auprc``, ``rank``.

    Raises
    ------
    InputError
        If there is no setting, or they do not hold the same metrics.
    """
    frames = {name: table.set_index("metric") for name, table in tables.items()}
    names = {name: frozenset(frame.index) for name, frame in frames.items()}
    if not names or len(set(names.values())) > 1:
        raise InputError("results: expected at least one setting, all with the same metrics.")
    table = pd.DataFrame(
        {
            "auprc": pd.concat([f["test_auprc"] for f in frames.values()], axis=1).mean(axis=1),
            "rank": pd.concat([f["rank"] for f in frames.values()], axis=1).mean(axis=1),
        }
    )
    return table.sort_values("rank", kind="stable")


def read_result(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a table that was written from `MetaResult.to_frame`.

    Parameters
    ----------
    path : path-like
        A ``.csv``, or a ``.json`` with a list of records.

    Returns
    -------
    pandas.DataFrame
        At least ``metric``, ``test_auprc`` and ``rank``.

    Raises
    ------
    InputError
        If the file is missing or no such table.
    """
    source = Path(path)
    if not source.is_file():
        raise InputError(f"{source}: no such file; correct the path.")
    try:
        read = pd.read_json(source) if source.suffix == ".json" else pd.read_csv(source)
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{source}: found no table ({error}).") from error
    if missing := {"metric", "test_auprc", "rank"} - set(read.columns):
        raise InputError(
            f"{source}: found no column {', '.join(sorted(missing))}; expected an output of "
            "'neuron-eval meta evaluate'."
        )
    return read


def _truth(truth: Any, n_neurons: int, n_concepts: int) -> BoolArray:
    given = np.asarray(truth)
    if given.ndim == 1 and given.dtype.kind in "iu":
        if len(given) != n_neurons:
            raise InputError(f"truth: found {len(given)} concepts for {n_neurons} neurons.")
        wrong = (given < 0) | (given >= n_concepts)
        if wrong.any():
            neuron = int(np.flatnonzero(wrong)[0])
            raise InputError(
                f"truth: neuron {neuron} has concept {given[neuron]}, expected 0 to "
                f"{n_concepts - 1}."
            )
        one_each: BoolArray = given[:, None] == np.arange(n_concepts)
        return one_each
    if given.shape != (n_neurons, n_concepts):
        raise InputError(
            f"truth: found shape {given.shape}, expected ({n_neurons},) whole numbers or "
            f"({n_neurons}, {n_concepts}) booleans."
        )
    pairs: BoolArray = given.astype(bool)
    if not pairs.any(axis=1).all():
        neuron = int(np.flatnonzero(~pairs.any(axis=1))[0])
        raise InputError(f"truth: neuron {neuron} has no true concept; leave the neuron out.")
    return pairs


def _bootstrap(
    scores: FloatArray, truth: BoolArray, n_bootstrap: int, seed: int
) -> tuple[float, float]:
    if n_bootstrap == 0:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    n_neurons = len(scores)
    counts = rng.multinomial(n_neurons, np.full(n_neurons, 1 / n_neurons), size=n_bootstrap)
    values = _auprc_of_counts(scores, truth, list(counts.astype(float)))
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _auprc_of_counts(
    scores: FloatArray, truth: BoolArray, counts: Sequence[FloatArray]
) -> list[float]:
    """Compute the average precision for several weightings of the neurons, sorting once."""
    flat = np.where(np.isnan(scores), -np.inf, scores).ravel()
    order = np.argsort(-flat, kind="stable")
    ordered = flat[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    neurons, hits = order // scores.shape[1], truth.ravel()[order]
    results = []
    for count in counts:
        mass = count[neurons]
        depth = mass.cumsum()[ends]
        found = (mass * hits).cumsum()[ends]
        if found[-1] == 0:
            results.append(float("nan"))
            continue
        precision = found / np.where(depth > 0, depth, 1.0)
        results.append(float(np.diff(found, prepend=0.0) @ precision / found[-1]))
    return results
