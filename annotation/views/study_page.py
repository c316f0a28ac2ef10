"""What the study page shows, put together from the queries: no rule of the domain lives here."""

from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count, Max, Q
from django.http import QueryDict

from annotation import queries
from annotation.forms import AggregationForm, ExplanationFilterForm
from annotation.forms.rounds import RoundForm
from annotation.intervals import interval_note
from annotation.models import (
    Aggregation,
    Assignment,
    AssignmentStatus,
    EstimateRun,
    MethodEstimate,
    RunStatus,
    Study,
    StudyStatus,
)
from annotation.queries.coverage import coverage
from annotation.queries.money import study_spend
from annotation.queries.rounds import intervals_known
from annotation.queries.stored_files import dataset_problem
from annotation.views.plots import axis_over, mark
from annotation.views.sanity import checks_shown

EXPLANATIONS_A_PAGE = 25
RATERS_SHOWN = 200
EVENTS_SHOWN = 20

#: Shown beside the study's own aggregation: the best, the published, and what most studies did.
BESIDE = (Aggregation.HIERARCHICAL, Aggregation.BRAGG, Aggregation.MAJORITY)


def page_context(study: Study, query: QueryDict) -> dict[str, Any]:
    """Put the whole study page together.

    Parameters
    ----------
    study : Study
    query : QueryDict
        ``aggregation``, ``neuron``, ``method``, ``page``, ``raters`` (their table is wanted); what
        cannot be read counts as not given.

    Returns
    -------
    dict
        For the template ``researcher/study.html``.
    """
    context = live_context(study, query)
    form: ExplanationFilterForm = context["filter_form"]
    tabs = [
        {
            "label": choice.label.split(" (")[0],  # the explanation in brackets is for forms
            "current": choice == context["aggregation"],
            "query": _query(query, aggregation=choice.value, page=None),
        }
        for choice in dict.fromkeys(
            [Aggregation(study.aggregation), *BESIDE, context["aggregation"]]
        )
    ]
    return {
        **context,
        "tabs": tabs,
        # the poll stays with what the reader looks at, also when another run becomes the fresher
        "query": _query(query, aggregation=context["aggregation"].value),
        "neurons": form.neurons,
        "methods": form.methods,
        "dataset_problem": dataset_problem(study.dataset),
        "spend": study_spend(study) if study.ledger.exists() else None,
        **_next_round(study),
    }


def _next_round(study: Study) -> dict[str, Any]:
    """Say what is in doubt, for a study that a further round can be drawn of."""
    if study.status not in (StudyStatus.OPEN, StudyStatus.PAUSED):
        return {}
    return {
        "known": intervals_known(study),
        "round_form": RoundForm(study=study),
        "n_rounds": study.sampling_rounds.count(),
    }


def live_context(study: Study, query: QueryDict) -> dict[str, Any]:
    """Put together the parts of the study page that change while people rate.

    Parameters
    ----------
    study : Study
    query : QueryDict
        See `page_context`.

    Returns
    -------
    dict
        For the templates in ``researcher/parts``.
    """
    progress = queries.study_progress(study)
    form = AggregationForm(query)
    aggregation = (
        Aggregation(form.cleaned_data["aggregation"])
        if form.is_valid()
        else queries.aggregation_to_show(study, n_ratings=progress.ratings_valid)
    )
    run = queries.latest_run(study, aggregation)
    checked = queries.latest_checks(study, aggregation)
    raters_wanted = "raters" in query
    coverage_wanted = "coverage" in query
    neurons, methods = coverage(study, progress.per_concept) if coverage_wanted else ([], [])
    return {
        "study": study,
        "aggregation": aggregation,
        "aggregation_label": aggregation.label,
        "run": run,
        "level_percent": f"{run.level:.0%}" if run else "",
        "progress": progress,
        "n_newer": progress.ratings_valid - run.n_ratings if run else 0,
        "interval_note": interval_note(aggregation),
        **_quoted(study, aggregation, progress.ratings_valid),
        **_unfinished(study, aggregation),
        **_board(run),
        **_explanations(study, run, query),
        "checks": checks_shown(checked),
        "checks_run": checked,
        "checks_n_newer": progress.ratings_valid - checked.n_ratings if checked else 0,
        "coverage_wanted": coverage_wanted,
        "coverage_query": _query(query, coverage="shown"),
        "coverage_tables": [("neuron", neurons), ("method", methods)],
        "raters_wanted": raters_wanted,
        "raters_query": _query(query, raters="shown"),
        "raters": queries.rater_table(study, limit=RATERS_SHOWN) if raters_wanted else [],
        "raters_hidden": max(0, progress.raters - RATERS_SHOWN),
        "events": list(study.events.select_related("actor").order_by("-at", "-id")[:EVENTS_SHOWN]),
    }


def live_fingerprint(study: Study, query: QueryDict) -> str:
    """Say in a few cheap counts whether the live parts may have changed.

    Parameters
    ----------
    study : Study
    query : QueryDict
        See `page_context`.

    Returns
    -------
    str
        Another one whenever ratings came to count, a run changed its state or something happened
        to the study.
    """
    submitted = Assignment.objects.filter(task__study=study, status=AssignmentStatus.SUBMITTED)
    runs = study.estimate_runs.aggregate(
        last=Max("pk"),
        finished=Max("finished_at"),
        running=Count("pk", filter=Q(status=RunStatus.RUNNING)),
        queued=Count("pk", filter=Q(status=RunStatus.QUEUED)),
        progress=Max("progress", filter=Q(status=RunStatus.RUNNING)),
    )
    event = study.events.aggregate(last=Max("pk"))["last"]
    return f"{study.status} {submitted.count()} {runs} {event} {query.urlencode()}"


def _quoted(study: Study, shown: Aggregation, n_ratings: int) -> dict[str, Any]:
    """Say beside another aggregation how fresh the run is that the study quotes."""
    own = Aggregation(study.aggregation)
    if shown == own:
        return {"is_quoted": True}
    run = queries.latest_run(study, own)
    return {
        "is_quoted": False,
        "quoted": own,
        "quoted_label": own.label.split(" (")[0],
        "quoted_run": run,
        "quoted_n_newer": n_ratings - run.n_ratings if run else 0,
        "quoted_pending": study.estimate_runs.filter(
            aggregation=own, status__in=[RunStatus.QUEUED, RunStatus.RUNNING]
        ).exists(),
    }


def _unfinished(study: Study, aggregation: Aggregation) -> dict[str, EstimateRun | bool | None]:
    """Find the run that is under way (and whether anybody makes it), and how the last one ended."""
    runs = study.estimate_runs.filter(aggregation=aggregation)
    last = runs.exclude(status__in=[RunStatus.QUEUED, RunStatus.RUNNING]).first()
    pending = runs.filter(status__in=[RunStatus.QUEUED, RunStatus.RUNNING]).last()
    return {
        "pending": pending,
        "nobody_works": pending is not None and not queries.worker_is_running(),
        "failure": last if last is not None and last.status == RunStatus.FAILED else None,
        "cancelled": last if last is not None and last.status == RunStatus.CANCELLED else None,
    }


def _board(run: EstimateRun | None) -> dict[str, Any]:
    if run is None:
        return {"board": [], "board_has_reference": False}
    entries: list[MethodEstimate] = list(queries.leaderboard(run))
    axis = axis_over(
        end for entry in entries for end in (entry.lower, entry.upper, entry.reference_mean)
    )
    rows = [
        {
            "entry": entry,
            "mark": mark(
                axis,
                value=entry.mean_score,
                lower=entry.lower,
                upper=entry.upper,
                reference=entry.reference_mean,
                level=run.level,
            ),
        }
        for entry in entries
    ]
    has_reference = any(entry.reference_mean is not None for entry in entries)
    return {"board": rows, "board_axis": axis, "board_has_reference": has_reference}


def _explanations(study: Study, run: EstimateRun | None, query: QueryDict) -> dict[str, Any]:
    form = ExplanationFilterForm(query, study=study)
    form.is_valid()  # an unknown neuron or method in the address narrows nothing
    chosen = {name: row.pk for name, row in form.cleaned_data.items() if row is not None}
    context: dict[str, Any] = {"filter_form": form, "filter": chosen, "rows": []}
    if run is None:
        return context
    estimates = queries.estimates_of(run, **chosen)
    page = Paginator(estimates, EXPLANATIONS_A_PAGE).get_page(query.get("page"))
    extent = queries.score_extent(estimates)
    axis = axis_over((extent.lower, extent.upper, extent.reference_lower, extent.reference_upper))
    return {
        **context,
        "page": page,
        "previous_query": _query(query, page=str(page.number - 1)),
        "next_query": _query(query, page=str(page.number + 1)),
        "rows": [
            {
                "estimate": row,
                "mark": mark(
                    axis,
                    value=row.score,
                    lower=row.lower,
                    upper=row.upper,
                    reference=row.reference_score,
                    level=run.level,
                ),
            }
            for row in map(queries.explanation_estimate, page)
        ],
        "rows_axis": axis,
        "rows_extent": extent,
        "rows_have_reference": extent.n_with_reference > 0,
    }


def _query(query: QueryDict, **changes: str | None) -> str:
    """Return the address's query with changes; None takes a field away."""
    copy = query.copy()
    for name, value in changes.items():
        if value is None:
            copy.pop(name, None)
        else:
            copy[name] = value
    return copy.urlencode()
