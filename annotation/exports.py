"""Exports: every rating with the design behind it, and every estimate. Streamed, row by row."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Count
from django.utils.crypto import salted_hmac

from annotation.intervals import interval_covers, interval_note
from annotation.models import (
    AssignmentStatus,
    Draw,
    EstimateRun,
    Rating,
    Study,
)
from annotation.queries import explanation_estimates, leaderboard

CHUNK = 2000

RATING_COLUMNS = (
    "study",
    "sampling_design",
    "study_seed",
    "concept",
    "item",
    "input_index",
    "n_draws",
    "draw_probability",
    "inclusion_probability",
    "task",
    "assignment",
    "assignment_status",
    "rater",
    "channel",
    "value",
    "counted",
    "late",
    "n_revisions",
    "response_ms",
    "rated_at",
    "leased_at",
    "submitted_at",
)
DRAW_COLUMNS = (
    "study",
    "model",
    "layer",
    "pool",
    "unit",
    "concept",
    "sampling_design",
    "parameters",
    "seed",
    "position",
    "input_index",
    "draw_probability",
)
ESTIMATE_COLUMNS = (
    "study",
    "run",
    "aggregation",
    "estimator",
    "model",
    "layer",
    "unit",
    "method",
    "explanation",
    "score",
    "lower",
    "upper",
    "level",
    "interval_covers",
    "standard_error",
    "n_effective",
    "n_inputs_rated",
    "reference_score",
    "warnings",
)


class _Echo:
    """A file that hands every line back: what a streaming response sends."""

    def write(self, value: str) -> str:
        return value


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Write rows as CSV, one line at a time.

    Parameters
    ----------
    columns : sequence of str
        The header.
    rows : iterable of sequence
        The values; None becomes an empty field, times ISO 8601.

    Yields
    ------
    str
        Lines, each with its line end.
    """
    writer = csv.writer(_Echo())
    yield writer.writerow(columns)
    for row in rows:
        yield writer.writerow([_field(value) for value in row])


def rater_pseudonym(study: Study, public_id: object) -> str:
    """Name a rater in a study's exports.

    Parameters
    ----------
    study : Study
        The same rater has another pseudonym in another study.
    public_id : UUID
        The rater's.

    Returns
    -------
    str
        16 hexadecimal digits of a hash salted with the server's key and the study.
    """
    return salted_hmac(
        f"annotation.export.{study.slug}", str(public_id), algorithm="sha256"
    ).hexdigest()[:16]


def rating_rows(study: Study) -> Iterator[tuple[Any, ...]]:
    """List every rating of a study, also those that do not count.

    Parameters
    ----------
    study : Study
        Any.

    Yields
    ------
    tuple
        Values of `RATING_COLUMNS`. `counted` is whether the assignment was submitted in time;
        estimates rest on those alone. `draw_probability` is that of the pooled draws of the
        concept, `inclusion_probability` the item's chance of being in the study at all.
    """
    ratings = (
        Rating.objects.filter(item__study=study)
        .select_related("item__concept", "item__probe_input", "assignment__task", "rater")
        .annotate(n_revisions=Count("revisions"))
        .order_by("pk")
    )
    for rating in ratings.iterator(chunk_size=CHUNK):
        item, assignment = rating.item, rating.assignment
        yield (
            study.slug,
            study.sampling_design,
            study.seed,
            item.concept.text,
            item.public_id,
            item.probe_input.index,
            item.n_draws,
            item.draw_probability,
            item.inclusion_probability,
            assignment.task.number,
            assignment.public_id,
            assignment.status,
            rater_pseudonym(study, rating.rater.public_id),
            rating.rater.channel,
            rating.value,
            assignment.status == AssignmentStatus.SUBMITTED,
            assignment.late_at is not None,
            rating.n_revisions,
            rating.response_ms,
            rating.rated_at,
            assignment.leased_at,
            assignment.submitted_at,
        )


def draw_rows(study: Study) -> Iterator[tuple[Any, ...]]:
    """List every draw of a study: with the ratings, all that importance weights need.

    Parameters
    ----------
    study : Study
        Any.

    Yields
    ------
    tuple
        Values of `DRAW_COLUMNS`.
    """
    draws = (
        Draw.objects.filter(pair_sample__study=study)
        .select_related("pair_sample__neuron__activations", "pair_sample__concept", "probe_input")
        .order_by("pair_sample_id", "position")
    )
    for draw in draws.iterator(chunk_size=CHUNK):
        sample = draw.pair_sample
        matrix = sample.neuron.activations
        yield (
            study.slug,
            matrix.model_name,
            matrix.layer,
            matrix.pool,
            sample.neuron.unit,
            sample.concept.text,
            sample.sampling_design,
            " ".join(f"{name}={value}" for name, value in sample.parameters.items()),
            sample.seed,
            draw.position,
            draw.probe_input.index,
            draw.probability,
        )


def estimate_rows(run: EstimateRun) -> Iterator[tuple[Any, ...]]:
    """List the estimates of a run.

    Parameters
    ----------
    run : EstimateRun
        Finished.

    Yields
    ------
    tuple
        Values of `ESTIMATE_COLUMNS`.
    """
    for row in explanation_estimates(run):
        matrix = row.explanation.neuron.activations
        yield (
            run.study.slug,
            run.public_id,
            run.aggregation,
            run.estimator,
            matrix.model_name,
            matrix.layer,
            row.explanation.neuron.unit,
            row.method,
            row.text,
            row.score,
            row.lower,
            row.upper,
            run.level,
            interval_covers(run.aggregation),
            row.estimate.standard_error,
            row.estimate.n_effective,
            row.n_inputs_rated,
            row.reference_score,
            "; ".join(row.warnings),
        )


def estimates_document(run: EstimateRun) -> dict[str, Any]:
    """Put a run with all that it rests on into one JSON document.

    Parameters
    ----------
    run : EstimateRun
        Finished.

    Returns
    -------
    dict
        JSON values: ``study``, ``run``, ``leaderboard``, ``estimates``.
    """
    study = run.study
    return {
        "study": {
            "slug": study.slug,
            "title": study.title,
            "dataset": study.dataset.name,
            "n_inputs": study.dataset.n_inputs,
            "concept_prior": study.concept_prior.name,
            "sampling_design": study.sampling_design,
            "sampling_parameters": study.sampling_parameters,
            "seed": study.seed,
            "inputs_per_pair": study.inputs_per_pair,
            "redundancy": study.redundancy,
        },
        "run": {
            "id": str(run.public_id),
            "aggregation": run.aggregation,
            "estimator": run.estimator,
            "level": run.level,
            "interval_covers": interval_covers(run.aggregation),
            "interval_note": interval_note(run.aggregation),
            "seed": run.seed,
            "n_ratings": run.n_ratings,
            "finished_at": None if run.finished_at is None else run.finished_at.isoformat(),
            "diagnostics": run.diagnostics,
            "sanity_checks": run.sanity_checks,
        },
        "leaderboard": [
            {
                "method": row.method.name,
                "rank": row.rank,
                "rank_lower": row.rank_lower,
                "rank_upper": row.rank_upper,
                "mean_score": row.mean_score,
                "lower": row.lower,
                "upper": row.upper,
                "probability_best": row.probability_best,
                "n_neurons": row.n_neurons,
                "reference_mean": row.reference_mean,
            }
            for row in leaderboard(run)
        ],
        "estimates": [
            {
                "model": row.explanation.neuron.activations.model_name,
                "layer": row.explanation.neuron.activations.layer,
                "unit": row.explanation.neuron.unit,
                "method": row.method,
                "explanation": row.text,
                "terms": [
                    {"concept": term.concept.text, "weight": term.weight}
                    for term in row.explanation.terms.all()
                ],
                "score": row.score,
                "lower": row.lower,
                "upper": row.upper,
                "standard_error": row.estimate.standard_error,
                "n_effective": row.estimate.n_effective,
                "n_inputs_rated": row.n_inputs_rated,
                "reference_score": row.reference_score,
                "warnings": row.warnings,
            }
            for row in explanation_estimates(run)
        ],
    }


def _field(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return "true" if value else "false"
    return value
