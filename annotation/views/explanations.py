"""Explanations of a study by method, and explanation files looked at before they count."""

import shutil
import uuid
from pathlib import Path
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from annotation.exceptions import AnnotationError, StudyStateError
from annotation.forms.datasets import ExplanationFileForm
from annotation.models import Study, StudyStatus
from annotation.permissions import study_for
from annotation.services.explanation_files import (
    ExplanationFilePreview,
    explanation_file_add,
    explanation_file_preview,
    explanations_remove,
)
from annotation.services.imports_of_files import upload_store
from annotation.services.states import state_require
from annotation.uploads import FileKind
from annotation.views.waiting import ticket_make, ticket_read, waiting_path

KINDS = frozenset({FileKind.CSV, FileKind.JSON, FileKind.TEXT})
SALT = "annotation.explanation-file"
ROWS_SHOWN = 200


@never_cache
@require_safe
@login_required
def explanations(request: HttpRequest, slug: str) -> HttpResponse:
    """List the methods of a study; a draft takes more files."""
    study = study_for(request.user, slug)
    return _page(request, study, ExplanationFileForm(dataset=study.dataset))


def _page(request: HttpRequest, study: Study, form: ExplanationFileForm) -> HttpResponse:
    methods = (
        study.explanations.values("method__name")
        .annotate(
            n=Count("pk", distinct=True),
            n_concepts=Count("concepts", distinct=True),
            n_layers=Count("neuron__activations", distinct=True),
        )
        .order_by("method__name")
    )
    context = {
        "study": study,
        "form": form,
        "methods": methods,
        "layers": study.dataset.activation_matrices.order_by("model_name", "layer"),
        "is_draft": study.status == StudyStatus.DRAFT,
    }
    status = 422 if form.is_bound and form.errors else 200
    return render(request, "researcher/explanations.html", context, status=status)


@require_POST
@login_required
def explanations_check(request: HttpRequest, slug: str) -> HttpResponse:
    """Say what a file holds for the study; the file waits, nothing else is written."""
    study = study_for(request.user, slug, change=True)
    form = ExplanationFileForm(request.POST, request.FILES, dataset=study.dataset)
    if not form.is_valid():
        return _page(request, study, form)
    data = form.cleaned_data
    folder = waiting_path(str(uuid.uuid4()))
    try:
        state_require(study, "explanations can be added", StudyStatus.DRAFT)
        suffix = Path(data["file"].name or "").suffix.lower()
        source = folder / f"explanations{suffix if suffix in {'.json', '.tsv', '.txt'} else '.csv'}"
        upload_store(data["file"], source, kinds=KINDS)
        asked = {
            "file": f"{folder.name}/{source.name}",
            "method": data["method"],
            "activations": data["activations"].pk if data["activations"] else None,
            "first_unit": form.first(),
            "name": data["file"].name,
        }
        preview = _preview(study, asked)
    except AnnotationError as error:
        shutil.rmtree(folder, ignore_errors=True)
        form.add_error(None, str(error))
        return _page(request, study, form)
    context = {
        "study": study,
        "preview": preview,
        "name": data["file"].name,
        "rows": preview.rows[:ROWS_SHOWN],
        "n_hidden": max(0, len(preview.rows) - ROWS_SHOWN),
        "ticket": ticket_make(request, study, asked, salt=SALT),
    }
    return render(request, "researcher/explanations_check.html", context)


@require_POST
@login_required
def explanations_confirm(request: HttpRequest, slug: str) -> HttpResponse:
    """Add the explanations of a file that was looked at."""
    study = study_for(request.user, slug, change=True)
    user = cast("User", request.user)
    asked = ticket_read(request, study, salt=SALT)
    if asked is None:
        messages.error(request, "The file waited too long; send it again.")
        return redirect("researcher:study_explanations", slug)
    source = waiting_path(asked["file"])
    try:
        preview = _preview(study, asked)
        added = explanation_file_add(study=study, preview=preview, actor=user, partly=True)
    except AnnotationError as error:
        messages.error(request, str(error))
    else:
        text = f"{len(added)} explanations by {preview.method} added."
        messages.success(request, text, extra_tags="good")
        shutil.rmtree(source.parent, ignore_errors=True)
    return redirect("researcher:study_explanations", slug)


@require_POST
@login_required
def explanations_delete(request: HttpRequest, slug: str) -> HttpResponse:
    """Take a method's explanations out of a draft."""
    study = study_for(request.user, slug, change=True)
    method = request.POST.get("method", "")
    try:
        n_removed = explanations_remove(
            study=study, method=method, actor=cast("User", request.user)
        )
    except StudyStateError as error:
        messages.error(request, str(error))
    else:
        text = f"{n_removed} explanations by {method} taken out."
        messages.success(request, text, extra_tags="good")
    return redirect("researcher:study_explanations", slug)


def _preview(study: Study, asked: dict[str, Any]) -> ExplanationFilePreview:
    activations = study.dataset.activation_matrices.filter(pk=asked["activations"]).first()
    return explanation_file_preview(
        study=study,
        source=waiting_path(asked["file"]),
        method=asked["method"],
        activations=activations,
        first_unit=asked["first_unit"],
        name=asked["name"],
    )
