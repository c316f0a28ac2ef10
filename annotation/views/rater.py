"""The rater's pages from the instructions to the end: tasks, break, stop, completion code.

A rater is a session; every page says what to do next, also when something is over, closed or lost.
GET never changes anything: a task is leased by the POST before it.
"""

from datetime import timedelta
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from annotation.exceptions import (
    AssignmentClosed,
    AssignmentIncomplete,
    InvalidInput,
    NothingSubmitted,
    StudyNotOpen,
    TasksLeft,
)
from annotation.forms import answers_given
from annotation.forms.rater import ITEM_FIELD
from annotation.models import (
    HANDED_IN,
    Assignment,
    AssignmentStatus,
    GoldUse,
    Participation,
    StudyStatus,
)
from annotation.queries import assignment_items
from annotation.queries.journey import (
    Step,
    is_paid,
    next_step,
    tasks_done,
    tasks_limit,
)
from annotation.services.assignments import (
    assignment_lease,
    assignment_return,
    assignment_submit,
)
from annotation.services.attention import attention_due
from annotation.services.raters import instructions_confirm, participation_complete
from annotation.services.ratings import ratings_save
from annotation.services.training import training_begin
from annotation.views.arrival_link import back_link
from annotation.views.rater_session import (
    message_page,
    rater_page,
    step_redirect,
)
from annotation.views.stimulus import stimulus_of
from annotation.views.wording import (
    CHOICES,
    is_text,
    place,
    place_of,
    question_of,
    still_missing,
    wording_of,
)


@require_http_methods(["GET", "HEAD", "POST"])
@rater_page
def instructions(request: HttpRequest, participation: Participation) -> HttpResponse:
    """Show how rating works, with examples; POST confirms and goes on."""
    if request.method == "POST":
        instructions_confirm(participation=participation)
        return onward(participation)
    study = participation.study
    words = wording_of(study)
    examples = [
        {
            "concept": gold.concept.text,
            "stimulus": stimulus_of(participation, gold.probe_input, 0, name=str(words.example)),
            "choice": next(choice for choice in CHOICES if choice["value"] == gold.value),
            "feedback": gold.feedback,
        }
        for gold in study.gold_answers.filter(use=GoldUse.EXAMPLE).select_related(
            "concept", "probe_input"
        )
    ]
    context = {
        "study": study,
        "words": words,
        "is_text": is_text(study),
        "question": question_of(study),
        "examples": examples,
        "trained_next": next_step(participation) is Step.INSTRUCTIONS
        and study.quality_policy.training_items > 0,
        "example_columns": range(160, 290, 31),
    }
    return render(request, "rater/instructions.html", context)


def onward(participation: Participation) -> HttpResponse:
    """Do what a rater's POST leads to: lease a task, begin the training, complete; then redirect.

    Parameters
    ----------
    participation : Participation
        A rater who has consented.

    Returns
    -------
    HttpResponse
    """
    slug = participation.study.slug
    step = next_step(participation)
    if step is Step.TRAINING:
        training_begin(participation=participation)
    elif step is Step.TASK:
        assignment_lease(participation=participation)  # renews it where it is overdue
    elif step in (Step.READY, Step.FINISHED):
        if attention_due(participation=participation) is not None:
            return redirect("rater:attention", slug)
        if step is Step.READY and assignment_lease(participation=participation) is not None:
            return redirect("rater:task", slug)
        return _finish(participation, nothing_left=step is Step.READY)
    return step_redirect(participation)


def _finish(participation: Participation, *, nothing_left: bool) -> HttpResponse:
    try:
        participation_complete(participation=participation, nothing_left=nothing_left)
    except NothingSubmitted:
        return redirect("rater:nothing_left", participation.study.slug)
    return redirect("rater:complete", participation.study.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@rater_page
def task(request: HttpRequest, participation: Participation) -> HttpResponse:
    """Show the task that the rater holds; POST leases the next one."""
    study = participation.study
    if request.method == "POST":
        return onward(participation)
    step = next_step(participation)
    if step is Step.TASK:
        assignment = participation.assignments.select_related("task__concept").get(
            status=AssignmentStatus.LEASED
        )
        return _task_page(request, participation, assignment)
    if step not in (Step.READY, Step.FINISHED):
        return step_redirect(participation)
    if study.status != StudyStatus.OPEN:
        raise StudyNotOpen
    finished = step is Step.FINISHED
    return message_page(
        request,
        study,
        _("All tasks are done") if finished else _("Ready for the next task?"),
        _("Every answer that you gave is saved.")
        if finished
        else _("You hold no task at the moment. Every answer that you gave is saved."),
        action=_("Get my completion code") if finished else _("Next task"),
        action_url=reverse("rater:task", args=[study.slug]),
        action_method="post",
        second="" if finished else _("I want to stop"),
        second_url="" if finished else reverse("rater:stop", args=[study.slug]),
    )


def _task_page(
    request: HttpRequest,
    participation: Participation,
    assignment: Assignment,
    *,
    missing: tuple[UUID, ...] = (),
) -> HttpResponse:
    study = participation.study
    rows = assignment_items(assignment)
    items = [
        {
            "number": number,
            "place": place_of(study, number, len(rows)),
            "name": place(study, number),
            "field": f"{ITEM_FIELD}{row.public_id}",
            "public_id": row.public_id,
            "image_public_id": row.image_public_id,
            "stimulus": stimulus_of(participation, row.item.probe_input, number),
            "value": row.value,
            "missing": row.public_id in missing,
        }
        for number, row in enumerate(rows, start=1)
    ]
    context = {
        "study": study,
        "assignment": assignment,
        "question": question_of(study),
        "concept": assignment.task.concept.text,
        "words": wording_of(study),
        "task_number": tasks_done(participation) + 1,
        "n_tasks": tasks_limit(participation),
        "items": items,
        "n_answered": sum(row.value is not None for row in rows),
        "missing": [item for item in items if item["missing"]],
        "still_missing": still_missing(study, len(missing)),
        "choices": CHOICES,
        "is_text": is_text(study),
    }
    return render(request, "rater/task.html", context, status=422 if missing else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@rater_page
def submit(request: HttpRequest, participation: Participation, assignment_id: UUID) -> HttpResponse:
    """Save the answers of the form and hand the task in; then lease the next one."""
    study = participation.study
    if request.method != "POST":  # a reload after a correction
        return redirect("rater:task", study.slug)
    assignment = get_object_or_404(
        participation.assignments.select_related("task__concept"), public_id=assignment_id
    )
    items = [item.public_id for item in assignment_items(assignment)]
    try:
        if assignment.status not in HANDED_IN:
            ratings_save(assignment=assignment, values=answers_given(request.POST, items))
            assignment_submit(assignment=assignment)
    except AssignmentIncomplete as error:
        return _task_page(request, participation, assignment, missing=error.missing)
    except AssignmentClosed:
        return _refused(request, participation, _("It was given back, and takes no more answers."))
    except InvalidInput:
        return _refused(
            request, participation, _("An answer is none of the three. Nothing was changed.")
        )
    return onward(participation)


def _refused(request: HttpRequest, participation: Participation, why: str) -> HttpResponse:
    return message_page(
        request,
        participation.study,
        _("This task could not be handed in"),
        why,
        status=409,
        action=_("Go on rating"),
        action_url=reverse("rater:task", args=[participation.study.slug]),
    )


@require_GET
@rater_page
def take_break(request: HttpRequest, participation: Participation) -> HttpResponse:
    """Say how long the task is kept, and how to come back."""
    held = participation.assignments.filter(status=AssignmentStatus.LEASED).first()
    left = timedelta(0) if held is None else held.expires_at - timezone.now()
    context = {
        "study": participation.study,
        "held": held,
        "minutes_left": max(0, int(left / timedelta(minutes=1))),
        "is_paid": is_paid(participation),
        "back_link": back_link(request, participation),
    }
    return render(request, "rater/break.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@rater_page
def stop(request: HttpRequest, participation: Participation) -> HttpResponse:
    """Ask whether to stop; POST returns an unfinished task and gives the code where one is due."""
    study = participation.study
    held = participation.assignments.filter(status=AssignmentStatus.LEASED).first()
    n_done, limit = tasks_done(participation), tasks_limit(participation)
    if request.method == "POST":
        if held is not None:
            assignment_return(assignment=held)
        elif next_step(participation) in (Step.ATTENTION, Step.FINISHED):
            return onward(participation)  # the last attention check is not stepped around
        try:
            participation_complete(
                participation=participation, nothing_left=study.status != StudyStatus.OPEN
            )
        except (NothingSubmitted, TasksLeft):
            return redirect("rater:exit", study.slug)
        return redirect("rater:complete", study.slug)
    too_early = limit is not None and n_done < limit and is_paid(participation)
    context = {
        "study": study,
        "n_submitted": n_done,
        "n_tasks": limit,
        "too_early": too_early,
        "has_code": bool(n_done) and not too_early,
        "has_lease": held is not None,
        "n_open_answers": 0 if held is None else held.ratings.count(),
    }
    return render(request, "rater/stop.html", context)
