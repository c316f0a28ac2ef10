"""Raters, known only by a pseudonym, and their participation in a study."""

import uuid

from django.db import models
from django.db.models import Q

from annotation.models.recruitment import Channel, Outcome
from annotation.models.study import Study

MAX_NICKNAME = 40


class Rater(models.Model):
    """A person (or a simulation of one). The panel's own id is kept as a keyed hash only."""

    channel = models.CharField(max_length=12, choices=Channel)
    external_id_hash = models.CharField(max_length=64)
    nickname = models.CharField(
        max_length=MAX_NICKNAME,
        blank=True,
        default="",
        help_text="A volunteer may give one; never exported.",
    )
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="rater_once", fields=["channel", "external_id_hash"]),
            models.CheckConstraint(name="rater_channel", condition=Q(channel__in=Channel.values)),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {str(self.public_id)[:8]}"


class Participation(models.Model):
    """One rater in one study: eligibility, consent, instructions, training, tasks, the code."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="participations")
    rater = models.ForeignKey(Rater, on_delete=models.PROTECT, related_name="participations")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    channel = models.CharField(
        max_length=12,
        choices=Channel,
        blank=True,
        default="",
        help_text="Through which the rater came to this study.",
    )
    arrived_at = models.DateTimeField(auto_now_add=True)
    screened_at = models.DateTimeField(
        null=True, blank=True, help_text="When the screening questions were answered."
    )
    consented_at = models.DateTimeField(null=True, blank=True)
    consent_version = models.CharField(max_length=20, blank=True, default="")
    declined_at = models.DateTimeField(null=True, blank=True)
    instructions_read_at = models.DateTimeField(null=True, blank=True)
    trained_at = models.DateTimeField(
        null=True, blank=True, help_text="When the training was passed."
    )
    completed_at = models.DateTimeField(null=True, blank=True)
    completion_code = models.CharField(max_length=32, blank=True, default="")
    outcome = models.CharField(
        max_length=16,
        choices=Outcome,
        blank=True,
        default="",
        help_text="How it ended; empty while it goes on.",
    )
    ended_at = models.DateTimeField(null=True, blank=True)
    place_freed_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When others got the place of a rater who had fallen silent; empty while held.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(name="participation_once", fields=["study", "rater"]),
            models.CheckConstraint(
                name="participation_consent_version_when",
                condition=Q(consented_at__isnull=True, consent_version="")
                | (Q(consented_at__isnull=False) & ~Q(consent_version="")),
            ),
            models.CheckConstraint(
                name="participation_instructions_after_consent",
                condition=Q(instructions_read_at__isnull=True) | Q(consented_at__isnull=False),
            ),
            models.CheckConstraint(
                name="participation_code_when_completed",
                condition=Q(completed_at__isnull=True, completion_code="")
                | (Q(completed_at__isnull=False) & ~Q(completion_code="")),
            ),
            models.CheckConstraint(
                name="participation_outcome_when_ended",
                condition=Q(ended_at__isnull=True, outcome="")
                | (Q(ended_at__isnull=False) & ~Q(outcome="")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rater} in {self.study.slug}"
