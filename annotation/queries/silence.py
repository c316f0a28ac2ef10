"""Raters of whom nothing has been heard for long, and who have not done their part."""

from datetime import datetime

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from annotation.models import (
    HANDED_IN,
    Assignment,
    AssignmentStatus,
    AttentionCheck,
    Participation,
    Rating,
    Recruitment,
    StudyStatus,
    TrainingAnswer,
)

#: Steps of a rater that leave a time in the participation itself.
STEPS = ("arrived_at", "screened_at", "consented_at", "instructions_read_at", "trained_at")


def participations_silent(
    *, channels: tuple[str, ...], before: datetime
) -> "QuerySet[Participation]":
    """Select the raters who hold a place of a channel with few of them, and seem to have gone.

    Parameters
    ----------
    channels : tuple of str
        Of `Channel`: those whose places we count.
    before : datetime
        They gave no sign since: no step, no task, no answer of any kind.

    Returns
    -------
    QuerySet of Participation
        In open studies. Nobody who holds a task, nor who handed in all that makes a participation
        (one task, where there is no limit) and only did not press the last button.
    """
    since = Q(participation=OuterRef("pk"))
    tasks = Assignment.objects.filter(since)
    n_done = (
        tasks.filter(Q(status__in=HANDED_IN) | Q(late_at__isnull=False))
        .order_by()
        .values("participation")
        .annotate(n=Count("pk"))
        .values("n")
    )
    rows = Participation.objects.filter(
        study__status=StudyStatus.OPEN,
        channel__in=channels,
        outcome="",
        declined_at__isnull=True,
        place_freed_at__isnull=True,
    )
    for step in STEPS:
        rows = rows.filter(Q(**{f"{step}__lt": before}) | Q(**{f"{step}__isnull": True}))
    return rows.annotate(n_done=Coalesce(Subquery(n_done), 0)).filter(
        Exists(
            Recruitment.objects.filter(
                study=OuterRef("study"), channel=OuterRef("channel"), places__gt=0
            )
        ),
        ~Exists(
            tasks.filter(
                Q(status=AssignmentStatus.LEASED)
                | Q(leased_at__gte=before)
                | Q(submitted_at__gte=before)
                | Q(late_at__gte=before)
            )
        ),
        ~Exists(
            Rating.objects.filter(assignment__participation=OuterRef("pk"), rated_at__gte=before)
        ),
        ~Exists(
            TrainingAnswer.objects.filter(
                attempt__participation=OuterRef("pk"), answered_at__gte=before
            )
        ),
        ~Exists(AttentionCheck.objects.filter(since, answered_at__gte=before)),
        n_done__lt=Coalesce(F("study__quality_policy__tasks_per_rater"), 1),
    )
