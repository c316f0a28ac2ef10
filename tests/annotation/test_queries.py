"""Reads: right counts, and a number of queries that does not grow."""

import pytest

from annotation.models import Explanation
from annotation.queries import (
    assignment_items,
    explanation_estimates,
    explanation_text,
    item_to_rate,
    latest_checks,
    latest_run,
    leaderboard,
    participation_progress,
    study_progress,
)
from annotation.services.assignments import assignment_lease
from annotation.services.estimates import estimate_request, estimate_run
from annotation.services.ratings import ratings_save
from annotation.services.studies import NewExplanation, explanations_add
from tests.annotation.factories import make_participation, make_study, rate_study, rate_task

pytestmark = pytest.mark.django_db


def test_progress_counts_what_is_submitted(django_assert_max_num_queries) -> None:
    study = make_study(redundancy=2)
    rate_study(study, max_tasks=3)
    open_lease = assignment_lease(participation=make_participation(study))
    item = open_lease.task.items.first()
    ratings_save(assignment=open_lease, values={item.public_id: "present"})
    with django_assert_max_num_queries(4):
        progress = study_progress(study)
    n_items = study.items.count()
    submitted = study.tasks.filter(assignments__status="submitted")
    n_valid = sum(task.items.count() for task in submitted)
    assert (progress.items, progress.tasks) == (n_items, study.tasks.count())
    assert (progress.ratings_wanted, progress.ratings_valid) == (2 * n_items, n_valid)
    assert (progress.assignments_submitted, progress.assignments_leased) == (3, 1)
    assert progress.raters == 1
    assert [row.concept for row in progress.per_concept] == ["concept 0", "concept 1"]
    assert sum(row.items for row in progress.per_concept) == n_items
    assert sum(row.ratings_valid for row in progress.per_concept) == n_valid
    assert sum(row.ratings_wanted for row in progress.per_concept) == 2 * n_items


def test_the_progress_of_a_draft_is_zero() -> None:
    progress = study_progress(make_study(launched=False))
    assert (progress.items, progress.ratings_wanted, progress.per_concept) == (0, 0, [])


def test_leaderboard_and_estimates_in_a_fixed_number_of_queries(
    django_assert_num_queries,
) -> None:
    study = make_study(n_neurons=4)
    rate_study(study)
    run = estimate_run(
        run=estimate_request(study=study, aggregation="bragg", enqueue=False, live=True)
    )
    with django_assert_num_queries(1):
        names = [row.method.name for row in leaderboard(run)]
    assert names == ["Good", "Bad"]
    with django_assert_num_queries(3):  # estimates, terms, concepts
        rows = explanation_estimates(run)
        texts = [(row.neuron, row.method, row.text) for row in rows]
    assert texts == [
        (f"layer1:{unit}", method, f"concept {(unit + shift) % 2}")
        for unit in range(4)
        for method, shift in (("Bad", 1), ("Good", 0))
    ]
    assert all(row.lower <= row.score <= row.upper for row in rows)


def test_the_latest_run_is_the_last_that_finished() -> None:
    study = make_study()
    rate_study(study)
    assert latest_run(study) is None

    def run(aggregation: str, *, live: bool = True):
        return estimate_run(
            run=estimate_request(study=study, aggregation=aggregation, enqueue=False, live=live)
        )

    bragg, majority = run("bragg"), run("majority")
    estimate_request(study=study, aggregation="majority", enqueue=False)
    assert latest_run(study) == majority
    assert latest_run(study, "bragg") == bragg
    assert latest_run(study, "hierarchical") is None
    assert latest_checks(study) is None


def test_explanations_in_words() -> None:
    study = make_study(launched=False)
    matrix = study.explanations.first().neuron.activations
    Explanation.objects.all().delete()
    words = {
        "concept 1": {"concept 1": 1.0},
        "0.7 concept 0 - 0.25 concept 1": {"concept 1": -0.25, "concept 0": 0.7},
        "- 2 concept 1 + 1 concept 0": {"concept 0": 1.0, "concept 1": -2.0},
        "- 1 concept 0": {"concept 0": -1.0},
    }
    for number, (text, terms) in enumerate(words.items()):
        (explanation,) = explanations_add(
            study=study,
            method=f"Method {number}",
            explanations=[NewExplanation(matrix, 0, terms)],
        )
        assert explanation_text(explanation) == text


def test_items_of_an_assignment_have_an_order_of_their_own(django_assert_num_queries) -> None:
    study = make_study(n_inputs=60, redundancy=2, inputs_per_pair=40)
    first = assignment_lease(participation=make_participation(study))
    others = [assignment_lease(participation=make_participation(study)) for _ in range(12)]
    second = next(other for other in others if other.task_id == first.task_id)
    item = first.task.items.first()
    ratings_save(assignment=first, values={item.public_id: "absent"})
    with django_assert_num_queries(2):
        rows = assignment_items(first)
    assert [row.public_id for row in rows] == [r.public_id for r in assignment_items(first)]
    theirs = assignment_items(second)
    assert {row.public_id for row in rows} == {row.public_id for row in theirs}
    assert [row.public_id for row in rows] != [row.public_id for row in theirs]
    assert {row.public_id: row.value for row in rows if row.value} == {item.public_id: "absent"}
    assert {row.image_public_id for row in rows} == set(
        first.task.items.values_list("probe_input__public_id", flat=True)
    )


def test_a_raters_progress() -> None:
    participation = make_participation(make_study())
    progress = participation_progress(participation)
    assert (progress.submitted, progress.has_lease) == (0, False)
    rate_task(assignment_lease(participation=participation), "present")
    assignment_lease(participation=participation)
    progress = participation_progress(participation)
    assert (progress.submitted, progress.late, progress.has_lease) == (1, 0, True)


def test_an_item_is_found_by_its_own_rater_only(django_assert_num_queries) -> None:
    study = make_study()
    assignment = assignment_lease(participation=make_participation(study))
    other = assignment_lease(participation=make_participation(study))
    item = assignment.task.items.first()
    asked = {
        "participation_id": assignment.participation.public_id,
        "study_slug": study.slug,
        "assignment_id": assignment.public_id,
        "item_id": item.public_id,
    }
    with django_assert_num_queries(1):
        assert item_to_rate(**asked) == (assignment, item)
    for wrong in (
        {"participation_id": other.participation.public_id},
        {"assignment_id": other.public_id},
        {"item_id": other.task.items.first().public_id},
        {"study_slug": "another"},
    ):
        assert item_to_rate(**{**asked, **wrong}) is None
