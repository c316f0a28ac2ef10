"""The rater's endpoint, through HTTP."""

import uuid
from http import HTTPStatus

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.models import Assignment, Rating, RatingRevision
from annotation.services.assignments import assignment_lease
from tests.annotation.factories import make_participation, make_study, make_user, rate_task

pytestmark = pytest.mark.django_db

TOKEN = "a" * 32


@pytest.fixture
def assignment() -> Assignment:
    leased = assignment_lease(participation=make_participation(make_study()))
    assert leased is not None
    return leased


def as_rater(client: Client, assignment: Assignment) -> Client:
    session = client.session
    session["participations"] = {
        assignment.task.study.slug: str(assignment.participation.public_id)
    }
    session.save()
    return client


def url(assignment: Assignment) -> str:
    return reverse("rater:rating_save", args=[assignment.task.study.slug, assignment.public_id])


def answer(assignment: Assignment, **changes) -> dict:
    return {
        "item": str(assignment.task.items.first().public_id),
        "value": "present",
        "client_id": str(uuid.uuid4()),
        "response_ms": 1200,
        **changes,
    }


def post(client: Client, assignment: Assignment, body, **headers):
    return client.post(url(assignment), body, content_type="application/json", headers=headers)


def problem(response, status: HTTPStatus) -> dict:
    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    assert body["type"].startswith("urn:neuronjury:problem:")
    return body


def queries(client: Client, assignment: Assignment, body: dict) -> int:
    """Send an answer with a CSRF token; how many queries it took, session and all."""
    with CaptureQueriesContext(connection) as captured:
        response = post(client, assignment, body, **{"X-CSRFToken": TOKEN})
    assert response.status_code == HTTPStatus.OK
    # the test's own transaction turns BEGIN and COMMIT into savepoints
    return sum("SAVEPOINT" not in query["sql"] for query in captured)


def test_an_answer_is_saved_once(client: Client, assignment: Assignment) -> None:
    as_rater(client, assignment)
    body = answer(assignment)
    response = post(client, assignment, body)
    assert response.json() == {"saved": True, "item": body["item"], "value": "present"}
    assert response.status_code == HTTPStatus.OK
    rating = Rating.objects.get()
    assert (rating.value, rating.response_ms) == ("present", 1200)
    assert post(client, assignment, body).json() == response.json()
    assert Rating.objects.get() == rating
    changed = answer(assignment, value="absent")
    assert post(client, assignment, changed).json()["value"] == "absent"
    assert RatingRevision.objects.count() == 1
    # the first answer, sent again by a slow network
    assert post(client, assignment, body).json()["value"] == "absent"


def test_an_answer_costs_the_same_few_queries(assignment: Assignment) -> None:
    client = as_rater(Client(enforce_csrf_checks=True), assignment)
    client.cookies["csrftoken"] = TOKEN
    costs = []
    for item in assignment.task.items.all():
        new = answer(assignment, item=str(item.public_id))
        changed = {**new, "value": "absent", "client_id": str(uuid.uuid4())}
        costs.append([queries(client, assignment, body) for body in (new, new, changed)])
    # session, item, lock, what stands, write; a change also keeps the old answer
    assert costs == [[5, 4, 6]] * assignment.task.items.count()


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"value": "maybe"}, 'value: "maybe" is not a valid choice'),
        ({"item": "1"}, "item: Must be a valid UUID"),
        ({"client_id": None}, "client_id: This field may not be null"),
        ({"response_ms": -5}, "response_ms: Ensure this value is greater"),
    ],
)
def test_bad_answers_are_named(
    client: Client, assignment: Assignment, changes: dict, detail: str
) -> None:
    body = problem(
        post(as_rater(client, assignment), assignment, answer(assignment, **changes)),
        HTTPStatus.BAD_REQUEST,
    )
    assert detail in body["detail"]
    assert list(body["errors"]) == list(changes)
    assert not Rating.objects.exists()


def test_what_is_no_json_is_refused(client: Client, assignment: Assignment) -> None:
    as_rater(client, assignment)
    response = client.post(url(assignment), "{", content_type="application/json")
    assert "JSON parse error" in problem(response, HTTPStatus.BAD_REQUEST)["detail"]
    response = client.post(url(assignment), {"value": "present"})
    problem(response, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)


def test_strangers_are_refused(client: Client, assignment: Assignment) -> None:
    response = post(client, assignment, answer(assignment))
    assert "do not take part" in problem(response, HTTPStatus.FORBIDDEN)["detail"]
    client.force_login(make_user(is_staff=True, is_superuser=True))
    problem(post(client, assignment, answer(assignment)), HTTPStatus.FORBIDDEN)
    assert not Rating.objects.exists()


def test_a_rater_cannot_answer_for_another(client: Client, assignment: Assignment) -> None:
    other = assignment_lease(participation=make_participation(assignment.task.study))
    assert other is not None
    as_rater(client, other)
    response = post(client, assignment, answer(assignment))
    assert "reload the page" in problem(response, HTTPStatus.NOT_FOUND)["detail"]
    response = post(client, other, answer(assignment))
    problem(response, HTTPStatus.NOT_FOUND)
    assert not Rating.objects.exists()


def test_the_csrf_token_is_needed(assignment: Assignment) -> None:
    client = as_rater(Client(enforce_csrf_checks=True), assignment)
    response = post(client, assignment, answer(assignment))
    assert "CSRF" in problem(response, HTTPStatus.FORBIDDEN)["detail"]
    client.cookies["csrftoken"] = TOKEN
    response = post(client, assignment, answer(assignment), **{"X-CSRFToken": TOKEN})
    assert response.status_code == HTTPStatus.OK


def test_after_the_submit_answers_stand(client: Client, assignment: Assignment) -> None:
    rate_task(assignment, "absent")
    response = post(as_rater(client, assignment), assignment, answer(assignment))
    assert "submitted" in problem(response, HTTPStatus.CONFLICT)["detail"]


def test_a_client_id_of_another_answer(client: Client, assignment: Assignment) -> None:
    as_rater(client, assignment)
    body = answer(assignment)
    post(client, assignment, body)
    other = {**body, "item": str(assignment.task.items.last().public_id)}
    assert "client_id" in problem(post(client, assignment, other), HTTPStatus.CONFLICT)["detail"]


def test_get_changes_nothing(client: Client, assignment: Assignment) -> None:
    response = as_rater(client, assignment).get(url(assignment))
    body = problem(response, HTTPStatus.METHOD_NOT_ALLOWED)
    assert response["Allow"] == "POST, OPTIONS"
    assert "GET" in body["detail"]


def test_deep_json_is_refused(client: Client, assignment: Assignment) -> None:
    response = post(as_rater(client, assignment), assignment, "[" * 100_000)
    assert "nested deeper" in problem(response, HTTPStatus.BAD_REQUEST)["detail"]
