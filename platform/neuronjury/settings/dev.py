"""A laptop or a lab server behind nobody: embedded database, local hosts only, plain logs."""

import os
import secrets

from neuronjury.settings.base import *  # noqa: F403
from neuronjury.settings.base import DATA_DIR, LOGGING


def _local_secret_key() -> str:
    """Return this checkout's random key, made on first use: sessions outlive a restart."""
    path = DATA_DIR / "dev-secret-key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(50), encoding="ascii")
    return path.read_text(encoding="ascii")


SECRET_KEY = _local_secret_key()
NEURONJURY_ENCRYPTION_KEYS = [SECRET_KEY]
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# Served straight from the packages: no collectstatic step on a laptop, and no folder for it.
WHITENOISE_USE_FINDERS = True
STATIC_ROOT = None
# The demo sets it for its own process, not for the site that `make serve` opens.
NEURONJURY_ALLOW_SIMULATED_RATERS = os.environ.get("NEURONJURY_ALLOW_SIMULATED_RATERS") == "1"
LOGGING["handlers"]["console"]["formatter"] = "plain"
