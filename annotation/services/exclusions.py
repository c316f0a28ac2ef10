"""Exclusions: a person takes a rater's ratings out, and the redundancy refills by itself.

What a panel pays is another matter: an exclusion neither rejects nor returns anything there.
"""

from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from annotation.exceptions import InvalidInput
from annotation.models import (
    Assignment,
    AssignmentStatus,
    Exclusion,
    Participation,
    Review,
    ReviewDecision,
    ReviewReason,
)
from annotation.services.assignments import slot_take
from annotation.services.audit import study_event_record
from annotation.services.freshness import estimates_refresh
from annotation.services.locks import lock
from annotation.services.notes import note_checked, pseudonym_of


@dataclass(frozen=True)
class LiftedExclusion:
    """What lifting an exclusion brought back.

    Attributes
    ----------
    exclusion : Exclusion
        With the time of lifting.
    n_back : int
        Tasks whose ratings count again.
    n_left_out : int
        Tasks whose slots other raters hold now: they stay excluded.
    """

    exclusion: Exclusion
    n_back: int
    n_left_out: int


@transaction.atomic
def exclusion_make(
    *, participation: Participation, reason: str, actor: AbstractBaseUser, note: str = ""
) -> Exclusion:
    """Take a rater's ratings out of a study; their slots are free at once.

    Parameters
    ----------
    participation : Participation
        The rater in the study. A task that they hold may be finished, but is excluded with its
        submit; they get no further one. Whatever waits for a decision on them is decided by this.
    reason : str
        One of `ReviewReason`.
    actor : User
        Who excludes; never the software.
    note : str
        Why.

    Returns
    -------
    Exclusion
        A new one, or the one in force.

    Raises
    ------
    InvalidInput
        When the reason is unknown or the note too long.
    """
    if reason not in ReviewReason.values:
        raise InvalidInput(f"reason: {reason!r} is none of {', '.join(ReviewReason.values)}.")
    text = note_checked(note)
    row = lock(Participation.objects.select_related("study", "rater"), pk=participation.pk)
    standing = Exclusion.objects.filter(participation=row, lifted_at__isnull=True).first()
    if standing is not None:
        return standing
    assignments = _locked_assignments(row)
    exclusion = Exclusion.objects.create(
        participation=row, reason=reason, note=text, excluded_by_id=actor.pk
    )
    Review.objects.filter(participation=row, decision=ReviewDecision.OPEN).update(
        decision=ReviewDecision.EXCLUDE,
        decided_at=exclusion.excluded_at,
        decided_by=actor.pk,
        note=text,
    )
    submitted = [one.pk for one in assignments if one.status == AssignmentStatus.SUBMITTED]
    Assignment.objects.filter(pk__in=submitted).update(status=AssignmentStatus.EXCLUDED)
    study_event_record(
        study=row.study,
        action="rater excluded",
        actor=actor,
        rater=pseudonym_of(row),
        reason=reason,
        n_tasks=len(submitted),
        note=text,
    )
    if submitted:
        estimates_refresh(study=row.study)
    return exclusion


@transaction.atomic
def exclusion_lift(*, participation: Participation, actor: AbstractBaseUser) -> LiftedExclusion:
    """Let a rater's ratings count again, as far as their slots are free.

    Parameters
    ----------
    participation : Participation
        The rater in the study.
    actor : User
        Who lifts it.

    Returns
    -------
    LiftedExclusion
        The redundancy is never passed: a task that other raters have filled meanwhile stays out.

    Raises
    ------
    InvalidInput
        When the rater is not excluded.
    """
    row = lock(Participation.objects.select_related("study", "rater"), pk=participation.pk)
    exclusion = Exclusion.objects.filter(participation=row, lifted_at__isnull=True).first()
    if exclusion is None:
        raise InvalidInput("participation: this rater is not excluded, so nothing can be lifted.")
    out = [one for one in _locked_assignments(row) if one.status == AssignmentStatus.EXCLUDED]
    # by task: two transactions that lock several tasks take them in the same order
    back = [
        slot_take(assignment=one, study=row.study, status=AssignmentStatus.SUBMITTED)
        for one in sorted(out, key=lambda one: one.task_id)
    ]
    exclusion.lifted_at = timezone.now()
    exclusion.lifted_by_id = actor.pk
    exclusion.save(update_fields=["lifted_at", "lifted_by"])
    result = LiftedExclusion(exclusion, sum(back), len(back) - sum(back))
    study_event_record(
        study=row.study,
        action="exclusion lifted",
        actor=actor,
        rater=pseudonym_of(row),
        n_tasks_back=result.n_back,
        n_tasks_left_out=result.n_left_out,
    )
    if result.n_back:
        estimates_refresh(study=row.study)
    return result


def _locked_assignments(participation: Participation) -> list[Assignment]:
    """Lock all of a rater's assignments, so that one that is being submitted is seen as it ends."""
    return list(
        Assignment.objects.filter(participation=participation)
        .order_by("pk")
        .select_for_update(of=("self",), no_key=True)
    )
