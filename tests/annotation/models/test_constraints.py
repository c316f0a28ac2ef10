"""The database itself refuses what must never be, whoever writes."""

import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from annotation.models import (
    Assignment,
    AssignmentStatus,
    EstimateRun,
    Item,
    Participation,
    Rating,
    SamplingRound,
    Study,
)
from annotation.services.assignments import assignment_lease
from tests.annotation.factories import make_participation, make_study

pytestmark = pytest.mark.django_db


def leased() -> Assignment:
    assignment = assignment_lease(participation=make_participation(make_study()))
    assert assignment is not None
    return assignment


def another(assignment: Assignment, **changes) -> Assignment:
    """An assignment of the same task by another rater, in another slot unless told otherwise."""
    now = timezone.now()
    fields = {
        "task": assignment.task,
        "participation": make_participation(assignment.task.study),
        "slot": 1,
        "redundancy": 3,
        "leased_at": now,
        "expires_at": now + timedelta(minutes=1),
    }
    return Assignment(**{**fields, **changes})


def refused(constraint: str, save) -> None:
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        save()
    # SQLite names columns, not constraints, when a unique one breaks
    assert constraint in str(caught.value) or "UNIQUE constraint failed" in str(caught.value)


def test_a_slot_is_held_once() -> None:
    first = leased()
    refused("assignment_slot_held_once", another(first, slot=first.slot).save)


def test_a_slot_that_was_given_back_is_free() -> None:
    first = leased()
    Assignment.objects.filter(pk=first.pk).update(status=AssignmentStatus.EXPIRED)
    another(first, slot=first.slot).save()


def test_no_slot_beyond_the_redundancy() -> None:
    refused("assignment_slot_within_redundancy", another(leased(), slot=3).save)


def test_a_rater_has_a_task_once() -> None:
    first = leased()
    Assignment.objects.filter(pk=first.pk).update(status=AssignmentStatus.RETURNED)
    again = another(first, participation=first.participation)
    refused("assignment_rater_once_a_task", again.save)


def test_a_rater_holds_one_lease() -> None:
    first = leased()
    other_task = first.task.study.tasks.exclude(pk=first.task_id).first()
    second = another(first, participation=first.participation, task=other_task)
    refused("assignment_one_lease_a_rater", second.save)


def test_submitted_needs_a_time() -> None:
    first = leased()
    refused(
        "assignment_submitted_when",
        lambda: Assignment.objects.filter(pk=first.pk).update(status=AssignmentStatus.SUBMITTED),
    )


def test_late_only_after_expiry() -> None:
    first = leased()
    refused(
        "assignment_late_when_expired",
        lambda: Assignment.objects.filter(pk=first.pk).update(late_at=timezone.now()),
    )


@pytest.mark.parametrize("field", ["client_id", "item", "value"])
def test_ratings(field: str) -> None:
    assignment = leased()
    items = list(assignment.task.items.all()[:2])
    fields = {
        "assignment": assignment,
        "rater": assignment.participation.rater,
        "item": items[0],
        "value": "present",
        "client_id": uuid.uuid4(),
        "rated_at": timezone.now(),
    }
    Rating.objects.create(**fields)
    different = {"item": items[1], "client_id": uuid.uuid4()}
    if field == "value":
        changes = {**different, "value": "perhaps"}
    else:
        changes = {name: value for name, value in different.items() if name != field}
    refused("rating_", Rating(**{**fields, **changes}).save)


def test_an_item_is_one_concept_and_input() -> None:
    item = Item.objects.filter(study=make_study()).first()
    assert item is not None
    copy = Item(
        study=item.study,
        task=item.task,
        round=item.round,
        concept=item.concept,
        probe_input=item.probe_input,
        position=99,
    )
    refused("item_once", copy.save)


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"number": 1, "design": "uniform"}, "sampling_round_number"),
        ({"number": 0, "design": "uniform"}, "sampling_round_numbers"),
        ({"n_draws": 0}, "sampling_round_numbers"),
        ({"design": "by hand"}, "sampling_round_design"),
        ({"half_width": 0.0}, "sampling_round_half_width"),
    ],
)
def test_rounds_are_numbered_and_have_a_design(changes: dict, constraint: str) -> None:
    study = make_study()
    fields = {"number": 2, "design": "adaptive", "n_draws": 5, "seed": 1, **changes}
    row = SamplingRound(study=study, drawn_at=timezone.now(), **fields)
    refused(constraint, row.save)


def test_the_launch_is_not_adaptive_and_a_pair_draws_once_a_round() -> None:
    study = make_study()
    launch = study.sampling_rounds.get()
    refused(
        "sampling_round_adaptive_later",
        lambda: SamplingRound.objects.filter(pk=launch.pk).update(design="adaptive"),
    )
    sample = study.pair_samples.first()
    assert sample is not None
    sample.pk = None
    refused("pair_sample_once", lambda: sample.save(force_insert=True))


def test_drawn_items_have_probabilities() -> None:
    item = Item.objects.filter(study=make_study()).first()
    assert item is not None
    refused(
        "item_drawn_with_probability",
        lambda: Item.objects.filter(pk=item.pk).update(draw_probability=None),
    )


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"redundancy": 0}, "study_redundancy"),
        ({"rating_budget": 0}, "study_budget"),
        ({"launched_at": None}, "study_launched_who_when"),
        ({"closed_at": timezone.now()}, "study_closed_who_when"),
        ({"status": "draft"}, "study_status_matches_dates"),
        ({"status": "half open"}, "study_status"),
    ],
)
def test_studies(changes: dict, constraint: str) -> None:
    study = make_study()
    refused(constraint, lambda: Study.objects.filter(pk=study.pk).update(**changes))


def test_a_code_needs_its_time() -> None:
    participation = make_participation(make_study())
    refused(
        "participation_code_when_completed",
        lambda: Participation.objects.filter(pk=participation.pk).update(completion_code="X"),
    )


def test_one_waiting_run_a_study_and_aggregation() -> None:
    study = make_study()
    EstimateRun.objects.create(study=study, aggregation="bragg")
    EstimateRun.objects.create(study=study, aggregation="majority")
    refused("estimate_run_one_waiting", EstimateRun(study=study, aggregation="bragg").save)
