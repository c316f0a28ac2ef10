"""Leases: which rater works on which task, so that every item gets exactly k ratings.

The unique constraint on (task, slot) is what guarantees k; the locks below only keep concurrent
requests from running into it. Locks are taken in one order everywhere: participation, assignment,
task.
"""

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from annotation.exceptions import (
    AssignmentClosed,
    AssignmentIncomplete,
    InstructionsUnread,
    StudyNotOpen,
)
from annotation.models import (
    HOLDING,
    Assignment,
    AssignmentStatus,
    Item,
    Participation,
    Study,
    StudyStatus,
    Task,
)
from annotation.services.estimates import live_estimate_request
from annotation.services.locks import lock
from annotation.services.raters import consent_require


@transaction.atomic
def assignment_lease(*, participation: Participation) -> Assignment | None:
    """Give the rater a task: the one that they hold, one that they lost, or the next free one.

    Parameters
    ----------
    participation : Participation
        The rater in the study.

    Returns
    -------
    Assignment or None
        None when no task is left for this rater. A held lease is renewed when it is overdue. A
        lease that expired is taken up again, with its answers, as long as a slot of its task is
        free. Otherwise the task with the fewest held slots is leased, so that the redundancy fills
        evenly.

    Raises
    ------
    ConsentMissing, InstructionsUnread
        When the rater is not there yet.
    StudyNotOpen
        When the study is not open.
    """
    row = lock(Participation.objects.select_related("study"), pk=participation.pk)
    study = row.study
    consent_require(row)
    if row.instructions_read_at is None:
        raise InstructionsUnread("Read and confirm the instructions first.")
    if study.status != StudyStatus.OPEN:
        raise StudyNotOpen(
            f"The study {study.title!r} is {study.get_status_display()}; it hands out no tasks."
        )
    now = timezone.now()
    held = Assignment.objects.filter(participation=row, status=AssignmentStatus.LEASED)
    live = held.select_related("task").select_for_update(of=("self",), no_key=True).first()
    if live is not None:
        if live.expires_at <= now:
            live.expires_at = now + timedelta(seconds=study.lease_seconds)
            live.save(update_fields=["expires_at"])
        return live
    _expire(Assignment.objects.filter(task__study=study), now)
    lost = (
        Assignment.objects.filter(
            participation=row, status=AssignmentStatus.EXPIRED, late_at__isnull=True
        )
        .select_related("task")
        .order_by("-leased_at")
        .select_for_update(of=("self",), no_key=True)
    )
    for assignment in lost:
        if _hold_again(assignment, study, AssignmentStatus.LEASED, now):
            return assignment
    return _lease_next(row, study, now)


@transaction.atomic
def assignment_submit(*, assignment: Assignment) -> Assignment:
    """Submit a task: from now on its answers count, and they cannot be changed.

    Parameters
    ----------
    assignment : Assignment
        Submitting again changes nothing.

    Returns
    -------
    Assignment
        Submitted; or still expired with `late_at` set, when the lease had run out and other raters
        hold all slots: the answers are kept, and never counted.

    Raises
    ------
    AssignmentIncomplete
        When items have no answer; its `missing` names them.
    AssignmentClosed
        When the task was returned.
    """
    row = lock(Assignment.objects.select_related("task__study"), pk=assignment.pk)
    if row.status == AssignmentStatus.SUBMITTED:
        return row
    if row.status == AssignmentStatus.RETURNED:
        raise AssignmentClosed("You returned this task, so it cannot be submitted any more.")
    _complete_require(row)
    now = timezone.now()
    study = row.task.study
    if row.status == AssignmentStatus.LEASED:
        row.status = AssignmentStatus.SUBMITTED
        row.submitted_at = now
        row.save(update_fields=["status", "submitted_at"])
    elif not _hold_again(row, study, AssignmentStatus.SUBMITTED, now):
        row.late_at = row.late_at or now
        row.save(update_fields=["late_at"])
        return row
    # robust: the submit is committed, and must be acknowledged, whatever happens to the estimate
    transaction.on_commit(
        lambda: live_estimate_request(study=study, aggregation=study.live_aggregation), robust=True
    )
    return row


@transaction.atomic
def assignment_return(*, assignment: Assignment) -> Assignment:
    """Give a task back: its slot is free at once, its answers are kept and do not count.

    Parameters
    ----------
    assignment : Assignment
        Returning again changes nothing.

    Returns
    -------
    Assignment

    Raises
    ------
    AssignmentClosed
        When the task was submitted.
    """
    row = lock(Assignment.objects.all(), pk=assignment.pk)
    if row.status == AssignmentStatus.SUBMITTED:
        raise AssignmentClosed("You submitted this task; its answers count and stay.")
    if row.status != AssignmentStatus.RETURNED:
        row.status = AssignmentStatus.RETURNED
        row.late_at = None
        row.save(update_fields=["status", "late_at"])
    return row


@transaction.atomic
def leases_expire(*, now: datetime | None = None) -> int:
    """Take the slots of overdue leases back, in every study.

    Parameters
    ----------
    now : datetime, optional
        The time to compare with; the present by default.

    Returns
    -------
    int
        How many leases expired.
    """
    return _expire(Assignment.objects.all(), now or timezone.now())


def _expire(assignments: "QuerySet[Assignment]", now: datetime) -> int:
    # skip_locked: a lease that is being submitted at this moment is left alone
    overdue = assignments.filter(
        status=AssignmentStatus.LEASED, expires_at__lte=now
    ).select_for_update(skip_locked=True, of=("self",), no_key=True)
    ids = list(overdue.values_list("pk", flat=True))
    if not ids:
        return 0
    return Assignment.objects.filter(pk__in=ids).update(status=AssignmentStatus.EXPIRED)


def _complete_require(assignment: Assignment) -> None:
    items = list(
        Item.objects.filter(task=assignment.task)
        .annotate(answered=Exists(assignment.ratings.filter(item=OuterRef("pk"))))
        .values_list("public_id", "answered")
    )
    missing = [public_id for public_id, answered in items if not answered]
    if missing:
        raise AssignmentIncomplete(missing, len(items))


class _SlotTakenError(Exception):
    """Rolls a savepoint back, and with it the lock on a task that turned out to be full."""


def _lease_next(row: Participation, study: Study, now: datetime) -> Assignment | None:
    """Lease the next task; wait for tasks that others are leasing only when no other is left.

    A savepoint around every try: whoever held two tasks locked could wait for somebody who waits
    for one of them.
    """
    tried: list[int] = []
    for skip_locked in (True, False):
        while True:
            free = _free_tasks(row, study).exclude(pk__in=tried)
            try:
                with transaction.atomic():
                    task = free.select_for_update(
                        skip_locked=skip_locked, of=("self",), no_key=True
                    ).first()
                    if task is None:
                        break
                    tried.append(task.pk)
                    return Assignment.objects.create(
                        task=task,
                        participation=row,
                        slot=_free_slot(task, study.redundancy),
                        redundancy=study.redundancy,
                        leased_at=now,
                        expires_at=now + timedelta(seconds=study.lease_seconds),
                    )
            except (_SlotTakenError, IntegrityError):
                # filled between the look and the lock, or the constraint had the last word
                continue
    return None


def _free_tasks(row: Participation, study: Study) -> "QuerySet[Task]":
    # A subquery, not a join with GROUP BY: PostgreSQL cannot lock grouped rows.
    held = (
        Assignment.objects.filter(task=OuterRef("pk"), status__in=HOLDING)
        .order_by()
        .values("task")
        .annotate(n=Count("pk"))
        .values("n")
    )
    return (
        Task.objects.filter(study=study)
        .exclude(pk__in=Assignment.objects.filter(participation=row).values("task"))
        .annotate(held=Coalesce(Subquery(held, output_field=IntegerField()), 0))
        .filter(held__lt=study.redundancy)
        .order_by("held", "number")
    )


def _free_slot(task: Task, redundancy: int) -> int:
    """Find the lowest free slot; the task must be locked, so that the answer stays true."""
    held = set(
        Assignment.objects.filter(task=task, status__in=HOLDING).values_list("slot", flat=True)
    )
    for slot in range(redundancy):
        if slot not in held:
            return slot
    raise _SlotTakenError


def _hold_again(
    assignment: Assignment, study: Study, status: AssignmentStatus, now: datetime
) -> bool:
    """Give an expired assignment a free slot of its task back, where there is one."""
    try:
        with transaction.atomic():
            task = lock(Task.objects.all(), pk=assignment.task_id)
            assignment.slot = _free_slot(task, study.redundancy)
            assignment.redundancy = study.redundancy
            assignment.status = status
            assignment.late_at = None
            if status == AssignmentStatus.SUBMITTED:
                assignment.submitted_at = now
            else:
                assignment.expires_at = now + timedelta(seconds=study.lease_seconds)
            assignment.save()
    except (_SlotTakenError, IntegrityError):
        assignment.refresh_from_db()
        return False
    return True
