"""Baseline explanation methods, each batched over all neurons of a layer.

Every one takes ``(activations, concepts, *, weights=None, ...)`` and returns one `Explanation`
per neuron: terms, a formula, or nothing where the neuron is constant or never active. They are
there to be compared with, not to compete.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from neuron_eval.explainers.best_auroc import explain_best_auroc
from neuron_eval.explainers.best_iou import explain_best_iou
from neuron_eval.explainers.random_concept import explain_random_concept
from neuron_eval.explainers.soft_wpmi import explain_soft_wpmi
from neuron_eval.explainers.sparse_linear import explain_sparse_linear
from neuron_eval.explainers.wpmi import explain_wpmi
from neuron_eval.explanations import Explanation

Explainer = Callable[..., list[Explanation]]

#: Explanation methods by name.
EXPLAINERS: Mapping[str, Explainer] = MappingProxyType(
    {
        "best_iou": explain_best_iou,
        "best_auroc": explain_best_auroc,
        "wpmi": explain_wpmi,
        "soft_wpmi": explain_soft_wpmi,
        "sparse_linear": explain_sparse_linear,
        "random_concept": explain_random_concept,
    }
)

__all__ = [
    "EXPLAINERS",
    "Explainer",
    "explain_best_auroc",
    "explain_best_iou",
    "explain_random_concept",
    "explain_soft_wpmi",
    "explain_sparse_linear",
    "explain_wpmi",
]
