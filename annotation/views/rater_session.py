"""Who the rater is (a session), and what may stand in the way of the page asked for."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from annotation.exceptions import ConsentMissing, InstructionsUnread, StudyNotOpen
from annotation.models import Participation, Study, StudyStatus
from annotation.queries import participation_progress

P = ParamSpec("P")
RaterView = Callable[Concatenate[HttpRequest, Participation, P], HttpResponse]


def study_open_to_raters(slug: str) -> Study:
    """Find a study that raters may know of, or raise Http404: a draft is not there yet."""
    return get_object_or_404(Study.objects.exclude(status=StudyStatus.DRAFT), slug=slug)


def participation_of(request: HttpRequest, study: Study) -> Participation | None:
    """Find the participation that this browser's session names; None where there is none."""
    public_id = request.session.get("participations", {}).get(study.slug)
    if public_id is None:
        return None
    return (
        Participation.objects.select_related("study", "rater")
        .filter(public_id=public_id, study=study)
        .first()
    )


def message_page(
    request: HttpRequest, study: Study, heading: str, *lines: str, status: int = 200, **links: str
) -> HttpResponse:
    """Say something in a heading and a few lines, with a button and a link where given."""
    context = {"study": study, "heading": heading, "lines": lines, **links}
    return render(request, "rater/message.html", context, status=status)


def n_tasks_done(participation: Participation) -> int:
    """Count the tasks that the rater handed in; a late one is work done as well."""
    progress = participation_progress(participation)
    return progress.submitted + progress.late


def not_open_page(
    request: HttpRequest, study: Study, participation: Participation | None
) -> HttpResponse:
    """Say that a study hands out no tasks; offer the code to a rater who earned it."""
    links = {}
    if participation is not None and n_tasks_done(participation):
        links = {
            "action": _("Get my completion code"),
            "action_url": reverse("rater:stop", args=[study.slug]),
            "action_method": "post",
        }
    if study.status == StudyStatus.PAUSED:
        heading = _("This study is taking a break")
        line = _("No tasks are handed out at the moment. Please come back later.")
    else:
        heading = _("This study is closed")
        line = _("It has all the answers that it needs. Thank you for your interest.")
    saved = _("Everything that you answered is saved.") if participation else ""
    return message_page(request, study, heading, *filter(None, [line, saved]), status=403, **links)


def session_lost_page(request: HttpRequest, study: Study) -> HttpResponse:
    """Say that this browser is not known here, and where to start."""
    return message_page(
        request,
        study,
        _("We do not recognise this browser"),
        _("You have not started here yet, or the cookies of this site were cleared."),
        _("Answers that were saved stay saved. Open the link that you were given, or start here."),
        status=403,
        action=_("Go to the start"),
        action_url=reverse("rater:entry", args=[study.slug]),
    )


def rater_page(view: RaterView[P]) -> Callable[..., HttpResponse]:
    """Hand a view its rater's participation; answer what stands in the way of it.

    Parameters
    ----------
    view : callable
        Takes the request and the participation.

    Returns
    -------
    callable
        Takes the request and the study's slug.
    """

    @never_cache
    @wraps(view)
    def page(request: HttpRequest, slug: str, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        study = study_open_to_raters(slug)
        participation = participation_of(request, study)
        if participation is None:
            return session_lost_page(request, study)
        if participation.consented_at is None or participation.declined_at is not None:
            return redirect("rater:entry", slug)
        try:
            return view(request, participation, *args, **kwargs)
        except StudyNotOpen:
            return not_open_page(request, study, participation)
        except ConsentMissing:
            return redirect("rater:entry", slug)
        except InstructionsUnread:
            return redirect("rater:instructions", slug)

    return page
