"""Leases: which rater works on which task, so that every item gets exactly k ratings.

The unique constraint on (task, slot) is what guarantees k; the locks below only keep concurrent
requests from running into it. Locks are taken in one order everywhere: participation, assignment,
task.
"""

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from annotation.exceptions import (
    AssignmentClosed,
    AssignmentIncomplete,
    InputsGone,
    InstructionsUnread,
    StudyNotOpen,
)
from annotation.models import (
    HANDED_IN,
    HOLDING,
    Assignment,
    AssignmentStatus,
    Exclusion,
    Item,
    Modality,
    Participation,
    Study,
    StudyStatus,
    Task,
)
from annotation.queries.allocation import tasks_for
from annotation.queries.journey import tasks_done, tasks_limit
from annotation.services.freshness import live_estimate_follow
from annotation.services.locks import lock
from annotation.services.places import place_regain
from annotation.services.raters import consent_require, going_on_require
from annotation.services.reviews import reviews_follow


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
        None when no task is left for this rater, also because they have done as many as make a
        participation, or a person excluded them. A held lease is renewed when it is overdue. A
        lease that expired is taken up again, with its answers, as long as a slot of its task is
        free. Otherwise see `annotation.queries.allocation.tasks_for`; a task that the rater
        returned comes back only when no other is left.

    Raises
    ------
    ParticipationOver
        When the participation has ended.
    ConsentMissing, InstructionsUnread
        When the rater is not there yet.
    StudyNotOpen
        When the study is not open; or the rater was silent for long, and others got the place; or,
        as `InputsGone`, when the folder of the images is gone.
    """
    row = lock(
        Participation.objects.select_related("study__quality_policy", "study__dataset"),
        pk=participation.pk,
    )
    study = row.study
    going_on_require(row)
    consent_require(row)
    if row.instructions_read_at is None:
        raise InstructionsUnread("Read and confirm the instructions first.")
    if study.status != StudyStatus.OPEN:
        raise StudyNotOpen(
            f"The study {study.title!r} is {study.get_status_display()}; it hands out no tasks."
        )
    place_regain(participation=row)
    now = timezone.now()
    held = Assignment.objects.filter(participation=row, status=AssignmentStatus.LEASED)
    live = held.select_related("task").select_for_update(of=("self",), no_key=True).first()
    if live is not None:
        if live.expires_at <= now:
            live.expires_at = now + timedelta(seconds=study.lease_seconds)
            live.save(update_fields=["expires_at"])
        return live
    limit = tasks_limit(row)
    if _is_excluded(row) or (limit is not None and tasks_done(row) >= limit):
        return None
    if study.dataset.modality == Modality.IMAGE and not study.dataset.absolute_root.is_dir():
        raise InputsGone(
            f"The folder of the dataset {study.dataset.name!r} is gone; until it is back no task "
            "is handed out, for raters would be shown nothing."
        )
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
        if slot_take(assignment=assignment, study=study, status=AssignmentStatus.LEASED):
            return assignment
    return _lease_next(row, study, now) or _take_up_returned(row, study)


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
        Submitted; or excluded at once, when a person excluded the rater meanwhile; or still expired
        with `late_at` set, when the lease had run out and other raters hold all slots: the answers
        are kept, and never counted.

    Raises
    ------
    AssignmentIncomplete
        When items have no answer; its `missing` names them.
    AssignmentClosed
        When the task was returned.
    """
    row = lock(Assignment.objects.select_related("task__study", "participation"), pk=assignment.pk)
    if row.status in HANDED_IN:
        return row
    if row.status == AssignmentStatus.RETURNED:
        raise AssignmentClosed("You returned this task, so it cannot be submitted any more.")
    _complete_require(row)
    now = timezone.now()
    study = row.task.study
    excluded = _is_excluded(row.participation)
    if row.status == AssignmentStatus.LEASED:
        row.status = AssignmentStatus.EXCLUDED if excluded else AssignmentStatus.SUBMITTED
        row.submitted_at = now
        row.save(update_fields=["status", "submitted_at"])
    elif excluded or not slot_take(assignment=row, study=study, status=AssignmentStatus.SUBMITTED):
        row.late_at = row.late_at or now
        row.save(update_fields=["late_at"])
    if row.status == AssignmentStatus.SUBMITTED:
        live_estimate_follow(study=study)
        reviews_follow(participation=row.participation)
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
    if row.status in HANDED_IN:
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


def slot_take(*, assignment: Assignment, study: Study, status: AssignmentStatus) -> bool:
    """Give an assignment that lost its slot a free one of its task, where there is one.

    Parameters
    ----------
    assignment : Assignment
        Expired, returned or excluded, and locked by the caller.
    study : Study
        Its study.
    status : AssignmentStatus
        Leased or submitted: what it becomes.

    Returns
    -------
    bool
        Whether a slot was free; otherwise nothing has changed.
    """
    now = timezone.now()
    try:
        with transaction.atomic():
            task = lock(Task.objects.all(), pk=assignment.task_id)
            assignment.slot = _free_slot(task, study.redundancy)
            assignment.redundancy = study.redundancy
            assignment.status = status
            assignment.late_at = None
            if status == AssignmentStatus.SUBMITTED:
                assignment.submitted_at = assignment.submitted_at or now
            else:
                assignment.expires_at = now + timedelta(seconds=study.lease_seconds)
            assignment.save()
    except (_SlotTakenError, IntegrityError):
        assignment.refresh_from_db()
        return False
    return True


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
            free = tasks_for(row).exclude(pk__in=tried)
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


def _take_up_returned(row: Participation, study: Study) -> Assignment | None:
    """Lease a task again that the rater returned: returning tasks must not make them "all done"."""
    returned = (
        Assignment.objects.filter(participation=row, status=AssignmentStatus.RETURNED)
        .select_related("task")
        .order_by("leased_at", "pk")
        .select_for_update(of=("self",), no_key=True)
    )
    for assignment in returned:
        if slot_take(assignment=assignment, study=study, status=AssignmentStatus.LEASED):
            return assignment
    return None


def _free_slot(task: Task, redundancy: int) -> int:
    """Find the lowest free slot; the task must be locked, so that the answer stays true."""
    held = set(
        Assignment.objects.filter(task=task, status__in=HOLDING).values_list("slot", flat=True)
    )
    for slot in range(redundancy):
        if slot not in held:
            return slot
    raise _SlotTakenError


def _is_excluded(participation: Participation) -> bool:
    return Exclusion.objects.filter(participation=participation, lifted_at__isnull=True).exists()
