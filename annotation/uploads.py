"""Files that people send: of the kind that they should be, of a bearable size, and never run.

A file is known by its content, not by the name or the media type that came with it. Nothing here
unpickles, and nothing is unpacked before its unpacked size is known.
"""

import hashlib
import json
import struct
import tokenize
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from django.conf import settings

from annotation.exceptions import UnsafePath, UploadRefused
from annotation.images import PNG_SIGNATURE

CHUNK = 1 << 20
#: Of one part of a path, and of a whole one, with room for the folder that it lies in.
MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 3000


class FileKind(StrEnum):
    """What a file is; the value is the usual ending of its name."""

    PNG = "png"
    JPEG = "jpg"
    WEBP = "webp"
    GIF = "gif"
    NPY = "npy"
    NPZ = "npz"
    ZIP = "zip"
    SAFETENSORS = "safetensors"
    PARQUET = "parquet"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    TOML = "toml"
    TEXT = "txt"


IMAGES = frozenset({FileKind.PNG, FileKind.JPEG, FileKind.WEBP, FileKind.GIF})
ARRAYS = frozenset(
    {FileKind.NPY, FileKind.NPZ, FileKind.SAFETENSORS, FileKind.PARQUET, FileKind.CSV}
)
#: UTF-8 has no signature: among these the ending of the name decides.
TEXTS = frozenset({FileKind.CSV, FileKind.JSON, FileKind.JSONL, FileKind.TOML, FileKind.TEXT})

_SUFFIXES = {
    **{f".{kind.value}": kind for kind in FileKind},
    ".jpeg": FileKind.JPEG,
    ".tsv": FileKind.CSV,
    ".ndjson": FileKind.JSONL,
    ".md": FileKind.TEXT,
    ".text": FileKind.TEXT,
}
_SIGNATURES = (
    (PNG_SIGNATURE, FileKind.PNG),
    (b"\xff\xd8\xff", FileKind.JPEG),
    (b"GIF87a", FileKind.GIF),
    (b"GIF89a", FileKind.GIF),
    (b"\x93NUMPY", FileKind.NPY),
    (b"PK\x03\x04", FileKind.ZIP),
    (b"PK\x05\x06", FileKind.ZIP),  # one without members
    (b"PAR1", FileKind.PARQUET),
)


@dataclass(frozen=True)
class CheckedUpload:
    """What a file turned out to be.

    Attributes
    ----------
    kind : FileKind
        By its content.
    size : int
        In bytes.
    sha256 : str
        64 hexadecimal digits.
    """

    kind: FileKind
    size: int
    sha256: str


def upload_checked(
    file: IO[bytes],
    *,
    kinds: Collection[FileKind],
    max_bytes: int | None = None,
    name: str | None = None,
) -> CheckedUpload:
    """Check that a file is of one of the kinds wanted, whole, and no larger than it may be.

    Parameters
    ----------
    file : UploadedFile or binary file
        Open for reading, seekable; it is at its start again afterwards.
    kinds : collection of FileKind
        Those that are taken.
    max_bytes : int, optional
        By default ``NEURONJURY_MAX_UPLOAD_BYTES``, for images ``NEURONJURY_MAX_IMAGE_BYTES``.
    name : str, optional
        For messages, and to tell the kinds of text apart; by default the file's own.

    Returns
    -------
    CheckedUpload

    Raises
    ------
    UploadRefused
        When the file is empty, too large, of another kind, damaged, holds pickled objects, or
        would unpack to more than it may; the message names file, finding and remedy.
    """
    label = PurePosixPath(PureWindowsPath(name or getattr(file, "name", "") or "file").name).name
    limit = max_bytes or settings.NEURONJURY_MAX_UPLOAD_BYTES
    size, digest = _measured(file, label, limit)
    kind = _kind(file, label, kinds, size)
    if kind in IMAGES and size > (max_bytes or settings.NEURONJURY_MAX_IMAGE_BYTES):
        raise _too_large(label, max_bytes or settings.NEURONJURY_MAX_IMAGE_BYTES)
    _CONTENT_CHECKS[kind](file, label, size)
    file.seek(0)
    return CheckedUpload(kind, size, digest)


def path_within(root: Path, relative: str) -> Path:
    """Find a file below a folder, whatever tricks its name plays.

    Parameters
    ----------
    root : Path
        The folder.
    relative : str
        A name relative to it, with ``/`` between its parts.

    Returns
    -------
    Path
        Absolute, with every link followed; it need not exist.

    Raises
    ------
    UnsafePath
        When the name is empty, absolute, has a part ``..``, a backslash or a NUL, is longer than
        file systems take, or when a link on the way leads out of the folder.
    """
    relative_require(relative)
    folder = root.resolve()
    path = (folder / relative).resolve()
    if not path.is_relative_to(folder):
        raise UnsafePath(
            f"path: {relative!r} is a link that leads out of the folder; put the file itself there."
        )
    return path


def relative_require(relative: str) -> None:
    """Refuse a name that is not plainly below a folder, whatever the folder.

    Parameters
    ----------
    relative : str
        With ``/`` between its parts.

    Raises
    ------
    UnsafePath
        See `path_within`; links are not looked at here.
    """
    if (
        not relative
        or "\0" in relative
        or "\\" in relative
        or PurePosixPath(relative).is_absolute()
        or PureWindowsPath(relative).drive
        or ".." in PurePosixPath(relative).parts
    ):
        raise UnsafePath(
            f"path: {relative!r} is no plain name below the folder; give one relative to it, "
            "without '..', backslashes or a leading '/'."
        )
    if name_too_long(relative):
        raise UnsafePath(
            f"path: {relative[:40]!r}... has more than {MAX_PATH_BYTES} bytes, or a part of more "
            f"than {MAX_NAME_BYTES}; give it a shorter name."
        )


def name_too_long(path: str) -> bool:
    """Say whether a path, or a part of it, is longer than file systems take.

    Parameters
    ----------
    path : str
        With ``/`` between its parts.

    Returns
    -------
    bool
    """
    whole = path.encode("utf-8", "surrogatepass")
    return len(whole) > MAX_PATH_BYTES or any(
        len(part) > MAX_NAME_BYTES for part in whole.split(b"/")
    )


def _measured(file: IO[bytes], label: str, limit: int) -> tuple[int, str]:
    """Read the file through once: how long it is and its checksum."""
    file.seek(0)
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(CHUNK):
        size += len(chunk)
        if size > limit:
            raise _too_large(label, limit)
        digest.update(chunk)
    if size == 0:
        raise UploadRefused(f"{label}: the file is empty; send it again, whole.")
    return size, digest.hexdigest()


def _too_large(label: str, limit: int) -> UploadRefused:
    return UploadRefused(
        f"{label}: the file is larger than {limit / 1024**2:g} MB; make it smaller, or split it."
    )


def _kind(file: IO[bytes], label: str, kinds: Collection[FileKind], size: int) -> FileKind:
    file.seek(0)
    head = file.read(64)
    suffix = _SUFFIXES.get(PurePosixPath(label).suffix.lower())
    found: FileKind | None = next(
        (kind for signature, kind in _SIGNATURES if head.startswith(signature)), None
    )
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        found = FileKind.WEBP
    if found == FileKind.ZIP and (suffix == FileKind.NPZ or FileKind.ZIP not in kinds):
        found = FileKind.NPZ
    if found is None and FileKind.SAFETENSORS in kinds and _looks_like_safetensors(head, size):
        found = FileKind.SAFETENSORS
    if found is None and suffix in TEXTS:
        found = suffix
    if found is None and suffix is None and len(wanted := TEXTS.intersection(kinds)) == 1:
        (found,) = wanted
    if found is None or found not in kinds:
        what = "of no known kind" if found is None else f"a .{found} file"
        raise UploadRefused(
            f"{label}: by its content it is {what}, expected "
            f"{', '.join(f'.{kind}' for kind in sorted(kinds))}; convert it, then send it again."
        )
    return found


def _looks_like_safetensors(head: bytes, size: int) -> bool:
    return len(head) > 8 and 2 <= int.from_bytes(head[:8], "little") <= size - 8 and head[8] == 0x7B


def _image(file: IO[bytes], label: str, _size: int) -> None:
    from PIL import Image

    from annotation.exceptions import ImageProblem
    from annotation.images import image_stripped

    most = settings.NEURONJURY_MAX_IMAGE_PIXELS
    file.seek(0)
    try:
        with Image.open(file, formats=["PNG", "JPEG", "WEBP", "GIF"]) as image:
            frames = getattr(image, "n_frames", 1)
            pixels = image.width * image.height * frames
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise _damaged(label, error) from error
    if pixels > most:
        raise UploadRefused(
            f"{label}: {image.width} x {image.height} pixels in {frames} frame(s) are more than "
            f"{most}; make the image smaller."
        )
    file.seek(0)
    try:
        image_stripped(file.read())
    except ImageProblem as error:
        raise _damaged(label, error) from error


def _npy(file: IO[bytes], label: str, size: int) -> None:
    npy_checked(file, label, size)


def npy_checked(file: IO[bytes], label: str, size: int) -> None:
    """Read the header of a ``.npy`` file, and compare what it announces with what is there.

    Parameters
    ----------
    file : binary file
        Seekable.
    label : str
        Its name in messages.
    size : int
        Its length in bytes.

    Raises
    ------
    UploadRefused
        When the header is damaged, announces Python objects, or another number of bytes.
    """
    from numpy.lib import format as npy

    file.seek(0)
    try:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _fortran, dtype = read(file)
    except (  # numpy reads the header as Python: the last three come of strange brackets and signs
        ValueError,
        EOFError,
        SyntaxError,
        TypeError,
        KeyError,
        tokenize.TokenError,
        MemoryError,
        RecursionError,
    ) as error:
        raise _damaged(label, str(error) or type(error).__name__) from error
    if dtype.hasobject:
        raise UploadRefused(
            f"{label}: it holds {dtype} values, not numbers; objects are pickled in such files, "
            "and pickles can run code. Save it with a dtype such as float32."
        )
    if dtype.kind not in "biuf":
        raise UploadRefused(
            f"{label}: it holds {dtype} values, expected real numbers or booleans; save it with a "
            "dtype such as float32."
        )
    announced = dtype.itemsize
    for length in shape:
        announced *= length
    if announced != size - file.tell():
        raise UploadRefused(
            f"{label}: its header announces {announced} bytes of numbers, {size - file.tell()} "
            "are there; it is cut short or damaged, write it again."
        )


def _npz(file: IO[bytes], label: str, size: int) -> None:
    from annotation.archives import npz_checked

    npz_checked(file, label, size)


def _zip(file: IO[bytes], label: str, _size: int) -> None:
    from annotation.archives import zip_members

    zip_members(file, label=label)


def _safetensors(file: IO[bytes], label: str, size: int) -> None:
    file.seek(0)
    (length,) = struct.unpack("<Q", file.read(8))
    if length > min(size - 8, 100_000_000):
        raise _damaged(label, f"its header would be {length} bytes long")
    try:
        header = json.loads(file.read(length))
        spans = sorted(
            (int(start), int(end))
            for key, entry in header.items()
            if key != "__metadata__"
            for start, end in [entry["data_offsets"]]
        )
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise _damaged(label, error) from error
    at = 0
    for start, end in spans:
        if start != at or end < start:
            raise _damaged(label, "its tensors overlap or leave gaps")
        at = end
    if at != size - 8 - length:
        raise _damaged(label, "its header announces another length than it has")


def _parquet(file: IO[bytes], label: str, _size: int) -> None:
    from annotation.parquet_files import parquet_checked

    parquet_checked(file, label, settings.NEURONJURY_MAX_UPLOAD_BYTES)


def _text(file: IO[bytes], label: str, _size: int) -> None:
    import codecs

    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    try:
        while chunk := file.read(CHUNK):
            if "\0" in decoder.decode(chunk):
                raise UploadRefused(
                    f"{label}: it has NUL characters, so it is no text; save it as UTF-8 text."
                )
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise UploadRefused(
            f"{label}: it is not UTF-8 (byte {error.start} of a block: {error.reason}); "
            "save it with the encoding UTF-8."
        ) from error


def _damaged(label: str, why: object) -> UploadRefused:
    return UploadRefused(f"{label}: the file is damaged ({why}); make a sound copy of it.")


_CONTENT_CHECKS = {
    **dict.fromkeys(IMAGES, _image),
    **dict.fromkeys(TEXTS, _text),
    FileKind.NPY: _npy,
    FileKind.NPZ: _npz,
    FileKind.ZIP: _zip,
    FileKind.SAFETENSORS: _safetensors,
    FileKind.PARQUET: _parquet,
}
