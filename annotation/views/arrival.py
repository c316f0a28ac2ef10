"""Arrival at a study: who the rater is, screening, consent. GET shows, and records nothing."""

import math
import uuid

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from annotation.exceptions import (
    ForgedArrival,
    InvalidInput,
    PanelKeysUnavailable,
    ParticipationOver,
    SimulatedRaterRefused,
    StudyNotOpen,
)
from annotation.forms import ConsentForm, ScreeningForm
from annotation.models import Channel, Participation, Study, StudyStatus
from annotation.queries.journey import Step, next_step
from annotation.services.arrivals import Arrival, arrival_record
from annotation.services.eligibility import screening_record
from annotation.services.raters import consent_decline, consent_give, participation_find
from annotation.views.arrival_link import (
    BACK_PARAMETER,
    arrival_read,
    back_read,
    seal,
    ticket_make,
)
from annotation.views.rater_session import (
    message_page,
    not_open_page,
    participation_of,
    participation_remember,
    step_redirect,
    study_page,
)
from annotation.views.wording import task_size, wording_of

#: For the time that the entry page names. An assumption, a cautious one: three seconds an item.
SECONDS_AN_ITEM = 3

CONSENTED = (Step.INSTRUCTIONS, Step.TRAINING, Step.ATTENTION, Step.TASK, Step.READY, Step.FINISHED)


@require_http_methods(["GET", "HEAD", "POST"])
@study_page
def entry(request: HttpRequest, study: Study) -> HttpResponse:
    """Show what the study is, its screening questions and its consent text; POST records."""
    try:
        arrival = arrival_read(request, study)
        participation = _participation(request, study, arrival)
        if request.method == "POST":
            return _posted(request, study, arrival, participation)
    except PanelKeysUnavailable:
        return message_page(
            request,
            study,
            _("This link cannot be verified at the moment"),
            _("The panel does not answer. Reload this page in a minute. Nothing was recorded."),
            status=503,
        )
    except ForgedArrival:
        return message_page(
            request,
            study,
            _("This link cannot be verified"),
            _("It carries no valid signature of the panel, or the signature is out of date."),
            _("Open the study from the panel's own page once more. Nothing was recorded."),
            status=403,
        )
    except InvalidInput as error:
        return message_page(request, study, _("This link is not complete"), str(error), status=400)
    except SimulatedRaterRefused as error:
        return message_page(request, study, "No simulated raters here", str(error), status=403)
    except StudyNotOpen as error:
        return not_open_page(request, study, None, error)
    return _shown(request, study, arrival, participation)


def _participation(
    request: HttpRequest, study: Study, arrival: Arrival | None
) -> Participation | None:
    """Find the participation that the link names; else the one that the session names."""
    if arrival is not None:
        return participation_find(
            study=study, channel=arrival.channel, external_id=arrival.external_id
        )
    return back_read(request, study) or participation_of(request, study)


def _shown(
    request: HttpRequest, study: Study, arrival: Arrival | None, participation: Participation | None
) -> HttpResponse:
    if participation is None:
        if study.status != StudyStatus.OPEN:
            return not_open_page(request, study, None)
        step = Step.SCREENING if study.screening_questions.exists() else Step.CONSENT
    else:
        step = next_step(participation)
        if step in CONSENTED and participation.consent_version != study.consent_version:
            step = Step.CONSENT  # the text has changed: whoever comes by here is asked again
    if step not in (Step.SCREENING, Step.CONSENT):
        assert participation is not None  # noqa: S101 - only a participation gets any further
        if participation == participation_of(request, study):
            return step_redirect(participation)
        return _page(request, study, arrival, "rater/welcome_back.html")
    if step is Step.SCREENING:
        return _page(request, study, arrival, "rater/screening.html", form=ScreeningForm(study))
    return _consent_page(request, study, arrival)


def _page(
    request: HttpRequest,
    study: Study,
    arrival: Arrival | None,
    template: str,
    *,
    status: int = 200,
    **context: object,
) -> HttpResponse:
    ticket = "" if arrival is None else ticket_make(study, arrival)
    return render(request, template, {"study": study, "ticket": ticket, **context}, status=status)


def _consent_page(
    request: HttpRequest, study: Study, arrival: Arrival | None, form: ConsentForm | None = None
) -> HttpResponse:
    n_items = study.items_per_task + study.quality_policy.gold_per_task
    tasks = study.quality_policy.tasks_per_rater
    person = participation_of(request, study)
    is_new = person is None or (person.channel == Channel.DIRECT and person.consented_at is None)
    return _page(
        request,
        study,
        arrival,
        "rater/entry.html",
        status=200 if form is None else 422,
        form=form,
        words=wording_of(study),
        task_size=task_size(study, n_items),
        minutes=max(1, math.ceil(n_items * (tasks or 1) * SECONDS_AN_ITEM / 60)),
        tasks=tasks,
        ask_nickname=arrival is None and BACK_PARAMETER not in request.GET and is_new,
    )


def _posted(
    request: HttpRequest, study: Study, arrival: Arrival | None, participation: Participation | None
) -> HttpResponse:
    """Record what a form of the entry page says."""
    consent = ConsentForm(request.POST)
    if participation is not None:
        asked = next_step(participation) in (Step.SCREENING, Step.CONSENT) or consent.is_valid()
        if "resume" in request.POST or participation.ended_at is not None or not asked:
            if arrival is not None:  # it may be another visit, as the panel counts them
                participation = arrival_record(study=study, arrival=arrival)
            _remember(request, participation, arrival)
            return step_redirect(participation)
    if consent.is_valid() and not consent.cleaned_data["consents"]:
        person = _arrived(request, study, arrival, participation)
        consent_decline(participation=person)
        return redirect("rater:ended" if person.ended_at else "rater:exit", study.slug)
    questions = study.screening_questions.exists()
    if questions and (participation is None or next_step(participation) is Step.SCREENING):
        return _screened(request, study, arrival, participation)
    if not consent.is_valid():
        return _consent_page(request, study, arrival, consent)
    person = _arrived(request, study, arrival, participation)
    try:
        consent_give(participation=person, nickname=consent.cleaned_data["nickname"])
    except ParticipationOver:
        person.refresh_from_db()
    return step_redirect(person)


def _screened(
    request: HttpRequest, study: Study, arrival: Arrival | None, participation: Participation | None
) -> HttpResponse:
    form = ScreeningForm(study, request.POST)
    if not form.is_valid():
        return _page(request, study, arrival, "rater/screening.html", status=422, form=form)
    person = _arrived(request, study, arrival, participation)
    screening_record(participation=person, answers=form.answers())
    return step_redirect(person)


def _arrived(
    request: HttpRequest,
    study: Study,
    arrival: Arrival | None,
    participation: Participation | None,
) -> Participation:
    """Record the rater's arrival, once, and let the session know who they are."""
    if arrival is not None or participation is None or "simulated_rater" in request.POST:
        named = arrival or _own_identity(request)
        participation = arrival_record(study=study, arrival=named)
    _remember(request, participation, arrival)
    return participation


def _remember(request: HttpRequest, participation: Participation, arrival: Arrival | None) -> None:
    participation_remember(request, participation)
    if arrival is not None:
        # the address at the end may want the panel's id back; the database has but its hash
        request.session["panel_ids"] = {
            **request.session.get("panel_ids", {}),
            participation.study.slug: seal(arrival.external_id),
        }


def _own_identity(request: HttpRequest) -> Arrival:
    """Return who sends a request whose link names nobody.

    Whoever says to be a simulation is never counted as a person, also where none is allowed.
    """
    if "simulated_rater" in request.POST:
        if not settings.NEURONJURY_ALLOW_SIMULATED_RATERS:
            raise SimulatedRaterRefused(
                "simulated_rater: this site takes no simulated raters, so nothing was saved; "
                "set NEURONJURY_ALLOW_SIMULATED_RATERS for a demo or a load test, or leave "
                "the field out to take part as a person."
            )
        return Arrival(Channel.SIMULATED, request.POST["simulated_rater"])
    if "rater_id" not in request.session:
        request.session["rater_id"] = uuid.uuid4().hex
    return Arrival(Channel.DIRECT, request.session["rater_id"])


@require_GET
@study_page
def leave(request: HttpRequest, study: Study) -> HttpResponse:
    """Say goodbye to somebody who did not agree, or who stopped before the end."""
    participation = participation_of(request, study)
    if participation is not None and participation.ended_at is not None:
        return step_redirect(participation)
    agreed = (
        participation is not None
        and participation.consented_at is not None
        and participation.declined_at is None
    )
    line = (
        _("You stopped before the end, so there is no completion code. You may close this page.")
        if agreed
        else _("You do not take part in this study. You may close this page.")
    )
    return message_page(
        request,
        study,
        _("Thank you for your time"),
        line,
        second=_("I have changed my mind"),
        second_url=reverse("rater:entry", args=[study.slug]),
    )
