"""Tasks: bundles of items of one concept, shown together."""

import uuid

from django.db import models

from annotation.models.concept import Concept
from annotation.models.probe import ProbeInput
from annotation.models.rating import RatingValue
from annotation.models.sampling import SamplingRound
from annotation.models.study import Study


class Task(models.Model):
    """A bundle of items of one concept; leased to raters as one assignment each."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="tasks")
    concept = models.ForeignKey(Concept, on_delete=models.PROTECT, related_name="tasks")
    number = models.PositiveIntegerField(help_text="Order of serving within the study.")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)

    class Meta:
        ordering = ["study", "number"]
        constraints = [
            models.UniqueConstraint(name="task_number", fields=["study", "number"]),
        ]

    def __str__(self) -> str:
        return f"{self.study.slug} task {self.number}: {self.concept}"


class Item(models.Model):
    """One (concept, input) pair of a study; its ratings serve every neuron with that concept."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="items")
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="items")
    round = models.ForeignKey(
        SamplingRound,
        on_delete=models.CASCADE,
        related_name="items",
        help_text="The one that made it; draws of later rounds may fall on it as well.",
    )
    concept = models.ForeignKey(Concept, on_delete=models.PROTECT, related_name="items")
    probe_input = models.ForeignKey(ProbeInput, on_delete=models.PROTECT, related_name="items")
    position = models.PositiveSmallIntegerField(help_text="Place within the task.")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    gold_value = models.CharField(
        max_length=12,
        choices=RatingValue,
        blank=True,
        default="",
        help_text="The known answer of a gold item; empty for every other item.",
    )
    n_draws = models.PositiveIntegerField(
        default=0,
        help_text="How many draws of all neurons and rounds fell on this item; 0 for a gold item.",
    )
    draw_probability = models.FloatField(
        null=True,
        blank=True,
        help_text="Chance of this input in one draw, over the pooled draws of the concept; over "
        "several rounds the harmonic mean, so that n_draws over it is the item's weight.",
    )
    inclusion_probability = models.FloatField(
        null=True,
        blank=True,
        help_text="Chance that the round which made this item draws it, given the rounds before.",
    )

    class Meta:
        ordering = ["task", "position"]
        constraints = [
            # a gold item may be hidden in several tasks; what is estimated from is there once
            models.UniqueConstraint(
                name="item_once",
                fields=["study", "concept", "probe_input"],
                condition=models.Q(gold_value=""),
            ),
            models.UniqueConstraint(name="item_once_a_task", fields=["task", "probe_input"]),
            models.UniqueConstraint(name="item_position", fields=["task", "position"]),
            models.CheckConstraint(
                name="item_gold_value",
                condition=models.Q(gold_value__in=["", RatingValue.PRESENT, RatingValue.ABSENT]),
            ),
            models.CheckConstraint(
                name="item_gold_not_drawn",
                condition=models.Q(gold_value="") | models.Q(n_draws=0),
            ),
            models.CheckConstraint(
                name="item_drawn_with_probability",
                condition=models.Q(
                    n_draws=0, draw_probability__isnull=True, inclusion_probability__isnull=True
                )
                | models.Q(
                    # isnull: a comparison with NULL is unknown, which a check lets pass
                    n_draws__gte=1,
                    draw_probability__isnull=False,
                    inclusion_probability__isnull=False,
                    draw_probability__gt=0,
                    draw_probability__lte=1,
                    inclusion_probability__gt=0,
                    inclusion_probability__lte=1,
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task} [{self.position}]"
