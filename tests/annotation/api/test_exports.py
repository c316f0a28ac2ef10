"""Exports and imports through HTTP: by token and on the page."""

import csv
import io
import json
from http import HTTPStatus

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from pyarrow import parquet

from annotation.exports import TABLES
from annotation.models import Rating
from annotation.services.estimates import estimate_request, estimate_run
from tests.annotation.factories import make_study, make_user, rate_study
from tests.annotation.factories_api import api_client

pytestmark = pytest.mark.django_db


def body(response) -> bytes:
    assert response.status_code == HTTPStatus.OK, response
    assert response.streaming
    return b"".join(response.streaming_content)


@pytest.mark.parametrize("page", [False, True])
def test_every_table_in_every_form(client: Client, page: bool) -> None:
    study = make_study()
    rate_study(study, max_tasks=2)
    estimate_run(run=estimate_request(study=study, aggregation="majority", enqueue=False))
    if page:
        client.force_login(study.owner)
        name = "researcher:export"
    else:
        client, name = api_client(study.owner, "read"), "api:export"
    for table in TABLES:
        address = reverse(name, args=[study.slug, table])
        response = client.get(address)
        assert response["Content-Type"] == "text/csv; charset=utf-8"
        assert response["Content-Disposition"] == f'attachment; filename="{study.slug}-{table}.csv"'
        rows = list(csv.DictReader(io.StringIO(body(response).decode(), newline="")))
        lines = body(client.get(address, {"format": "jsonl"})).decode().splitlines()
        columns = parquet.read_table(io.BytesIO(body(client.get(address, {"format": "parquet"}))))
        assert len(rows) == len(lines) == columns.num_rows > 0
        assert list(rows[0]) == list(json.loads(lines[0])) == columns.column_names


def test_what_there_is_not() -> None:
    study = make_study()
    client = api_client(study.owner)
    address = reverse("api:export", args=[study.slug, "estimates"])
    assert client.get(address).status_code == HTTPStatus.NOT_FOUND
    refused = client.get(reverse("api:export", args=[study.slug, "secrets"]))
    assert "ratings, draws, items" in refused.json()["detail"]
    refused = client.get(reverse("api:export", args=[study.slug, "items"]), {"format": "xlsx"})
    assert refused.status_code == HTTPStatus.BAD_REQUEST
    study.concept_prior.absolute_path.unlink()
    refused = client.get(reverse("api:export", args=[study.slug, "inputs"]))
    assert refused.status_code == HTTPStatus.BAD_REQUEST
    assert "cheap model" in refused.json()["detail"]


def test_the_page_says_what_there_is_not(client: Client) -> None:
    study = make_study()
    client.force_login(study.owner)
    for table, form in (("secrets", "csv"), ("items", "xlsx"), ("estimates", "csv")):
        address = reverse("researcher:export", args=[study.slug, table])
        assert client.get(address, {"format": form}).status_code == HTTPStatus.NOT_FOUND
    client.force_login(make_user())
    address = reverse("researcher:export", args=[study.slug, "items"])
    assert client.get(address).status_code == HTTPStatus.NOT_FOUND


def test_a_preview_then_an_import() -> None:
    study = make_study()
    item = study.items.select_related("concept", "probe_input").first()
    client = api_client(study.owner)
    text = f"task,worker,label\n{item.probe_input.file},W1,yes\nnowhere.png,W1,no\n"
    fields = {
        "concept": item.concept.text,
        "labels": json.dumps({"yes": "present", "no": "absent"}),
    }

    def post(name: str, **changes):
        file = SimpleUploadedFile("old.csv", text.encode())
        return client.post(reverse(name, args=[study.slug]), {"file": file, **fields, **changes})

    preview = post("api:import_preview").json()
    assert (preview["format"], preview["n_rows"], preview["n_ready"]) == ("crowdkit", 2, 1)
    assert preview["refused"][0]["row"] == 2
    assert "no such input" in preview["refused"][0]["reason"]
    assert not Rating.objects.exists()
    done = post("api:import")
    assert done.status_code == HTTPStatus.CREATED
    assert done.json() == preview
    assert Rating.objects.get().value == "present"
    assert post("api:import").json()["n_there"] == 1
    for labels in ("{", "[1]", '{"yes": 1}'):
        refused = post("api:import", labels=labels)
        assert refused.status_code == HTTPStatus.BAD_REQUEST
        assert "labels" in refused.json()["errors"]
