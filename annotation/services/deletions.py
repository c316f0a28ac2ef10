"""Deleting a rater's data on request: in all studies, at once, with a record that it was done."""

from collections import defaultdict
from collections.abc import Collection
from importlib import import_module
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.sessions.backends.db import SessionStore
from django.db import transaction
from django.db.models import ProtectedError, TextField
from django.db.models.functions import Cast

from annotation.exceptions import InvalidInput
from annotation.models import (
    Assignment,
    AssignmentStatus,
    IdempotencyKey,
    PanelEvent,
    PanelSubmission,
    Participation,
    Rater,
    RaterDeletion,
    Rating,
)
from annotation.services.audit import study_event_record
from annotation.services.freshness import estimates_refresh
from annotation.services.locks import lock
from annotation.services.notes import note_checked

#: Sessions that are read in one go while those of a rater are looked for.
CHUNK = 500


@transaction.atomic
def rater_delete(*, rater: Rater, actor: AbstractBaseUser, note: str = "") -> RaterDeletion:
    """Delete all that a rater gave, in every study, and the rater.

    Parameters
    ----------
    rater : Rater
        Whose data: ratings with their revisions, assignments, training, attention checks,
        screening answers, reviews, exclusions, participations, browser sessions. Slots are free at
        once. Ledger entries and the panel's submissions stay, without a participation: what was
        paid was paid. Of the panel's events and of kept API replies goes what names the rater.
    actor : User
        Who deletes.
    note : str
        How the request came, say.

    Returns
    -------
    RaterDeletion
        What is left: the random id of the rater and what was deleted where.

    Raises
    ------
    InvalidInput
        When the rater is deleted already, arrived in a study at this moment, or the note is too
        long.
    """
    text = note_checked(note)
    # submission, participation, rater: in the order in which arrivals and the panel's words lock
    list(
        PanelSubmission.objects.filter(participation__rater=rater.pk)
        .order_by("pk")
        .select_for_update(of=("self",), no_key=True)
        .values_list("pk", flat=True)
    )
    participations = list(
        Participation.objects.filter(rater=rater.pk)
        .select_related("study")
        .order_by("pk")
        .select_for_update(of=("self",), no_key=True)
    )
    try:
        row = lock(Rater.objects.all(), pk=rater.pk)
    except Rater.DoesNotExist as error:
        raise InvalidInput("rater: there is no such rater any more.") from error
    assignments = list(
        Assignment.objects.filter(participation__in=participations)
        .order_by("pk")
        .select_for_update(of=("self",), no_key=True)
    )
    # by the rater, not by their assignments: nothing of theirs may be left anywhere
    ratings = Rating.objects.filter(rater=row)
    n_of_study: dict[int, int] = defaultdict(int)
    for study in ratings.values_list("item__study", flat=True):
        n_of_study[study] += 1
    n_ratings = ratings.count()
    counting = {
        one.participation_id for one in assignments if one.status == AssignmentStatus.SUBMITTED
    }
    record = RaterDeletion.objects.create(
        rater_public_id=row.public_id,
        channel=row.channel,
        n_ratings=n_ratings,
        studies=sorted({one.study.slug for one in participations}),
        deleted_by_id=actor.pk,
        note=text,
    )
    for participation in participations:
        study_event_record(
            study=participation.study,
            action="rater deleted",
            actor=actor,
            rater=str(row.public_id)[:8],
            n_ratings=n_of_study[participation.study_id],
        )
        if participation.pk in counting:
            estimates_refresh(study=participation.study)
    ratings.delete()
    Assignment.objects.filter(pk__in=[one.pk for one in assignments]).delete()
    Participation.objects.filter(pk__in=[one.pk for one in participations]).delete()
    try:
        row.delete()
    except ProtectedError as error:  # a participation that was made after the look at them
        raise InvalidInput("rater: they arrived again just now; try once more.") from error
    _events_forget(row)
    _replies_forget({row.public_id, *(one.public_id for one in participations)})
    _sessions_forget({one.public_id for one in participations})
    return record


def rater_find(*, pseudonym: str) -> Rater:
    """Find a rater by the random id that pages and exports of the database show.

    Parameters
    ----------
    pseudonym : str
        The public id or its first characters, at least 8.

    Returns
    -------
    Rater

    Raises
    ------
    InvalidInput
        When it is too short, or fits no rater or several.
    """
    text = pseudonym.strip().lower().replace("-", "")
    if len(text) < 8 or not set(text) <= set("0123456789abcdef"):
        raise InvalidInput(f"rater: {pseudonym[:40]!r} is no id; give at least its 8 first digits.")
    lowest, highest = UUID(text[:32].ljust(32, "0")), UUID(text[:32].ljust(32, "f"))
    found = list(Rater.objects.filter(public_id__gte=lowest, public_id__lte=highest)[:2])
    if len(found) != 1:
        number = "no rater" if not found else "several raters"
        raise InvalidInput(f"rater: {number} begin with {text!r}; give the whole id.")
    return found[0]


def _events_forget(rater: Rater) -> None:
    """Take the rater's hash out of the panel's events; that they came stays known."""
    events = PanelEvent.objects.filter(payload__participant_hash=rater.external_id_hash)
    for event in events.order_by("pk").select_for_update(of=("self",), no_key=True):
        event.payload.pop("participant_hash")
        event.save(update_fields=["payload"])


def _replies_forget(public_ids: Collection[UUID]) -> None:
    """Delete the kept replies of the API that name one of the ids."""
    replies = IdempotencyKey.objects.annotate(text=Cast("reply", TextField()))
    for public_id in public_ids:
        replies.filter(text__contains=str(public_id)).delete()


def _sessions_forget(participations: Collection[UUID]) -> None:
    """Delete the browser sessions that name one of the participations."""
    names = {str(public_id) for public_id in participations}
    store = import_module(settings.SESSION_ENGINE).SessionStore
    if not names or not issubclass(store, SessionStore):
        # other engines keep sessions in the browser or let them run out; none is looked up by rater
        return
    for session in store.get_model_class().objects.iterator(chunk_size=CHUNK):
        if names & set(session.get_decoded().get("participations", {}).values()):
            store(session.pk).delete()
