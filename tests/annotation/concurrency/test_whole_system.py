"""Promises 1 to 4 on the whole system: 200 raters over HTTP, several servers, killed in the middle.

Real gunicorn processes on PostgreSQL; every rater keeps a book of what it was told, and at the end
the books and the database must agree to the last answer. The counts are printed.
"""

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.utils import timezone

from annotation.models import (
    Assignment,
    AssignmentStatus,
    EstimateRun,
    Participation,
    Rater,
    Rating,
    RatingRevision,
    RunStatus,
    Study,
    WorkerHeartbeat,
)
from annotation.queries.workers import SILENCE_LIMIT
from annotation.services.assignments import assignment_lease
from annotation.services.estimates import estimate_request
from tests.annotation.concurrency.http_rater import Book, HttpRater
from tests.annotation.concurrency.processes import (
    database_url,
    environment,
    free_port,
    kill,
    server_start,
    worker,
)
from tests.annotation.factories import make_participation, make_study, rate_study

pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        "connection.vendor != 'postgresql'", reason="needs PostgreSQL: set DATABASE_URL"
    ),
]
assert connection is not None  # named in the condition above

RATERS = 200
REDUNDANCY = 5
DATABASE_TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}


class Killer:
    """Kills one server after the other while answers come in, and starts each again."""

    def __init__(self, env: dict[str, str], ports: list[int], when: list[int]) -> None:
        self.n_answers, self.n_kills = 0, 0
        self._env, self._when = env, when
        self._lock, self._due = threading.Lock(), threading.Semaphore(0)
        self.servers = {port: self._start(port) for port in ports}

    def _start(self, port: int) -> "subprocess.Popen[bytes]":
        return server_start(self._env, port, workers=2, threads=4)

    def answered(self) -> None:
        with self._lock:
            self.n_answers += 1
            if self.n_answers in self._when:
                self._due.release()

    def run(self) -> None:
        for port in list(self.servers)[: len(self._when)]:
            self._due.acquire()
            kill(self.servers[port])
            self.n_kills += 1
            self.servers[port] = self._start(port)


def test_two_hundred_raters_and_servers_killed_in_the_middle(
    capsys: pytest.CaptureFixture[str],
) -> None:
    study = make_study(
        n_inputs=90, inputs_per_pair=60, redundancy=REDUNDANCY, items_per_task=3, n_concepts=2
    )
    wanted = study.items.count() * REDUNDANCY
    ports = [free_port(), free_port()]
    deadline = time.monotonic() + 600
    killer = Killer(environment(database_url()), ports, [wanted // 4, wanted // 2])
    killing = threading.Thread(target=killer.run, daemon=True)
    killing.start()
    raters = [
        HttpRater(
            ports,
            study.slug,
            f"rater {number}",
            deadline=deadline,
            on_answer=killer.answered,
            submit_times=10 if number % 50 == 0 else 1,
        )
        for number in range(RATERS)
    ]
    try:
        with ThreadPoolExecutor(RATERS) as pool:
            books = [future.result() for future in [pool.submit(one.work) for one in raters]]
        killing.join(timeout=60)
    finally:
        for process in killer.servers.values():
            kill(process)
    reconcile(study, books, capsys, n_kills=killer.n_kills)
    assert killer.n_kills == 2


def reconcile(
    study: Study, books: list[Book], capsys: pytest.CaptureFixture[str], *, n_kills: int
) -> None:
    """Compare what raters were told with what the database holds, and print the counts."""
    told = {key: value for book in books for key, value in book.answers.items()}
    rows = Rating.objects.values_list(
        "assignment__public_id", "item__public_id", "value", "assignment__status"
    )
    stored = {(str(a), str(item)): value for a, item, value, _ in rows}
    valid = [(a, item) for a, item, _, status in rows if status == AssignmentStatus.SUBMITTED]
    per_item = Counter(item for _, item in valid)
    submitted = Assignment.objects.filter(status=AssignmentStatus.SUBMITTED)
    pairs = list(Rating.objects.values_list("rater", "item"))
    completed = Participation.objects.exclude(completion_code="")
    codes = {code for book in books for code in book.codes}
    handed_in = {one for book in books for one in book.submitted}
    lost = [key for key, value in told.items() if stored.get(key) != value]
    exact = sum(n == study.redundancy for n in per_item.values())
    counts = {
        "raters": len(books),
        "servers killed and started again": n_kills,
        "requests sent again after a failure": sum(book.n_retries for book in books),
        "errors of a server": sum(book.n_errors for book in books),
        "answers acknowledged": len(told),
        "answers in the database": len(stored),
        "answers acknowledged, then missing or changed": len(lost),
        "items, ratings wanted of each": f"{study.items.count()}, {study.redundancy}",
        "items with exactly as many valid ratings": exact,
        "valid ratings": len(valid),
        "items rated twice by one rater": len(pairs) - len(set(pairs)),
        "tasks handed in: told, stored": f"{len(handed_in)}, {len(submitted)}",
        "completion codes: told, stored": f"{len(codes)}, {len(completed)}",
    }
    with capsys.disabled():
        sys.stdout.write("\n" + "".join(f"  {name:<48}{n}\n" for name, n in counts.items()))
    assert lost == []
    assert sum(book.n_errors for book in books) == 0
    assert len(told) == len(stored)  # and nothing that nobody was told of
    assert per_item == dict.fromkeys(
        study.items.values_list("public_id", flat=True), study.redundancy
    )
    assert len(pairs) == len(set(pairs))
    assert not RatingRevision.objects.exists()
    assert {str(one) for one in submitted.values_list("public_id", flat=True)} == handed_in
    assert Rater.objects.count() == len(books)
    assert codes == set(completed.values_list("completion_code", flat=True))
    assert all(len(book.codes) <= 1 for book in books)


def test_the_worker_frees_a_lease_within_a_minute_of_its_end() -> None:
    study = make_study(lease_seconds=3)
    lease = assignment_lease(participation=make_participation(study))
    assert lease is not None
    with worker(environment(database_url())):
        while lease.status == AssignmentStatus.LEASED:
            assert timezone.now() < lease.expires_at + SILENCE_LIMIT, "not free after a minute"
            time.sleep(0.2)
            lease.refresh_from_db()
    assert lease.status == AssignmentStatus.EXPIRED
    assert timezone.now() >= lease.expires_at


def test_the_run_of_a_killed_worker_is_made_by_the_next_one(settings) -> None:
    study = make_study()
    rate_study(study)
    EstimateRun.objects.all().delete()
    settings.TASKS = DATABASE_TASKS
    run = estimate_request(study=study, aggregation="bragg")
    env = environment(database_url())
    n_ratings = Rating.objects.count()
    with worker(env) as first:
        wait_for(lambda: EstimateRun.objects.filter(pk=run.pk, status=RunStatus.RUNNING).exists())
        kill(first)
    run.refresh_from_db()
    assert run.status == RunStatus.RUNNING  # nobody knows yet
    # the clock is moved on instead of waiting a minute
    WorkerHeartbeat.objects.update(beat_at=timezone.now() - 2 * SILENCE_LIMIT)
    with worker(env):
        wait_for(lambda: EstimateRun.objects.filter(status=RunStatus.FINISHED).exists())
    run.refresh_from_db()
    again = EstimateRun.objects.get(status=RunStatus.FINISHED)
    assert (run.status, again.attempt) == (RunStatus.FAILED, 2)
    assert "no sign of life" in run.error
    assert (again.n_ratings, Rating.objects.count()) == (n_ratings, n_ratings)
    assert again.estimates.count() == study.explanations.count()


def wait_for(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
