"""Answers: each is saved as it is given, once, however often the browser sends it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from annotation.exceptions import AssignmentClosed, ClientIdReused, InvalidInput, UnknownItem
from annotation.models import (
    HANDED_IN,
    Assignment,
    AssignmentStatus,
    Item,
    Rating,
    RatingRevision,
    RatingValue,
)
from annotation.services.locks import lock

MAX_RESPONSE_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True)
class _Answer:
    item: Item
    value: str
    client_id: UUID
    response_ms: int | None


def rating_save(
    *,
    assignment: Assignment,
    item: Item,
    value: str,
    client_id: UUID,
    response_ms: int | None = None,
) -> Rating:
    """Save one answer; the same `client_id` again changes nothing.

    Parameters
    ----------
    assignment : Assignment
        The rater's assignment. When its lease ran out the answer is saved all the same; whether it
        counts is decided when the task is submitted.
    item : Item
        An item of the assignment's task.
    value : str
        One of `RatingValue`. Another value than before replaces it; the old answer becomes a
        `RatingRevision`.
    client_id : UUID
        Made by the browser with this answer. A repetition, also of an answer that has since been
        changed, returns the rating as it stands.
    response_ms : int, optional
        Milliseconds from the item being shown to the answer.

    Returns
    -------
    Rating

    Raises
    ------
    AssignmentClosed
        When the task was submitted or returned, unless this very answer is stored already.
    UnknownItem
        When the item is of another task.
    InvalidInput
        When the value or the time is out of range.
    ClientIdReused
        When the client id belongs to another answer.
    """
    _check(value, response_ms)
    try:
        with transaction.atomic():
            row = lock(Assignment.objects.select_related("participation"), pk=assignment.pk)
            if item.task_id != row.task_id:
                raise UnknownItem("item: this item is not part of your task; reload the page.")
            return _save(row, _Answer(item, value, client_id, response_ms))
    except IntegrityError as error:
        # the assignment was locked, so the one constraint left to break is the client id's
        raise ClientIdReused(
            f"client_id: {client_id} was sent with another answer; make a new one for every answer."
        ) from error


@transaction.atomic
def ratings_save(*, assignment: Assignment, values: Mapping[UUID, str]) -> list[Rating]:
    """Save several answers at once, all or none: the form of a browser without JavaScript.

    Parameters
    ----------
    assignment : Assignment
        The rater's assignment.
    values : mapping of UUID to str
        From an item's public id to its value. An answer that stands already is left as it is.

    Returns
    -------
    list of Rating
        One a value, in the order given.

    Raises
    ------
    AssignmentClosed, UnknownItem, InvalidInput
        See `rating_save`.
    """
    for value in values.values():
        _check(value, None)
    row = lock(Assignment.objects.select_related("participation"), pk=assignment.pk)
    items = {item.public_id: item for item in Item.objects.filter(task=row.task_id)}
    unknown = [str(public_id) for public_id in values if public_id not in items]
    if unknown:
        raise UnknownItem(
            f"item: {unknown[0]} is not part of your task ({len(unknown)} such in all); "
            "reload the page."
        )
    standing = {
        rating.item_id: rating
        for rating in Rating.objects.filter(assignment=row.pk, item__in=items.values())
    }
    ratings = []
    for public_id, value in values.items():
        item = items[public_id]
        old = standing.get(item.pk)
        if old is not None and old.value == value:
            ratings.append(old)
            continue
        _open_require(row)
        ratings.append(_write(row, _Answer(item, value, uuid.uuid4(), None), old))
    return ratings


def _check(value: str, response_ms: int | None) -> None:
    if value not in RatingValue.values:
        raise InvalidInput(f"value: {value!r} is none of {', '.join(RatingValue.values)}.")
    if response_ms is not None and not 0 <= response_ms <= MAX_RESPONSE_MS:
        raise InvalidInput(
            f"response_ms: {response_ms} is outside 0 to {MAX_RESPONSE_MS} (a day); "
            "give milliseconds, or leave it out."
        )


def _open_require(assignment: Assignment) -> None:
    if assignment.status in HANDED_IN:
        raise AssignmentClosed("This task is submitted; its answers stand and cannot be changed.")
    if assignment.status == AssignmentStatus.RETURNED:
        raise AssignmentClosed("You returned this task; it takes no more answers.")


def _save(assignment: Assignment, answer: _Answer) -> Rating:
    """Save one answer into an assignment that is locked."""
    revisions = RatingRevision.objects.filter(rating=OuterRef("pk"), client_id=answer.client_id)
    old = (
        Rating.objects.filter(assignment=assignment, item=answer.item)
        .annotate(superseded=Exists(revisions))
        .first()
    )
    if old is not None and (old.client_id == answer.client_id or old.superseded):
        return old
    _open_require(assignment)
    return _write(assignment, answer, old)


def _write(assignment: Assignment, answer: _Answer, old: Rating | None) -> Rating:
    if old is None:
        return Rating.objects.create(
            assignment=assignment,
            item=answer.item,
            rater_id=assignment.participation.rater_id,
            value=answer.value,
            client_id=answer.client_id,
            response_ms=answer.response_ms,
            rated_at=timezone.now(),
        )
    RatingRevision.objects.create(
        rating=old, value=old.value, client_id=old.client_id, rated_at=old.rated_at
    )
    old.value = answer.value
    old.client_id = answer.client_id
    old.response_ms = answer.response_ms
    old.rated_at = timezone.now()
    old.save(update_fields=["value", "client_id", "response_ms", "rated_at"])
    return old
