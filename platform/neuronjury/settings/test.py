"""The tests: no secret kept, fast password hashes, background work run when a test says so."""

import tempfile
from pathlib import Path

from neuronjury.settings.base import *  # noqa: F403
from neuronjury.settings.base import DATABASES, NEURONJURY_THROTTLES

SECRET_KEY = "only-for-tests"  # noqa: S105
NEURONJURY_ENCRYPTION_KEYS = ["only-for-tests-too"]
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "testserver"]
DATA_DIR = Path(tempfile.mkdtemp(prefix="neuronjury-test-"))
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file, as in use. In memory the browser tests' server would share one connection with the
    # test, and whoever comes second finds "table is locked" at once instead of waiting.
    DATABASES["default"]["TEST"] = {"NAME": DATA_DIR / "tests.sqlite3"}
    DATABASES["default"]["OPTIONS"]["init_command"] = (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
    )
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# a test that needs Prolific starts the fake; no test ever reaches the real one
NEURONJURY_PROLIFIC_URL = "http://127.0.0.1:9/api/v1"
NEURONJURY_PROLIFIC_JWKS_URL = "http://127.0.0.1:9/jwks.json"
TASKS = {"default": {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
STATIC_ROOT = None
# hundreds of requests a test; the tests of the limits set their own
NEURONJURY_THROTTLES.update(
    dict.fromkeys(("api_anonymous", "api_burst", "api_user"), (1_000_000, 60))
)
