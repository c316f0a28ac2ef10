"""The list of studies, in as many queries for twenty as for one."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Q, QuerySet, Sum

from annotation.models import (
    Assignment,
    AssignmentStatus,
    Item,
    LedgerEntry,
    Rating,
    Study,
    StudyEvent,
)


@dataclass(frozen=True)
class StudyOverview:
    """A line of the list of studies.

    Attributes
    ----------
    study : Study
        With its dataset and owner.
    ratings_wanted, ratings_valid : int
        Gold items left out.
    raters : int
        Who handed in at least one task.
    spent_minor : int or None
        What was booked, in minor units; None where nothing was.
    last_activity : datetime
        The last submit or entry of the log.
    """

    study: Study
    ratings_wanted: int
    ratings_valid: int
    raters: int
    spent_minor: int | None
    last_activity: datetime


def studies_found(
    studies: QuerySet[Study], *, words: str = "", status: str = ""
) -> QuerySet[Study]:
    """Narrow studies to those of a state that have all words in title, slug or dataset.

    Parameters
    ----------
    studies : QuerySet of Study
        Those that the user may see.
    words : str
        Separated by spaces; case does not matter.
    status : str
        One of `StudyStatus`, or empty for all.

    Returns
    -------
    QuerySet of Study
        The newest first.
    """
    for word in words.replace("\0", " ").split()[:8]:
        studies = studies.filter(
            Q(title__icontains=word) | Q(slug__icontains=word) | Q(dataset__name__icontains=word)
        )
    if status:
        studies = studies.filter(status=status)
    return studies.select_related("dataset", "owner").order_by("-created_at", "-pk")


def studies_overview(studies: Iterable[Study]) -> list[StudyOverview]:
    """Put progress, spend and last activity beside some studies.

    Parameters
    ----------
    studies : iterable of Study
        A page of them.

    Returns
    -------
    list of StudyOverview
        In the order given.
    """
    rows = list(studies)
    ids = [study.pk for study in rows]
    items = dict(
        Item.objects.filter(study__in=ids, gold_value="")
        .order_by()
        .values_list("study")
        .annotate(n=Count("pk"))
    )
    ratings = dict(
        Rating.objects.filter(
            item__study__in=ids,
            item__gold_value="",
            assignment__status=AssignmentStatus.SUBMITTED,
        )
        .order_by()
        .values_list("item__study")
        .annotate(n=Count("pk"))
    )
    submitted = {
        row["task__study"]: (row["last"], row["n_raters"])
        for row in Assignment.objects.filter(task__study__in=ids, status=AssignmentStatus.SUBMITTED)
        .order_by()
        .values("task__study")
        .annotate(last=Max("submitted_at"), n_raters=Count("participation", distinct=True))
    }
    events = dict(
        StudyEvent.objects.filter(study__in=ids)
        .order_by()
        .values_list("study")
        .annotate(last=Max("at"))
    )
    spent = dict(
        LedgerEntry.objects.filter(study__in=ids)
        .order_by()
        .values_list("study")
        .annotate(total=Sum("amount_minor"))
    )
    return [
        StudyOverview(
            study=study,
            ratings_wanted=items.get(study.pk, 0) * study.redundancy,
            ratings_valid=ratings.get(study.pk, 0),
            raters=submitted[study.pk][1] if study.pk in submitted else 0,
            spent_minor=spent.get(study.pk),
            last_activity=max(
                moment
                for moment in (
                    study.created_at,
                    events.get(study.pk),
                    submitted[study.pk][0] if study.pk in submitted else None,
                )
                if moment is not None
            ),
        )
        for study in rows
    ]
