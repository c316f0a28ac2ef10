"""Estimates, tokens, and what runs beside the site."""

from django.contrib import admin

from annotation import models
from annotation.admin.base import ReadOnlyAdmin


@admin.register(models.EstimateRun)
class EstimateRunAdmin(ReadOnlyAdmin):
    """Estimate runs."""

    list_display = ("study", "aggregation", "status", "live", "n_ratings", "queued_at", "error")
    list_filter = ("status", "aggregation", "live")
    list_select_related = ("study",)
    search_fields = ("study__slug", "=public_id")


@admin.register(models.Estimate)
class EstimateAdmin(ReadOnlyAdmin):
    """Scores."""

    list_display = ("run", "explanation", "score", "lower", "upper", "reference_score")
    list_select_related = ("run__study", "explanation__method", "explanation__neuron__activations")
    search_fields = ("=run__public_id", "explanation__method__name")


@admin.register(models.MethodEstimate)
class MethodEstimateAdmin(ReadOnlyAdmin):
    """Leaderboards."""

    list_display = ("run", "rank", "method", "mean_score", "lower", "upper", "reference_mean")
    list_select_related = ("run__study", "method")
    search_fields = ("=run__public_id", "method__name")


@admin.register(models.ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    """Tokens of the API, without what could be used: their hash stays out of sight as well."""

    list_display = ("name", "user", "prefix", "scopes", "expires_at", "last_used_at", "revoked_at")
    list_select_related = ("user",)
    search_fields = ("name", "user__username", "=prefix")
    exclude = ("digest",)


@admin.register(models.IdempotencyKey)
class IdempotencyKeyAdmin(ReadOnlyAdmin):
    """Requests that create or spend; a reply may hold a token shown once, so it stays out."""

    list_display = ("key", "user", "status", "created_at")
    list_select_related = ("user",)
    search_fields = ("=key", "user__username")
    exclude = ("reply",)


@admin.register(models.WorkerHeartbeat)
class WorkerHeartbeatAdmin(ReadOnlyAdmin):
    """Workers."""

    list_display = ("worker_id", "started_at", "beat_at")
    search_fields = ("worker_id",)


@admin.register(models.ThrottleWindow)
class ThrottleWindowAdmin(ReadOnlyAdmin):
    """Tries that are counted."""

    list_display = ("key", "tries", "started_at", "ends_at")
    search_fields = ("=key",)
