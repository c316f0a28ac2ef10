"""The metrics by name, with what a program must know to use one it has never seen.

Sanity checks, meta-evaluation, the command line and its tables run over this registry, so a metric
that is registered gets all of them, and `neuron_eval.metric_checks.check_metric` tests it. An own
metric takes three lines::

    from neuron_eval.registry import register_metric

    register_metric("agreement", my_function, range=(0.0, 1.0), binarizes="both")
"""

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from torch import Tensor

from neuron_eval import functional
from neuron_eval.errors import NeuronEvalError

Binarizes = Literal["both", "neuron", "concept", "nothing"]
Reference = Literal["neuron", "concept"]

_OWN_ARGUMENTS = ("activations", "concepts", "weights", "memory_budget")


class UnknownMetricError(NeuronEvalError):
    """No metric has this name."""


@dataclass(frozen=True)
class Metric:
    """A metric and its properties.

    Attributes
    ----------
    name : str
        Name in the registry, that of the function.
    function : callable
        ``(activations, concepts, *, weights=None, ...) -> Tensor (n_neurons, n_concepts)``.
    range : (float, float) or None
        Least and greatest possible score, None where unbounded. Higher is always better.
    binarizes : {"both", "neuron", "concept", "nothing"}
        Which side is turned into 0 and 1.
    reference : {"neuron", "concept"} or None
        The side that is taken as the truth to be found, where one is.
    symmetric : bool
        Whether exchanging neuron and concept, both binary, leaves the score as it is.
    sampled : bool
        Whether the score is a random draw that depends on a seed and on the order of the rows.
    scale_free : bool
        Whether multiplying the activations by a positive number leaves the score as it is.
    shift_free : bool
        Whether adding a number to the activations leaves the score as it is.
    concept_units_free : bool
        Whether the score depends on the concept vector only up to a positive factor and a
        constant, so that it can judge a linear explanation, whose values are no probabilities.
    summary : str
        One line.
    """

    name: str
    function: Callable[..., Tensor]
    range: tuple[float, float] | None
    binarizes: Binarizes
    reference: Reference | None = None
    symmetric: bool = False
    sampled: bool = False
    scale_free: bool = True
    shift_free: bool = True
    concept_units_free: bool = False
    summary: str = ""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Names of the parameters beyond data and weights, with their defaults."""
        found = inspect.signature(self.function).parameters.values()
        return MappingProxyType(
            {
                parameter.name: parameter.default
                for parameter in found
                if parameter.name not in _OWN_ARGUMENTS
                and parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
            }
        )

    @property
    def takes_weights(self) -> bool:
        """Whether the function takes sample weights, as all built-in metrics do."""
        return "weights" in inspect.signature(self.function).parameters

    @property
    def width(self) -> float | None:
        """Difference between the greatest and the least possible score, None if unbounded."""
        return None if self.range is None else self.range[1] - self.range[0]

    def __call__(
        self, activations: Any, concepts: Any, *, weights: Any = None, **parameters: Any
    ) -> Tensor:
        """Score all pairs of neurons and concepts.

        Parameters
        ----------
        activations : array-like, shape (n_inputs, n_neurons)
            Activations.
        concepts : array-like, shape (n_inputs, n_concepts)
            Concept vectors, in [0, 1].
        weights : array-like, shape (n_inputs,), optional
            Non-negative sample weights.
        **parameters
            Parameters of the metric; one that it does not take is an error.

        Returns
        -------
        Tensor, shape (n_neurons, n_concepts), float64
            Scores, NaN where undefined.

        Raises
        ------
        ValueError
            If the input is invalid or a parameter unknown.
        """
        known = (*self.parameters, "memory_budget")
        for name in parameters:
            if name not in known:
                raise NeuronEvalError(
                    f"{self.name}: takes no parameter {name!r}; it takes {', '.join(known)}."
                )
        if weights is None:
            return self.function(activations, concepts, **parameters)
        if not self.takes_weights:
            raise NeuronEvalError(
                f"{self.name}: takes no weights; score the whole dataset, or give the function an "
                "argument 'weights'."
            )
        return self.function(activations, concepts, weights=weights, **parameters)


_REGISTERED: dict[str, Metric] = {}

#: All metrics by name, read-only; `register_metric` adds to it.
METRICS: Mapping[str, Metric] = MappingProxyType(_REGISTERED)


def register_metric(
    name: str,
    function: Callable[..., Tensor],
    *,
    range: tuple[float, float] | None,  # noqa: A002
    binarizes: Binarizes,
    reference: Reference | None = None,
    symmetric: bool = False,
    sampled: bool = False,
    scale_free: bool = True,
    shift_free: bool = True,
    concept_units_free: bool = False,
    summary: str | None = None,
) -> Metric:
    """Add a metric to the registry.

    Parameters
    ----------
    name : str
        A new name, a Python identifier.
    function : callable
        ``(activations, concepts, *, weights=None, ...) -> Tensor (n_neurons, n_concepts)``.
    range : (float, float) or None
        Least and greatest possible score; None where unbounded.
    binarizes : {"both", "neuron", "concept", "nothing"}
        Which side is turned into 0 and 1.
    reference : {"neuron", "concept"}, optional
        The side that is taken as the truth.
    symmetric, sampled, scale_free, shift_free, concept_units_free : bool
        See `Metric`.
    summary : str, optional
        One line; the first line of the function's docstring when None.

    Returns
    -------
    Metric
        The entry.

    Raises
    ------
    ValueError
        If the name is taken or no identifier, or the range is empty.
    """
    if not name.isidentifier():
        raise NeuronEvalError(
            f"name: found {name!r}, expected a Python identifier such as 'my_iou'."
        )
    if name in _REGISTERED:
        raise NeuronEvalError(f"name: there is a metric {name!r} already; choose another name.")
    if range is not None and not range[0] < range[1]:
        raise NeuronEvalError(f"range: found {range!r}, expected (least, greatest).")
    if summary is None:
        summary = (inspect.getdoc(function) or "").partition("\n")[0]
    metric = Metric(
        name,
        function,
        range,
        binarizes,
        reference,
        symmetric,
        sampled,
        scale_free,
        shift_free,
        concept_units_free,
        summary,
    )
    _REGISTERED[name] = metric
    return metric


def get_metric(name: str) -> Metric:
    """Look a metric up by name.

    Parameters
    ----------
    name : str
        A name in `METRICS`.

    Returns
    -------
    Metric
        The metric.

    Raises
    ------
    UnknownMetricError
        If there is none of this name; near matches are listed.
    """
    if name in _REGISTERED:
        return _REGISTERED[name]
    near = difflib.get_close_matches(name, _REGISTERED, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "see METRICS."
    raise UnknownMetricError(f"metric: there is no metric {name!r}; {hint}")


_UNIT = (0.0, 1.0)
_SIGNED = (-1.0, 1.0)

register_metric("recall", functional.recall, range=_UNIT, binarizes="both", reference="neuron")
register_metric(
    "precision", functional.precision, range=_UNIT, binarizes="both", reference="neuron"
)
register_metric(
    "balanced_accuracy",
    functional.balanced_accuracy,
    range=_UNIT,
    binarizes="both",
    reference="neuron",
)
register_metric(
    "inverse_balanced_accuracy",
    functional.inverse_balanced_accuracy,
    range=_UNIT,
    binarizes="both",
    reference="concept",
)
register_metric("f1_score", functional.f1_score, range=_UNIT, binarizes="both", symmetric=True)
register_metric("iou", functional.iou, range=_UNIT, binarizes="both", symmetric=True)
register_metric("accuracy", functional.accuracy, range=_UNIT, binarizes="both", symmetric=True)
register_metric(
    "auroc",
    functional.auroc,
    range=_UNIT,
    binarizes="neuron",
    reference="neuron",
    concept_units_free=True,
)
register_metric(
    "auprc",
    functional.auprc,
    range=_UNIT,
    binarizes="neuron",
    reference="neuron",
    concept_units_free=True,
)
register_metric(
    "inverse_auroc", functional.inverse_auroc, range=_UNIT, binarizes="concept", reference="concept"
)
register_metric(
    "inverse_auprc", functional.inverse_auprc, range=_UNIT, binarizes="concept", reference="concept"
)
register_metric(
    "pearson_correlation",
    functional.pearson_correlation,
    range=_SIGNED,
    binarizes="nothing",
    symmetric=True,
    concept_units_free=True,
)
register_metric(
    "spearman_correlation",
    functional.spearman_correlation,
    range=_SIGNED,
    binarizes="nothing",
    symmetric=True,
    concept_units_free=True,
)
register_metric(
    "pearson_correlation_top_and_random",
    functional.pearson_correlation_top_and_random,
    range=_SIGNED,
    binarizes="nothing",
    sampled=True,
    concept_units_free=True,
)
register_metric(
    "spearman_correlation_top_and_random",
    functional.spearman_correlation_top_and_random,
    range=_SIGNED,
    binarizes="nothing",
    sampled=True,
    concept_units_free=True,
)
register_metric(
    "cosine_similarity",
    functional.cosine_similarity,
    range=_SIGNED,
    binarizes="nothing",
    symmetric=True,
    shift_free=False,
)
register_metric("wpmi", functional.wpmi, range=None, binarizes="neuron", reference="neuron")
register_metric(
    "mean_activation_difference",
    functional.mean_activation_difference,
    range=None,
    binarizes="concept",
    reference="concept",
    scale_free=False,
)
register_metric(
    "combined_auroc", functional.combined_auroc, range=_UNIT, binarizes="both", symmetric=True
)
register_metric(
    "combined_balanced_accuracy",
    functional.combined_balanced_accuracy,
    range=_UNIT,
    binarizes="both",
    symmetric=True,
)
register_metric(
    "combined_recall_auroc", functional.combined_recall_auroc, range=_UNIT, binarizes="both"
)
register_metric(
    "combined_recall_inverse_auroc",
    functional.combined_recall_inverse_auroc,
    range=_UNIT,
    binarizes="both",
)
register_metric(
    "combined_precision_balanced_accuracy",
    functional.combined_precision_balanced_accuracy,
    range=_UNIT,
    binarizes="both",
)
register_metric(
    "combined_precision_inverse_balanced_accuracy",
    functional.combined_precision_inverse_balanced_accuracy,
    range=_UNIT,
    binarizes="both",
)
