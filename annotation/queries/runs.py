"""Estimate runs: which one to show, and what it found."""

from dataclasses import dataclass

from django.db.models import Count, F, Max, Min, Q, QuerySet

from annotation.models import (
    Aggregation,
    Estimate,
    EstimateRun,
    Explanation,
    MethodEstimate,
    RunStatus,
    Study,
)


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


@dataclass(frozen=True)
class ScoreExtent:
    """What some scores of a run span.

    Attributes
    ----------
    lower, upper : float or None
        The lowest and the highest end of an interval; None where there are no scores.
    reference_lower, reference_upper : float or None
        The lowest and the highest reference score; None where there are none.
    n_with_reference, n_covered : int
        Scores with a reference score, and those of them whose interval holds it.
    """

    lower: float | None
    upper: float | None
    reference_lower: float | None
    reference_upper: float | None
    n_with_reference: int
    n_covered: int


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


def aggregation_to_show(study: Study, *, n_ratings: int) -> Aggregation:
    """Choose the aggregation that a reader who names none should see.

    Parameters
    ----------
    study : Study
        Any.
    n_ratings : int
        Ratings that count at the moment.

    Returns
    -------
    Aggregation
        The study's own when its last run saw all ratings, or when nothing else has run; else the
        one that follows every submit.
    """
    own, live = Aggregation(study.aggregation), study.live_aggregation
    run = latest_run(study, own)
    if run is None:
        return live
    if run.n_ratings >= n_ratings or latest_run(study, live) is None:
        return own
    return live


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


def estimates_of(
    run: EstimateRun, *, neuron: int | None = None, method: int | None = None
) -> QuerySet[Estimate]:
    """Select the scores of a run, by neuron and method, with all that their words need.

    Parameters
    ----------
    run : EstimateRun
        Finished.
    neuron, method : int, optional
        Keys of the neuron and of the method to narrow to.

    Returns
    -------
    QuerySet of Estimate
        Slices of it cost as many queries as the whole.
    """
    rows = run.estimates.select_related(
        "explanation__neuron__activations", "explanation__method"
    ).prefetch_related("explanation__terms__concept")
    if neuron is not None:
        rows = rows.filter(explanation__neuron=neuron)
    if method is not None:
        rows = rows.filter(explanation__method=method)
    return rows.order_by(
        "explanation__neuron__activations__layer",
        "explanation__neuron__unit",
        "explanation__method__name",
    )


def score_extent(estimates: QuerySet[Estimate]) -> ScoreExtent:
    """Measure some scores in the database.

    Parameters
    ----------
    estimates : QuerySet of Estimate
        Any, also none.

    Returns
    -------
    ScoreExtent
    """
    return ScoreExtent(
        **estimates.order_by().aggregate(
            # before "lower" and "upper" become the names of aggregates
            n_covered=Count(
                "pk",
                filter=Q(reference_score__gte=F("lower"), reference_score__lte=F("upper")),
            ),
            n_with_reference=Count("reference_score"),
            reference_lower=Min("reference_score"),
            reference_upper=Max("reference_score"),
            lower=Min("lower"),
            upper=Max("upper"),
        )
    )


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
    return [explanation_estimate(row) for row in estimates_of(run)]


def explanation_estimate(row: Estimate) -> ExplanationEstimate:
    """Put a score beside the words that describe it.

    Parameters
    ----------
    row : Estimate
        From `estimates_of`.

    Returns
    -------
    ExplanationEstimate
    """
    return ExplanationEstimate(
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
