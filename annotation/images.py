"""Image files as raters get them: the same pixels, without the words that files carry along.

A PNG text chunk, a JPEG comment or an EXIF field may hold the class, the file's name or a place.
The parts of the container that hold no picture are left out and the rest is copied byte for byte,
so no pixel changes, in a JPEG neither. GIF alone is written anew (which is lossless as well).
"""

import io
import struct
from collections.abc import Iterator

from PIL import Image

from annotation.exceptions import ImageProblem

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: What the pixels and their colours need (PNG specification, chapter 11), and animation.
PNG_KEPT = frozenset(
    b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB iCCP cICP sBIT acTL fcTL fdAT".split()
)
#: Picture, transparency, animation, colour profile (RFC 9649).
WEBP_KEPT = frozenset([b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"])
WEBP_FLAGS_OF_METADATA = 0x08 | 0x04  # EXIF, XMP

JPEG_EOI, JPEG_SOS, JPEG_COM = 0xD9, 0xDA, 0xFE
JPEG_APP0, JPEG_APP2, JPEG_APP14, JPEG_APP15 = 0xE0, 0xE2, 0xEE, 0xEF
#: Application segments that the colours need: the ICC profile, Adobe's colour transform.
JPEG_KEPT = {JPEG_APP2: b"ICC_PROFILE\0", JPEG_APP14: b"Adobe"}
JFIF_LENGTH = 14  # of its content; what comes after is a thumbnail
ORIENTATION = 0x0112


def image_stripped(data: bytes) -> tuple[bytes, str]:
    """Take everything but the picture out of an image file.

    Parameters
    ----------
    data : bytes
        The content of a PNG, JPEG, WebP or GIF file.

    Returns
    -------
    tuple of bytes and str
        The same picture, and its media type. A JPEG keeps how it is to be turned.

    Raises
    ------
    ImageProblem
        When the file is of another kind, cut short or damaged.
    """
    try:
        if data.startswith(PNG_SIGNATURE):
            return _png(data), "image/png"
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data), "image/jpeg"
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data), "image/webp"
        if data[:6] in {b"GIF87a", b"GIF89a"}:
            return _gif(data), "image/gif"
    except (struct.error, IndexError, OSError, ValueError, SyntaxError) as error:
        raise ImageProblem(
            f"the image file is cut short or damaged ({error}); replace it by a sound copy."
        ) from error
    raise ImageProblem("the image file is no PNG, JPEG, WebP or GIF; convert it to one of them.")


def _png(data: bytes) -> bytes:
    kept, at, kind = [PNG_SIGNATURE], len(PNG_SIGNATURE), b""
    while kind != b"IEND":
        (length,) = struct.unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            raise IndexError(f"chunk {kind!r} ends after the file")
        if kind in PNG_KEPT:
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def _webp(data: bytes) -> bytes:
    kept, at, size = [], 12, 8 + int.from_bytes(data[4:8], "little")
    if size > len(data):
        raise IndexError("the RIFF container ends after the file")
    while at < size:
        kind, length = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        end = at + 8 + length + length % 2
        chunk = data[at:end]
        if kind == b"VP8X":
            chunk = chunk[:8] + bytes([chunk[8] & ~WEBP_FLAGS_OF_METADATA]) + chunk[9:]
        if kind in WEBP_KEPT:
            kept.append(chunk)
        at = end
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _jpeg(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        turned = image.getexif().get(ORIENTATION, 1)
    kept = [b"\xff\xd8"]
    for marker, segment in _jpeg_segments(data):
        if marker == JPEG_APP0 and segment[4:9] == b"JFIF\0":
            # the last two bytes are the size of the thumbnail that is left out
            kept.append(b"\xff\xe0\x00\x10" + segment[4 : 4 + JFIF_LENGTH - 2] + b"\0\0")
        elif JPEG_APP0 <= marker <= JPEG_APP15:
            if marker in JPEG_KEPT and segment[4:].startswith(JPEG_KEPT[marker]):
                kept.append(segment)
        elif marker != JPEG_COM:
            kept.append(segment)
    if turned != 1:
        exif = Image.Exif()
        exif[ORIENTATION] = turned
        content = exif.tobytes()
        place = 2 if kept[1].startswith(b"\xff\xe0") else 1  # JFIF comes first
        kept.insert(place, b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content)
    return b"".join(kept)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Walk over the segments after the first marker; a scan comes with its compressed data."""
    at, marker = 2, 0
    while marker != JPEG_EOI:
        if data[at] != 0xFF:
            raise IndexError(f"no marker at byte {at}")
        while data[at + 1] == 0xFF:  # fill bytes
            at += 1
        marker = data[at + 1]
        end = at + 2
        if marker != JPEG_EOI:
            end += int(struct.unpack_from(">H", data, at + 2)[0])
        if marker == JPEG_SOS:
            end = _end_of_scan(data, end)
        if end > len(data):
            raise IndexError(f"segment {marker:#x} ends after the file")
        yield marker, data[at:end]
        at = end


def _end_of_scan(data: bytes, at: int) -> int:
    """Find the marker after compressed data; 0 and the restart markers belong to the data."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0:
            raise IndexError("the compressed data has no end")
        follower = data[at + 1]
        if follower == 0 or 0xD0 <= follower <= 0xD7:
            at += 2
        elif follower == 0xFF:
            at += 1
        else:
            return at


def _gif(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        out = io.BytesIO()
        image.save(out, "GIF", save_all=True, comment=b"")
    return out.getvalue()
