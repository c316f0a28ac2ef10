"""Missing and Extra Labels on real activations and real labels, spoiled at random."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from neuron_eval.sanity.perturb import extra_labels, missing_labels
from neuron_eval.sanity.results import PASS_THRESHOLD, TESTS, FloatArray, SanityResult
from neuron_eval.sanity.runner import (
    Data,
    Grids,
    Parameters,
    Spoil,
    SpoiledLabels,
    check_data,
    run_checks,
)
from neuron_eval.validation import InputError

#: Shares of wrong labels that the ablation tries; one half is the test itself.
FRACTIONS = (0.1, 0.25, 0.5, 0.75)


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
    parameters: Parameters | None = None,
    validation: float = 0.05,
    grids: Grids | None = None,
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
        Seed of the draws and of the split; the draws of a pair depend on the seed and the pair
        only.
    epsilon : float, default 1e-3
        Least fall that counts, as a fraction of the metric's range.
    keep : float, default 0.5
        Missing labels: probability of keeping a positive.
    growth : float, default 2.0
        Extra labels: expected number of positives after over before.
    threshold : float, default 0.9
        Share that both tests must exceed.
    parameters : mapping of str to mapping, optional
        Parameters per metric, for example ``{"iou": {"binarization": TopFraction(0.01)}}``; they
        are not tuned.
    validation : float, default 0.05
        Fraction of the neurons, in (0, 1), that the other parameters (α, λ) are tuned on, at
        least one; the pairs of these neurons are not tested. Where no metric has a parameter to
        tune, all pairs are tested.
    grids : mapping of str to sequence of mapping, optional
        Parameters to try per metric; `neuron_eval.tuning.default_grid` where one is not named.
    progress : callable, optional
        Called after each pair with the number of pairs done so far.

    Returns
    -------
    SanityResult
        Decrease accuracies with intervals, verdicts, chosen parameters, and the pairs that were
        skipped: constant neurons, constant concepts, concepts too common to be multiplied,
        undefined scores.

    Raises
    ------
    ValueError
        If an input is invalid, a metric unknown or a pair out of range.

    Notes
    -----
    Parameters are chosen so that the weaker of the two tests is strongest on the validation
    pairs; among equals the greater sum of the two decides, then the greater fall of the score in
    the weaker test. Draws of one pair resemble each other; the interval accounts for that, see
    `neuron_eval.sanity.intervals.clustered_share`. It does not account for the choice of pairs.

    References
    ----------
    Oikarinen, Yan, Weng, ICML 2025, arXiv 2506.05774, experimental sanity checks.
    """
    data = check_data(activations, concepts, weights)
    return run_checks(
        data,
        pairs,
        _random_spoil(data, seed, n_draws, keep, growth),
        metrics=metrics,
        seed=seed,
        epsilon=epsilon,
        threshold=threshold,
        parameters=parameters,
        validation=validation,
        grids=grids,
        progress=progress,
    )


def run_fraction_ablation(
    activations: Any,
    concepts: Any,
    pairs: Sequence[tuple[int, int]],
    *,
    fractions: Sequence[float] = FRACTIONS,
    metrics: Sequence[str] = ("pearson_correlation",),
    weights: Any = None,
    n_draws: int = 10,
    seed: int = 0,
    epsilon: float = 1e-3,
    parameters: Parameters | None = None,
    validation: float = 0.05,
    grids: Grids | None = None,
    progress: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """Repeat the tests with other shares of wrong labels than one half.

    With a fraction f, missing labels loses each positive with probability f, and extra labels
    adds so many that a share f of the positives afterwards is expected to be false. At one half
    these are the two tests. The same random numbers are used for all fractions, so that spoiled
    labels of a greater fraction contain those of a smaller one.

    Parameters
    ----------
    activations, concepts, pairs, metrics, weights, n_draws, seed, epsilon
        As in `run_sanity_checks`.
    fractions : sequence of float
        Shares of wrong labels, each in (0, 1).
    parameters, validation, grids
        As in `run_sanity_checks`; parameters are tuned for each fraction anew.
    progress : callable, optional
        Called after each pair with the number of pairs done so far, over all fractions.

    Returns
    -------
    pandas.DataFrame
        One row per metric, fraction and test: ``metric``, ``fraction``, ``test``, ``accuracy``
        with ``low`` and ``high``, ``difference``, ``n_pairs``, ``parameters``.

    Raises
    ------
    ValueError
        As `run_sanity_checks`, and if a fraction is not in (0, 1).
    """
    data = check_data(activations, concepts, weights)
    for fraction in fractions:
        if not 0 < fraction < 1:
            raise InputError(f"fractions: found {fraction!r}, expected shares in (0, 1).")
    rows = []
    for place, fraction in enumerate(fractions):
        before = place * len(pairs)
        result = run_checks(
            data,
            pairs,
            _random_spoil(data, seed, n_draws, 1 - fraction, 1 / (1 - fraction)),
            metrics=metrics,
            seed=seed,
            epsilon=epsilon,
            parameters=parameters,
            validation=validation,
            grids=grids,
            progress=None if progress is None else _shifted(progress, before),
        )
        for entry in result.metrics:
            for test in TESTS:
                outcome = getattr(entry, test)
                rows.append(
                    {
                        "metric": entry.metric,
                        "fraction": fraction,
                        "test": test,
                        "accuracy": outcome.share,
                        "low": outcome.low,
                        "high": outcome.high,
                        "difference": outcome.mean_difference,
                        "n_pairs": result.n_pairs,
                        "parameters": entry.parameters,
                    }
                )
    return pd.DataFrame(rows)


def _shifted(progress: Callable[[int], None], before: int) -> Callable[[int], None]:
    return lambda done: progress(before + done)


def _random_spoil(data: Data, seed: int, n_draws: int, keep: float, growth: float) -> Spoil:
    if n_draws < 1:
        raise InputError(f"n_draws: found {n_draws!r}, expected at least 1.")

    def spoil(neuron: int, concept: int, labels: FloatArray) -> SpoiledLabels:
        rng = np.random.default_rng([seed, neuron, concept])
        return SpoiledLabels(
            labels,
            missing_labels(labels, rng, keep=keep, n_draws=n_draws),
            extra_labels(labels, rng, weights=data.weights, growth=growth, n_draws=n_draws),
        )

    return spoil
