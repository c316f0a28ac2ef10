"""What a rater rates: the items of an assignment, found by their public ids."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db.models import F

from annotation.models import Assignment, Item, ProbeInput, Rating


@dataclass(frozen=True)
class Passage:
    """A text input, in three parts: the middle one is the token that is asked about."""

    before: str
    marked: str
    after: str


@dataclass(frozen=True)
class RatingItem:
    """An item as its rater sees it: no file name, neuron, activation or probability.

    Attributes
    ----------
    item : Item
        The item, with its probe input.
    public_id, image_public_id : UUID
        Its own opaque id and that of its input.
    value : str or None
        The rater's answer, None while there is none.
    passage : Passage or None
        The text, where the input is one; None where it is an image.
    """

    item: Item
    public_id: UUID
    image_public_id: UUID
    value: str | None
    passage: Passage | None


def passage_of(probe_input: ProbeInput) -> Passage | None:
    """Cut a text input where its highlighted token begins and ends.

    Parameters
    ----------
    probe_input : ProbeInput
        Any.

    Returns
    -------
    Passage or None
        None when the input is no text. Without a highlight everything is in `before`.
    """
    text = probe_input.text
    if not text:
        return None
    start, end = probe_input.highlight_start, probe_input.highlight_end
    if start is None or end is None:
        return Passage(text, "", "")
    return Passage(text[:start], text[start:end], text[end:])


def assignment_items(assignment: Assignment) -> list[RatingItem]:
    """List the items of an assignment in an order of its own, the same whenever it is shown.

    Parameters
    ----------
    assignment : Assignment
        The rater's.

    Returns
    -------
    list of RatingItem
        Every rater has another order, so that what is tiring to rate last differs.
    """
    items = Item.objects.filter(task=assignment.task_id).select_related("probe_input")
    values: Mapping[int, str] = dict(
        Rating.objects.filter(assignment=assignment).values_list("item_id", "value")
    )
    rows = [
        RatingItem(
            item,
            item.public_id,
            item.probe_input.public_id,
            values.get(item.pk),
            passage_of(item.probe_input),
        )
        for item in items
    ]
    return sorted(
        rows,
        key=lambda row: hashlib.sha256(assignment.public_id.bytes + row.public_id.bytes).digest(),
    )


def item_to_rate(
    *, participation_id: UUID, study_slug: str, assignment_id: UUID, item_id: UUID
) -> tuple[Assignment, Item] | None:
    """Find an item of a rater's assignment by public ids, in one query.

    Parameters
    ----------
    participation_id, assignment_id, item_id : UUID
        Public ids.
    study_slug : str
        The study that the request is about.

    Returns
    -------
    tuple of Assignment and Item, or None
        None when the assignment is not this rater's or has no such item. The assignment carries
        its key only: the service that saves the answer locks and reads the row itself.
    """
    item = (
        Item.objects.filter(
            public_id=item_id,
            task__assignments__public_id=assignment_id,
            task__assignments__participation__public_id=participation_id,
            task__assignments__participation__study__slug=study_slug,
        )
        .annotate(assignment_key=F("task__assignments__pk"))
        .first()
    )
    if item is None:
        return None
    return Assignment(pk=item.assignment_key, task_id=item.task_id), item
