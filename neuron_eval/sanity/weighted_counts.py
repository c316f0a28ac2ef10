"""Score any weighted metric by counts: four inputs stand for all, their weights are the counts.

The built-in metrics have closed forms in `neuron_eval.sanity.binary_scores`, which take arrays. A
metric of one's own has none; it is called once per distinct set of counts instead.
"""

from collections.abc import Callable

import numpy as np

from neuron_eval.binarize import AlreadyBinary
from neuron_eval.registry import Metric
from neuron_eval.sanity.binary_scores import Counts, FloatArray

# Neuron and concept of the four inputs: both, neuron only, concept only, neither.
_NEURON = np.array([[1.0], [1.0], [0.0], [0.0]])
_CONCEPT = np.array([[1.0], [0.0], [1.0], [0.0]])


def takes_counts(metric: Metric) -> bool:
    """Say whether a metric can be scored by counts: it takes weights and draws nothing.

    Parameters
    ----------
    metric : Metric
        A metric of the registry.

    Returns
    -------
    bool
        Whether `scores_by_weights` applies.
    """
    return metric.takes_weights and not metric.sampled


def scores_by_weights(metric: Metric) -> Callable[[Counts], FloatArray]:
    """Return a function that scores counts with the metric itself.

    Parameters
    ----------
    metric : Metric
        A metric for which `takes_counts` holds.

    Returns
    -------
    callable
        From counts, arrays of one shape (n,), to scores of shape (n,), float64.
    """
    options = {"binarization": AlreadyBinary()} if "binarization" in metric.parameters else {}

    def score(counts: Counts) -> FloatArray:
        cells = (counts.both, counts.neuron_only, counts.concept_only, counts.neither)
        table = np.stack(np.broadcast_arrays(*cells), axis=-1)
        distinct, place = np.unique(table, axis=0, return_inverse=True)
        scores = np.array(
            [metric(_NEURON, _CONCEPT, weights=row, **options).item() for row in distinct]
        )
        return scores[place.ravel()]

    return score
