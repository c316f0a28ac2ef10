"""Attention checks: pages between tasks that say which answer to choose."""

import hashlib

from django.db import transaction
from django.utils import timezone

from annotation.exceptions import InvalidInput
from annotation.models import (
    AttentionCheck,
    Outcome,
    Participation,
    QualityPolicy,
    RatingValue,
    ReviewReason,
)
from annotation.queries.journey import tasks_done
from annotation.services.locks import lock
from annotation.services.raters import going_on_require, participation_end
from annotation.services.reviews import review_open

#: Tasks between two checks where a rater may do as many tasks as they like.
TASKS_BETWEEN = 3


@transaction.atomic
def attention_due(*, participation: Participation) -> AttentionCheck | None:
    """Find the attention check that a rater answers before the next task; make it when it is due.

    Parameters
    ----------
    participation : Participation
        The rater in the study, holding no task.

    Returns
    -------
    AttentionCheck or None
        The one that waits for its answer, or a new one. Checks are spread evenly over the tasks of
        a participation, the first after a task, the last no later than the last task.
    """
    row = lock(Participation.objects.select_related("study__quality_policy"), pk=participation.pk)
    if row.ended_at is not None:
        return None
    checks = list(row.attention_checks.all())
    waiting = next((check for check in checks if check.answered_at is None), None)
    if waiting is not None:
        return waiting
    number = len(checks) + 1
    after = attention_after(row.study.quality_policy, number)
    if after is None or tasks_done(row) < after:
        return None
    return AttentionCheck.objects.create(
        participation=row, number=number, expected=_expected(row, number)
    )


def attention_after(policy: QualityPolicy, number: int) -> int | None:
    """Say after how many tasks an attention check comes.

    Parameters
    ----------
    policy : QualityPolicy
        Of the study.
    number : int
        Of the check, from 1.

    Returns
    -------
    int or None
        None when a rater meets no such check.
    """
    if number > policy.attention_checks:
        return None
    if policy.tasks_per_rater is None:
        return number * TASKS_BETWEEN
    return -(-number * policy.tasks_per_rater // (policy.attention_checks + 1))


@transaction.atomic
def attention_answer(*, participation: Participation, number: int, value: str) -> AttentionCheck:
    """Keep the answer to an attention check; the first one stands.

    With as many failed checks as the policy says, the participation ends and a person is asked to
    look at its ratings. The ratings themselves stay and go on counting until that person decides.

    Parameters
    ----------
    participation : Participation
        The rater in the study.
    number : int
        Of the check, from 1.
    value : str
        One of `RatingValue`.

    Returns
    -------
    AttentionCheck
        As it stands.

    Raises
    ------
    InvalidInput
        When the value is none of the three, or there is no such check.
    ParticipationOver
        When the participation has ended and this check was not answered before.
    """
    if value not in RatingValue.values:
        raise InvalidInput(f"value: {value!r} is none of {', '.join(RatingValue.values)}.")
    row = lock(Participation.objects.select_related("study__quality_policy"), pk=participation.pk)
    check = row.attention_checks.filter(number=number).first()
    if check is None:
        raise InvalidInput(f"number: there is no attention check {number}; go back to the study.")
    if check.answered_at is not None:
        return check
    going_on_require(row)
    check.value = value
    check.answered_at = timezone.now()
    check.save(update_fields=["value", "answered_at"])
    failed = [one.number for one in row.attention_checks.exclude(value="") if not is_passed(one)]
    if not is_passed(check) and len(failed) >= row.study.quality_policy.attention_failures:
        review_open(
            participation=row,
            reason=ReviewReason.ATTENTION,
            details={"n": number, "n_failed": len(failed), "failed": failed},
        )
        participation_end(participation=row, outcome=Outcome.FAILED_CHECKS)
        participation.refresh_from_db(fields=["ended_at", "outcome"])
    return check


def is_passed(check: AttentionCheck) -> bool:
    """Say whether an attention check was answered as it asked.

    Parameters
    ----------
    check : AttentionCheck
        One that was answered.

    Returns
    -------
    bool
    """
    return check.value == check.expected


def _expected(participation: Participation, number: int) -> str:
    """Ask for another answer than the check before, and not for the same one of every rater."""
    first = hashlib.sha256(b"attention" + participation.public_id.bytes).digest()[0]
    return RatingValue.values[(first + number) % len(RatingValue.values)]
