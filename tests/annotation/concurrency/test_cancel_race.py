"""Cancelling and finishing an estimate run at the same moment: one of them, whole, never both."""

from functools import partial

import pytest
from django.db import connection
from django.utils import timezone

from annotation.exceptions import RunOver
from annotation.models import EstimateRun, RunStatus
from annotation.services import estimates
from annotation.services.estimates import estimate_cancel, estimate_request
from annotation.services.scoring import ScoredStudy, study_score
from tests.annotation.concurrency.parallel import together
from tests.annotation.factories import make_study, rate_study

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
]
ROUNDS = 12


@pytest.fixture(autouse=True)
def on_postgresql() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("needs PostgreSQL: scripts/with-postgresql")


def finish_or_cancel(run: EstimateRun, scored: ScoredStudy, number: int) -> None:
    """The first takes the last step of a run, the others cancel it."""
    row = EstimateRun.objects.get(pk=run.pk)
    if number == 0:
        estimates._finish(row, scored)  # what comes before it is not raced for
    else:
        estimate_cancel(run=row, actor=None)


def test_a_run_is_either_finished_or_cancelled(queued_tasks) -> None:
    study = make_study()
    rate_study(study, max_tasks=2)
    EstimateRun.objects.all().delete()
    run = estimate_request(study=study, aggregation="majority", enqueue=False, live=True)
    scored = study_score(run)
    n_scores = len(scored.scores)
    run.delete()
    for _ in range(ROUNDS):
        run = estimate_request(study=study, aggregation="majority", enqueue=False, live=True)
        EstimateRun.objects.filter(pk=run.pk).update(
            status=RunStatus.RUNNING, started_at=timezone.now()
        )
        _, *cancels = together(3, partial(finish_or_cancel, run, scored))
        run.refresh_from_db()
        events = study.events.filter(action="estimate cancelled", details__run=str(run.public_id))
        refused = sum(isinstance(result, RunOver) for result in cancels)
        if run.status == RunStatus.CANCELLED:
            assert (run.estimates.count(), events.count(), refused) == (0, 1, 1)
        else:
            assert run.status == RunStatus.FINISHED
            assert (run.estimates.count(), events.count(), refused) == (n_scores, 0, 2)
