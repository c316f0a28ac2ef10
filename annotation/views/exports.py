"""Downloads of a study's data, streamed."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from annotation.exports import (
    DRAW_COLUMNS,
    ESTIMATE_COLUMNS,
    RATING_COLUMNS,
    csv_lines,
    draw_rows,
    estimate_rows,
    estimates_document,
    rating_rows,
)
from annotation.forms import AggregationForm
from annotation.models import EstimateRun, Study
from annotation.permissions import study_for
from annotation.queries import latest_run


@never_cache
@require_safe
@login_required
def ratings_csv(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Send every rating of a study."""
    study = study_for(request.user, slug)
    return _csv(f"{slug}-ratings.csv", RATING_COLUMNS, rating_rows(study))


@never_cache
@require_safe
@login_required
def draws_csv(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Send every draw of a study's sampling design, with its probability."""
    study = study_for(request.user, slug)
    return _csv(f"{slug}-draws.csv", DRAW_COLUMNS, draw_rows(study))


@never_cache
@require_safe
@login_required
def estimates_csv(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Send the scores of the latest finished run with the aggregation asked for."""
    run = _run(request, study_for(request.user, slug))
    return _csv(f"{slug}-estimates-{run.aggregation}.csv", ESTIMATE_COLUMNS, estimate_rows(run))


@never_cache
@require_safe
@login_required
def estimates_json(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Send the latest finished run with everything that it rests on."""
    run = _run(request, study_for(request.user, slug))
    response = JsonResponse(estimates_document(run), json_dumps_params={"indent": 2})
    return _as_file(response, f"{slug}-estimates-{run.aggregation}.json")


def _run(request: HttpRequest, study: Study) -> EstimateRun:
    form = AggregationForm(request.GET)
    run = latest_run(study, form.cleaned_data["aggregation"] if form.is_valid() else None)
    if run is None:
        raise Http404(f"The study {study.slug!r} has no finished run with this aggregation yet.")
    return run


def _csv(name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> StreamingHttpResponse:
    response = StreamingHttpResponse(
        csv_lines(columns, rows), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _as_file(response: HttpResponse, name: str) -> HttpResponse:
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
