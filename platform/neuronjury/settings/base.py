"""What every situation shares: nothing here is secret, nothing unsafe in production."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import dj_database_url
from csp.constants import NONE, SELF

# A checkout has manage.py three folders up; an installed wheel works in the current folder.
_CHECKOUT = Path(__file__).resolve().parents[3]
BASE_DIR = _CHECKOUT if (_CHECKOUT / "manage.py").exists() else Path.cwd()

# Everything that the app writes: the embedded database, probe datasets, arrays, reports.
DATA_DIR = Path(os.environ.get("NEURONJURY_DATA_DIR", BASE_DIR / "var")).resolve()

DEBUG = False
ALLOWED_HOSTS: list[str] = []

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "csp",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "django_tasks",
    "django_tasks_db",
    "annotation",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "annotation.middleware.maintenance_middleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "annotation.middleware.headers_middleware",
    "annotation.middleware.body_limit_middleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "neuronjury.urls"
WSGI_APPLICATION = "neuronjury.wsgi.application"
ASGI_APPLICATION = "neuronjury.asgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [_CHECKOUT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


def database(default_path: Path) -> dict[str, Any]:
    """Return the database settings: ``DATABASE_URL``, or the embedded SQLite file."""
    configured = dj_database_url.config(
        default=f"sqlite:///{default_path}", conn_max_age=60, conn_health_checks=True
    )
    if configured["ENGINE"] == "django.db.backends.sqlite3":
        # WAL: readers never wait for a writer. IMMEDIATE: two writers queue (up to the busy
        # timeout) where a deferred transaction would fail half-way with "database is locked".
        # synchronous stays FULL: an acknowledged rating survives a power cut.
        configured["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 60,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        }
        configured["CONN_HEALTH_CHECKS"] = False
    return dict(configured)


DATABASES = {"default": database(DATA_DIR / "neuronjury.sqlite3")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Work off the request: rows in the same database, run by `manage.py run_worker`.
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in (
        ("UserAttributeSimilarityValidator", {}),
        ("MinimumLengthValidator", {"min_length": 12}),
        ("CommonPasswordValidator", {}),
        ("NumericPasswordValidator", {}),
    )
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "researcher:study_list"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en"
# Of the raters' pages; a study chooses one. The words are in annotation/locale/.
LANGUAGES = [
    ("en", "English"),
    ("de", "Deutsch"),
    ("es", "Español"),
    ("fr", "Français"),
    ("ar", "العربية"),
]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT: Path | None = DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# No inline script or style anywhere: what a researcher types can never run in a rater's browser.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "connect-src": [SELF],
        "font-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "manifest-src": [SELF],
    },
}
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True  # scripts read the token from the page
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "annotation.error_pages.csrf_failure"

# Where the admin is; empty: nowhere.
NEURONJURY_ADMIN_PATH = os.environ.get("NEURONJURY_ADMIN_PATH", "admin").strip("/")
# Our own proxies in front of the site: as many addresses of X-Forwarded-For are believed.
NEURONJURY_PROXIES = int(os.environ.get("NEURONJURY_PROXIES", "0"))
# Tries an address or an account has in so many seconds, counted over all server processes.
NEURONJURY_THROTTLES = {
    "login": (5, 15 * 60),  # of one account from one address
    "login_address": (50, 15 * 60),
    "login_account": (50, 60 * 60),
    "arrival": (1000, 10 * 60),  # a class of students has one address
    "webhook": (1200, 60),
    # of the researcher's API alone; a rater's answers are never held up by it
    "api_anonymous": (60, 60),
    "api_burst": (300, 60),
    "api_user": (10_000, 60 * 60),
}
# A rater of whom nothing was heard for so long gives the place in the study back.
NEURONJURY_PLACE_SILENCE = timedelta(hours=float(os.environ.get("NEURONJURY_PLACE_HOURS", "24")))
# A body beyond this must be an upload of somebody who is logged in.
NEURONJURY_MAX_BODY_BYTES = 16 * 1024**2
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "EXCEPTION_HANDLER": "annotation.api.problems.problem_response",
    "DEFAULT_SCHEMA_CLASS": "annotation.api.schema.Schema",
    # ?format= is the format of an export, not DRF's choice of a renderer
    "URL_FORMAT_OVERRIDE": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Neuron Jury",
    "VERSION": "1",
    "DESCRIPTION": "Studies of explanations of neurons: made, run, rated, estimated, exported.",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "StudyStatusName": "annotation.models.StudyStatus",
        "RunStatusName": "annotation.models.RunStatus",
        "RoleName": "annotation.models.Role",
        "ChannelName": "annotation.models.Channel",
        "OutcomeName": "annotation.models.Outcome",
    },
    "PREPROCESSING_HOOKS": ["annotation.api.schema.api_alone"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "annotation.api.schema.problems_added",
    ],
}

# What the largest of a researcher's files may weigh; images of a dataset have a limit of their own.
NEURONJURY_MAX_UPLOAD_BYTES = int(os.environ.get("NEURONJURY_MAX_UPLOAD_MB", "2048")) * 1024**2
NEURONJURY_MAX_IMAGE_BYTES = 10 * 1024**2
NEURONJURY_MAX_IMAGE_PIXELS = 50_000_000

# Folders from which researchers may register datasets without an upload, separated by ":" (";" on
# Windows). By default the one folder "datasets" below the data folder, which also holds secrets.
NEURONJURY_DATASET_ROOTS = [
    Path(root) for root in os.environ.get("NEURONJURY_DATASET_ROOTS", "").split(os.pathsep) if root
]

# Our own address, https://..., for links that commands write; pages know it from the request.
NEURONJURY_SITE_URL = os.environ.get("NEURONJURY_SITE_URL", "")
# Prolific's published API and the public keys of its signed links; a demo points both at the fake.
NEURONJURY_PROLIFIC_URL = os.environ.get(
    "NEURONJURY_PROLIFIC_URL", "https://api.prolific.com/api/v1"
)
NEURONJURY_PROLIFIC_JWKS_URL = os.environ.get(
    "NEURONJURY_PROLIFIC_JWKS_URL", "https://api.prolific.com/.well-known/study/jwks.json"
)

# Only a demo or a load test lets a visitor say "I am a simulated rater"; never a paid study.
NEURONJURY_ALLOW_SIMULATED_RATERS = False

LOG_LEVEL = os.environ.get("NEURONJURY_LOG_LEVEL", "INFO")
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
        },
        "plain": {"format": "%(levelname)s %(name)s %(message)s"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    # ArviZ says at every import which of its optional parts are not there.
    # httpx writes the address of every request, and ids of a panel are in them.
    "loggers": {"arviz": {"level": "WARNING"}, "httpx": {"level": "WARNING"}},
}
