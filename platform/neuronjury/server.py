"""How gunicorn serves the site: ``gunicorn --config python:neuronjury.server``.

Threads, because a request mostly waits for the database; two processes a core, so that one that
computes (an export, an image) holds nobody up. SQLite has one writer at a time and no queue for the
others, which try again and again: a few of them are served soon, many starve. So there are few, and
the queue is gunicorn's. Measured in `benchmarks/load.py`.
"""

import logging
import os
from typing import Any

logger = logging.getLogger(__name__)

wsgi_app = "neuronjury.wsgi:application"
bind = os.environ.get("BIND", f"127.0.0.1:{os.environ.get('PORT', '8000')}")
_on_sqlite = os.environ.get("DATABASE_URL", "sqlite:").startswith("sqlite:")
workers = int(os.environ.get("WEB_WORKERS", 2 if _on_sqlite else 2 * (os.cpu_count() or 1)))
worker_class = "gthread"
threads = int(os.environ.get("WEB_THREADS", 2 if _on_sqlite else 8))
# the code is loaded once and shared; no database connection is open before the fork
preload_app = True
timeout = 60
graceful_timeout = 30
keepalive = 30
# a worker is replaced now and then, at a time of its own: a leak in a library stays small
max_requests = 20_000
max_requests_jitter = 2_000
accesslog = None
loglevel = os.environ.get("NEURONJURY_LOG_LEVEL", "WARNING").lower()


def on_starting(_server: Any) -> None:
    """Load every view before the fork: Django would, at the first request of each process."""
    from django.urls import get_resolver

    logger.debug("%d groups of addresses", len(get_resolver().url_patterns))
