"""Rounds of a study: what was drawn when, how far its ratings are, what is still in doubt."""

from dataclasses import dataclass
from statistics import median

from django.db.models import Count, F

from annotation.models import (
    Aggregation,
    AssignmentStatus,
    EstimateRun,
    ExplanationTerm,
    Item,
    PairSample,
    Rating,
    SamplingRound,
    Study,
)
from annotation.queries.runs import latest_run

#: The half width of an interval that most studies want; how it is asked for where nothing is said.
USUAL_HALF_WIDTH = 0.03


@dataclass(frozen=True)
class RoundOverview:
    """A line of the list of rounds.

    Attributes
    ----------
    round : SamplingRound
        With who drew it.
    n_pairs : int
        (neuron, concept) pairs that drew.
    n_items : int
        Items that it made, gold items left out.
    ratings_wanted, ratings_valid : int
        Of those items.
    """

    round: SamplingRound
    n_pairs: int
    n_items: int
    ratings_wanted: int
    ratings_valid: int


@dataclass(frozen=True)
class IntervalsKnown:
    """How well the scores of a study are known.

    Attributes
    ----------
    run : EstimateRun
        Whose intervals these are.
    n_scores : int
        Explanations with a score.
    n_waiting : int
        Explanations without.
    narrowest, middle, widest : float or None
        Half widths of the intervals; None without scores.
    n_wide : int
        Of the scores, those whose half width is above `half_width`.
    half_width : float
        The usual one.
    """

    run: EstimateRun
    n_scores: int
    n_waiting: int
    narrowest: float | None
    middle: float | None
    widest: float | None
    n_wide: int
    half_width: float = USUAL_HALF_WIDTH


def rounds_overview(study: Study) -> list[RoundOverview]:
    """List the rounds of a study with their progress.

    Parameters
    ----------
    study : Study
        Any; a draft has none.

    Returns
    -------
    list of RoundOverview
        By number.
    """
    items = dict(
        Item.objects.filter(study=study, gold_value="")
        .order_by()
        .values_list("round")
        .annotate(n=Count("pk"))
    )
    ratings = dict(
        Rating.objects.filter(
            item__study=study, item__gold_value="", assignment__status=AssignmentStatus.SUBMITTED
        )
        .order_by()
        .values_list("item__round")
        .annotate(n=Count("pk"))
    )
    pairs = dict(
        PairSample.objects.filter(study=study)
        .order_by()
        .values_list("round")
        .annotate(n=Count("pk"))
    )
    rows = SamplingRound.objects.filter(study=study).select_related("drawn_by").order_by("number")
    return [
        RoundOverview(
            round=row,
            n_pairs=pairs.get(row.pk, 0),
            n_items=items.get(row.pk, 0),
            ratings_wanted=items.get(row.pk, 0) * study.redundancy,
            ratings_valid=ratings.get(row.pk, 0),
        )
        for row in rows
    ]


def run_to_judge(study: Study) -> EstimateRun | None:
    """Choose the run whose intervals say what is still in doubt.

    Parameters
    ----------
    study : Study
        Any.

    Returns
    -------
    EstimateRun or None
        The last of the study's own aggregation; else the last that followed the ratings; None
        before the first.
    """
    return latest_run(study, Aggregation(study.aggregation)) or latest_run(
        study, study.live_aggregation
    )


def intervals_known(study: Study, half_width: float = USUAL_HALF_WIDTH) -> IntervalsKnown | None:
    """Say how well the scores of a study are known.

    Parameters
    ----------
    study : Study
        Any.
    half_width : float
        What counts as wide.

    Returns
    -------
    IntervalsKnown or None
        None before the first estimate.
    """
    run = run_to_judge(study)
    if run is None:
        return None
    halves = [(upper - lower) / 2 for lower, upper in run.estimates.values_list("lower", "upper")]
    return IntervalsKnown(
        run=run,
        n_scores=len(halves),
        n_waiting=study.explanations.count() - len(halves),
        narrowest=min(halves, default=None),
        middle=median(halves) if halves else None,
        widest=max(halves, default=None),
        n_wide=sum(half > half_width for half in halves),
        half_width=half_width,
    )


def pairs_in_doubt(run: EstimateRun, half_width: float) -> set[tuple[int, int]]:
    """Find the (neuron, concept) pairs of explanations whose score is not known well enough.

    Parameters
    ----------
    run : EstimateRun
        Finished.
    half_width : float
        Above this, half an interval is too wide.

    Returns
    -------
    set of (int, int)
        Primary keys of neuron and concept. An explanation without a score is in doubt.
    """
    known = run.estimates.filter(upper__lte=F("lower") + 2 * half_width)
    terms = ExplanationTerm.objects.filter(explanation__study=run.study_id)
    doubtful = terms.exclude(explanation__in=known.values("explanation")).order_by()
    return set(doubtful.values_list("explanation__neuron_id", "concept_id"))
