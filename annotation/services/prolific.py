"""What a person has done at Prolific: every action is asked for once, booked first, and logged.

No call holds a lock or a transaction of the database: Prolific may take its time. What must not
happen twice at once is kept apart by `Recruitment.busy_until`, which ends by itself when a server
is killed; each action can then be repeated without harm.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from annotation.exceptions import InvalidInput, PanelBusy, PanelRefused, StudyStateError
from annotation.models import Recruitment, StudyStatus
from annotation.queries.money import places_booked
from annotation.recruitment.prolific import Sending
from annotation.services.audit import study_event_record
from annotation.services.credentials import client_for
from annotation.services.locks import lock
from annotation.services.money import (
    ENDED,
    commitment_book,
    commitment_settle,
    commitment_undo,
)
from annotation.services.prolific_draft import prolific_body, ready_require
from annotation.services.prolific_submissions import (
    prolific_approve,
    prolific_reject,
    prolific_return_request,
    prolific_webhooks_subscribe,
)
from annotation.services.states import state_require

__all__ = [
    "prolific_approve",
    "prolific_body",
    "prolific_draft_create",
    "prolific_places_add",
    "prolific_publish",
    "prolific_reject",
    "prolific_return_request",
    "prolific_transition",
    "prolific_webhooks_subscribe",
]

#: Longer than two requests with all their tries and waits take.
BUSY = timedelta(minutes=10)
UNPUBLISHED = "UNPUBLISHED"
ACTIONS = {
    "PAUSE": ("paused at the panel", "PAUSED"),
    "START": ("resumed at the panel", "ACTIVE"),
    "STOP": ("stopped at the panel", "AWAITING REVIEW"),
}


def prolific_draft_create(
    *, recruitment: Recruitment, entry_url: str, actor: AbstractBaseUser, dry_run: bool = False
) -> list[Sending]:
    """Create the study at Prolific as a draft, which nobody sees and which costs nothing.

    Parameters
    ----------
    recruitment : Recruitment
        Prolific's channel of the study.
    entry_url : str
        The study's entry page, absolute.
    actor : User
        Who does it.
    dry_run : bool
        Send and write nothing.

    Returns
    -------
    list of Sending
        What was sent, or would be; empty where the draft exists already.

    Raises
    ------
    InvalidInput
        When something is missing that Prolific wants.
    PanelBusy, PanelError
        When another action is under way, or Prolific does not do it.
    """
    client = client_for(recruitment, dry_run=dry_run)
    if dry_run:
        client.study_create(prolific_body(recruitment, entry_url))
        return client.sendings
    with _at_panel(recruitment) as row:
        if row.panel_study_id:
            return []
        made = client.study_create(prolific_body(row, entry_url))
        study_id = str(made.get("id", ""))
        if not study_id:
            raise PanelRefused("Prolific made no study: its answer has no id.")
        with transaction.atomic():
            row = lock(Recruitment.objects.select_related("study"), pk=row.pk)
            row.panel_study_id = study_id[:60]
            row.panel_status = str(made.get("status") or UNPUBLISHED)[:30]
            row.save(update_fields=["panel_study_id", "panel_status"])
            study_event_record(
                study=row.study, action="draft created at the panel", actor=actor, id=study_id
            )
    _refresh(recruitment)
    return client.sendings


def prolific_publish(
    *, recruitment: Recruitment, actor: AbstractBaseUser, dry_run: bool = False
) -> list[Sending]:
    """Publish the draft: its places are booked first, then raters can take them.

    Parameters
    ----------
    recruitment : Recruitment
        With a draft at Prolific; publishing twice publishes once.
    actor : User
        Who spends the money.
    dry_run : bool
        Send and write nothing.

    Returns
    -------
    list of Sending
        What was sent, or would be.

    Raises
    ------
    StudyStateError
        When the study is not open to raters.
    InvalidInput
        When there is no draft, Prolific's differs from ours in pay or places, or the pay was
        changed meanwhile.
    SpendingCapPassed
        When the places cost more than the cap allows.
    PanelBusy, PanelError
        When another action is under way, or Prolific does not do it: its refusal releases the
        booking, its silence does not.
    """
    client = client_for(recruitment, dry_run=dry_run)
    study_id = _draft_require(recruitment, dry_run=dry_run)
    ready_require(recruitment)
    if dry_run:
        client.study_transition(study_id, "PUBLISH")
        return client.sendings
    with _at_panel(recruitment) as row:
        state_require(row.study, "it can be published at a panel", StudyStatus.OPEN)
        there, _ = client.study(study_id)
        if str(there.get("status")) != UNPUBLISHED:
            _status_save(row, str(there.get("status", "")))
            _refresh(recruitment)
            return client.sendings
        _same_require(row, there)
        before = places_booked(row)
        commitment_book(recruitment=row, places=row.places, actor=actor)
        try:
            reply = client.study_transition(study_id, "PUBLISH")
        except PanelRefused:
            commitment_undo(recruitment=row, places=before, actor=actor)
            raise
        _status_save(row, str(reply.get("status") or "PUBLISHING"))
        study_event_record(
            study=row.study, action="published at the panel", actor=actor, places=row.places
        )
    _refresh(recruitment)
    return client.sendings


def prolific_transition(
    *, recruitment: Recruitment, action: str, actor: AbstractBaseUser, dry_run: bool = False
) -> list[Sending]:
    """Pause, resume or stop a published study.

    Parameters
    ----------
    recruitment : Recruitment
        Published at Prolific.
    action : str
        ``PAUSE``, ``START`` or ``STOP``.
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
    PanelBusy, PanelError
        When another action is under way, or Prolific does not do it.
    """
    if action not in ACTIONS:
        raise InvalidInput(f"action: {action!r} is none of {', '.join(ACTIONS)}.")
    client = client_for(recruitment, dry_run=dry_run)
    study_id = _draft_require(recruitment, dry_run=dry_run)
    if dry_run:
        client.study_transition(study_id, action)
        return client.sendings
    with _at_panel(recruitment) as row:
        reply = client.study_transition(study_id, action)
        _status_save(row, str(reply.get("status") or ACTIONS[action][1]))
        ended = timezone.now()
        study_event_record(study=row.study, action=ACTIONS[action][0], actor=actor)
    if action == "STOP":
        commitment_settle(recruitment=row, as_of=ended)
    _refresh(recruitment)
    return client.sendings


def prolific_places_add(
    *, recruitment: Recruitment, places: int, actor: AbstractBaseUser, dry_run: bool = False
) -> list[Sending]:
    """Raise the number of places; what it costs is booked first.

    Parameters
    ----------
    recruitment : Recruitment
        Published at Prolific.
    places : int
        How many there shall be in all, so that asking twice adds once.
    actor : User
        Who spends the money.
    dry_run : bool
        Send and write nothing.

    Returns
    -------
    list of Sending
        What was sent, or would be; empty where there are as many already.

    Raises
    ------
    InvalidInput
        When the number is lower than now: Prolific takes no places back.
    SpendingCapPassed, PanelBusy, PanelError
        See `prolific_publish`.
    """
    client = client_for(recruitment, dry_run=dry_run)
    study_id = _draft_require(recruitment, dry_run=dry_run)
    if places < recruitment.places:
        raise InvalidInput(
            f"places: {places} is below the present {recruitment.places}, and Prolific takes no "
            "places back; stop the study instead."
        )
    if dry_run:
        client.places_set(study_id, places)
        return client.sendings
    with _at_panel(recruitment) as row:
        if row.panel_status in {"", UNPUBLISHED}:
            raise StudyStateError("Prolific: places are added to a published study; publish first.")
        if row.places == places and (places_booked(row) >= places or row.panel_status in ENDED):
            return []  # a study that ended is not opened again by the number that it has
        before = places_booked(row)
        commitment_book(recruitment=row, places=places, actor=actor)
        try:
            client.places_set(study_id, places)
        except PanelRefused:
            commitment_undo(recruitment=row, places=before, actor=actor)
            raise
        with transaction.atomic():
            row = lock(Recruitment.objects.select_related("study"), pk=row.pk)
            row.places = places
            row.save(update_fields=["places"])
            study_event_record(
                study=row.study, action="places added at the panel", actor=actor, places=places
            )
    _refresh(recruitment)
    return client.sendings


@contextmanager
def _at_panel(recruitment: Recruitment) -> Iterator[Recruitment]:
    """Keep two actions at the panel apart; the claim ends by itself when this server dies."""
    until = timezone.now() + BUSY
    with transaction.atomic():
        row = lock(Recruitment.objects.select_related("study"), pk=recruitment.pk)
        if row.busy_until is not None and row.busy_until > timezone.now():
            raise PanelBusy(
                "Prolific: another action of this study is under way; look again in a few minutes."
            )
        row.busy_until = until
        row.save(update_fields=["busy_until"])
    try:
        yield row
    finally:
        Recruitment.objects.filter(pk=row.pk, busy_until=until).update(busy_until=None)


def _draft_require(recruitment: Recruitment, *, dry_run: bool) -> str:
    if recruitment.panel_study_id:
        return recruitment.panel_study_id
    if dry_run:
        return "STUDY_ID"  # what the draft would be called is not known before it is there
    raise InvalidInput("Prolific: the study has no draft there yet; create it first.")


def _same_require(recruitment: Recruitment, there: dict[str, Any]) -> None:
    """Refuse to publish a draft that somebody changed at Prolific: it would cost something else."""
    for ours, theirs, value in (
        ("reward_minor", "reward", recruitment.reward_minor),
        ("places", "total_available_places", recruitment.places),
    ):
        if there.get(theirs) != value:
            raise InvalidInput(
                f"{ours}: it is {value} here, but {there.get(theirs)!r} in the draft at Prolific; "
                "make them the same before you publish."
            )


def _status_save(row: Recruitment, status: str) -> None:
    row.panel_status = status[:30]
    Recruitment.objects.filter(pk=row.pk).update(panel_status=row.panel_status)


def _refresh(recruitment: Recruitment) -> None:
    """Bring the caller's object up to date."""
    recruitment.refresh_from_db(fields=["panel_study_id", "panel_status", "places", "busy_until"])
