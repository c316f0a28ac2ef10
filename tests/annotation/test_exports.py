"""Exports: everything is in them, nobody's identity is, and they are streamed."""

import csv
import io
import json
import tracemalloc
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from annotation.exceptions import ArrayProblem
from annotation.exports import (
    DRAW_COLUMNS,
    ESTIMATE_COLUMNS,
    FORMATS,
    RATING_COLUMNS,
    TABLES,
    Column,
    Kind,
    Table,
    csv_lines,
    draw_rows,
    estimate_rows,
    estimates_document,
    export_table,
    rater_pseudonym,
    rating_rows,
    spreadsheet_safe,
    spreadsheet_unsafe,
)
from annotation.models import Assignment, Draw, Rating
from annotation.services.assignments import assignment_lease
from annotation.services.estimates import estimate_request, estimate_run
from annotation.services.raters import rater_arrive
from annotation.services.ratings import ratings_save
from tests.annotation.factories import make_participation, make_study, rate_study, rate_task

pytestmark = pytest.mark.django_db


def parsed(columns, rows) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(csv_lines(columns, rows)))))


def test_every_rating_is_exported_with_its_design() -> None:
    study = make_study(seed=3)
    rate_study(study, max_tasks=2)
    open_lease = assignment_lease(participation=make_participation(study))
    item = open_lease.task.items.first()
    for value in ("present", "absent"):
        ratings_save(assignment=open_lease, values={item.public_id: value})
    rows = parsed(RATING_COLUMNS, rating_rows(study))
    assert len(rows) == Rating.objects.count()
    by_key = {(row["item"], row["assignment"]): row for row in rows}
    for rating in Rating.objects.select_related("item__probe_input", "assignment"):
        row = by_key[str(rating.item.public_id), str(rating.assignment.public_id)]
        assert (row["study"], row["sampling_design"], row["study_seed"]) == (
            study.slug,
            "model_guided",
            "3",
        )
        assert int(row["input_index"]) == rating.item.probe_input.index
        assert float(row["draw_probability"]) == rating.item.draw_probability
        assert float(row["inclusion_probability"]) == rating.item.inclusion_probability
        assert row["value"] == rating.value
        assert row["counted"] == ("true" if rating.assignment != open_lease else "false")
        assert datetime.fromisoformat(row["rated_at"]) == rating.rated_at
    changed = by_key[str(item.public_id), str(open_lease.public_id)]
    assert (changed["value"], changed["n_revisions"], changed["submitted_at"]) == (
        "absent",
        "1",
        "",
    )


def test_raters_are_salted_hashes_that_differ_between_studies(settings) -> None:
    studies = [make_study(), make_study()]
    for study in studies:
        rater_arrive(study=study, channel="direct", external_id="PANEL-ID-1")
        rate_task(assignment_lease(participation=make_participation(study, "PANEL-ID-1")), "absent")
    texts = ["".join(csv_lines(RATING_COLUMNS, rating_rows(study))) for study in studies]
    raters = [{row["rater"] for row in parsed(RATING_COLUMNS, rating_rows(s))} for s in studies]
    assert [len(names) for names in raters] == [1, 1]
    assert raters[0] != raters[1]
    rater = Rating.objects.first().rater
    for text in texts:
        assert "PANEL-ID-1" not in text
        assert str(rater.public_id) not in text
        assert rater.external_id_hash not in text
    before = rater_pseudonym(studies[0], rater.public_id)
    settings.SECRET_KEY = "another key"
    assert rater_pseudonym(studies[0], rater.public_id) != before


def test_draws_are_exported_with_probability_and_seed() -> None:
    study = make_study()
    rows = parsed(DRAW_COLUMNS, draw_rows(study))
    assert len(rows) == Draw.objects.count() == 4 * 20
    first = study.pair_samples.first()
    own = [row for row in rows if row["seed"] == str(first.seed)]
    draws = first.draws.order_by("position")
    assert [int(row["input_index"]) for row in own] == [d.probe_input.index for d in draws]
    assert [float(row["draw_probability"]) for row in own] == [d.probability for d in draws]


def test_ratings_are_streamed(django_assert_num_queries) -> None:
    study = make_study()
    rate_study(study)
    assert Rating.objects.count() > 50
    with django_assert_num_queries(1):
        lines = csv_lines(RATING_COLUMNS, rating_rows(study))
        assert next(lines).startswith("study,")
        rest = list(lines)
    assert len(rest) == Rating.objects.count()


def test_estimates_in_both_forms_agree() -> None:
    study = make_study()
    rate_study(study)
    run = estimate_run(
        run=estimate_request(study=study, aggregation="bragg", enqueue=False, live=True)
    )
    rows = parsed(ESTIMATE_COLUMNS, estimate_rows(run))
    document = json.loads(json.dumps(estimates_document(run), allow_nan=False))
    assert len(rows) == len(document["estimates"]) == 4
    for row, entry in zip(rows, document["estimates"], strict=True):
        assert float(row["score"]) == entry["score"]
        assert (row["method"], row["explanation"]) == (entry["method"], entry["explanation"])
        assert entry["terms"] == [{"concept": entry["explanation"], "weight": 1.0}]
    assert {row["interval_covers"] for row in rows} == {"sampling_error_and_label_uncertainty"}
    assert document["run"]["interval_covers"] == "sampling_error_and_label_uncertainty"
    assert "takes its error rate and the concept prior as given" in document["run"]["interval_note"]
    assert {row["seed"] for row in rows} == {str(run.seed)}
    assert document["run"]["n_ratings"] == Rating.objects.count()
    assert document["study"]["seed"] == 0
    assert [row["method"] for row in document["leaderboard"]] == ["Good", "Bad"]


def test_late_answers_are_marked() -> None:
    study = make_study(redundancy=1)
    assignment = assignment_lease(participation=make_participation(study))
    rate_task(assignment, "present")
    Assignment.objects.filter(pk=assignment.pk).update(
        status="expired", late_at=assignment.leased_at, submitted_at=None
    )
    rows = parsed(RATING_COLUMNS, rating_rows(study))
    assert {(row["counted"], row["late"]) for row in rows} == {("false", "true")}


def all_forms(study, name: str) -> dict[str, list[dict]]:
    """A table in each format, read by somebody else's reader."""

    def chunks(form: str) -> bytes:
        table = export_table(study, name)
        assert table is not None
        return b"".join(FORMATS[form].chunks(table))

    return {
        "csv": list(csv.DictReader(io.StringIO(chunks("csv").decode(), newline=""))),
        "jsonl": [json.loads(line) for line in chunks("jsonl").decode().splitlines()],
        "parquet": parquet.read_table(io.BytesIO(chunks("parquet"))).to_pylist(),
    }


@pytest.mark.parametrize("name", TABLES)
def test_the_formats_agree(name: str) -> None:
    study = make_study()
    rate_study(study, max_tasks=2)
    estimate_run(run=estimate_request(study=study, aggregation="majority", enqueue=False))
    forms = all_forms(study, name)
    columns = [column.name for column in export_table(study, name).columns]
    assert len(forms["jsonl"]) == len(forms["parquet"]) == len(forms["csv"]) > 0
    for as_csv, as_json, as_parquet in zip(*forms.values(), strict=True):
        assert list(as_json) == list(as_parquet) == list(as_csv) == columns
        for column in columns:
            value = as_parquet[column]
            if isinstance(value, datetime):
                assert datetime.fromisoformat(as_json[column]) == value
                assert datetime.fromisoformat(as_csv[column]) == value
                continue
            assert as_json[column] == value
            text = str(value).lower() if isinstance(value, bool) else value
            if isinstance(value, float):
                assert float(as_csv[column]) == value
            else:
                assert as_csv[column] == ("" if text is None else str(text))


def test_a_spreadsheet_runs_nothing() -> None:
    texts = ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "'=1", "''-2", "'quoted'", "cat", "", "a=b"]
    columns = (Column("=name", Kind.TEXT), Column("number", Kind.REAL))
    out = "".join(csv_lines(columns, [(text, -1.5) for text in texts]))
    rows = list(csv.reader(io.StringIO(out, newline="")))
    assert rows[0] == ["'=name", "number"]
    assert not [row[0] for row in rows if row[0][:1] in set("=+-@\t\r")]
    assert {row[1] for row in rows[1:]} == {"-1.5"}
    assert [spreadsheet_unsafe(row[0]) for row in rows[1:]] == texts


@given(st.text(alphabet="'=+-@\t\rab", max_size=6))
def test_making_a_text_safe_can_be_taken_back(text: str) -> None:
    assert spreadsheet_unsafe(spreadsheet_safe(text)) == text


def test_items_carry_the_design() -> None:
    study = make_study(redundancy=2)
    rate_study(study)
    rows = {row["item"]: row for row in all_forms(study, "items")["jsonl"]}
    assert len(rows) == study.items.count()
    for item in study.items.select_related("probe_input", "task"):
        row = rows[str(item.public_id)]
        assert row["inclusion_probability"] == item.inclusion_probability
        assert (row["task"], row["position"]) == (item.task.number, item.position)
        assert (row["input_file"], row["n_counted"]) == (item.probe_input.file, 2)


def test_inputs_are_the_files_themselves() -> None:
    study = make_study(n_inputs=25)
    rows = all_forms(study, "inputs")["csv"]
    matrix = study.explanations.first().neuron.activations
    activations = np.load(matrix.absolute_path)
    prior = np.load(study.concept_prior.absolute_path)
    for unit in range(2):
        own = [float(row[f"activation:tiny:layer1:none:{unit}"]) for row in rows]
        assert own == activations[:, unit].tolist()
    assert [float(row["prior:concept 1"]) for row in rows] == prior[:, 1].tolist()
    assert {row["reference:concept 0"] for row in rows} == {"0.0", "1.0"}
    study.concept_prior.absolute_path.unlink()
    with pytest.raises(ArrayProblem, match="cheap model"):
        export_table(study, "inputs")


@pytest.mark.parametrize("form", FORMATS)
def test_a_long_export_is_never_held_whole(form: str) -> None:
    """20,000 rows of ratings pass; a twentieth of what they weigh together is in memory."""
    row = tuple(
        {
            Kind.TEXT: "some text that a column has",
            Kind.INTEGER: 12345,
            Kind.REAL: 0.12345,
            Kind.BOOLEAN: True,
            Kind.TIME: datetime(2026, 1, 1, tzinfo=UTC),
        }[column.kind]
        for column in RATING_COLUMNS
    )
    sent = 0

    def rows():
        for number in range(20_000):
            yield (f"study {number}", *row[1:])

    for _ in FORMATS[form].chunks(Table("ratings", RATING_COLUMNS, [row])):
        pass  # imports and caches are made before the measurement
    tracemalloc.start()
    for chunk in FORMATS[form].chunks(Table("ratings", RATING_COLUMNS, rows())):
        sent += len(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sent > 100_000
    assert peak < 8_000_000
