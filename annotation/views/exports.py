"""Downloads of a study's data, streamed."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from annotation.exports import FORMATS, estimates_document, export_response, export_table
from annotation.forms import AggregationForm
from annotation.models import EstimateRun, Study
from annotation.permissions import study_for
from annotation.queries import latest_run


@never_cache
@require_safe
@login_required
def export(request: HttpRequest, slug: str, table: str) -> HttpResponseBase:
    """Send a table of a study, as CSV or in the form that ``?format=`` names."""
    return _export(request, slug, table)


@never_cache
@require_safe
@login_required
def ratings_csv(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Send every rating of a study."""
    return _export(request, slug, "ratings")


@never_cache
@require_safe
@login_required
def draws_csv(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Send every draw of a study's sampling design, with its probability."""
    return _export(request, slug, "draws")


@never_cache
@require_safe
@login_required
def estimates_csv(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Send the scores of the latest finished run with the aggregation asked for."""
    return _export(request, slug, "estimates")


@never_cache
@require_safe
@login_required
def estimates_json(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Send the latest finished run with everything that it rests on."""
    run = _run(request, study_for(request.user, slug))
    response = JsonResponse(estimates_document(run), json_dumps_params={"indent": 2})
    return _as_file(response, f"{slug}-estimates-{run.aggregation}.json")


def _export(request: HttpRequest, slug: str, name: str) -> HttpResponseBase:
    study = study_for(request.user, slug)
    form = request.GET.get("format", "csv")
    if form not in FORMATS:
        raise Http404(f"Exports have the forms {', '.join(FORMATS)}, not {form!r}.")
    table = export_table(study, name, _aggregation(request))
    if table is None:
        raise Http404(f"The study {study.slug!r} has no table {name!r} to export yet.")
    return export_response(table, study, form)


def _aggregation(request: HttpRequest) -> str | None:
    form = AggregationForm(request.GET)
    return form.cleaned_data["aggregation"] if form.is_valid() else None


def _run(request: HttpRequest, study: Study) -> EstimateRun:
    run = latest_run(study, _aggregation(request))
    if run is None:
        raise Http404(f"The study {study.slug!r} has no finished run with this aggregation yet.")
    return run


def _as_file(response: HttpResponse, name: str) -> HttpResponse:
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
