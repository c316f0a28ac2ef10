"""Whether a study has room for one rater more; places of raters who fell silent come back."""

from collections import Counter
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from annotation.exceptions import PlacesTaken, RecruitmentInactive
from annotation.models import Channel, Outcome, Participation, Recruitment, Study
from annotation.queries.journey import PAID
from annotation.queries.silence import participations_silent
from annotation.services.audit import study_event_record
from annotation.services.locks import lock

#: The other channels hold no recruitment of a study's own: simulations and imports.
RECRUITED = (Channel.DIRECT, *PAID)
#: Prolific counts its places itself, and knows better who gave one back.
PLACES_COUNTED = (Channel.DIRECT, Channel.PANEL)
#: Places that come back at once: a long transaction would keep raters waiting on SQLite.
BATCH = 500


def place_require(*, study: Study, channel: str) -> None:
    """Refuse a new rater where a channel is switched off or full.

    Parameters
    ----------
    study : Study
        The study.
    channel : str
        One of `Channel`. Places that count are locked until the transaction ends, so that two
        raters who arrive at once do not both get the last one.

    Raises
    ------
    RecruitmentInactive
        When the study does not recruit through this channel at the moment.
    PlacesTaken
        When as many raters as there are places take part or have completed. Whoever gave a place
        back by being silent counts again from the moment that they complete.
    """
    if channel not in RECRUITED:
        return
    recruitment = Recruitment.objects.filter(study=study, channel=channel, active=True).first()
    if recruitment is None:
        raise RecruitmentInactive(
            f"The study {study.title!r} does not recruit through this channel "
            f"({Channel(channel).label}) at the moment."
        )
    if not recruitment.places or channel not in PLACES_COUNTED:
        return
    places = lock(Recruitment.objects.all(), pk=recruitment.pk).places
    taken = Participation.objects.filter(
        Q(outcome=Outcome.COMPLETED) | Q(outcome="", place_freed_at__isnull=True),
        study=study,
        channel=channel,
        declined_at__isnull=True,
    ).count()
    if taken >= places:
        raise PlacesTaken(f"All {places} places of the study {study.title!r} are taken.")


def place_regain(*, participation: Participation) -> None:
    """Give a rater who fell silent and is back a place again, where there is one.

    Parameters
    ----------
    participation : Participation
        Locked by the caller. Nothing happens to one that holds its place.

    Raises
    ------
    RecruitmentInactive, PlacesTaken
        See `place_require`. All that the rater answered before stays, and counts as it did.
    """
    if participation.place_freed_at is None:
        return
    place_require(study=participation.study, channel=participation.channel)
    participation.place_freed_at = None
    participation.save(update_fields=["place_freed_at"])


@transaction.atomic
def places_come_back(*, now: datetime | None = None) -> int:
    """Take the places of raters back who have been silent for ``NEURONJURY_PLACE_SILENCE``.

    Parameters
    ----------
    now : datetime, optional
        The time to compare with; the present by default.

    Returns
    -------
    int
        How many places are free again. Nobody's participation ends, and no answer is touched.
    """
    moment = now or timezone.now()
    silent = participations_silent(
        channels=PLACES_COUNTED, before=moment - settings.NEURONJURY_PLACE_SILENCE
    )
    # skip_locked: somebody who is doing something at this moment is not silent
    locked = silent.select_for_update(skip_locked=True, of=("self",), no_key=True)
    ids = list(locked.values_list("pk", flat=True)[:BATCH])
    if not ids:
        return 0
    # looked at again now that nobody can be given a task: one may have been until a moment ago
    rows = list(silent.filter(pk__in=ids).select_related("study"))
    Participation.objects.filter(pk__in=[row.pk for row in rows]).update(place_freed_at=moment)
    for study, n_places in Counter(row.study for row in rows).items():
        study_event_record(study=study, action="places came back", actor=None, places=n_places)
    return len(rows)
