"""The researcher's pages: studies, one study with its live parts, exports."""

import hashlib
from typing import cast
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import condition, require_POST, require_safe

from annotation.exceptions import AnnotationError
from annotation.forms import AggregationForm
from annotation.forms.study import StudySearchForm
from annotation.forms.study_page import RunForm
from annotation.models import StudyStatus
from annotation.permissions import studies_visible, study_for
from annotation.queries.recruitment import panel_follows
from annotation.queries.studies import studies_found, studies_overview
from annotation.services.estimates import estimate_cancel, estimate_request
from annotation.services.studies import study_close, study_pause, study_resume
from annotation.views.study_page import live_context, live_fingerprint, page_context

STUDIES_A_PAGE = 20

#: The one change of state that the page offers in each state.
CHANGES = {
    StudyStatus.OPEN: {"action": "pause", "label": "Pause"},
    StudyStatus.PAUSED: {"action": "resume", "label": "Resume"},
}
SERVICES = {"pause": study_pause, "resume": study_resume, "close": study_close}


def _user(request: HttpRequest) -> User:
    """Return who is logged in; behind `login_required` there always is somebody."""
    return cast("User", request.user)


@never_cache
@require_safe
@login_required
def study_list(request: HttpRequest) -> HttpResponse:
    """List the studies that the user may see, the newest first."""
    form = StudySearchForm(request.GET)
    chosen = form.cleaned_data if form.is_valid() else {}
    words, status = chosen.get("q", ""), chosen.get("status", "")
    studies = studies_found(studies_visible(request.user), words=words, status=status)
    page = Paginator(studies, STUDIES_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "rows": studies_overview(page),
        "page": page,
        "form": form,
        "is_narrowed": bool(words or status),
        "query": urlencode({"q": words, "status": status}),
    }
    return render(request, "researcher/study_list.html", context)


@never_cache
@require_safe
@login_required
def study(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a study: progress, leaderboard, checks, explanations, raters, log."""
    found = study_for(request.user, slug)
    context = page_context(found, request.GET)
    rater_link = request.build_absolute_uri(reverse("rater:entry", args=[found.slug]))
    return render(
        request,
        "researcher/study.html",
        {**context, "rater_link": rater_link, "change": CHANGES.get(StudyStatus(found.status))},
    )


def _live_etag(request: HttpRequest, slug: str) -> str:
    fingerprint = live_fingerprint(study_for(request.user, slug), request.GET)
    return f'"{hashlib.sha256(fingerprint.encode()).hexdigest()[:32]}"'


@cache_control(private=True, no_cache=True)
@require_safe
@login_required
@condition(etag_func=_live_etag)
def study_live(request: HttpRequest, slug: str) -> HttpResponse:
    """Send the parts of the study page that change while people rate."""
    context = live_context(study_for(request.user, slug), request.GET)
    return render(request, "researcher/live.html", context)


@require_POST
@login_required
def study_estimate_request(request: HttpRequest, slug: str) -> HttpResponse:
    """Queue an estimate with one aggregation."""
    found = study_for(request.user, slug, change=True)
    form = AggregationForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose one of the aggregations on the page.", extra_tags="bad")
        return redirect("researcher:study", slug)
    aggregation = form.cleaned_data["aggregation"]
    try:
        estimate_request(study=found, aggregation=aggregation, actor=_user(request))
    except AnnotationError as error:
        messages.error(request, str(error))
    address = reverse("researcher:study", args=[slug])
    return redirect(f"{address}?aggregation={aggregation}")


@require_POST
@login_required
def study_estimate_cancel(request: HttpRequest, slug: str) -> HttpResponse:
    """Cancel an estimate run that waits or is being made."""
    found = study_for(request.user, slug, change=True)
    form = RunForm(request.POST)
    run = (
        found.estimate_runs.filter(public_id=form.cleaned_data["run"]).first()
        if form.is_valid()
        else None
    )
    if run is None:
        messages.error(request, "This study has no such run; reload the page.", extra_tags="bad")
        return redirect("researcher:study", slug)
    try:
        estimate_cancel(run=run, actor=_user(request))
    except AnnotationError as error:
        messages.error(request, str(error))
    address = reverse("researcher:study", args=[slug])
    return redirect(f"{address}?aggregation={run.aggregation}")


@require_POST
@login_required
def study_status(request: HttpRequest, slug: str) -> HttpResponse:
    """Pause, resume or close a study."""
    found = study_for(request.user, slug, change=True)
    service = SERVICES.get(request.POST.get("action", ""))
    if service is None:
        messages.error(request, f"Choose one of: {', '.join(SERVICES)}.")
    else:
        try:
            service(study=found, actor=_user(request))
        except AnnotationError as error:
            messages.error(request, str(error))
        else:
            if panel_follows(found):
                text = "Prolific is asked to do the same; the page Recruitment says when it has."
                messages.info(request, text)
    return redirect("researcher:study", slug)
