"""What the ratings say: one run of aggregation and estimation, and its scores."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from annotation.models.analysis import Aggregation
from annotation.models.concept import ConceptMatrix
from annotation.models.explanation import Explanation, ExplanationMethod
from annotation.models.study import Study


class RunStatus(models.TextChoices):
    """Life of an estimate run."""

    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    FINISHED = "finished", "finished"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"


class EstimateRun(models.Model):
    """One aggregation of the ratings that stood at a moment, and the scores from it."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="estimate_runs")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    aggregation = models.CharField(max_length=20, choices=Aggregation)
    estimator = models.CharField(max_length=60, blank=True, default="")
    level = models.FloatField(default=0.95, help_text="Of the intervals.")
    seed = models.PositiveBigIntegerField(default=0)
    status = models.CharField(max_length=10, choices=RunStatus, default=RunStatus.QUEUED)
    live = models.BooleanField(
        default=False,
        help_text="Made because a rater submitted: quick, without the sanity checks.",
    )
    attempt = models.PositiveSmallIntegerField(
        default=1, help_text="2 when it repeats a run whose worker had stopped."
    )
    worker = models.CharField(
        max_length=64, blank=True, default="", help_text="Who makes it; empty outside a worker."
    )
    stage = models.CharField(
        max_length=60, blank=True, default="", help_text="What the worker is doing."
    )
    progress = models.FloatField(default=0.0, help_text="How much of it is done, from 0 to 1.")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    queued_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, default="")
    n_ratings = models.PositiveIntegerField(default=0)
    diagnostics = models.JSONField(default=dict, help_text="R-hat, effective sample size, ...")
    sanity_checks = models.JSONField(
        default=list, help_text="Missing and Extra Labels on the estimated labels."
    )
    posterior_mean = models.ForeignKey(
        ConceptMatrix, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    posterior_sd = models.ForeignKey(
        ConceptMatrix, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["-queued_at", "-id"]
        constraints = [
            models.CheckConstraint(
                name="estimate_run_status", condition=Q(status__in=RunStatus.values)
            ),
            models.CheckConstraint(
                name="estimate_run_aggregation", condition=Q(aggregation__in=Aggregation.values)
            ),
            models.CheckConstraint(
                name="estimate_run_level", condition=Q(level__gt=0, level__lt=1)
            ),
            models.CheckConstraint(
                name="estimate_run_progress", condition=Q(progress__gte=0, progress__lte=1)
            ),
            models.CheckConstraint(
                name="estimate_run_finished_when",
                condition=Q(
                    status__in=[RunStatus.FINISHED, RunStatus.FAILED, RunStatus.CANCELLED],
                    finished_at__isnull=False,
                )
                | Q(status__in=[RunStatus.QUEUED, RunStatus.RUNNING], finished_at__isnull=True),
            ),
            models.UniqueConstraint(
                name="estimate_run_one_waiting",
                fields=["study", "aggregation"],
                condition=Q(status=RunStatus.QUEUED),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.study.slug} {self.aggregation} {self.queued_at:%Y-%m-%d %H:%M}"


class Estimate(models.Model):
    """The estimated score of one explanation, with its interval."""

    run = models.ForeignKey(EstimateRun, on_delete=models.CASCADE, related_name="estimates")
    explanation = models.ForeignKey(Explanation, on_delete=models.CASCADE, related_name="estimates")
    score = models.FloatField()
    lower = models.FloatField()
    upper = models.FloatField()
    standard_error = models.FloatField()
    n_effective = models.FloatField(help_text="Effective sample size of the weights.")
    n_inputs_rated = models.PositiveIntegerField()
    reference_score = models.FloatField(
        null=True, blank=True, help_text="From the reference labels, where the study has them."
    )
    warnings = models.JSONField(default=list)

    class Meta:
        ordering = ["run", "explanation"]
        constraints = [
            models.UniqueConstraint(name="estimate_once", fields=["run", "explanation"]),
            models.CheckConstraint(
                name="estimate_interval_in_order",
                condition=Q(lower__lte=F("score"), upper__gte=F("score"))
                & Q(lower__gte=-1, upper__lte=1),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.explanation}: {self.score:.3f}"


class MethodEstimate(models.Model):
    """A row of the leaderboard: one method's mean score over the neurons of the study."""

    run = models.ForeignKey(EstimateRun, on_delete=models.CASCADE, related_name="method_estimates")
    method = models.ForeignKey(
        ExplanationMethod, on_delete=models.PROTECT, related_name="method_estimates"
    )
    n_neurons = models.PositiveIntegerField()
    mean_score = models.FloatField()
    lower = models.FloatField()
    upper = models.FloatField()
    rank = models.PositiveSmallIntegerField()
    rank_lower = models.PositiveSmallIntegerField()
    rank_upper = models.PositiveSmallIntegerField()
    probability_best = models.FloatField()
    reference_mean = models.FloatField(null=True, blank=True)

    class Meta:
        ordering = ["run", "rank"]
        constraints = [
            models.UniqueConstraint(name="method_estimate_once", fields=["run", "method"]),
            models.CheckConstraint(
                name="method_estimate_interval_in_order",
                condition=Q(lower__lte=F("mean_score"), upper__gte=F("mean_score")),
            ),
            models.CheckConstraint(
                name="method_estimate_probability",
                condition=Q(probability_best__gte=0, probability_best__lte=1),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rank}. {self.method}: {self.mean_score:.3f}"
