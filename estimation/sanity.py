"""Missing and Extra Labels on estimated labels: whether a study would notice a bad explanation.

The tests of ``neuron_eval.sanity`` need true labels of all inputs. A study has label probabilities
of a weighted sample; here labels are drawn from those, spoiled, and scored with the sample's
weights. ``neuron_eval`` (and with it torch) is imported when the check runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from estimation.checks import EstimationError, FloatArray, standardized
from estimation.imputation import impute_labels
from estimation.sampling import Draw

Verdict = Literal["pass", "fail", "too close to call", "not tested"]

#: Both decrease accuracies must exceed this share.
PASS_THRESHOLD = 0.9


@dataclass(frozen=True, eq=False)
class SampledPair:
    """One (neuron, concept) pair of a study.

    Attributes
    ----------
    activation : array-like, shape (n_inputs,)
        Activations of the neuron over all inputs.
    draw : Draw
        The sample.
    labels : array-like, shape (n_draws,) or (n_posterior, n_draws)
        Label probabilities of the sampled inputs, rows being posterior draws.
    name : str
        What the pair is called where it had to be skipped.
    """

    activation: ArrayLike
    draw: Draw
    labels: ArrayLike
    name: str = ""


@dataclass(frozen=True)
class SanityOutcome:
    """How often the score fell in one test.

    Attributes
    ----------
    share : float
        Decrease accuracy in [0, 1]; NaN when nothing could be tested.
    lower, upper : float
        Its 95% interval, pairs being clusters.
    mean_difference : float
        Mean difference of the score, as a share of the metric's range.
    n_tested : int
        Labellings tested.
    """

    share: float
    lower: float
    upper: float
    mean_difference: float
    n_tested: int


@dataclass(frozen=True)
class EstimatedSanity:
    """Result of both tests for one metric.

    Attributes
    ----------
    metric : str
        Name in the registry of ``neuron_eval``.
    missing, extra : SanityOutcome
        The two tests.
    verdict : {"pass", "fail", "too close to call", "not tested"}
        Pass if both intervals lie above `PASS_THRESHOLD`, fail if one lies below it.
    skipped : tuple of str
        Pairs (and why) of which no labelling could be tested.
    """

    metric: str
    missing: SanityOutcome
    extra: SanityOutcome
    verdict: Verdict
    skipped: tuple[str, ...]


def check_estimated_labels(
    pairs: Sequence[SampledPair],
    *,
    metric: str = "pearson_correlation",
    n_labellings: int = 20,
    epsilon: float = 1e-3,
    seed: int = 0,
) -> EstimatedSanity:
    """Run the Missing and Extra Labels tests on the estimated labels of a study.

    For every pair, labels are drawn from their posterior. c-: each positive is kept with
    probability 1/2. c+: each negative becomes positive with probability K/(N - K), K and N the
    weighted numbers of positives and of inputs, so that positives are expected to double. The
    score, weighted as in the study, should fall by more than epsilon of its range.

    Parameters
    ----------
    pairs : sequence of SampledPair
        Pairs of the study, best those with the explanation that people confirmed.
    metric : str
        A metric of ``neuron_eval.registry`` with a bounded range.
    n_labellings : int
        Labellings a pair, each spoiled once a test.
    epsilon : float
        Least fall that counts, as a share of the metric's range.
    seed : int
        Seed of labellings and spoiling.

    Returns
    -------
    EstimatedSanity
        Labellings that cannot be tested (no positive, or more than half positive for c+, or an
        undefined score) do not count; pairs with none left are in ``skipped``.

    Raises
    ------
    EstimationError
        When there are no pairs, the metric is unbounded, or shapes do not match.

    References
    ----------
    Oikarinen, Yan, Weng, ICML 2025, arXiv 2506.05774, the Missing and Extra Labels tests.
    """
    from neuron_eval.registry import get_metric
    from neuron_eval.sanity.intervals import clustered_share

    if not pairs or n_labellings < 1:
        msg = "pairs: the sanity check needs at least one pair and one labelling"
        raise EstimationError(msg)
    width = get_metric(metric).width
    if width is None:
        msg = f"metric: {metric!r} is unbounded, so 'a fall of {epsilon:g} of its range' is unclear"
        raise EstimationError(msg)
    differences: dict[str, list[FloatArray]] = {"missing": [], "extra": []}
    skipped = []
    for number, pair in enumerate(pairs):
        rng = np.random.default_rng([seed, number])
        found = _differences(pair, metric, n_labellings, rng)
        for test, values in found.items():
            differences[test].append(values / width)
        if not any(values.size for values in found.values()):
            skipped.append(
                f"{pair.name or f'pair {number}'}: no labelling has both labels, or none can be "
                "spoiled"
            )
    outcomes = {}
    for test, per_pair in differences.items():
        share, lower, upper = clustered_share(
            [int((values < -epsilon).sum()) for values in per_pair],
            [values.size for values in per_pair],
        )
        pooled = np.concatenate(per_pair)
        mean = float(pooled.mean()) if pooled.size else float("nan")
        outcomes[test] = SanityOutcome(share, lower, upper, mean, int(pooled.size))
    return EstimatedSanity(
        metric,
        outcomes["missing"],
        outcomes["extra"],
        _verdict(list(outcomes.values())),
        tuple(skipped),
    )


def _differences(
    pair: SampledPair, metric: str, n_labellings: int, rng: np.random.Generator
) -> dict[str, FloatArray]:
    """Score differences of one pair by spoiling, those that are defined."""
    from neuron_eval.registry import get_metric
    from neuron_eval.sanity.perturb import PerturbationError, extra_labels, missing_labels

    scaled = standardized(pair.activation)
    if scaled.size != pair.draw.n_inputs:
        msg = (
            f"activation: {scaled.size} inputs, but the draw of {pair.name or 'this pair'} was "
            f"made over {pair.draw.n_inputs}"
        )
        raise EstimationError(msg)
    imputed = impute_labels(
        pair.labels, pair.draw, n_imputations=n_labellings, seed=int(rng.integers(2**31))
    )
    imputed = imputed[np.arange(n_labellings) * imputed.shape[0] // n_labellings]
    # an input drawn twice is one input of twice the weight, or its label could be half spoiled
    unique, first, inverse = np.unique(pair.draw.indices, return_index=True, return_inverse=True)
    weights = np.bincount(inverse, weights=pair.draw.weights)
    columns: list[FloatArray] = []
    changes: dict[str, list[tuple[int, int]]] = {"missing": [], "extra": []}
    for labels in imputed[:, first]:
        before = len(columns)
        columns.append(labels)
        for test, pairs in changes.items():
            try:
                spoiled = (
                    missing_labels(labels, rng)
                    if test == "missing"
                    else extra_labels(labels, rng, weights=weights)
                )
            except PerturbationError:
                continue  # this labelling does not allow the test, and is not counted in it
            pairs.append((before, len(columns)))
            columns.append(spoiled[:, 0])
    # all labellings at once: a call costs more than a column
    scores = get_metric(metric)(
        scaled[unique][:, None], np.stack(columns, axis=1), weights=weights
    )[0].numpy()
    found = {}
    for test, pairs in changes.items():
        before_after = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
        differences = scores[before_after[:, 1]] - scores[before_after[:, 0]]
        found[test] = differences[np.isfinite(differences)]
    return found


def _verdict(outcomes: Sequence[SanityOutcome]) -> Verdict:
    if any(outcome.n_tested == 0 for outcome in outcomes):
        return "not tested"
    if all(outcome.lower > PASS_THRESHOLD for outcome in outcomes):
        return "pass"
    if any(outcome.upper < PASS_THRESHOLD for outcome in outcomes):
        return "fail"
    return "too close to call"
