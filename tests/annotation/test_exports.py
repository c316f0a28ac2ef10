"""Exports: everything is in them, nobody's identity is, and they are streamed."""

import csv
import io
import json
from datetime import datetime

import pytest

from annotation.exports import (
    DRAW_COLUMNS,
    ESTIMATE_COLUMNS,
    RATING_COLUMNS,
    csv_lines,
    draw_rows,
    estimate_rows,
    estimates_document,
    rater_pseudonym,
    rating_rows,
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
    assert {row["interval_covers"] for row in rows} == {"sampling_error"}
    assert document["run"]["interval_covers"] == "sampling_error"
    assert "leaves out how far the labels by BRAgg" in document["run"]["interval_note"]
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
