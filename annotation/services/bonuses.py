"""Bonuses at Prolific: paid at most once, though asking twice there would pay twice."""

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from annotation.exceptions import InvalidInput, PanelRefused, PanelUnreachable
from annotation.models import (
    BonusState,
    PanelBonus,
    PanelSubmission,
    SubmissionStatus,
)
from annotation.recruitment.prolific import ProlificClient, Sending
from annotation.services.audit import study_event_record
from annotation.services.credentials import client_for
from annotation.services.locks import lock
from annotation.services.money import bonus_book, bonus_release

MOST_MINOR = 100_000


def bonus_pay(
    *,
    submission: PanelSubmission,
    amount_minor: int,
    key: str,
    actor: AbstractBaseUser,
    dry_run: bool = False,
) -> tuple[PanelBonus | None, list[Sending]]:
    """Pay a bonus: booked first, prepared at Prolific, then paid with one request.

    Parameters
    ----------
    submission : PanelSubmission
        Approved, or waiting for review.
    amount_minor : int
        In pence or cents.
    key : str
        Made by the page or the caller; the same key is one bonus, however often it is sent.
    actor : User
        The person who pays.
    dry_run : bool
        Send and write nothing.

    Returns
    -------
    tuple of (PanelBonus or None, list of Sending)
        The bonus as it stands (None in a dry run), and what was sent, or would be.

    Raises
    ------
    InvalidInput
        When the amount or the key cannot be, or the submission was given back.
    SpendingCapPassed
        When it would pass the study's cap; nothing is paid.
    PanelError
        When Prolific refuses (the booking is released), or does not answer (it stays, and the
        bonus is uncertain until a person has looked).
    """
    if not 1 <= amount_minor <= MOST_MINOR:
        raise InvalidInput(f"amount_minor: {amount_minor} is not between 1 and {MOST_MINOR}.")
    if not 0 < len(key) <= 100:
        raise InvalidInput("key: give 1 to 100 characters, a new one for every bonus.")
    if submission.status not in {SubmissionStatus.APPROVED, SubmissionStatus.AWAITING_REVIEW}:
        raise InvalidInput(
            f"submission: {submission.submission_id} is {submission.get_status_display()}; a bonus "
            "is for one that is approved or waits for review."
        )
    recruitment = submission.recruitment
    client = client_for(recruitment, dry_run=dry_run)
    bonuses = [(submission.submission_id, amount_minor)]
    if dry_run:
        client.bonuses_set_up(recruitment.panel_study_id or "STUDY_ID", bonuses)
        client.bonuses_pay("BONUS_ID")
        return None, client.sendings
    bonus, _ = bonus_book(
        submission=submission,
        amount_minor=amount_minor,
        key=f"{recruitment.pk}:{key}",
        actor=actor,
    )
    if bonus.submission_id != submission.pk or bonus.amount_minor != amount_minor:
        raise InvalidInput("key: another bonus was paid under it; give a new one.")
    if not _paying_begin(bonus):
        bonus.refresh_from_db()
        return bonus, client.sendings
    _pay(client, bonus, recruitment.panel_study_id, bonuses)
    study_event_record(
        study=recruitment.study,
        action="bonus paid",
        actor=actor,
        submission=submission.submission_id,
        amount_minor=amount_minor,
    )
    return bonus, client.sendings


def _pay(
    client: ProlificClient, bonus: PanelBonus, study_id: str, bonuses: list[tuple[str, int]]
) -> None:
    try:
        bulk_id = _prepared(client, study_id, bonuses)
    except (PanelRefused, PanelUnreachable):  # nothing is paid by preparing it
        _state_save(bonus, BonusState.REFUSED)
        bonus_release(bonus=bonus)
        raise
    bonus.bulk_id = bulk_id
    bonus.save(update_fields=["bulk_id"])
    try:
        client.bonuses_pay(bulk_id)
    except PanelRefused:
        _state_save(bonus, BonusState.REFUSED)
        bonus_release(bonus=bonus)
        raise
    _state_save(bonus, BonusState.PAID)


def _prepared(client: ProlificClient, study_id: str, bonuses: list[tuple[str, int]]) -> str:
    bulk_id = str(client.bonuses_set_up(study_id, bonuses).get("id", ""))
    if not bulk_id:
        raise PanelRefused("Prolific prepared no bonus: its answer has no id.")
    return bulk_id


@transaction.atomic
def _paying_begin(bonus: PanelBonus) -> bool:
    """Claim the bonus: from here on it counts as uncertain until Prolific has answered."""
    row = lock(PanelBonus.objects.all(), pk=bonus.pk)
    if row.state != BonusState.BOOKED:
        return False
    _state_save(row, BonusState.UNCERTAIN)
    bonus.state = row.state
    return True


def _state_save(bonus: PanelBonus, state: BonusState) -> None:
    bonus.state = state
    bonus.save(update_fields=["state"])
