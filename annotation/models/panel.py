"""A panel: access to it, what it is asked for, its submissions, its events as they came."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from annotation.models.rater import Participation
from annotation.models.recruitment import Recruitment


class SubmissionStatus(models.TextChoices):
    """A submission's state in Prolific's words."""

    RESERVED = "RESERVED", "reserved"
    ACTIVE = "ACTIVE", "active"
    AWAITING_REVIEW = "AWAITING REVIEW", "awaiting review"
    APPROVED = "APPROVED", "approved"
    REJECTED = "REJECTED", "rejected"
    RETURNED = "RETURNED", "returned"
    TIMED_OUT = "TIMED-OUT", "timed out"
    SCREENED_OUT = "SCREENED OUT", "screened out"


class PanelCredential(models.Model):
    """A researcher's access to a panel. Secrets are encrypted; no log and no page shows them."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="panel_credentials"
    )
    name = models.CharField(max_length=80)
    public_id = models.UUIDField(
        default=uuid.uuid4, unique=True, editable=False, help_text="In the address of its webhook."
    )
    workspace_id = models.CharField(
        max_length=60, blank=True, default="", help_text="Prolific's id of the workspace."
    )
    token_encrypted = models.BinaryField(help_text="The panel's API token, encrypted.")
    webhook_secret_encrypted = models.BinaryField(blank=True, default=b"")
    balance_minor = models.BigIntegerField(
        null=True, blank=True, help_text="What the workspace can still spend, in pence or cents."
    )
    balance_total_minor = models.BigIntegerField(
        null=True, blank=True, help_text="The same with what active studies have set aside."
    )
    balance_currency = models.CharField(max_length=3, blank=True, default="")
    balance_at = models.DateTimeField(
        null=True, blank=True, help_text="When the panel said so, by its clock."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["owner", "name"]
        constraints = [
            models.UniqueConstraint(name="panel_credential_once", fields=["owner", "name"]),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def set_aside_minor(self) -> int:
        """What active studies of the workspace have set aside, as the balance was last read."""
        return (self.balance_total_minor or 0) - (self.balance_minor or 0)


class PanelAction(models.TextChoices):
    """What Prolific can be asked to do with a published study, in its own words."""

    PAUSE = "PAUSE", "pause"
    START = "START", "resume"
    STOP = "STOP", "stop"


class PanelRequest(models.Model):
    """What the panel is asked for because the study's own state changed; the newest alone counts.

    It is committed with that change, and kept until the panel has done it: whether the panel can
    be reached decides nothing here.
    """

    recruitment = models.OneToOneField(
        Recruitment, on_delete=models.CASCADE, related_name="panel_request"
    )
    action = models.CharField(max_length=8, choices=PanelAction)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Who paused, resumed or closed the study.",
    )
    asked_at = models.DateTimeField(help_text="When the study's state changed.")
    tried_at = models.DateTimeField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(
        blank=True, default="", help_text="Why it is not done yet; it is tried again."
    )

    class Meta:
        ordering = ["asked_at", "id"]
        indexes = [
            models.Index(
                fields=["asked_at"],
                name="panel_request_waiting",
                condition=Q(done_at__isnull=True),
            )
        ]
        constraints = [
            models.CheckConstraint(
                name="panel_request_action", condition=Q(action__in=PanelAction.values)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.recruitment}"


class PanelSubmission(models.Model):
    """One visit of a rater as the panel counts it; its status is the panel's, never ours."""

    recruitment = models.ForeignKey(
        Recruitment, on_delete=models.CASCADE, related_name="submissions"
    )
    submission_id = models.CharField(max_length=200, help_text="The panel's id (SESSION_ID).")
    participation = models.ForeignKey(
        Participation,
        on_delete=models.SET_NULL,
        related_name="panel_submissions",
        null=True,
        blank=True,
        help_text="None while the panel knows of a visit that never reached us.",
    )
    status = models.CharField(
        max_length=20, choices=SubmissionStatus, default=SubmissionStatus.ACTIVE
    )
    status_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When it was so, by the panel's clock; empty while the panel has said nothing.",
    )
    code = models.CharField(
        max_length=32, blank=True, default="", help_text="The completion code that the panel saw."
    )
    seen_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["recruitment", "submission_id"]
        constraints = [
            models.UniqueConstraint(
                name="panel_submission_once", fields=["recruitment", "submission_id"]
            ),
            models.CheckConstraint(
                name="panel_submission_status", condition=Q(status__in=SubmissionStatus.values)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.submission_id} {self.status}"


class PanelEvent(models.Model):
    """A panel's event, stored before it is acknowledged; the same event id is stored once."""

    event_id = models.CharField(max_length=120, unique=True)
    credential = models.ForeignKey(
        PanelCredential, on_delete=models.SET_NULL, null=True, blank=True, related_name="events"
    )
    event_type = models.CharField(max_length=60)
    payload = models.JSONField()
    occurred_at = models.DateTimeField(help_text="As the panel says.")
    received_at = models.DateTimeField(auto_now_add=True)
    processed_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, default="")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)

    class Meta:
        ordering = ["received_at", "id"]
        indexes = [
            models.Index(
                fields=["received_at"],
                name="panel_event_waiting",
                condition=Q(processed_at__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.event_id}"


class BonusState(models.TextChoices):
    """How far a bonus is. Paying twice cannot be undone, so that doubt is a state of its own."""

    BOOKED = "booked", "booked, not paid yet"
    PAID = "paid", "paid"
    REFUSED = "refused", "refused by the panel, booking released"
    UNCERTAIN = "uncertain", "the panel did not answer: look there before paying again"


class PanelBonus(models.Model):
    """A bonus for one submission: booked before it is paid, and paid at most once."""

    submission = models.ForeignKey(
        PanelSubmission, on_delete=models.PROTECT, related_name="bonuses"
    )
    amount_minor = models.PositiveIntegerField()
    key = models.CharField(max_length=120, unique=True, help_text="The same key pays once.")
    bulk_id = models.CharField(max_length=60, blank=True, default="")
    state = models.CharField(max_length=10, choices=BonusState, default=BonusState.BOOKED)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at", "id"]
        verbose_name_plural = "panel bonuses"
        constraints = [
            models.CheckConstraint(name="panel_bonus_positive", condition=Q(amount_minor__gte=1)),
            models.CheckConstraint(
                name="panel_bonus_state", condition=Q(state__in=BonusState.values)
            ),
        ]

    def __str__(self) -> str:
        return f"bonus {self.amount_minor} for {self.submission}"
