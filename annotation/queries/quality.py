"""Quality as it stands: agreement of a study, and what each rater's answers show."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from statistics import median

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery, Sum

from annotation import science
from annotation.models import (
    HANDED_IN,
    AssignmentStatus,
    AttentionCheck,
    Channel,
    Exclusion,
    Outcome,
    Participation,
    Rating,
    RatingValue,
    Review,
    ReviewDecision,
    Study,
)
from annotation.queries.raters import VOTE
from annotation.queries.signs import longest_run

LEVEL = 0.95
#: What the table of raters can be narrowed to.
FILTERS = {
    "": "all",
    "review": "waiting for a decision",
    "excluded": "excluded",
    "failed": "failed checks",
    "working": "still at work",
}


@dataclass(frozen=True)
class ConceptAgreement:
    """Agreement on the items of one concept."""

    concept: str
    agreement: science.Agreement


@dataclass(frozen=True)
class StudyAgreement:
    """Agreement on a study's items, gold items left out.

    Attributes
    ----------
    overall : Agreement
        With an interval by resampling items.
    per_concept : list of ConceptAgreement
        The least agreed first; undefined ones last.
    """

    overall: science.Agreement
    per_concept: list[ConceptAgreement]


@dataclass(frozen=True)
class RaterQuality:
    """What one rater's answers show; those of excluded tasks are in it, so that one can judge.

    Attributes
    ----------
    participation : Participation
        With its rater.
    pseudonym : str
        Start of the rater's random public id.
    channel : str
        How the rater came.
    n_tasks, n_late : int
        Handed in on time, and too late.
    n_ratings, n_cannot_tell : int
        Answers to items that are no gold, and those of them that say "cannot tell".
    gold : Share
        Right answers to gold items; "cannot tell" is not right.
    sensitivity, specificity : Share
        Of the answers to gold items that are present, or absent, and were not "cannot tell".
    agreement : Share
        Answers that the others' majority shares, of those that can be compared.
    median_ms : float or None
        Median response time.
    longest_run : int
        How often in a row the same answer was given.
    n_attention, n_attention_failed : int
        Attention checks answered, and failed.
    exclusion : Exclusion or None
        In force.
    reviews : list of Review
        That wait for a decision.
    """

    participation: Participation
    pseudonym: str
    channel: str
    n_tasks: int
    n_late: int
    n_ratings: int
    n_cannot_tell: int
    gold: science.Share
    sensitivity: science.Share
    specificity: science.Share
    agreement: science.Share
    median_ms: float | None
    longest_run: int
    n_attention: int
    n_attention_failed: int
    exclusion: Exclusion | None
    reviews: list[Review] = field(default_factory=list)

    @property
    def state(self) -> str:
        """What became of the rater, in a word or two."""
        if self.exclusion is not None:
            return "excluded"
        if self.participation.outcome:
            return str(Outcome(self.participation.outcome).label)
        return "declined" if self.participation.declined_at else "at work"


def study_agreement(study: Study) -> StudyAgreement:
    """Compute Krippendorff's alpha of a study's ratings that count.

    Parameters
    ----------
    study : Study
        Any.

    Returns
    -------
    StudyAgreement
    """
    rows = (
        Rating.objects.filter(
            item__study=study, item__gold_value="", assignment__status=AssignmentStatus.SUBMITTED
        )
        .order_by()
        .values("item__concept__text", "item")
        .annotate(
            n_present=Count("pk", filter=Q(value=RatingValue.PRESENT)),
            n_absent=Count("pk", filter=Q(value=RatingValue.ABSENT)),
        )
        .values_list("item__concept__text", "n_present", "n_absent")
    )
    of_concept: dict[str, list[tuple[int, int]]] = {}
    for concept, n_present, n_absent in rows:
        of_concept.setdefault(concept, []).append((n_present, n_absent))
    overall = science.krippendorff_alpha(
        (votes for own in of_concept.values() for votes in own), level=LEVEL, seed=study.seed
    )
    per_concept = [
        ConceptAgreement(concept, science.krippendorff_alpha(votes, level=LEVEL, seed=study.seed))
        for concept, votes in of_concept.items()
    ]
    per_concept.sort(
        key=lambda row: (
            row.agreement.alpha is None,
            0.0 if row.agreement.alpha is None else row.agreement.alpha,
            row.concept,
        )
    )
    return StudyAgreement(overall, per_concept)


def participations_found(
    study: Study, *, words: str = "", narrowed: str = ""
) -> "QuerySet[Participation]":
    """List the raters of a study who consented (or were imported), the busiest first.

    Parameters
    ----------
    study : Study
        Any.
    words : str
        Start of a pseudonym.
    narrowed : str
        A key of `FILTERS`.

    Returns
    -------
    QuerySet of Participation
        With their raters.
    """
    waiting = Review.objects.filter(participation=OuterRef("pk"), decision=ReviewDecision.OPEN)
    in_force = Exclusion.objects.filter(participation=OuterRef("pk"), lifted_at__isnull=True)
    found = (
        Participation.objects.filter(study=study)
        .filter(Q(consented_at__isnull=False) | Q(channel=Channel.IMPORTED))
        .select_related("rater", "study")
        .annotate(
            n_handed_in=Count("assignments", filter=Q(assignments__status__in=HANDED_IN)),
        )
        .order_by("-n_handed_in", "pk")
    )
    start = words.strip().lower().replace("-", "")[:8]
    if start and set(start) <= set("0123456789abcdef"):
        found = found.filter(
            rater__public_id__gte=start.ljust(32, "0"), rater__public_id__lte=start.ljust(32, "f")
        )
    elif start:
        return found.none()
    if narrowed == "review":
        return found.filter(Exists(waiting))
    if narrowed == "excluded":
        return found.filter(Exists(in_force))
    if narrowed == "failed":
        return found.filter(outcome=Outcome.FAILED_CHECKS)
    if narrowed == "working":
        return found.filter(ended_at__isnull=True, declined_at__isnull=True)
    return found


def raters_quality(participations: Iterable[Participation]) -> list[RaterQuality]:
    """Compute the statistics of some raters of one study, in a constant number of queries.

    Parameters
    ----------
    participations : iterable of Participation
        A page of them, with their raters.

    Returns
    -------
    list of RaterQuality
        In the order given.
    """
    rows = list(participations)
    ids = [row.pk for row in rows]
    answers = _answers(ids)
    compared = _compared(ids)
    tasks = {
        row["pk"]: row
        for row in Participation.objects.filter(pk__in=ids)
        .order_by()
        .values("pk")
        .annotate(
            n_tasks=Count("assignments", filter=Q(assignments__status__in=HANDED_IN)),
            n_late=Count("assignments", filter=Q(assignments__late_at__isnull=False)),
        )
    }
    checks = {
        participation: (n, n_failed)
        for participation, n, n_failed in AttentionCheck.objects.filter(
            participation__in=ids, answered_at__isnull=False
        )
        .order_by()
        .values("participation")
        .annotate(n=Count("pk"), n_failed=Count("pk", filter=~Q(value=F("expected"))))
        .values_list("participation", "n", "n_failed")
    }
    exclusions = {
        one.participation_id: one
        for one in Exclusion.objects.filter(
            participation__in=ids, lifted_at__isnull=True
        ).select_related("excluded_by")
    }
    reviews: dict[int, list[Review]] = {}
    for review in Review.objects.filter(participation__in=ids, decision=ReviewDecision.OPEN):
        reviews.setdefault(review.participation_id, []).append(review)
    nobody = _Answers()
    return [
        RaterQuality(
            participation=row,
            pseudonym=str(row.rater.public_id)[:8],
            channel=Channel(row.channel or row.rater.channel).label,
            n_tasks=tasks[row.pk]["n_tasks"],
            n_late=tasks[row.pk]["n_late"],
            n_ratings=own.n_ratings,
            n_cannot_tell=own.n_cannot_tell,
            gold=science.share(own.n_right, own.n_gold),
            sensitivity=science.share(*own.on_present),
            specificity=science.share(*own.on_absent),
            agreement=science.share(*compared.get(row.pk, (0, 0))),
            median_ms=own.median_ms,
            longest_run=own.longest_run,
            n_attention=checks.get(row.pk, (0, 0))[0],
            n_attention_failed=checks.get(row.pk, (0, 0))[1],
            exclusion=exclusions.get(row.pk),
            reviews=reviews.get(row.pk, []),
        )
        for row in rows
        for own in (answers.get(row.pk, nobody),)
    ]


def reviews_open(study: Study) -> "QuerySet[Review]":
    """List the entries of a study's review queue, the oldest first.

    Parameters
    ----------
    study : Study
        Any.

    Returns
    -------
    QuerySet of Review
        With participation and rater.
    """
    return (
        Review.objects.filter(participation__study=study, decision=ReviewDecision.OPEN)
        .select_related("participation__rater")
        .order_by("opened_at", "pk")
    )


@dataclass(frozen=True)
class _Answers:
    """Counts over one rater's answers; pairs are (right, of so many)."""

    n_ratings: int = 0
    n_cannot_tell: int = 0
    n_gold: int = 0
    n_right: int = 0
    on_present: tuple[int, int] = (0, 0)
    on_absent: tuple[int, int] = (0, 0)
    median_ms: float | None = None
    longest_run: int = 0


def _answers(ids: Sequence[int]) -> dict[int, _Answers]:
    rows = (
        Rating.objects.filter(assignment__participation__in=ids, assignment__status__in=HANDED_IN)
        .order_by("assignment__participation", "rated_at", "pk")
        .values_list("assignment__participation", "value", "item__gold_value", "response_ms")
    )
    return {
        participation: _counted([(value, gold, ms) for _, value, gold, ms in own])
        for participation, own in groupby(rows.iterator(chunk_size=5000), key=lambda row: row[0])
    }


def _counted(rows: list[tuple[str, str, int | None]]) -> _Answers:
    times = [ms for _, _, ms in rows if ms is not None]
    told = [(value, gold) for value, gold, _ in rows if gold and value != RatingValue.CANNOT_TELL]

    def right(of: str) -> tuple[int, int]:
        own = [value for value, gold in told if gold == of]
        return sum(value == of for value in own), len(own)

    return _Answers(
        n_ratings=sum(1 for _, gold, _ in rows if not gold),
        n_cannot_tell=sum(
            1 for value, gold, _ in rows if not gold and value == RatingValue.CANNOT_TELL
        ),
        n_gold=sum(1 for _, gold, _ in rows if gold),
        n_right=sum(1 for value, gold in told if value == gold),
        on_present=right(RatingValue.PRESENT),
        on_absent=right(RatingValue.ABSENT),
        median_ms=median(times) if times else None,
        longest_run=longest_run(value for value, _, _ in rows)[0],
    )


def _compared(ids: Sequence[int]) -> dict[int, tuple[int, int]]:
    """How many answers of each rater the others' majority shares, and of how many."""
    counting = Rating.objects.filter(
        item=OuterRef("item"), assignment__status=AssignmentStatus.SUBMITTED
    )
    others = (
        counting.exclude(rater=OuterRef("rater"))
        .order_by()
        .values("item")
        .annotate(total=Sum(VOTE))
        .values("total")
    )
    rows = (
        Rating.objects.filter(
            assignment__participation__in=ids,
            assignment__status__in=HANDED_IN,
            item__gold_value="",
        )
        .order_by()
        .alias(accord=VOTE * Subquery(others))
        .values("assignment__participation")
        .annotate(
            n=Count("pk", filter=~Q(accord=0) & Q(accord__isnull=False)),
            n_agreed=Count("pk", filter=Q(accord__gt=0)),
        )
        .values_list("assignment__participation", "n_agreed", "n")
    )
    return {participation: (agreed, n) for participation, agreed, n in rows}
