"""Datasets: the inputs, the activations on them, the concept matrices over them."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotation import science
from annotation.datafiles import path_allowed
from annotation.exceptions import AnnotationError, ImageProblem, UnsafePath
from annotation.forms.datasets import ActivationsForm, ConceptMatrixForm, DatasetForm
from annotation.images import image_stripped
from annotation.models import (
    ActivationMatrix,
    ConceptMatrix,
    ConceptMatrixRole,
    Modality,
    ProbeDataset,
    ProbeInput,
)
from annotation.permissions import may_delete_of
from annotation.queries.checklist import dataset_problem
from annotation.queries.items import passage_of
from annotation.services.datasets import matrix_delete, probe_dataset_delete
from annotation.services.imports_of_files import (
    DatasetImported,
    activations_import,
    concept_matrix_import,
    dataset_import,
    dataset_upload,
    upload_on_disk,
)
from annotation.uploads import FileKind, path_within

DATASETS_A_PAGE = 25
INPUTS_A_PAGE = 24
OWN_ROLES = (ConceptMatrixRole.PRIOR, ConceptMatrixRole.REFERENCE)


@never_cache
@require_safe
@login_required
def dataset_list(request: HttpRequest) -> HttpResponse:
    """List the datasets of the site; every researcher may use them."""
    rows = ProbeDataset.objects.annotate(
        n_studies=Count("studies", distinct=True),
        n_activations=Count("activation_matrices", distinct=True),
    ).order_by("-created_at", "-pk")
    page = Paginator(rows, DATASETS_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "researcher/dataset_list.html", {"page": page})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def dataset_create(request: HttpRequest) -> HttpResponse:
    """Take a new dataset from a folder on the server or from uploaded files."""
    form = DatasetForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = _imported(form.cleaned_data, cast("User", request.user))
        except AnnotationError as error:
            form.add_error(None, str(error))
        else:
            text = f"{made.dataset.name}: {made.dataset.n_inputs:,} inputs"
            if made.reference:
                text += f", {made.reference.shape[1]} columns of reference labels"
            messages.success(request, f"{text}.", extra_tags="good")
            for note in made.notes:
                messages.warning(request, note, extra_tags="warn")
            return redirect("researcher:dataset", made.dataset.pk)
    status = 422 if form.is_bound and form.errors else 200
    return render(request, "researcher/dataset_form.html", {"form": form}, status=status)


def _imported(data: dict[str, Any], user: User) -> DatasetImported:
    name, description = data["name"], data["description"]
    if data["path"]:
        source = path_allowed(data["path"])
        return dataset_import(name=name, source=source, description=description, actor=user)
    return dataset_upload(
        name=name,
        archive=data["archive"],
        images=data["images"],
        table=data["table"],
        description=description,
        actor=user,
    )


@never_cache
@require_safe
@login_required
def dataset(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a dataset: its inputs, activations and concept matrices, with forms to add more."""
    return _page(request, get_object_or_404(ProbeDataset, pk=pk))


def _page(
    request: HttpRequest,
    row: ProbeDataset,
    *,
    activations: ActivationsForm | None = None,
    concepts: ConceptMatrixForm | None = None,
) -> HttpResponse:
    inputs = Paginator(row.inputs.order_by("index"), INPUTS_A_PAGE)
    page = inputs.get_page(request.GET.get("page"))
    context = {
        "dataset": row,
        "problem": dataset_problem(row),
        "activations": row.activation_matrices.order_by("model_name", "layer"),
        "matrices": row.concept_matrices.filter(role__in=OWN_ROLES).order_by("role", "name"),
        "studies": row.studies.count(),
        "may_delete": may_delete_of(request.user, row),
        "page": page,
        "inputs": [{"row": one, "passage": passage_of(one)} for one in page],
        "is_text": row.modality == Modality.TEXT,
        "activations_form": activations or ActivationsForm(prefix="a"),
        "concepts_form": concepts or ConceptMatrixForm(prefix="c"),
    }
    status = 422 if activations or concepts else 200
    return render(request, "researcher/dataset.html", context, status=status)


@require_POST
@login_required
def activations_add(request: HttpRequest, pk: int) -> HttpResponse:
    """Register activations of one layer."""
    row = get_object_or_404(ProbeDataset, pk=pk)
    form = ActivationsForm(request.POST, request.FILES, prefix="a")
    if form.is_valid():
        data = form.cleaned_data
        try:
            with _source(data) as source:
                matrix = activations_import(
                    dataset=row,
                    model_name=data["model_name"],
                    layer=data["layer"],
                    pool=data["pool"],
                    source=source,
                    key=data["key"] or None,
                )
        except AnnotationError as error:
            form.add_error(None, str(error))
        else:
            text = f"{matrix}: {matrix.shape[1]:,} neurons on {matrix.shape[0]:,} inputs."
            messages.success(request, text, extra_tags="good")
            return redirect("researcher:dataset", pk)
    return _page(request, row, activations=form)


@require_POST
@login_required
def concepts_add(request: HttpRequest, pk: int) -> HttpResponse:
    """Register a concept prior or reference labels."""
    row = get_object_or_404(ProbeDataset, pk=pk)
    form = ConceptMatrixForm(request.POST, request.FILES, prefix="c")
    if form.is_valid():
        data = form.cleaned_data
        try:
            texts = _texts(data["concepts"])
            with _source(data) as source:
                matrix = concept_matrix_import(
                    dataset=row,
                    name=data["name"],
                    role=data["role"],
                    source=source,
                    key=data["key"] or None,
                    concepts=texts,
                )
        except AnnotationError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, f"{matrix}: {matrix.shape[1]:,} concepts.", extra_tags="good")
            return redirect("researcher:dataset", pk)
    return _page(request, row, concepts=form)


def _source(data: dict[str, Any]) -> AbstractContextManager[Path]:
    """Give the path of what a form uploads or points to."""
    if data["file"]:
        return upload_on_disk(data["file"])
    return nullcontext(path_allowed(data["path"]))


def _texts(file: Any) -> list[str] | None:
    if not file:
        return None
    with upload_on_disk(file, kinds=frozenset({FileKind.TEXT})) as path:
        return science.texts_read(path)


@require_POST
@login_required
def dataset_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a dataset that no study uses."""
    row = get_object_or_404(ProbeDataset, pk=pk)
    if not may_delete_of(request.user, row):
        raise PermissionDenied("Only who registered the dataset, or staff, may delete it.")
    try:
        probe_dataset_delete(dataset=row)
    except AnnotationError as error:
        messages.error(request, str(error))
        return redirect("researcher:dataset", pk)
    messages.success(
        request,
        f"{row.name} is deleted with its matrices; the inputs' files stay.",
        extra_tags="good",
    )
    return redirect("researcher:datasets")


@require_POST
@login_required
def matrix_remove(request: HttpRequest, pk: int, kind: str, matrix: int) -> HttpResponse:
    """Delete a layer or a concept matrix that no study uses."""
    row = get_object_or_404(ProbeDataset, pk=pk)
    if not may_delete_of(request.user, row):
        raise PermissionDenied("Only who registered the dataset, or staff, may delete of it.")
    found = {
        "activations": row.activation_matrices.all(),
        "concepts": row.concept_matrices.filter(role__in=OWN_ROLES),
    }.get(kind)
    if found is None:
        raise Http404(f"There are no matrices of the kind {kind!r}.")
    one = cast("ActivationMatrix | ConceptMatrix", get_object_or_404(found, pk=matrix))
    try:
        matrix_delete(matrix=one)
    except AnnotationError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{one} is deleted.", extra_tags="good")
    return redirect("researcher:dataset", pk)


@cache_control(private=True, max_age=3600)
@require_safe
@login_required
def input_image(_request: HttpRequest, public_id: str) -> HttpResponse:
    """Send an image of a dataset to a researcher, as raters get it."""
    row = get_object_or_404(ProbeInput.objects.select_related("dataset"), public_id=public_id)
    try:
        path = path_within(row.dataset.absolute_root, row.file)
        content, media_type = image_stripped(path.read_bytes())
    except (UnsafePath, ImageProblem, OSError) as error:
        raise Http404("The image is gone or damaged.") from error
    return HttpResponse(content, content_type=media_type)
