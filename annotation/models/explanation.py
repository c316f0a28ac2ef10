"""What the methods say of the neurons."""

from django.db import models
from django.db.models import Q

from annotation.models.concept import Concept
from annotation.models.probe import Neuron
from annotation.models.study import Study


class ExplanationMethod(models.Model):
    """Where explanations come from: CLIP-Dissect, MILAN, a sparse linear fit, a person."""

    name = models.CharField(max_length=200, unique=True)
    description = models.TextField(blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Explanation(models.Model):
    """One method's explanation of one neuron: a concept, or a weighted sum of concepts."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="explanations")
    neuron = models.ForeignKey(Neuron, on_delete=models.PROTECT, related_name="explanations")
    method = models.ForeignKey(
        ExplanationMethod, on_delete=models.PROTECT, related_name="explanations"
    )
    bias = models.FloatField(default=0.0)
    concepts: "models.ManyToManyField[Concept, ExplanationTerm]" = models.ManyToManyField(
        Concept, through="ExplanationTerm", related_name="explanations"
    )

    class Meta:
        ordering = ["study", "neuron", "method"]
        constraints = [
            models.UniqueConstraint(name="explanation_once", fields=["study", "neuron", "method"]),
        ]

    def __str__(self) -> str:
        return f"{self.method} on {self.neuron}"


class ExplanationTerm(models.Model):
    """One concept of an explanation and its weight (1 where the explanation is one concept)."""

    explanation = models.ForeignKey(Explanation, on_delete=models.CASCADE, related_name="terms")
    concept = models.ForeignKey(Concept, on_delete=models.PROTECT, related_name="terms")
    weight = models.FloatField(default=1.0)

    class Meta:
        ordering = ["explanation", "id"]
        constraints = [
            models.UniqueConstraint(
                name="explanation_term_once", fields=["explanation", "concept"]
            ),
            models.CheckConstraint(
                name="explanation_term_weight_not_zero", condition=~Q(weight=0.0)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.weight:g} x {self.concept}"
