"""Tokens of the API: shown once, kept as a hash, limited in scope and in time."""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from annotation.exceptions import InvalidInput
from annotation.models import ApiToken, Scope

PREFIX = "nj_"
#: Characters of a token that are kept, to tell tokens apart; the rest is a secret of 256 bits.
SHOWN = 10
DEFAULT_DAYS = 90
MAX_DAYS = 365
#: Characters of a name.
MAX_NAME = 80
#: `last_used_at` is for a person: a busy script writes it once a minute, not at every request.
LAST_USED_STEP = timedelta(minutes=1)


def token_digest(secret: str) -> str:
    """Hash a token as it is kept.

    Parameters
    ----------
    secret : str
        The token; 256 random bits, so that a plain hash is as good as a slow one.

    Returns
    -------
    str
        64 hexadecimal digits (SHA-256).
    """
    return hashlib.sha256(secret.encode()).hexdigest()


@sensitive_variables("secret")
@transaction.atomic
def token_create(
    *,
    user: AbstractBaseUser,
    name: str,
    scopes: Iterable[str],
    days: int = DEFAULT_DAYS,
) -> tuple[ApiToken, str]:
    """Make a token of the API.

    Parameters
    ----------
    user : User
        Whose requests it stands for; it can do nothing that this user cannot.
    name : str
        What it is for; no other token of this user that is not revoked has this name.
    scopes : iterable of str
        Of `Scope`, at least one. Writing and paying include reading.
    days : int
        How long it is valid, 1 to 365.

    Returns
    -------
    token : ApiToken
        What is kept of it.
    secret : str
        The token itself. It cannot be had again.

    Raises
    ------
    InvalidInput
        When a scope is unknown or there is none, the time is out of range, or the name is taken.
    """
    wanted = set(scopes)
    unknown = sorted(wanted - set(Scope.values))
    if unknown or not wanted:
        given = repr(unknown[0]) if unknown else "none"
        raise InvalidInput(f"scopes: {given} given; give one or more of {', '.join(Scope.values)}.")
    if not 1 <= days <= MAX_DAYS:
        raise InvalidInput(
            f"days: {days} is outside 1 to {MAX_DAYS}; make a new token when this one runs out."
        )
    label = name.strip()
    if not 1 <= len(label) <= MAX_NAME:
        raise InvalidInput(
            f"name: give 1 to {MAX_NAME} characters that say what the token is for, not "
            f"{len(label)}."
        )
    secret = PREFIX + secrets.token_urlsafe(32)
    try:
        with transaction.atomic():
            token = ApiToken.objects.create(
                user_id=user.pk,
                name=label,
                prefix=secret[:SHOWN],
                digest=token_digest(secret),
                scopes=[scope for scope in Scope.values if scope in wanted],
                expires_at=timezone.now() + timedelta(days=days),
            )
    except IntegrityError as error:
        raise InvalidInput(
            f"name: you have a token {label!r} already; revoke it or choose another name."
        ) from error
    return token, secret


@transaction.atomic
def token_revoke(*, token: ApiToken) -> ApiToken:
    """Make a token useless; it stays in the list.

    Parameters
    ----------
    token : ApiToken
        Revoking again changes nothing.

    Returns
    -------
    ApiToken
    """
    ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=timezone.now())
    token.refresh_from_db()
    return token


@sensitive_variables("secret")
def token_find(*, secret: str) -> ApiToken | None:
    """Find the token of a request.

    Parameters
    ----------
    secret : str
        What the request showed.

    Returns
    -------
    ApiToken or None
        With its user; also one that is expired or revoked, so that the caller may say so. None for
        what was never a token.
    """
    if not secret.startswith(PREFIX):
        return None
    return ApiToken.objects.select_related("user").filter(digest=token_digest(secret)).first()


def token_used(*, token: ApiToken, now: datetime | None = None) -> None:
    """Note that a token was used, at most once a minute.

    Parameters
    ----------
    token : ApiToken
        That of a request.
    now : datetime, optional
        The present by default.
    """
    moment = now or timezone.now()
    before = moment - LAST_USED_STEP
    if token.last_used_at is not None and token.last_used_at > before:
        return
    ApiToken.objects.filter(
        Q(last_used_at__isnull=True) | Q(last_used_at__lte=before), pk=token.pk
    ).update(last_used_at=moment)


def tokens_prune(*, now: datetime | None = None, keep: timedelta = timedelta(days=365)) -> int:
    """Delete tokens that have been useless for long.

    Parameters
    ----------
    now : datetime, optional
        The present by default.
    keep : timedelta
        How long a token that expired or was revoked stays in its user's list.

    Returns
    -------
    int
        How many were deleted.
    """
    old = (now or timezone.now()) - keep
    deleted, _ = ApiToken.objects.filter(
        Q(expires_at__lt=old) | Q(revoked_at__isnull=False, revoked_at__lt=old)
    ).delete()
    return deleted


def tokens_of(user: AbstractBaseUser) -> list[ApiToken]:
    """List a user's tokens, those in use first.

    Parameters
    ----------
    user : User
        Any.

    Returns
    -------
    list of ApiToken
    """
    return list(
        ApiToken.objects.filter(user=user.pk).order_by(
            F("revoked_at").desc(nulls_first=True), "-created_at"
        )
    )
