"""The background: signs of life, tasks of killed workers, sweeps, old rows."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.utils import timezone
from django_tasks import TaskResultStatus
from django_tasks_db.models import DBTaskResult

from annotation.models import (
    AssignmentStatus,
    EstimateRun,
    RunStatus,
    ThrottleWindow,
    WorkerHeartbeat,
)
from annotation.queries import worker_is_running, workers_dead
from annotation.queries.workers import SILENCE_LIMIT
from annotation.services import estimates, sweeps
from annotation.services.assignments import assignment_lease
from annotation.services.estimates import estimate_request, estimate_run, runs_reap
from annotation.services.jobs import (
    HEARTBEATS_KEPT,
    TASKS_KEPT,
    rows_prune,
    tasks_requeue,
    worker_beat,
    worker_stop,
)
from annotation.services.sweeps import Chore, Sweeper
from annotation.services.throttles import throttle_hit
from annotation.tasks import estimate_run_task
from tests.annotation.factories import make_participation, make_study, rate_study

pytestmark = pytest.mark.django_db

DATABASE = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}


@pytest.fixture(autouse=True)
def _tasks_in_the_database(settings) -> None:
    settings.TASKS = DATABASE


def running_task(worker: str, *, workers_before: tuple[str, ...] = ()) -> DBTaskResult:
    """A task that a worker has taken, as a worker leaves it when it is killed."""
    estimate_run_task.enqueue(1)
    row = DBTaskResult.objects.get(status=TaskResultStatus.READY)
    for one in (*workers_before, worker):
        row.claim(one)
    return row


def test_a_worker_is_alive_until_it_falls_silent() -> None:
    now = timezone.now()
    assert not worker_is_running(now=now)
    worker_beat(worker_id="one", now=now)
    assert worker_is_running(now=now + SILENCE_LIMIT)
    assert workers_dead(now=now + SILENCE_LIMIT) == set()
    late = now + SILENCE_LIMIT + timedelta(seconds=1)
    assert not worker_is_running(now=late)
    assert workers_dead(now=late) == {"one"}
    worker_beat(worker_id="one", now=late)
    assert workers_dead(now=late) == set()
    assert WorkerHeartbeat.objects.get().started_at == now
    worker_stop(worker_id="one", now=late)
    assert not worker_is_running(now=late)


def test_the_task_of_a_killed_worker_is_tried_once_more() -> None:
    now = timezone.now()
    worker_beat(worker_id="killed", now=now - 2 * SILENCE_LIMIT)
    worker_beat(worker_id="alive", now=now)
    lost, taken, foreign = running_task("killed"), running_task("alive"), running_task("unknown")
    assert tasks_requeue(now=now) == (1, 0)
    for row, status in ((lost, "READY"), (taken, "RUNNING"), (foreign, "RUNNING")):
        row.refresh_from_db()
        assert row.status == status
    assert tasks_requeue(now=now) == (0, 0)


def test_a_task_that_kills_two_workers_is_given_up_with_a_reason() -> None:
    now = timezone.now()
    worker_beat(worker_id="second", now=now - 2 * SILENCE_LIMIT)
    row = running_task("second", workers_before=("first",))
    assert tasks_requeue(now=now) == (0, 1)
    row.refresh_from_db()
    assert row.status == TaskResultStatus.FAILED
    assert "2 workers were killed" in row.traceback
    assert row.exception_class_path == "annotation.exceptions.WorkerStopped"


def test_a_run_whose_worker_was_killed_is_made_again_without_waiting_half_an_hour() -> None:
    study = make_study()
    rate_study(study)
    EstimateRun.objects.all().delete()
    now = timezone.now()
    run = estimate_request(study=study, aggregation="bragg", enqueue=False)
    worker_beat(worker_id="killed", now=now - 2 * SILENCE_LIMIT)
    EstimateRun.objects.update(status=RunStatus.RUNNING, started_at=now, worker="killed")
    assert runs_reap(now=now) == 1
    run.refresh_from_db()
    assert run.status == RunStatus.FAILED
    assert "no sign of life" in run.error
    again = EstimateRun.objects.get(attempt=2)
    assert estimate_run(run=again, worker="other").status == RunStatus.FINISHED
    assert (again.worker, again.progress, again.stage) == ("other", 1.0, "")


def test_a_run_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study()
    rate_study(study)
    seen: list[tuple[str, float]] = []
    score = estimates.study_score

    def watched(run: EstimateRun, report):
        def told(stage: str, progress: float) -> None:
            report(stage, progress)
            seen.append(EstimateRun.objects.values_list("stage", "progress").get(pk=run.pk))

        return score(run, told)

    monkeypatch.setattr(estimates, "study_score", watched)
    monkeypatch.setattr(estimates, "REPORT_EVERY_SECONDS", 0)
    EstimateRun.objects.all().delete()
    estimate_run(run=estimate_request(study=study, aggregation="bragg", enqueue=False))
    shares = [progress for _, progress in seen]
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] < 1
    assert ("scoring explanation 1 of 4", 0.6) in seen


def test_a_run_whose_task_was_lost_is_given_to_the_workers_again() -> None:
    study = make_study()
    run = estimate_request(study=study, aggregation="bragg", enqueue=False)
    now = timezone.now()
    assert estimates.runs_requeue(now=now) == 0
    later = now + estimates.QUEUE_LIMIT + timedelta(seconds=1)
    assert estimates.runs_requeue(now=later) == 1
    assert estimates.runs_requeue(now=later) == 0
    run.refresh_from_db()
    assert run.queued_at == later


def test_the_sweeper_frees_a_lease_within_a_minute_of_its_end() -> None:
    study = make_study(lease_seconds=100)
    assignment = assignment_lease(participation=make_participation(study))
    assert assignment is not None
    sweeper, end = Sweeper(), assignment.expires_at
    sweeper.sweep(now=end - timedelta(seconds=1))
    assignment.refresh_from_db()
    assert assignment.status == AssignmentStatus.LEASED
    moment = end
    while assignment.status == AssignmentStatus.LEASED:
        moment += timedelta(seconds=5)
        sweeper.sweep(now=moment)
        assignment.refresh_from_db()
    assert assignment.status == AssignmentStatus.EXPIRED
    assert moment - end < timedelta(seconds=60)


def test_a_chore_that_fails_does_not_keep_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_now: object) -> None:
        raise ValueError("out of order")

    done: list[object] = []
    chores = (
        Chore("broken", timedelta(seconds=20), broken),
        Chore("sound", timedelta(seconds=20), done.append),
    )
    sweeper, now = Sweeper(chores), timezone.now()
    results = sweeper.sweep(now=now)
    assert isinstance(results["broken"], ValueError)
    assert done == [now]
    assert "sweep: broken" in caplog.text
    assert sweeper.sweep(now=now + timedelta(seconds=19)) == {}
    assert set(sweeper.sweep(now=now + timedelta(seconds=20))) == {"broken", "sound"}
    monkeypatch.setattr("annotation.management.commands.sweep.CHORES", chores)
    with pytest.raises(CommandError, match="broken"):
        call_command("sweep")


def test_the_command_does_every_chore(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("sweep")
    assert len(capsys.readouterr().out.splitlines()) == len(sweeps.CHORES + sweeps.PANEL_CHORES)


def test_old_rows_go_and_young_ones_stay() -> None:
    now = timezone.now()
    old, young = running_task("a"), running_task("b")
    DBTaskResult.objects.filter(pk=old.pk).update(
        status=TaskResultStatus.SUCCESSFUL, finished_at=now - TASKS_KEPT - timedelta(hours=1)
    )
    DBTaskResult.objects.filter(pk=young.pk).update(
        status=TaskResultStatus.SUCCESSFUL, finished_at=now
    )
    for key, days in (("old", -1), ("young", 1)):
        Session.objects.create(
            session_key=key, session_data="", expire_date=now + timedelta(days=days)
        )
    worker_beat(worker_id="old", now=now - HEARTBEATS_KEPT - timedelta(hours=1))
    worker_beat(worker_id="young", now=now)
    throttle_hit(scope="x", who="old", limit=1, seconds=10, now=now - timedelta(hours=1))
    throttle_hit(scope="x", who="young", limit=1, seconds=10, now=now)
    deleted = rows_prune(now=now)
    assert deleted == {"task results": 1, "sessions": 1, "throttles": 1, "heartbeats": 1}
    assert DBTaskResult.objects.get().pk == young.pk
    assert Session.objects.get().session_key == "young"
    assert WorkerHeartbeat.objects.get().worker_id == "young"
    assert ThrottleWindow.objects.count() == 1


# SQLite in memory is one connection's cache that threads lock for each other; files are not
@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_the_worker_runs_what_waits_and_says_goodbye() -> None:
    study = make_study()
    rate_study(study)
    EstimateRun.objects.all().delete()
    DBTaskResult.objects.all().delete()
    run = estimate_request(study=study, aggregation="bragg")
    call_command("run_worker", "--batch")
    run.refresh_from_db()
    assert run.status == RunStatus.FINISHED
    heartbeat = WorkerHeartbeat.objects.get()
    assert run.worker == heartbeat.worker_id
    assert not worker_is_running()
    assert DBTaskResult.objects.get().status == TaskResultStatus.SUCCESSFUL


def test_a_reaper_that_is_killed_leaves_the_run_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = estimate_request(study=make_study(), aggregation="bragg", enqueue=False)
    now = timezone.now()
    worker_beat(worker_id="killed", now=now - 2 * SILENCE_LIMIT)
    EstimateRun.objects.update(status=RunStatus.RUNNING, started_at=now, worker="killed")
    with monkeypatch.context() as patch:
        patch.setattr(estimates, "_waiting_or_new", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            runs_reap(now=now)
    run.refresh_from_db()
    assert run.status == RunStatus.RUNNING
    assert runs_reap(now=now) == 1
