"""Pages that make, edit, copy and delete a study."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from annotation.exceptions import AnnotationError
from annotation.forms.study import FORM_NAMES, CloneForm, DeleteForm, RedundancyForm, StudyForm
from annotation.models import ProbeDataset, Study, StudyStatus
from annotation.permissions import owned_study_for, studies_visible, study_for
from annotation.services.studies import study_create, study_redundancy_raise
from annotation.services.study_changes import study_update
from annotation.services.study_copies import study_clone, study_delete, study_has_people

METHODS = ["GET", "HEAD", "POST"]


@never_cache
@require_http_methods(METHODS)
@login_required
def create(request: HttpRequest) -> HttpResponse:
    """Choose a dataset, then fill in a new study; POST makes the draft."""
    user = cast("User", request.user)
    dataset = _dataset(request)
    if dataset is None:
        rows = ProbeDataset.objects.order_by("name").prefetch_related("concept_matrices")
        return render(request, "researcher/study_dataset.html", {"datasets": rows})
    form = StudyForm(request.POST or None, dataset=dataset, studies=studies_visible(user))
    if request.method == "POST" and form.is_valid():
        values = form.values()
        excluded = values.pop("excluded_studies", [])
        try:
            made = study_create(owner=user, **values)
            study_update(study=made, actor=user, excluded_studies=excluded)
        except AnnotationError as error:
            _refused(form, error)
        else:
            text = f"{made.title} is a draft: add explanations, then look at the launch list."
            messages.success(request, text, extra_tags="good")
            return redirect("researcher:study_explanations", made.slug)
    context = {"form": form, "dataset": dataset}
    return render(request, "researcher/study_form.html", context, status=_status(form))


@never_cache
@require_http_methods(METHODS)
@login_required
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Edit what may change in the study's state; POST saves it."""
    study = study_for(request.user, slug, change=True)
    user = cast("User", request.user)
    dataset = study.dataset
    if study.status == StudyStatus.DRAFT and not study.explanations.exists():
        dataset = _dataset(request) or dataset
    # the form writes into its own copy of the row, which is thrown away
    copy = Study.objects.get(pk=study.pk)
    form = StudyForm(
        request.POST or None, instance=copy, dataset=dataset, studies=studies_visible(user)
    )
    if request.method == "POST" and form.is_valid():
        try:
            changed = study_update(study=study, actor=user, **form.values())
        except AnnotationError as error:
            _refused(form, error)
        else:
            messages.success(request, "Saved.", extra_tags="good")
            return redirect("researcher:study_edit", changed.slug)
    context = {
        "form": form,
        "study": study,
        "dataset": dataset,
        "datasets": ProbeDataset.objects.order_by("name"),
        "redundancy_form": RedundancyForm(initial={"redundancy": study.redundancy + 1})
        if study.status in {StudyStatus.OPEN, StudyStatus.PAUSED}
        else None,
        "dataset_fixed": study.status != StudyStatus.DRAFT or study.explanations.exists(),
    }
    return render(request, "researcher/study_form.html", context, status=_status(form))


@require_POST
@login_required
def redundancy(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for more ratings an item of a launched study."""
    study = study_for(request.user, slug, change=True)
    form = RedundancyForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(map(str, form.errors["redundancy"])))
    else:
        try:
            raised = study_redundancy_raise(
                study=study, actor=cast("User", request.user), **form.cleaned_data
            )
        except AnnotationError as error:
            messages.error(request, str(error))
        else:
            text = f"{raised.redundancy} ratings an item are asked for from now on."
            messages.success(request, text, extra_tags="good")
    return redirect("researcher:study_edit", study.slug)


@never_cache
@require_http_methods(METHODS)
@login_required
def clone(request: HttpRequest, slug: str) -> HttpResponse:
    """Name a copy of a study; POST makes it, as a draft of the user's."""
    study = study_for(request.user, slug)
    initial = {"title": f"{study.title} (copy)"[:200], "slug": _free_slug(slug), "seed": study.seed}
    form = CloneForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            made = study_clone(study=study, actor=cast("User", request.user), **form.cleaned_data)
        except AnnotationError as error:
            _refused(form, error)
        else:
            messages.success(request, f"{made.title} is a draft.", extra_tags="good")
            return redirect("researcher:study", made.slug)
    context = {"form": form, "study": study}
    return render(request, "researcher/study_clone.html", context, status=_status(form))


@never_cache
@require_http_methods(METHODS)
@login_required
def delete(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask whether a study is really to go; POST deletes it."""
    study = owned_study_for(request.user, slug)
    form = DeleteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        typed = form.cleaned_data["slug"]
        try:
            study_delete(study=study, actor=cast("User", request.user), typed_slug=typed)
        except AnnotationError as error:
            _refused(form, error)
        else:
            messages.success(request, f"{study.title} is deleted.", extra_tags="good")
            return redirect("researcher:study_list")
    context = {
        "form": form,
        "study": study,
        "has_people": study_has_people(study),
        "has_ledger": study.ledger.exists(),
        "n_raters": study.participations.count(),
    }
    return render(request, "researcher/study_delete.html", context, status=_status(form))


def _dataset(request: HttpRequest) -> ProbeDataset | None:
    """Find the dataset that the address names."""
    given = request.GET.get("dataset", "")
    if not (given.isascii() and given.isdigit() and len(given) < 16):
        return None
    return ProbeDataset.objects.filter(pk=int(given)).first()


def _free_slug(slug: str) -> str:
    for number in range(2, 1000):
        free = f"{slug[:75]}-{number}"
        if not Study.objects.filter(slug=free).exists():
            return free
    return ""


def _refused(form: Any, error: AnnotationError) -> None:
    """Show a service's refusal beside its field, where it names one of the form's."""
    name, _, text = str(error).partition(": ")
    name = FORM_NAMES.get(name, name)
    if name in form.fields and text:
        form.add_error(name, text)
    else:
        form.add_error(None, str(error))


def _status(form: Any) -> int:
    return 422 if form.is_bound and form.errors else 200
