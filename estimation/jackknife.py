"""The delete-one jackknife of a metric on a weighted sample with imputed labels."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from estimation.checks import FloatArray
from estimation.metric_scoring import scores_of
from estimation.sampling import Draw, design_variance

if TYPE_CHECKING:
    from neuron_eval.registry import Metric


class LabelledSample:
    """A weighted sample with imputed labels, one row a distinct input."""

    def __init__(
        self,
        activation: FloatArray,
        labels: FloatArray,
        draw: Draw,
        inverse: NDArray[np.intp],
    ) -> None:
        self.activation = activation
        self.labels = labels
        self.draw = draw
        self.inverse = inverse
        merged = np.bincount(inverse, weights=draw.weights)
        self.weights: FloatArray = merged.astype(np.float64)

    def jackknife(
        self, metric: "Metric", options: Mapping[str, Any], columns: NDArray[np.intp]
    ) -> tuple[FloatArray, float, float]:
        """Sampling variance of some labellings' scores.

        Returns
        -------
        variances : ndarray, shape (n_columns,)
            Infinite where a deletion leaves the score undefined.
        degrees_of_freedom : float
            What the variance is worth where few draws decide it: 2 n / (kurtosis - 1).
        defined : float
            Share of deletions that leave the score defined.
        """
        own = self.draw.own_inclusion
        if own is not None and np.all(own == 1):
            return np.zeros(columns.size), np.inf, 1.0  # nothing was left to chance
        labels = self.labels[:, columns]
        whole = scores_of(metric, self.activation, labels, self.weights, options)
        without = np.empty((self.weights.size, columns.size))
        first = np.unique(self.inverse, return_index=True)[1]
        for row, weight in enumerate(self.draw.weights[first]):
            reduced = self.weights.copy()
            # the last draw of an input leaves exactly nothing, not a rounding error
            alone = np.isclose(reduced[row], weight, rtol=1e-9)
            reduced[row] = 0.0 if alone else reduced[row] - weight
            without[row] = scores_of(metric, self.activation, labels, reduced, options)
        values = (self.draw.n_draws - 1) * (whole - without)[self.inverse].T
        bad = ~np.isfinite(values)
        values = np.where(bad, 0.0, values)
        variances = design_variance(values, self.draw)
        off = values - values.mean(axis=1, keepdims=True)
        second, fourth = np.mean(off**2, axis=1), np.mean(off**4, axis=1)
        flat = second <= 0
        kurtosis = np.where(flat, 3.0, fourth / np.where(flat, 1.0, second**2))
        freedom = float(np.mean(2 * self.draw.n_draws / np.maximum(kurtosis - 1, 1e-9)))
        return np.where(bad.any(axis=1), np.inf, variances), freedom, float(1 - bad.mean())


def why_undefined(sample: LabelledSample) -> str:
    """Say why no labelling of a sample has a score."""
    if sample.labels.max() == 0:
        what = "no positives in the sample"
    elif sample.labels.min() == 1:
        what = "no negatives in the sample"
    elif sample.activation.min() == sample.activation.max():
        what = "all sampled inputs have the same activation"
    else:
        what = "the neuron is active on none, or on all, of the sampled inputs"
    return f"{what}, so the metric is undefined; rate more inputs"
