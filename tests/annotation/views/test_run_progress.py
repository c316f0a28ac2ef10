"""A run under way says how far it is, and whether anybody works on it."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.models import EstimateRun, Role, RunStatus, StudyMember
from annotation.services.estimates import estimate_request
from annotation.services.jobs import worker_beat
from tests.annotation.factories import make_study, make_user, rate_study

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


def test_a_run_under_way_is_cancelled_with_a_button(client: Client) -> None:
    study = make_study(aggregation="bragg", estimator="importance_weighted")
    run = estimate_request(study=study, aggregation="bragg", enqueue=False)
    page_url = reverse("researcher:study", args=[study.slug])
    url = reverse("researcher:estimate_cancel", args=[study.slug])
    viewer = make_user()
    StudyMember.objects.create(study=study, user=viewer, role=Role.VIEWER)
    client.force_login(viewer)
    assert "Cancel this run" not in client.get(page_url).content.decode()
    assert client.post(url, {"run": run.public_id}).status_code == 403
    client.force_login(make_user())
    assert client.post(url, {"run": run.public_id}).status_code == 404
    client.force_login(study.owner)
    html = client.get(page_url).content.decode()
    assert f'form="run-cancel" name="run" value="{run.public_id}"' in html
    assert client.get(url).status_code == 405
    after = client.post(url, {"run": run.public_id}, follow=True).content.decode()
    run.refresh_from_db()
    assert run.status == RunStatus.CANCELLED
    assert "The last run was cancelled" in after
    assert "Cancel this run" not in after
    # too late, of another study, or no id at all: a sentence, and nothing happens
    again = client.post(url, {"run": run.public_id}, follow=True).content.decode()
    assert "is cancelled already" in again
    other = estimate_request(study=make_study(), aggregation="bragg", enqueue=False)
    for wrong in (other.public_id, "one", ""):
        answer = client.post(url, {"run": wrong}, follow=True).content.decode()
        assert "This study has no such run" in answer
    other.refresh_from_db()
    assert other.status == RunStatus.QUEUED
