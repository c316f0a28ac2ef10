"""Files of old ratings: what is recognised, and what a file that cannot be read is told."""

import csv
import io
import json
from datetime import UTC, datetime

import pyarrow
import pytest
from pyarrow import parquet

from annotation.exceptions import RatingFileProblem, UploadRefused
from annotation.exports import Column, Kind, csv_lines, parquet_chunks
from annotation.rating_files import OldRating, RatingFileOptions, rating_file_read


def read(text: str | bytes, name: str = "old.csv", **options):
    data = text.encode() if isinstance(text, str) else text
    return rating_file_read(io.BytesIO(data), name=name, options=RatingFileOptions(**options))


def table(columns: list[str], *rows: tuple) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([columns, *rows])
    return out.getvalue()


OURS = ["concept", "input_index", "rater", "value", "counted", "gold", "rated_at", "response_ms"]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_our_own_export_in_its_three_forms() -> None:
    kinds = [Kind.TEXT, Kind.INTEGER, Kind.TEXT, Kind.TEXT]
    kinds += [Kind.BOOLEAN, Kind.TEXT, Kind.TIME, Kind.INTEGER]
    columns = [Column(name, kind) for name, kind in zip(OURS, kinds, strict=True)]
    rows = [
        ("=cat", 3, "r1", "present", True, "", NOW, 1200),
        ("dog", 4, "r2", "cannot_tell", True, "", NOW, None),
        ("dog", 5, "r2", "absent", False, "", NOW, None),
        ("dog", 6, "r2", "absent", False, "present", NOW, None),
    ]
    lines = [
        json.dumps(dict(zip(OURS, (*row[:6], row[6].isoformat(), row[7]), strict=True)))
        for row in rows
    ]
    files = [
        read("".join(csv_lines(columns, rows))),
        read("\n".join(lines), "old.jsonl"),
        read(b"".join(parquet_chunks(columns, rows)), "old.parquet"),
    ]
    assert [file.format for file in files] == ["ours"] * 3
    assert files[0].rows == files[1].rows == files[2].rows
    found = files[0].rows
    assert found[0] == OldRating(1, "r1", "=cat", "3", "present", NOW, 1200)
    assert [row.refused for row in found[:2]] == ["", ""]
    assert "did not count" in found[2].refused
    assert "gold" in found[3].refused


def test_crowd_kit() -> None:
    text = table(["task", "worker", "label"], ("a.png", "w", 1), ("b.png", "w", 0))
    found = read(text, concept="cat")
    assert found.format == "crowdkit"
    assert [(row.probe_input, row.concept, row.label) for row in found.rows] == [
        ("a.png", "cat", "1"),
        ("b.png", "cat", "0"),
    ]
    own = read(table(["task", "worker", "label", "concept"], ("a.png", "w", 1, "dog")))
    assert own.rows[0].concept == "dog"
    with pytest.raises(RatingFileProblem, match="concept: the file has no column"):
        read(text)


def test_results_of_mechanical_turk() -> None:
    columns = ["HITId", "WorkerId", "AssignmentStatus", "Input.concept", "Input.image_url"]
    columns += ["Answer.label"]
    text = table(
        columns,
        ("h", "W1", "Approved", "cat", "3", "yes"),
        ("h", "W2", "Rejected", "cat", "3", "no"),
    )
    found = read(text, labels={"yes": "present", "no": "absent"})
    assert found.format == "mturk"
    assert [(row.rater, row.concept, row.probe_input, row.label) for row in found.rows] == [
        ("W1", "cat", "3", "yes"),
        ("W2", "cat", "3", "no"),
    ]
    assert [row.refused for row in found.rows] == ["", "its assignment was rejected"]
    assert found.labels == {"yes": "present", "no": "absent"}


def test_results_with_several_images_a_page() -> None:
    columns = ["WorkerId", "Input.image1", "Input.image2", "Input.note"]
    columns += ["Answer.image1", "Answer.image2"]
    text = table(columns, ("W", "a.png", "b.png", "x", "1", "0"))
    found = read(text, input_column="Input.image", concept="cat")
    assert [(row.row, row.probe_input, row.label) for row in found.rows] == [
        (1, "a.png", "1"),
        (2, "b.png", "0"),
    ]
    with pytest.raises(RatingFileProblem, match=r"_column: several .*Input\.image, Input\.note"):
        read(text, concept="cat")
    with pytest.raises(RatingFileProblem, match="do not belong together"):
        read(text, concept="cat", input_column="Input.note")
    with pytest.raises(RatingFileProblem, match=r"no column 'Input\.topic'"):
        read(text, input_column="Input.image", concept_column="Input.topic")


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("a,b\n1,2\n", "x.csv", "columns a, b are of no known format"),
        ("concept,input_index,rater,value\n", "x.csv", "no ratings"),
        ('task,worker,label\n"a,b\n', "x.csv", "line"),
        ('{"task": 1}\n[1]\n', "x.jsonl", "no known format"),
        ('{"concept":1,"input_index":1,"rater":1,"value":1}\n[1]', "x.jsonl", "line 2 is no JSON"),
        ('{"concept":1,"input_index":1,"rater":1,"value":1}\n{', "x.jsonl", "line 2"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, name: str, words: str) -> None:
    with pytest.raises(RatingFileProblem, match=words):
        read(text, name, concept="cat")


def test_other_kinds_of_file_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UploadRefused):
        read(b"\x80\x04K\x01.", "old.csv")
    with pytest.raises(UploadRefused):
        read(b"\x93NUMPY", "old.csv")
    with pytest.raises(RatingFileProblem, match="leads to 'maybe'"):
        read("task,worker,label\na,b,c\n", concept="x", labels={"c": "maybe"})
    monkeypatch.setattr("annotation.rating_files.MAX_ROWS", 1)
    with pytest.raises(RatingFileProblem, match="more than 1 ratings"):
        read("task,worker,label\na,b,1\nc,d,1\n", concept="x")


def packed(columns: dict[str, list], **options) -> bytes:
    out = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), out, **options)
    return out.getvalue()


def test_parquet_of_ratings_is_bounded_like_every_other(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {"concept": ["cat"] * 2, "input_index": [1, 2], "rater": ["r"] * 2}
    values = ["present", "absent"]
    assert len(read(packed({**ours, "value": values}), "old.parquet").rows) == 2
    for value, options, words in (
        ([["present"], ["absent"]], {}, r"'value' holds list<.*single numbers or texts"),
        ([{"said": "present"}] * 2, {}, r"'value' holds struct<"),
        (
            values,
            {"use_dictionary": False, "column_encoding": {"value": "DELTA_BYTE_ARRAY"}},
            "'value' is written as DELTA_BYTE_ARRAY",
        ),
    ):
        with pytest.raises(UploadRefused, match=words):
            read(packed({**ours, "value": value}, **options), "old.parquet")
    many = packed({name: [text * 2000] * 500 for name, text in zip(ours, "abc", strict=True)})
    assert len(many) < 100_000  # a text that comes again and again is stored once
    monkeypatch.setattr("annotation.rating_files.MAX_BYTES", 200_000)
    with pytest.raises(UploadRefused, match=r"would unpack to .* more than"):
        read(many, "old.parquet")


def test_where_a_record_begins_is_known_in_every_form() -> None:
    header = "task,worker,label,concept"
    text = f'{header}\n1,w,"two\nlines\r\nmore",cat\n\n2,w,1,cat\r\n3,w,0,cat\n'
    assert [row.line for row in read(text).rows] == [2, 6, 7]
    tabs = text.replace(",", "\t")
    assert [row.line for row in read(tabs, "old.tsv").rows] == [2, 6, 7]
    lines = '{"task":1,"worker":"w","label":1,"concept":"cat"}\n\n' * 2
    assert [row.line for row in read(lines, "old.jsonl").rows] == [1, 3]
    columns = {"task": [1, 2], "worker": ["w"] * 2, "label": [1, 0], "concept": ["cat"] * 2}
    file = packed(columns, row_group_size=1)
    assert [row.line for row in read(file, "old.parquet").rows] == [1, 2]
    mturk = "WorkerId,Input.image1,Input.image2,Answer.image1,Answer.image2\nw,1,2,1,0\nv,1,2,1,0\n"
    rows = read(mturk, concept="cat").rows
    assert [(row.row, row.line) for row in rows] == [(1, 2), (2, 2), (3, 3), (4, 3)]
