"""The page of tokens: made, shown once, revoked."""

import re
from datetime import timedelta
from http import HTTPStatus

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.models import ApiToken
from annotation.services.tokens import token_digest
from tests.annotation.factories import make_user
from tests.annotation.factories_api import make_token

pytestmark = pytest.mark.django_db
ADDRESS = reverse("researcher:tokens")


def test_a_token_is_shown_once(client: Client) -> None:
    user = make_user()
    client.force_login(user)
    assert "You have no token yet" in client.get(ADDRESS).content.decode()
    body = {"name": "notebook", "scopes": ["read", "write"], "days": 30}
    response = client.post(ADDRESS, body)
    assert response.status_code == HTTPStatus.CREATED
    assert "no-store" in response["Cache-Control"]
    (secret,) = set(re.findall(r"nj_[\w-]{40,}", response.content.decode()))
    token = ApiToken.objects.get()
    assert (token.user, token.digest, token.scopes) == (
        user,
        token_digest(secret),
        ["read", "write"],
    )
    assert timedelta(days=29) < token.expires_at - timezone.now() < timedelta(days=30)
    assert secret not in client.get(ADDRESS).content.decode()
    assert client.post(ADDRESS, body).status_code == HTTPStatus.BAD_REQUEST  # sent twice
    assert ApiToken.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": ""}, "This field is required"),
        ({"scopes": []}, "This field is required"),
        ({"scopes": ["admin"]}, "not one of the available choices"),
        ({"days": 400}, "less than or equal to 365"),
    ],
)
def test_a_form_that_is_wrong_says_where(client: Client, changes: dict, words: str) -> None:
    client.force_login(make_user())
    body = {"name": "notebook", "scopes": ["read"], "days": 30, **changes}
    response = client.post(ADDRESS, body)
    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert words in response.content.decode()
    assert not ApiToken.objects.exists()


def test_tokens_of_others_are_neither_seen_nor_revoked(client: Client) -> None:
    token, _ = make_token(name="of somebody else")
    client.force_login(make_user())
    assert "of somebody else" not in client.get(ADDRESS).content.decode()
    address = reverse("researcher:token_revoke", args=[token.pk])
    assert client.post(address).status_code == HTTPStatus.NOT_FOUND
    client.force_login(token.user)
    assert client.get(address).status_code == HTTPStatus.METHOD_NOT_ALLOWED
    assert client.post(address, follow=True).status_code == HTTPStatus.OK
    token.refresh_from_db()
    assert token.revoked_at is not None
    assert "revoked" in client.get(ADDRESS).content.decode()


def test_nobody_sees_it(client: Client) -> None:
    assert client.get(ADDRESS).status_code == HTTPStatus.FOUND
