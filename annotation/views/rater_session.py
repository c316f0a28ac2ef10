"""Who the rater is (a session), and what may stand in the way of the page asked for."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from annotation.exceptions import (
    ConsentMissing,
    InputsGone,
    InstructionsUnread,
    ParticipationOver,
    PlacesTaken,
    RecruitmentInactive,
    StudyNotOpen,
)
from annotation.languages import language_of
from annotation.models import Participation, Study, StudyStatus
from annotation.queries.journey import Step, next_step, tasks_done

P = ParamSpec("P")
StudyView = Callable[Concatenate[HttpRequest, Study, P], HttpResponse]
RaterView = Callable[Concatenate[HttpRequest, Participation, P], HttpResponse]

PAGES = {
    Step.SCREENING: "rater:entry",
    Step.CONSENT: "rater:entry",
    Step.INSTRUCTIONS: "rater:instructions",
    Step.TRAINING: "rater:training",
    Step.ATTENTION: "rater:attention",
    Step.TASK: "rater:task",
    Step.READY: "rater:task",
    Step.FINISHED: "rater:task",
    Step.COMPLETED: "rater:complete",
    Step.ENDED: "rater:ended",
}


def study_open_to_raters(slug: str) -> Study:
    """Find a study that raters may know of, or raise Http404: a draft is not there yet."""
    return get_object_or_404(
        Study.objects.exclude(status=StudyStatus.DRAFT).select_related("dataset", "quality_policy"),
        slug=slug,
    )


def participation_of(request: HttpRequest, study: Study) -> Participation | None:
    """Find the participation that this browser's session names; None where there is none."""
    public_id = request.session.get("participations", {}).get(study.slug)
    if public_id is None:
        return None
    return (
        Participation.objects.select_related("study__quality_policy", "study__dataset", "rater")
        .filter(public_id=public_id, study=study)
        .first()
    )


def participation_remember(request: HttpRequest, participation: Participation) -> None:
    """Let this browser's session name a participation; call it in answer to a POST only."""
    request.session["participations"] = {
        **request.session.get("participations", {}),
        participation.study.slug: str(participation.public_id),
    }


def step_redirect(participation: Participation) -> HttpResponse:
    """Send a rater to the page that their participation is at."""
    return redirect(PAGES[next_step(participation)], participation.study.slug)


def message_page(
    request: HttpRequest, study: Study, heading: str, *lines: str, status: int = 200, **links: str
) -> HttpResponse:
    """Say something in a heading and a few lines, with a button and a link where given."""
    context = {"study": study, "heading": heading, "lines": lines, **links}
    return render(request, "rater/message.html", context, status=status)


def not_open_page(
    request: HttpRequest,
    study: Study,
    participation: Participation | None,
    error: StudyNotOpen | None = None,
) -> HttpResponse:
    """Say that a study hands out no tasks; offer the code to a rater who earned it."""
    links = {}
    if participation is not None and tasks_done(participation):
        links = {
            "action": _("Get my completion code"),
            "action_url": reverse("rater:stop", args=[study.slug]),
            "action_method": "post",
        }
    if isinstance(error, PlacesTaken):
        heading = _("All places are taken")
        line = _("As many people as are needed take part already. Thank you for your interest.")
    elif isinstance(error, RecruitmentInactive):
        heading = _("This link takes nobody at the moment")
        line = _("The study does not look for people in this way now. Please come back later.")
    elif study.status == StudyStatus.PAUSED or isinstance(error, InputsGone):
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


def study_page(view: "StudyView[P]") -> Callable[..., HttpResponse]:
    """Hand a view its study, and speak the language of its raters.

    Parameters
    ----------
    view : callable
        Takes the request and the study.

    Returns
    -------
    callable
        Takes the request and the study's slug.
    """

    @never_cache
    @wraps(view)
    def page(request: HttpRequest, slug: str, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        study = study_open_to_raters(slug)
        language = language_of(study)
        # known to the page of a fault, which asks the database nothing
        request.rater_language = language  # type: ignore[attr-defined]
        with translation.override(language):
            return view(request, study, *args, **kwargs)

    return page


def known_rater_page(view: "RaterView[P]") -> Callable[..., HttpResponse]:
    """Hand a view its rater's participation, whatever state that is in.

    Parameters
    ----------
    view : callable
        Takes the request and the participation.

    Returns
    -------
    callable
        Takes the request and the study's slug.
    """

    @study_page
    @wraps(view)
    def page(
        request: HttpRequest, study: Study, /, *args: P.args, **kwargs: P.kwargs
    ) -> HttpResponse:
        participation = participation_of(request, study)
        if participation is None:
            return session_lost_page(request, study)
        return view(request, participation, *args, **kwargs)

    return page


def rater_page(view: "RaterView[P]") -> Callable[..., HttpResponse]:
    """Hand a view its rater's participation; answer what stands in the way of it.

    Parameters
    ----------
    view : callable
        Takes the request and the participation of a rater who has consented and goes on.

    Returns
    -------
    callable
        Takes the request and the study's slug.
    """

    @known_rater_page
    @wraps(view)
    def page(
        request: HttpRequest, participation: Participation, /, *args: P.args, **kwargs: P.kwargs
    ) -> HttpResponse:
        study = participation.study
        if participation.ended_at is not None:
            return step_redirect(participation)
        if participation.consented_at is None or participation.declined_at is not None:
            return redirect("rater:entry", study.slug)
        try:
            return view(request, participation, *args, **kwargs)
        except StudyNotOpen as error:
            return not_open_page(request, study, participation, error)
        except ParticipationOver:
            participation.refresh_from_db()
            return step_redirect(participation)
        except ConsentMissing:
            return redirect("rater:entry", study.slug)
        except InstructionsUnread:
            return redirect("rater:instructions", study.slug)

    return page
