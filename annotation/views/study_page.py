"""What the study page shows, put together from the queries: no rule of the domain lives here."""

from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count, Max, Q
from django.http import QueryDict

from annotation import queries
from annotation.forms import AggregationForm, ExplanationFilterForm
from annotation.models import (
    Aggregation,
    Assignment,
    AssignmentStatus,
    EstimateRun,
    MethodEstimate,
    RunStatus,
    Study,
)
from annotation.views.plots import axis_over, mark
from annotation.views.rater_table import rater_table
from annotation.views.sanity import checks_shown

EXPLANATIONS_A_PAGE = 25
RATERS_SHOWN = 50
EVENTS_SHOWN = 20


def page_context(study: Study, query: QueryDict) -> dict[str, Any]:
    """Put the whole study page together.

    Parameters
    ----------
    study : Study
    query : QueryDict
        ``aggregation``, ``neuron``, ``method``, ``page``; what cannot be read counts as not given.

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
        for choice in (Aggregation.BRAGG, Aggregation.HIERARCHICAL, Aggregation.MAJORITY)
    ]
    return {
        **context,
        "tabs": tabs,
        "query": _query(query),
        "neurons": form.neurons,
        "methods": form.methods,
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
    form = AggregationForm(query)
    aggregation = Aggregation(
        form.cleaned_data["aggregation"] if form.is_valid() else Aggregation.BRAGG
    )
    run = queries.latest_run(study, aggregation)
    progress = queries.study_progress(study)
    raters = rater_table(study)
    return {
        "study": study,
        "aggregation": aggregation,
        "aggregation_label": aggregation.label,
        "run": run,
        "level_percent": f"{run.level:.0%}" if run else "",
        "progress": progress,
        "n_newer": progress.ratings_valid - run.n_ratings if run else 0,
        **_unfinished(study, aggregation),
        **_board(run),
        **_explanations(study, run, query),
        "checks": checks_shown(run),
        "raters": raters[:RATERS_SHOWN],
        "raters_hidden": max(0, len(raters) - RATERS_SHOWN),
        "events": study.events.select_related("actor").order_by("-at", "-id")[:EVENTS_SHOWN],
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
    )
    event = study.events.aggregate(last=Max("pk"))["last"]
    return f"{study.status} {submitted.count()} {runs} {event} {query.urlencode()}"


def _unfinished(study: Study, aggregation: Aggregation) -> dict[str, EstimateRun | None]:
    """Find the run that is under way, and the last one if it failed."""
    runs = study.estimate_runs.filter(aggregation=aggregation)
    last = runs.exclude(status__in=[RunStatus.QUEUED, RunStatus.RUNNING]).first()
    return {
        "pending": runs.filter(status__in=[RunStatus.QUEUED, RunStatus.RUNNING]).first(),
        "failure": last if last is not None and last.status == RunStatus.FAILED else None,
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
    estimates = [
        row
        for row in queries.explanation_estimates(run)
        if row.explanation.neuron_id == chosen.get("neuron", row.explanation.neuron_id)
        and row.explanation.method_id == chosen.get("method", row.explanation.method_id)
    ]
    page = Paginator(estimates, EXPLANATIONS_A_PAGE).get_page(query.get("page"))
    axis = axis_over(
        end for row in estimates for end in (row.lower, row.upper, row.reference_score)
    )
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
            for row in page
        ],
        "rows_axis": axis,
        "rows_have_reference": any(row.reference_score is not None for row in estimates),
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
