"""Which workers of the background are alive."""

from datetime import datetime, timedelta

from django.utils import timezone

from annotation.models import WorkerHeartbeat

#: A worker says that it is alive six times in this long; silent for longer, it was killed.
SILENCE_LIMIT = timedelta(seconds=60)


def worker_is_running(*, now: datetime | None = None) -> bool:
    """Say whether somebody does the work of the background.

    Parameters
    ----------
    now : datetime, optional
        The time to compare with; the present by default.

    Returns
    -------
    bool
        Whether a worker (`manage.py run_worker`) gave a sign of life within `SILENCE_LIMIT`.
    """
    moment = now or timezone.now()
    return WorkerHeartbeat.objects.filter(beat_at__gte=moment - SILENCE_LIMIT).exists()


def workers_dead(*, now: datetime | None = None) -> set[str]:
    """List the workers that fell silent without saying goodbye.

    Parameters
    ----------
    now : datetime, optional
        The time to compare with; the present by default.

    Returns
    -------
    set of str
        Their ids. Workers that never gave a sign of life are not among them: nothing is known.
    """
    moment = now or timezone.now()
    silent = WorkerHeartbeat.objects.filter(beat_at__lt=moment - SILENCE_LIMIT)
    return set(silent.values_list("worker_id", flat=True))
