"""A run under way says how far it is, and whether anybody works on it."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.models import EstimateRun, RunStatus
from annotation.services.estimates import estimate_request
from annotation.services.jobs import worker_beat
from tests.annotation.factories import make_study, rate_study

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("name", ["study", "study_live"])
def test_progress_and_a_missing_worker_are_shown(client: Client, name: str) -> None:
    study = make_study(aggregation="bragg", estimator="importance_weighted")
    rate_study(study, max_tasks=1)
    EstimateRun.objects.all().delete()
    client.force_login(study.owner)
    url = reverse(f"researcher:{name}", args=[study.slug])
    run = estimate_request(study=study, aggregation="bragg", enqueue=False)

    def page() -> str:
        return client.get(url, {"aggregation": "bragg"}).content.decode()

    assert "No background worker is running" in page()
    worker_beat(worker_id="one")
    assert "No background worker" not in page()
    assert "<progress" not in page().split("A new run, asked for")[1].split("</p>")[0]
    EstimateRun.objects.filter(pk=run.pk).update(
        status=RunStatus.RUNNING,
        started_at=timezone.now(),
        stage="scoring explanation 3 of 4",
        progress=0.75,
    )
    line = page().split("A new run, asked for")[1].split("</p>")[0]
    assert "scoring explanation 3 of 4" in line
    assert 'value="0.75"' in line


def test_a_poll_sees_that_a_run_went_on(client: Client) -> None:
    study = make_study(aggregation="bragg", estimator="importance_weighted")
    client.force_login(study.owner)
    run = estimate_request(study=study, aggregation="bragg", enqueue=False)
    url = reverse("researcher:study_live", args=[study.slug])
    now = timezone.now()
    EstimateRun.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING, started_at=now)
    first = client.get(url)["ETag"]
    assert client.get(url, headers={"if-none-match": first}).status_code == 304
    EstimateRun.objects.filter(pk=run.pk).update(stage="scoring", progress=0.5)
    assert client.get(url, headers={"if-none-match": first}).status_code == 200
