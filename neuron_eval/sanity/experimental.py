"""Missing and Extra Labels on real activations and real labels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from neuron_eval.registry import Metric, get_metric
from neuron_eval.sanity.intervals import clustered_share
from neuron_eval.sanity.perturb import PerturbationError, extra_labels, missing_labels
from neuron_eval.validation import InputError, check_activations, check_concepts, check_weights

Verdict = Literal["pass", "fail", "too close to call"]
FloatArray = npt.NDArray[np.float64]

#: Both decrease accuracies must exceed this share.
PASS_THRESHOLD = 0.9

_TESTS = ("missing", "extra")


@dataclass(frozen=True)
class DecreaseAccuracy:
    """How often the score of one metric fell in one test.

    Attributes
    ----------
    share : float
        Share of draws whose normalised difference is below -epsilon, in [0, 1]; NaN without any.
    low, high : float
        95% interval of the share over pairs like these.
    mean_difference : float
        Mean normalised difference of the score.
    n_draws : int
        Draws that count.
    n_undefined : int
        Draws that do not count, because the score of the spoiled labels is undefined.
    """

    share: float
    low: float
    high: float
    mean_difference: float
    n_draws: int
    n_undefined: int


@dataclass(frozen=True)
class MetricSanity:
    """The two tests of one metric.

    Attributes
    ----------
    metric : str
        Name of the metric.
    missing, extra : DecreaseAccuracy
        The two tests.
    verdict : {"pass", "fail", "too close to call"}
        Pass if both intervals lie above the threshold, fail if one lies below it.
    width : float
        What differences were divided by: the width of the metric's range, or of the range of
        scores that were seen where the metric is unbounded.
    width_is_known : bool
        Whether it is the former.
    """

    metric: str
    missing: DecreaseAccuracy
    extra: DecreaseAccuracy
    verdict: Verdict
    width: float
    width_is_known: bool


@dataclass(frozen=True)
class SkippedPair:
    """A pair that could not be tested.

    Attributes
    ----------
    neuron, concept : int
        The pair.
    reason : str
        Why.
    metric : str or None
        The metric that it was skipped for; None for all.
    """

    neuron: int
    concept: int
    reason: str
    metric: str | None = None


@dataclass(frozen=True)
class SanityResult:
    """Result of the experimental sanity checks.

    Attributes
    ----------
    metrics : tuple of MetricSanity
        One entry per metric.
    skipped : tuple of SkippedPair
        What was not tested, with the reason.
    n_pairs : int
        Pairs that were tested.
    epsilon : float
        Least fall that counts.
    threshold : float
        Share that both tests must exceed.
    seed : int
        Seed of the draws.
    """

    metrics: tuple[MetricSanity, ...]
    skipped: tuple[SkippedPair, ...]
    n_pairs: int
    epsilon: float
    threshold: float
    seed: int

    def to_frame(self) -> pd.DataFrame:
        """Return one row per metric: verdict, and share, bounds and mean difference per test.

        Returns
        -------
        pandas.DataFrame
            The table; shares are in [0, 1].
        """
        rows = []
        for entry in self.metrics:
            row: dict[str, Any] = {"metric": entry.metric, "verdict": entry.verdict}
            for test in _TESTS:
                outcome: DecreaseAccuracy = getattr(entry, test)
                row[f"{test}_accuracy"] = outcome.share
                row[f"{test}_low"] = outcome.low
                row[f"{test}_high"] = outcome.high
                row[f"{test}_difference"] = outcome.mean_difference
                row[f"{test}_undefined"] = outcome.n_undefined
            row["width"] = entry.width
            rows.append(row)
        return pd.DataFrame(rows)


@dataclass
class _Draws:
    """Scores of one metric: per tested pair, the original and the spoiled ones."""

    original: list[FloatArray] = field(default_factory=list)
    missing: list[FloatArray] = field(default_factory=list)
    extra: list[FloatArray] = field(default_factory=list)


def run_sanity_checks(
    activations: Any,
    concepts: Any,
    pairs: Sequence[tuple[int, int]],
    *,
    metrics: Sequence[str] = ("pearson_correlation",),
    weights: Any = None,
    n_draws: int = 10,
    seed: int = 0,
    epsilon: float = 1e-3,
    keep: float = 0.5,
    growth: float = 2.0,
    threshold: float = PASS_THRESHOLD,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    progress: Callable[[int], None] | None = None,
) -> SanityResult:
    """Test metrics on neurons whose concept is known.

    Every pair's labels are spoiled `n_draws` times in each way, with the same spoiled labels for
    all metrics. The decrease accuracy is the share of draws in which the score fell by more than
    `epsilon` of the metric's range.

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations.
    concepts : array-like, shape (n_inputs, n_concepts)
        Labels; a concept is present where its value is at least 0.5.
    pairs : sequence of (int, int)
        Neurons and the concepts that describe them: known ones, or for example those of
        `neuron_eval.explainers.explain_best_iou`.
    metrics : sequence of str, default ("pearson_correlation",)
        Names of metrics in the registry.
    weights : array-like, shape (n_inputs,), optional
        Non-negative sample weights.
    n_draws : int, default 10
        Draws per pair and test.
    seed : int, default 0
        Seed of the draws; those of a pair depend on the seed and the pair only.
    epsilon : float, default 1e-3
        Least fall that counts, as a fraction of the metric's range.
    keep : float, default 0.5
        Missing labels: probability of keeping a positive.
    growth : float, default 2.0
        Extra labels: expected number of positives after over before.
    threshold : float, default 0.9
        Share that both tests must exceed.
    parameters : mapping of str to mapping, optional
        Parameters per metric, for example ``{"iou": {"binarization": TopFraction(0.01)}}``.
    progress : callable, optional
        Called after each pair with the number of pairs done so far.

    Returns
    -------
    SanityResult
        Decrease accuracies with intervals, verdicts, and the pairs that were skipped: constant
        neurons, constant concepts, concepts too common to be multiplied, undefined scores.

    Raises
    ------
    ValueError
        If an input is invalid, a metric unknown or a pair out of range.

    Notes
    -----
    Draws of one pair resemble each other; the interval accounts for that, see
    `neuron_eval.sanity.intervals.clustered_share`. It does not account for the choice of pairs.
    """
    a = check_activations(activations, dtype=None)
    c = check_concepts(concepts, n_inputs=a.shape[0], dtype=None)
    mass = None if weights is None else check_weights(weights, n_inputs=a.shape[0])
    _check_options(pairs, a.shape[1], c.shape[1], n_draws, epsilon, threshold)
    entries = [get_metric(name) for name in metrics]
    given = dict(parameters or {})
    if unknown := set(given) - {metric.name for metric in entries}:
        raise InputError(f"parameters: found {sorted(unknown)}, expected metrics that are tested.")
    draws = {metric.name: _Draws() for metric in entries}
    skipped: list[SkippedPair] = []
    n_pairs = 0
    for done, (neuron, concept) in enumerate(pairs, start=1):
        column = a[:, [neuron]]
        labels = c[:, concept].to(torch.float64).cpu().numpy()
        present = slice(None) if mass is None else (mass > 0).numpy()
        rng = np.random.default_rng([seed, neuron, concept])
        try:
            _check_pair(column.cpu().numpy()[present, 0], labels[present])
            spoiled = (
                missing_labels(labels, rng, keep=keep, n_draws=n_draws),
                extra_labels(labels, rng, weights=mass, growth=growth, n_draws=n_draws),
            )
        except PerturbationError as error:
            skipped.append(SkippedPair(neuron, concept, str(error)))
        else:
            n_pairs += 1
            together = np.concatenate([labels[:, None], *spoiled], axis=1)
            for metric in entries:
                scores = _scores(metric, column, together, mass, n_draws, given)
                if np.isnan(scores[0]).all():
                    reason = "the score of the labels as they are is undefined."
                    skipped.append(SkippedPair(neuron, concept, reason, metric.name))
                    continue
                draws[metric.name].original.append(scores[0])
                draws[metric.name].missing.append(scores[1])
                draws[metric.name].extra.append(scores[2])
        if progress is not None:
            progress(done)
    outcomes = tuple(_judge(metric, draws[metric.name], epsilon, threshold) for metric in entries)
    return SanityResult(outcomes, tuple(skipped), n_pairs, epsilon, threshold, seed)


def _check_options(
    pairs: Sequence[tuple[int, int]],
    n_neurons: int,
    n_concepts: int,
    n_draws: int,
    epsilon: float,
    threshold: float,
) -> None:
    if n_draws < 1:
        raise InputError(f"n_draws: found {n_draws!r}, expected at least 1.")
    if not epsilon >= 0:
        raise InputError(f"epsilon: found {epsilon!r}, expected a number of at least 0.")
    if not 0 < threshold < 1:
        raise InputError(f"threshold: found {threshold!r}, expected a share in (0, 1).")
    for neuron, concept in pairs:
        if not (0 <= neuron < n_neurons and 0 <= concept < n_concepts):
            raise InputError(
                f"pairs: found ({neuron}, {concept}), expected a neuron below {n_neurons} and a "
                f"concept below {n_concepts}."
            )


def _check_pair(column: FloatArray, labels: FloatArray) -> None:
    if column.min() == column.max():
        raise PerturbationError("neuron: its activations are constant.")
    positive = labels >= 0.5
    if positive.all() or not positive.any():
        kind = "all" if positive.all() else "no"
        raise PerturbationError(f"concept: constant, {kind} labels are positive.")


def _scores(
    metric: Metric,
    column: torch.Tensor,
    together: FloatArray,
    mass: torch.Tensor | None,
    n_draws: int,
    given: Mapping[str, Mapping[str, Any]],
) -> FloatArray:
    """Score original, missing and extra labels; shape (3, n_draws), the original repeated."""
    own = dict(given.get(metric.name, {}))
    if not (metric.sampled and "seed" in metric.parameters and "seed" not in own):
        row = metric(column, together, weights=mass, **own)[0].cpu().numpy()
        return np.stack([np.repeat(row[0], n_draws), row[1 : n_draws + 1], row[n_draws + 1 :]])
    result = np.empty((3, n_draws))
    for draw in range(n_draws):
        # A sampled metric draws its inputs anew each time, the same for all three.
        three = together[:, [0, 1 + draw, 1 + n_draws + draw]]
        result[:, draw] = metric(column, three, weights=mass, seed=draw, **own)[0].cpu().numpy()
    return result


def _judge(metric: Metric, draws: _Draws, epsilon: float, threshold: float) -> MetricSanity:
    seen = np.concatenate(
        [np.ravel(draws.original), np.ravel(draws.missing), np.ravel(draws.extra)]
    )
    seen = seen[np.isfinite(seen)]
    width = metric.width
    if width is None:
        width = float(np.ptp(seen)) if seen.size and np.ptp(seen) > 0 else float("nan")
    outcomes = [
        _decrease(draws.original, spoiled, width, epsilon)
        for spoiled in (draws.missing, draws.extra)
    ]
    if all(outcome.low > threshold for outcome in outcomes):
        verdict: Verdict = "pass"
    elif any(outcome.high < threshold for outcome in outcomes):
        verdict = "fail"
    else:
        verdict = "too close to call"
    return MetricSanity(
        metric.name, outcomes[0], outcomes[1], verdict, width, metric.width is not None
    )


def _decrease(
    original: Sequence[FloatArray], spoiled: Sequence[FloatArray], width: float, epsilon: float
) -> DecreaseAccuracy:
    hits, trials, differences, n_undefined = [], [], [], 0
    for before, after in zip(original, spoiled, strict=True):
        difference = (after - before) / width
        defined = difference[~np.isnan(difference)]
        hits.append(int((defined < -epsilon).sum()))
        trials.append(len(defined))
        n_undefined += len(difference) - len(defined)
        differences.append(defined)
    share, low, high = clustered_share(hits, trials)
    pooled = np.concatenate(differences) if differences else np.empty(0)
    mean = float(pooled.mean()) if pooled.size else float("nan")
    return DecreaseAccuracy(share, low, high, mean, sum(trials), n_undefined)
