"""Which inputs were drawn for which (neuron, concept) pair, with which probability."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from annotation.models.analysis import RoundDesign
from annotation.models.concept import Concept
from annotation.models.probe import Neuron, ProbeInput
from annotation.models.study import Study


class SamplingRound(models.Model):
    """Draws that were made at once: number 1 at the launch, further ones when more is wanted."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="sampling_rounds")
    number = models.PositiveIntegerField(help_text="1 is the launch.")
    design = models.CharField(max_length=40, choices=RoundDesign)
    n_draws = models.PositiveIntegerField(help_text="For each (neuron, concept) pair that is in.")
    half_width = models.FloatField(
        null=True,
        blank=True,
        help_text="Only pairs whose interval was wider than twice this are in; empty: all pairs.",
    )
    seed = models.PositiveBigIntegerField()
    drawn_at = models.DateTimeField()
    drawn_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    run = models.ForeignKey(
        "annotation.EstimateRun",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="The estimates whose intervals chose the pairs.",
    )
    n_ratings_before = models.PositiveIntegerField(
        default=0, help_text="Ratings that counted when it was drawn."
    )

    class Meta:
        ordering = ["study", "number"]
        constraints = [
            # two people who draw a round at once: the second finds the number taken
            models.UniqueConstraint(name="sampling_round_number", fields=["study", "number"]),
            models.CheckConstraint(
                name="sampling_round_numbers", condition=Q(number__gte=1, n_draws__gte=1)
            ),
            models.CheckConstraint(
                name="sampling_round_design", condition=Q(design__in=RoundDesign.values)
            ),
            models.CheckConstraint(
                name="sampling_round_adaptive_later",
                condition=~Q(design=RoundDesign.ADAPTIVE) | Q(number__gte=2),
            ),
            models.CheckConstraint(
                name="sampling_round_half_width",
                condition=Q(half_width__isnull=True) | Q(half_width__gt=0),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.study.slug} round {self.number}"


class PairSample(models.Model):
    """The sample of one (neuron, concept) pair in one round.

    Design, parameters and seed redraw it exactly, unless the design is adaptive: such a draw
    followed from the ratings of its moment, so that its draws, with their probabilities, are what
    is known of it.
    """

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="pair_samples")
    round = models.ForeignKey(SamplingRound, on_delete=models.CASCADE, related_name="pair_samples")
    neuron = models.ForeignKey(Neuron, on_delete=models.PROTECT, related_name="pair_samples")
    concept = models.ForeignKey(Concept, on_delete=models.PROTECT, related_name="pair_samples")
    sampling_design = models.CharField(max_length=40)
    parameters = models.JSONField(default=dict)
    n_draws = models.PositiveIntegerField()
    seed = models.PositiveBigIntegerField()
    drawn_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["study", "round", "neuron", "concept"]
        constraints = [
            models.UniqueConstraint(
                name="pair_sample_once", fields=["study", "neuron", "concept", "round"]
            ),
            models.CheckConstraint(name="pair_sample_n_draws", condition=Q(n_draws__gte=1)),
        ]

    def __str__(self) -> str:
        return f"{self.neuron} x {self.concept}"


class Draw(models.Model):
    """One drawn input; with replacement, so an input may be drawn again at another position."""

    pair_sample = models.ForeignKey(PairSample, on_delete=models.CASCADE, related_name="draws")
    position = models.PositiveIntegerField()
    probe_input = models.ForeignKey(ProbeInput, on_delete=models.PROTECT, related_name="draws")
    probability = models.FloatField(
        help_text="Chance of this input in a single draw, given the rounds before."
    )

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
