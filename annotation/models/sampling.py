"""Which inputs were drawn for which (neuron, concept) pair, with which probability."""

from django.db import models
from django.db.models import Q

from annotation.models.concept import Concept
from annotation.models.probe import Neuron, ProbeInput
from annotation.models.study import Study


class PairSample(models.Model):
    """The sample of one (neuron, concept) pair; design, parameters and seed redraw it exactly."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="pair_samples")
    neuron = models.ForeignKey(Neuron, on_delete=models.PROTECT, related_name="pair_samples")
    concept = models.ForeignKey(Concept, on_delete=models.PROTECT, related_name="pair_samples")
    sampling_design = models.CharField(max_length=40)
    parameters = models.JSONField(default=dict)
    n_draws = models.PositiveIntegerField()
    seed = models.PositiveBigIntegerField()
    drawn_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["study", "neuron", "concept"]
        constraints = [
            models.UniqueConstraint(name="pair_sample_once", fields=["study", "neuron", "concept"]),
            models.CheckConstraint(name="pair_sample_n_draws", condition=Q(n_draws__gte=1)),
        ]

    def __str__(self) -> str:
        return f"{self.neuron} x {self.concept}"


class Draw(models.Model):
    """One drawn input; with replacement, so an input may be drawn again at another position."""

    pair_sample = models.ForeignKey(PairSample, on_delete=models.CASCADE, related_name="draws")
    position = models.PositiveIntegerField()
    probe_input = models.ForeignKey(ProbeInput, on_delete=models.PROTECT, related_name="draws")
    probability = models.FloatField(help_text="Chance of this input in a single draw.")

    class Meta:
        ordering = ["pair_sample", "position"]
        constraints = [
            models.UniqueConstraint(name="draw_once", fields=["pair_sample", "position"]),
            models.CheckConstraint(
                name="draw_probability", condition=Q(probability__gt=0, probability__lte=1)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pair_sample} [{self.position}]"
