"""Every URL of the researcher's site, found by walking the patterns, for every kind of user.

A new URL is in this test without a word; one that needs more than a slug is named below.
"""

import uuid

import pytest
from django.test import Client
from django.urls import URLPattern, reverse

from annotation.models import Study
from annotation.services.datasets import activations_register
from annotation.services.members import member_set
from annotation.urls import researcher_patterns
from tests.annotation.factories import make_study, make_user

pytestmark = pytest.mark.django_db

PATTERNS: list[URLPattern] = [one for one in researcher_patterns if isinstance(one, URLPattern)]
OF_A_STUDY = sorted(one.name or "" for one in PATTERNS if "<slug:slug>" in str(one.pattern))
OTHERS = sorted(one.name or "" for one in PATTERNS if "<slug:slug>" not in str(one.pattern))
#: Pages that a viewer must see; others may be for those alone who change the study.
LOOKING = {
    "study",
    "study_live",
    "study_checklist",
    "study_preview",
    "study_explanations",
    "study_members",
    "study_log",
}
#: Only the owner and staff.
OWNED = {"study_delete", "member_add", "member_delete"}


def address(name: str, study: Study) -> str:
    """Fill a pattern in: the study's slug, and ids that nothing has."""
    pattern = next(one for one in PATTERNS if one.name == name)
    known = {"slug": study.slug, "table": "ratings", "pk": study.dataset_id}
    values = {
        key: known.get(key, uuid.uuid4() if type(converter).__name__ == "UUIDConverter" else 999)
        for key, converter in pattern.pattern.converters.items()
    }
    values = {
        key: "none" if value == 999 and _is_text(pattern, key) else value
        for key, value in values.items()
    }
    return reverse(f"researcher:{name}", kwargs=values)


def _is_text(pattern: URLPattern, key: str) -> bool:
    return type(pattern.pattern.converters[key]).__name__ in {"SlugConverter", "StringConverter"}


@pytest.fixture
def study() -> Study:
    return make_study(owner=make_user("owner"), launched=False, n_inputs=12, slug="mine")


@pytest.fixture
def people(study: Study) -> dict[str, object]:
    users = {name: make_user(name) for name in ("researcher", "viewer", "stranger")}
    for name in ("researcher", "viewer"):
        member_set(study=study, username=name, role=name, actor=study.owner)
    return {**users, "owner": study.owner, "staff": make_user("staff", is_staff=True)}


def statuses(user: object, study: Study) -> dict[str, tuple[int, int]]:
    """What GET and an empty POST answer."""
    client = Client()
    if user is not None:
        client.force_login(user)
    found = {}
    for name in OF_A_STUDY:
        url = address(name, study)
        found[name] = (client.get(url).status_code, client.post(url).status_code)
        if not Study.objects.filter(pk=study.pk).exists():
            raise AssertionError(f"an empty POST to {url} deleted the study")
    return found


def test_nobody_who_is_not_logged_in_sees_anything(study: Study) -> None:
    for name, (get, post) in statuses(None, study).items():
        assert get in {302, 405}, name
        assert post in {302, 405}, name
    client = Client()
    for name in OTHERS:
        response = client.get(address(name, study))
        assert response.status_code in {302, 405}, name
        if response.status_code == 302:
            assert response["Location"].startswith(reverse("login")), name


def test_a_stranger_finds_no_study(study: Study, people: dict[str, object]) -> None:
    n_events = study.events.count()
    for name, (get, post) in statuses(people["stranger"], study).items():
        assert get in {404, 405}, name
        assert post in {404, 405}, name
    assert study.events.count() == n_events


def test_a_viewer_looks_and_changes_nothing(study: Study, people: dict[str, object]) -> None:
    n_events = study.events.count()
    for name, (get, post) in statuses(people["viewer"], study).items():
        assert get in ({200} if name in LOOKING else {200, 302, 403, 404, 405}), name
        if name in OWNED | {"study_edit"}:
            assert get in {403, 405}, name
        if name != "study_clone":  # a copy of one's own
            assert post in {403, 405}, name
    assert study.events.count() == n_events


def test_a_researcher_changes_and_the_owner_shares(study: Study, people: dict[str, object]) -> None:
    for who in ("researcher", "owner", "staff"):
        for name, (get, post) in statuses(people[who], make_study_like(study, people)).items():
            if name in OWNED and who == "researcher":
                assert (get, post) in {(403, 403), (405, 403)}, (who, name)
                continue
            assert get in {200, 302, 404, 405}, (who, name)
            assert post in {200, 302, 400, 404, 405, 409, 422}, (who, name)


def make_study_like(study: Study, people: dict[str, object]) -> Study:
    """Another study with the same people, for an empty POST may pause or launch it."""
    other = make_study(owner=study.owner, slug=f"s{uuid.uuid4().hex[:8]}", n_inputs=12)
    for name in ("researcher", "viewer"):
        member_set(study=other, username=name, role=name, actor=study.owner)
    return other


def test_only_who_registered_a_dataset_deletes_it(study: Study, people: dict[str, object]) -> None:
    dataset = study.dataset
    url = reverse("researcher:dataset_delete", args=[dataset.pk])
    client = Client()
    client.force_login(people["stranger"])
    assert client.post(url).status_code == 403
    type(dataset).objects.filter(pk=dataset.pk).update(created_by=people["owner"])
    client.force_login(people["owner"])
    assert client.post(url, follow=True).context["dataset"] == dataset  # a study uses it
    study.delete()
    page = client.get(reverse("researcher:dataset", args=[dataset.pk])).content.decode()
    assert "deleted for good" in page  # asked before, for the matrices are gone at once
    client.post(url)
    assert not type(dataset).objects.filter(pk=dataset.pk).exists()


def test_a_matrix_registered_by_mistake_is_deleted(
    study: Study, people: dict[str, object], django_capture_on_commit_callbacks
) -> None:
    dataset = study.dataset
    layer = activations_register(
        dataset=dataset, model_name="tiny", layer="wrong", activations=[[0.0], [1.0]] * 6
    )
    used = dataset.activation_matrices.exclude(pk=layer.pk).get()
    rows = (("activations", layer), ("activations", used), ("concepts", study.concept_prior))
    urls = [
        reverse("researcher:matrix_remove", args=[dataset.pk, kind, row.pk]) for kind, row in rows
    ]
    client = Client()
    client.force_login(people["stranger"])
    assert [client.post(url).status_code for url in urls] == [403] * 3
    type(dataset).objects.filter(pk=dataset.pk).update(created_by=people["owner"])
    client.force_login(people["owner"])
    for url in urls[1:]:
        assert "is used by" in client.post(url, follow=True).content.decode()
    with django_capture_on_commit_callbacks(execute=True):
        assert "is deleted" in client.post(urls[0], follow=True).content.decode()
    assert client.post(urls[0]).status_code == 404
    assert client.post(urls[0].replace("activations", "nonsense")).status_code == 404
    assert list(dataset.activation_matrices.all()) == [used]
    assert used.absolute_path.exists()
    assert not layer.absolute_path.exists()
