"""Images: opaque, signed address, nothing in the headers, only for those who were handed them."""

import io
import re
import uuid

import pytest
from django.test import Client
from django.urls import reverse
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from annotation.image_addresses import HALF_A_DAY, image_address, seconds_left
from annotation.models import Assignment, Participation, ProbeInput, Rating, Study
from tests.annotation.factories import make_study, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    return make_study(n_inputs=60)


def image_url(probe_input: ProbeInput) -> str:
    return reverse("rater:image", args=[probe_input.public_id])


def signed_url(probe_input: ProbeInput) -> str:
    """As the rater's page has it."""
    return image_address(
        participation_id=Participation.objects.get().public_id, image_id=probe_input.public_id
    )


def begin(client: Client, study: Study) -> None:
    client.post(reverse("rater:entry", args=[study.slug]), {"consent": "yes"})
    client.post(reverse("rater:instructions", args=[study.slug]))


def test_a_rater_gets_the_images_of_the_task_and_no_others(client: Client, study: Study) -> None:
    begin(client, study)
    mine = set(Assignment.objects.get().task.items.values_list("probe_input", flat=True))
    for probe_input in study.dataset.inputs.all():
        assert client.get(image_url(probe_input)).status_code == 404
        status = client.get(signed_url(probe_input)).status_code
        assert status == (200 if probe_input.pk in mine else 404)


def test_the_response_tells_nothing_but_the_image(client: Client, study: Study) -> None:
    begin(client, study)
    item = Assignment.objects.get().task.items.select_related("probe_input").first()
    assert item is not None
    response = client.get(signed_url(item.probe_input))
    assert response["Content-Type"] == "image/png"
    assert response["Cache-Control"].startswith("private, max-age=")
    assert "Content-Disposition" not in response
    assert "Last-Modified" not in response
    assert "ETag" not in response
    headers = " ".join(response.headers.values())
    assert item.probe_input.file.removesuffix(".png") not in headers
    pixels = Image.open(io.BytesIO(response.content))
    assert pixels.size == (8, 8)
    assert pixels.getpixel((0, 0)) == item.probe_input.index % 256


def test_researchers_see_the_images_of_their_datasets(client: Client, study: Study) -> None:
    probe_input = study.dataset.inputs.first()
    assert client.get(image_url(probe_input)).status_code == 404
    client.force_login(make_user())
    assert client.get(image_url(probe_input)).status_code == 404
    client.force_login(study.owner)
    assert client.get(image_url(probe_input)).status_code == 200


@pytest.mark.parametrize("file", ["../../../secret.png", "gone.png", "notes.txt"])
def test_a_file_outside_or_of_another_kind_is_never_sent(
    client: Client, study: Study, file: str
) -> None:
    root = study.dataset.absolute_root
    (root / "notes.txt").write_text("secret")
    (root.parents[1] / "secret.png").write_bytes(b"secret")
    probe_input = study.dataset.inputs.first()
    ProbeInput.objects.filter(pk=probe_input.pk).update(file=file)
    client.force_login(study.owner)
    assert client.get(image_url(probe_input)).status_code == 404


def test_raters_never_get_the_words_inside_a_file(client: Client, study: Study) -> None:
    begin(client, study)
    item = Assignment.objects.get().task.items.select_related("probe_input__dataset").first()
    assert item is not None
    file = item.probe_input.dataset.absolute_root / item.probe_input.file
    words = PngInfo()
    words.add_text("Label", "class-tabby-cat")
    Image.open(file).save(file, pnginfo=words)
    assert b"tabby" in file.read_bytes()
    content = client.get(signed_url(item.probe_input)).content
    assert b"tabby" not in content
    assert b"tEXt" not in content
    assert Image.open(io.BytesIO(content)).tobytes() == Image.open(file).tobytes()


def test_a_damaged_image_is_never_sent(client: Client, study: Study) -> None:
    probe_input = study.dataset.inputs.first()
    assert probe_input is not None
    file = study.dataset.absolute_root / probe_input.file
    file.write_bytes(file.read_bytes()[:-20])
    client.force_login(study.owner)
    assert client.get(image_url(probe_input)).status_code == 404


def test_an_address_is_for_one_rater_one_image_and_a_while(client: Client, study: Study) -> None:
    begin(client, study)
    first, second = (row.probe_input for row in Assignment.objects.get().task.items.all()[:2])
    good = signed_url(first)
    assert client.get(good).status_code == 200
    other = Client()
    begin(other, study)  # who has a session, perhaps even a task with the same image
    assert other.get(good).status_code == 404
    assert Client().get(good).status_code == 404
    for bad in (
        good.replace(str(first.public_id), str(second.public_id)),
        re.sub(r"until=\d", "until=9", good),
        good[:-1] + ("A" if good[-1] != "A" else "B"),
        re.sub(r"sign=.*", "sign=", good),
        re.sub(r"sign=.*", "sign=%C3%A9", good),
        re.sub(r"until=\d+", "until=%D9%A3", good),
        re.sub(r"until=\d+", "until=" + "9" * 5000, good),
    ):
        assert client.get(bad).status_code == 404, bad


def test_an_address_ends_and_is_the_same_for_half_a_day() -> None:
    person, image = uuid.uuid4(), uuid.uuid4()
    start = 1000 * HALF_A_DAY
    address = image_address(participation_id=person, image_id=image, now=start)
    assert address == image_address(
        participation_id=person, image_id=image, now=start + HALF_A_DAY - 1
    )
    until, signature = re.findall(r"until=(\d+)&sign=(.+)$", address)[0]

    def left(now: float) -> int:
        return seconds_left(
            participation_id=person, image_id=image, until=until, signature=signature, now=now
        )

    assert left(start) == 2 * HALF_A_DAY
    assert left(start + 2 * HALF_A_DAY - 1) == 1
    assert left(start + 2 * HALF_A_DAY) == 0


@pytest.mark.parametrize("damage", ["gone", "empty", "cut short", "link"])
def test_an_image_that_cannot_be_shown_says_so_and_is_logged(
    client: Client, study: Study, damage: str, tmp_path, caplog: pytest.LogCaptureFixture
) -> None:
    begin(client, study)
    item = Assignment.objects.get().task.items.select_related("probe_input__dataset").first()
    assert item is not None
    file = item.probe_input.dataset.absolute_root / item.probe_input.file
    data = file.read_bytes()
    file.unlink()
    if damage == "empty":
        file.write_bytes(b"")
    elif damage == "cut short":
        file.write_bytes(data[:-20])
    elif damage == "link":
        (tmp_path / "secret.png").write_bytes(data)
        file.symlink_to(tmp_path / "secret.png")
    response = client.get(signed_url(item.probe_input))
    assert response.status_code == 404
    assert response["Content-Type"] == "image/svg+xml"
    assert response["Cache-Control"] == "no-store"
    assert b"This image cannot be shown" in response.content
    assert f"probe input {item.probe_input.pk} cannot be sent" in caplog.text
    assert str(file.parent) not in caplog.text
    assert str(tmp_path) not in caplog.text
    # the task can be done all the same
    rows = Assignment.objects.get().task.items.values_list("public_id", flat=True)
    url = reverse("rater:submit", args=[study.slug, Assignment.objects.get().public_id])
    assert client.post(url, {f"item-{row}": "cannot_tell" for row in rows}).status_code == 302
    assert Rating.objects.filter(value="cannot_tell").count() == len(rows)
