"""What a person has done at Prolific: every action is asked for once, booked first, and logged.

No call holds a lock or a transaction of the database: Prolific may take its time. What must not
happen twice at once is kept apart by a claim (see `panel_claims`), which ends by itself when a
server is killed; each action can then be repeated without harm.
"""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from annotation.exceptions import InvalidInput, PanelRefused, StudyStateError
from annotation.models import Recruitment, StudyStatus
from annotation.queries.money import places_booked
from annotation.recruitment.prolific import Sending
from annotation.services.audit import study_event_record
from annotation.services.commitments import ENDED, commitment_book, commitment_undo
from annotation.services.credentials import client_for
from annotation.services.locks import lock
from annotation.services.panel_claims import (
    UNPUBLISHED,
    active_require,
    at_panel,
    draft_require,
    recruitment_refresh,
    status_save,
)
from annotation.services.prolific_draft import prolific_body, ready_require
from annotation.services.prolific_states import prolific_transition
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
    with at_panel(recruitment) as row:
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
    recruitment_refresh(recruitment)
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
        When the study is not open to raters, or the channel takes none.
    InvalidInput
        When there is no draft, Prolific's differs from ours in pay, places or signed links, or the
        pay was changed meanwhile.
    SpendingCapPassed
        When the places cost more than the cap allows.
    PanelBusy, PanelError
        When another action is under way, or Prolific does not do it: its refusal releases the
        booking, its silence does not.
    """
    client = client_for(recruitment, dry_run=dry_run)
    study_id = draft_require(recruitment, dry_run=dry_run)
    ready_require(recruitment)
    if dry_run:
        client.study_transition(study_id, "PUBLISH")
        return client.sendings
    with at_panel(recruitment) as row:
        state_require(row.study, "it can be published at a panel", StudyStatus.OPEN)
        active_require(row)
        there, _ = client.study(study_id)
        if str(there.get("status")) != UNPUBLISHED:
            status_save(row, str(there.get("status", "")))
            recruitment_refresh(recruitment)
            return client.sendings
        _same_require(row, there)
        before = places_booked(row)
        commitment_book(recruitment=row, places=row.places, actor=actor)
        try:
            reply = client.study_transition(study_id, "PUBLISH")
        except PanelRefused:
            commitment_undo(recruitment=row, places=before, actor=actor)
            raise
        status_save(row, str(reply.get("status") or "PUBLISHING"))
        study_event_record(
            study=row.study, action="published at the panel", actor=actor, places=row.places
        )
    recruitment_refresh(recruitment)
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
    StudyStateError
        When it is not published there, or closed here (places reopen a study that was stopped), or
        the channel takes no raters.
    SpendingCapPassed, PanelBusy, PanelError
        See `prolific_publish`.
    """
    client = client_for(recruitment, dry_run=dry_run)
    study_id = draft_require(recruitment, dry_run=dry_run)
    if places < recruitment.places:
        raise InvalidInput(
            f"places: {places} is below the present {recruitment.places}, and Prolific takes no "
            "places back; stop the study instead."
        )
    if dry_run:
        client.places_set(study_id, places)
        return client.sendings
    with at_panel(recruitment) as row:
        state_require(
            row.study, "places can be added at a panel", StudyStatus.OPEN, StudyStatus.PAUSED
        )
        active_require(row)
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
    recruitment_refresh(recruitment)
    return client.sendings


def _same_require(recruitment: Recruitment, there: dict[str, Any]) -> None:
    """Refuse to publish a draft that costs something else there, or sends links that we refuse."""
    for ours, theirs, value in (
        ("reward_minor", "reward", recruitment.reward_minor),
        ("places", "total_available_places", recruitment.places),
    ):
        if there.get(theirs) != value:
            raise InvalidInput(
                f"{ours}: it is {value} here, but {there.get(theirs)!r} in the draft at Prolific; "
                "make them the same before you publish."
            )
    if recruitment.require_signature and there.get("is_external_study_url_secure") is False:
        raise InvalidInput(
            "require_signature: only signed links are taken here, but the draft at Prolific does "
            "not sign them, so that every rater would be turned away; have them signed there, or "
            "take unsigned ones here."
        )
