"""Real servers and workers in processes of their own, to be killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import connection

ROOT = Path(__file__).resolve().parents[3]


def database_url() -> str:
    """The database that this test uses, for another process."""
    parts = connection.settings_dict
    address = f"{parts['USER']}:{parts['PASSWORD']}@{parts['HOST']}:{parts['PORT']}"
    return f"postgres://{address}/{parts['NAME']}"


def environment(url: str, data_dir: Path | None = None) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": url,
        "NEURONJURY_DATA_DIR": str(data_dir or settings.DATA_DIR),
        "DJANGO_SETTINGS_MODULE": "neuronjury.settings.dev",
        "NEURONJURY_ALLOW_SIMULATED_RATERS": "1",
        "OMP_NUM_THREADS": "1",
    }


def kill(process: "subprocess.Popen[bytes]") -> None:
    """SIGKILL for a process and all its children: nothing in it gets to say goodbye."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def server_start(
    env: dict[str, str], port: int, *, workers: int = 0, threads: int = 0
) -> "subprocess.Popen[bytes]":
    """A gunicorn as in production, by default of its size; ready when this returns."""
    size = {"WEB_WORKERS": str(workers)} if workers else {}
    size |= {"WEB_THREADS": str(threads)} if threads else {}
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--config", "python:neuronjury.server"],
        cwd=ROOT,
        env={
            **env,
            "BIND": f"127.0.0.1:{port}",
            "NEURONJURY_LOG_LEVEL": "ERROR",
            **size,
        },
        start_new_session=True,
    )
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        assert process.poll() is None, "the server did not start"
        time.sleep(0.1)
    kill(process)
    raise AssertionError("the server did not open its port within a minute")


@contextmanager
def worker(env: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A background worker, killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "run_worker", "--interval=0.1"],
        cwd=ROOT,
        env={**env, "NEURONJURY_LOG_LEVEL": "ERROR"},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        kill(process)
