"""ZIP archives that people send: no member leads out of its folder, and none is a bomb."""

import os
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import IO

from django.conf import settings

from annotation.exceptions import UnsafePath, UploadRefused
from annotation.uploads import FileKind, npy_checked, path_within, relative_require, upload_checked

MAX_MEMBERS = 200_000
#: Of the list of members at the archive's end, which is read into memory.
MAX_DIRECTORY_BYTES = 64 << 20
#: The two whose unpacking Python bounds at every read.
COMPRESSIONS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
REFUSED = {zipfile.ZIP_BZIP2: "bzip2", zipfile.ZIP_LZMA: "lzma"}
#: Text and masks pack well, but nothing honest of this size packs better.
MAX_RATIO = 200
RATIO_COUNTS_FROM = 1 << 20
#: What file managers put into archives beside the files.
IGNORED = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")
_END, _END64, _LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_END_BYTES, _END64_BYTES, _LOCATOR_BYTES = 22, 56, 20
_ENTRY_BYTES = 46
#: What a damaged archive makes Python raise.
DAMAGES = (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError, EOFError)


def zip_members(
    file: IO[bytes], *, label: str = "archive", max_bytes: int | None = None
) -> list[zipfile.ZipInfo]:
    """List the files of an archive, after a look at what each claims to be.

    Parameters
    ----------
    file : binary file
        Seekable.
    label : str
        Its name in messages.
    max_bytes : int, optional
        What all members may unpack to; by default ``NEURONJURY_MAX_UPLOAD_BYTES``.

    Returns
    -------
    list of ZipInfo
        Without folders and without what file managers add.

    Raises
    ------
    UploadRefused
        When the archive is damaged, has no files or too many, has an encrypted member, a link, two
        members of one name, a name that leads out, another compression than deflate, or would
        unpack to more than it may.
    """
    limit = max_bytes or settings.NEURONJURY_MAX_UPLOAD_BYTES
    _directory_require(file, label)
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            every = [one for one in archive.infolist() if not one.is_dir()]
    except (*DAMAGES, ValueError) as error:
        raise UploadRefused(f"{label}: the archive is damaged ({error}); make it again.") from error
    members = [one for one in every if not _ignored(one)]
    if not members:
        raise UploadRefused(f"{label}: it holds 0 files, expected 1 to {MAX_MEMBERS}; add some.")
    seen: set[str] = set()
    for member in every:  # the ignored too: a reader of .npz files may open them
        _member_require(member, label)
        name = member.filename.casefold()
        if name in seen:
            raise UploadRefused(
                f"{label}: it holds {member.filename!r} twice (or in two spellings); keep one."
            )
        seen.add(name)
    total = sum(member.file_size for member in every)
    if total > limit:
        raise _bomb(label, f"it would unpack to {total / 1024**2:.0f} MB", limit)
    return members


def zip_extract(
    file: IO[bytes],
    folder: Path,
    *,
    kinds: Collection[FileKind],
    label: str = "archive",
    max_bytes: int | None = None,
    max_member_bytes: int | None = None,
) -> list[str]:
    """Unpack an archive into a folder; every member is checked by its content.

    Parameters
    ----------
    file : binary file
        Seekable.
    folder : Path
        Where to; it must be empty or missing, and is removed again when a member is refused.
    kinds : collection of FileKind
        What the members may be.
    label : str
        The archive's name in messages.
    max_bytes, max_member_bytes : int, optional
        Limits on what unpacks, in all and each.

    Returns
    -------
    list of str
        The files relative to `folder`, sorted.

    Raises
    ------
    UploadRefused
        See `zip_members` and `annotation.uploads.upload_checked`.
    """
    members = zip_members(file, label=label, max_bytes=max_bytes)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UploadRefused(f"{label}: the folder {folder.name!r} is not empty; use another one.")
    try:
        with zipfile.ZipFile(file) as archive:
            for member in members:
                target = path_within(folder, member.filename)
                target.parent.mkdir(parents=True, exist_ok=True)
                # a member that is longer than it says is cut there, and its checksum fails
                with archive.open(member) as packed, target.open("xb") as out:
                    shutil.copyfileobj(packed, out)
                with target.open("rb") as unpacked:
                    upload_checked(
                        unpacked, kinds=kinds, max_bytes=max_member_bytes, name=member.filename
                    )
    except DAMAGES as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise UploadRefused(f"{label}: the archive is damaged ({error}); make it again.") from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return sorted(member.filename for member in members)


def npz_checked(file: IO[bytes], label: str, _size: int) -> None:
    """Check an ``.npz`` file: an archive of ``.npy`` files, none of them pickled.

    Parameters
    ----------
    file : binary file
        Seekable.
    label : str
        Its name in messages.

    Raises
    ------
    UploadRefused
        See `zip_members` and `annotation.uploads.npy_checked`.
    """
    members = zip_members(file, label=label)
    with zipfile.ZipFile(file) as archive:
        for member in members:
            name = f"{label}, {member.filename}"
            if not member.filename.endswith(".npy"):
                raise UploadRefused(f"{name}: it is no .npy file; write it with numpy.savez.")
            try:
                with archive.open(member) as unpacked:
                    npy_checked(unpacked, name, member.file_size)
            except DAMAGES as error:
                raise UploadRefused(f"{name}: it is damaged ({error}); make it again.") from error


def _directory_require(file: IO[bytes], label: str) -> None:
    """Count the members before Python makes an object of each.

    The end record says how many there are and how long their list is. Python believes the length
    alone, so the list is walked as well.
    """
    length, ends_at, count = _directory_end(file, label)
    if length > MAX_DIRECTORY_BYTES:
        raise UploadRefused(
            f"{label}: the list of its files has {length / 1024**2:.0f} MB, more than "
            f"{MAX_DIRECTORY_BYTES / 1024**2:g}; split it."
        )
    if length > ends_at:
        raise _damaged(label, "the list of its files is longer than the archive")
    file.seek(ends_at - length)
    directory, at, found = file.read(length), 0, 0
    while at + _ENTRY_BYTES <= length and found <= MAX_MEMBERS:
        at += _ENTRY_BYTES + sum(struct.unpack_from("<3H", directory, at + 28))
        found += 1
    if (n_members := max(count, found)) > MAX_MEMBERS:
        raise UploadRefused(
            f"{label}: it holds {n_members} files or more, expected 1 to {MAX_MEMBERS}; split it."
        )


def _directory_end(file: IO[bytes], label: str) -> tuple[int, int, int]:
    """Read the end record where Python would: length of the list, where it ends, how many."""
    size = file.seek(0, os.SEEK_END)
    start = max(size - _END_BYTES - (1 << 16), 0)
    file.seek(start)
    tail = file.read()
    at = len(tail) - _END_BYTES
    if at < 0 or not (tail.startswith(_END, at) and tail.endswith(b"\0\0")):
        at = tail.rfind(_END)
    if at < 0 or at + _END_BYTES > len(tail):
        raise _damaged(label, "it has no end")
    count, length = struct.unpack_from("<HI", tail, at + 10)
    ends_at = start + at
    file.seek(max(ends_at - _LOCATOR_BYTES - _END64_BYTES, 0))
    before = file.read(min(ends_at, _LOCATOR_BYTES + _END64_BYTES))
    if before[-_LOCATOR_BYTES:][:4] != _LOCATOR:
        return length, ends_at, count
    if len(before) != _LOCATOR_BYTES + _END64_BYTES or before[:4] != _END64:
        raise _damaged(label, "its end is not where it says")
    count, length = struct.unpack_from("<2Q", before, 32)
    return length, ends_at - len(before), count


def _ignored(member: zipfile.ZipInfo) -> bool:
    return member.filename.startswith(IGNORED[0]) or (
        PurePosixPath(member.filename).name in IGNORED[1:]
    )


def _member_require(member: zipfile.ZipInfo, label: str) -> None:
    if member.flag_bits & 0x1:
        raise UploadRefused(f"{label}: {member.filename!r} is encrypted; make it without password.")
    if member.compress_type not in COMPRESSIONS:
        how = REFUSED.get(member.compress_type, f"method {member.compress_type}")
        raise UploadRefused(
            f"{label}: {member.filename!r} is packed with {how}, expected deflate or nothing; pack "
            "it again with the usual settings."
        )
    if stat.S_ISLNK(member.external_attr >> 16):
        raise UploadRefused(f"{label}: {member.filename!r} is a link; put the file itself there.")
    try:
        relative_require(member.filename)
    except UnsafePath as error:
        raise UploadRefused(f"{label}: {error}") from error
    packed, unpacked = member.compress_size, member.file_size
    if unpacked > RATIO_COUNTS_FROM and unpacked > MAX_RATIO * max(packed, 1):
        raise _bomb(label, f"{member.filename!r} packs {unpacked} bytes into {packed}", None)


def _damaged(label: str, why: str) -> UploadRefused:
    return UploadRefused(f"{label}: the archive is damaged ({why}); make it again.")


def _bomb(label: str, what: str, limit: int | None) -> UploadRefused:
    more = "" if limit is None else f", more than {limit / 1024**2:g} MB"
    return UploadRefused(f"{label}: {what}{more}; it is not unpacked. Split it, or send files.")
