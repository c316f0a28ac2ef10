"""Reads that are more than one filter. Nothing here writes."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, F, Q

from annotation.models import (
    Assignment,
    AssignmentStatus,
    Estimate,
    EstimateRun,
    Explanation,
    Item,
    MethodEstimate,
    Participation,
    Rating,
    RunStatus,
    Study,
)


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
        What there is to rate, and in how many bundles.
    ratings_wanted : int
        Items x redundancy.
    ratings_valid : int
        Ratings that count: those of submitted assignments.
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
class RatingItem:
    """An item as its rater sees it: no file name, neuron, activation or probability.

    Attributes
    ----------
    item : Item
        The item.
    public_id, image_public_id : UUID
        Its own opaque id and that of its image.
    value : str or None
        The rater's answer, None while there is none.
    """

    item: Item
    public_id: UUID
    image_public_id: UUID
    value: str | None


@dataclass(frozen=True)
class ParticipationProgress:
    """How far a rater is: tasks handed in, and whether one is on the desk."""

    submitted: int
    late: int
    has_lease: bool


@dataclass(frozen=True)
class ExplanationEstimate:
    """The estimated score of an explanation, with the words that describe it.

    Attributes
    ----------
    estimate : Estimate
        The row, with all its numbers.
    explanation : Explanation
        What was scored.
    neuron, method, text : str
        ``layer:unit``, the method's name, the concept or the weighted sum of concepts.
    score, lower, upper : float
        Estimate and interval.
    reference_score : float or None
        From the reference labels.
    n_inputs_rated : int
        Distinct inputs with a vote.
    warnings : list of str
        What a reader must know.
    """

    estimate: Estimate
    explanation: Explanation
    neuron: str
    method: str
    text: str
    score: float
    lower: float
    upper: float
    reference_score: float | None
    n_inputs_rated: int
    warnings: list[str]


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
        Item.objects.filter(study=study)
        .order_by()
        .values("concept__text")
        .annotate(n=Count("pk"))
        .values_list("concept__text", "n")
    )
    ratings = dict(
        Rating.objects.filter(item__study=study, assignment__status=AssignmentStatus.SUBMITTED)
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


def latest_run(study: Study, aggregation: str | None = None) -> EstimateRun | None:
    """Get the estimate run to show: the last that finished.

    Parameters
    ----------
    study : Study
        Any.
    aggregation : str, optional
        Of this aggregation only.

    Returns
    -------
    EstimateRun or None
    """
    runs = EstimateRun.objects.filter(study=study, status=RunStatus.FINISHED)
    if aggregation is not None:
        runs = runs.filter(aggregation=aggregation)
    return runs.order_by("-finished_at", "-pk").first()


def latest_checks(study: Study, aggregation: str | None = None) -> EstimateRun | None:
    """Get the last finished run with sanity checks; live runs have none.

    Parameters
    ----------
    study : Study
        Any.
    aggregation : str, optional
        Of this aggregation only.

    Returns
    -------
    EstimateRun or None
    """
    runs = EstimateRun.objects.filter(study=study, status=RunStatus.FINISHED, live=False)
    if aggregation is not None:
        runs = runs.filter(aggregation=aggregation)
    return runs.exclude(sanity_checks=[]).order_by("-finished_at", "-pk").first()


def leaderboard(run: EstimateRun) -> list[MethodEstimate]:
    """List the methods of a run, best first.

    Parameters
    ----------
    run : EstimateRun
        Finished.

    Returns
    -------
    list of MethodEstimate
        With their methods.
    """
    return list(run.method_estimates.select_related("method").order_by("rank", "method__name"))


def explanation_estimates(run: EstimateRun) -> list[ExplanationEstimate]:
    """List the scores of a run, by neuron and method.

    Parameters
    ----------
    run : EstimateRun
        Finished.

    Returns
    -------
    list of ExplanationEstimate
    """
    rows = (
        run.estimates.select_related("explanation__neuron__activations", "explanation__method")
        .prefetch_related("explanation__terms__concept")
        .order_by(
            "explanation__neuron__activations__layer",
            "explanation__neuron__unit",
            "explanation__method__name",
        )
    )
    return [
        ExplanationEstimate(
            estimate=row,
            explanation=row.explanation,
            neuron=str(row.explanation.neuron),
            method=row.explanation.method.name,
            text=explanation_text(row.explanation),
            score=row.score,
            lower=row.lower,
            upper=row.upper,
            reference_score=row.reference_score,
            n_inputs_rated=row.n_inputs_rated,
            warnings=row.warnings,
        )
        for row in rows
    ]


def explanation_text(explanation: Explanation) -> str:
    """Say an explanation in words.

    Parameters
    ----------
    explanation : Explanation
        With its terms and their concepts prefetched, where many are said.

    Returns
    -------
    str
        The concept; or the weighted sum, largest weight first: ``0.8 cat + 0.3 dog - 0.2 sky``.
    """
    terms = sorted(explanation.terms.all(), key=lambda term: -abs(term.weight))
    if len(terms) == 1 and terms[0].weight == 1:
        return terms[0].concept.text
    text = " ".join(
        f"{'-' if term.weight < 0 else '+'} {abs(term.weight):.2g} {term.concept.text}"
        for term in terms
    )
    return text.removeprefix("+ ")


def assignment_items(assignment: Assignment) -> list[RatingItem]:
    """List the items of an assignment in an order of its own, the same whenever it is shown.

    Parameters
    ----------
    assignment : Assignment
        The rater's.

    Returns
    -------
    list of RatingItem
        Every rater has another order, so that what is tiring to rate last differs.
    """
    items = Item.objects.filter(task=assignment.task_id).annotate(
        image_public_id=F("probe_input__public_id")
    )
    values: Mapping[int, str] = dict(
        Rating.objects.filter(assignment=assignment).values_list("item_id", "value")
    )
    rows = [
        RatingItem(item, item.public_id, item.image_public_id, values.get(item.pk))
        for item in items
    ]
    return sorted(
        rows,
        key=lambda row: hashlib.sha256(assignment.public_id.bytes + row.public_id.bytes).digest(),
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


def item_to_rate(
    *, participation_id: UUID, study_slug: str, assignment_id: UUID, item_id: UUID
) -> tuple[Assignment, Item] | None:
    """Find an item of a rater's assignment by public ids, in one query.

    Parameters
    ----------
    participation_id, assignment_id, item_id : UUID
        Public ids.
    study_slug : str
        The study that the request is about.

    Returns
    -------
    tuple of Assignment and Item, or None
        None when the assignment is not this rater's or has no such item. The assignment carries
        its key only: the service that saves the answer locks and reads the row itself.
    """
    item = (
        Item.objects.filter(
            public_id=item_id,
            task__assignments__public_id=assignment_id,
            task__assignments__participation__public_id=participation_id,
            task__assignments__participation__study__slug=study_slug,
        )
        .annotate(assignment_key=F("task__assignments__pk"))
        .first()
    )
    if item is None:
        return None
    return Assignment(pk=item.assignment_key, task_id=item.task_id), item
