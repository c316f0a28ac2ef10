"""Raters, their work, and whom to believe."""

from django.contrib import admin

from annotation import models
from annotation.admin.base import ReadOnlyAdmin


@admin.register(models.Rater)
class RaterAdmin(ReadOnlyAdmin):
    """Raters, by pseudonym."""

    list_display = ("public_id", "channel", "created_at")
    list_filter = ("channel",)
    search_fields = ("=public_id",)


@admin.register(models.Participation)
class ParticipationAdmin(ReadOnlyAdmin):
    """Raters in studies."""

    list_display = ("study", "rater", "arrived_at", "consented_at", "declined_at", "completed_at")
    list_filter = ("study",)
    list_select_related = ("study", "rater")
    search_fields = ("=public_id", "=rater__public_id", "=completion_code")


@admin.register(models.Assignment)
class AssignmentAdmin(ReadOnlyAdmin):
    """Leases."""

    list_display = ("task", "participation", "status", "slot", "leased_at", "submitted_at")
    list_filter = ("status", "task__study")
    list_select_related = ("task__study", "task__concept", "participation__rater")
    search_fields = ("=public_id", "=participation__public_id")


@admin.register(models.Rating)
class RatingAdmin(ReadOnlyAdmin):
    """Ratings."""

    list_display = ("item", "rater", "value", "response_ms", "rated_at")
    list_filter = ("value", "item__study")
    list_select_related = ("item__task__study", "item__task__concept", "rater")
    search_fields = ("=item__public_id", "=rater__public_id")


@admin.register(models.RatingRevision)
class RatingRevisionAdmin(ReadOnlyAdmin):
    """Answers that were replaced."""

    list_display = ("rating", "value", "rated_at")
    list_select_related = ("rating__item__task__study", "rating__item__task__concept")
    search_fields = ("=rating__item__public_id",)


@admin.register(models.QualityPolicy)
class QualityPolicyAdmin(ReadOnlyAdmin):
    """Quality policies."""

    list_display = ("study", "gold_per_task", "training_items", "attention_checks")
    list_select_related = ("study",)
    search_fields = ("study__slug",)


@admin.register(models.GoldAnswer)
class GoldAnswerAdmin(ReadOnlyAdmin):
    """Known answers."""

    list_display = ("study", "concept", "probe_input", "value", "use")
    list_filter = ("use", "value", "study")
    list_select_related = ("study", "concept", "probe_input__dataset")
    search_fields = ("concept__text",)


@admin.register(models.TrainingAttempt)
class TrainingAttemptAdmin(ReadOnlyAdmin):
    """Goes through the training."""

    list_display = ("participation", "number", "n_correct", "passed", "started_at", "finished_at")
    list_filter = ("passed",)
    list_select_related = ("participation__study", "participation__rater")
    search_fields = ("=participation__public_id",)


@admin.register(models.TrainingAnswer)
class TrainingAnswerAdmin(ReadOnlyAdmin):
    """Answers in the training."""

    list_display = ("attempt", "gold_answer", "value", "answered_at")
    list_select_related = (
        "attempt__participation__study",
        "attempt__participation__rater",
        "gold_answer__concept",
        "gold_answer__probe_input__dataset",
    )
    search_fields = ("=attempt__participation__public_id",)


@admin.register(models.AttentionCheck)
class AttentionCheckAdmin(ReadOnlyAdmin):
    """Attention checks."""

    list_display = ("participation", "number", "expected", "value", "answered_at")
    list_select_related = ("participation__study", "participation__rater")
    search_fields = ("=participation__public_id",)


@admin.register(models.Review)
class ReviewAdmin(ReadOnlyAdmin):
    """The review queue."""

    list_display = ("participation", "reason", "decision", "opened_at", "decided_by")
    list_filter = ("reason", "decision")
    list_select_related = ("participation__study", "participation__rater", "decided_by")
    search_fields = ("=participation__public_id", "participation__study__slug")


@admin.register(models.Exclusion)
class ExclusionAdmin(ReadOnlyAdmin):
    """Ratings that do not count, and why."""

    list_display = ("participation", "reason", "excluded_at", "excluded_by", "lifted_at")
    list_filter = ("reason",)
    list_select_related = ("participation__study", "participation__rater", "excluded_by")
    search_fields = ("=participation__public_id", "participation__study__slug")


@admin.register(models.RaterDeletion)
class RaterDeletionAdmin(ReadOnlyAdmin):
    """Deletions on request."""

    list_display = ("rater_public_id", "channel", "n_ratings", "deleted_at", "deleted_by")
    list_select_related = ("deleted_by",)
    search_fields = ("=rater_public_id",)


@admin.register(models.ScreeningQuestion)
class ScreeningQuestionAdmin(ReadOnlyAdmin):
    """Screening questions."""

    list_display = ("study", "position", "text")
    list_filter = ("study",)
    list_select_related = ("study",)
    search_fields = ("text",)


@admin.register(models.ScreeningAnswer)
class ScreeningAnswerAdmin(ReadOnlyAdmin):
    """Their answers."""

    list_display = ("participation", "question", "choice", "answered_at")
    list_select_related = ("participation__study", "participation__rater", "question")
    search_fields = ("=participation__public_id",)
