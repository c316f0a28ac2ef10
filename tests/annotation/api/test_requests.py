"""Requests as clients send them: strange bodies, and the same one twice."""

import io
import json
import threading
from http import HTTPStatus

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import close_old_connections, connection
from django.test import Client
from django.urls import reverse

from annotation.api.parsers import BodyTooLarge, SafeJSONParser
from annotation.models import EstimateRun, IdempotencyKey, Study
from annotation.services.idempotency import request_begin, requests_prune
from tests.annotation.api.test_studies import JSON, study_body
from tests.annotation.factories import make_study, make_user
from tests.annotation.factories_api import api_client, make_token

pytestmark = pytest.mark.django_db

DEEP = "[" * 60_000 + "]" * 60_000


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "JSON parse error"),
        (b'{"slug": "\xff"}', "JSON parse error"),
        (b'{"title": "a\\u0000b"}', "NUL"),
        (b'{"sampling_parameters": {"a\\u0000": 1}}', "NUL"),
        (b'{"title": "\\ud800"}', "surrogate"),
        (b'{"seed": 1e999}', "too large"),
        (b'{"seed": 99999999999999999999}', "too large"),
        (b'{"seed": ' + b"9" * 5000 + b"}", "JSON parse error"),
        (b'{"seed": NaN}', "JSON parse error"),
        (DEEP.encode(), "nested deeper than"),
        (b'{"a": ' * 40 + b"1" + b"}" * 40, "nested deeper than"),
        (b"[]", "Invalid data"),
        (b'"text"', "Invalid data"),
        (b"null", "No data"),
        (b"12", "Invalid data"),
    ],
)
def test_bodies_that_mean_nothing_are_refused(body: bytes, words: str) -> None:
    response = api_client().post(reverse("api:study_list"), body, content_type=JSON)
    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert response["Content-Type"] == "application/problem+json"
    assert words in response.json()["detail"]


def test_a_body_of_another_type_or_too_large(settings) -> None:
    client = api_client()
    response = client.post(reverse("api:study_list"), {"slug": "a"})
    assert response.status_code == HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    settings.NEURONJURY_MAX_BODY_BYTES = 1000
    body = b'{"title": "' + b"x" * 1000 + b'"}'
    response = client.post(reverse("api:study_list"), body, content_type=JSON)
    assert response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    with pytest.raises(BodyTooLarge, match="more than 1000 bytes"):  # one that lied about it
        SafeJSONParser().parse(io.BytesIO(body))


def test_whatever_is_accepted_the_answer_is_json() -> None:
    response = api_client().get(reverse("api:study_list"), headers={"Accept": "text/html"})
    assert response.status_code == HTTPStatus.OK
    assert response["Content-Type"] == JSON


@pytest.fixture
def client() -> Client:
    return api_client(make_user())


def post_study(client: Client, key: str, **changes):
    study = Study.objects.order_by("pk").first() or make_study()
    body = study_body(study, **changes)
    return client.post(
        reverse("api:study_list"), body, content_type=JSON, headers={"Idempotency-Key": key}
    )


def test_the_same_request_happens_once(client: Client) -> None:
    first = post_study(client, "k-1")
    assert first.status_code == HTTPStatus.CREATED, first.json()
    second = post_study(client, "k-1")
    assert second.status_code == HTTPStatus.CREATED
    assert second.json() == first.json()
    assert second["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first
    assert Study.objects.filter(slug="new-study").count() == 1
    other = post_study(client, "k-1", title="Another title")
    assert other.status_code == HTTPStatus.CONFLICT
    assert "another request" in other.json()["detail"]
    assert post_study(api_client(), "k-1", slug="of-another-user").status_code == 201
    assert IdempotencyKey.objects.count() == 2


def test_a_refused_request_frees_its_key(client: Client) -> None:
    assert post_study(client, "k-1", title="").status_code == HTTPStatus.BAD_REQUEST
    assert not IdempotencyKey.objects.exists()
    assert post_study(client, "k-1").status_code == HTTPStatus.CREATED


def test_a_request_whose_server_was_killed_is_not_repeated(client: Client) -> None:
    assert post_study(client, "k-1").status_code == HTTPStatus.CREATED
    IdempotencyKey.objects.update(status=None, reply=None)
    again = post_study(client, "k-1")
    assert again.status_code == HTTPStatus.CONFLICT
    assert "stopped in the middle" in again.json()["detail"]


@pytest.mark.parametrize("key", ["x" * 121, "a\tb"])
def test_keys_are_short_and_printable(client: Client, key: str) -> None:
    assert "Idempotency-Key" in post_study(client, key).json()["detail"]


def test_uploads_are_compared_by_content() -> None:
    study = make_study()
    client, address = api_client(study.owner), reverse("api:import", args=[study.slug])
    item = study.items.select_related("concept", "probe_input").first()
    line = f"{item.probe_input.index},w1,1\n"

    def post(text: str):
        file = SimpleUploadedFile("old.csv", b"task,worker,label\n" + text.encode())
        return client.post(
            address,
            {"file": file, "concept": item.concept.text},
            headers={"Idempotency-Key": "import-1"},
        )

    first = post(line)
    assert first.status_code == HTTPStatus.CREATED, first.json()
    assert post(line).json() == first.json()
    assert post(line + line).status_code == HTTPStatus.CONFLICT


def test_old_keys_are_forgotten(client: Client) -> None:
    user = make_user()
    row, _ = request_begin(user=user, key="old", fingerprint="f")
    assert requests_prune() == 0
    assert requests_prune(now=row.created_at.replace(year=row.created_at.year + 1)) == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_ten_at_once_make_one() -> None:
    study = make_study()
    _, secret = make_token(study.owner)
    address, body = reverse("api:study_list"), json.dumps(study_body(study))
    codes: list[int] = []
    barrier = threading.Barrier(10)

    def send() -> None:
        client = Client(headers={"Authorization": f"Bearer {secret}", "Idempotency-Key": "once"})
        barrier.wait()
        try:
            codes.append(client.post(address, body, content_type=JSON).status_code)
        finally:
            close_old_connections()
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(codes) == 10
    assert set(codes) <= {201, 409}
    assert 201 in codes
    assert Study.objects.filter(slug="new-study").count() == 1
    assert EstimateRun.objects.count() == 0


def test_a_kept_reply_is_for_whoever_may_still_ask() -> None:
    study = make_study()
    client, address = api_client(study.owner), reverse("api:study_pause", args=[study.slug])
    key = {"Idempotency-Key": "k"}
    first = client.post(address, "{}", content_type=JSON, headers=key)
    assert first.status_code == HTTPStatus.OK, first.json()
    other = client.post(f"{address}?a=1", "{}", content_type=JSON, headers=key)
    assert other.status_code == HTTPStatus.CONFLICT
    Study.objects.update(owner=make_user("next"))
    again = client.post(address, "{}", content_type=JSON, headers=key)
    assert again.status_code == HTTPStatus.NOT_FOUND


def test_a_search_of_a_thousand_words_is_answered() -> None:
    response = api_client().get(reverse("api:study_list"), {"search": "a " * 2000})
    assert response.status_code == HTTPStatus.OK
