"""How a study is sampled, aggregated and scored: the choices that a researcher makes."""

from django.db import models


class SamplingDesign(models.TextChoices):
    """Which inputs are rated; the values are names of `estimation.sampling.DESIGNS`.

    The design "top" of the library is not here: it says nothing of inputs outside the top.
    """

    MODEL_GUIDED = "model_guided", "Model-guided importance sampling (MG-IS)"
    NEYMAN = "neyman", "Neyman: by each input's effect on the score"
    STRATIFIED = "stratified", "Stratified by effect on the score"
    TOP_AND_RANDOM = "top_and_random", "Half top activations, half random"
    UNIFORM = "uniform", "Uniform"


class RoundDesign(models.TextChoices):
    """Which inputs a round draws: by one of the designs above, or by what the ratings say."""

    ADAPTIVE = "adaptive", "Adaptive: where one more rating tells most"
    MODEL_GUIDED = SamplingDesign.MODEL_GUIDED.value, SamplingDesign.MODEL_GUIDED.label
    NEYMAN = SamplingDesign.NEYMAN.value, SamplingDesign.NEYMAN.label
    STRATIFIED = SamplingDesign.STRATIFIED.value, SamplingDesign.STRATIFIED.label
    TOP_AND_RANDOM = SamplingDesign.TOP_AND_RANDOM.value, SamplingDesign.TOP_AND_RANDOM.label
    UNIFORM = SamplingDesign.UNIFORM.value, SamplingDesign.UNIFORM.label


class Aggregation(models.TextChoices):
    """How ratings become concept vectors."""

    MAJORITY = "majority", "Majority vote"
    MEAN = "mean", "Mean rating"
    BRAGG = "bragg", "BRAgg (closed form)"
    DAWID_SKENE = "dawid_skene", "Dawid-Skene (EM)"
    HIERARCHICAL = "hierarchical", "Hierarchical Bayes (PyMC)"

    @property
    def is_quick(self) -> bool:
        """Whether it takes under a second or so, and can follow every submit."""
        return self is not Aggregation.HIERARCHICAL


class Estimator(models.TextChoices):
    """How concept vectors become scores.

    All but the importance weights need an aggregation that predicts labels of inputs that nobody
    rated; with another one, scores are importance-weighted.
    """

    MODEL_ASSISTED = "model_assisted", "Model-assisted: the model, corrected by the sample"
    COMBINED = "combined", "Combined: the model, corrected as far as the sample objects"
    IMPORTANCE_WEIGHTED = "importance_weighted", "Importance weights alone"
