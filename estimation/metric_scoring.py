"""Scoring labellings with a metric of ``neuron_eval``, which is imported when it is used."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from estimation.checks import EstimationError, FloatArray, finite_vector
from estimation.metric_intervals import ends_of
from estimation.score_estimate import ScoreEstimate, undefined_score

if TYPE_CHECKING:
    from neuron_eval.registry import Metric


def metrics_by_name(names: Sequence[str]) -> "dict[str, Metric]":
    """Look metrics up in the registry.

    Parameters
    ----------
    names : sequence of str
        At least one name.

    Returns
    -------
    dict of Metric, by name

    Raises
    ------
    EstimationError
        When there is none, or a name is given in place of a list.
    UnknownMetricError
        When a metric is not registered.
    """
    from neuron_eval.registry import get_metric

    if isinstance(names, str) or not names:
        msg = f"metrics: found {names!r}, expected a list of at least one metric's name"
        raise EstimationError(msg)
    return {name: get_metric(name) for name in names}


def varying_activation(activation: ArrayLike) -> FloatArray:
    """Check the activations of a neuron, and leave them in their own units.

    Parameters
    ----------
    activation : array-like, shape (n_inputs,)
        Activations, finite, not constant.

    Returns
    -------
    ndarray, shape (n_inputs,), float64

    Raises
    ------
    EstimationError
        When values are not finite or all the same.
    """
    vector = finite_vector(activation, "activation")
    if vector.min() == vector.max():
        msg = (
            f"activation: constant over all {vector.size} inputs (value {vector[0]:g}), so no "
            "metric is defined; leave this neuron out of the study"
        )
        raise EstimationError(msg)
    return vector


def threshold_options(
    metric: "Metric", vector: FloatArray, given: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Replace a rule for the active inputs by the threshold that it comes to over all inputs.

    Parameters
    ----------
    metric : Metric
        A metric of the registry.
    vector : ndarray, shape (n_inputs,)
        Activations over all inputs.
    given : mapping
        Parameters given for the metric.

    Returns
    -------
    mapping
        Parameters with which a sample of the inputs is scored; as given where the metric has no
        such rule, or the rule is no threshold.
    """
    if metric.sampled or "binarization" not in metric.parameters:
        return given
    import torch

    from neuron_eval.binarize import AlreadyBinary, Threshold

    rule = given.get("binarization", metric.parameters["binarization"])
    if isinstance(rule, AlreadyBinary | Threshold):
        return given
    active = rule.apply(torch.from_numpy(vector[None, :].copy()), None).numpy()[0]
    if not active.any():
        return {**given, "binarization": Threshold(float("inf"))}
    if active.all():
        return {**given, "binarization": Threshold(float("-inf"))}
    value = float(vector[~active].max())
    if value >= vector[active].min():
        return given  # a rule of one's own that is no threshold: it sees the sample alone
    return {**given, "binarization": Threshold(value)}


def scores_of(
    metric: "Metric",
    activation: FloatArray,
    labels: FloatArray,
    weights: FloatArray | None,
    options: Mapping[str, Any],
) -> FloatArray:
    """Score labellings of one neuron.

    Parameters
    ----------
    metric : Metric
        A metric of the registry.
    activation : ndarray, shape (n,)
        Activations.
    labels : ndarray, shape (n, m)
        Labellings, a column each.
    weights : ndarray, shape (n,), or None
        Weights of the inputs.
    options : mapping
        Parameters of the metric.

    Returns
    -------
    ndarray, shape (m,), float64
        NaN where undefined.
    """
    if weights is None:
        found = metric(activation[:, None], labels, **options)
    else:
        found = metric(activation[:, None], labels, weights=weights, **options)
    scores: FloatArray = np.asarray(found[0].numpy(), dtype=np.float64)
    return scores


def undefined_metric(
    metric: "Metric",
    estimator: str,
    level: float,
    n_effective: float,
    n_rated: int,
    notes: Sequence[str],
) -> ScoreEstimate:
    """Make the estimate of a score that is undefined: NaN, and the metric's whole range."""
    lower, upper = ends_of(metric.range)
    undefined = undefined_score(estimator, level, n_effective, n_rated, tuple(notes))
    return replace(undefined, lower=lower, upper=upper)
