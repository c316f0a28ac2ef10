"""The researcher's API, through HTTP."""

from http import HTTPStatus

import pytest
from django.test import Client
from django.urls import reverse

from annotation.models import EstimateRun, Study
from annotation.services.estimates import estimate_request, estimate_run
from tests.annotation.factories import make_study, make_user, rate_study
from tests.annotation.factories_api import api_client

pytestmark = pytest.mark.django_db

ENDPOINTS = ["api:study", "api:study_progress", "api:study_estimates"]
JSON = "application/json"


def test_a_study_its_progress_and_its_estimates(client: Client) -> None:
    study = make_study()
    rate_study(study)
    estimate_run(run=estimate_request(study=study, aggregation="bragg", enqueue=False, live=True))
    client.force_login(study.owner)
    (listed,) = client.get(reverse("api:study_list")).json()["results"]
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
    assert document["run"]["interval_covers"] == "sampling_error_and_label_uncertainty"


@pytest.mark.parametrize("name", ENDPOINTS)
def test_others_get_nothing(client: Client, name: str) -> None:
    study = make_study()
    url = reverse(name, args=[study.slug])
    response = client.get(url)
    assert response.status_code == HTTPStatus.UNAUTHORIZED
    assert response["Content-Type"] == "application/problem+json"
    assert response["WWW-Authenticate"] == "Bearer"
    client.force_login(make_user())
    response = client.get(url)
    assert response.status_code == HTTPStatus.NOT_FOUND
    assert client.post(url, {}, content_type="application/json").status_code in {404, 405}
    assert client.get(reverse("api:study_list")).json()["results"] == []
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
    shown = response.json()
    assert (shown["id"], shown["aggregation"], shown["status"], shown["requested_by"]) == (
        str(run.public_id),
        "majority",
        "queued",
        study.owner.get_username(),
    )
    assert client.get(reverse("api:run", args=[study.slug, run.public_id])).json() == shown
    (listed,) = client.get(reverse("api:run_list", args=[study.slug])).json()["results"]
    assert listed == shown
    assert not client.get(
        reverse("api:run_list", args=[study.slug]), {"status": "finished"}
    ).json()["results"]
    address = reverse("api:run_estimates", args=[study.slug, run.public_id])
    assert "queued" in client.get(address).json()["detail"]
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


def study_body(study, **changes) -> dict:
    """The body that makes a study over the same dataset."""
    return {
        "slug": "new-study",
        "title": "A new study",
        "dataset": study.dataset.name,
        "concept_prior": study.concept_prior.name,
        "rating_budget": 1000,
        "consent_text": "I agree.",
        "sampling_parameters": {"gamma": 0.3},
        **changes,
    }


def test_a_study_is_made_by_a_token(django_assert_max_num_queries) -> None:
    study = make_study()
    user = make_user("ada")
    client = api_client(user, "write")
    address = reverse("api:study_list")
    response = client.post(address, study_body(study, redundancy=5), content_type=JSON)
    assert response.status_code == HTTPStatus.CREATED, response.json()
    made = Study.objects.get(slug="new-study")
    assert (made.owner, made.status, made.redundancy) == (user, "draft", 5)
    assert made.sampling_parameters == {"gamma": 0.3}
    shown = response.json()
    assert shown == client.get(reverse("api:study", args=["new-study"])).json()
    assert (shown["owner"], shown["concept_prior"]) == ("ada", "cheap model")
    # three of the list, and four for each of the two limits of requests
    with django_assert_max_num_queries(11):
        assert client.get(address).json()["count"] == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"slug": "a b"}, "slug: "),
        ({"title": ""}, "title: "),
        ({"dataset": "none"}, "dataset: There is no 'none'"),
        ({"dataset": ["x"]}, "dataset: "),
        ({"concept_prior": "none"}, "no prior named 'none'; it has: cheap model"),
        ({"reference": "none"}, "no reference named 'none'; it has: labels"),
        ({"rating_budget": 0}, "rating_budget"),
        ({"redundancy": 101}, "redundancy"),
        ({"sampling_parameters": [1]}, "sampling_parameters"),
        ({"seed": 10**30}, "whole number is too large"),
        ({"aggregation": "median"}, "aggregation"),
    ],
)
def test_a_study_that_cannot_be_is_refused(changes: dict, words: str) -> None:
    study = make_study(launched=False)
    client = api_client(study.owner)
    response = client.post(
        reverse("api:study_list"), study_body(study, **changes), content_type=JSON
    )
    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert words in response.json()["detail"]
    assert Study.objects.count() == 1


def test_the_life_of_a_study() -> None:
    study = make_study(launched=False)
    client = api_client(study.owner)

    def post(name: str, **body: object):
        return client.post(reverse(f"api:study_{name}", args=[study.slug]), body, content_type=JSON)

    assert post("pause").status_code == HTTPStatus.CONFLICT
    assert post("launch").json()["status"] == "open"
    assert post("pause").json()["status"] == "paused"
    assert post("resume").json()["status"] == "open"
    assert post("redundancy", redundancy=4).json()["redundancy"] == 4
    assert "not above" in post("redundancy", redundancy=4).json()["detail"]
    assert post("close").json()["status"] == "closed"
    log = client.get(reverse("api:study_log", args=[study.slug]), {"page_size": 2}).json()
    assert [event["action"] for event in log["results"]] == ["closed", "redundancy raised"]
    assert log["results"][0]["actor"] == study.owner.get_username()
    assert log["count"] == study.events.count()
    assert "page=2" in log["next"]


def test_studies_are_filtered_searched_and_paged() -> None:
    owner = make_user()
    study = make_study(owner=owner, slug="alpha-one", title="First")
    make_study(owner=owner, slug="beta", title="Alpha two", launched=False)
    client = api_client(owner)

    def slugs(**query: object) -> list[str]:
        found = client.get(reverse("api:study_list"), query)
        assert found.status_code == HTTPStatus.OK, found.json()
        return [row["slug"] for row in found.json()["results"]]

    assert slugs() == ["beta", "alpha-one"]
    assert slugs(ordering="slug") == ["alpha-one", "beta"]
    assert slugs(status="draft") == ["beta"]
    assert slugs(status=["draft", "open"]) == ["beta", "alpha-one"]
    assert slugs(search="alpha") == ["beta", "alpha-one"]
    assert slugs(search="alpha two") == ["beta"]
    assert slugs(dataset=study.dataset.name) == ["alpha-one"]
    assert slugs(created_after="2100-01-01T00:00:00Z") == []
    assert slugs(page=2, page_size=1) == ["alpha-one"]
    for query in ({"status": "lost"}, {"created_after": "soon"}, {"search": "a\0b"}):
        refused = client.get(reverse("api:study_list"), query)
        assert refused.status_code == HTTPStatus.BAD_REQUEST
        assert next(iter(query)) in refused.json()["detail"]
    assert client.get(reverse("api:study_list"), {"page": 9}).status_code == HTTPStatus.NOT_FOUND


def test_a_run_is_cancelled_once(queued_tasks) -> None:
    study = make_study()
    client = api_client(study.owner)
    asked = client.post(reverse("api:study_estimates", args=[study.slug]), {}, JSON).json()
    url = reverse("api:run_cancel", args=[study.slug, asked["id"]])
    assert api_client(study.owner, "read").post(url).status_code == HTTPStatus.FORBIDDEN
    assert client.get(url).status_code == HTTPStatus.METHOD_NOT_ALLOWED
    response = client.post(url)
    assert response.status_code == HTTPStatus.OK, response.content
    assert response.json()["status"] == "cancelled"
    assert response.json()["finished_at"] is not None
    listed = client.get(reverse("api:run_list", args=[study.slug]), {"status": "cancelled"}).json()
    assert [row["id"] for row in listed["results"]] == [asked["id"]]
    again = client.post(url)
    assert again.status_code == HTTPStatus.CONFLICT
    assert "is cancelled already" in again.json()["detail"]
