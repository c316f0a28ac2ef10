"""The OpenAPI document: valid, whole, in words; and the page that shows it."""

import re
from http import HTTPStatus

import pytest
from django.test import Client
from django.urls import reverse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from annotation.views.api_docs import reference
from tests.annotation.api.test_access import ENDPOINTS
from tests.annotation.factories import make_user

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def document() -> dict:
    return SchemaGenerator().get_schema(public=True)


def operations(document: dict) -> dict[tuple[str, str], dict]:
    return {
        (path, method): item[method]
        for path, item in document["paths"].items()
        for method in METHODS & item.keys()
    }


def test_it_is_valid(document: dict) -> None:
    assert document["openapi"] == "3.1.0"
    validate_schema(document)


def test_it_has_every_endpoint_and_no_other(document: dict) -> None:
    wanted = {
        ("/api/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(pattern.pattern)), method)
        for pattern, method in ENDPOINTS
    }
    assert set(operations(document)) == wanted


def test_every_operation_is_described(document: dict) -> None:
    ids = [operation["operationId"] for operation in operations(document).values()]
    assert len(ids) == len(set(ids))
    for (path, method), operation in operations(document).items():
        where = f"{method} {path}"
        summary = operation.get("description", "").splitlines()
        assert summary, where
        assert summary[0].endswith((".", ";")), where
        assert "Parameters" not in operation["description"], where
        good = [code for code in operation["responses"] if code.startswith("2")]
        assert good, where
        assert {"401", "403", "429"} <= operation["responses"].keys(), where
        for code in good:
            assert code == "204" or operation["responses"][code]["content"], where
        if "{" in path:
            assert "404" in operation["responses"], where
        if method in {"put", "patch"}:
            assert operation["requestBody"], where


def test_what_creates_or_spends_takes_an_idempotency_key(document: dict) -> None:
    for (path, method), operation in operations(document).items():
        names = {parameter["name"] for parameter in operation.get("parameters", [])}
        harmless = path.endswith("preview/")
        assert ("Idempotency-Key" in names) == (method == "post" and not harmless), path


def test_problems_are_described_as_they_are_sent(document: dict) -> None:
    for operation in operations(document).values():
        for code, answer in operation["responses"].items():
            if not code.startswith("2"):
                assert list(answer["content"]) == ["application/problem+json"]


@pytest.mark.django_db
def test_anybody_may_read_it(client: Client) -> None:
    response = client.get(reverse("api:schema"), {"format": "json"})
    assert response.status_code == HTTPStatus.OK
    assert b"openapi: 3.1.0" in response.content or response.json()["openapi"] == "3.1.0"


@pytest.mark.django_db
def test_the_page_shows_every_operation(client: Client, document: dict) -> None:
    address = reverse("researcher:api_docs")
    assert client.get(address).status_code == HTTPStatus.FOUND
    client.force_login(make_user())
    page = client.get(address).content.decode()
    assert "<script" not in page.replace('<script type="module" src=', "")
    for (path, _), operation in operations(document).items():
        assert f'id="{operation["operationId"]}"' in page
        assert path in page
    links = set(re.findall(r'href="#([^"]+)"', page))
    assert links <= set(re.findall(r' id="([^"]+)"', page))
    assert reference()["n_operations"] == len(ENDPOINTS)
