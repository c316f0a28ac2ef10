"""Estimate runs: asked for, made in the background, kept with everything they rest on."""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from annotation.exceptions import AnnotationError, InvalidInput, RunOver, RunStopped
from annotation.models import Aggregation, EstimateRun, RunStatus, Study
from annotation.queries.workers import workers_dead
from annotation.services.audit import study_event_record
from annotation.services.files import files_follow_transaction
from annotation.services.scoring import ScoredStudy, study_score, study_scores_write
from annotation.tasks import estimate_run_task

logger = logging.getLogger(__name__)

#: A run that takes longer is taken for dead, also where its worker gives no sign of life at all.
RUN_LIMIT = timedelta(minutes=30)
#: A run that waits longer is given to the workers again: the one that had it was killed.
QUEUE_LIMIT = timedelta(minutes=5)
MAX_ATTEMPTS = 2
#: Progress is written no more often than this.
REPORT_EVERY_SECONDS = 0.5
#: Of each study and aggregation; runs that somebody asked for are all kept.
LIVE_RUNS_KEPT = 20


def estimate_request(
    *,
    study: Study,
    aggregation: str,
    actor: AbstractBaseUser | None = None,
    enqueue: bool = True,
    live: bool = False,
) -> EstimateRun:
    """Ask for an estimate from the ratings that stand when a worker gets to it.

    Parameters
    ----------
    study : Study
        Any study that was launched.
    aggregation : str
        One of `Aggregation`.
    actor : User, optional
        Who asks; None for the software itself.
    enqueue : bool
        Give it to the background worker; False when the caller makes it itself.

    live : bool
        Leave the sanity checks out, as the estimate after every submit does: they take longer than
        the scores.

    Returns
    -------
    EstimateRun
        Queued: a new one, or the one that waits already, for it will see the same ratings.

    Raises
    ------
    InvalidInput
        When the aggregation is unknown or the study is a draft.
    """
    if aggregation not in Aggregation.values:
        raise InvalidInput(
            f"aggregation: {aggregation!r} is none of {', '.join(Aggregation.values)}."
        )
    if study.launched_at is None:
        raise InvalidInput(
            f"study: {study.title!r} was never launched, so it has no ratings; launch it first."
        )
    now = timezone.now()
    runs_reap(study=study, now=now)
    with transaction.atomic():
        run, created = _waiting_or_new(study, aggregation, actor, live=live)
        if run.live and not live:
            run.live = False
            run.save(update_fields=["live"])
        if created and actor is not None:
            study_event_record(
                study=study, action="estimate requested", actor=actor, aggregation=aggregation
            )
    if enqueue and created:
        _enqueue(run)
    elif enqueue and run.queued_at < now - QUEUE_LIMIT:
        # its task may be lost with its worker; a task that comes twice does no harm
        EstimateRun.objects.filter(pk=run.pk).update(queued_at=now)
        _enqueue(run)
    return run


def live_estimate_request(*, study: Study, aggregation: str) -> None:
    """Ask for the estimate that raters' submits keep fresh; at most one waits at a time.

    Parameters
    ----------
    study : Study
        The study that has new ratings.
    aggregation : str
        A quick one.
    """
    estimate_request(study=study, aggregation=aggregation, live=True)


def estimate_run(*, run: EstimateRun, worker: str = "") -> EstimateRun:
    """Make an estimate run: aggregate the ratings, score the explanations, keep the results.

    Parameters
    ----------
    run : EstimateRun
        Queued; a run that another worker has taken is left to it.
    worker : str
        Who makes it: a worker whose heartbeat shows that it is alive; empty outside a worker.

    Returns
    -------
    EstimateRun
        Finished; or failed, with `error` saying why; or cancelled by somebody meanwhile, which it
        notices when it reports its progress, and at the latest before it writes anything. The
        ratings are never touched.

    Raises
    ------
    Exception
        Any error that is a fault of the software, after the run was marked as failed.
    """
    started = timezone.now()
    claimed = EstimateRun.objects.filter(pk=run.pk, status=RunStatus.QUEUED).update(
        status=RunStatus.RUNNING, started_at=started, worker=worker
    )
    run.refresh_from_db()
    if not claimed:
        return run
    try:
        _finish(run, study_score(run) if run.live else study_score(run, _progress_writer(run)))
    except RunStopped as stopped:
        logger.info("estimate run %s: %s", run.public_id, stopped)
    except AnnotationError as error:
        _fail(run, str(error))
    except Exception as error:
        _fail(run, f"A fault of the software ({type(error).__name__}): {error}")
        raise
    run.refresh_from_db()
    return run


@transaction.atomic
def estimate_cancel(*, run: EstimateRun, actor: AbstractBaseUser | None) -> EstimateRun:
    """Cancel a run that waits or is being made; nothing that it found is written.

    Parameters
    ----------
    run : EstimateRun
        Queued or running. Whoever is making it stops when it reports its progress the next time.
    actor : User or None
        Who cancels.

    Returns
    -------
    EstimateRun
        Cancelled.

    Raises
    ------
    RunOver
        When it has ended: cancelling and finishing at the same moment, one of them wins.
    """
    cancelled = EstimateRun.objects.filter(
        pk=run.pk, status__in=[RunStatus.QUEUED, RunStatus.RUNNING]
    ).update(status=RunStatus.CANCELLED, finished_at=timezone.now(), stage="")
    run.refresh_from_db()
    if not cancelled:
        raise RunOver(
            f"The run of {run.get_aggregation_display()} is {run.get_status_display()} already; "
            "only a run that waits or is being made can be cancelled."
        )
    study_event_record(
        study=run.study,
        action="estimate cancelled",
        actor=actor,
        aggregation=run.aggregation,
        run=str(run.public_id),
    )
    return run


def runs_reap(*, study: Study | None = None, now: datetime | None = None) -> int:
    """Mark runs whose worker was killed as failed, and ask for each once more.

    Parameters
    ----------
    study : Study, optional
        Whose runs; those of all studies by default.
    now : datetime, optional
        The time to compare with; the present by default.

    Returns
    -------
    int
        How many were marked.
    """
    moment = now or timezone.now()
    killed = workers_dead(now=moment)
    running = EstimateRun.objects.filter(status=RunStatus.RUNNING).select_related("study")
    if study is not None:
        running = running.filter(study=study)
    dead = running.filter(Q(started_at__lt=moment - RUN_LIMIT) | Q(worker__in=killed))
    n_reaped = 0
    for run in dead:
        minutes = int(RUN_LIMIT.total_seconds() // 60)
        why = (
            "it gives no sign of life any more"
            if run.worker in killed
            else f"the run was not done after {minutes} minutes"
        )
        # both or neither: a run that failed alone would never be made again
        with transaction.atomic():
            if not _fail(run, f"The worker stopped: {why}."):
                continue
            n_reaped += 1
            if run.attempt >= MAX_ATTEMPTS:
                continue
            again, created = _waiting_or_new(
                run.study,
                run.aggregation,
                None,
                attempt=run.attempt + 1,
                seed=run.seed,
                live=run.live,
            )
            if created:
                _enqueue(again)
    return n_reaped


def runs_requeue(*, now: datetime | None = None) -> int:
    """Give runs that wait too long to the workers again: the task that had one may be lost.

    Parameters
    ----------
    now : datetime, optional
        The time to compare with; the present by default.

    Returns
    -------
    int
        How many were given again; a task that comes twice does no harm.
    """
    moment = now or timezone.now()
    n_again = 0
    for run in EstimateRun.objects.filter(
        status=RunStatus.QUEUED, queued_at__lt=moment - QUEUE_LIMIT
    ):
        # whoever moves the time first gives the run to the workers, the others do not
        moved = EstimateRun.objects.filter(pk=run.pk, queued_at=run.queued_at)
        if moved.update(queued_at=moment):
            _enqueue(run)
            n_again += 1
    return n_again


def _progress_writer(run: EstimateRun) -> Callable[[str, float], None]:
    """Return what writes how far a run is, and stops it where the row is running no more.

    The row is written, not the object.
    """
    written = 0.0

    def write(stage: str, progress: float) -> None:
        nonlocal written
        now = time.monotonic()
        if now - written >= REPORT_EVERY_SECONDS:
            written = now
            still_running = EstimateRun.objects.filter(pk=run.pk, status=RunStatus.RUNNING).update(
                stage=stage, progress=progress
            )
            if not still_running:
                raise RunStopped("it was cancelled or taken for dead, and stops")

    return write


def _waiting_or_new(
    study: Study, aggregation: str, actor: AbstractBaseUser | None, **fields: Any
) -> tuple[EstimateRun, bool]:
    """Return the run that waits, or make one; the unique constraint decides between two makers."""
    waiting = EstimateRun.objects.filter(
        study=study, aggregation=aggregation, status=RunStatus.QUEUED
    )
    for _ in range(3):
        run = waiting.first()
        if run is not None:
            return run, False
        try:
            with transaction.atomic():
                return (
                    EstimateRun.objects.create(
                        study=study,
                        aggregation=aggregation,
                        requested_by_id=None if actor is None else actor.pk,
                        **{"seed": study.seed, **fields},
                    ),
                    True,
                )
        except IntegrityError:
            # somebody else made it, and a worker may have taken it since: look again
            continue
    return waiting.get(), False


def _enqueue(run: EstimateRun) -> None:
    transaction.on_commit(lambda: estimate_run_task.enqueue(run.pk))


def _finish(run: EstimateRun, scored: ScoredStudy) -> None:
    with files_follow_transaction(), transaction.atomic():
        # a run that was taken for dead meanwhile stays failed (its successor writes the results),
        # and one that was cancelled stays cancelled
        finished = EstimateRun.objects.filter(pk=run.pk, status=RunStatus.RUNNING).update(
            status=RunStatus.FINISHED,
            finished_at=timezone.now(),
            stage="",
            progress=1.0,
            estimator=scored.estimator,
            n_ratings=scored.n_ratings,
            diagnostics=scored.diagnostics,
            sanity_checks=scored.sanity_checks,
        )
        if finished:
            study_scores_write(run, scored)
            _live_runs_prune(run)
        else:
            logger.warning("estimate run %s came too late; its results are dropped", run.public_id)


def _live_runs_prune(run: EstimateRun) -> None:
    """Delete old live runs: a busy study makes thousands, and each says less than the next."""
    live = EstimateRun.objects.filter(
        study=run.study_id, aggregation=run.aggregation, live=True, status=RunStatus.FINISHED
    ).order_by("-finished_at", "-pk")
    old = list(live.values_list("pk", flat=True)[LIVE_RUNS_KEPT:])
    if old:
        EstimateRun.objects.filter(pk__in=old).delete()


def _fail(run: EstimateRun, message: str) -> bool:
    logger.warning("estimate run %s failed: %s", run.public_id, message)
    return bool(
        EstimateRun.objects.filter(pk=run.pk, status=RunStatus.RUNNING).update(
            status=RunStatus.FAILED, finished_at=timezone.now(), error=message
        )
    )
