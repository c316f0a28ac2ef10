"""How raters reach a study: its channels, what each outcome sends back, what a place costs."""

from decimal import Decimal

from django.db import models
from django.db.models import Q

from annotation.models.study import Study


class Channel(models.TextChoices):
    """Where a rater came from."""

    DIRECT = "direct", "volunteer link"
    PROLIFIC = "prolific", "Prolific"
    PANEL = "panel", "other panel"
    SIMULATED = "simulated", "simulated rater"
    IMPORTED = "imported", "imported ratings"


class Outcome(models.TextChoices):
    """How a participation ends; a panel is told by a completion code of the outcome's own."""

    COMPLETED = "completed", "completed"
    NO_CONSENT = "no_consent", "did not consent"
    SCREENED_OUT = "screened_out", "not eligible"
    FAILED_CHECKS = "failed_checks", "failed the training or attention checks"
    RETURNED = "returned", "gave the place back to the panel, or ran out of its time"


#: Outcomes that a panel is told by a code; a place that was given back needs none.
CODED_OUTCOMES = (
    Outcome.COMPLETED,
    Outcome.NO_CONSENT,
    Outcome.SCREENED_OUT,
    Outcome.FAILED_CHECKS,
)


class Recruitment(models.Model):
    """One channel through which a study recruits, with its address, its pay and its places."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="recruitments")
    channel = models.CharField(max_length=12, choices=Channel)
    active = models.BooleanField(default=True, help_text="Whether new raters may arrive this way.")

    id_parameter = models.CharField(
        max_length=60,
        blank=True,
        default="",
        help_text="Query parameter with the panel's id of the rater (other panels).",
    )
    submission_parameter = models.CharField(
        max_length=60,
        blank=True,
        default="",
        help_text="Query parameter with the panel's id of this visit, where it sends one.",
    )
    completion_url = models.CharField(
        max_length=500,
        blank=True,
        default="",
        help_text="Where raters are sent at the end; {code} and {id} are filled in.",
    )

    panel_study_id = models.CharField(
        max_length=60, blank=True, default="", help_text="Prolific's id of the study."
    )
    panel_status = models.CharField(
        max_length=30, blank=True, default="", help_text="The panel's own word for its state."
    )
    credential = models.ForeignKey(
        "annotation.PanelCredential",
        on_delete=models.SET_NULL,
        related_name="recruitments",
        null=True,
        blank=True,
        help_text="With whose access to Prolific the study is run.",
    )
    busy_until = models.DateTimeField(
        null=True,
        blank=True,
        help_text="An action at the panel is under way; until then nobody starts another one.",
    )
    reconciled_at = models.DateTimeField(
        null=True, blank=True, help_text="When all submissions were last read from the panel."
    )
    require_signature = models.BooleanField(
        default=True,
        help_text="Refuse arrivals without Prolific's signature: bare ids can be forged.",
    )

    reward_minor = models.PositiveIntegerField(
        default=0, help_text="Paid to a rater who completes, in pence or cents."
    )
    fee_percent = models.DecimalField(
        max_digits=5,
        decimal_places=2,
        default=Decimal(0),
        help_text="The panel's fee on top of the reward, in percent.",
    )
    estimated_minutes = models.PositiveSmallIntegerField(
        default=10, help_text="How long a rater takes; the hourly rate follows from it."
    )
    places = models.PositiveIntegerField(
        default=0, help_text="How many raters the panel may send; 0 where it is open-ended."
    )

    class Meta:
        ordering = ["study", "channel"]
        constraints = [
            models.UniqueConstraint(name="recruitment_once", fields=["study", "channel"]),
            models.UniqueConstraint(
                name="recruitment_panel_study_once",
                fields=["panel_study_id"],
                condition=~Q(panel_study_id=""),
            ),
            models.CheckConstraint(
                name="recruitment_channel", condition=Q(channel__in=Channel.values)
            ),
            models.CheckConstraint(
                name="recruitment_fee", condition=Q(fee_percent__gte=0, fee_percent__lte=100)
            ),
            models.CheckConstraint(
                name="recruitment_minutes", condition=Q(estimated_minutes__gte=1)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.study.slug}: {self.get_channel_display()}"


class OutcomeCode(models.Model):
    """The completion code that a panel expects for one outcome."""

    recruitment = models.ForeignKey(Recruitment, on_delete=models.CASCADE, related_name="codes")
    outcome = models.CharField(max_length=16, choices=Outcome)
    code = models.CharField(max_length=32)

    class Meta:
        ordering = ["recruitment", "outcome"]
        constraints = [
            models.UniqueConstraint(name="outcome_code_once", fields=["recruitment", "outcome"]),
            models.UniqueConstraint(name="outcome_code_distinct", fields=["recruitment", "code"]),
            models.CheckConstraint(name="outcome_code_not_empty", condition=~Q(code="")),
            models.CheckConstraint(
                name="outcome_code_outcome", condition=Q(outcome__in=Outcome.values)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.recruitment} {self.outcome}"
