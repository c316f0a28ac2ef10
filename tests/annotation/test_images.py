"""Metadata of image files: none of it comes through, and every pixel does."""

import io
import random
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps, ImageSequence
from PIL.PngImagePlugin import PngInfo

from annotation.exceptions import ImageProblem
from annotation.images import image_stripped

SECRET = "tabby-cat"
DESCRIPTION, ORIENTATION = 0x010E, 0x0112


def picture(mode: str = "RGB", seed: int = 0) -> Image.Image:
    shape = (37, 53) if mode in {"L", "P"} else (37, 53, len(mode))
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    if mode == "P":
        return Image.fromarray(pixels, "L").convert("RGB").quantize(17)
    return Image.fromarray(pixels, mode)


def exif(**fields: int) -> Image.Exif:
    found = Image.Exif()
    found[DESCRIPTION] = SECRET
    for value in fields.values():
        found[ORIENTATION] = value
    return found


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def png_words() -> PngInfo:
    words = PngInfo()
    words.add_text("Label", SECRET)
    words.add_text("Comment", SECRET, zip=True)
    words.add_itxt("Title", SECRET)
    words.add(b"prVt", SECRET.encode())
    return words


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P"])
def test_png_keeps_its_pixels_and_loses_its_words(mode: str) -> None:
    image = picture(mode)
    dirty = saved(image, "PNG", pnginfo=png_words(), exif=exif()) + SECRET.encode()
    assert {"Label", "Comment", "Title"} <= set(opened(dirty).text)
    clean, media_type = image_stripped(dirty)
    assert media_type == "image/png"
    assert SECRET.encode() not in clean
    assert opened(clean).text == {}
    assert not opened(clean).getexif()
    assert opened(clean).mode == mode
    assert opened(clean).tobytes() == image.tobytes()
    assert opened(clean).getpalette() == image.getpalette()


def test_png_keeps_transparency_and_colour_profile() -> None:
    image = picture("P")
    dirty = saved(image, "PNG", transparency=3, icc_profile=b"profile", pnginfo=png_words())
    clean = opened(image_stripped(dirty)[0])
    assert clean.info["transparency"] == 3
    assert clean.info["icc_profile"] == b"profile"


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"quality": 30, "restart_marker_rows": 1}]
)
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_keeps_its_pixels_and_loses_its_words(mode: str, options: dict[str, Any]) -> None:
    image = picture(mode)
    dirty = saved(
        image, "JPEG", exif=exif(), comment=SECRET, xmp=SECRET.encode(),
        icc_profile=b"profile", **options,
    )  # fmt: skip
    dirty += SECRET.encode()
    assert opened(dirty).getexif()[DESCRIPTION] == SECRET
    clean, media_type = image_stripped(dirty)
    assert media_type == "image/jpeg"
    assert SECRET.encode() not in clean
    assert clean.endswith(b"\xff\xd9")
    assert not opened(clean).getexif()
    assert not {"comment", "exif", "xmp"} & set(opened(clean).info)
    assert opened(clean).info["icc_profile"] == b"profile"
    assert opened(clean).tobytes() == opened(dirty).tobytes()


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_jpeg_is_still_turned_as_it_was(orientation: int) -> None:
    dirty = saved(picture(), "JPEG", exif=exif(orientation=orientation), comment=SECRET)
    clean, _ = image_stripped(dirty)
    assert SECRET.encode() not in clean
    assert dict(opened(clean).getexif()) == ({ORIENTATION: orientation} if orientation > 1 else {})
    before, after = (ImageOps.exif_transpose(opened(data)) for data in (dirty, clean))
    assert before.size == after.size
    assert before.tobytes() == after.tobytes()


def test_jpeg_loses_its_thumbnail() -> None:
    plain = saved(picture("L"), "JPEG")
    assert plain[2:4] == b"\xff\xe0"
    jfif = plain[6:18] + bytes([1, 1]) + b"\1\2\3"
    dirty = plain[:4] + (len(jfif) + 2).to_bytes(2, "big") + jfif + plain[20:]
    assert image_stripped(dirty)[0] == image_stripped(plain)[0] == plain


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_webp_keeps_its_pixels_and_loses_its_words(mode: str, lossless: bool) -> None:
    dirty = saved(
        picture(mode), "WEBP", lossless=lossless, exif=exif(), xmp=SECRET.encode(),
        icc_profile=b"profile",
    )  # fmt: skip
    assert SECRET.encode() in dirty
    clean, media_type = image_stripped(dirty)
    assert media_type == "image/webp"
    assert SECRET.encode() not in clean
    assert not {"exif", "xmp"} & set(opened(clean).info)
    assert opened(clean).info["icc_profile"] == b"profile"
    assert opened(clean).tobytes() == opened(dirty).tobytes()


@pytest.mark.parametrize("n_frames", [1, 3])
def test_gif_keeps_its_pixels_and_loses_its_words(n_frames: int) -> None:
    frames = [picture("P", seed=seed) for seed in range(n_frames)]
    dirty = saved(
        frames[0], "GIF", save_all=True, append_images=frames[1:], comment=SECRET.encode()
    )
    assert SECRET.encode() in dirty
    clean, media_type = image_stripped(dirty)
    assert media_type == "image/gif"
    assert SECRET.encode() not in clean
    before, after = (
        [frame.convert("RGB").tobytes() for frame in ImageSequence.Iterator(opened(data))]
        for data in (dirty, clean)
    )
    assert len(before) == n_frames
    assert after == before


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_file_without_words_is_left_as_it_is(kind: str) -> None:
    data = saved(picture(), kind)
    assert image_stripped(data)[0] == data


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_file_cut_short_is_refused(kind: str) -> None:
    data = saved(picture(), kind)
    cuts = random.Random(3).sample(range(12, len(data) - 8), 30)
    for cut in [*range(12), *cuts]:
        with pytest.raises(ImageProblem):
            image_stripped(data[:cut])


@pytest.mark.parametrize("data", [b"", b"secret", b"<svg/>", b"BM" + bytes(60)])
def test_other_kinds_are_refused(data: bytes) -> None:
    with pytest.raises(ImageProblem, match="no PNG, JPEG, WebP or GIF"):
        image_stripped(data)
