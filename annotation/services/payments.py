"""What was paid: rewards and fees when the panel says so, bonuses before they are paid."""

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from annotation.exceptions import InvalidInput
from annotation.models import (
    BonusState,
    LedgerEntry,
    LedgerKind,
    PanelBonus,
    PanelSubmission,
    Recruitment,
    Study,
    SubmissionStatus,
)
from annotation.queries.money import commitment_open, place_cost, place_fee
from annotation.services.ledger import cap_require, entry_book
from annotation.services.locks import lock


@transaction.atomic
def submission_book(*, submission: PanelSubmission) -> bool:
    """Book the reward and the fee of a submission that the panel approved, once.

    Parameters
    ----------
    submission : PanelSubmission
        Any; unless the panel says that it is approved, nothing is booked.

    Returns
    -------
    bool
        Whether it was booked now. What the panel has paid is booked even beyond the cap, for the
        ledger says what is so; the commitment for the place covers it.
    """
    if submission.status != SubmissionStatus.APPROVED:
        return False
    key = f"reward:{submission.pk}"
    if LedgerEntry.objects.filter(key=key).exists():
        return False
    row = Recruitment.objects.get(pk=submission.recruitment_id)
    if not row.reward_minor:
        return False
    study = lock(Study.objects.all(), pk=row.study_id)
    if LedgerEntry.objects.filter(key=key).exists():
        return False  # booked while this waited for the lock
    covered = min(place_cost(row), commitment_open(row))
    if covered > 0:
        entry_book(
            study,
            LedgerKind.RELEASE,
            -covered,
            key=f"place:{submission.pk}",
            recruitment=row,
            submission=submission,
            note="the place is paid",
        )
    entry_book(
        study, LedgerKind.REWARD, row.reward_minor, key=key, recruitment=row, submission=submission
    )
    if fee := place_fee(row):
        entry_book(
            study,
            LedgerKind.FEE,
            fee,
            key=f"fee:{submission.pk}",
            recruitment=row,
            submission=submission,
        )
    return True


@transaction.atomic
def bonus_book(
    *, submission: PanelSubmission, amount_minor: int, key: str, actor: AbstractBaseUser
) -> tuple[PanelBonus, bool]:
    """Book a bonus and the fee on it, before it is paid.

    Parameters
    ----------
    submission : PanelSubmission
        Whose work it is for.
    amount_minor : int
        At least 1.
    key : str
        The same key is one bonus, however often it is asked for.
    actor : User
        Who pays it.

    Returns
    -------
    tuple of (PanelBonus, bool)
        The bonus, and whether it was booked now.

    Raises
    ------
    InvalidInput
        When nobody knows yet whether another bonus of the submission was paid.
    SpendingCapPassed
        When it would pass the cap; nothing is booked.
    """
    row = Recruitment.objects.get(pk=submission.recruitment_id)
    study = lock(Study.objects.all(), pk=row.study_id)
    existing = PanelBonus.objects.filter(key=key).first()
    if existing is not None:
        return existing, False
    if PanelBonus.objects.filter(submission=submission, state=BonusState.UNCERTAIN).exists():
        raise InvalidInput(
            f"submission: it is uncertain whether an earlier bonus for {submission.submission_id} "
            "was paid; look at Prolific, and say here which it is, before you pay another one."
        )
    fee = place_fee(row, amount_minor)
    cap_require(study, amount_minor + fee, "the bonus and its fee")
    bonus = PanelBonus.objects.create(
        submission=submission, amount_minor=amount_minor, key=key, actor_id=actor.pk
    )
    for kind, amount in ((LedgerKind.BONUS, amount_minor), (LedgerKind.FEE, fee)):
        if amount:
            entry_book(
                study,
                kind,
                amount,
                key=f"bonus:{bonus.pk}:{kind.value}",
                recruitment=row,
                submission=submission,
                actor=actor,
                note="bonus" if kind == LedgerKind.BONUS else "fee on a bonus",
            )
    return bonus, True


@transaction.atomic
def bonus_release(*, bonus: PanelBonus, note: str = "the panel refused the bonus") -> None:
    """Release a bonus that was not paid.

    Parameters
    ----------
    bonus : PanelBonus
        Booked before; releasing it again changes nothing.
    note : str
        Why, for the ledger.
    """
    submission = PanelSubmission.objects.get(pk=bonus.submission_id)
    row = Recruitment.objects.get(pk=submission.recruitment_id)
    study = lock(Study.objects.all(), pk=row.study_id)
    key = f"bonus:{bonus.pk}:release"
    if LedgerEntry.objects.filter(key=key).exists():
        return
    amount = bonus.amount_minor + place_fee(row, bonus.amount_minor)
    entry_book(
        study,
        LedgerKind.RELEASE,
        -amount,
        key=key,
        submission=submission,
        actor=bonus.actor,
        note=note,
    )
