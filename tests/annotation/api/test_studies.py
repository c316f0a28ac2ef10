"""The researcher's API, through HTTP."""

from http import HTTPStatus

import pytest
from django.test import Client
from django.urls import reverse

from annotation.models import EstimateRun
from annotation.services.estimates import estimate_request, estimate_run
from tests.annotation.factories import make_study, make_user, rate_study

pytestmark = pytest.mark.django_db

ENDPOINTS = ["api:study", "api:study_progress", "api:study_estimates"]


def test_a_study_its_progress_and_its_estimates(client: Client) -> None:
    study = make_study()
    rate_study(study)
    estimate_run(run=estimate_request(study=study, aggregation="bragg", enqueue=False, live=True))
    client.force_login(study.owner)
    (listed,) = client.get(reverse("api:study_list")).json()
    shown = client.get(reverse("api:study", args=[study.slug])).json()
    assert listed == shown
    assert (shown["slug"], shown["status"], shown["redundancy"]) == (study.slug, "open", 3)
    progress = client.get(reverse("api:study_progress", args=[study.slug])).json()
    assert progress["ratings_valid"] == progress["ratings_wanted"] == 3 * study.items.count()
    url = reverse("api:study_estimates", args=[study.slug])
    document = client.get(url).json()
    assert document == client.get(url, {"aggregation": "bragg"}).json()
    assert [row["method"] for row in document["leaderboard"]] == ["Good", "Bad"]
    assert len(document["estimates"]) == 4
    assert document["run"]["interval_covers"] == "sampling_error"


@pytest.mark.parametrize("name", ENDPOINTS)
def test_others_get_nothing(client: Client, name: str) -> None:
    study = make_study()
    url = reverse(name, args=[study.slug])
    response = client.get(url)
    assert response.status_code == HTTPStatus.FORBIDDEN
    assert response["Content-Type"] == "application/problem+json"
    client.force_login(make_user())
    response = client.get(url)
    assert response.status_code == HTTPStatus.NOT_FOUND
    assert client.post(url, {}, content_type="application/json").status_code in {404, 405}
    assert client.get(reverse("api:study_list")).json() == []
    client.force_login(make_user(is_staff=True))
    assert client.get(reverse("api:study", args=[study.slug])).status_code == HTTPStatus.OK


def test_no_estimate_yet_says_how_to_get_one(client: Client) -> None:
    study = make_study()
    client.force_login(study.owner)
    url = reverse("api:study_estimates", args=[study.slug])
    response = client.get(url)
    assert response.status_code == HTTPStatus.NOT_FOUND
    assert "POST here" in response.json()["detail"]
    response = client.get(url, {"aggregation": "median"})
    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert '"median" is not a valid choice' in response.json()["detail"]


def test_asking_for_an_estimate(
    client: Client, queued_tasks, django_capture_on_commit_callbacks
) -> None:
    study = make_study()
    client.force_login(study.owner)
    url = reverse("api:study_estimates", args=[study.slug])
    with django_capture_on_commit_callbacks(execute=True):
        response = client.post(url, {"aggregation": "majority"}, content_type="application/json")
    run = EstimateRun.objects.get()
    assert response.status_code == HTTPStatus.ACCEPTED
    assert response.json() == {
        "id": str(run.public_id),
        "aggregation": "majority",
        "status": "queued",
    }
    assert run.requested_by == study.owner
    assert len(queued_tasks) == 1


def test_a_draft_has_no_estimates(client: Client) -> None:
    study = make_study(launched=False)
    client.force_login(study.owner)
    url = reverse("api:study_estimates", args=[study.slug])
    response = client.post(url, {}, content_type="application/json")
    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert "never launched" in response.json()["detail"]


def test_csrf_is_enforced() -> None:
    study = make_study()
    client = Client(enforce_csrf_checks=True)
    client.force_login(study.owner)
    url = reverse("api:study_estimates", args=[study.slug])
    response = client.post(url, {}, content_type="application/json")
    assert response.status_code == HTTPStatus.FORBIDDEN
    assert not EstimateRun.objects.exists()
