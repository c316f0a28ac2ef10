"""The launch list, a look at the raters' pages, and the launch itself."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from annotation.exceptions import AnnotationError
from annotation.models import Concept, Modality, Study
from annotation.permissions import study_for
from annotation.queries.items import passage_of
from annotation.services.launch import launch_checklist, launch_require
from annotation.services.studies import study_launch
from annotation.views.wording import CHOICES

#: Inputs on the page that shows what raters will see.
PREVIEWED = 4


@never_cache
@require_safe
@login_required
def checklist(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what is in order for a launch and what is not."""
    study = study_for(request.user, slug)
    context = {"study": study, "checklist": launch_checklist(study=study)}
    return render(request, "researcher/checklist.html", context)


@require_POST
@login_required
def launch(request: HttpRequest, slug: str) -> HttpResponse:
    """Launch a study, if nothing stands against it."""
    study = study_for(request.user, slug, change=True)
    try:
        launch_require(study=study)
        study_launch(study=study, actor=cast("User", request.user))
    except AnnotationError as error:
        messages.error(request, str(error))
        return redirect("researcher:study_checklist", slug)
    messages.success(request, "The study is open to raters.", extra_tags="good")
    return redirect("researcher:study", slug)


@never_cache
@require_safe
@login_required
def preview(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a study's texts and a few inputs as raters see them; nothing can be answered here."""
    study = study_for(request.user, slug)
    concept = Concept.objects.filter(terms__explanation__study=study).order_by("text").first()
    is_text = study.dataset.modality == Modality.TEXT
    inputs = _spread(study)
    context = {
        "study": study,
        "concept": concept.text if concept else "a concept",
        "is_text": is_text,
        "choices": CHOICES,
        "inputs": [{"row": row, "passage": passage_of(row) if is_text else None} for row in inputs],
    }
    return render(request, "researcher/preview.html", context)


def _spread(study: Study) -> list:  # type: ignore[type-arg]
    """Take a few inputs from all over the dataset."""
    n_inputs = study.dataset.n_inputs
    places = sorted({n_inputs * k // PREVIEWED for k in range(PREVIEWED)})
    return list(study.dataset.inputs.filter(index__in=places).order_by("index"))
