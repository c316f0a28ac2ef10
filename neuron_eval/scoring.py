"""Score with several metrics at once: all pairs, or the explanations of a method."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from neuron_eval.explanations import Explanation, predicted_activations
from neuron_eval.functional.at_once import score_contingency_metrics
from neuron_eval.registry import Metric, get_metric
from neuron_eval.validation import InputError, check_activations, check_concepts

Parameters = Mapping[str, Mapping[str, Any]]

_CONTINGENCY = {
    "recall",
    "precision",
    "f1_score",
    "iou",
    "accuracy",
    "balanced_accuracy",
    "inverse_balanced_accuracy",
    "combined_balanced_accuracy",
    "combined_precision_balanced_accuracy",
    "combined_precision_inverse_balanced_accuracy",
}


def options_for(metric: Metric, options: Mapping[str, Any]) -> dict[str, Any]:
    """Pick the options that a metric takes.

    Parameters
    ----------
    metric : Metric
        The metric.
    options : mapping
        Options by name of the parameter; those of other metrics may be among them.

    Returns
    -------
    dict
        The options that the metric takes.
    """
    return {name: value for name, value in options.items() if name in metric.parameters}


def score_metrics(
    activations: Any,
    concepts: Any,
    metrics: Sequence[str],
    *,
    weights: Any = None,
    parameters: Parameters | None = None,
) -> dict[str, Tensor]:
    """Score all pairs with several metrics; those of the 2 x 2 table share one count.

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations.
    concepts : array-like, shape (n_inputs, n_concepts)
        Concept vectors, in [0, 1].
    metrics : sequence of str
        Names of metrics in the registry.
    weights : array-like, shape (n_inputs,), optional
        Non-negative sample weights.
    parameters : mapping of str to mapping, optional
        Parameters per metric.

    Returns
    -------
    dict of str to Tensor, shape (n_neurons, n_concepts), float64
        Scores by name of the metric, NaN where undefined.

    Raises
    ------
    ValueError
        If an input is invalid, or a metric or parameter unknown.
    """
    given = dict(parameters or {})
    if unknown := set(given) - set(metrics):
        raise InputError(f"parameters: found {sorted(unknown)}, expected metrics that are scored.")
    entries = [get_metric(name) for name in metrics]
    own = [(metric, dict(given.get(metric.name, {}))) for metric in entries]
    together = [options for metric, options in own if metric.name in _CONTINGENCY]
    counted: dict[str, Tensor] = {}
    if len(together) > 1 and all(options == together[0] for options in together):
        counted = score_contingency_metrics(activations, concepts, weights=weights, **together[0])
    return {
        metric.name: counted[metric.name]
        if metric.name in counted
        else metric(activations, concepts, weights=weights, **options)
        for metric, options in own
    }


def score_explanations(
    activations: Any,
    concepts: Any,
    explanations: Sequence[Explanation],
    metrics: Sequence[str] = ("pearson_correlation",),
    *,
    weights: Any = None,
    parameters: Parameters | None = None,
) -> pd.DataFrame:
    """Score explanations, each against its own neuron.

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations.
    concepts : array-like, shape (n_inputs, n_concepts)
        Concept vectors, in [0, 1].
    explanations : sequence of Explanation
        Explanations; each one's unit is a column of the activations.
    metrics : sequence of str
        Names of metrics in the registry.
    weights : array-like, shape (n_inputs,), optional
        Non-negative sample weights.
    parameters : mapping of str to mapping, optional
        Parameters per metric.

    Returns
    -------
    pandas.DataFrame
        One row per explanation, in order: ``unit`` and one column per metric. NaN where the score
        is undefined, and where the explanation is linear and the metric needs probabilities
        (`Metric.concept_units_free` is False).

    Raises
    ------
    ValueError
        If an input is invalid, a unit has no column, or a metric is unknown.
    """
    a = check_activations(activations, dtype=None)
    c = check_concepts(concepts, n_inputs=a.shape[0], dtype=None)
    for explanation in explanations:
        if not 0 <= explanation.unit < a.shape[1]:
            raise InputError(
                f"explanations: found one of unit {explanation.unit}, expected 0 to "
                f"{a.shape[1] - 1}; is it of another layer?"
            )
    entries = [get_metric(name) for name in metrics]
    table = pd.DataFrame({"unit": [e.unit for e in explanations]})
    for metric in entries:
        table[metric.name] = np.nan
    by_unit: dict[int, list[int]] = {}
    for place, explanation in enumerate(explanations):
        by_unit.setdefault(explanation.unit, []).append(place)
    given = dict(parameters or {})
    for unit, places in by_unit.items():
        vectors, linear = _vectors([explanations[place] for place in places], c)
        for metric in entries:
            usable = [k for k in range(len(places)) if metric.concept_units_free or not linear[k]]
            if not usable:
                continue
            scores = metric(
                a[:, [unit]], vectors[:, usable], weights=weights, **given.get(metric.name, {})
            )
            table.loc[[places[k] for k in usable], metric.name] = scores[0].cpu().numpy()
    return table


def is_linear(explanation: Explanation) -> bool:
    """Say whether an explanation is a weighted sum, whose values are no probabilities.

    Parameters
    ----------
    explanation : Explanation
        The explanation.

    Returns
    -------
    bool
        True unless it is one concept of weight 1 without a bias.
    """
    terms = explanation.terms
    plain = len(terms) == 1 and terms[0].weight == 1 and explanation.bias == 0
    return bool(terms) and not plain


def _vectors(
    explanations: Sequence[Explanation], concepts: Tensor
) -> tuple[npt.NDArray[np.float64], list[bool]]:
    """Concept vectors of explanations; linear ones moved into [0, 1], their order kept."""
    vectors = predicted_activations(explanations, concepts)
    linear = [is_linear(explanation) for explanation in explanations]
    for column in np.flatnonzero(linear):
        low, high = vectors[:, column].min(), vectors[:, column].max()
        spread = high - low
        vectors[:, column] = (vectors[:, column] - low) / spread if spread > 0 else 0.0
    return vectors, linear


def top_concepts(scores: Tensor, n_top: int, texts: Sequence[str] | None = None) -> pd.DataFrame:
    """List the best concepts of every neuron.

    Parameters
    ----------
    scores : Tensor, shape (n_neurons, n_concepts)
        Scores, NaN where undefined.
    n_top : int
        Most concepts per neuron, at least 1.
    texts : sequence of str, optional
        Texts of the concepts; their column numbers when None.

    Returns
    -------
    pandas.DataFrame
        ``unit``, ``rank`` from 1, ``concept`` and ``score``; undefined scores are left out.

    Raises
    ------
    InputError
        If `n_top` is below 1 or the texts do not fit.
    """
    if n_top < 1:
        raise InputError(f"n_top: found {n_top!r}, expected at least 1.")
    if texts is not None and len(texts) != scores.shape[1]:
        raise InputError(f"texts: found {len(texts)}, expected one per concept, {scores.shape[1]}.")
    ordered = torch.where(torch.isnan(scores), -torch.inf, scores)
    best = ordered.topk(min(n_top, scores.shape[1]), dim=1)
    rows = []
    for unit, (columns, values) in enumerate(
        zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ):
        for rank, (column, value) in enumerate(zip(columns, values, strict=True), start=1):
            if value > -np.inf:
                concept = str(column) if texts is None else texts[column]
                rows.append((unit, rank, concept, value))
    return pd.DataFrame(rows, columns=["unit", "rank", "concept", "score"])
