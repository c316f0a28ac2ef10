"""Answers: saved once, changed with a trace, never after the submit."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from annotation.exceptions import AssignmentClosed, ClientIdReused, InvalidInput, UnknownItem
from annotation.models import Assignment, Item, Rating, RatingRevision
from annotation.services.assignments import (
    assignment_lease,
    assignment_return,
    assignment_submit,
    leases_expire,
)
from annotation.services.ratings import rating_save, ratings_save
from tests.annotation.factories import make_participation, make_study

pytestmark = pytest.mark.django_db


@pytest.fixture
def assignment() -> Assignment:
    leased = assignment_lease(participation=make_participation(make_study()))
    assert leased is not None
    return leased


@pytest.fixture
def item(assignment: Assignment) -> Item:
    return assignment.task.items.first()


def save(assignment: Assignment, item: Item, value: str, client_id: uuid.UUID, **more) -> Rating:
    return rating_save(assignment=assignment, item=item, value=value, client_id=client_id, **more)


def test_the_same_answer_again_is_one_rating(assignment: Assignment, item: Item) -> None:
    client_id = uuid.uuid4()
    first = save(assignment, item, "present", client_id, response_ms=900)
    again = save(assignment, item, "present", client_id, response_ms=900)
    assert first == again == Rating.objects.get()
    assert first.rated_at == again.rated_at
    assert first.rater == assignment.participation.rater
    assert first.response_ms == 900
    assert not RatingRevision.objects.exists()


def test_a_changed_answer_leaves_the_old_one_behind(assignment: Assignment, item: Item) -> None:
    ids = [uuid.uuid4() for _ in range(3)]
    for client_id, value in zip(ids, ["present", "absent", "cannot_tell"], strict=True):
        save(assignment, item, value, client_id)
    rating = Rating.objects.get()
    assert (rating.value, rating.client_id) == ("cannot_tell", ids[2])
    assert list(rating.revisions.values_list("value", "client_id")) == [
        ("present", ids[0]),
        ("absent", ids[1]),
    ]


def test_a_late_repetition_of_an_old_answer_changes_nothing(
    assignment: Assignment, item: Item
) -> None:
    old, new = uuid.uuid4(), uuid.uuid4()
    save(assignment, item, "present", old)
    save(assignment, item, "absent", new)
    rating = save(assignment, item, "present", old)
    assert (rating.value, rating.client_id) == ("absent", new)
    assert RatingRevision.objects.count() == 1


def test_a_client_id_belongs_to_one_answer(assignment: Assignment, item: Item) -> None:
    other = assignment.task.items.last()
    client_id = uuid.uuid4()
    save(assignment, item, "present", client_id)
    with pytest.raises(ClientIdReused, match=str(client_id)):
        save(assignment, other, "present", client_id)
    assert Rating.objects.get().item == item


@pytest.mark.parametrize(
    ("value", "response_ms", "message"),
    [
        ("yes", None, "value: 'yes' is none of present, absent, cannot_tell"),
        ("present", -1, "response_ms: -1 is outside"),
        ("present", 10**9, "response_ms: 1000000000 is outside"),
    ],
)
def test_bad_answers(
    assignment: Assignment, item: Item, value: str, response_ms: int | None, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        save(assignment, item, value, uuid.uuid4(), response_ms=response_ms)
    assert not Rating.objects.exists()


def test_items_of_other_tasks_are_refused(assignment: Assignment) -> None:
    foreign = Item.objects.exclude(task=assignment.task).first()
    assert foreign is not None
    with pytest.raises(UnknownItem, match="not part of your task"):
        save(assignment, foreign, "present", uuid.uuid4())


def test_after_the_submit_only_repetitions_pass(assignment: Assignment, item: Item) -> None:
    client_id = uuid.uuid4()
    save(assignment, item, "present", client_id)
    rest = assignment.task.items.exclude(pk=item.pk).values_list("public_id", flat=True)
    ratings_save(assignment=assignment, values=dict.fromkeys(rest, "absent"))
    assignment_submit(assignment=assignment)
    assert save(assignment, item, "present", client_id).value == "present"
    with pytest.raises(AssignmentClosed, match="submitted"):
        save(assignment, item, "absent", uuid.uuid4())
    assert Rating.objects.get(item=item).value == "present"


def test_a_returned_task_takes_no_answers(assignment: Assignment, item: Item) -> None:
    assignment_return(assignment=assignment)
    with pytest.raises(AssignmentClosed, match="returned"):
        save(assignment, item, "absent", uuid.uuid4())


def test_an_expired_lease_still_saves(assignment: Assignment, item: Item) -> None:
    leases_expire(now=timezone.now() + timedelta(days=1))
    assert save(assignment, item, "absent", uuid.uuid4()).pk is not None


def test_the_form_is_all_or_nothing(assignment: Assignment, item: Item) -> None:
    foreign = Item.objects.exclude(task=assignment.task).first()
    assert foreign is not None
    with pytest.raises(UnknownItem):
        ratings_save(
            assignment=assignment, values={item.public_id: "present", foreign.public_id: "absent"}
        )
    with pytest.raises(InvalidInput):
        ratings_save(assignment=assignment, values={item.public_id: "maybe"})
    assert not Rating.objects.exists()


def test_the_form_leaves_answers_that_stand(assignment: Assignment, item: Item) -> None:
    client_id = uuid.uuid4()
    save(assignment, item, "present", client_id, response_ms=800)
    ids = assignment.task.items.values_list("public_id", flat=True)
    ratings = ratings_save(assignment=assignment, values=dict.fromkeys(ids, "present"))
    assert len(ratings) == len(ids) == Rating.objects.count()
    kept = Rating.objects.get(item=item)
    assert (kept.client_id, kept.response_ms) == (client_id, 800)
    assert not RatingRevision.objects.exists()


def test_one_rater_cannot_write_into_anothers_assignment(assignment: Assignment) -> None:
    other = assignment_lease(participation=make_participation(assignment.task.study))
    assert other is not None
    item = other.task.items.first()
    save(other, item, "present", uuid.uuid4())
    assert Rating.objects.get().rater == other.participation.rater
