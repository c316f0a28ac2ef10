"""Ratings: one answer of one rater to one item, and every answer that it replaced."""

from django.db import models
from django.db.models import Q


class RatingValue(models.TextChoices):
    """The three answers."""

    PRESENT = "present", "present"
    ABSENT = "absent", "absent"
    CANNOT_TELL = "cannot_tell", "cannot tell"


class Rating(models.Model):
    """One answer to one item; it counts once its assignment is submitted."""

    assignment = models.ForeignKey(
        "annotation.Assignment", on_delete=models.PROTECT, related_name="ratings"
    )
    item = models.ForeignKey("annotation.Item", on_delete=models.PROTECT, related_name="ratings")
    rater = models.ForeignKey("annotation.Rater", on_delete=models.PROTECT, related_name="ratings")
    value = models.CharField(max_length=12, choices=RatingValue)
    client_id = models.UUIDField(
        unique=True, help_text="Made by the browser with the answer: a repeated save is no new one."
    )
    response_ms = models.PositiveIntegerField(
        null=True, blank=True, help_text="Time from the item being shown to the answer."
    )
    rated_at = models.DateTimeField()

    class Meta:
        ordering = ["rated_at", "id"]
        constraints = [
            models.UniqueConstraint(
                name="rating_once_an_assignment_item", fields=["assignment", "item"]
            ),
            models.UniqueConstraint(name="rating_rater_once_an_item", fields=["rater", "item"]),
            models.CheckConstraint(name="rating_value", condition=Q(value__in=RatingValue.values)),
        ]

    def __str__(self) -> str:
        return f"{self.item}: {self.value}"


class RatingRevision(models.Model):
    """An answer that the rater changed before submitting: append-only."""

    rating = models.ForeignKey(Rating, on_delete=models.CASCADE, related_name="revisions")
    value = models.CharField(max_length=12, choices=RatingValue)
    client_id = models.UUIDField(unique=True)
    rated_at = models.DateTimeField()

    class Meta:
        ordering = ["rating", "rated_at", "id"]
        constraints = [
            models.CheckConstraint(
                name="rating_revision_value", condition=Q(value__in=RatingValue.values)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rating} was {self.value}"
