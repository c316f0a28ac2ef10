"""A study: one question put to raters, and the log of what was done to it."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from annotation.models.analysis import Aggregation, Estimator, SamplingDesign
from annotation.models.concept import ConceptMatrix
from annotation.models.probe import ProbeDataset

MAX_REDUNDANCY = 100
#: As in a further round. All draws are in memory at once, and a page may ask for them.
MAX_INPUTS_PER_PAIR = 10_000
#: A page with more images than this is slow, and nobody answers that many in one go.
MAX_ITEMS_PER_TASK = 200


class StudyStatus(models.TextChoices):
    """A study is prepared, rated, perhaps held, and closed."""

    DRAFT = "draft", "draft"
    OPEN = "open", "open to raters"
    PAUSED = "paused", "paused"
    CLOSED = "closed", "closed"


class Study(models.Model):
    """Dataset, explanations, sampling design, budget and texts of one question put to raters."""

    slug = models.SlugField(max_length=80, unique=True)
    title = models.CharField(max_length=200)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="studies"
    )
    status = models.CharField(max_length=10, choices=StudyStatus, default=StudyStatus.DRAFT)
    dataset = models.ForeignKey(ProbeDataset, on_delete=models.PROTECT, related_name="studies")
    concept_prior = models.ForeignKey(
        ConceptMatrix, on_delete=models.PROTECT, related_name="studies_as_prior"
    )
    reference = models.ForeignKey(
        ConceptMatrix,
        on_delete=models.PROTECT,
        related_name="studies_as_reference",
        null=True,
        blank=True,
        help_text="Known concept vectors, where there are any: shown beside the estimates.",
    )

    question = models.CharField(
        max_length=200,
        default="Does this image contain:",
        help_text="Shown above the concept, the same for every item.",
    )
    instructions = models.TextField(blank=True)
    consent_text = models.TextField()
    consent_version = models.CharField(max_length=20, default="1")
    debrief = models.TextField(
        blank=True, default="", help_text="Shown with the completion code: what the study was for."
    )
    contact = models.EmailField(blank=True)
    language = models.CharField(
        max_length=10,
        default="en",
        help_text="Of the raters' pages; the texts above are shown as they are written.",
    )
    excluded_studies = models.ManyToManyField(
        "self",
        symmetrical=False,
        blank=True,
        related_name="excluding_studies",
        help_text="Whoever took part in one of these may not take part in this one.",
    )

    sampling_design = models.CharField(
        max_length=40,
        choices=SamplingDesign,
        default=SamplingDesign.MODEL_GUIDED,
        help_text="Which inputs are rated.",
    )
    sampling_parameters = models.JSONField(
        default=dict,
        blank=True,
        help_text='Of the design, for example {"gamma": 0.2} or {"replacement": false}.',
    )
    aggregation = models.CharField(
        max_length=20,
        choices=Aggregation,
        default=Aggregation.HIERARCHICAL,
        help_text="How ratings become the concept vectors whose scores are quoted.",
    )
    estimator = models.CharField(
        max_length=20,
        choices=Estimator,
        default=Estimator.MODEL_ASSISTED,
        help_text="How concept vectors become scores.",
    )
    seed = models.PositiveBigIntegerField(default=0)
    inputs_per_pair = models.PositiveIntegerField(
        default=180,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_INPUTS_PER_PAIR)],
        help_text="Draws for each (neuron, concept) pair.",
    )
    redundancy = models.PositiveSmallIntegerField(
        default=3,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_REDUNDANCY)],
        help_text="Ratings an item.",
    )
    items_per_task = models.PositiveSmallIntegerField(
        default=15, validators=[MinValueValidator(1), MaxValueValidator(MAX_ITEMS_PER_TASK)]
    )
    rating_budget = models.PositiveIntegerField(
        validators=[MinValueValidator(1)], help_text="Ratings that may be asked for in all."
    )
    lease_seconds = models.PositiveIntegerField(
        default=1800,
        validators=[MinValueValidator(1)],
        help_text="After this long an unfinished task goes to another rater.",
    )
    currency = models.CharField(
        max_length=3, default="GBP", help_text="Of rewards and of the spending cap (ISO 4217)."
    )
    spending_cap_minor = models.PositiveBigIntegerField(
        null=True,
        blank=True,
        help_text="What the study may cost in all, in pence or cents; nothing is booked beyond it.",
    )

    created_at = models.DateTimeField(auto_now_add=True)
    launched_at = models.DateTimeField(null=True, blank=True)
    launched_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        verbose_name_plural = "studies"
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(name="study_status", condition=Q(status__in=StudyStatus.values)),
            models.CheckConstraint(
                name="study_redundancy",
                condition=Q(redundancy__gte=1, redundancy__lte=MAX_REDUNDANCY),
            ),
            models.CheckConstraint(
                name="study_sampling_design",
                condition=Q(sampling_design__in=SamplingDesign.values),
            ),
            models.CheckConstraint(
                name="study_aggregation", condition=Q(aggregation__in=Aggregation.values)
            ),
            models.CheckConstraint(
                name="study_estimator", condition=Q(estimator__in=Estimator.values)
            ),
            models.CheckConstraint(name="study_items_per_task", condition=Q(items_per_task__gte=1)),
            models.CheckConstraint(
                name="study_inputs_per_pair", condition=Q(inputs_per_pair__gte=1)
            ),
            models.CheckConstraint(name="study_budget", condition=Q(rating_budget__gte=1)),
            models.CheckConstraint(name="study_lease", condition=Q(lease_seconds__gte=1)),
            models.CheckConstraint(
                name="study_launched_who_when",
                condition=Q(launched_at__isnull=True, launched_by__isnull=True)
                | Q(launched_at__isnull=False, launched_by__isnull=False),
            ),
            models.CheckConstraint(
                name="study_closed_who_when",
                condition=Q(closed_at__isnull=True, closed_by__isnull=True)
                | Q(closed_at__isnull=False, closed_by__isnull=False),
            ),
            models.CheckConstraint(
                name="study_status_matches_dates",
                condition=Q(status=StudyStatus.DRAFT, launched_at__isnull=True)
                | Q(
                    status__in=[StudyStatus.OPEN, StudyStatus.PAUSED],
                    launched_at__isnull=False,
                    closed_at__isnull=True,
                )
                | Q(status=StudyStatus.CLOSED, closed_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def live_aggregation(self) -> Aggregation:
        """The aggregation that follows every submit: the study's own where it is quick."""
        own = Aggregation(self.aggregation)
        return own if own.is_quick else Aggregation.BRAGG


class StudyDeletion(models.Model):
    """That a study was deleted: what is left of it and of its log is this row."""

    slug = models.CharField(max_length=80)
    title = models.CharField(max_length=200)
    status = models.CharField(max_length=10, choices=StudyStatus)
    n_ratings = models.PositiveIntegerField()
    deleted_at = models.DateTimeField(auto_now_add=True)
    deleted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        ordering = ["deleted_at", "id"]

    def __str__(self) -> str:
        return f"study {self.slug} deleted"


class StudyEvent(models.Model):
    """Who did what to a study, when: written in the transaction of the change itself."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(auto_now_add=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    action = models.CharField(max_length=60)
    details = models.JSONField(default=dict)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.study.slug}: {self.action}"
