"""The page of imports: looked at line by line first, written with a second button, once."""

import csv
import html
import io
import re
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from annotation.exports import Column, Kind, parquet_chunks
from annotation.models import Item, Rater, Rating, Study
from annotation.services.members import member_set
from annotation.services.studies import study_close
from tests.annotation.factories import make_study, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    return make_study(owner=make_user("owner"), slug="mine", redundancy=2)


@pytest.fixture
def owner(study: Study) -> Client:
    client = Client()
    client.force_login(study.owner)
    return client


@pytest.fixture
def item(study: Study) -> Item:
    return study.items.select_related("probe_input", "concept").order_by("pk").first()


def url(name: str) -> str:
    return reverse(f"researcher:{name}", args=["mine"])


def text(answer) -> str:
    return html.unescape(re.sub(r"\s+", " ", answer.content.decode()))


def table(*rows: tuple, columns=("task", "worker", "label"), sep: str = ",") -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=sep).writerows([columns, *rows])
    return out.getvalue()


def sent(client: Client, content: str | bytes, name: str = "old.csv", **fields: str):
    data = content.encode() if isinstance(content, str) else content
    return client.post(url("import_check"), {"file": SimpleUploadedFile(name, data), **fields})


def ticket(answer) -> str:
    found = re.search(r'name="ticket" value="([^"]+)"', answer.content.decode())
    assert found is not None
    return found[1]


def waiting(settings) -> list[Path]:
    folder = Path(settings.DATA_DIR) / "uploads" / "waiting"
    return sorted(folder.iterdir()) if folder.is_dir() else []


def test_a_file_is_looked_at_then_imported_once(owner, study, item, settings) -> None:
    index, concept = item.probe_input.index, item.concept.text
    content = table(
        (index, "WORKER-1", 1),
        (9999, "WORKER-1", 0),
        (index, "WORKER-2", 0),
        (index, "WORKER-3", "perhaps\nnot"),
        (index, "WORKER-4", "no idea"),
    )
    before = waiting(settings)
    answer = sent(owner, content, concept=concept)
    page = text(answer)
    assert '<strong dir="auto">old.csv</strong> was read as crowd-kit\'s' in page
    assert "Import the 2 that fit" in page
    shown = re.findall(
        r'class="n">(\d+)</th><td class="text" dir="auto">([^<]+)<', page.split('id="h-ready"')[0]
    )
    assert shown == [
        ("3", "the probe dataset has no such input (9999)"),
        ("5", "nobody said what its label means (perhaps not)"),
        ("7", "nobody said what its label means (no idea)"),  # the label before it has two lines
    ]
    assert "WORKER-1" not in page
    assert not Rating.objects.exists()
    assert not Rater.objects.exists()
    assert len(waiting(settings)) == len(before) + 1
    for words in ("Imported: 2 ratings of 1 items.", "The file is not here any more"):
        done = owner.post(url("import_confirm"), {"ticket": ticket(answer)}, follow=True)
        assert words in text(done)
    assert Rating.objects.count() == 2
    assert waiting(settings) == before
    listed = text(owner.get(url("study_imports")))
    assert 'dir="auto">old.csv</th>' in listed
    assert 'data-label="refused">3</td>' in listed
    again = text(sent(owner, content, concept=concept))
    assert "What fits was imported before." in again
    assert "Import the" not in again


def test_what_the_file_does_not_say_is_said_without_sending_it_again(owner, item, settings) -> None:
    before = waiting(settings)
    answer = sent(owner, table((item.probe_input.index, "w", "ja")))
    assert answer.status_code == 422
    assert "concept: the file has no column of that name" in text(answer)
    assert "old.csv</strong> is kept" in text(answer)
    fields = {"ticket": ticket(answer), "concept": item.concept.text}
    looked = owner.post(url("import_check"), fields)
    assert "No rating of the file fits the study." in text(looked)
    wrong = owner.post(url("import_check"), {**fields, "present": "ja", "absent": "nein, ja"})
    assert "is in two of the lists" in text(wrong)
    fields |= {"present": "ja, yes", "absent": "nein"}
    looked = owner.post(url("import_check"), fields)
    assert "Import all 1" in text(looked)
    assert 'value="ja, yes"' in text(looked)
    done = owner.post(url("import_confirm"), {"ticket": ticket(looked)}, follow=True)
    assert "Imported: 1 ratings" in text(done)
    assert Rating.objects.get().value == "present"
    assert waiting(settings) == before


def test_every_format_is_taken(owner, study, item) -> None:
    index, concept = item.probe_input.index, item.concept.text
    ours = ["concept", "input_index", "rater", "value"]
    mturk = ["WorkerId", "AssignmentStatus", "Input.concept", "Input.image", "Answer.seen"]
    columns = [Column(name, Kind.INTEGER if name == ours[1] else Kind.TEXT) for name in ours]
    files = {
        "old.jsonl": f'{{"concept": "{concept}", "input_index": {index}, "rater": "a", '
        '"value": "present"}\n',
        "old.parquet": b"".join(parquet_chunks(columns, [(concept, index, "b", "absent")])),
        "old.tsv": table((concept, index, "c", "absent"), columns=ours, sep="\t"),
        "Batch_1.csv": table(("d", "Approved", concept, index, "yes"), columns=mturk),
    }
    words = {"old.parquet": '<th class="n" scope="col">Row</th>', "Batch_1.csv": "Mechanical Turk"}
    for name, content in files.items():
        answer = sent(owner, content, name, present="yes, present", absent="absent")
        assert "Import all 1" in text(answer), name
        assert words.get(name, "an export of this software") in text(answer)
    assert not Rating.objects.exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("old.csv", b"", "submitted file is empty"),
        ("old.csv", b"a,b\n1,2\n", "are of no known format"),
        ("old.csv", b"\x89PNG\r\n\x1a\n", "by its content"),
        ("old.jsonl", b"[1]\n", "line 1 is no JSON object"),
        ("old.parquet", b"PAR1 cut short", "damaged"),
    ],
)
def test_what_cannot_be_read_is_a_message(owner, name: str, content: bytes, words: str) -> None:
    answer = sent(owner, content, name)
    assert answer.status_code == 422
    assert words in text(answer)


def test_only_who_may_change_the_study_imports(owner, study, item) -> None:
    viewer, stranger = make_user("viewer"), make_user("stranger")
    member_set(study=study, username="viewer", role="viewer", actor=study.owner)
    answer = sent(owner, table((item.probe_input.index, "w", 1)), concept=item.concept.text)
    for user, looking, writing in ((viewer, 200, 403), (stranger, 404, 404)):
        client = Client()
        client.force_login(user)
        assert client.get(url("study_imports")).status_code == looking
        assert sent(client, table((1, "w", 1))).status_code == writing
        stolen = client.post(url("import_confirm"), {"ticket": ticket(answer)})
        assert stolen.status_code == writing
    staff = Client()
    staff.force_login(make_user(is_staff=True, is_superuser=True))
    stolen = staff.post(url("import_confirm"), {"ticket": ticket(answer)}, follow=True)
    assert "The file is not here any more" in text(stolen)  # a ticket is its user's alone
    assert not Rating.objects.exists()
    assert owner.get(url("import_check")).status_code == 405


def test_a_study_without_items_or_closed_takes_none(owner, study) -> None:
    answer = sent(owner, table((1, "w", 1)), concept="x")
    study_close(study=study, actor=study.owner)
    assert "closed and takes no more ratings" in text(owner.get(url("study_imports")))
    late = owner.post(url("import_check"), {"ticket": ticket(answer)})
    assert "ratings can be imported" in text(late) or late.status_code == 422
    draft = make_study(owner=study.owner, launched=False)
    page = owner.get(reverse("researcher:study_imports", args=[draft.slug]))
    assert "before, it has no items" in text(page)
    assert 'type="file"' not in text(page)
