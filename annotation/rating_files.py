"""Files of old ratings: ours, crowd-kit's task/worker/label, results of Mechanical Turk.

A reader turns a file into rows of one shape and refuses nothing but what it cannot read at all;
whether a row fits a study is decided in `annotation.services.imports`.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import IO, Any

from annotation.exceptions import RatingFileProblem
from annotation.exports import spreadsheet_unsafe
from annotation.models import RatingValue
from annotation.parquet_files import parquet_checked
from annotation.uploads import FileKind, upload_checked

KINDS = (FileKind.CSV, FileKind.JSONL, FileKind.PARQUET)
#: What is read into memory at once, and answered in one request.
MAX_ROWS = 200_000
MAX_BYTES = 200 * 1024**2
#: What labels mean where nobody says so; any other label needs a mapping, never a guess.
LABELS = {
    "1": RatingValue.PRESENT,
    "0": RatingValue.ABSENT,
    "1.0": RatingValue.PRESENT,
    "0.0": RatingValue.ABSENT,
    **{value.value: value for value in RatingValue},
}
_OURS = {"concept", "input_index", "rater", "value"}
_CROWDKIT = {"task", "worker", "label"}
#: The line where a record begins, and the record.
Records = Iterator[tuple[int, Mapping[str, Any]]]
_NUMBERED = re.compile(r"^(.*?)[_.-]?(\d+)$")


class RatingFormat(StrEnum):
    """The formats of old ratings."""

    OURS = "ours"
    CROWDKIT = "crowdkit"
    MTURK = "mturk"


@dataclass(frozen=True)
class OldRating:
    """A row of a file, as it stands there.

    Attributes
    ----------
    row : int
        The how manieth rating of the file, from 1.
    rater, concept, probe_input : str
        Whoever rated; the concept's text; the input's index or file name.
    label : str
        What the rater said.
    rated_at : datetime or None
        When.
    response_ms : int or None
        How long it took.
    refused : str
        Why the file itself says that the rating does not count; empty where it does not.
    line : int
        Where its record begins in the file, from 1; of a Parquet file, the number of the record.
    """

    row: int
    rater: str
    concept: str
    probe_input: str
    label: str
    rated_at: datetime | None = None
    response_ms: int | None = None
    refused: str = ""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class RatingFileOptions:
    """What a file does not say itself.

    Attributes
    ----------
    concept : str
        The concept of every row, where the file has no column for it.
    labels : mapping of str to str
        What each label means, one of `RatingValue`; without it only `LABELS` are understood.
    input_column, concept_column, answer_column : str
        Of results of Mechanical Turk: where input, concept and answer are. A column
        ``Input.image`` stands for ``Input.image1``, ``Input.image2``, ... as well, and
        ``Answer.image`` for the answers that belong to them.
    """

    concept: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    input_column: str = ""
    concept_column: str = ""
    answer_column: str = ""


@dataclass(frozen=True)
class RatingFile:
    """What a file was recognised as, and its rows."""

    format: RatingFormat
    name: str
    sha256: str
    labels: Mapping[str, str]
    rows: list[OldRating]


def rating_file_read(
    file: IO[bytes], *, name: str, options: RatingFileOptions | None = None
) -> RatingFile:
    """Read a file of old ratings.

    Parameters
    ----------
    file : binary file
        CSV, JSON lines or Parquet.
    name : str
        For messages and for the log; its ending tells commas (.csv) from tabs (.tsv).
    options : RatingFileOptions, optional
        What the file does not say itself.

    Returns
    -------
    RatingFile

    Raises
    ------
    UploadRefused
        When it is too large or of another kind.
    RatingFileProblem
        When the columns are those of no format, or an option names a column that is not there.
    """
    chosen = options or RatingFileOptions()
    checked = upload_checked(file, kinds=KINDS, max_bytes=MAX_BYTES, name=name)
    rows: list[OldRating] = []
    with _as_text(file) as text:
        columns, records = _records(file, text, checked.kind, name)
        format_ = _recognised(columns, name)
        for row in _READERS[format_](records, columns, chosen):
            if len(rows) == MAX_ROWS:
                raise RatingFileProblem(
                    f"{name}: it has more than {MAX_ROWS} ratings; import it in parts."
                )
            rows.append(row)
    if not rows:
        raise RatingFileProblem(f"{name}: it has a header and no ratings.")
    return RatingFile(format_, name, checked.sha256, _labels(chosen), rows)


def _labels(options: RatingFileOptions) -> Mapping[str, str]:
    for label, value in options.labels.items():
        if value not in RatingValue.values:
            raise RatingFileProblem(
                f"labels: {label!r} leads to {value!r}; use {', '.join(RatingValue.values)}."
            )
    return dict(options.labels) or LABELS


def _recognised(columns: Sequence[str], name: str) -> RatingFormat:
    found = set(columns)
    if found >= _OURS:
        return RatingFormat.OURS
    if found >= _CROWDKIT:
        return RatingFormat.CROWDKIT
    if "WorkerId" in found and any(column.startswith("Answer.") for column in found):
        return RatingFormat.MTURK
    raise RatingFileProblem(
        f"{name}: the columns {', '.join(columns) or '(none)'} are of no known format; ours has "
        "concept, input_index, rater, value; crowd-kit's task, worker, label; Mechanical Turk's "
        "WorkerId, Input.*, Answer.*."
    )


@contextmanager
def _as_text(file: IO[bytes]) -> Iterator[IO[str]]:
    """Read a file as text and leave it open: it is the caller's."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        yield text
    finally:
        text.detach()


def _records(
    file: IO[bytes], text: IO[str], kind: FileKind, name: str
) -> tuple[list[str], Records]:
    if kind is FileKind.PARQUET:
        return _parquet(file, name)
    if kind is FileKind.JSONL:
        return _json_lines(text, name)
    tabs = name.lower().endswith(".tsv")
    reader = csv.DictReader(text, strict=True, delimiter="\t" if tabs else ",")
    try:
        return list(reader.fieldnames or ()), _csv_rows(reader, name)
    except csv.Error as error:
        raise RatingFileProblem(f"{name}: it is no CSV file ({error}).") from error


def _csv_rows(reader: "csv.DictReader[str]", name: str) -> Records:
    try:
        for row in reader:
            cells = {
                column: value
                for column, value in row.items()
                if column is not None and isinstance(value, str)
            }
            begins = reader.line_num - sum(_line_breaks(value) for value in cells.values())
            yield begins, {column: spreadsheet_unsafe(value) for column, value in cells.items()}
    except csv.Error as error:
        raise RatingFileProblem(f"{name}: line {reader.line_num}: {error}.") from error


def _line_breaks(text: str) -> int:
    """Count line breaks as the csv module does: in every form, a pair of two signs once."""
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def _json_lines(text: IO[str], name: str) -> tuple[list[str], Records]:
    def records() -> Records:
        for number, line in enumerate(text, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise RatingFileProblem(f"{name}: line {number} is no JSON ({error}).") from error
            if not isinstance(record, dict):
                raise RatingFileProblem(f"{name}: line {number} is no JSON object.")
            yield number, record

    stream = records()
    first = next(stream, None)
    if first is None:
        return [], iter(())

    def all_records() -> Records:
        yield first
        yield from stream

    return list(first[1]), all_records()


def _parquet(file: IO[bytes], name: str) -> tuple[list[str], Records]:
    from pyarrow import parquet

    # all of it is kept in memory, so it may unpack to no more than a table of text may weigh
    parquet_checked(file, name, MAX_BYTES)
    file.seek(0)
    table = parquet.ParquetFile(file)

    def records() -> Records:
        first = 1
        for batch in table.iter_batches():
            yield from enumerate(batch.to_pylist(), start=first)
            first += batch.num_rows

    return list(table.schema_arrow.names), records()


def _text(value: Any) -> str:
    """Take a cell as a text; numbers as people write them, nothing as nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).replace("\0", "\N{REPLACEMENT CHARACTER}").strip()


def _ours(
    records: Records,
    columns: Sequence[str],  # noqa: ARG001 - every reader takes them
    options: RatingFileOptions,  # noqa: ARG001
) -> Iterator[OldRating]:
    for number, (line, record) in enumerate(records, start=1):
        refused = ""
        if _text(record.get("gold")):
            refused = "it is of a gold item, which belongs to the study that hid it"
        elif _text(record.get("counted")) not in {"", "true"}:
            refused = "it did not count in the study that it comes from"
        yield OldRating(
            row=number,
            rater=_text(record.get("rater")),
            concept=_text(record.get("concept")),
            probe_input=_text(record.get("input_index")),
            label=_text(record.get("value")),
            rated_at=_time(record.get("rated_at")),
            response_ms=_milliseconds(record.get("response_ms")),
            refused=refused,
            line=line,
        )


def _crowdkit(
    records: Records,
    columns: Sequence[str],
    options: RatingFileOptions,
) -> Iterator[OldRating]:
    if "concept" not in columns and not options.concept:
        raise RatingFileProblem(
            "concept: the file has no column of that name; say which concept all of it is about."
        )
    for number, (line, record) in enumerate(records, start=1):
        yield OldRating(
            row=number,
            rater=_text(record.get("worker")),
            concept=_text(record.get("concept")) or options.concept,
            probe_input=_text(record.get("task")),
            label=_text(record.get("label")),
            line=line,
        )


def _mturk(
    records: Records,
    columns: Sequence[str],
    options: RatingFileOptions,
) -> Iterator[OldRating]:
    answer = _mturk_column(columns, "Answer.", options.answer_column, "answer_column")
    shown = _mturk_column(
        [column for column in columns if column.lower() != "input.concept"],
        "Input.",
        options.input_column,
        "input_column",
    )
    concept = options.concept_column or ("Input.concept" if "Input.concept" in columns else "")
    if concept and concept not in columns:
        raise RatingFileProblem(f"concept_column: there is no column {concept!r} in the file.")
    if not concept and not options.concept:
        raise RatingFileProblem(
            "concept: there is no column Input.concept; name the column, or say which concept all "
            "of the file is about."
        )
    pairs = _pairs(shown, answer)
    number = 0
    for line, record in records:
        rejected = _text(record.get("AssignmentStatus")) == "Rejected"
        for of_input, of_answer in pairs:
            number += 1
            yield OldRating(
                row=number,
                rater=_text(record.get("WorkerId")),
                concept=_text(record.get(concept)) or options.concept,
                probe_input=_text(record.get(of_input)),
                label=_text(record.get(of_answer)),
                rated_at=_time(record.get("SubmitTime")),
                refused="its assignment was rejected" if rejected else "",
                line=line,
            )


def _mturk_column(columns: Sequence[str], prefix: str, wanted: str, option: str) -> dict[str, str]:
    """Find a column, or the numbered columns of one stem; from number ("" for none) to column."""
    stems: dict[str, dict[str, str]] = {}
    for column in columns:
        if not column.startswith(prefix):
            continue
        numbered = _NUMBERED.match(column)
        stem, number = (numbered[1], numbered[2]) if numbered else (column, "")
        stems.setdefault(stem, {})[number] = column
        if column == wanted:
            return {"": column}
    if wanted in stems:
        return stems[wanted]
    if not wanted and len(stems) == 1:
        return next(iter(stems.values()))
    known = ", ".join(sorted(stems)) or "none"
    said = f"{wanted!r} is no column of the file" if wanted else "several columns fit"
    raise RatingFileProblem(f"{option}: {said}; name one of: {known}.")


def _pairs(shown: Mapping[str, str], answers: Mapping[str, str]) -> list[tuple[str, str]]:
    if set(shown) != set(answers):
        raise RatingFileProblem(
            f"input_column, answer_column: the inputs {', '.join(shown.values())} and the answers "
            f"{', '.join(answers.values())} do not belong together; name columns that do."
        )
    return [(shown[number], answers[number]) for number in shown]


def _time(value: Any) -> datetime | None:
    """Read a time where there is one that can be read; it is kept for information alone."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    try:
        found = datetime.fromisoformat(_text(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _milliseconds(value: Any) -> int | None:
    text = _text(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


_READERS: dict[
    RatingFormat,
    Callable[[Records, Sequence[str], RatingFileOptions], Iterator[OldRating]],
] = {
    RatingFormat.OURS: _ours,
    RatingFormat.CROWDKIT: _crowdkit,
    RatingFormat.MTURK: _mturk,
}
