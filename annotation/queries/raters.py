"""How each rater of a study does: how much, how fast, and how often with the majority."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from django.db.models import Case, Count, F, OuterRef, Q, Subquery, Sum, Value, When, Window
from django.db.models.functions import RowNumber

from annotation.models import AssignmentStatus, Channel, Rating, RatingValue, Study

#: A vote for the label, against it, or none ("cannot tell").
VOTE = Case(
    When(value=RatingValue.PRESENT, then=Value(1)),
    When(value=RatingValue.ABSENT, then=Value(-1)),
    default=Value(0),
)


@dataclass(frozen=True)
class RaterRow:
    """One rater of a study.

    Attributes
    ----------
    pseudonym : str
        Start of the rater's public id.
    channel : str
        How the rater came.
    tasks, ratings : int
        Handed in, and what they hold.
    n_compared : int
        Ratings that the others' majority can be compared with.
    agreement : float or None
        Share of those that agree, in [0, 1].
    median_ms : float or None
        Median response time in milliseconds; None where no time was measured.
    """

    pseudonym: str
    channel: str
    tasks: int
    ratings: int
    n_compared: int
    agreement: float | None
    median_ms: float | None


def rater_table(study: Study, *, limit: int | None = None) -> list[RaterRow]:
    """Compare every rater with the majority of the others on the same items.

    Parameters
    ----------
    study : Study
        Any.
    limit : int, optional
        How many raters at most; all by default.

    Returns
    -------
    list of RaterRow
        The busiest first. Only submitted tasks count, and no gold items. "Cannot tell" and items
        whose other ratings are tied, or none, are not compared.
    """
    counted = Rating.objects.filter(
        item__study=study, item__gold_value="", assignment__status=AssignmentStatus.SUBMITTED
    ).order_by()
    all_votes = (
        Rating.objects.filter(item=OuterRef("item"), assignment__status=AssignmentStatus.SUBMITTED)
        .order_by()
        .values("item")
        .annotate(total=Sum(VOTE))
        .values("total")
    )
    rows = (
        counted.alias(vote=VOTE)
        # > 0 where the others' majority says the same, < 0 the contrary, 0 where one has no vote
        .alias(accord=F("vote") * (Subquery(all_votes) - F("vote")))
        .values("rater_id", "rater__public_id", "rater__channel")
        .annotate(
            n_tasks=Count("assignment", distinct=True),
            n_ratings=Count("pk"),
            n_compared=Count("pk", filter=~Q(accord=0)),
            n_agreed=Count("pk", filter=Q(accord__gt=0)),
        )
        .order_by("-n_ratings", "rater__public_id")[:limit]
    )
    table = list(rows)
    medians = _median_times(study, [row["rater_id"] for row in table])
    return [
        RaterRow(
            pseudonym=str(row["rater__public_id"])[:8],
            channel=Channel(row["rater__channel"]).label,
            tasks=row["n_tasks"],
            ratings=row["n_ratings"],
            n_compared=row["n_compared"],
            agreement=row["n_agreed"] / row["n_compared"] if row["n_compared"] else None,
            median_ms=medians.get(row["rater_id"]),
        )
        for row in table
    ]


def _median_times(study: Study, raters: Sequence[int]) -> dict[int, float]:
    """Read each rater's one or two middle response times; no database has a median they share."""
    ranked = Rating.objects.filter(
        item__study=study,
        item__gold_value="",
        assignment__status=AssignmentStatus.SUBMITTED,
        rater__in=raters,
        response_ms__isnull=False,
    ).annotate(
        place=Window(RowNumber(), partition_by="rater_id", order_by=["response_ms", "pk"]),
        n_times=Window(Count("pk"), partition_by="rater_id"),
    )
    middle = (
        ranked.filter(place__gte=F("n_times") / 2, place__lte=F("n_times") / 2 + 1)
        .order_by()
        .values_list("rater_id", "response_ms", "place", "n_times")
    )
    times: dict[int, list[int]] = defaultdict(list)
    for rater, response_ms, place, n_times in middle:
        # an odd count has one middle, (n + 1) / 2; halving whole numbers left one beside it
        if response_ms is not None and 2 * place in (n_times, n_times + 1, n_times + 2):
            times[rater].append(response_ms)
    return {rater: median(own) for rater, own in times.items()}
