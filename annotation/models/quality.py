"""Whom to believe: known answers, training, attention checks, exclusions, the review queue."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from annotation.models.concept import Concept
from annotation.models.probe import ProbeInput
from annotation.models.rater import Participation
from annotation.models.rating import RatingValue
from annotation.models.study import Study

KNOWN = (RatingValue.PRESENT, RatingValue.ABSENT)


class QualityPolicy(models.Model):
    """A study's rules for training, gold items, attention checks and limits of a rater."""

    study = models.OneToOneField(Study, on_delete=models.CASCADE, related_name="quality_policy")

    gold_per_task = models.PositiveSmallIntegerField(
        default=0, help_text="Gold items hidden in every task, beside its other items."
    )
    gold_exposure_cap = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="In how many tasks of a study one gold item may be hidden; empty: no cap.",
    )
    gold_minimum_answers = models.PositiveSmallIntegerField(
        default=6, help_text="Gold answers before a rater is judged by them."
    )
    gold_minimum_accuracy = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text="Below this share of right gold answers a rater goes to review; empty: never.",
    )

    training_items = models.PositiveSmallIntegerField(
        default=0, help_text="Training items before the first task; 0: no training."
    )
    training_pass_mark = models.PositiveSmallIntegerField(
        default=0, help_text="Right answers that pass the training."
    )
    training_attempts = models.PositiveSmallIntegerField(
        default=2, help_text="How often a rater may try the training."
    )

    attention_checks = models.PositiveSmallIntegerField(
        default=0, help_text="Attention checks a rater meets in all."
    )
    attention_failures = models.PositiveSmallIntegerField(
        default=2, help_text="Failed attention checks that end a participation, at least 2."
    )

    minimum_response_ms = models.PositiveIntegerField(
        default=250, help_text="A median answer faster than this sends a rater to review."
    )
    straight_line_items = models.PositiveSmallIntegerField(
        default=45, help_text="The same answer this often in a row sends a rater to review."
    )

    tasks_per_rater = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Tasks that make a participation; empty: no limit."
    )
    items_per_concept = models.PositiveIntegerField(
        null=True, blank=True, help_text="Items of one concept that a rater may get; empty: any."
    )
    bundle_concepts = models.BooleanField(
        default=True, help_text="Go on with a rater's concept before starting another one."
    )

    class Meta:
        verbose_name_plural = "quality policies"
        constraints = [
            models.CheckConstraint(
                name="quality_policy_training",
                condition=Q(training_pass_mark__lte=F("training_items"), training_attempts__gte=1),
            ),
            models.CheckConstraint(
                name="quality_policy_attention",
                condition=Q(attention_failures__gte=2),
            ),
            models.CheckConstraint(
                name="quality_policy_gold_cap",
                condition=Q(gold_exposure_cap__isnull=True) | Q(gold_exposure_cap__gte=1),
            ),
            models.CheckConstraint(
                name="quality_policy_gold_accuracy",
                condition=Q(gold_minimum_accuracy__isnull=True)
                | Q(gold_minimum_accuracy__gte=0, gold_minimum_accuracy__lte=1),
            ),
            models.CheckConstraint(
                name="quality_policy_tasks",
                condition=Q(tasks_per_rater__isnull=True) | Q(tasks_per_rater__gte=1),
            ),
        ]

    def __str__(self) -> str:
        return f"quality policy of {self.study.slug}"


class GoldUse(models.TextChoices):
    """What a known answer is for; an input has one use, so that training spoils no gold item."""

    HIDDEN = "hidden", "hidden among the items of tasks"
    TRAINING = "training", "training with feedback"
    EXAMPLE = "example", "example in the instructions"


class GoldAnswer(models.Model):
    """A known answer to a (concept, input) pair of a study, and why it is so."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="gold_answers")
    concept = models.ForeignKey(Concept, on_delete=models.PROTECT, related_name="gold_answers")
    probe_input = models.ForeignKey(
        ProbeInput, on_delete=models.PROTECT, related_name="gold_answers"
    )
    value = models.CharField(max_length=12, choices=RatingValue)
    use = models.CharField(max_length=10, choices=GoldUse, default=GoldUse.HIDDEN)
    feedback = models.CharField(
        max_length=500, blank=True, default="", help_text="Shown after a training answer."
    )

    class Meta:
        ordering = ["study", "use", "id"]
        constraints = [
            models.UniqueConstraint(
                name="gold_answer_once", fields=["study", "concept", "probe_input"]
            ),
            models.CheckConstraint(name="gold_answer_known", condition=Q(value__in=KNOWN)),
            models.CheckConstraint(name="gold_answer_use", condition=Q(use__in=GoldUse.values)),
        ]

    def __str__(self) -> str:
        return f"{self.concept} at {self.probe_input}: {self.value} ({self.use})"


class TrainingAttempt(models.Model):
    """One go through the training items."""

    participation = models.ForeignKey(
        Participation, on_delete=models.CASCADE, related_name="training_attempts"
    )
    number = models.PositiveSmallIntegerField(help_text="From 1.")
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    n_correct = models.PositiveSmallIntegerField(default=0)
    passed = models.BooleanField(null=True, help_text="None until it is finished.")

    class Meta:
        ordering = ["participation", "number"]
        constraints = [
            models.UniqueConstraint(
                name="training_attempt_once", fields=["participation", "number"]
            ),
            models.CheckConstraint(
                name="training_attempt_finished_when",
                condition=Q(finished_at__isnull=True, passed__isnull=True)
                | Q(finished_at__isnull=False, passed__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.participation} training {self.number}"


class TrainingAnswer(models.Model):
    """One answer to one training item; the first one stands, for the feedback follows it."""

    attempt = models.ForeignKey(TrainingAttempt, on_delete=models.CASCADE, related_name="answers")
    gold_answer = models.ForeignKey(
        GoldAnswer, on_delete=models.CASCADE, related_name="training_answers"
    )
    value = models.CharField(max_length=12, choices=RatingValue)
    answered_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["attempt", "id"]
        constraints = [
            models.UniqueConstraint(name="training_answer_once", fields=["attempt", "gold_answer"]),
            models.CheckConstraint(
                name="training_answer_value", condition=Q(value__in=RatingValue.values)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.attempt}: {self.value}"


class AttentionCheck(models.Model):
    """A page between tasks that says which answer to choose; it measures attention alone."""

    participation = models.ForeignKey(
        Participation, on_delete=models.CASCADE, related_name="attention_checks"
    )
    number = models.PositiveSmallIntegerField(help_text="From 1.")
    expected = models.CharField(max_length=12, choices=RatingValue)
    value = models.CharField(max_length=12, choices=RatingValue, blank=True, default="")
    shown_at = models.DateTimeField(auto_now_add=True)
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["participation", "number"]
        constraints = [
            models.UniqueConstraint(
                name="attention_check_once", fields=["participation", "number"]
            ),
            models.CheckConstraint(
                name="attention_check_answered_when",
                condition=Q(answered_at__isnull=True, value="")
                | (Q(answered_at__isnull=False) & ~Q(value="")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.participation} attention check {self.number}"


class ReviewReason(models.TextChoices):
    """Why a person should look at a rater's work."""

    GOLD = "gold", "gold answers"
    ATTENTION = "attention", "attention checks"
    SPEED = "speed", "answers too fast to have looked"
    STRAIGHT_LINE = "straight_line", "the same answer all along"
    CODE_MISMATCH = "code_mismatch", "the panel and we disagree"
    REPORTED = "reported", "reported by a person"


class ReviewDecision(models.TextChoices):
    """What the person decided."""

    OPEN = "", "waiting for a person"
    KEEP = "keep", "keep the ratings"
    EXCLUDE = "exclude", "exclude the ratings"


class Review(models.Model):
    """An entry of the review queue; ratings are excluded and work is rejected by a person alone."""

    participation = models.ForeignKey(
        Participation, on_delete=models.CASCADE, related_name="reviews"
    )
    reason = models.CharField(max_length=16, choices=ReviewReason)
    details = models.JSONField(default=dict, help_text="The numbers that it rests on.")
    opened_at = models.DateTimeField(auto_now_add=True)
    decision = models.CharField(
        max_length=8, choices=ReviewDecision, blank=True, default=ReviewDecision.OPEN
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    note = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        ordering = ["opened_at", "id"]
        constraints = [
            models.UniqueConstraint(
                name="review_open_once_a_reason",
                fields=["participation", "reason"],
                condition=Q(decision=""),
            ),
            models.CheckConstraint(
                name="review_decided_who_when",
                condition=Q(decision="", decided_at__isnull=True, decided_by__isnull=True)
                | (~Q(decision="") & Q(decided_at__isnull=False, decided_by__isnull=False)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.participation}: {self.reason}"


class Exclusion(models.Model):
    """That the ratings of a participation do not count, and why. Lifting it keeps the row."""

    participation = models.ForeignKey(
        Participation, on_delete=models.CASCADE, related_name="exclusions"
    )
    reason = models.CharField(max_length=16, choices=ReviewReason)
    note = models.CharField(max_length=500, blank=True, default="")
    excluded_at = models.DateTimeField(auto_now_add=True)
    excluded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["excluded_at", "id"]
        constraints = [
            models.UniqueConstraint(
                name="exclusion_one_in_force",
                fields=["participation"],
                condition=Q(lifted_at__isnull=True),
            ),
            models.CheckConstraint(
                name="exclusion_lifted_who_when",
                condition=Q(lifted_at__isnull=True, lifted_by__isnull=True)
                | Q(lifted_at__isnull=False, lifted_by__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.participation} excluded: {self.reason}"


class RaterDeletion(models.Model):
    """That a rater's data was deleted on request: what is left of it is this row."""

    rater_public_id = models.UUIDField(unique=True)
    channel = models.CharField(max_length=12)
    n_ratings = models.PositiveIntegerField()
    studies = models.JSONField(default=list, help_text="Slugs of the studies concerned.")
    deleted_at = models.DateTimeField(auto_now_add=True)
    deleted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    note = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        ordering = ["deleted_at", "id"]

    def __str__(self) -> str:
        return f"rater {str(self.rater_public_id)[:8]} deleted"
