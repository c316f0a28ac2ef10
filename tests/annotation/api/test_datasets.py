"""A study from nothing by the API alone: dataset, matrices, explanations, launch; and its end."""

import io
from http import HTTPStatus

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from annotation.models import Explanation, ProbeDataset, Study, StudyMember
from tests.annotation.factories import make_participation, make_study, make_user
from tests.annotation.factories_api import api_client
from tests.annotation.factories_researcher import archive

pytestmark = pytest.mark.django_db
JSON = "application/json"
N = 12


def npy(array: np.ndarray) -> SimpleUploadedFile:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return SimpleUploadedFile("matrix.npy", out.getvalue())


def made(response) -> dict:
    assert response.status_code == HTTPStatus.CREATED, response.json()
    return response.json()


def test_a_study_from_nothing() -> None:
    client = api_client(make_user("ada"), "write")
    rng = np.random.default_rng(0)
    zipped = SimpleUploadedFile("images.zip", archive(N))
    found = made(client.post(reverse("api:dataset_list"), {"name": "Greys", "archive": zipped}))
    dataset = found["dataset"]["id"]
    assert (found["dataset"]["n_inputs"], found["reference"], found["notes"]) == (N, None, [])
    assert client.get(reverse("api:dataset", args=[dataset])).json() == found["dataset"]
    activations = made(
        client.post(
            reverse("api:activation_list", args=[dataset]),
            {
                "model_name": "tiny",
                "layer": "layer1",
                "file": npy(rng.normal(size=(N, 3)).astype(np.float32)),
            },
        )
    )
    assert (activations["shape"], activations["pool"]) == ([N, 3], "none")
    prior = rng.uniform(0.1, 0.9, (N, 2))
    matrix = made(
        client.post(
            reverse("api:matrix_list", args=[dataset]),
            {"name": "CLIP", "role": "prior", "file": npy(prior), "concepts": ["cat", "dog"]},
        )
    )
    assert (matrix["shape"], matrix["role"]) == ([N, 2], "prior")
    study = {
        "slug": "greys",
        "title": "Greys",
        "dataset": "Greys",
        "concept_prior": "CLIP",
        "rating_budget": 1000,
        "inputs_per_pair": 8,
        "consent_text": "I agree.",
    }
    made(client.post(reverse("api:study_list"), study, content_type=JSON))
    launch = reverse("api:study_launch", args=["greys"])
    refused = client.post(launch, {}, content_type=JSON)
    assert "Explanations: There are none." in refused.json()["detail"]
    explanations = reverse("api:explanation_list", args=["greys"])
    body = {
        "method": "By hand",
        "explanations": [
            {"activations": activations["id"], "unit": 0, "terms": [{"concept": "cat"}]},
            {
                "activations": activations["id"],
                "unit": 1,
                "terms": [{"concept": "cat", "weight": 0.5}, {"concept": "dog", "weight": -1}],
                "bias": 0.1,
            },
        ],
    }
    added = made(client.post(explanations, body, content_type=JSON))
    assert added[1]["terms"] == [
        {"concept": "cat", "weight": 0.5},
        {"concept": "dog", "weight": -1.0},
    ]
    assert client.get(explanations).json()["results"] == added
    table = SimpleUploadedFile("other.csv", b"unit,text\n0,dog\n1,unicorn\n")
    preview = client.post(
        reverse("api:explanation_file_preview", args=["greys"]), {"method": "File", "file": table}
    ).json()
    assert (preview["n_neurons"], preview["unknown_concepts"]) == (1, ["unicorn"])
    table.seek(0)
    address = reverse("api:explanation_file", args=["greys"])
    assert client.post(address, {"method": "File", "file": table}).status_code == 400
    table.seek(0)
    added = made(client.post(address, {"method": "File", "file": table, "partly": True}))
    assert [row["method"] for row in added] == ["File"]
    checklist = client.get(reverse("api:study_checklist", args=["greys"])).json()
    assert checklist["ready"], checklist
    assert checklist["preview"]["n_pairs"] == 4
    assert client.post(launch, {}, content_type=JSON).json()["status"] == "open"
    assert client.get(reverse("api:study_checklist", args=["greys"])).status_code == 409
    progress = client.get(reverse("api:study_progress", args=["greys"])).json()
    assert progress["items"] == checklist["preview"]["n_items"]
    assert [row["name"] for row in progress["per_method"]] == ["By hand", "File"]
    assert {row["name"] for row in progress["per_neuron"]} == {"layer1:0", "layer1:1"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"unit": 99}, "layer1:99"),
        ({"terms": []}, "terms"),
        ({"terms": [{"concept": "unicorn"}]}, "unicorn"),
        ({"terms": [{"concept": "concept 0", "weight": 0}]}, "weight"),
        ({"terms": [{"concept": "concept 0"}, {"concept": "concept 0"}]}, "there twice"),
        ({"activations": 10**9}, "no activations 1000000000"),
    ],
)
def test_explanations_that_cannot_be(change: dict, words: str) -> None:
    study = make_study(launched=False)
    neuron = study.explanations.first().neuron
    row = {
        "activations": neuron.activations_id,
        "unit": 0,
        "terms": [{"concept": "concept 0"}],
        **change,
    }
    response = api_client(study.owner).post(
        reverse("api:explanation_list", args=[study.slug]),
        {"method": "New", "explanations": [row]},
        content_type=JSON,
    )
    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert words in response.json()["detail"]
    assert not Explanation.objects.filter(method__name="New").exists()


def test_a_method_is_taken_out() -> None:
    study = make_study(launched=False)
    address = reverse("api:method", args=[study.slug, "Bad"])
    assert api_client(study.owner).delete(address).status_code == HTTPStatus.NO_CONTENT
    assert set(study.explanations.values_list("method__name", flat=True)) == {"Good"}


def test_paths_lead_nowhere_else(settings) -> None:
    settings.NEURONJURY_DATASET_ROOTS = [settings.DATA_DIR / "datasets"]
    client = api_client()
    for path in ("/etc/passwd", "../secret", "x" * 300, "a/../../b"):
        response = client.post(
            reverse("api:dataset_list"), {"name": "x", "path": path}, content_type=JSON
        )
        assert response.status_code == HTTPStatus.BAD_REQUEST, path
        assert "path" in response.json()["detail"]
    assert not ProbeDataset.objects.exists()


def test_only_who_made_a_dataset_deletes_it() -> None:
    study = make_study()
    dataset = ProbeDataset.objects.get()
    ProbeDataset.objects.update(created_by=study.owner)
    address = reverse("api:dataset", args=[dataset.pk])
    assert api_client().delete(address).status_code == HTTPStatus.FORBIDDEN
    refused = api_client(study.owner).delete(address)
    assert refused.status_code in {HTTPStatus.CONFLICT, HTTPStatus.BAD_REQUEST}
    assert ProbeDataset.objects.exists()


@pytest.mark.parametrize("kind", ["activations", "matrix"])
def test_a_matrix_is_deleted_unless_a_study_uses_it(kind: str) -> None:
    study = make_study(launched=False)
    ProbeDataset.objects.update(created_by=study.owner)
    rows = {
        "activations": study.dataset.activation_matrices.all(),
        "matrix": study.dataset.concept_matrices.filter(role="reference"),
    }[kind]
    address = reverse(f"api:{kind}", args=[study.dataset_id, rows.get().pk])
    assert api_client().delete(address).status_code == HTTPStatus.FORBIDDEN
    refused = api_client(study.owner).delete(address)
    assert refused.status_code in {HTTPStatus.CONFLICT, HTTPStatus.BAD_REQUEST}
    assert repr(study.title) in refused.json()["detail"]
    study.delete()
    assert api_client(study.owner).delete(address).status_code == HTTPStatus.NO_CONTENT
    assert not rows.all().exists()
    gone = api_client(study.owner).delete(address)
    assert gone.status_code == HTTPStatus.NOT_FOUND
    assert "has no matrix" in gone.json()["detail"]


@pytest.fixture
def study() -> Study:
    return make_study(slug="mine", title="Mine")


@pytest.fixture
def owner(study: Study) -> Client:
    return api_client(study.owner)


def test_a_study_changes(study: Study, owner: Client) -> None:
    address = reverse("api:study", args=["mine"])
    other = make_study(owner=study.owner)
    body = {"title": "Ours", "excluded_studies": [other.slug], "consent_text": "I agree, again."}
    shown = owner.patch(address, body, content_type=JSON).json()
    assert (shown["title"], shown["consent_version"]) == ("Ours", "2")
    study.refresh_from_db()
    assert list(study.excluded_studies.all()) == [other]
    refused = owner.patch(address, {"question": "Is it?"}, content_type=JSON)
    assert refused.status_code == HTTPStatus.CONFLICT
    assert "clone the study" in refused.json()["detail"]
    hidden = make_study()
    refused = owner.patch(address, {"excluded_studies": [hidden.slug]}, content_type=JSON)
    assert "that you may see" in refused.json()["detail"]
    refused = owner.patch(address, {"rating_budget": 5}, content_type=JSON)
    assert "rating_budget" in refused.json()["detail"]


def test_a_study_is_cloned_and_deleted(study: Study, owner: Client) -> None:
    body = {"slug": "copy", "title": "Copy", "seed": 9}
    clone = owner.post(reverse("api:study_clone", args=["mine"]), body, content_type=JSON)
    assert made(clone)["seed"] == 9
    assert owner.delete(reverse("api:study", args=["copy"])).status_code == HTTPStatus.NO_CONTENT
    make_participation(study)
    address = reverse("api:study", args=["mine"])
    refused = owner.delete(address)
    assert refused.status_code == HTTPStatus.CONFLICT
    assert "'mine'" in refused.json()["detail"]
    assert owner.delete(f"{address}?confirm=mine").status_code == HTTPStatus.NO_CONTENT
    assert not Study.objects.exists()


def test_members(study: Study, owner: Client) -> None:
    make_user("grace")
    address = reverse("api:member", args=["mine", "grace"])
    shown = owner.put(address, {"role": "researcher"}, content_type=JSON).json()
    assert (shown["username"], shown["role"]) == ("grace", "researcher")
    listed = owner.get(reverse("api:member_list", args=["mine"])).json()
    assert listed["results"] == [shown]
    assert owner.delete(address).status_code == HTTPStatus.NO_CONTENT
    assert owner.delete(address).status_code == HTTPStatus.BAD_REQUEST
    assert not StudyMember.objects.exists()
    stranger = reverse("api:member", args=["mine", "nobody"])
    refused = owner.put(stranger, {"role": "viewer"}, content_type=JSON)
    assert "no account 'nobody'" in refused.json()["detail"]
