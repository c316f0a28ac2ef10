"""Uploads: known by their content, bounded before anything is unpacked, never unpickled."""

import io
import json
import os
import pickle
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image
from pyarrow import parquet
from safetensors.numpy import save as safetensors_bytes

from annotation.archives import zip_extract, zip_members
from annotation.exceptions import UnsafePath, UploadRefused
from annotation.uploads import ARRAYS, IMAGES, TEXTS, FileKind, path_within, upload_checked

ALL = frozenset(FileKind)


def image_bytes(format_: str, size: tuple[int, int] = (9, 7)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(out, format_)
    return out.getvalue()


def npy_bytes(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def npz_bytes(**arrays: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def zip_bytes(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def parquet_bytes(rows: int = 3) -> bytes:
    out = io.BytesIO()
    table = pyarrow.table({"a": np.zeros(rows), "b": np.zeros(rows)})
    parquet.write_table(table, out)
    return out.getvalue()


def check(data: bytes, name: str, kinds: frozenset[FileKind] = ALL, **options: int):
    return upload_checked(SimpleUploadedFile(name, data), kinds=kinds, **options)


NUMBERS = np.arange(6, dtype=np.float32).reshape(3, 2)
SOUND: dict[FileKind, tuple[str, Callable[[], bytes]]] = {
    FileKind.PNG: ("a.png", lambda: image_bytes("PNG")),
    FileKind.JPEG: ("a.jpeg", lambda: image_bytes("JPEG")),
    FileKind.WEBP: ("a.webp", lambda: image_bytes("WEBP")),
    FileKind.GIF: ("a.gif", lambda: image_bytes("GIF")),
    FileKind.NPY: ("a.npy", lambda: npy_bytes(NUMBERS)),
    FileKind.NPZ: ("a.npz", lambda: npz_bytes(layer1=NUMBERS)),
    FileKind.ZIP: ("a.zip", lambda: zip_bytes({"a.png": image_bytes("PNG")})),
    FileKind.SAFETENSORS: ("a.safetensors", lambda: safetensors_bytes({"layer1": NUMBERS})),
    FileKind.PARQUET: ("a.parquet", parquet_bytes),
    FileKind.CSV: ("a.csv", lambda: "input,näme\n0,é\n".encode()),
    FileKind.JSON: ("a.json", lambda: b'{"a": 1}'),
    FileKind.JSONL: ("a.jsonl", lambda: b'{"a": 1}\n'),
    FileKind.TOML: ("a.toml", lambda: b'a = "1"'),
    FileKind.TEXT: ("a.txt", lambda: "a passage 😀\n".encode()),
}


@pytest.mark.parametrize("kind", SOUND)
def test_sound_files_of_every_kind_are_taken(kind: FileKind) -> None:
    name, make = SOUND[kind]
    data = make()
    file = SimpleUploadedFile(name, data)
    found = upload_checked(file, kinds=ALL)
    assert (found.kind, found.size) == (kind, len(data))
    assert file.read() == data  # at its start again
    assert upload_checked(SimpleUploadedFile(name, data), kinds={kind}) == found


@pytest.mark.parametrize("kind", sorted(set(SOUND) - TEXTS))
def test_the_content_decides_not_the_name(kind: FileKind) -> None:
    _, make = SOUND[kind]
    with pytest.raises(UploadRefused, match="expected"):
        check(make(), "innocent.png", ALL - {kind, FileKind.NPZ, FileKind.ZIP})


@pytest.mark.parametrize("kind", sorted(set(SOUND) - TEXTS - {FileKind.PARQUET}))
def test_a_file_cut_short_is_refused(kind: FileKind) -> None:
    name, make = SOUND[kind]
    data = make()
    with pytest.raises(UploadRefused, match=name):
        check(data[: len(data) * 3 // 5], name, frozenset({kind}))


def test_parquet_without_its_end_is_refused() -> None:
    with pytest.raises(UploadRefused, match="damaged"):
        check(parquet_bytes()[:-10], "a.parquet")


def test_an_empty_file_and_a_20_mb_image_are_refused(settings) -> None:
    with pytest.raises(UploadRefused, match=r"a\.png: the file is empty"):
        check(b"", "a.png", IMAGES)
    heavy = image_bytes("PNG")
    heavy = heavy[:33] + struct.pack(">I", 20 * 1024**2) + b"tEXt" + b"x" * (20 * 1024**2 + 4)
    with pytest.raises(UploadRefused, match="larger than 10 MB"):
        check(heavy, "a.png", IMAGES)
    with pytest.raises(UploadRefused, match="larger than"):
        check(b"a" * 100, "a.txt", TEXTS, max_bytes=99)


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(settings) -> None:
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    crc = struct.pack(">I", zlib.crc32(chunk))
    bomb = image_bytes("PNG")
    bomb = bomb[:8] + struct.pack(">I", 13) + chunk + crc + bomb[33:]
    with pytest.raises(UploadRefused):
        check(bomb, "a.png", IMAGES)
    settings.NEURONJURY_MAX_IMAGE_PIXELS = 60
    with pytest.raises(UploadRefused, match="9 x 7 pixels"):
        check(image_bytes("PNG"), "a.png", IMAGES)


class Boom:
    def __reduce__(self) -> tuple:
        return os.mkdir, ("/tmp/neuronjury-pickle-was-run",)  # noqa: S108


def test_pickles_are_refused_and_not_run() -> None:
    with pytest.raises(UploadRefused, match="complex128 values, expected real numbers"):
        check(npy_bytes(np.zeros(3, dtype=complex)), "a.npy", ARRAYS)
    objects = npy_bytes(np.array([Boom()], dtype=object))
    with pytest.raises(UploadRefused, match="pickle"):
        check(objects, "a.npy", ARRAYS)
    with pytest.raises(UploadRefused, match="pickle"):
        check(npz_bytes(a=np.array([Boom()], dtype=object)), "a.npz", ARRAYS)
    with pytest.raises(UploadRefused, match="expected"):
        check(pickle.dumps(Boom()), "a.npy", ARRAYS)
    assert not Path("/tmp/neuronjury-pickle-was-run").exists()  # noqa: S108


def test_a_header_that_announces_more_than_is_there_is_refused() -> None:
    data = npy_bytes(np.zeros((2, 2)))
    lying = data.replace(b"(2, 2)", b"(9, 9)")
    with pytest.raises(UploadRefused, match="announces 648 bytes"):
        check(lying, "a.npy", ARRAYS)
    tensors = safetensors_bytes({"a": NUMBERS})
    header = json.dumps({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}).encode()
    with pytest.raises(UploadRefused, match="another length"):
        check(struct.pack("<Q", len(header)) + header + tensors[-24:], "a.safetensors", ARRAYS)


def test_text_must_be_text() -> None:
    with pytest.raises(UploadRefused, match="UTF-8"):
        check("naïve".encode("latin-1"), "a.csv", TEXTS)
    with pytest.raises(UploadRefused, match="NUL"):
        check(b"a,b\n\0,1\n", "a.csv", TEXTS)


def test_zip_bombs_are_not_unpacked(settings, tmp_path: Path) -> None:
    bomb = zip_bytes({"a.txt": b"0" * 30_000_000})
    with pytest.raises(UploadRefused, match="packs 30000000 bytes into"):
        check(bomb, "a.zip")
    settings.NEURONJURY_MAX_UPLOAD_BYTES = 1000
    many = zip_bytes({f"{number}.txt": b"0" * 200 for number in range(6)})
    with pytest.raises(UploadRefused, match="would unpack"):
        zip_extract(io.BytesIO(many), tmp_path / "out", kinds=TEXTS)
    assert not (tmp_path / "out").exists()
    rows = parquet_bytes(100_000)  # one value, again and again: a small file
    settings.NEURONJURY_MAX_UPLOAD_BYTES = 1_000_000
    assert len(rows) < 100_000
    with pytest.raises(UploadRefused, match="would unpack"):
        check(rows, "a.parquet")


def lying_zip(real: bytes, claimed: int) -> bytes:
    """An archive whose one member says that it is shorter than it is."""
    data = bytearray(zip_bytes({"a.txt": real}))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(signature) + offset
        data[at : at + 4] = struct.pack("<I", claimed)
    return bytes(data)


def test_a_member_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UploadRefused, match="damaged"):
        zip_extract(io.BytesIO(lying_zip(b"0" * 5000, 10)), tmp_path / "out", kinds=TEXTS)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "name", ["../evil.txt", "/etc/evil.txt", "a/../../evil.txt", "C:/evil.txt"]
)
def test_no_member_leads_out_of_the_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(UploadRefused, match="no plain name"):
        zip_extract(io.BytesIO(zip_bytes({name: b"x"})), tmp_path / "out", kinds=TEXTS)
    assert not list(tmp_path.rglob("evil.txt"))


def test_links_encryption_and_doubles_are_refused() -> None:
    link = zipfile.ZipInfo("link.txt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(UploadRefused, match="is a link"):
        zip_members(out)
    with pytest.raises(UploadRefused, match="twice"):
        zip_members(io.BytesIO(zip_bytes({"A.txt": b"1", "a.txt": b"2"})))
    locked = bytearray(zip_bytes({"a.txt": b"1"}))
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(UploadRefused, match="encrypted"):
        zip_members(io.BytesIO(bytes(locked)))
    with pytest.raises(UploadRefused, match="holds 0 files"):
        zip_members(io.BytesIO(zip_bytes({"__MACOSX/a.txt": b"1"})))


def test_an_archive_is_unpacked_or_leaves_nothing(tmp_path: Path) -> None:
    good = {"a/1.png": image_bytes("PNG"), "b/2.jpg": image_bytes("JPEG"), "__MACOSX/x": b"junk"}
    folder = tmp_path / "good"
    assert zip_extract(io.BytesIO(zip_bytes(good)), folder, kinds=IMAGES) == ["a/1.png", "b/2.jpg"]
    assert (folder / "a" / "1.png").read_bytes() == good["a/1.png"]
    bad = {"a.png": image_bytes("PNG"), "b.png": b"<script>alert(1)</script>"}
    with pytest.raises(UploadRefused, match=r"b\.png"):
        zip_extract(io.BytesIO(zip_bytes(bad)), tmp_path / "bad", kinds=IMAGES)
    assert not (tmp_path / "bad").exists()
    with pytest.raises(UploadRefused, match="not empty"):
        zip_extract(io.BytesIO(zip_bytes(good)), folder, kinds=IMAGES)
    assert (folder / "a" / "1.png").exists()


def test_paths_stay_within_their_folder(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "a.png").write_bytes(b"1")
    (tmp_path / "secret.png").write_bytes(b"2")
    (root / "inside.png").symlink_to(root / "sub" / "a.png")
    (root / "outside.png").symlink_to(tmp_path / "secret.png")
    (root / "up").symlink_to(tmp_path)
    assert path_within(root, "sub/a.png") == root.resolve() / "sub" / "a.png"
    assert path_within(root, "inside.png") == root.resolve() / "sub" / "a.png"
    assert path_within(root, "not-yet.png") == root.resolve() / "not-yet.png"
    for bad in (
        *("", "../secret.png", "sub/../../secret.png", "/etc/passwd", "a\0.png"),
        *("..\\secret.png", "C:\\x.png", "outside.png", "up/secret.png"),
    ):
        with pytest.raises(UnsafePath, match="path"):
            path_within(root, bad)


def test_only_deflate_is_unpacked_and_members_are_counted_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.npy", npy_bytes(np.zeros(3)))
    for name in ("a.zip", "a.npz"):
        with pytest.raises(UploadRefused, match="packed with bzip2"):
            check(out.getvalue(), name)
    many = bytearray(zip_bytes({f"{number}.txt": b"x" for number in range(3)}))
    monkeypatch.setattr("annotation.archives.MAX_MEMBERS", 2)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("the list was read"))
    with pytest.raises(UploadRefused, match="holds 3 files or more"):
        zip_members(io.BytesIO(many))
    many[-14:-10] = struct.pack("<2H", 1, 1)  # the end record lies about the number
    with pytest.raises(UploadRefused, match="holds 3 files or more"):
        zip_members(io.BytesIO(many))


def test_the_list_of_members_is_bounded_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("the list was read"))
    for length, words in (
        (64 << 20, "longer than the archive"),  # it may be as long, but these bytes are not there
        ((64 << 20) + 1, "has 64 MB, more than 64; split it"),
        (3 << 30, "has 3072 MB, more than 64"),
    ):
        short = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, length, 0, 0)
        long = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, length, 0)
        locator = struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1)
        end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 0xFFFFFFFF, 0xFFFFFFFF, 0)
        for data in (short, long + locator + end):
            for name in ("a.zip", "a.npz"):
                with pytest.raises(UploadRefused, match=words):
                    check(b"PK\3\4" + data, name)


def test_parquet_whose_size_nobody_can_bound_is_refused() -> None:
    nested = pyarrow.table({"a": [[1, 2], [3]], "b": [{"c": 1}, {"c": 2}]})
    for name, table, options, words in (
        ("a", nested.select(["a"]), {}, r"'a' holds list<.*flatten it"),
        ("b", nested.select(["b"]), {}, r"'b' holds struct<.*flatten it"),
        (
            "c",
            pyarrow.table({"c": ["x" * 9, "x" * 10]}),
            {"use_dictionary": False, "column_encoding": {"c": "DELTA_BYTE_ARRAY"}},
            "'c' is written as DELTA_BYTE_ARRAY",
        ),
    ):
        out = io.BytesIO()
        parquet.write_table(table, out, **options)
        with pytest.raises(UploadRefused, match=words):
            check(out.getvalue(), f"{name}.parquet")


def test_a_damaged_stream_and_strange_headers_are_refused(tmp_path: Path) -> None:
    data = bytearray(zip_bytes({"a.txt": os.urandom(300).hex().encode()}))
    data[40:60] = b"\xff" * 20
    with pytest.raises(UploadRefused, match="damaged"):
        zip_extract(io.BytesIO(data), tmp_path / "out", kinds=TEXTS)
    for header in (b"(((", b"-" * 9000):
        npy = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
        with pytest.raises(UploadRefused, match="damaged"):
            check(npy, "a.npy")
    text = b'{"a":{"data_offsets":[0,1e999]}}'
    with pytest.raises(UploadRefused, match="damaged"):
        check(struct.pack("<Q", len(text)) + text, "a.safetensors")


def test_texts_that_come_again_and_again_are_counted(settings) -> None:
    out = io.BytesIO()
    parquet.write_table(pyarrow.table({"a": ["x" * 1000] * 3000, "b": [None] * 3000}), out)
    assert len(out.getvalue()) < 20_000
    check(out.getvalue(), "a.parquet")
    settings.NEURONJURY_MAX_UPLOAD_BYTES = 1_000_000
    with pytest.raises(UploadRefused, match="would unpack"):
        check(out.getvalue(), "a.parquet")
