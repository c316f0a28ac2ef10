"""Setting up a study in a real browser, and every researcher's page under axe, wide and phone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from playwright.sync_api import Page, expect

from annotation import science
from annotation.models import ActivationMatrix, ProbeDataset, Study, StudyStatus
from annotation.services.estimates import estimate_request, estimate_run
from annotation.services.imports_of_files import dataset_upload
from annotation.services.members import member_set
from tests.annotation.factories import make_study, make_user, rate_study
from tests.annotation.factories_researcher import (
    TOPICS,
    archive,
    clip_dissect,
    matrices,
    npy,
    table,
)
from tests.browser.researcher import (
    SHOTS,
    log_in,
    looks,
    overflow,
    scheme_set,
    shoot,
    violations,
)

pytestmark = pytest.mark.browser
Open = Callable[..., Page]
#: Every page in both schemes and on both devices would be twice the work for the same colours.
SCHEME = {"wide": "dark", "phone": "light"}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    made = matrices()
    content = {
        "images.zip": archive(),
        "activations.npy": npy(made["activations"]),
        "prior.csv": table(made["prior"]).encode(),
        "explanations.csv": clip_dissect(
            *enumerate(TOPICS), (9, "stripes"), (1, "a unicorn")
        ).encode(),
    }
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    # the science is imported here, not while a page waits for it
    science.matrix_read(tmp_path / "activations.npy")
    science.explanations_read(tmp_path / "explanations.csv")
    science.shuffled(3, seed=0)
    return {name: tmp_path / name for name in content}


def test_from_nothing_to_an_open_study(
    open_page: Open, live_server, transactional_db, files: dict[str, Path]
) -> None:
    make_user("ada")
    page = open_page(java_script_enabled=False)  # every page works as a plain form
    page.set_default_timeout(30_000)
    log_in(page, live_server.url, "ada")
    page.get_by_role("link", name="Make one").click()
    page.get_by_role("link", name="New dataset").click()
    page.get_by_label("Name").fill("Patterns")
    page.get_by_label("ZIP file of images").set_input_files(files["images.zip"])
    page.get_by_role("button", name="Register the dataset").click()
    expect(page.get_by_role("status")).to_have_text("Patterns: 12 inputs.")
    expect(page.locator(".thumbs img")).to_have_count(12)

    page.get_by_label("Model", exact=True).fill("tiny")
    page.get_by_label("Layer", exact=True).fill("conv1")
    page.locator("#id_a-file").set_input_files(files["activations.npy"])
    page.get_by_role("button", name="Register the activations").click()
    expect(page.get_by_role("status")).to_have_text("tiny conv1: 3 neurons on 12 inputs.")
    page.locator("#id_c-name").fill("cheap")
    page.locator("#id_c-file").set_input_files(files["prior.csv"])
    page.get_by_role("button", name="Register the matrix").click()
    expect(page.get_by_role("status")).to_contain_text("cheap (concept prior (a cheap model)): 3")

    page.get_by_role("link", name="New study on it").click()
    page.get_by_label("Title").fill("What patterns?")
    page.get_by_label("Concept prior").select_option(label="cheap (3 concepts)")
    page.get_by_label("Inputs a pair").fill("6")
    page.get_by_label("Rating budget").fill("5")
    page.get_by_role("button", name="Make the draft").click()
    expect(page.get_by_role("status")).to_contain_text("is a draft")

    page.get_by_role("textbox", name="Method").fill("CLIP-Dissect")
    page.get_by_label("File", exact=True).set_input_files(files["explanations.csv"])
    page.get_by_role("button", name="Look at the file").click()
    expect(page.get_by_text("was read as CLIP-Dissect")).to_be_visible()
    expect(page.get_by_text("1 unknown neuron")).to_be_visible()
    page.get_by_role("button", name="Add the 3 that can be taken").click()
    expect(page.get_by_role("status")).to_have_text("3 explanations by CLIP-Dissect added.")

    page.get_by_role("link", name="Launch list", exact=True).click()
    expect(page.get_by_role("button", name="Launch the study")).to_have_count(0)
    page.get_by_role("link", name="Raise the budget").click()
    page.get_by_label("Rating budget").fill("1000")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Launch list", exact=True).click()
    page.get_by_role("button", name="Launch the study").click()
    expect(page.get_by_role("status")).to_have_text("The study is open to raters.")
    study = Study.objects.get()
    assert (study.slug, study.status) == ("what-patterns", StudyStatus.OPEN)
    assert study.explanations.count() == 3


@pytest.fixture
def studies(transactional_db: None) -> dict[str, Any]:
    """A draft and a study with ratings, estimates and a member, of one owner."""
    owner = make_user("ada")
    study = make_study(
        owner=owner, slug="open", title="What do the neurons of layer 4 see?", n_inputs=60
    )
    ProbeDataset.objects.update(created_by=owner)  # so that they may delete of it
    rate_study(study, max_tasks=4)
    estimate_run(run=estimate_request(study=study, aggregation="bragg", enqueue=False))
    member_set(study=study, username=make_user("grace").username, role="viewer", actor=owner)
    draft = make_study(owner=owner, slug="draft", title="A draft", launched=False, n_inputs=30)
    texts = SimpleUploadedFile(
        "texts.jsonl",
        b'{"text": "The cat sat on the mat.", "highlight": [4, 7]}\n'
        b'{"text": "\xd9\x85\xd8\xb1\xd8\xad\xd8\xa8\xd8\xa7"}\n',
    )
    passages = dataset_upload(name="Passages", table=texts).dataset
    return {"open": study, "draft": draft, "passages": passages}


def addresses(studies: dict[str, Any]) -> dict[str, str]:
    images = studies["open"].dataset_id
    pages = {
        "studies": "/",
        "study": "/studies/open/?raters=shown&coverage=shown",
        "draft": "/studies/draft/",
        "new": "/studies/new/",
        "form": f"/studies/new/?dataset={images}",
        "checklist": "/studies/draft/checklist/",
        "datasets": "/datasets/",
        "dataset_new": "/datasets/new/",
        "dataset": f"/datasets/{images}/",
        "dataset_texts": f"/datasets/{studies['passages'].pk}/",
        "edit_open": "/studies/open/edit/",
    }
    for name in ("edit", "clone", "delete", "explanations", "preview", "members", "log"):
        pages[name] = f"/studies/{'draft' if name in {'edit', 'explanations'} else 'open'}/{name}/"
    return pages


def test_a_name_without_a_space_widens_no_page(
    open_page: Open, live_server, studies: dict[str, Any]
) -> None:
    name = ("imagenet_val_50000_" * 11)[:200]
    ProbeDataset.objects.filter(pk=studies["open"].dataset_id).update(name=name)
    ActivationMatrix.objects.update(layer=name)
    Study.objects.update(title=name)
    pages = looks(open_page, live_server.url, "ada")
    wide = {}
    for device, page in pages.items():
        for what, address in addresses(studies).items():
            page.goto(live_server.url + address)
            if overflow(page) > 0:
                wide[f"{what}-{device}"] = overflow(page)
    assert wide == {}


def test_axe_finds_nothing_on_any_page(
    open_page: Open, live_server, studies: dict[str, Any]
) -> None:
    pages = looks(open_page, live_server.url, "ada")
    found: dict[str, list[str]] = {}
    for device, page in pages.items():
        page.set_default_timeout(30_000)
        for name, address in addresses(studies).items():
            page.goto(live_server.url + address)
            for scheme in ("light", "dark") if SHOTS else (SCHEME[device],):
                scheme_set(page, scheme)
                shoot(page, f"{name}-{device}-{scheme}")
                broken = violations(page)
                if overflow(page) > 0:
                    broken.append(f"{overflow(page)} px too wide")
                if broken:
                    found[f"{name}-{device}-{scheme}"] = broken
    assert found == {}
