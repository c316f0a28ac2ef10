"""Who asks the API: a researcher by session or by token; what a token is good for; how often."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from annotation.models import ApiToken, Scope
from annotation.services.throttles import throttle_hit
from annotation.services.tokens import token_find, token_used
from annotation.throttling import client_address

SCHEME = "Bearer"
#: What a token of each scope may do beside: whoever writes or pays must be able to look.
INCLUDED = {
    Scope.READ: frozenset({Scope.READ, Scope.WRITE, Scope.PAY}),
    Scope.WRITE: frozenset({Scope.WRITE}),
    Scope.PAY: frozenset({Scope.PAY}),
}


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer nj_...``; ``request.auth`` is the token."""

    @sensitive_variables("words")
    def authenticate(self, request: Request) -> tuple[AbstractBaseUser, ApiToken] | None:
        """Find the user of a request's token.

        Parameters
        ----------
        request : Request
            Any.

        Returns
        -------
        tuple of User and ApiToken, or None
            None when the request shows no token.

        Raises
        ------
        AuthenticationFailed
            When the token is unknown, expired or revoked, or its user was deactivated.
        """
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != SCHEME.lower().encode():
            return None
        if len(words) != 2:
            raise AuthenticationFailed("Authorization: give it as `Bearer nj_...`, one token.")
        token = token_find(secret=words[1].decode("latin-1"))
        if token is None:
            raise AuthenticationFailed("Authorization: there is no such token; make a new one.")
        if token.revoked_at is not None:
            raise AuthenticationFailed(f"The token {token.name!r} was revoked; make a new one.")
        if token.expires_at <= timezone.now():
            raise AuthenticationFailed(
                f"The token {token.name!r} ran out on {token.expires_at:%Y-%m-%d}; make a new one."
            )
        if not token.user.is_active:
            raise AuthenticationFailed("The user of this token may not log in any more.")
        token_used(token=token)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - DRF's
        """Say how to authenticate: whoever is nobody gets 401."""
        return SCHEME


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI document describes tokens."""

    target_class = "annotation.api.access.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: ARG002
        """Describe the header."""
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of the API, made on the page Tokens.",
        }


class HasScope(BasePermission):
    """Let a token do what its scopes say; a session may do what its user may."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Compare the token's scopes with what the view needs.

        Parameters
        ----------
        request : Request
            Of somebody authenticated.
        view : APIView
            With ``pays``: whether its unsafe methods spend money.

        Returns
        -------
        bool

        Raises
        ------
        PermissionDenied
            When the token's scopes do not suffice; the message names the one that is missing.
        """
        if not isinstance(request.auth, ApiToken):
            return True
        needed = scope_needed(request.method or "GET", pays=getattr(view, "pays", False))
        if not INCLUDED[needed] & set(request.auth.scopes):
            raise PermissionDenied(
                f"The token {request.auth.name!r} may {' and '.join(request.auth.scopes)}, and "
                f"this needs {needed.value}; make a token with that scope."
            )
        return True


def scope_needed(method: str, *, pays: bool) -> Scope:
    """Name the scope that a request needs.

    Parameters
    ----------
    method : str
        Of HTTP.
    pays : bool
        Whether the endpoint's unsafe methods spend money.

    Returns
    -------
    Scope
    """
    if method in SAFE_METHODS:
        return Scope.READ
    return Scope.PAY if pays else Scope.WRITE


class Throttle(BaseThrottle):
    """Requests counted in the database, so that all server processes count together.

    Attributes
    ----------
    scopes : tuple of str
        Keys of ``NEURONJURY_THROTTLES``; a request counts in each of them.
    """

    scopes: tuple[str, ...] = ()
    _wait = 0

    def allow_request(self, request: Request, view: APIView) -> bool:  # noqa: ARG002 - DRF's
        """Count the request.

        Parameters
        ----------
        request : Request
            Any.
        view : APIView
            Whatever it asks for.

        Returns
        -------
        bool
            False when there were too many.
        """
        who = _who(request)
        for scope in self.scopes:
            limit, seconds = settings.NEURONJURY_THROTTLES[scope]
            wait = throttle_hit(scope=scope, who=who, limit=limit, seconds=seconds)
            self._wait = max(self._wait, wait)
        return not self._wait

    def wait(self) -> float:
        """Say for how many seconds whoever was refused has to wait."""
        return float(self._wait)


class AnonymousThrottle(Throttle):
    """By address: requests of nobody, such as wrong tokens."""

    scopes = ("api_anonymous",)


class UserThrottle(Throttle):
    """By user, over a minute and over an hour."""

    scopes = ("api_burst", "api_user")


def _who(request: Request) -> str:
    """Name who is counted: a user whatever the address, nobody by the address."""
    if request.user.is_authenticated:
        return f"user {request.user.pk}"
    return f"address {client_address(request._request)}"  # noqa: SLF001 - DRF's only way to Django's
