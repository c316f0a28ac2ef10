"""How far a study and a rater are."""

from dataclasses import dataclass

from django.db.models import Count, Q

from annotation.models import Assignment, AssignmentStatus, Item, Participation, Rating, Study


@dataclass(frozen=True)
class ConceptProgress:
    """How far the ratings of one concept are."""

    concept: str
    items: int
    ratings_wanted: int
    ratings_valid: int


@dataclass(frozen=True)
class StudyProgress:
    """How far a study is.

    Attributes
    ----------
    items, tasks : int
        What there is to rate, gold items left out, and in how many bundles.
    ratings_wanted : int
        Items x redundancy.
    ratings_valid : int
        Ratings that count: those of submitted assignments. Gold items are not among them.
    assignments_submitted, assignments_leased : int
        Tasks that were handed in, and that are being worked on.
    raters : int
        Raters who handed in at least one task.
    per_concept : list of ConceptProgress
        By the concept's text.
    """

    items: int
    tasks: int
    ratings_wanted: int
    ratings_valid: int
    assignments_submitted: int
    assignments_leased: int
    raters: int
    per_concept: list[ConceptProgress]


@dataclass(frozen=True)
class ParticipationProgress:
    """How far a rater is: tasks handed in, and whether one is on the desk."""

    submitted: int
    late: int
    has_lease: bool


def study_progress(study: Study) -> StudyProgress:
    """Count what a study has and still needs.

    Parameters
    ----------
    study : Study
        Any.

    Returns
    -------
    StudyProgress
    """
    items = dict(
        Item.objects.filter(study=study, gold_value="")
        .order_by()
        .values("concept__text")
        .annotate(n=Count("pk"))
        .values_list("concept__text", "n")
    )
    ratings = dict(
        Rating.objects.filter(
            item__study=study, item__gold_value="", assignment__status=AssignmentStatus.SUBMITTED
        )
        .order_by()
        .values("item__concept__text")
        .annotate(n=Count("pk"))
        .values_list("item__concept__text", "n")
    )
    assignments = Assignment.objects.filter(task__study=study).aggregate(
        submitted=Count("pk", filter=Q(status=AssignmentStatus.SUBMITTED)),
        leased=Count("pk", filter=Q(status=AssignmentStatus.LEASED)),
        raters=Count("participation", filter=Q(status=AssignmentStatus.SUBMITTED), distinct=True),
    )
    n_items = sum(items.values())
    return StudyProgress(
        items=n_items,
        tasks=study.tasks.count(),
        ratings_wanted=n_items * study.redundancy,
        ratings_valid=sum(ratings.values()),
        assignments_submitted=assignments["submitted"],
        assignments_leased=assignments["leased"],
        raters=assignments["raters"],
        per_concept=[
            ConceptProgress(text, n, n * study.redundancy, ratings.get(text, 0))
            for text, n in sorted(items.items())
        ],
    )


def participation_progress(participation: Participation) -> ParticipationProgress:
    """Count what a rater has done in a study.

    Parameters
    ----------
    participation : Participation
        The rater in the study.

    Returns
    -------
    ParticipationProgress
    """
    counts = Assignment.objects.filter(participation=participation).aggregate(
        submitted=Count("pk", filter=Q(status=AssignmentStatus.SUBMITTED)),
        late=Count("pk", filter=Q(late_at__isnull=False)),
        leased=Count("pk", filter=Q(status=AssignmentStatus.LEASED)),
    )
    return ParticipationProgress(counts["submitted"], counts["late"], bool(counts["leased"]))
