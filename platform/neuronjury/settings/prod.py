"""Paid studies: HTTPS only, every secret from the environment, no default for any of them."""

import os

from django.core.exceptions import ImproperlyConfigured

from neuronjury.settings.base import *  # noqa: F403

SHORTEST_KEY = 32


def _required(name: str, remedy: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise ImproperlyConfigured(f"Set the environment variable {name}: {remedy}")
    return value


SECRET_KEY = _required(
    "SECRET_KEY",
    "50 or more random characters, for example from "
    "`python -c 'import secrets; print(secrets.token_urlsafe(50))'`.",
)
# Not the SECRET_KEY: where that one leaks it must change at once, and leave secrets readable. It is
# changed for no lesser reason: raters' ids are hashed with it, so none who returns would be known.
NEURONJURY_ENCRYPTION_KEYS = [
    key.strip()
    for key in _required(
        "NEURONJURY_ENCRYPTION_KEY",
        "32 or more random characters that panels' tokens are encrypted with, for example from "
        "`python -c 'import secrets; print(secrets.token_urlsafe(50))'`; former keys may follow "
        "it, separated by commas.",
    ).split(",")
]
if any(len(key) < SHORTEST_KEY or key == SECRET_KEY for key in NEURONJURY_ENCRYPTION_KEYS):
    raise ImproperlyConfigured(
        f"NEURONJURY_ENCRYPTION_KEY: a key is shorter than {SHORTEST_KEY} characters or the same "
        "as SECRET_KEY; make a random one of its own."
    )
ALLOWED_HOSTS = [
    host.strip()
    for host in _required("ALLOWED_HOSTS", "the site's host names, separated by commas.").split(",")
    if host.strip()
]
CSRF_TRUSTED_ORIGINS = [f"https://{host}" for host in ALLOWED_HOSTS]

NEURONJURY_PROXIES = int(os.environ.get("NEURONJURY_PROXIES", "1"))

SECURE_SSL_REDIRECT = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
# The prefix makes browsers refuse such a cookie without HTTPS, or from another host of the domain.
SESSION_COOKIE_NAME = "__Host-sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken"
