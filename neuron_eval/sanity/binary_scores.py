"""Scores of a binary neuron and a binary concept, as functions of the 2 x 2 counts.

Where both sides are 0 or 1, every metric that uses all inputs depends on four counts alone. The
functions below take arrays of counts, so thousands of draws are scored at once. They restate the
metrics of `neuron_eval.functional` on purpose: the tests hold the two against each other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from neuron_eval.functional.information import LEAST_PROBABILITY

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """Counts of inputs, arrays of one shape.

    Attributes
    ----------
    both, neuron_only, concept_only, neither : ndarray
        Inputs where neuron and concept are 1, only one of them is, or none.
    """

    both: FloatArray
    neuron_only: FloatArray
    concept_only: FloatArray
    neither: FloatArray

    @property
    def active(self) -> FloatArray:
        """Inputs where the neuron is 1."""
        return self.both + self.neuron_only

    @property
    def present(self) -> FloatArray:
        """Inputs where the concept is 1."""
        return self.both + self.concept_only

    @property
    def total(self) -> FloatArray:
        """All inputs."""
        return self.active + self.concept_only + self.neither


def _share(part: FloatArray, whole: FloatArray) -> FloatArray:
    """Divide, NaN where there is nothing to divide by."""
    shares: FloatArray = part / np.where(whole > 0, whole, np.nan)
    return shares


def _recall(n: Counts) -> FloatArray:
    return _share(n.both, n.active)


def _precision(n: Counts) -> FloatArray:
    return _share(n.both, n.present)


def _f1_score(n: Counts) -> FloatArray:
    return _share(2 * n.both, n.active + n.present)


def _iou(n: Counts) -> FloatArray:
    return _share(n.both, n.active + n.concept_only)


def _accuracy(n: Counts) -> FloatArray:
    return _share(n.both + n.neither, n.total)


def _balanced_accuracy(n: Counts) -> FloatArray:
    return (_share(n.both, n.active) + _share(n.neither, n.total - n.active)) / 2


def _inverse_balanced_accuracy(n: Counts) -> FloatArray:
    return (_share(n.both, n.present) + _share(n.neither, n.total - n.present)) / 2


def _phi(n: Counts) -> FloatArray:
    active, present, total = n.active, n.present, n.total
    spread = active * (total - active) * present * (total - present)
    scores: FloatArray = (total * n.both - active * present) / np.sqrt(
        np.where(spread > 0, spread, np.nan)
    )
    return scores


def _cosine_similarity(n: Counts) -> FloatArray:
    return _share(n.both, np.sqrt(n.active * n.present))


def _wpmi(n: Counts) -> FloatArray:
    missed = _share(n.neuron_only, n.active)
    frequency = _share(n.present, n.total)
    scores: FloatArray = missed * np.log(LEAST_PROBABILITY) - np.log(
        np.where(frequency > 0, frequency, np.nan)
    )
    return scores


def _mean_activation_difference(n: Counts) -> FloatArray:
    return _share(n.both, n.present) - _share(n.neuron_only, n.total - n.present)


def _auprc(n: Counts) -> FloatArray:
    # Two thresholds: the inputs with the concept first, then all inputs.
    first = np.where(n.present > 0, _share(n.both**2, n.active * n.present), 0.0)
    return first + _share(n.neuron_only, n.total) + 0 * _recall(n)


def _inverse_auprc(n: Counts) -> FloatArray:
    first = np.where(n.active > 0, _share(n.both**2, n.active * n.present), 0.0)
    return first + _share(n.concept_only, n.total) + 0 * _precision(n)


def _harmonic(
    first: Callable[[Counts], FloatArray], second: Callable[[Counts], FloatArray]
) -> Callable[[Counts], FloatArray]:
    def score(n: Counts) -> FloatArray:
        a, b = first(n), second(n)
        total = a + b
        return np.where(total == 0, 0.0, 2 * a * b / np.where(total == 0, 1.0, total))

    return score


#: Scores by name of the metric. With two values each, ranks carry no more than the values: AUROC
#: is balanced accuracy, and Spearman's correlation is Pearson's.
BINARY_SCORES: Mapping[str, Callable[[Counts], FloatArray]] = MappingProxyType(
    {
        "recall": _recall,
        "precision": _precision,
        "f1_score": _f1_score,
        "iou": _iou,
        "accuracy": _accuracy,
        "balanced_accuracy": _balanced_accuracy,
        "inverse_balanced_accuracy": _inverse_balanced_accuracy,
        "auroc": _balanced_accuracy,
        "inverse_auroc": _inverse_balanced_accuracy,
        "pearson_correlation": _phi,
        "spearman_correlation": _phi,
        "cosine_similarity": _cosine_similarity,
        "wpmi": _wpmi,
        "mean_activation_difference": _mean_activation_difference,
        "auprc": _auprc,
        "inverse_auprc": _inverse_auprc,
        "combined_auroc": _harmonic(_balanced_accuracy, _inverse_balanced_accuracy),
        "combined_balanced_accuracy": _harmonic(_balanced_accuracy, _inverse_balanced_accuracy),
        "combined_recall_auroc": _harmonic(_recall, _balanced_accuracy),
        "combined_recall_inverse_auroc": _harmonic(_recall, _inverse_balanced_accuracy),
        "combined_precision_balanced_accuracy": _harmonic(_precision, _balanced_accuracy),
        "combined_precision_inverse_balanced_accuracy": _harmonic(
            _precision, _inverse_balanced_accuracy
        ),
    }
)

#: Metrics that look at a few drawn inputs; on these they are Pearson's correlation of 0 and 1.
SAMPLED_SCORES: Mapping[str, Callable[[Counts], FloatArray]] = MappingProxyType(
    {
        "pearson_correlation_top_and_random": _phi,
        "spearman_correlation_top_and_random": _phi,
    }
)
