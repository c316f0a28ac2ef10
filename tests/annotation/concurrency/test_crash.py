"""An answer that was acknowledged is there after the server is killed, on both databases."""

import http.client
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from annotation.models import Rating

ROOT = Path(__file__).resolve().parents[3]
TOKEN = "c" * 32


def environment(database_url: str, data_dir: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": database_url,
        "NEURONJURY_DATA_DIR": str(data_dir),
        "DJANGO_SETTINGS_MODULE": "neuronjury.settings.dev",
    }


def run(env: dict[str, str], *arguments: str) -> str:
    """Run Python in a process of its own; what it wrote."""
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A migrated SQLite database with a rater who holds a task, and what a browser knows of it."""
    folder = tmp_path_factory.mktemp("prepared")
    path = folder / "crash.sqlite3"
    return path, prepare(environment(f"sqlite:///{path}", folder))


@pytest.fixture
def sqlite_copy(
    prepared: tuple[Path, dict[str, Any]], tmp_path: Path
) -> tuple[Path, dict[str, str], dict[str, Any]]:
    """A copy of that database, the environment of processes on it, and what a browser knows."""
    path, known = prepared
    # with all files beside it: the settings may keep a log of changes that are not in it yet
    shutil.copytree(path.parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / path.name, environment(f"sqlite:///{tmp_path / path.name}", tmp_path), known


def prepare(env: dict[str, str]) -> dict[str, Any]:
    known: dict[str, Any] = json.loads(run(env, "-m", "tests.annotation.concurrency.crash_study"))
    return known


@contextmanager
def server(env: dict[str, str]) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    """A gunicorn, killed with SIGKILL at the end, master and workers alike."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(  # noqa: S603
        [
            sys.executable,
            "-m",
            "gunicorn",
            "neuronjury.wsgi",
            "--workers=1",
            f"--bind=127.0.0.1:{port}",
            "--log-level=error",
        ],
        cwd=ROOT,
        env=env,
        start_new_session=True,
    )
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, "the server did not start"
            time.sleep(0.1)
        yield port, process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def save(port: int, known: dict[str, Any], item: str, value: str) -> dict[str, Any]:
    browser = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    body = {"item": item, "value": value, "client_id": str(uuid.uuid4())}
    headers = {
        "Content-Type": "application/json",
        "Cookie": f"sessionid={known['session']}; csrftoken={TOKEN}",
        "X-CSRFToken": TOKEN,
    }
    browser.request("POST", known["url"], json.dumps(body), headers)
    response = browser.getresponse()
    answer = json.loads(response.read())
    assert response.status == 200, answer
    browser.close()
    return answer


def acknowledged_answers_survive(env: dict[str, str], known: dict[str, Any]) -> dict[str, str]:
    """Kill the server right after each of two acknowledgements; what was acknowledged."""
    given = {}
    for item, value in zip(known["items"][:2], ["present", "absent"], strict=True):
        with server(env) as (port, process):
            assert save(port, known, item, value)["saved"] is True
            os.killpg(process.pid, signal.SIGKILL)
        given[item] = value
    return given


@pytest.mark.slow
def test_sqlite(sqlite_copy: tuple[Path, dict[str, str], dict[str, Any]]) -> None:
    path, env, known = sqlite_copy
    given = acknowledged_answers_survive(env, known)
    with sqlite3.connect(path) as database:
        rows = database.execute(
            "SELECT i.public_id, r.value FROM annotation_rating r "
            "JOIN annotation_item i ON i.id = r.item_id"
        ).fetchall()
    assert {str(uuid.UUID(item)): value for item, value in rows} == given


@pytest.mark.slow
def test_a_killed_worker_does_not_block_later_estimates(
    sqlite_copy: tuple[Path, dict[str, str], dict[str, Any]],
) -> None:
    path, env, known = sqlite_copy
    slug = known["study"]
    ask = (
        "import django; django.setup()\n"
        "from datetime import timedelta\n"
        "from django.utils import timezone\n"
        "from annotation.models import Study\n"
        "from annotation.services.estimates import RUN_LIMIT, estimate_request, runs_reap\n"
        "from tests.annotation.factories import rate_study\n"
        f"study = Study.objects.get(slug={slug!r})\n"
    )
    run(env, "-c", ask + "rate_study(study)\nestimate_request(study=study, aggregation='bragg')")

    def runs() -> list[tuple[str, int]]:
        with sqlite3.connect(path, timeout=30) as database:
            return database.execute(
                "SELECT status, attempt FROM annotation_estimaterun ORDER BY id"
            ).fetchall()

    worker = subprocess.Popen(
        [sys.executable, "manage.py", "run_worker", "--interval=0.1"],
        cwd=ROOT,
        env=env,
        start_new_session=True,
    )
    try:
        for _ in range(1200):
            if runs() == [("running", 1)]:
                break
            time.sleep(0.01)
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
    assert runs() == [("running", 1)]
    run(env, "-c", ask + "runs_reap(study=study, now=timezone.now() + 2 * RUN_LIMIT)")
    assert runs() == [("failed", 1), ("queued", 2)]
    run(env, "manage.py", "run_worker", "--batch")
    assert runs() == [("failed", 1), ("finished", 2)]


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="needs PostgreSQL: set DATABASE_URL"
)
def test_postgresql(tmp_path: Path) -> None:
    parts = connection.settings_dict
    address = f"{parts['USER']}:{parts['PASSWORD']}@{parts['HOST']}:{parts['PORT']}"
    env = environment(f"postgres://{address}/{parts['NAME']}", tmp_path)
    given = acknowledged_answers_survive(env, prepare(env))
    rows = Rating.objects.values_list("item__public_id", "value")
    assert {str(item): value for item, value in rows} == given
