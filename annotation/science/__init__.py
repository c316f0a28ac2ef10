"""The only door to estimation and neuron_eval.

Every import of them is inside a function: a web process starts without torch and PyMC, and no view
ever waits for a sampler. Errors of the science come out as errors of the web app, with the name of
the study's own thing (this neuron, that concept) before the message.
"""

from annotation.science.aggregation import (
    Aggregated,
    RatingRow,
    aggregate,
    posterior_summary,
)
from annotation.science.arrays import (
    activations_checked,
    array_load,
    array_save,
    concepts_checked,
    labels_require,
)
from annotation.science.comparison import (
    ConfirmedPair,
    MethodScore,
    methods_compare,
    sanity_check,
)
from annotation.science.sampling import (
    SampledInput,
    draw_pair,
    sampled_inputs,
    seed_from,
    shuffled,
)
from annotation.science.scoring import (
    ExplanationScore,
    explanation_score,
    pooled_rated,
    reference_score,
)

__all__ = [
    "Aggregated",
    "ConfirmedPair",
    "ExplanationScore",
    "MethodScore",
    "RatingRow",
    "SampledInput",
    "activations_checked",
    "aggregate",
    "array_load",
    "array_save",
    "concepts_checked",
    "draw_pair",
    "explanation_score",
    "labels_require",
    "methods_compare",
    "pooled_rated",
    "posterior_summary",
    "reference_score",
    "sampled_inputs",
    "sanity_check",
    "seed_from",
    "shuffled",
]
