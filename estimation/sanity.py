"""Missing and Extra Labels on estimated labels: whether a study would notice a bad explanation.

The tests of ``neuron_eval.sanity`` need true labels of all inputs. A study has label probabilities
of a weighted sample; here labels are drawn from those, spoiled, and scored with the sample's
weights. The verdict is that of ``neuron_eval.sanity``, which (and with it torch) is imported when
the check runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from estimation.checks import EstimationError, FloatArray, standardized
from estimation.imputation import impute_labels
from estimation.metric_scoring import threshold_options
from estimation.model_correlation import checked_rows
from estimation.sampling import Draw, draw_uniform

if TYPE_CHECKING:
    from neuron_eval.registry import Metric
    from neuron_eval.sanity.results import DecreaseAccuracy, ScoreChanges

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
        Mean difference of the score, as a share of the metric's range (of the range of the scores
        seen, where the metric is unbounded).
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


def posterior_pair(activation: ArrayLike, g: ArrayLike, *, name: str = "") -> SampledPair:
    """Make a pair that is tested on whole concept vectors drawn from the posterior.

    Parameters
    ----------
    activation : array-like, shape (n_inputs,)
        Activations of the neuron.
    g : array-like, shape (n_inputs,) or (n_posterior, n_inputs)
        P(c_i = 1 | parameters, ratings) for every input, rated or not, a row a posterior draw.
    name : str
        What the pair is called where it had to be skipped.

    Returns
    -------
    SampledPair
        Its draw is the census: every input once, with the same weight.

    Raises
    ------
    EstimationError
        When shapes do not match or values are out of range.
    """
    n = standardized(activation).size
    rows = checked_rows(g, n, "g")
    census = draw_uniform(n, n, seed=0, replacement=False)
    return SampledPair(activation, census, rows[:, census.indices], name)


def check_estimated_labels(
    pairs: Sequence[SampledPair],
    *,
    metric: str = "pearson_correlation",
    parameters: Mapping[str, Any] | None = None,
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
        A metric of ``neuron_eval.registry``.
    parameters : mapping, optional
        Parameters of the metric. A rule for the active inputs is applied to all inputs, whose
        activations are known.
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
        When there are no pairs, or shapes do not match.
    UnknownMetricError
        When the metric is not registered.

    References
    ----------
    Oikarinen, Yan, Weng, ICML 2025, arXiv 2506.05774, the Missing and Extra Labels tests.
    """
    from neuron_eval.registry import get_metric
    from neuron_eval.sanity.results import judge

    if not pairs or n_labellings < 1:
        msg = "pairs: the sanity check needs at least one pair and one labelling"
        raise EstimationError(msg)
    scored = get_metric(metric)
    changes = []
    skipped = []
    for number, pair in enumerate(pairs):
        rng = np.random.default_rng([seed, number])
        found = _changes(pair, scored, dict(parameters or {}), n_labellings, rng)
        changes.append(found)
        if not found.missing.size + found.extra.size:
            skipped.append(
                f"{pair.name or f'pair {number}'}: no labelling has both labels, or none can be "
                "spoiled"
            )
    judged = judge(scored, changes, dict(parameters or {}), epsilon, PASS_THRESHOLD)
    missing, extra = _outcome(judged.missing), _outcome(judged.extra)
    untested = missing.n_tested == 0 or extra.n_tested == 0
    return EstimatedSanity(
        metric, missing, extra, "not tested" if untested else judged.verdict, tuple(skipped)
    )


def _changes(
    pair: SampledPair,
    metric: "Metric",
    parameters: Mapping[str, Any],
    n_labellings: int,
    rng: np.random.Generator,
) -> "ScoreChanges":
    """Scores of one pair before and after spoiling, where both are defined."""
    from neuron_eval.sanity.perturb import PerturbationError, extra_labels, missing_labels
    from neuron_eval.sanity.results import ScoreChanges

    standardized(pair.activation)  # refuses constant and non-finite activations
    activation = np.asarray(pair.activation, dtype=np.float64)
    if activation.size != pair.draw.n_inputs:
        msg = (
            f"activation: {activation.size} inputs, but the draw of {pair.name or 'this pair'} was "
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
    scores = metric(
        activation[unique][:, None],
        np.stack(columns, axis=1),
        weights=weights,
        **threshold_options(metric, activation, parameters),
    )[0].numpy()
    found = []
    for pairs in changes.values():
        before_after = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
        sides = scores[before_after]
        found += list(sides[np.isfinite(sides).all(axis=1)].T)
    return ScoreChanges(*found)


def _outcome(found: "DecreaseAccuracy") -> SanityOutcome:
    return SanityOutcome(found.share, found.low, found.high, found.mean_difference, found.n_draws)
