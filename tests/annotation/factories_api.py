"""What the tests of the API share: tokens and clients that show them."""

from typing import Any

from django.test import Client

from annotation.models import ApiToken, Scope
from annotation.services.tokens import token_create
from tests.annotation.factories import make_user

ALL = tuple(Scope.values)


def make_token(user: Any = None, *scopes: str, name: str = "script") -> tuple[ApiToken, str]:
    """A token with these scopes, all of them by default."""
    return token_create(user=user or make_user(), name=name, scopes=scopes or ALL)


def bearer(secret: str) -> Client:
    """A client that shows a token, and has no session and no CSRF token."""
    return Client(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {secret}"})


def api_client(user: Any = None, *scopes: str) -> Client:
    """A client with a new token of a user."""
    name = f"script {ApiToken.objects.count()}"
    return bearer(make_token(user, *scopes, name=name)[1])
