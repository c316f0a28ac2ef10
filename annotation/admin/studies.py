"""Studies, their members, and what they are about."""

from django.contrib import admin
from django.db.models import Model
from django.forms import ModelForm
from django.http import HttpRequest

from annotation import models
from annotation.admin.base import ReadOnlyAdmin
from annotation.permissions import logged_in
from annotation.services.audit import study_event_record


@admin.register(models.Study)
class StudyAdmin(ReadOnlyAdmin):
    """A study: its texts may be corrected, with an entry in its log."""

    list_display = ("slug", "title", "owner", "status", "redundancy", "rating_budget", "created_at")
    list_filter = ("status",)
    list_select_related = ("owner",)
    search_fields = ("slug", "title")
    date_hierarchy = "created_at"
    texts = ("title", "question", "instructions", "contact")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Texts may be changed by whom Django's permissions let."""
        return admin.ModelAdmin.has_change_permission(self, request, obj)

    def get_readonly_fields(
        self,
        request: HttpRequest,  # noqa: ARG002
        obj: models.Study | None = None,  # noqa: ARG002
    ) -> list[str]:
        """Everything but the texts."""
        fields = self.opts.get_fields()
        return [f.name for f in fields if f.concrete and f.name not in self.texts]

    def save_model(
        self,
        request: HttpRequest,
        obj: models.Study,
        form: ModelForm[models.Study],
        change: bool,
    ) -> None:
        """Save the texts and log who changed which; the admin's view is one transaction."""
        super().save_model(request, obj, form, change)
        if form.changed_data:
            study_event_record(
                study=obj,
                action="texts changed",
                actor=logged_in(request.user),
                fields=form.changed_data,
            )


@admin.register(models.StudyEvent)
class StudyEventAdmin(ReadOnlyAdmin):
    """The log."""

    list_display = ("at", "study", "action", "actor", "details")
    list_filter = ("action",)
    list_select_related = ("study", "actor")
    search_fields = ("study__slug", "action")


@admin.register(models.StudyMember)
class StudyMemberAdmin(ReadOnlyAdmin):
    """Who shares in which study."""

    list_display = ("study", "user", "role", "added_at")
    list_filter = ("role",)
    list_select_related = ("study", "user")
    search_fields = ("study__slug", "user__username")


@admin.register(models.ProbeDataset)
class ProbeDatasetAdmin(ReadOnlyAdmin):
    """Probe datasets."""

    list_display = ("name", "modality", "n_inputs", "created_at")
    search_fields = ("name",)


@admin.register(models.ProbeInput)
class ProbeInputAdmin(ReadOnlyAdmin):
    """Their inputs."""

    list_display = ("dataset", "index", "public_id", "file")
    list_filter = ("dataset",)
    list_select_related = ("dataset",)
    search_fields = ("=public_id", "file")


@admin.register(models.ActivationMatrix)
class ActivationMatrixAdmin(ReadOnlyAdmin):
    """Activations."""

    list_display = ("model_name", "layer", "pool", "dataset", "shape", "dtype")
    list_select_related = ("dataset",)
    search_fields = ("model_name", "layer")


@admin.register(models.Neuron)
class NeuronAdmin(ReadOnlyAdmin):
    """Neurons."""

    list_display = ("activations", "unit")
    list_filter = ("activations",)
    list_select_related = ("activations",)
    search_fields = ("activations__layer", "=unit")


@admin.register(models.Concept)
class ConceptAdmin(ReadOnlyAdmin):
    """Concepts."""

    list_display = ("text",)
    search_fields = ("text",)


@admin.register(models.ConceptMatrix)
class ConceptMatrixAdmin(ReadOnlyAdmin):
    """Concept vectors."""

    list_display = ("name", "role", "dataset", "shape", "dtype")
    list_filter = ("role",)
    list_select_related = ("dataset",)
    search_fields = ("name",)


@admin.register(models.ConceptColumn)
class ConceptColumnAdmin(ReadOnlyAdmin):
    """Their columns."""

    list_display = ("matrix", "column", "concept")
    list_select_related = ("matrix", "concept")
    search_fields = ("concept__text", "matrix__name")


@admin.register(models.ExplanationMethod)
class ExplanationMethodAdmin(ReadOnlyAdmin):
    """Explanation methods."""

    list_display = ("name", "description")
    search_fields = ("name",)


@admin.register(models.Explanation)
class ExplanationAdmin(ReadOnlyAdmin):
    """Explanations."""

    list_display = ("study", "neuron", "method", "bias")
    list_filter = ("method", "study")
    list_select_related = ("study", "neuron__activations", "method")
    search_fields = ("concepts__text", "method__name")


@admin.register(models.ExplanationTerm)
class ExplanationTermAdmin(ReadOnlyAdmin):
    """Their concepts and weights."""

    list_display = ("explanation", "weight", "concept")
    list_select_related = ("explanation__method", "explanation__neuron__activations", "concept")
    search_fields = ("concept__text",)


@admin.register(models.SamplingRound)
class SamplingRoundAdmin(ReadOnlyAdmin):
    """Rounds of draws."""

    list_display = ("study", "number", "design", "n_draws", "half_width", "drawn_at", "drawn_by")
    list_filter = ("study", "design")
    list_select_related = ("study", "drawn_by")
    search_fields = ("study__slug",)


@admin.register(models.PairSample)
class PairSampleAdmin(ReadOnlyAdmin):
    """Samples."""

    list_display = ("study", "round", "neuron", "concept", "sampling_design", "n_draws", "seed")
    list_filter = ("study", "sampling_design")
    list_select_related = ("study", "round__study", "neuron__activations", "concept")
    search_fields = ("concept__text",)


@admin.register(models.Draw)
class DrawAdmin(ReadOnlyAdmin):
    """Draws."""

    list_display = ("pair_sample", "position", "probe_input", "probability")
    list_select_related = (
        "pair_sample__neuron__activations",
        "pair_sample__concept",
        "probe_input__dataset",
    )
    search_fields = ("pair_sample__concept__text",)


@admin.register(models.Task)
class TaskAdmin(ReadOnlyAdmin):
    """Tasks."""

    list_display = ("study", "number", "concept", "public_id")
    list_filter = ("study",)
    list_select_related = ("study", "concept")
    search_fields = ("=public_id", "concept__text")


@admin.register(models.Item)
class ItemAdmin(ReadOnlyAdmin):
    """Items."""

    list_display = ("task", "position", "probe_input", "n_draws", "inclusion_probability")
    list_filter = ("study",)
    list_select_related = ("task__study", "task__concept", "probe_input__dataset")
    search_fields = ("=public_id", "concept__text")


@admin.register(models.StudyDeletion)
class StudyDeletionAdmin(ReadOnlyAdmin):
    """Studies that were deleted."""

    list_display = ("slug", "title", "status", "n_ratings", "deleted_at", "deleted_by")
    list_select_related = ("deleted_by",)
    search_fields = ("slug", "title")
