"""Webhooks of Prolific: stored before they are acknowledged, worked on afterwards."""

import base64
import hashlib
import hmac
import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from annotation.exceptions import AnnotationError, InvalidInput, PanelRefused, WebhookRefused
from annotation.models import Channel, PanelCredential, PanelEvent, Recruitment
from annotation.services.commitments import commitment_settle
from annotation.services.credentials import client_for
from annotation.services.locks import lock
from annotation.services.raters import external_id_hash
from annotation.services.submissions import panel_word, submission_apply

logger = logging.getLogger(__name__)

MOST_BYTES = 64 * 1024
#: A call that was captured cannot be played again later than this.
OLDEST = timedelta(minutes=5)
#: The signed moment is cut off to a second.
WHOLE_SECONDS = timedelta(seconds=1)
LONGEST_ID = 120
LONGEST_TYPE = 60
SUBMISSION, STUDY = "submission.status.change", "study.status.change"
TRY_AGAIN = timedelta(hours=24)


@sensitive_variables("secret")
def event_verify(
    *, secret: str, timestamp: str, signature: str, body: bytes, now: datetime | None = None
) -> datetime:
    """Check that a call is the panel's and not an old one.

    Parameters
    ----------
    secret : str
        Of the workspace's webhooks.
    timestamp, signature : str
        The headers ``X-Prolific-Request-Timestamp`` and ``X-Prolific-Request-Signature``.
    body : bytes
        As it came: a single other byte is another message.
    now : datetime, optional
        The time to compare with; the present by default.

    Returns
    -------
    datetime
        When it was sent.

    Raises
    ------
    WebhookRefused
        When the signature is wrong or the call is too old.
    """
    expected = base64.b64encode(
        hmac.new(secret.encode(), timestamp.encode() + body, hashlib.sha256).digest()
    )
    if not hmac.compare_digest(expected, signature.encode()):
        raise WebhookRefused("The signature is not that of this webhook.")
    sent = _moment(timestamp)
    if sent is None or abs((now or timezone.now()) - sent) > OLDEST:
        raise WebhookRefused("The call is too old, or its clock is wrong; it is sent again anew.")
    return sent


@transaction.atomic
def event_store(
    *,
    credential: PanelCredential,
    event_id: str,
    body: bytes,
    sent: datetime,
    occurred: str = "",
) -> tuple[PanelEvent, bool]:
    """Store an event whose signature was checked; the same event is stored once.

    Parameters
    ----------
    credential : PanelCredential
        Whose webhook it came through.
    event_id : str
        The header ``X-Event-ID``.
    body : bytes
        JSON.
    sent : datetime
        From `event_verify`.
    occurred : str
        The header ``X-Timestamp``: when it happened. It is not signed, so that it is believed
        only as far as it lies before `sent`.

    Returns
    -------
    tuple of (PanelEvent, bool)
        The event, and whether it is new. The panel's id of the rater is stored as a keyed hash.

    Raises
    ------
    WebhookRefused
        When it has no id or is no JSON object.
    """
    if not 0 < len(event_id) <= LONGEST_ID or not event_id.isprintable():
        raise WebhookRefused("The event has no id.")
    payload = _object(body)
    at = _moment(occurred)
    event, made = PanelEvent.objects.get_or_create(
        event_id=event_id,
        defaults={
            "credential": credential,
            "event_type": str(payload.get("event_type", ""))[:LONGEST_TYPE] or "unknown",
            "payload": _pseudonymous(payload),
            "occurred_at": sent if at is None or at >= sent + WHOLE_SECONDS else at,
        },
    )
    return event, made


def event_process(*, event: PanelEvent) -> PanelEvent:
    """Let an event take effect; an event that did already does so no more.

    Parameters
    ----------
    event : PanelEvent
        Stored by `event_store`.

    Returns
    -------
    PanelEvent
        Processed, with the reason in `error` where it concerns nothing here. An event whose study
        cannot be found out at the moment stays waiting.
    """
    row = PanelEvent.objects.select_related("credential").get(pk=event.pk)
    if row.processed_at is not None:
        return row
    try:
        error = _take_effect(row)
    except AnnotationError as problem:
        # the panel cannot be asked just now: the sweeper tries again, for a day
        if timezone.now() - row.received_at < TRY_AGAIN:
            PanelEvent.objects.filter(pk=row.pk, processed_at__isnull=True).update(
                error=str(problem)
            )
            return row
        error = str(problem)
    with transaction.atomic():
        locked = lock(PanelEvent.objects.all(), pk=row.pk)
        if locked.processed_at is None:
            locked.processed_at = timezone.now()
            locked.error = error
            locked.save(update_fields=["processed_at", "error"])
    return locked


def events_process_waiting(*, limit: int = 500) -> int:
    """Process the events that wait, the oldest first; the sweeper calls it.

    Parameters
    ----------
    limit : int
        How many at most.

    Returns
    -------
    int
        How many were processed.
    """
    done = 0
    for event in PanelEvent.objects.filter(processed_at__isnull=True)[:limit]:
        try:
            done += event_process(event=event).processed_at is not None
        except Exception as problem:
            # whatever is wrong with one event: those behind it are processed
            logger.exception("prolific: the event %s cannot be processed", event.public_id)
            _give_up_later(event, problem)
    return done


def _give_up_later(event: PanelEvent, problem: Exception) -> None:
    """Keep what went wrong; after a day the event no longer stands before the others."""
    now = timezone.now()
    PanelEvent.objects.filter(pk=event.pk, processed_at__isnull=True).update(
        error=type(problem).__name__,
        processed_at=None if now - event.received_at < TRY_AGAIN else now,
    )


def _take_effect(event: PanelEvent) -> str:
    """Return why it concerns nothing here; empty where it took effect."""
    payload = event.payload
    resource = str(payload.get("resource_id", ""))
    if event.event_type == SUBMISSION:
        return _submission_event(event, resource)
    if event.event_type == STUDY:
        return _study_event(event, resource, str(payload.get("status", ""))[:30])
    return f"events of type {event.event_type!r} mean nothing here"


def _submission_event(event: PanelEvent, submission_id: str) -> str:
    word = panel_word(event.payload, event.occurred_at)
    if word is None:
        return f"a submission is in no state known here: {event.payload.get('status')!r}"
    mine = Recruitment.objects.filter(channel=Channel.PROLIFIC, credential=event.credential)
    recruitment = mine.filter(submissions__submission_id=submission_id).first()
    if recruitment is None:
        recruitment = _recruitment_asked(event, submission_id)
    if recruitment is None:
        return "the submission is of no study here"
    hashed = str(event.payload.get("participant_hash", ""))
    submission_apply(
        recruitment=recruitment,
        submission_id=submission_id,
        word=type(word)(status=word.status, at=word.at, code=word.code, participant=hashed),
    )
    return ""


def _recruitment_asked(event: PanelEvent, submission_id: str) -> Recruitment | None:
    """Ask the panel which study a submission is of, for the event does not say."""
    mine = Recruitment.objects.filter(
        channel=Channel.PROLIFIC, credential=event.credential
    ).exclude(panel_study_id="")
    any_of_mine = mine.select_related("credential").first()
    if any_of_mine is None:
        return None
    try:
        row, _ = client_for(any_of_mine).submission(submission_id)
    except PanelRefused as error:
        if error.status == 404:
            return None
        raise
    return mine.filter(panel_study_id=str(row.get("study_id") or row.get("study") or "")).first()


def _study_event(event: PanelEvent, study_id: str, status: str) -> str:
    with transaction.atomic():
        row = (
            Recruitment.objects.select_for_update(no_key=True)
            .filter(
                channel=Channel.PROLIFIC,
                credential=event.credential,
                panel_study_id=study_id,
            )
            .exclude(panel_study_id="")
            .first()
        )
        if row is None:
            return "the study is none here"
        newer = PanelEvent.objects.filter(
            credential=event.credential,
            event_type=STUDY,
            payload__resource_id=study_id,
            occurred_at__gt=event.occurred_at,
            processed_at__isnull=False,
        ).exists()
        if newer or (row.reconciled_at is not None and row.reconciled_at > event.occurred_at):
            return "older than what is known"
        if not status:
            raise InvalidInput("status: the event of a study has none.")
        row.panel_status = status
        row.save(update_fields=["panel_status"])
    commitment_settle(recruitment=row, as_of=event.occurred_at)
    return ""


def _object(body: bytes) -> dict[str, Any]:
    """Read a JSON object that every database can store: no NUL, no half character, no NaN."""
    try:
        payload = json.loads(body, parse_constant=_refuse)
        text = json.dumps(payload, ensure_ascii=False).encode().decode()
    except (ValueError, RecursionError):  # errors of decoding are ValueErrors as well
        raise WebhookRefused("The body is no JSON.") from None
    if not isinstance(payload, dict) or "\\u0000" in text:
        raise WebhookRefused("The body is no JSON object that can be stored.")
    return payload


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _pseudonymous(payload: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in payload.items() if name != "participant_id"}
    participant = payload.get("participant_id")
    if isinstance(participant, str) and participant:
        kept["participant_hash"] = external_id_hash(
            channel=Channel.PROLIFIC, external_id=participant
        )
    return kept


def _moment(text: str) -> datetime | None:
    """Read seconds since 1970, or ISO 8601; None for anything else."""
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except (ValueError, OverflowError, OSError):
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
