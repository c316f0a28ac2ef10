"""Panels and money; what gives access to either is not shown."""

from django.contrib import admin

from annotation import models
from annotation.admin.base import ReadOnlyAdmin


@admin.register(models.Recruitment)
class RecruitmentAdmin(ReadOnlyAdmin):
    """Channels of studies."""

    list_display = ("study", "channel", "active", "panel_status", "places", "reward_minor")
    list_filter = ("channel", "active")
    list_select_related = ("study",)
    search_fields = ("study__slug", "=panel_study_id")


@admin.register(models.OutcomeCode)
class OutcomeCodeAdmin(ReadOnlyAdmin):
    """Completion codes of outcomes."""

    list_display = ("recruitment", "outcome", "code")
    list_filter = ("outcome",)
    list_select_related = ("recruitment__study",)
    search_fields = ("recruitment__study__slug",)


@admin.register(models.PanelCredential)
class PanelCredentialAdmin(ReadOnlyAdmin):
    """Access to panels: that it is there, never what it is."""

    list_display = ("name", "owner", "created_at")
    list_select_related = ("owner",)
    search_fields = ("name", "owner__username")
    exclude = ("token_encrypted", "webhook_secret_encrypted")


@admin.register(models.PanelRequest)
class PanelRequestAdmin(ReadOnlyAdmin):
    """What a panel is asked for because a study's state changed, and whether it is done."""

    list_display = ("recruitment", "action", "actor", "asked_at", "tried_at", "done_at", "error")
    list_filter = ("action",)
    list_select_related = ("recruitment__study", "actor")
    search_fields = ("recruitment__study__slug",)


@admin.register(models.PanelSubmission)
class PanelSubmissionAdmin(ReadOnlyAdmin):
    """Visits as the panel counts them."""

    list_display = ("submission_id", "recruitment", "status", "status_at", "seen_at")
    list_filter = ("status",)
    list_select_related = ("recruitment__study",)
    search_fields = ("=submission_id", "recruitment__study__slug")


@admin.register(models.PanelBonus)
class PanelBonusAdmin(ReadOnlyAdmin):
    """Bonuses, and whether they were paid."""

    list_display = ("created_at", "submission", "amount_minor", "state", "actor")
    list_filter = ("state",)
    list_select_related = ("submission", "actor")
    search_fields = ("=key", "=submission__submission_id")


@admin.register(models.PanelEvent)
class PanelEventAdmin(ReadOnlyAdmin):
    """Events as they came; the payload names raters by the panel's own ids, so it stays out."""

    list_display = ("event_type", "event_id", "occurred_at", "received_at", "processed_at", "error")
    list_filter = ("event_type",)
    search_fields = ("=event_id",)
    exclude = ("payload",)


@admin.register(models.LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    """Amounts, in minor units."""

    list_display = ("at", "study", "kind", "amount_minor", "currency", "actor", "note")
    list_filter = ("kind", "study")
    list_select_related = ("study", "actor")
    search_fields = ("study__slug", "=key")
