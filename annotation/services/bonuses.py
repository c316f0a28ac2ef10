"""Bonuses at Prolific: paid at most once, though asking twice there would pay twice."""

from datetime import timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from annotation.exceptions import InvalidInput, PanelRefused, PanelUnreachable
from annotation.models import (
    BonusState,
    PanelBonus,
    PanelSubmission,
    Study,
    SubmissionStatus,
)
from annotation.queries.recruitment import DOUBTFUL
from annotation.recruitment.prolific import ProlificClient, Sending
from annotation.services.audit import study_event_record
from annotation.services.credentials import client_for
from annotation.services.locks import lock
from annotation.services.payments import bonus_book, bonus_release

MOST_MINOR = 100_000
#: Longer than the requests of one bonus take: so long it may still be under way.
UNDER_WAY = timedelta(minutes=2)


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
        When the amount or the key cannot be, the submission was given back, or an earlier bonus
        for it is uncertain: a new one might pay it twice.
    SpendingCapPassed
        When it would pass the study's cap; nothing is paid.
    PanelError
        When Prolific refuses (the booking is released), or does not answer (it stays, and the
        bonus is uncertain until a person has looked, see `bonus_resolve`).
    """
    if not 1 <= amount_minor <= MOST_MINOR:
        raise InvalidInput(f"amount_minor: {amount_minor} is not between 1 and {MOST_MINOR}.")
    if not 0 < len(key) <= 100:
        raise InvalidInput("key: give 1 to 100 characters, a new one for every bonus.")
    bonus_possible_require(submission)
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


def bonus_possible_require(submission: PanelSubmission) -> None:
    """Refuse a bonus for what was not handed in, or is not to be paid.

    Parameters
    ----------
    submission : PanelSubmission
        Whose work a bonus would be for. Of several, look at each before the first is paid.

    Raises
    ------
    InvalidInput
        When it is neither approved nor waiting for review.
    """
    if submission.status not in {SubmissionStatus.APPROVED, SubmissionStatus.AWAITING_REVIEW}:
        raise InvalidInput(
            f"submission: {submission.submission_id} is {submission.get_status_display()}; a bonus "
            "is for one that is approved or waits for review."
        )


@transaction.atomic
def bonus_resolve(*, bonus: PanelBonus, paid: bool, actor: AbstractBaseUser) -> PanelBonus:
    """Record what a person has seen at Prolific of a bonus that was not answered for.

    Parameters
    ----------
    bonus : PanelBonus
        One that is uncertain, or was booked and never sent.
    paid : bool
        Whether it was paid; if not, its booking is released.
    actor : User
        Who has looked.

    Returns
    -------
    PanelBonus

    Raises
    ------
    InvalidInput
        When it is decided already, or so new that it may still be under way.
    """
    recruitment = bonus.submission.recruitment
    study = lock(Study.objects.all(), pk=recruitment.study_id)
    row = lock(PanelBonus.objects.select_related("submission"), pk=bonus.pk)
    if row.state not in DOUBTFUL:
        raise InvalidInput(
            f"bonus: that for {row.submission.submission_id} is {row.state} already; only one that "
            "is uncertain can be decided."
        )
    if timezone.now() - row.created_at < UNDER_WAY:
        raise InvalidInput(
            "bonus: it is so new that Prolific may still be at it; look there again in two minutes."
        )
    _state_save(row, BonusState.PAID if paid else BonusState.REFUSED)
    if not paid:
        bonus_release(bonus=row, note="a person saw that the bonus was not paid")
    study_event_record(
        study=study,
        action="bonus decided by a person",
        actor=actor,
        submission=row.submission.submission_id,
        amount_minor=row.amount_minor,
        paid=paid,
    )
    return row


def submission_bonus_resolve(
    *, submission: PanelSubmission, paid: bool, actor: AbstractBaseUser
) -> PanelBonus:
    """Record what a person has seen at Prolific of a submission's bonus that is in doubt.

    Parameters
    ----------
    submission : PanelSubmission
        Whose work the bonus is for.
    paid : bool
        Whether it was paid.
    actor : User
        Who has looked.

    Returns
    -------
    PanelBonus

    Raises
    ------
    InvalidInput
        When none of its bonuses is in doubt, or see `bonus_resolve`.
    """
    found = PanelBonus.objects.filter(submission=submission, state__in=DOUBTFUL)
    bonus = found.select_related("submission__recruitment").order_by("-state", "pk").first()
    if bonus is None:
        raise InvalidInput(f"submission: no bonus for {submission.submission_id} is in doubt.")
    return bonus_resolve(bonus=bonus, paid=paid, actor=actor)


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
