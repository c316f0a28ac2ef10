"""Paid studies: HTTPS only, every secret from the environment, no default for any of them."""

import os

from django.core.exceptions import ImproperlyConfigured

from neuronjury.settings.base import *  # noqa: F403


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
ALLOWED_HOSTS = _required("ALLOWED_HOSTS", "the site's host names, separated by commas.").split(",")
CSRF_TRUSTED_ORIGINS = [f"https://{host}" for host in ALLOWED_HOSTS]

SECURE_SSL_REDIRECT = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
