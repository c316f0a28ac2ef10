"""Pausing, resuming and stopping at Prolific: by a person there, or because the study here did so.

The study's own state never waits for the panel. Closing a study commits, together with it, that the
panel is to be asked to stop; a worker asks, again and again until the panel has done it.
"""

import logging
from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from annotation.exceptions import AnnotationError, InvalidInput
from annotation.models import Channel, PanelAction, PanelRequest, Recruitment, Study, StudyStatus
from annotation.recruitment.prolific import ProlificClient, Sending
from annotation.services.audit import study_event_record
from annotation.services.commitments import ENDED, commitment_settle
from annotation.services.credentials import client_for
from annotation.services.panel_claims import (
    UNPUBLISHED,
    active_require,
    at_panel,
    draft_require,
    recruitment_refresh,
    status_save,
)
from annotation.services.states import state_require
from annotation.tasks import panel_request_task

logger = logging.getLogger(__name__)

#: What the log says of an action, and the state that it leads to where the panel names none.
ACTIONS = {
    PanelAction.PAUSE: ("paused at the panel", "PAUSED"),
    PanelAction.START: ("resumed at the panel", "ACTIVE"),
    PanelAction.STOP: ("stopped at the panel", "AWAITING REVIEW"),
}
#: The states of the panel's study that an action leads to.
REACHED = {
    PanelAction.PAUSE: {"PAUSED"},
    PanelAction.START: {"ACTIVE", "PUBLISHING", "SCHEDULED"},
    PanelAction.STOP: set(ENDED),
}
#: Nobody is sent from a study in one of these, and no action has anything to do there.
IDLE = {UNPUBLISHED, *ENDED}
#: What the panel is asked for when the study here changes its state.
FOLLOWING = {
    StudyStatus.PAUSED: PanelAction.PAUSE,
    StudyStatus.OPEN: PanelAction.START,
    StudyStatus.CLOSED: PanelAction.STOP,
}
#: A request is tried again after a quarter of its age, within these bounds.
SOONEST, LATEST = timedelta(minutes=1), timedelta(hours=1)


def prolific_transition(
    *, recruitment: Recruitment, action: str, actor: AbstractBaseUser, dry_run: bool = False
) -> list[Sending]:
    """Pause, resume or stop a published study.

    Parameters
    ----------
    recruitment : Recruitment
        Published at Prolific.
    action : str
        One of `PanelAction`.
    actor : User
        Who does it.
    dry_run : bool
        Send and write nothing.

    Returns
    -------
    list of Sending
        What was sent, or would be.

    Raises
    ------
    InvalidInput
        When the action is another one, or the study is not at Prolific.
    StudyStateError
        When raters are to be sent again to a study that takes none.
    PanelBusy, PanelError
        When another action is under way, or Prolific does not do it.
    """
    if action not in PanelAction.values:
        raise InvalidInput(f"action: {action!r} is none of {', '.join(PanelAction.values)}.")
    wanted = PanelAction(action)
    client = client_for(recruitment, dry_run=dry_run)
    study_id = draft_require(recruitment, dry_run=dry_run)
    if dry_run:
        client.study_transition(study_id, wanted)
        return client.sendings
    began = timezone.now()
    with at_panel(recruitment) as row:
        if wanted == PanelAction.START:
            state_require(row.study, "it can be resumed at a panel", StudyStatus.OPEN)
            active_require(row)
        ended = _send(client, row, wanted, actor)
        # the person's word replaces what followed from the study's state before, but a study that
        # was closed is to be stopped whatever else is done to it
        asked = PanelRequest.objects.filter(recruitment=row, asked_at__lt=began)
        if wanted != PanelAction.STOP:
            asked = asked.exclude(action=PanelAction.STOP)
        asked.delete()
    _settle(row, wanted, ended)
    recruitment_refresh(recruitment)
    return client.sendings


def panel_state_follow(*, study: Study, actor: AbstractBaseUser) -> None:
    """Have the panel follow the study's state; call it in the transaction that changes the state.

    Parameters
    ----------
    study : Study
        As it is now: paused, open or closed.
    actor : User
        Who changed it.
    """
    action = FOLLOWING[StudyStatus(study.status)]
    for row in study.recruitments.filter(channel=Channel.PROLIFIC).exclude(panel_study_id=""):
        before = PanelRequest.objects.filter(recruitment=row).first()
        if action == PanelAction.START and (before is None or before.action != PanelAction.PAUSE):
            continue  # what a person paused there is for a person to resume
        request, _ = PanelRequest.objects.update_or_create(
            recruitment=row,
            defaults={
                "action": action,
                "actor_id": actor.pk,
                "asked_at": timezone.now(),
                "tried_at": None,
                "done_at": None,
                "error": "",
            },
        )
        _enqueue(request.pk)


def _enqueue(request_id: int) -> None:
    # robust: the state is committed; what the queue does not take, the sweeper finds
    transaction.on_commit(lambda: panel_request_task.enqueue(request_id), robust=True)


def panel_request_send(*, request: PanelRequest, now: datetime | None = None) -> str:
    """Ask the panel once for what a study's state wants of it.

    Parameters
    ----------
    request : PanelRequest
        Done already, it is not asked for again; nor is one that a newer one has replaced. Where
        there is nothing to do, it is deleted.
    now : datetime, optional
        The present by default.

    Returns
    -------
    str
        Why it is not done yet; empty where nothing is left to do. The first failure is in the
        study's log, and so is what was done after it.
    """
    row = (
        _same(request)
        .filter(done_at__isnull=True)
        .select_related("recruitment__study", "recruitment__credential", "actor")
        .first()
    )
    if row is None:
        return ""
    moment = now or timezone.now()
    try:
        _follow(row, moment)
    except AnnotationError as error:
        logger.warning("prolific: %s is not done yet: %s", row, error)
        _failure_record(row, str(error), moment)
        return str(error)
    return ""


def panel_requests_send_due(*, now: datetime | None = None) -> int:
    """Ask panels for what is not done yet; the sweeper calls it.

    Parameters
    ----------
    now : datetime, optional
        The time to compare with; the present by default.

    Returns
    -------
    int
        How many were done. One that fails does not keep the others from being asked for.
    """
    moment = now or timezone.now()
    done = 0
    for request in PanelRequest.objects.filter(done_at__isnull=True):
        if request_due_at(request) > moment:
            continue
        try:
            done += not panel_request_send(request=request, now=moment)
        except Exception:
            # whatever is wrong with one study: the others must stop as well
            logger.exception("prolific: %s cannot be asked for", request)
            _same(request).update(tried_at=moment)
    return done


def request_due_at(request: PanelRequest) -> datetime:
    """Say when a request is tried next.

    Parameters
    ----------
    request : PanelRequest
        Not done yet.

    Returns
    -------
    datetime
        Its first try is the queue's; the sweeper comes after `SOONEST` where that was lost.
    """
    if request.tried_at is None:
        return request.asked_at + SOONEST
    age = request.tried_at - request.asked_at
    return request.tried_at + min(max(age / 4, SOONEST), LATEST)


def _follow(request: PanelRequest, moment: datetime) -> None:
    recruitment, action = request.recruitment, PanelAction(request.action)
    client = client_for(recruitment)
    with at_panel(recruitment) as row:
        if not _same(request).exists():
            return
        read = timezone.now()
        there, _ = client.study(draft_require(row, dry_run=False))
        status = str(there.get("status", ""))
        if status not in REACHED[action] | IDLE:
            read = _send(client, row, action, request.actor)
            _same(request).update(done_at=moment, tried_at=moment, error="")
        elif request.error and status in REACHED[action]:
            # an earlier try was done, though nobody heard so
            status_save(row, status)
            study_event_record(study=row.study, action=ACTIONS[action][0], actor=request.actor)
            _same(request).update(done_at=moment, tried_at=moment, error="")
        else:
            # a draft, or what a person or the panel did before: none of it followed the study
            status_save(row, status)
            _same(request).delete()
    _settle(row, action, read)


def _send(
    client: ProlificClient, row: Recruitment, action: PanelAction, actor: AbstractBaseUser
) -> datetime:
    """Send one action, and return when the panel's answer to it was so."""
    reply = client.study_transition(row.panel_study_id, action)
    word, status = ACTIONS[action]
    status_save(row, str(reply.get("status") or status))
    answered = timezone.now()
    study_event_record(study=row.study, action=word, actor=actor)
    return answered


def _settle(row: Recruitment, action: PanelAction, ended: datetime) -> None:
    """Release what a stopped study cannot cost any more, when the claim on it has ended."""
    if action == PanelAction.STOP:
        commitment_settle(recruitment=row, as_of=ended)


def _failure_record(request: PanelRequest, error: str, moment: datetime) -> None:
    with transaction.atomic():
        found = _same(request).filter(done_at__isnull=True).select_for_update().first()
        if found is None:
            return
        found.tried_at, found.error = moment, error
        found.save(update_fields=["tried_at", "error"])
        if not request.error:
            study_event_record(
                study=request.recruitment.study,
                action="the panel has not followed yet",
                actor=None,
                wanted=request.action,
                error=error,
            )


def _same(request: PanelRequest) -> "QuerySet[PanelRequest]":
    """Find the request, unless a newer one has replaced it."""
    return PanelRequest.objects.filter(
        pk=request.pk, action=request.action, asked_at=request.asked_at
    )
