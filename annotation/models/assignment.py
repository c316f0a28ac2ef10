"""A rater's lease on a task. The slot makes "exactly k ratings an item" a database constraint."""

import uuid

from django.db import models
from django.db.models import F, Q

from annotation.models.rater import Participation
from annotation.models.task import Task


class AssignmentStatus(models.TextChoices):
    """Leased and submitted assignments hold a slot; all others gave it back."""

    LEASED = "leased", "leased"
    SUBMITTED = "submitted", "submitted"
    EXPIRED = "expired", "lease expired"
    RETURNED = "returned", "returned"
    EXCLUDED = "excluded", "submitted, excluded by a person"


HOLDING = (AssignmentStatus.LEASED, AssignmentStatus.SUBMITTED)
#: Handed in on time; an exclusion takes the slot back, not the fact.
HANDED_IN = (AssignmentStatus.SUBMITTED, AssignmentStatus.EXCLUDED)


class Assignment(models.Model):
    """One rater's lease on one task."""

    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="assignments")
    participation = models.ForeignKey(
        Participation, on_delete=models.PROTECT, related_name="assignments"
    )
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    status = models.CharField(
        max_length=10, choices=AssignmentStatus, default=AssignmentStatus.LEASED
    )
    slot = models.PositiveSmallIntegerField(help_text="Which of the k ratings an item, from 0.")
    redundancy = models.PositiveSmallIntegerField(help_text="The study's k when it was leased.")
    leased_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    submitted_at = models.DateTimeField(null=True, blank=True)
    late_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Submitted when the slot had gone to another rater: kept, never counted.",
    )

    class Meta:
        ordering = ["leased_at", "id"]
        constraints = [
            models.UniqueConstraint(
                name="assignment_slot_held_once",
                fields=["task", "slot"],
                condition=Q(status__in=HOLDING),
            ),
            models.UniqueConstraint(
                name="assignment_rater_once_a_task", fields=["task", "participation"]
            ),
            models.UniqueConstraint(
                name="assignment_one_lease_a_rater",
                fields=["participation"],
                condition=Q(status=AssignmentStatus.LEASED),
            ),
            models.CheckConstraint(
                name="assignment_slot_within_redundancy", condition=Q(slot__lt=F("redundancy"))
            ),
            models.CheckConstraint(
                name="assignment_status", condition=Q(status__in=AssignmentStatus.values)
            ),
            models.CheckConstraint(
                name="assignment_submitted_when",
                condition=Q(status__in=HANDED_IN, submitted_at__isnull=False)
                | (~Q(status__in=HANDED_IN) & Q(submitted_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="assignment_late_when_expired",
                condition=Q(late_at__isnull=True) | Q(status=AssignmentStatus.EXPIRED),
            ),
            models.CheckConstraint(
                name="assignment_expires_after_lease",
                condition=Q(expires_at__gt=F("leased_at")),
            ),
        ]
        indexes = [models.Index(fields=["status", "expires_at"], name="assignment_overdue")]

    def __str__(self) -> str:
        return f"{self.task} by {self.participation.rater}"
