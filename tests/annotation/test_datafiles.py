"""Datasets as files: what is read, what is refused, and that nothing leads out of its folder."""

from pathlib import Path

import pytest

from annotation.datafiles import NewInput, dataset_read, path_allowed
from annotation.datafiles.inputs import MAX_TEXT
from annotation.exceptions import DatasetProblem, UnsafePath
from annotation.models import Modality
from tests.annotation.factories_researcher import image_folder, png


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path: Path) -> None:
    image_folder(tmp_path / "b", 2)
    image_folder(tmp_path / "a", 1)
    write(tmp_path, "notes.md", "hello")
    write(tmp_path, ".hidden.png", png())
    read = dataset_read(tmp_path)
    assert [row.file for row in read.inputs] == ["a/000.png", "b/000.png", "b/001.png"]
    assert read.modality == Modality.IMAGE
    assert read.notes == ["Not images, left out: '.hidden.png', 'notes.md'."]


def test_the_one_folder_of_an_archive_is_stepped_into(tmp_path: Path) -> None:
    image_folder(tmp_path / "images", 2)
    read = dataset_read(tmp_path)
    assert read.root == tmp_path / "images"
    assert [row.file for row in read.inputs] == ["000.png", "001.png"]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "'x.png' \\(input 0\\) is empty"), (b"GIF", "is no PNG, JPEG, WebP or GIF")],
)
def test_a_file_that_is_no_image_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    write(tmp_path, "x.png", content)
    with pytest.raises(DatasetProblem, match=message):
        dataset_read(tmp_path)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    outside = write(tmp_path, "secret.png", png())
    folder = image_folder(tmp_path / "images", 2)
    (folder / "999.png").symlink_to(outside)
    with pytest.raises(UnsafePath, match="link that leads out"):
        dataset_read(folder)


def test_a_folder_behind_a_link_is_left_out_and_said(tmp_path: Path) -> None:
    image_folder(tmp_path / "elsewhere", 3)
    folder = image_folder(tmp_path / "images", 2)
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    read = dataset_read(folder)
    assert len(read.inputs) == 2
    assert "'more/'" in read.notes[0]


def test_a_manifest_orders_the_files_and_labels_them(tmp_path: Path) -> None:
    image_folder(tmp_path, 3)
    rows = "file,striped,class,maybe\n002.png,1,cat,0.25\n000.png,no,dog,1\n"
    write(tmp_path, "manifest.csv", rows)
    read = dataset_read(tmp_path)
    assert [row.file for row in read.inputs] == ["002.png", "000.png"]
    assert read.labels == {"striped": [1.0, 0.0], "maybe": [0.25, 1.0]}
    [note] = read.notes
    assert note.startswith("The column 'class' is not used: 'cat' on line 2 is no label")


def test_a_manifest_of_texts_with_highlights(tmp_path: Path) -> None:
    rows = 'text,highlight_start,highlight_end\n"a ""cat"", here",3,6\n"two\nlines",,\n😀 ok,0,1\n'
    read = dataset_read(write(tmp_path, "t.csv", rows))
    assert read.modality == Modality.TEXT
    assert read.inputs == [
        NewInput(text='a "cat", here', highlight=(3, 6)),
        NewInput(text="two\nlines"),
        NewInput(text="😀 ok", highlight=(0, 1)),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.csv", "name\nx\n", "found the columns 'name', expected one named 'file'"),
        ("m.csv", "file,text\nx,y\n", "expected one named 'file'"),
        ("m.csv", "file,a,a\nx,1,1\n", "the column 'a' is there twice"),
        ("m.csv", "text,a\nx\n", "line 2: it has 1 cells, expected 2"),
        ("m.csv", "text,a\nx,1\ny,\n", "line 3: the column 'a' has no value"),
        ("m.csv", "text\n", "it has no inputs"),
        ("m.csv", "text,highlight_start,highlight_end\nabc,1,9\n", "line 2: the highlight from"),
        ("m.csv", "file\n../../etc/passwd\n", "no plain name below the folder"),
        ("m.csv", "file\nnone.png\n", r"'none.png' \(input 0\) is not in the folder"),
        ("m.csv", b"text\n\xff\xfe\n", "not UTF-8"),
        ("t.txt", "one\n\nthree\n", "line 2: the text is empty"),
        ("t.txt", "a\0b\n", "line 1: the text has a NUL"),
        ("t.txt", "x" * (MAX_TEXT + 1), f"has {MAX_TEXT + 1} characters"),
        ("j.jsonl", "[1]\n", "line 1: expected an object"),
        ("j.jsonl", '{"text": "a"}\n{"text"\n', "line 2: found no JSON"),
        ("j.jsonl", '{"text": 3}\n', "line 1: expected either a text"),
        ("j.jsonl", '{"text": "ab", "highlight": [1, 3]}\n', "no part of the text of 2 characters"),
        ("j.jsonl", '{"text": "ab", "highlight": "x"}\n', "the highlight from 'x'"),
        ("j.jsonl", '{"text": "a", "labels": {"c": 2}}\n', "the label 'c' is 2"),
        ("j.jsonl", '{"text": "a", "labels": {"c": 1}}\n{"text": "b"}\n', "not those of line 1"),
        ("x.pdf", "x", "found neither a folder nor"),
    ],
)
def test_what_cannot_be_used_is_named(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises((DatasetProblem, UnsafePath), match=message):
        dataset_read(path)


def test_json_lines(tmp_path: Path) -> None:
    rows = (
        '{"text": "the cat", "highlight": [4, 7], "labels": {"animal": 1}, "id": 7}\n'
        '{"text": "\\u0645", "highlight_start": 0, "highlight_end": 1, "labels": {"animal": 0}}\n'
    )
    read = dataset_read(write(tmp_path, "j.jsonl", rows))
    assert [row.highlight for row in read.inputs] == [(4, 7), (0, 1)]
    assert read.labels == {"animal": [1.0, 0.0]}
    assert read.notes == ["Not used: 'id'."]


def test_paths_stay_within_the_roots(tmp_path: Path, settings) -> None:
    root = tmp_path / "datasets"
    image_folder(root / "mine", 1)
    outside = image_folder(tmp_path / "private", 1)
    settings.NEURONJURY_DATASET_ROOTS = [root]
    assert path_allowed("mine") == (root / "mine").resolve()
    assert path_allowed(str(root / "mine")) == (root / "mine").resolve()
    (root / "link").symlink_to(outside)
    for given in (str(outside), "/etc/passwd", "../private", "link", str(root / "link"), "a\0b"):
        with pytest.raises(UnsafePath):
            path_allowed(given)
    with pytest.raises(DatasetProblem, match="there is no 'none'"):
        path_allowed("none")


def test_by_default_the_data_folder_itself_is_no_root(settings) -> None:
    """It holds the database and the site's secrets."""
    secret = Path(settings.DATA_DIR) / "login.txt"
    secret.write_text("password")
    with pytest.raises(UnsafePath):
        path_allowed(str(secret))


def test_a_manifest_that_is_a_link_and_a_path_too_long(tmp_path: Path, settings) -> None:
    folder = image_folder(tmp_path / "images", 2)
    (folder / "manifest.csv").symlink_to(write(tmp_path, "secret.csv", "text\nsecret\n"))
    with pytest.raises(UnsafePath, match="link that leads out"):
        dataset_read(folder)
    settings.NEURONJURY_DATASET_ROOTS = [tmp_path]
    for given in ("x" * 256, f"{tmp_path}/{'x' * 256}"):
        with pytest.raises(DatasetProblem, match="longer than a path"):
            path_allowed(given)
