"""Images: opaque address, nothing in the headers, only for those who were handed them."""

import io

import pytest
from django.test import Client
from django.urls import reverse
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from annotation.models import Assignment, ProbeInput, Study
from tests.annotation.factories import make_study, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    return make_study(n_inputs=60)


def image_url(probe_input: ProbeInput) -> str:
    return reverse("rater:image", args=[probe_input.public_id])


def begin(client: Client, study: Study) -> None:
    client.post(reverse("rater:entry", args=[study.slug]), {"consent": "yes"})
    client.post(reverse("rater:instructions", args=[study.slug]))


def test_a_rater_gets_the_images_of_the_task_and_no_others(client: Client, study: Study) -> None:
    begin(client, study)
    mine = set(Assignment.objects.get().task.items.values_list("probe_input", flat=True))
    for probe_input in study.dataset.inputs.all():
        status = client.get(image_url(probe_input)).status_code
        assert status == (200 if probe_input.pk in mine else 404)


def test_the_response_tells_nothing_but_the_image(client: Client, study: Study) -> None:
    begin(client, study)
    item = Assignment.objects.get().task.items.select_related("probe_input").first()
    assert item is not None
    response = client.get(image_url(item.probe_input))
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
    content = client.get(image_url(item.probe_input)).content
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
