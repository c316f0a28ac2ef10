"""Forty raters at once on PostgreSQL: exactly k ratings an item, nothing twice, nothing lost."""

import random
import uuid
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.models import (
    HOLDING,
    Assignment,
    AssignmentStatus,
    EstimateRun,
    Participation,
    Rater,
    Rating,
    RatingRevision,
    RunStatus,
    Study,
)
from annotation.services.assignments import (
    assignment_lease,
    assignment_return,
    assignment_submit,
    leases_expire,
)
from annotation.services.estimates import estimate_request, estimate_run
from annotation.services.raters import participation_complete, rater_arrive
from annotation.services.ratings import rating_save, ratings_save
from tests.annotation.concurrency.parallel import together
from tests.annotation.factories import make_participation, make_study, rate_task

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        "connection.vendor != 'postgresql'", reason="needs PostgreSQL: set DATABASE_URL"
    ),
]
assert connection is not None  # named in the condition above

RATERS = 40


def lease(participation: Participation) -> Assignment:
    assignment = assignment_lease(participation=participation)
    assert assignment is not None
    return assignment


def exactly_k(study: Study) -> None:
    """Every item has exactly k counted ratings, by k raters, and no slot is held twice."""
    submitted = Assignment.objects.filter(task__study=study, status=AssignmentStatus.SUBMITTED)
    per_task = Counter(submitted.values_list("task", flat=True))
    assert per_task == dict.fromkeys(study.tasks.values_list("pk", flat=True), study.redundancy)
    counted = Rating.objects.filter(assignment__in=submitted)
    pairs = list(counted.values_list("item", "rater"))
    assert len(set(pairs)) == len(pairs)
    per_item = Counter(item for item, _ in pairs)
    assert per_item == dict.fromkeys(study.items.values_list("pk", flat=True), study.redundancy)


def test_forty_raters_fill_a_small_study_exactly() -> None:
    study = make_study(n_inputs=40, redundancy=5, items_per_task=5)

    def work(number: int) -> int:
        participation = make_participation(study, f"rater {number}")
        done = 0
        while (assignment := assignment_lease(participation=participation)) is not None:
            rate_task(assignment, random.Random(number).choice(["present", "absent"]))
            done += 1
        return done

    results = together(RATERS, work)
    assert not [result for result in results if isinstance(result, Exception)]
    assert sum(results) == 5 * study.tasks.count()  # type: ignore[arg-type]
    exactly_k(study)
    assert not Assignment.objects.exclude(status=AssignmentStatus.SUBMITTED).exists()
    # every submit asked for an estimate: one waits, and the constraint allowed no second
    assert EstimateRun.objects.filter(status=RunStatus.QUEUED).count() == 1


def test_no_rater_is_sent_away_while_a_slot_is_free() -> None:
    study = make_study(n_inputs=40, redundancy=4, items_per_task=4)
    n_slots = 4 * study.tasks.count()
    participations = [make_participation(study) for _ in range(RATERS)]
    results = together(
        RATERS, lambda number: assignment_lease(participation=participations[number])
    )
    assert not [result for result in results if isinstance(result, Exception)]
    leased = [result for result in results if result is not None]
    assert len(leased) == min(RATERS, n_slots)
    held = Counter(assignment.task_id for assignment in leased)
    # tasks locked by others are passed over, so fullness may differ, the redundancy never
    assert max(held.values()) <= 4


def test_more_raters_than_slots() -> None:
    study = make_study(n_inputs=10, n_neurons=1, n_concepts=1, redundancy=3, items_per_task=100)
    participations = [make_participation(study) for _ in range(RATERS)]
    results = together(
        RATERS, lambda number: assignment_lease(participation=participations[number])
    )
    assert not [result for result in results if isinstance(result, Exception)]
    slots = sorted(result.slot for result in results if result is not None)
    assert slots == [0, 1, 2]


def test_raters_who_vanish_return_and_come_back_late_leave_exactly_k() -> None:
    study = make_study(n_inputs=30, redundancy=3, items_per_task=5)

    def work(number: int) -> None:
        chance = random.Random(number)
        participation = make_participation(study, f"rater {number}")
        vanished: list[Assignment] = []
        for _ in range(12):
            assignment = assignment_lease(participation=participation)
            if assignment is None:
                break
            fate = chance.random()
            if fate < 0.25:
                assignment_return(assignment=assignment)
                # A lease that had run out may have been taken up again; now it is given back.
                vanished = [lost for lost in vanished if lost.pk != assignment.pk]
            elif fate < 0.5:
                ids = assignment.task.items.values_list("public_id", flat=True)
                ratings_save(assignment=assignment, values=dict.fromkeys(ids, "present"))
                now = timezone.now()
                Assignment.objects.filter(pk=assignment.pk, status="leased").update(
                    leased_at=now - timedelta(hours=1), expires_at=now
                )
                leases_expire()
                vanished.append(assignment)
            else:
                rate_task(assignment, "absent")
        for assignment in vanished:
            assignment_submit(assignment=assignment)

    results = together(RATERS, work)
    assert not [result for result in results if isinstance(result, Exception)]
    held = Assignment.objects.filter(status__in=HOLDING)
    slots = list(held.values_list("task", "slot"))
    assert len(set(slots)) == len(slots)
    leases_expire(now=timezone.now() + timedelta(days=1))
    for number in range(1000, 1010):  # whatever is left goes to new raters
        participation = make_participation(study, f"rater {number}")
        while (assignment := assignment_lease(participation=participation)) is not None:
            rate_task(assignment, "absent")
    exactly_k(study)


def test_ten_identical_submits_are_one() -> None:
    study = make_study()
    assignment = lease(make_participation(study))
    ids = assignment.task.items.values_list("public_id", flat=True)
    ratings_save(assignment=assignment, values=dict.fromkeys(ids, "present"))
    results = together(10, lambda _: assignment_submit(assignment=assignment))
    assert {result.submitted_at for result in results} == {  # type: ignore[union-attr]
        Assignment.objects.get().submitted_at
    }
    codes = together(10, lambda _: participation_complete(participation=assignment.participation))
    assert {result.completion_code for result in codes} == {  # type: ignore[union-attr]
        Participation.objects.get().completion_code
    }


def test_ten_identical_answers_over_http_are_one_row() -> None:
    study = make_study()
    assignment = lease(make_participation(study))
    url = reverse("rater:rating_save", args=[study.slug, assignment.public_id])
    body = {
        "item": str(assignment.task.items.first().public_id),
        "value": "present",
        "client_id": str(uuid.uuid4()),
    }
    client = Client()
    session = client.session
    session["participations"] = {study.slug: str(assignment.participation.public_id)}
    session.save()

    def send(_: int) -> tuple[int, dict]:
        own = Client()
        own.cookies = client.cookies
        response = own.post(url, body, content_type="application/json")
        return response.status_code, response.json()

    results = together(10, send)
    assert results == [(200, {"saved": True, "item": body["item"], "value": "present"})] * 10
    assert Rating.objects.count() == 1
    assert not RatingRevision.objects.exists()


def test_ten_different_answers_at_once_are_one_rating_with_its_history() -> None:
    assignment = lease(make_participation(make_study()))
    item = assignment.task.items.first()
    ids = [uuid.uuid4() for _ in range(10)]
    results = together(
        10,
        lambda number: rating_save(
            assignment=assignment,
            item=item,
            value=["present", "absent"][number % 2],
            client_id=ids[number],
        ),
    )
    assert not [result for result in results if isinstance(result, Exception)]
    rating = Rating.objects.get()
    history = [*rating.revisions.values_list("client_id", flat=True), rating.client_id]
    assert sorted(history) == sorted(ids)


def test_an_answer_and_a_submit_at_once_lose_nothing() -> None:
    assignment = lease(make_participation(make_study()))
    items = list(assignment.task.items.all())
    ratings_save(assignment=assignment, values={item.public_id: "present" for item in items})

    def work(number: int) -> object:
        if number == 0:
            return assignment_submit(assignment=assignment)
        return rating_save(
            assignment=assignment, item=items[number], value="absent", client_id=uuid.uuid4()
        )

    results = together(6, work)
    submitted = Assignment.objects.get()
    assert submitted.status == AssignmentStatus.SUBMITTED
    for number, result in enumerate(results[1:], start=1):
        stored = Rating.objects.get(item=items[number])
        if isinstance(result, Exception):
            assert type(result).__name__ == "AssignmentClosed"
            assert stored.value == "present"
        else:
            assert stored.value == "absent"


def test_one_rater_in_ten_windows_is_one_rater_with_one_task() -> None:
    study = make_study()
    arrived = together(
        10, lambda _: rater_arrive(study=study, channel="direct", external_id="the same")
    )
    assert len({result.pk for result in arrived}) == 1  # type: ignore[union-attr]
    assert (Rater.objects.count(), Participation.objects.count()) == (1, 1)
    participation = make_participation(study, "the same")
    leased = together(10, lambda _: assignment_lease(participation=participation))
    assert len({result.pk for result in leased}) == 1  # type: ignore[union-attr]


def test_ten_requests_and_ten_workers_make_one_run() -> None:
    study = make_study(n_inputs=20, n_neurons=1, n_concepts=1, redundancy=1)
    rate_task(lease(make_participation(study)), "present")
    EstimateRun.objects.all().delete()
    requests = together(
        10, lambda _: estimate_request(study=study, aggregation="majority", live=True)
    )
    assert len({result.pk for result in requests}) == 1  # type: ignore[union-attr]
    run = EstimateRun.objects.get()
    runs = together(10, lambda _: estimate_run(run=EstimateRun.objects.get(pk=run.pk)))
    assert not [result for result in runs if isinstance(result, Exception)]
    run.refresh_from_db()
    assert run.status == RunStatus.FINISHED
