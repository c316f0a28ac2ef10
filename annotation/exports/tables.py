"""The tables of a study: their columns and their rows, one at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from django.db.models import Count, Q
from django.utils.crypto import salted_hmac

from annotation.intervals import interval_covers
from annotation.models import (
    AssignmentStatus,
    Draw,
    EstimateRun,
    ExplanationTerm,
    Item,
    Rating,
    Study,
)
from annotation.queries import explanation_estimates

CHUNK = 2000
#: Of a study's raters, named once each; a study has far fewer.
RATERS_REMEMBERED = 100_000


class Kind(StrEnum):
    """What a column holds."""

    TEXT = "text"
    INTEGER = "integer"
    REAL = "real"
    BOOLEAN = "boolean"
    TIME = "time"


@dataclass(frozen=True)
class Column:
    """A column of a table; any of its values may be None."""

    name: str
    kind: Kind


@dataclass(frozen=True)
class Table:
    """Columns and a stream of rows that can be read once."""

    name: str
    columns: Sequence[Column]
    rows: Iterable[Sequence[Any]]


def _columns(**kinds: Kind) -> tuple[Column, ...]:
    return tuple(Column(name, kind) for name, kind in kinds.items())


RATING_COLUMNS = _columns(
    study=Kind.TEXT,
    sampling_design=Kind.TEXT,
    study_seed=Kind.INTEGER,
    concept=Kind.TEXT,
    item=Kind.TEXT,
    round=Kind.INTEGER,
    input_index=Kind.INTEGER,
    n_draws=Kind.INTEGER,
    draw_probability=Kind.REAL,
    inclusion_probability=Kind.REAL,
    task=Kind.INTEGER,
    assignment=Kind.TEXT,
    assignment_status=Kind.TEXT,
    rater=Kind.TEXT,
    channel=Kind.TEXT,
    value=Kind.TEXT,
    counted=Kind.BOOLEAN,
    gold=Kind.TEXT,
    late=Kind.BOOLEAN,
    excluded=Kind.BOOLEAN,
    n_revisions=Kind.INTEGER,
    response_ms=Kind.INTEGER,
    rated_at=Kind.TIME,
    leased_at=Kind.TIME,
    submitted_at=Kind.TIME,
)
DRAW_COLUMNS = _columns(
    study=Kind.TEXT,
    model=Kind.TEXT,
    layer=Kind.TEXT,
    pool=Kind.TEXT,
    unit=Kind.INTEGER,
    concept=Kind.TEXT,
    round=Kind.INTEGER,
    sampling_design=Kind.TEXT,
    parameters=Kind.TEXT,
    n_draws=Kind.INTEGER,
    seed=Kind.INTEGER,
    position=Kind.INTEGER,
    input_index=Kind.INTEGER,
    draw_probability=Kind.REAL,
)
ITEM_COLUMNS = _columns(
    study=Kind.TEXT,
    concept=Kind.TEXT,
    item=Kind.TEXT,
    round=Kind.INTEGER,
    task=Kind.INTEGER,
    position=Kind.INTEGER,
    input_index=Kind.INTEGER,
    input_file=Kind.TEXT,
    gold=Kind.TEXT,
    n_draws=Kind.INTEGER,
    draw_probability=Kind.REAL,
    inclusion_probability=Kind.REAL,
    redundancy=Kind.INTEGER,
    n_counted=Kind.INTEGER,
)
EXPLANATION_COLUMNS = _columns(
    study=Kind.TEXT,
    method=Kind.TEXT,
    model=Kind.TEXT,
    layer=Kind.TEXT,
    pool=Kind.TEXT,
    unit=Kind.INTEGER,
    concept=Kind.TEXT,
    weight=Kind.REAL,
    bias=Kind.REAL,
)
ESTIMATE_COLUMNS = _columns(
    study=Kind.TEXT,
    run=Kind.TEXT,
    aggregation=Kind.TEXT,
    estimator=Kind.TEXT,
    seed=Kind.INTEGER,
    model=Kind.TEXT,
    layer=Kind.TEXT,
    pool=Kind.TEXT,
    unit=Kind.INTEGER,
    method=Kind.TEXT,
    explanation=Kind.TEXT,
    score=Kind.REAL,
    lower=Kind.REAL,
    upper=Kind.REAL,
    level=Kind.REAL,
    interval_covers=Kind.TEXT,
    standard_error=Kind.REAL,
    n_effective=Kind.REAL,
    n_inputs_rated=Kind.INTEGER,
    reference_score=Kind.REAL,
    warnings=Kind.TEXT,
)


def study_table(study: Study, name: str) -> Table | None:
    """Find a table of a study by name.

    Parameters
    ----------
    study : Study
        Any.
    name : str
        ``"ratings"``, ``"draws"``, ``"items"`` or ``"explanations"``.

    Returns
    -------
    Table or None
        None for another name.
    """
    found = _TABLES.get(name)
    if found is None:
        return None
    columns, rows = found
    return Table(name, columns, rows(study))


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
        Values of `RATING_COLUMNS`. `counted` is whether estimates of scores rest on it: its
        assignment was submitted in time, is not excluded, and the item is no gold item. `round` is
        the one that made the item, `draw_probability` that of the pooled draws of the concept (over
        several rounds the harmonic mean), `inclusion_probability` the item's chance to be made by
        its round.
    """
    ratings = (
        Rating.objects.filter(item__study=study)
        .annotate(n_revisions=Count("revisions"))
        .order_by("pk")
        .values_list(
            "item__concept__text",
            "item__public_id",
            "item__round__number",
            "item__probe_input__index",
            "item__n_draws",
            "item__draw_probability",
            "item__inclusion_probability",
            "item__gold_value",
            "assignment__task__number",
            "assignment__public_id",
            "assignment__status",
            "assignment__late_at",
            "assignment__leased_at",
            "assignment__submitted_at",
            "rater__public_id",
            "rater__channel",
            "value",
            "n_revisions",
            "response_ms",
            "rated_at",
        )
    )
    # a rater has many ratings, and a keyed hash costs more than all else here
    pseudonym = lru_cache(RATERS_REMEMBERED)(lambda public_id: rater_pseudonym(study, public_id))
    for (
        concept,
        item,
        round_,
        index,
        n_draws,
        draw_probability,
        inclusion_probability,
        gold,
        task,
        assignment,
        status,
        late_at,
        leased_at,
        submitted_at,
        rater,
        channel,
        value,
        n_revisions,
        response_ms,
        rated_at,
    ) in ratings.iterator(chunk_size=CHUNK):
        yield (
            study.slug,
            study.sampling_design,
            study.seed,
            concept,
            item,
            round_,
            index,
            n_draws,
            draw_probability,
            inclusion_probability,
            task,
            assignment,
            status,
            pseudonym(rater),
            channel,
            value,
            status == AssignmentStatus.SUBMITTED and not gold,
            gold,
            late_at is not None,
            status == AssignmentStatus.EXCLUDED,
            n_revisions,
            response_ms,
            rated_at,
            leased_at,
            submitted_at,
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
        Values of `DRAW_COLUMNS`, round after round; `parameters` is a JSON object. A draw of an
        adaptive round cannot be made again from its seed: its probability is that of the concept's
        pooled draws in its round.
    """
    import json

    draws = Draw.objects.filter(pair_sample__study=study).order_by(
        "pair_sample__round__number", "pair_sample_id", "position"
    )
    for row in draws.values_list(
        "pair_sample__neuron__activations__model_name",
        "pair_sample__neuron__activations__layer",
        "pair_sample__neuron__activations__pool",
        "pair_sample__neuron__unit",
        "pair_sample__concept__text",
        "pair_sample__round__number",
        "pair_sample__sampling_design",
        "pair_sample__parameters",
        "pair_sample__n_draws",
        "pair_sample__seed",
        "position",
        "probe_input__index",
        "probability",
    ).iterator(chunk_size=CHUNK):
        *names, parameters, n_draws, seed, position, index, probability = row
        yield (
            study.slug,
            *names,
            json.dumps(parameters, sort_keys=True),
            n_draws,
            seed,
            position,
            index,
            probability,
        )


def item_rows(study: Study) -> Iterator[tuple[Any, ...]]:
    """List what is rated, with the chance that the design gave it.

    Parameters
    ----------
    study : Study
        Any.

    Yields
    ------
    tuple
        Values of `ITEM_COLUMNS`. `gold` is the known answer of a gold item: it was not drawn, has
        no probability and is in no estimate's sample.
    """
    items = (
        Item.objects.filter(study=study)
        .annotate(
            n_counted=Count(
                "ratings", filter=Q(ratings__assignment__status=AssignmentStatus.SUBMITTED)
            )
        )
        .order_by("task__number", "position")
    )
    for row in items.values_list(
        "concept__text",
        "public_id",
        "round__number",
        "task__number",
        "position",
        "probe_input__index",
        "probe_input__file",
        "gold_value",
        "n_draws",
        "draw_probability",
        "inclusion_probability",
        "n_counted",
    ).iterator(chunk_size=CHUNK):
        *described, n_counted = row
        yield (study.slug, *described, study.redundancy, n_counted)


def explanation_rows(study: Study) -> Iterator[tuple[Any, ...]]:
    """List what the methods say: one row a term.

    Parameters
    ----------
    study : Study
        Any.

    Yields
    ------
    tuple
        Values of `EXPLANATION_COLUMNS`.
    """
    # in the order in which they are scored: labels are imputed one concept after the other
    terms = ExplanationTerm.objects.filter(explanation__study=study).order_by(
        "explanation_id", "concept_id"
    )
    for row in terms.values_list(
        "explanation__method__name",
        "explanation__neuron__activations__model_name",
        "explanation__neuron__activations__layer",
        "explanation__neuron__activations__pool",
        "explanation__neuron__unit",
        "concept__text",
        "weight",
        "explanation__bias",
    ).iterator(chunk_size=CHUNK):
        yield (study.slug, *row)


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
            run.seed,
            matrix.model_name,
            matrix.layer,
            matrix.pool,
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


_TABLES: dict[str, tuple[Sequence[Column], Callable[[Study], Iterator[tuple[Any, ...]]]]] = {
    "ratings": (RATING_COLUMNS, rating_rows),
    "draws": (DRAW_COLUMNS, draw_rows),
    "items": (ITEM_COLUMNS, item_rows),
    "explanations": (EXPLANATION_COLUMNS, explanation_rows),
}
