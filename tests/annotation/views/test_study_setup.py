"""The pages that set a study up: what they show, refuse and write."""

import shutil

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from annotation.models import ProbeDataset, Study, StudyStatus
from annotation.services.members import member_set
from annotation.services.studies import study_close
from annotation.services.study_changes import study_update
from annotation.views import researcher
from tests.annotation.factories import make_study, make_user, rate_study
from tests.annotation.factories_researcher import clip_dissect, npy, table

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    return make_study(launched=False, n_inputs=20, slug="mine", title="Mine <b>")


@pytest.fixture
def owner(client: Client, study: Study) -> Client:
    client.force_login(study.owner)
    return client


def form_of(study: Study, **changes) -> dict:
    fields = [
        "title",
        "slug",
        "question",
        "instructions",
        "consent_text",
        "consent_version",
        "language",
        "sampling_design",
        "inputs_per_pair",
        "redundancy",
        "items_per_task",
        "rating_budget",
        "currency",
        "aggregation",
        "estimator",
        "seed",
    ]
    return {
        **{name: getattr(study, name) for name in fields},
        "concept_prior": study.concept_prior_id,
        "reference": study.reference_id or "",
        "lease_minutes": 30,
        "sampling_parameters": "{}",
        **changes,
    }


def test_a_draft_is_made_from_the_form(owner: Client, study: Study) -> None:
    url = reverse("researcher:study_create") + f"?dataset={study.dataset_id}"
    html = owner.get(url).content.decode()
    assert "You are invited to take part in a research study" in html
    data = form_of(
        study,
        title="A brand new one",
        slug="",
        spending_cap="12.50",
        excluded_studies=[study.pk],
        sampling_parameters='{"gamma": 0.3}',
    )
    response = owner.post(url, data)
    made = Study.objects.get(slug="a-brand-new-one")
    assert response.url == reverse("researcher:study_explanations", args=[made.slug])
    assert (made.status, made.owner) == (StudyStatus.DRAFT, study.owner)
    assert (made.spending_cap_minor, made.lease_seconds) == (1250, 1800)
    assert made.sampling_parameters == {"gamma": 0.3}
    assert list(made.excluded_studies.all()) == [study]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"slug": "new"}, "is a page of this site"),
        ({"slug": "mine"}, "already exists"),
        ({"redundancy": "0"}, "greater than or equal to 1"),
        ({"inputs_per_pair": "1000000000"}, "less than or equal to 10000"),
        ({"sampling_parameters": "[1, 2]"}, "expected names and numbers"),
        ({"sampling_parameters": "{"}, "valid JSON"),
        ({"concept_prior": "999999"}, "valid choice"),
        ({"rating_budget": "0"}, "greater than or equal to 1"),
        ({"title": ""}, "required"),
        ({"currency": "$$$"}, "is no currency code"),
        ({"spending_cap": "-1"}, "greater than or equal"),
        ({"title": "a\0b"}, "Null characters"),
    ],
)
def test_a_bad_form_makes_nothing(owner: Client, study: Study, changes: dict, words: str) -> None:
    url = reverse("researcher:study_create") + f"?dataset={study.dataset_id}"
    response = owner.post(url, form_of(study, **{"slug": "other", **changes}))
    assert response.status_code == 422
    assert words in response.content.decode()
    assert list(Study.objects.all()) == [study]


def test_an_excluded_study_must_be_one_that_the_user_sees(owner: Client, study: Study) -> None:
    foreign = make_study(launched=False, n_inputs=10)
    url = reverse("researcher:study_create") + f"?dataset={study.dataset_id}"
    response = owner.post(url, form_of(study, slug="x", excluded_studies=[foreign.pk]))
    assert response.status_code == 422
    assert foreign.title not in owner.get(url).content.decode()


def test_settings_of_a_launched_study(client: Client) -> None:
    study = make_study(consent_text="Old text.", rating_budget=1000)
    client.force_login(study.owner)
    url = reverse("researcher:study_edit", args=[study.slug])
    html = client.get(url).content.decode()
    assert 'name="consent_text"' in html
    assert 'id="h-redundancy"' in html
    # fields that are not on the page change nothing, whatever is sent
    data = form_of(study, title="Changed", consent_text="New text.", redundancy=9, seed=9)
    assert client.post(url, data).status_code == 302
    study.refresh_from_db()
    assert (study.title, study.consent_text, study.consent_version) == ("Changed", "New text.", "2")
    assert (study.redundancy, study.seed) == (3, 0)
    response = client.post(url, form_of(study, rating_budget=1))
    assert response.status_code == 422
    assert "is less than the present 1000" in response.content.decode()


def test_line_ends_of_a_browser_make_no_new_consent_text(client: Client) -> None:
    study = make_study(consent_text="First line.\nSecond line.\n", instructions="Look.\nAnswer.")
    client.force_login(study.owner)
    url = reverse("researcher:study_edit", args=[study.slug])
    sent = {"consent_text": "First line.\r\nSecond line.", "instructions": "Look.\r\nAnswer."}
    assert client.post(url, form_of(study, title="Changed", **sent)).status_code == 302
    study.refresh_from_db()
    assert (study.title, study.consent_version) == ("Changed", "1")
    assert set(study.events.order_by("-at", "-id").first().details) == {"title"}
    # a row that was written with a browser's line ends is the same text as well
    Study.objects.filter(pk=study.pk).update(consent_text=sent["consent_text"])
    assert client.post(url, form_of(study, title="Again", **sent)).status_code == 302
    study.refresh_from_db()
    assert (study.title, study.consent_version) == ("Again", "1")


def test_settings_that_somebody_else_changed_meanwhile_stay(client: Client) -> None:
    study = make_study(title="As it was", consent_text="Old text.", rating_budget=1000)
    client.force_login(study.owner)
    url = reverse("researcher:study_edit", args=[study.slug])
    assert 'name="initial-title"' in client.get(url).content.decode()
    shown = form_of(study)
    seen = {f"initial-{name}": value for name, value in shown.items()}
    study_update(
        study=study, actor=study.owner, title="New", consent_text="New text.", rating_budget=2000
    )
    assert client.post(url, {**shown, **seen, "debrief": "Thank you."}).status_code == 302
    study.refresh_from_db()
    assert (study.title, study.debrief, study.rating_budget) == ("New", "Thank you.", 2000)
    assert (study.consent_text, study.consent_version) == ("New text.", "2")


def test_a_launched_study_gets_its_first_spending_cap(client: Client) -> None:
    study = make_study()
    client.force_login(study.owner)
    url = reverse("researcher:study_edit", args=[study.slug])
    assert client.post(url, form_of(study, spending_cap="250")).status_code == 302
    study.refresh_from_db()
    assert study.spending_cap_minor == 25_000
    response = client.post(url, form_of(study, spending_cap="1"))
    assert response.status_code == 422
    html = response.content.decode()
    assert "is less than the present 25000" in html
    assert "spending_cap_minor" not in html


def test_more_ratings_an_item_are_asked_for(client: Client, owner: Client, study: Study) -> None:
    assert 'id="h-redundancy"' not in owner.get(f"/studies/{study.slug}/edit/").content.decode()
    study = make_study(redundancy=2)
    Study.objects.filter(pk=study.pk).update(rating_budget=3 * study.items.count())
    client.force_login(study.owner)
    url = reverse("researcher:study_redundancy", args=[study.slug])
    for asked, words, after in (
        ("1", "is not above the present 2", 2),
        ("4", "raise rating_budget", 2),
        ("many", "whole number", 2),
        ("3", "3 ratings an item are asked for", 3),
    ):
        html = client.post(url, {"redundancy": asked}, follow=True).content.decode()
        assert words in html
        study.refresh_from_db()
        assert study.redundancy == after
    study_close(study=study, actor=study.owner)
    html = client.post(url, {"redundancy": "4"}, follow=True).content.decode()
    assert "redundancy can be raised" in html
    assert 'id="h-redundancy"' not in html


def test_the_list_is_searched_and_paged(
    owner: Client, study: Study, monkeypatch, django_assert_num_queries
) -> None:
    open_one = make_study(owner=study.owner, title="Open doors", slug="doors")
    rate_study(open_one, max_tasks=1)
    url = reverse("researcher:study_list")

    def titles(query: str) -> list[str]:
        return [row.study.title for row in owner.get(url + query).context["rows"]]

    assert titles("") == ["Open doors", "Mine <b>"]
    assert titles("?q=DOORS") == ["Open doors"]
    assert titles("?q=open+mine") == []
    assert titles("?status=draft") == ["Mine <b>"]
    assert titles("?status=nonsense&q=%00") == ["Open doors", "Mine <b>"]
    html = owner.get(url).content.decode()
    assert "Mine &lt;b&gt;" in html
    assert "15 of" in html or "ratings · 1 rater" in html
    monkeypatch.setattr(researcher, "STUDIES_A_PAGE", 1)
    assert titles("?page=2") == ["Mine <b>"]


def test_a_file_is_looked_at_then_confirmed_by_the_same_person(owner: Client, study: Study) -> None:
    study.explanations.all().delete()
    check = reverse("researcher:explanations_check", args=[study.slug])
    confirm = reverse("researcher:explanations_confirm", args=[study.slug])
    content = clip_dissect((0, "concept 0"), (1, "<script>x</script>"), layer="layer1")
    sent = SimpleUploadedFile("e.csv", content.encode())
    response = owner.post(check, {"method": "M", "file": sent, "first_unit": ""})
    html = response.content.decode()
    assert "was read as CLIP-Dissect" in html
    assert "<script>x" not in html
    ticket = response.context["ticket"]
    assert not study.explanations.exists()
    friend = make_user("friend")
    member_set(study=study, username="friend", role="researcher", actor=study.owner)
    other = Client()
    other.force_login(friend)
    other.post(confirm, {"ticket": ticket})
    owner.post(confirm, {"ticket": ticket + "x"})
    owner.post(confirm, {})
    assert not study.explanations.exists()
    owner.post(confirm, {"ticket": ticket})
    assert study.explanations.count() == 1
    again = owner.post(confirm, {"ticket": ticket}, follow=True)
    assert again.status_code == 200
    assert study.explanations.count() == 1


@pytest.mark.parametrize(
    ("name", "content"), [("e.csv", b"a,b\n1,2\n"), ("e.csv", b""), ("e.pkl", b"\x80\x04N.")]
)
def test_a_file_that_is_no_explanation_file_is_told(
    owner: Client, study: Study, name: str, content: bytes
) -> None:
    check = reverse("researcher:explanations_check", args=[study.slug])
    sent = SimpleUploadedFile(name, content)
    response = owner.post(check, {"method": "M", "file": sent, "first_unit": ""})
    assert response.status_code == 422
    assert "Nothing was saved" in response.content.decode()


def test_a_dataset_by_path_stays_in_its_roots(owner: Client, settings, tmp_path) -> None:
    root = tmp_path / "datasets"
    root.mkdir()
    (root / "t.txt").write_text("one\ntwo\n")
    (tmp_path / "secret.txt").write_text("password\n")
    settings.NEURONJURY_DATASET_ROOTS = [root]
    url = reverse("researcher:dataset_create")
    for path in ("../secret.txt", str(tmp_path / "secret.txt"), "/etc/passwd"):
        response = owner.post(url, {"name": "bad", "path": path})
        assert response.status_code == 422
    assert not ProbeDataset.objects.filter(name="bad").exists()
    assert owner.post(url, {"name": "bad"}).status_code == 422
    made = owner.post(url, {"name": "good", "path": "t.txt"}, follow=True)
    assert "good: 2 inputs." in made.content.decode()
    assert ProbeDataset.objects.get(name="good").created_by is not None


def test_arrays_are_added_by_upload(owner: Client, study: Study) -> None:
    dataset = study.dataset
    url = reverse("researcher:activations_add", args=[dataset.pk])
    data = {"a-model_name": "net", "a-layer": "top", "a-pool": "avg"}
    bad = SimpleUploadedFile("a.npy", npy([[1.0]] * 3))
    response = owner.post(url, {**data, "a-file": bad})
    assert response.status_code == 422
    assert "found 3 rows, expected 20" in response.content.decode()
    good = SimpleUploadedFile("a.npy", npy([[1.0]] * 20))
    assert owner.post(url, {**data, "a-file": good}).status_code == 302
    assert dataset.activation_matrices.get(layer="top").pool == "avg"
    url = reverse("researcher:concepts_add", args=[dataset.pk])
    sent = SimpleUploadedFile("c.csv", table([[0.5] * 3] * 20).encode())
    owner.post(url, {"c-role": "prior", "c-name": "cheap", "c-file": sent})
    assert dataset.concept_matrices.get(name="cheap").columns.count() == 3


def test_images_and_their_loss(owner: Client, study: Study) -> None:
    row = study.dataset.inputs.first()
    url = reverse("researcher:input_image", args=[row.public_id])
    assert owner.get(url)["Content-Type"] == "image/png"
    assert Client().get(url).status_code == 302
    shutil.rmtree(study.dataset.absolute_root)
    assert owner.get(url).status_code == 404
    for name, pk in (("study", study.slug), ("study_checklist", study.slug)):
        html = owner.get(reverse(f"researcher:{name}", args=[pk])).content.decode()
        assert "Answers are safe" in html
    page = owner.get(reverse("researcher:dataset", args=[study.dataset_id]))
    assert "is gone" in page.content.decode()


def test_the_launch_button_needs_a_list_in_order(owner: Client, study: Study) -> None:
    Study.objects.filter(pk=study.pk).update(rating_budget=3)
    page = owner.get(reverse("researcher:study_checklist", args=[study.slug]))
    assert "Launch the study" not in page.content.decode()
    url = reverse("researcher:study_launch", args=[study.slug])
    refused = owner.post(url, follow=True)
    assert "cannot be launched yet" in refused.content.decode()
    study.refresh_from_db()
    assert study.status == StudyStatus.DRAFT
    Study.objects.filter(pk=study.pk).update(rating_budget=3000)
    owner.post(url)
    study.refresh_from_db()
    assert study.status == StudyStatus.OPEN


def test_deleting_asks_for_the_name(client: Client) -> None:
    study = make_study(slug="dear")
    rate_study(study, max_tasks=1)
    client.force_login(study.owner)
    url = reverse("researcher:study_delete", args=["dear"])
    assert "type its name" in client.get(url).content.decode()
    assert client.post(url, {"slug": "deer"}).status_code == 422
    assert client.post(url, {"slug": "dear"}).url == reverse("researcher:study_list")
    assert not Study.objects.exists()


def test_coverage_by_neuron_and_method(client: Client) -> None:
    study = make_study(n_neurons=3, n_concepts=2)
    rate_study(study, max_tasks=2)
    client.force_login(study.owner)
    url = reverse("researcher:study", args=[study.slug])
    assert "layer1:2</th><td" not in client.get(url).content.decode()
    tables = dict(client.get(f"{url}?coverage=shown").context["coverage_tables"])
    assert [row.name for row in tables["neuron"]] == ["layer1:0", "layer1:1", "layer1:2"]
    # every neuron and method uses both concepts here, so all wait for the same ratings
    n_ratings = study.items.count() * study.redundancy
    for row in (*tables["neuron"], *tables["method"]):
        assert (row.n_concepts, row.ratings_wanted) == (2, n_ratings)
        assert row.ratings_valid > 0
