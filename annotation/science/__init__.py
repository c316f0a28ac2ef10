"""The only door to estimation and neuron_eval.

Every import of them is inside a function: a web process starts without torch and PyMC, and no view
ever waits for a sampler. Errors of the science come out as errors of the web app, with the name of
the study's own thing (this neuron, that concept) before the message.
"""

from annotation.science.aggregation import (
    Aggregated,
    GoldRow,
    RatingRow,
    aggregate,
    posterior_summary,
)
from annotation.science.agreement import Agreement, Share, krippendorff_alpha, share
from annotation.science.arrays import (
    activations_checked,
    array_load,
    array_save,
    concepts_checked,
    constant_columns,
    labels_require,
)
from annotation.science.comparison import (
    ConfirmedPair,
    MethodScore,
    methods_compare,
    sanity_check,
)
from annotation.science.files import (
    ExplanationRow,
    ExplanationRows,
    FirstUnit,
    MatrixFile,
    explanations_read,
    matrix_read,
    texts_read,
)
from annotation.science.rounds import (
    ADAPTIVE,
    AdaptiveDraws,
    Votes,
    draw_adaptive,
    rater_error_rate,
    stored_draw,
    votes_by_concept,
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
    "ADAPTIVE",
    "AdaptiveDraws",
    "Aggregated",
    "Agreement",
    "ConfirmedPair",
    "ExplanationRow",
    "ExplanationRows",
    "ExplanationScore",
    "FirstUnit",
    "GoldRow",
    "MatrixFile",
    "MethodScore",
    "RatingRow",
    "SampledInput",
    "Share",
    "Votes",
    "activations_checked",
    "aggregate",
    "array_load",
    "array_save",
    "concepts_checked",
    "constant_columns",
    "draw_adaptive",
    "draw_pair",
    "explanation_score",
    "explanations_read",
    "krippendorff_alpha",
    "labels_require",
    "matrix_read",
    "methods_compare",
    "pooled_rated",
    "posterior_summary",
    "rater_error_rate",
    "reference_score",
    "sampled_inputs",
    "sanity_check",
    "seed_from",
    "share",
    "shuffled",
    "stored_draw",
    "texts_read",
    "votes_by_concept",
]
