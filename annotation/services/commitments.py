"""What places may cost: booked before a panel is told of them, released when they no longer may."""

from collections.abc import Sequence
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from annotation.exceptions import InvalidInput
from annotation.models import (
    LedgerEntry,
    LedgerKind,
    PanelSubmission,
    Recruitment,
    Study,
    SubmissionStatus,
)
from annotation.queries.money import (
    LATE,
    UNDO,
    commitment_open,
    late_booked,
    place_cost,
    places_booked,
)
from annotation.services.audit import study_event_record
from annotation.services.ledger import cap_require, entry_book, entry_number
from annotation.services.locks import lock

#: The panel's word for a study that takes no new raters.
ENDED = ("AWAITING REVIEW", "COMPLETED")
#: A submission in one of these may still be paid.
OUTSTANDING = (
    SubmissionStatus.RESERVED,
    SubmissionStatus.ACTIVE,
    SubmissionStatus.AWAITING_REVIEW,
)


@transaction.atomic
def commitment_book(
    *, recruitment: Recruitment, places: int, actor: AbstractBaseUser | None
) -> int:
    """Book the places that a panel may fill, before it is told of them.

    Parameters
    ----------
    recruitment : Recruitment
        The channel, with the pay that the caller has looked at.
    places : int
        How many in all; those that are booked or paid already are not booked again.
    actor : User or None
        Who spends it.

    Returns
    -------
    int
        How many places were booked now.

    Raises
    ------
    InvalidInput
        When the pay was changed after the caller had read it; nothing is booked.
    SpendingCapPassed
        When there is no cap, or they would cost more than it allows; nothing is booked.
    """
    study = lock(Study.objects.all(), pk=recruitment.study_id)
    row = Recruitment.objects.get(pk=recruitment.pk)
    for name in ("reward_minor", "fee_percent"):
        if getattr(row, name) != getattr(recruitment, name):
            raise InvalidInput(
                f"{name}: somebody changed it to {getattr(row, name)} just now; look at it again."
            )
    new = places - places_booked(row)
    if new <= 0 or not place_cost(row):
        return 0
    amount = new * place_cost(row)
    cap_require(study, amount, f"{new} places")
    entry_book(
        study,
        LedgerKind.COMMITMENT,
        amount,
        key=f"commitment:{row.pk}:{entry_number(row, LedgerKind.COMMITMENT)}",
        recruitment=row,
        actor=actor,
        note=f"{new} places, {places} in all",
    )
    study_event_record(
        study=study, action="places booked", actor=actor, places=new, amount_minor=amount
    )
    return new


@transaction.atomic
def commitment_undo(
    *, recruitment: Recruitment, places: int, actor: AbstractBaseUser | None
) -> None:
    """Release places that the panel refused.

    Parameters
    ----------
    recruitment : Recruitment
        The channel.
    places : int
        How many it has in all without them.
    actor : User or None
        Who tried.
    """
    study = lock(Study.objects.all(), pk=recruitment.study_id)
    row = Recruitment.objects.get(pk=recruitment.pk)
    surplus = places_booked(row) - places
    amount = min(surplus * place_cost(row), commitment_open(row))
    if amount <= 0:
        return
    entry_book(
        study,
        LedgerKind.RELEASE,
        -amount,
        key=f"{UNDO}{row.pk}:{entry_number(row, LedgerKind.RELEASE)}",
        recruitment=row,
        actor=actor,
        note=f"the panel refused {surplus} places",
    )


@transaction.atomic
def commitment_late_book(
    *,
    recruitment: Recruitment,
    submissions: Sequence[PanelSubmission],
    actor: AbstractBaseUser | None,
) -> list[PanelSubmission]:
    """Book what the approval of submissions costs beyond the places that are booked.

    The place of one that timed out has gone to another rater, so that both are paid.

    Parameters
    ----------
    recruitment : Recruitment
        The channel.
    submissions : sequence of PanelSubmission
        Of the channel, timed out or waiting for review.
    actor : User or None
        Who approves them.

    Returns
    -------
    list of PanelSubmission
        Those that were booked now, for `commitment_late_undo`.

    Raises
    ------
    SpendingCapPassed
        When they would cost more than the cap allows; nothing is booked.
    """
    study = lock(Study.objects.all(), pk=recruitment.study_id)
    row = Recruitment.objects.get(pk=recruitment.pk)
    cost, booked = place_cost(row), late_booked(row)
    if not cost:
        return []
    fresh = list(
        row.submissions.filter(pk__in=[submission.pk for submission in submissions]).exclude(
            pk__in=booked
        )
    )
    late = [one for one in fresh if one.status == SubmissionStatus.TIMED_OUT]
    waiting = [one for one in fresh if one.status == SubmissionStatus.AWAITING_REVIEW]
    # of all that wait: another's approval may have been asked for, and not be known here yet
    n_waiting = (
        row.submissions.filter(status=SubmissionStatus.AWAITING_REVIEW)
        .exclude(pk__in=booked)
        .count()
    )
    n_late_open = row.submissions.filter(
        pk__in=booked, status__in=(*OUTSTANDING, SubmissionStatus.TIMED_OUT)
    ).count()
    n_short = max(0, n_waiting + n_late_open - commitment_open(row) // cost)
    chosen = late + waiting[:n_short]
    if not chosen:
        return []
    cap_require(study, len(chosen) * cost, f"{len(chosen)} submissions without a booked place")
    for submission in chosen:
        entry_book(
            study,
            LedgerKind.COMMITMENT,
            cost,
            key=_late_key(row, submission),
            recruitment=row,
            submission=submission,
            actor=actor,
            note="approved beyond the places that are booked",
        )
    return chosen


@transaction.atomic
def commitment_late_undo(
    *,
    recruitment: Recruitment,
    submissions: Sequence[PanelSubmission],
    actor: AbstractBaseUser | None,
) -> None:
    """Release what was booked for approvals that the panel refused.

    Parameters
    ----------
    recruitment : Recruitment
        The channel.
    submissions : sequence of PanelSubmission
        From `commitment_late_book`.
    actor : User or None
        Who tried.
    """
    study = lock(Study.objects.all(), pk=recruitment.study_id)
    row = Recruitment.objects.get(pk=recruitment.pk)
    booked = late_booked(row)
    paid = SubmissionStatus.APPROVED
    for submission in row.submissions.filter(pk__in=[one.pk for one in submissions]):
        if submission.pk in booked and submission.status != paid:
            entry_book(
                study,
                LedgerKind.RELEASE,
                -place_cost(row),
                key=_late_key(row, submission),
                recruitment=row,
                submission=submission,
                actor=actor,
                note="the panel refused the approval",
            )


def _late_key(row: Recruitment, submission: PanelSubmission) -> str:
    start = f"{LATE}{row.pk}:{submission.pk}:"
    return f"{start}{LedgerEntry.objects.filter(key__startswith=start).count() + 1}"


@transaction.atomic
def commitment_settle(*, recruitment: Recruitment, as_of: datetime) -> int:
    """Release what a study that has ended at the panel cannot cost any more.

    Parameters
    ----------
    recruitment : Recruitment
        The channel. While the panel lets new raters in, nothing is released.
    as_of : datetime
        When the panel's word that it ended was so. Nothing is released when places were booked
        since, or an action is under way: the word may be older than they are.

    Returns
    -------
    int
        What was released, in minor units.
    """
    study = lock(Study.objects.all(), pk=recruitment.study_id)
    row = Recruitment.objects.get(pk=recruitment.pk)
    if row.panel_status not in ENDED:
        return 0
    if row.busy_until is not None and row.busy_until > timezone.now():
        return 0
    if row.ledger.filter(kind=LedgerKind.COMMITMENT, at__gte=as_of).exists():
        return 0
    unpaid = row.submissions.filter(status__in=OUTSTANDING).count()
    unpaid += row.submissions.filter(
        status=SubmissionStatus.TIMED_OUT, pk__in=late_booked(row)
    ).count()
    if row.panel_status != "COMPLETED":  # a rejected place may be filled anew
        unpaid += row.submissions.filter(status=SubmissionStatus.REJECTED).count()
    surplus = commitment_open(row) - unpaid * place_cost(row)
    if surplus <= 0:
        return 0
    entry_book(
        study,
        LedgerKind.RELEASE,
        -surplus,
        key=f"settle:{row.pk}:{entry_number(row, LedgerKind.RELEASE)}",
        recruitment=row,
        note=f"the panel's study is {row.panel_status.lower()}, {unpaid} may still be paid",
    )
    return surplus
