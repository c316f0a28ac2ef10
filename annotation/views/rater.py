"""The rater's pages: consent, instructions, tasks, completion code.

A rater is a session; every page says what to do next, also when something is over, closed or lost.
GET never changes anything: a task is leased by the POST before it.
"""

import math
import uuid
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from annotation.exceptions import (
    AnnotationError,
    AssignmentClosed,
    AssignmentIncomplete,
    InvalidInput,
    NothingSubmitted,
    SimulatedRaterRefused,
    StudyNotOpen,
)
from annotation.forms import ConsentForm, answers_given
from annotation.models import (
    Assignment,
    AssignmentStatus,
    Channel,
    Participation,
    RatingValue,
    Study,
    StudyStatus,
)
from annotation.queries import assignment_items
from annotation.services.assignments import (
    assignment_lease,
    assignment_return,
    assignment_submit,
)
from annotation.services.raters import (
    consent_decline,
    consent_give,
    instructions_confirm,
    participation_complete,
    rater_arrive,
)
from annotation.services.ratings import ratings_save
from annotation.views.rater_session import (
    message_page,
    n_tasks_done,
    not_open_page,
    participation_of,
    rater_page,
    study_open_to_raters,
)

#: For the time that the entry page names. An assumption, a cautious one: three seconds an item.
SECONDS_AN_ITEM = 3

CHOICES = (
    {"value": RatingValue.PRESENT.value, "label": gettext_lazy("Present"), "key": "Y"},
    {"value": RatingValue.ABSENT.value, "label": gettext_lazy("Absent"), "key": "N"},
    {"value": RatingValue.CANNOT_TELL.value, "label": gettext_lazy("Cannot tell"), "key": "U"},
)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def entry(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what the study is and its consent text; POST gives or declines consent."""
    study = study_open_to_raters(slug)
    participation = participation_of(request, study)
    agreed = (
        participation is not None
        and participation.consented_at is not None
        and participation.declined_at is None
        and participation.consent_version == study.consent_version
    )
    if study.status != StudyStatus.OPEN and participation is None:
        return not_open_page(request, study, None)
    if request.method == "POST":
        form = ConsentForm(request.POST)
        if not form.is_valid():
            return _entry_page(request, study, errors=True, status=422)
        try:
            return _consent(request, study, agrees=form.cleaned_data["consent"] == "yes")
        except StudyNotOpen:
            return not_open_page(request, study, participation)
        except InvalidInput as error:
            return message_page(
                request, study, _("This link is not complete"), str(error), status=400
            )
        except SimulatedRaterRefused as error:
            return message_page(
                request, study, _("No simulated raters here"), str(error), status=403
            )
    if agreed:
        return redirect("rater:task", slug)
    return _entry_page(request, study)


def _entry_page(
    request: HttpRequest, study: Study, *, errors: bool = False, status: int = 200
) -> HttpResponse:
    minutes = max(1, math.ceil(study.items_per_task * SECONDS_AN_ITEM / 60))
    context = {"study": study, "minutes": minutes, "errors": errors}
    return render(request, "rater/entry.html", context, status=status)


def _consent(request: HttpRequest, study: Study, *, agrees: bool) -> HttpResponse:
    channel, external_id = _identity(request)
    participation = rater_arrive(study=study, channel=channel, external_id=external_id)
    request.session["participations"] = {
        **request.session.get("participations", {}),
        study.slug: str(participation.public_id),
    }
    if not agrees:
        consent_decline(participation=participation)
        return redirect("rater:exit", study.slug)
    consent_give(participation=participation)
    return redirect("rater:instructions", study.slug)


def _identity(request: HttpRequest) -> tuple[str, str]:
    """Return channel and external id of whoever sends this request.

    Whoever says to be a simulation is never counted as a person, also where none is allowed.
    """
    if "simulated_rater" in request.POST:
        if not settings.NEURONJURY_ALLOW_SIMULATED_RATERS:
            raise SimulatedRaterRefused(
                _(
                    "simulated_rater: this site takes no simulated raters, so nothing was saved; "
                    "set NEURONJURY_ALLOW_SIMULATED_RATERS for a demo or a load test, or leave "
                    "the field out to take part as a person."
                )
            )
        return Channel.SIMULATED, request.POST["simulated_rater"]
    if "rater_id" not in request.session:
        request.session["rater_id"] = uuid.uuid4().hex
    return Channel.DIRECT, request.session["rater_id"]


@never_cache
@require_GET
def leave(request: HttpRequest, slug: str) -> HttpResponse:
    """Say goodbye to somebody who did not agree, or who stopped before the first task's end."""
    study = study_open_to_raters(slug)
    return message_page(
        request,
        study,
        _("Thank you for your time"),
        _("You do not take part in this study. You may close this page."),
        second=_("I have changed my mind"),
        second_url=reverse("rater:entry", args=[slug]),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@rater_page
def instructions(request: HttpRequest, participation: Participation) -> HttpResponse:
    """Show how rating works; POST confirms and leases the first task."""
    if request.method == "POST":
        instructions_confirm(participation=participation)
        return _next_task(participation)
    return render(
        request,
        "rater/instructions.html",
        {"study": participation.study, "example_columns": range(160, 290, 31)},
    )


def _next_task(participation: Participation) -> HttpResponse:
    slug = participation.study.slug
    if assignment_lease(participation=participation) is not None:
        return redirect("rater:task", slug)
    try:
        participation_complete(participation=participation)
    except NothingSubmitted:
        return redirect("rater:nothing_left", slug)
    return redirect("rater:complete", slug)


@require_http_methods(["GET", "HEAD", "POST"])
@rater_page
def task(request: HttpRequest, participation: Participation) -> HttpResponse:
    """Show the task that the rater holds; POST leases the next one."""
    study = participation.study
    if request.method == "POST":
        return _next_task(participation)
    if participation.instructions_read_at is None:
        return redirect("rater:instructions", study.slug)
    if participation.completed_at is not None:
        return redirect("rater:complete", study.slug)
    assignment = (
        participation.assignments.filter(status=AssignmentStatus.LEASED)
        .select_related("task__concept")
        .first()
    )
    if assignment is not None:
        return _task_page(request, participation, assignment)
    if study.status != StudyStatus.OPEN:
        raise StudyNotOpen
    return message_page(
        request,
        study,
        _("Ready for the next task?"),
        _("You hold no task at the moment. Every answer that you gave is saved."),
        action=_("Next task"),
        action_url=reverse("rater:task", args=[study.slug]),
        action_method="post",
        second=_("I want to stop"),
        second_url=reverse("rater:stop", args=[study.slug]),
    )


def _task_page(
    request: HttpRequest,
    participation: Participation,
    assignment: Assignment,
    *,
    missing: tuple[UUID, ...] = (),
    refused: str = "",
) -> HttpResponse:
    items = [
        {
            "number": number,
            "public_id": item.public_id,
            "image_public_id": item.image_public_id,
            "value": item.value,
            "missing": item.public_id in missing,
        }
        for number, item in enumerate(assignment_items(assignment), start=1)
    ]
    context = {
        "study": participation.study,
        "assignment": assignment,
        "concept": assignment.task.concept.text,
        "task_number": n_tasks_done(participation) + 1,
        "items": items,
        "n_answered": sum(item["value"] is not None for item in items),
        "missing": [item for item in items if item["missing"]],
        "refused": refused,
        "choices": CHOICES,
    }
    status = 422 if missing or refused else 200
    return render(request, "rater/task.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@rater_page
def submit(request: HttpRequest, participation: Participation, assignment_id: UUID) -> HttpResponse:
    """Save the answers of the form and hand the task in; then lease the next one."""
    if request.method != "POST":  # a reload after a correction
        return redirect("rater:task", participation.study.slug)
    assignment = get_object_or_404(
        participation.assignments.select_related("task__concept"), public_id=assignment_id
    )
    items = [item.public_id for item in assignment_items(assignment)]
    try:
        if assignment.status != AssignmentStatus.SUBMITTED:
            ratings_save(assignment=assignment, values=answers_given(request.POST, items))
        assignment_submit(assignment=assignment)
    except AssignmentIncomplete as error:
        return _task_page(request, participation, assignment, missing=error.missing)
    except (AssignmentClosed, InvalidInput) as error:
        return _refused(request, participation.study, error)
    return _next_task(participation)


def _refused(request: HttpRequest, study: Study, error: AnnotationError) -> HttpResponse:
    return message_page(
        request,
        study,
        _("This task could not be handed in"),
        str(error),
        status=409,
        action=_("Go on rating"),
        action_url=reverse("rater:task", args=[study.slug]),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@rater_page
def stop(request: HttpRequest, participation: Participation) -> HttpResponse:
    """Ask whether to stop; POST returns an unfinished task and gives the completion code."""
    slug = participation.study.slug
    held = participation.assignments.filter(status=AssignmentStatus.LEASED).first()
    if request.method == "POST":
        if held is not None:
            assignment_return(assignment=held)
        try:
            participation_complete(participation=participation)
        except NothingSubmitted:
            return redirect("rater:exit", slug)
        return redirect("rater:complete", slug)
    return render(
        request,
        "rater/stop.html",
        {
            "study": participation.study,
            "n_submitted": n_tasks_done(participation),
            "has_lease": held is not None,
            "n_open_answers": 0 if held is None else held.ratings.count(),
        },
    )


@require_GET
@rater_page
def complete(request: HttpRequest, participation: Participation) -> HttpResponse:
    """Show the completion code."""
    if participation.completed_at is None:
        return redirect("rater:task", participation.study.slug)
    n_submitted = n_tasks_done(participation)
    context = {
        "study": participation.study,
        "participation": participation,
        "n_submitted": n_submitted,
    }
    return render(request, "rater/complete.html", context)


@require_GET
@rater_page
def nothing_left(request: HttpRequest, participation: Participation) -> HttpResponse:
    """Tell a rater who came too late for any task."""
    return message_page(
        request,
        participation.study,
        _("No task is left"),
        _("Other raters hold or have finished all tasks of this study at the moment."),
        _("One may become free again: try in half an hour. Thank you for being here."),
        action=_("Try again"),
        action_url=reverse("rater:task", args=[participation.study.slug]),
        action_method="post",
    )
