"""Secrets at rest: encrypted with keys that the environment holds and the database never sees.

The first of the server's keys encrypts; all of them decrypt, so that a key can be changed without
losing what the former one wrote (`manage.py reencrypt` writes it anew with the first).
"""

import base64

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from annotation.exceptions import DecryptionFailed

#: Ties the derived keys to this use: the same passphrase elsewhere gives other keys.
PURPOSE = b"neuronjury secrets at rest, version 1"


def encrypt(text: str) -> bytes:
    """Encrypt a secret, and protect it against being changed.

    Parameters
    ----------
    text : str
        The secret.

    Returns
    -------
    bytes
        Another value at every call; keep it in a `BinaryField`.
    """
    return _keys().encrypt(text.encode())


def decrypt(data: bytes | memoryview) -> str:
    """Decrypt what `encrypt` returned.

    Parameters
    ----------
    data : bytes or memoryview
        As the database gives it back.

    Returns
    -------
    str
        The secret.

    Raises
    ------
    DecryptionFailed
        When none of the server's keys wrote it, or it was changed; the message says what to do.
    """
    try:
        return _keys().decrypt(bytes(data)).decode()
    except InvalidToken:
        raise DecryptionFailed(_UNREADABLE) from None


def reencrypt(data: bytes | memoryview) -> bytes:
    """Encrypt a secret anew with the first of the server's keys.

    Parameters
    ----------
    data : bytes or memoryview
        From `encrypt`, under any of the server's keys.

    Returns
    -------
    bytes

    Raises
    ------
    DecryptionFailed
        See `decrypt`.
    """
    try:
        return _keys().rotate(bytes(data))
    except InvalidToken:
        raise DecryptionFailed(_UNREADABLE) from None


_UNREADABLE = (
    "A stored secret cannot be decrypted with this server's keys: put the key that wrote it behind "
    "the present one in NEURONJURY_ENCRYPTION_KEY (separated by a comma), or enter the secret anew."
)


def _keys() -> MultiFernet:
    return MultiFernet([Fernet(_derived(key)) for key in settings.NEURONJURY_ENCRYPTION_KEYS])


def _derived(key: str) -> bytes:
    raw = HKDF(algorithm=SHA256(), length=32, salt=None, info=PURPOSE).derive(key.encode())
    return base64.urlsafe_b64encode(raw)
