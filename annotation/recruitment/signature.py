"""Prolific's signed links: a JSON web token whose key Prolific publishes.

A bare ``?PROLIFIC_PID=...`` can be typed by anybody; the token cannot. Only asymmetric algorithms
are taken: with a symmetric one the published key would sign whatever one likes.
"""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
from django.conf import settings

from annotation.exceptions import ForgedArrival, PanelKeysUnavailable
from annotation.recruitment.certificates import tls

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
ISSUER = "https://www.prolific.com"
LEEWAY_SECONDS = 30
LONGEST_TOKEN = 8192

#: Keys are fetched anew after a day, and for an unknown key id, or after a fetch that failed, at
#: most once a minute.
KEYS_SECONDS = 24 * 60 * 60
UNKNOWN_KEY_SECONDS = 60
FETCH_SECONDS = 5.0
MOST_BYTES = 256 * 1024

#: The claims have the names of the parameters in the address that we give to Prolific.
PARTICIPANT, STUDY, SUBMISSION = "PROLIFIC_PID", "STUDY_ID", "SESSION_ID"


@dataclass(frozen=True)
class PanelClaims:
    """What a signed link says.

    Attributes
    ----------
    participant_id : str
        The panel's id of the rater; never in a log.
    study_id : str
        The panel's id of the study.
    submission_id : str
        The panel's id of this visit.
    """

    participant_id: str = field(repr=False)
    study_id: str
    submission_id: str = field(repr=False)


def signature_verify(
    *, token: str, audience: str, study_id: str = "", keys: Mapping[str, Any] | None = None
) -> PanelClaims:
    """Check a signed link of Prolific.

    Parameters
    ----------
    token : str
        The parameter ``prolific_token``.
    audience : str
        Our own address (scheme and host): the link must have been made for it.
    study_id : str
        Prolific's id of the study that the link must be for; empty: the caller compares.
    keys : mapping, optional
        A JWKS document; by default Prolific's own, fetched and kept.

    Returns
    -------
    PanelClaims

    Raises
    ------
    ForgedArrival
        When the signature, its algorithm, time, audience, issuer or study is wrong.
    PanelKeysUnavailable
        When Prolific's keys cannot be fetched.
    """
    if len(token) > LONGEST_TOKEN:
        raise ForgedArrival("The link's signature is longer than any that the panel makes.")
    key, algorithm = _key_for(token, keys)
    try:
        payload = jwt.decode(
            token,
            key=key,
            algorithms=[algorithm],
            issuer=ISSUER,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "aud", "iss"], "verify_aud": False},
        )
    except jwt.ExpiredSignatureError:
        raise ForgedArrival("The link's signature is out of date.") from None
    except jwt.PyJWTError:
        # without the cause: its text may quote the token
        raise ForgedArrival("The link's signature is not the panel's.") from None
    _audience_require(payload["aud"], audience)
    claims = payload.get("prolific")
    if not isinstance(claims, dict):
        raise ForgedArrival("The link is signed, but says nothing of a rater.")
    found = PanelClaims(
        participant_id=_claim(claims, PARTICIPANT),
        study_id=_claim(claims, STUDY),
        submission_id=_claim(claims, SUBMISSION),
    )
    if study_id and found.study_id != study_id:
        raise ForgedArrival("The link was signed for another study.")
    return found


def _claim(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value or len(value) > 200 or "{" in value:
        raise ForgedArrival(f"The link is signed, but its {name} is missing or not filled in.")
    return value


def _audience_require(audience: object, ours: str) -> None:
    """Compare hosts: the panel signs the whole address of the study, ports and schemes included."""
    named = audience if isinstance(audience, list) else [audience]
    if not any(isinstance(name, str) and _origin(name) == _origin(ours) for name in named):
        raise ForgedArrival("The link was signed for another site.")


def _origin(address: str) -> tuple[str, str, int | None]:
    parts = urlsplit(address if "//" in address else f"https://{address}")
    try:
        port = parts.port
    except ValueError:
        return ("", address, None)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return (parts.scheme, (parts.hostname or "").lower(), port or default)


def _key_for(token: str, keys: Mapping[str, Any] | None) -> tuple[jwt.PyJWK, str]:
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError:
        raise ForgedArrival("The link's signature cannot be read.") from None
    algorithm, key_id = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise ForgedArrival("The link's signature uses an algorithm that is not taken here.")
    if not isinstance(key_id, str) or not key_id:
        raise ForgedArrival("The link's signature does not say which key made it.")
    document = keys if keys is not None else _published.document(key_id)
    for key in _usable(document):
        if key.key_id == key_id:
            if key.algorithm_name != algorithm:
                break
            return key, algorithm
    raise ForgedArrival("The link's signature was made with a key that is not the panel's.")


def _usable(document: Mapping[str, Any]) -> list[jwt.PyJWK]:
    rows = document.get("keys")
    found = []
    for row in rows if isinstance(rows, list) else []:
        # a symmetric key ("oct") in a public document is no key of anybody
        if not isinstance(row, dict) or row.get("kty") not in {"RSA", "EC", "OKP"}:
            continue
        try:
            found.append(jwt.PyJWK.from_dict(row))
        except jwt.PyJWTError:
            continue  # a kind of key that this library does not know signs nothing that is taken
    return found


class _PublishedKeys:
    """Prolific's keys as they were last fetched, kept by this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, dict[str, Any]]] = {}
        self._failed: dict[str, tuple[float, str]] = {}

    def document(self, key_id: str) -> dict[str, Any]:
        """Return the keys; fetch them when they are old or do not have the one that is wanted."""
        address = settings.NEURONJURY_PROLIFIC_JWKS_URL
        with self._lock:
            at, kept = self._kept.get(address, (float("-inf"), {"keys": []}))
            age = time.monotonic() - at
            has_key = any(
                isinstance(row, dict) and row.get("kid") == key_id for row in kept["keys"]
            )
            if age < (KEYS_SECONDS if has_key else UNKNOWN_KEY_SECONDS):
                return kept
            failed_at, trouble = self._failed.get(address, (float("-inf"), ""))
            if time.monotonic() - failed_at >= UNKNOWN_KEY_SECONDS:
                try:
                    fetched = _fetch(address)
                except PanelKeysUnavailable as error:
                    trouble = str(error)
                    self._failed[address] = (time.monotonic(), trouble)
                else:
                    self._failed.pop(address, None)
                    self._kept[address] = (time.monotonic(), fetched)
                    return fetched
            if has_key:  # yesterday's key still says who signed
                return kept
            raise PanelKeysUnavailable(trouble)

    def forget(self) -> None:
        """Forget the keys, as a new process would not know them."""
        with self._lock:
            self._kept.clear()
            self._failed.clear()


_published = _PublishedKeys()


def keys_forget() -> None:
    """Fetch the published keys anew at the next signature."""
    _published.forget()


def _fetch(address: str) -> dict[str, Any]:
    """Fetch a JWKS document within limits of time and size."""
    try:
        with httpx.stream("GET", address, timeout=FETCH_SECONDS, verify=tls()) as reply:
            reply.raise_for_status()
            body = b""
            for chunk in reply.iter_bytes():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise PanelKeysUnavailable("The panel's list of public keys is too long.")
        document = json.loads(body)
    except (httpx.HTTPError, ValueError) as error:
        raise PanelKeysUnavailable(
            "The panel's public keys cannot be fetched at the moment, so that no signature can be "
            f"checked; try again in a minute ({type(error).__name__})."
        ) from error
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise PanelKeysUnavailable("The panel's list of public keys has no keys.")
    return document
