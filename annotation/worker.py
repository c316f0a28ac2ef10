"""A worker of the background: runs tasks, says that it is alive, and sweeps.

Signs of life and sweeping have threads of their own, so that a task that computes for minutes
stops neither. Each thread has its own database connection.
"""

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable

from django.db import close_old_connections, connections
from django_tasks_db.management.commands.db_worker import Worker

from annotation.services.jobs import worker_beat, worker_stop
from annotation.services.sweeps import PANEL_CHORES, Sweeper

logger = logging.getLogger(__name__)

BEAT_SECONDS = 10.0
SWEEP_SECONDS = 5.0  # how often the sweeper looks for a chore that is due


def worker_run(*, batch: bool = False, interval: float = 0.5) -> None:
    """Run tasks until a signal says to stop, or until none is left.

    Parameters
    ----------
    batch : bool
        Stop when no task is waiting.
    interval : float
        Seconds between two looks at an empty queue.
    """
    worker_id = f"{socket.gethostname()[:30]}-{os.getpid()}-{secrets.token_hex(4)}"
    stop = threading.Event()
    sweeper, panel_sweeper = Sweeper(), Sweeper(PANEL_CHORES)
    worker_beat(worker_id=worker_id)
    threads = [
        _repeat("heartbeat", BEAT_SECONDS, stop, lambda: worker_beat(worker_id=worker_id)),
        _repeat("sweeper", SWEEP_SECONDS, stop, sweeper.sweep),
        _repeat("panel sweeper", SWEEP_SECONDS, stop, panel_sweeper.sweep),
    ]
    worker = Worker(
        queue_names=["*"],
        excluded_queue_names=[],
        interval=interval,
        batch=batch,
        backend_name="default",
        startup_delay=False,
        max_tasks=None,
        worker_id=worker_id,
    )
    worker.configure_signals()
    try:
        worker.run()
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=BEAT_SECONDS)
        worker_stop(worker_id=worker_id)


def _repeat(
    name: str, seconds: float, stop: threading.Event, work: Callable[[], object]
) -> threading.Thread:
    """Do some work again and again in a thread, through every trouble with the database."""

    def loop() -> None:
        try:
            while True:
                close_old_connections()
                try:
                    work()
                except Exception:  # a database that restarts: the next round finds it again
                    logger.exception("%s failed, tries again in %g s", name, seconds)
                if stop.wait(seconds):
                    return
        finally:
            connections.close_all()

    thread = threading.Thread(target=loop, name=name, daemon=True)
    thread.start()
    return thread
