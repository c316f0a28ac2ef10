"""Requests that create or spend happen once, however often a client sends them."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.utils import timezone

from annotation.exceptions import RequestKeyReused, RequestUnfinished
from annotation.models import IdempotencyKey

#: A client that repeats a request later than this should look at what it made first.
KEPT = timedelta(days=7)


def request_begin(
    *, user: AbstractBaseUser, key: str, fingerprint: str
) -> tuple[IdempotencyKey, bool]:
    """Take a key for a request, or find the reply that the same request got.

    Parameters
    ----------
    user : User
        Who asks; keys of others are others.
    key : str
        Made by the client, new for every request that it means.
    fingerprint : str
        SHA-256 of method, address and body.

    Returns
    -------
    row : IdempotencyKey
        Of the request.
    is_new : bool
        True when the caller is to do the work and then call `request_end`; False when
        ``row.reply`` is the reply to give.

    Raises
    ------
    RequestKeyReused
        When the key came with another request.
    RequestUnfinished
        When the same request is being worked on, or its server stopped in the middle.
    """
    try:
        with transaction.atomic():
            return IdempotencyKey.objects.create(
                user_id=user.pk, key=key, fingerprint=fingerprint
            ), True
    except IntegrityError:
        row = IdempotencyKey.objects.filter(user=user.pk, key=key).first()
    if row is not None and row.fingerprint != fingerprint:
        raise RequestKeyReused(
            f"Idempotency-Key: {key!r} came with another request before; make a new key for every "
            "request that you mean."
        )
    if row is None or row.status is None:
        raise RequestUnfinished(
            f"Idempotency-Key: the request {key!r} is being worked on, or its server stopped in "
            "the middle; wait a little and repeat it. If that does not help, look at what was made "
            "(the study's log and ledger), then use a new key for what is missing."
        )
    return row, False


def request_end(*, row: IdempotencyKey, status: int, reply: Any) -> None:
    """Keep the reply to a request.

    Parameters
    ----------
    row : IdempotencyKey
        From `request_begin`.
    status : int
        Of HTTP.
    reply : object
        JSON values.
    """
    IdempotencyKey.objects.filter(pk=row.pk).update(status=status, reply=reply)


def request_forget(*, row: IdempotencyKey) -> None:
    """Free the key of a request that was refused: corrected, it may come again under it.

    Parameters
    ----------
    row : IdempotencyKey
        From `request_begin`.
    """
    IdempotencyKey.objects.filter(pk=row.pk).delete()


def requests_prune(*, now: datetime | None = None, keep: timedelta = KEPT) -> int:
    """Delete the replies that nobody will ask for again.

    Parameters
    ----------
    now : datetime, optional
        The present by default.
    keep : timedelta
        How long a key is remembered.

    Returns
    -------
    int
        How many were deleted.
    """
    deleted, _ = IdempotencyKey.objects.filter(
        created_at__lt=(now or timezone.now()) - keep
    ).delete()
    return deleted
