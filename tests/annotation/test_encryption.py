"""Secrets at rest: unreadable without the key, unchanged or refused, readable after a rotation."""

import pytest
from django.core.management import CommandError, call_command

from annotation.encryption import decrypt, encrypt, reencrypt
from annotation.exceptions import DecryptionFailed
from annotation.models import PanelCredential
from tests.annotation.factories import make_user

SECRET = "prolific-token-Ünïcode"


def test_what_is_encrypted_comes_back_and_never_looks_the_same() -> None:
    first, second = encrypt(SECRET), encrypt(SECRET)
    assert decrypt(first) == decrypt(second) == SECRET
    assert decrypt(memoryview(first)) == SECRET  # as PostgreSQL's driver gives it
    assert first != second
    assert SECRET.encode() not in first


def test_another_key_or_a_changed_byte_is_refused_with_a_remedy(settings) -> None:
    data = encrypt(SECRET)
    changed = data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]
    with pytest.raises(DecryptionFailed, match="NEURONJURY_ENCRYPTION_KEY"):
        decrypt(changed)
    settings.NEURONJURY_ENCRYPTION_KEYS = ["another key"]
    with pytest.raises(DecryptionFailed) as refused:
        decrypt(data)
    assert SECRET not in str(refused.value)


def test_keys_rotate(settings) -> None:
    old = encrypt(SECRET)
    settings.NEURONJURY_ENCRYPTION_KEYS = ["the new key", "only-for-tests-too"]
    new = reencrypt(old)
    assert decrypt(old) == decrypt(new) == SECRET
    settings.NEURONJURY_ENCRYPTION_KEYS = ["the new key"]
    assert decrypt(new) == SECRET
    for read in (decrypt, reencrypt):
        with pytest.raises(DecryptionFailed):
            read(old)


@pytest.mark.django_db
def test_the_command_writes_every_secret_with_the_new_key_or_none(settings) -> None:
    credential = PanelCredential.objects.create(
        owner=make_user(), name="lab", token_encrypted=encrypt(SECRET)
    )
    settings.NEURONJURY_ENCRYPTION_KEYS = ["the new key"]
    with pytest.raises(CommandError, match="NEURONJURY_ENCRYPTION_KEY"):
        call_command("reencrypt")
    settings.NEURONJURY_ENCRYPTION_KEYS = ["the new key", "only-for-tests-too"]
    call_command("reencrypt")
    settings.NEURONJURY_ENCRYPTION_KEYS = ["the new key"]
    credential.refresh_from_db()
    assert decrypt(credential.token_encrypted) == SECRET
