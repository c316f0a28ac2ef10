"""Tokens of the API: what the database keeps of them, and how long they are good."""

from datetime import timedelta

import pytest
from django.utils import timezone

from annotation.exceptions import InvalidInput
from annotation.models import ApiToken, Scope
from annotation.services.tokens import (
    token_create,
    token_digest,
    token_find,
    token_revoke,
    token_used,
    tokens_of,
    tokens_prune,
)
from tests.annotation.factories import make_user
from tests.annotation.factories_api import make_token

pytestmark = pytest.mark.django_db


def test_the_token_itself_is_never_kept() -> None:
    token, secret = make_token(None, "pay", "read")
    assert secret.startswith("nj_")
    assert len(secret) > 40
    row = ApiToken.objects.values().get()
    assert secret not in str(row)
    assert row["digest"] == token_digest(secret)
    assert row["scopes"] == [Scope.READ, Scope.PAY]
    assert secret.startswith(row["prefix"])
    assert token.expires_at - token.created_at > timedelta(days=89)
    assert token_find(secret=secret) == token
    assert token_find(secret=secret[:-1]) is None
    assert token_find(secret=token.digest) is None
    assert make_token()[1] != secret


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scopes": []}, "scopes: none given"),
        ({"scopes": ["read", "admin"]}, "scopes: 'admin' given"),
        ({"days": 0}, "days: 0 is outside 1 to 365"),
        ({"days": 366}, "days: 366"),
        ({"name": "  "}, "name: give 1 to 80"),
        ({"name": "x" * 81}, "not 81"),
        ({"name": "script"}, "have a token 'script' already"),
    ],
)
def test_what_is_no_token_is_named(changes: dict, words: str) -> None:
    token, _ = make_token()
    wanted = {"user": token.user, "name": "other", "scopes": ["read"], **changes}
    with pytest.raises(InvalidInput, match=words):
        token_create(**wanted)
    assert ApiToken.objects.count() == 1


def test_a_name_is_free_again_after_revoking() -> None:
    token, secret = make_token()
    first = token_revoke(token=token).revoked_at
    assert first is not None
    assert token_revoke(token=token).revoked_at == first
    again, _ = make_token(token.user)
    assert tokens_of(token.user) == [again, token]
    found = token_find(secret=secret)
    assert found is not None
    assert found.revoked_at == first


def test_the_last_use_is_written_once_a_minute(django_assert_num_queries) -> None:
    token, _ = make_token()
    now = timezone.now()
    token_used(token=token, now=now)
    token.refresh_from_db()
    assert token.last_used_at == now
    with django_assert_num_queries(0):
        token_used(token=token, now=now + timedelta(seconds=59))
    token_used(token=token, now=now + timedelta(seconds=61))
    token.refresh_from_db()
    assert token.last_used_at == now + timedelta(seconds=61)
    stale = ApiToken(pk=token.pk, last_used_at=now - timedelta(hours=1))
    token_used(token=stale, now=now + timedelta(seconds=90))  # another process was faster
    token.refresh_from_db()
    assert token.last_used_at == now + timedelta(seconds=61)


def test_tokens_that_were_useless_for_long_are_deleted() -> None:
    user = make_user()
    kept, gone = (make_token(user, name=name)[0] for name in ("kept", "gone"))
    ApiToken.objects.filter(pk=gone.pk).update(expires_at=timezone.now() - timedelta(days=366))
    ApiToken.objects.filter(pk=kept.pk).update(expires_at=timezone.now() - timedelta(days=364))
    assert tokens_prune() == 1
    assert tokens_of(user) == [kept]
