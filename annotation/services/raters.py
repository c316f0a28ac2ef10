"""A rater's way through a study: arrival, consent, instructions, completion code."""

import secrets

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from annotation.exceptions import (
    ConsentMissing,
    InvalidInput,
    NothingSubmitted,
    ParticipationOver,
    StudyNotOpen,
    TasksLeft,
)
from annotation.models import (
    Assignment,
    AssignmentStatus,
    Channel,
    Outcome,
    Participation,
    Rater,
    Study,
    StudyStatus,
)
from annotation.models.rater import MAX_NICKNAME
from annotation.queries.journey import is_paid, outcome_code, tasks_done, tasks_limit
from annotation.services.locks import lock
from annotation.services.places import place_regain, place_require

#: No 0/O, 1/I/L: a rater may copy the code by hand.
CODE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
CODE_LENGTH = 10


def external_id_hash(*, channel: str, external_id: str) -> str:
    """Hash a panel's id of a rater with a key that only this server has.

    Parameters
    ----------
    channel : str
        One of `Channel`; the same id on two channels is two raters.
    external_id : str
        The panel's id.

    Returns
    -------
    str
        64 hexadecimal digits (HMAC-SHA256 under ``SECRET_KEY``).
    """
    return salted_hmac(f"annotation.rater.{channel}", external_id, algorithm="sha256").hexdigest()


def participation_find(*, study: Study, channel: str, external_id: str) -> Participation | None:
    """Look up whether a rater takes part in a study; nothing is written.

    Parameters
    ----------
    study : Study
        The study.
    channel : str
        One of `Channel`.
    external_id : str
        The channel's id of the rater.

    Returns
    -------
    Participation or None
    """
    return (
        Participation.objects.select_related("study__quality_policy", "rater")
        .filter(
            study=study,
            rater__channel=channel,
            rater__external_id_hash=external_id_hash(
                channel=channel, external_id=external_id.strip()
            ),
        )
        .first()
    )


@transaction.atomic
def rater_arrive(*, study: Study, channel: str, external_id: str) -> Participation:
    """Find or make the participation of a rater in a study.

    Parameters
    ----------
    study : Study
        The study; a rater who takes part already may come back whatever its status.
    channel : str
        One of `Channel`.
    external_id : str
        The channel's id of the rater. Only its keyed hash is stored.

    Returns
    -------
    Participation
        The same one for the same id, however often the rater arrives. It is ended as screened out
        when the rater took part in a study that this one excludes.

    Raises
    ------
    InvalidInput
        When the channel is unknown or the id is empty.
    StudyNotOpen
        When the study is not open and this rater does not take part yet.
    RecruitmentInactive, PlacesTaken
        When the channel is switched off or full, for a rater who does not take part yet.
    """
    if channel not in Channel.values:
        raise InvalidInput(f"channel: {channel!r} is none of {', '.join(Channel.values)}.")
    if not external_id.strip():
        raise InvalidInput("external_id: it is empty; a rater needs an id of its channel.")
    rater, _ = Rater.objects.get_or_create(
        channel=channel,
        external_id_hash=external_id_hash(channel=channel, external_id=external_id.strip()),
    )
    existing = Participation.objects.filter(study=study, rater=rater).first()
    if existing is not None:
        return existing
    if study.status != StudyStatus.OPEN:
        raise StudyNotOpen(
            f"The study {study.title!r} is {study.get_status_display()}; it takes no new raters."
        )
    place_require(study=study, channel=channel)
    participation, made = Participation.objects.get_or_create(
        study=study, rater=rater, defaults={"channel": channel}
    )
    if made and _took_part_elsewhere(participation):
        participation_end(participation=participation, outcome=Outcome.SCREENED_OUT)
    return participation


def _took_part_elsewhere(participation: Participation) -> bool:
    """Say whether the rater agreed to rate in a study that this one excludes."""
    return Participation.objects.filter(
        rater=participation.rater_id,
        study__in=participation.study.excluded_studies.all(),
        consented_at__isnull=False,
    ).exists()


@transaction.atomic
def consent_give(*, participation: Participation, nickname: str = "") -> Participation:
    """Record that the rater consents to the study's present consent text.

    Parameters
    ----------
    participation : Participation
        The rater in the study. Consenting twice keeps the first time, unless the text changed.
    nickname : str
        What the rater wants to be called; empty keeps what is there.

    Returns
    -------
    Participation

    Raises
    ------
    ParticipationOver
        When the participation has ended.
    InvalidInput
        When the nickname is too long.
    RecruitmentInactive, PlacesTaken
        When the rater had declined or been silent for long, which freed their place, and there is
        none any more.
    """
    if len(nickname) > MAX_NICKNAME:
        raise InvalidInput(
            f"nickname: it has {len(nickname)} characters; give at most {MAX_NICKNAME}."
        )
    row = lock(Participation.objects.select_related("study"), pk=participation.pk)
    going_on_require(row)
    if row.declined_at is not None:
        place_require(study=row.study, channel=row.channel)
    place_regain(participation=row)
    if nickname:
        Rater.objects.filter(pk=row.rater_id).update(nickname=nickname)
    version = row.study.consent_version
    if row.consented_at is None or row.consent_version != version:
        row.consented_at = timezone.now()
        row.consent_version = version
    row.declined_at = None
    row.save(update_fields=["consented_at", "consent_version", "declined_at"])
    return _refreshed(participation, row)


@transaction.atomic
def consent_decline(*, participation: Participation) -> Participation:
    """Record that the rater does not consent (any more), and free the task that they hold.

    Parameters
    ----------
    participation : Participation
        The rater in the study. When they consented before, the record of that stays, because
        answers were given under it. A volunteer may change their mind later; a panel is told the
        outcome, so there the participation ends.

    Returns
    -------
    Participation
    """
    row = lock(Participation.objects.select_related("study"), pk=participation.pk)
    if row.declined_at is None:
        row.declined_at = timezone.now()
        row.save(update_fields=["declined_at"])
    if is_paid(row):
        participation_end(participation=row, outcome=Outcome.NO_CONSENT)
    _open_tasks_return(row)
    return _refreshed(participation, row)


@transaction.atomic
def instructions_confirm(*, participation: Participation) -> Participation:
    """Record that the rater has read the instructions.

    Parameters
    ----------
    participation : Participation
        The rater in the study.

    Returns
    -------
    Participation

    Raises
    ------
    ConsentMissing
        When the rater has not consented.
    """
    row = lock(Participation.objects.select_related("study"), pk=participation.pk)
    consent_require(row)
    if row.instructions_read_at is None:
        row.instructions_read_at = timezone.now()
        row.save(update_fields=["instructions_read_at"])
    return _refreshed(participation, row)


@transaction.atomic
def participation_complete(
    *, participation: Participation, nothing_left: bool = False
) -> Participation:
    """Give the rater the completion code.

    Parameters
    ----------
    participation : Participation
        The rater in the study.
    nothing_left : bool
        Whether the study has no task for this rater any more, so that fewer are enough.

    Returns
    -------
    Participation
        With `completion_code`: made once, the same ever after.

    Raises
    ------
    NothingSubmitted
        When the rater has submitted no task. A task that was submitted late counts here: the
        rater did the work, even though another rater's answers are the ones that count.
    TasksLeft
        When a paid rater has done fewer tasks than make a participation, and there are more.
    ParticipationOver
        When it ended with another outcome.
    """
    row = lock(Participation.objects.select_related("study__quality_policy"), pk=participation.pk)
    if row.completed_at is None:
        going_on_require(row)
        done, limit = tasks_done(row), tasks_limit(row)
        if not done:
            raise NothingSubmitted(
                "There is no completion code yet: submit at least one task of "
                f"{row.study.title!r} first."
            )
        if limit is not None and done < limit and is_paid(row) and not nothing_left:
            raise TasksLeft(
                f"There is no completion code yet: {done} of {limit} tasks are submitted."
            )
        now = timezone.now()
        row.completed_at = now
        row.ended_at = now
        row.outcome = Outcome.COMPLETED
        row.completion_code = _completion_code(row)
        row.save(update_fields=["completed_at", "ended_at", "outcome", "completion_code"])
    return _refreshed(participation, row)


@transaction.atomic
def participation_end(*, participation: Participation, outcome: str) -> Participation:
    """End a participation that does not complete, and free the task that the rater holds.

    Parameters
    ----------
    participation : Participation
        The rater in the study. One that has ended already keeps its outcome.
    outcome : str
        One of `Outcome` other than completed (`participation_complete` is for that).

    Returns
    -------
    Participation

    Raises
    ------
    InvalidInput
        When the outcome is completed or unknown.
    """
    if outcome not in Outcome.values or outcome == Outcome.COMPLETED:
        raise InvalidInput(
            f"outcome: {outcome!r} does not end a participation early; give one of "
            f"{', '.join(value for value in Outcome.values if value != Outcome.COMPLETED)}."
        )
    row = lock(Participation.objects.select_related("study"), pk=participation.pk)
    if row.ended_at is None:
        row.ended_at = timezone.now()
        row.outcome = outcome
        row.save(update_fields=["ended_at", "outcome"])
        _open_tasks_return(row)
    return _refreshed(participation, row)


def _open_tasks_return(participation: Participation) -> None:
    """Give back what takes answers still: the lease held, and leases that expired unfinished."""
    Assignment.objects.filter(
        participation=participation,
        status__in=[AssignmentStatus.LEASED, AssignmentStatus.EXPIRED],
        late_at__isnull=True,
    ).update(status=AssignmentStatus.RETURNED)


def _completion_code(participation: Participation) -> str:
    """Return the panel's code; where it has none, a code of this participation's own."""
    own = "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH))
    return outcome_code(participation, Outcome.COMPLETED) or own


def going_on_require(participation: Participation) -> None:
    """Refuse a rater whose participation has ended.

    Parameters
    ----------
    participation : Participation
        The rater in the study.

    Raises
    ------
    ParticipationOver
        When it has.
    """
    if participation.ended_at is not None:
        raise ParticipationOver(
            f"This participation has ended ({participation.get_outcome_display()}); nothing can be "
            "added to it."
        )


def consent_require(participation: Participation) -> None:
    """Refuse a rater who has not consented.

    Parameters
    ----------
    participation : Participation
        The rater in the study.

    Raises
    ------
    ConsentMissing
        When consent was never given, or taken back.
    """
    if participation.consented_at is None or participation.declined_at is not None:
        raise ConsentMissing(
            "You have not agreed to take part; read the consent text and agree to it first."
        )


def _refreshed(given: Participation, row: Participation) -> Participation:
    """Bring the caller's object up to date, so that it may go on using either."""
    for field in (
        "screened_at",
        "consented_at",
        "consent_version",
        "declined_at",
        "instructions_read_at",
        "trained_at",
        "completed_at",
        "completion_code",
        "outcome",
        "ended_at",
        "place_freed_at",
    ):
        setattr(given, field, getattr(row, field))
    return row
