"""The queue of the background: signs of life, tasks whose worker was killed, old rows."""

import logging
from datetime import datetime, timedelta

from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone
from django_tasks import TaskResultStatus
from django_tasks_db.models import DBTaskResult

from annotation.exceptions import WorkerStopped
from annotation.models import ThrottleWindow, WorkerHeartbeat
from annotation.queries.workers import SILENCE_LIMIT, workers_dead

logger = logging.getLogger(__name__)

#: A task whose worker was killed is tried once more: what kills a worker twice is the task itself.
MAX_ATTEMPTS = 2
TASKS_KEPT = timedelta(days=7)
HEARTBEATS_KEPT = timedelta(days=1)
#: Rows deleted at once: a long transaction would keep raters' answers waiting on SQLite.
PRUNE_BATCH = 500


def worker_beat(*, worker_id: str, now: datetime | None = None) -> WorkerHeartbeat:
    """Record that a worker is alive.

    Parameters
    ----------
    worker_id : str
        The same for the worker's whole life.
    now : datetime, optional
        The present by default.

    Returns
    -------
    WorkerHeartbeat
    """
    moment = now or timezone.now()
    heartbeat, _ = WorkerHeartbeat.objects.update_or_create(
        worker_id=worker_id,
        defaults={"beat_at": moment},
        create_defaults={"beat_at": moment, "started_at": moment},
    )
    return heartbeat


def worker_stop(*, worker_id: str, now: datetime | None = None) -> None:
    """Record that a worker stops; whatever it leaves unfinished may be taken over at once.

    Parameters
    ----------
    worker_id : str
        As in `worker_beat`.
    now : datetime, optional
        The present by default.
    """
    silent_since = (now or timezone.now()) - 2 * SILENCE_LIMIT
    WorkerHeartbeat.objects.filter(worker_id=worker_id).update(beat_at=silent_since)


@transaction.atomic
def tasks_requeue(*, now: datetime | None = None) -> tuple[int, int]:
    """Give the tasks of killed workers to others, each once; tasks are written to bear it.

    Parameters
    ----------
    now : datetime, optional
        The time to compare with; the present by default.

    Returns
    -------
    tuple of int and int
        How many are waiting again, and how many are given up because a second worker died of them.
    """
    moment = now or timezone.now()
    dead = workers_dead(now=moment)
    running = DBTaskResult.objects.running().select_for_update(skip_locked=True)
    n_again = n_given_up = 0
    for row in running if dead else ():
        if not row.worker_ids or row.worker_ids[-1] not in dead:
            continue
        if len(row.worker_ids) < MAX_ATTEMPTS:
            row.status = TaskResultStatus.READY
            row.started_at = None
            row.save(update_fields=["status", "started_at"])
            n_again += 1
        else:
            row.set_failed(
                WorkerStopped(
                    f"{len(row.worker_ids)} workers were killed while they ran this task; "
                    "look into their logs, most often the memory was used up."
                )
            )
            n_given_up += 1
        logger.warning("task %s (%s) lost its worker: now %s", row.pk, row.task_name, row.status)
    return n_again, n_given_up


def rows_prune(*, now: datetime | None = None) -> dict[str, int]:
    """Delete rows that nobody reads again: results of tasks, sessions, tries, signs of life.

    Parameters
    ----------
    now : datetime, optional
        The time to compare with; the present by default.

    Returns
    -------
    dict
        How many rows of each model were deleted, at most `PRUNE_BATCH` at a call.
    """
    moment = now or timezone.now()
    old = {
        "task results": DBTaskResult.objects.finished().filter(finished_at__lt=moment - TASKS_KEPT),
        "sessions": Session.objects.filter(expire_date__lt=moment),
        "throttles": ThrottleWindow.objects.filter(ends_at__lt=moment),
        "heartbeats": WorkerHeartbeat.objects.filter(beat_at__lt=moment - HEARTBEATS_KEPT),
    }
    deleted = {}
    for name, rows in old.items():
        keys = list(rows.order_by().values_list("pk", flat=True)[:PRUNE_BATCH])
        deleted[name] = rows.filter(pk__in=keys).delete()[0] if keys else 0
    return deleted
