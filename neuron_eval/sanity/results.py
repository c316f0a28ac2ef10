"""What a sanity check on real data says of a metric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from neuron_eval.registry import Metric
from neuron_eval.sanity.intervals import clustered_share

Verdict = Literal["pass", "fail", "too close to call"]
FloatArray = npt.NDArray[np.float64]

#: Both decrease accuracies must exceed this share.
PASS_THRESHOLD = 0.9

TESTS: tuple[Literal["missing", "extra"], ...] = ("missing", "extra")


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
    parameters : mapping
        Parameters of the metric: those given and those chosen on the validation pairs.
    """

    metric: str
    missing: DecreaseAccuracy
    extra: DecreaseAccuracy
    verdict: Verdict
    width: float
    width_is_known: bool
    parameters: Mapping[str, Any]


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
    """Result of sanity checks on real activations and labels.

    Attributes
    ----------
    metrics : tuple of MetricSanity
        One entry per metric.
    skipped : tuple of SkippedPair
        What was not tested, with the reason.
    n_pairs : int
        Pairs that were tested.
    n_validation : int
        Pairs that parameters were tuned on; they are not tested. 0 where nothing was tuned.
    epsilon : float
        Least fall that counts.
    threshold : float
        Share that both tests must exceed.
    seed : int
        Seed of the draws and of the split.
    """

    metrics: tuple[MetricSanity, ...]
    skipped: tuple[SkippedPair, ...]
    n_pairs: int
    n_validation: int
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
            for test in TESTS:
                outcome: DecreaseAccuracy = getattr(entry, test)
                row[f"{test}_accuracy"] = outcome.share
                row[f"{test}_low"] = outcome.low
                row[f"{test}_high"] = outcome.high
                row[f"{test}_difference"] = outcome.mean_difference
                row[f"{test}_undefined"] = outcome.n_undefined
            row["width"] = entry.width
            row["parameters"] = entry.parameters
            rows.append(row)
        return pd.DataFrame(rows)


@dataclass(frozen=True)
class ScoreChanges:
    """Scores of one metric and one pair, before and after the labels were spoiled.

    Attributes
    ----------
    before_missing, missing : ndarray, shape (n_missing,)
        Scores of the labels as they are, and with missing labels.
    before_extra, extra : ndarray, shape (n_extra,)
        Likewise, with extra labels.
    """

    before_missing: FloatArray
    missing: FloatArray
    before_extra: FloatArray
    extra: FloatArray


def judge(
    metric: Metric,
    changes: Sequence[ScoreChanges],
    parameters: Mapping[str, Any],
    epsilon: float,
    threshold: float,
) -> MetricSanity:
    """Turn the changes of scores into decrease accuracies and a verdict.

    Parameters
    ----------
    metric : Metric
        The metric.
    changes : sequence of ScoreChanges
        One entry per tested pair.
    parameters : mapping
        Parameters that the scores were computed with, for the record.
    epsilon : float
        Least fall that counts, as a share of the metric's range.
    threshold : float
        Share that both tests must exceed.

    Returns
    -------
    MetricSanity
        The two tests, with intervals over pairs, and the verdict.
    """
    width = metric.width
    if width is None:
        width = _range_seen(changes)
    missing = _decrease([(c.before_missing, c.missing) for c in changes], width, epsilon)
    extra = _decrease([(c.before_extra, c.extra) for c in changes], width, epsilon)
    if min(missing.low, extra.low) > threshold:
        verdict: Verdict = "pass"
    elif min(missing.high, extra.high) < threshold:
        verdict = "fail"
    else:
        verdict = "too close to call"
    known = metric.width is not None
    return MetricSanity(metric.name, missing, extra, verdict, width, known, dict(parameters))


def _range_seen(changes: Sequence[ScoreChanges]) -> float:
    seen = [side for c in changes for side in vars(c).values()]
    scores = np.concatenate(seen) if seen else np.empty(0)
    scores = scores[np.isfinite(scores)]
    return float(np.ptp(scores)) if scores.size and np.ptp(scores) > 0 else float("nan")


def _decrease(
    pairs: Sequence[tuple[FloatArray, FloatArray]], width: float, epsilon: float
) -> DecreaseAccuracy:
    hits, trials, differences, n_undefined = [], [], [], 0
    for before, after in pairs:
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
