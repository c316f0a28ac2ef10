"""The metrics as pure functions: activations and concepts in, one score per pair out.

Every function takes ``(activations, concepts, *, weights=None, ...)`` and returns a float64 tensor
of shape (n_neurons, n_concepts) with NaN where the score is undefined (``torch.isnan`` is the
mask). ``neuron_eval.registry``
lists them by name.
"""

from neuron_eval.functional.average_precision import auprc, inverse_auprc
from neuron_eval.functional.combinations import (
    combined_auroc,
    combined_balanced_accuracy,
    combined_precision_balanced_accuracy,
    combined_precision_inverse_balanced_accuracy,
    combined_recall_auroc,
    combined_recall_inverse_auroc,
)
from neuron_eval.functional.correlation import cosine_similarity, pearson_correlation
from neuron_eval.functional.difference import mean_activation_difference
from neuron_eval.functional.information import wpmi
from neuron_eval.functional.overlap import (
    accuracy,
    balanced_accuracy,
    f1_score,
    inverse_balanced_accuracy,
    iou,
    precision,
    recall,
)
from neuron_eval.functional.ranking import auroc, inverse_auroc, spearman_correlation
from neuron_eval.functional.sampled import (
    pearson_correlation_top_and_random,
    spearman_correlation_top_and_random,
)

__all__ = [
    "accuracy",
    "auprc",
    "auroc",
    "balanced_accuracy",
    "combined_auroc",
    "combined_balanced_accuracy",
    "combined_precision_balanced_accuracy",
    "combined_precision_inverse_balanced_accuracy",
    "combined_recall_auroc",
    "combined_recall_inverse_auroc",
    "cosine_similarity",
    "f1_score",
    "inverse_auprc",
    "inverse_auroc",
    "inverse_balanced_accuracy",
    "iou",
    "mean_activation_difference",
    "pearson_correlation",
    "pearson_correlation_top_and_random",
    "precision",
    "recall",
    "spearman_correlation",
    "spearman_correlation_top_and_random",
    "wpmi",
]
