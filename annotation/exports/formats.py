"""Tables as CSV, JSON lines and Parquet, a chunk at a time."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from annotation.exports.tables import Column, Kind, Table

#: Lines sent in one piece.
LINES = 500
#: Rows of a Parquet row group: what is in memory at once.
ROW_GROUP = 5000

#: What a spreadsheet takes for a formula, behind any number of apostrophes.
_FORMULA = re.compile(r"^'*[=+\-@\t\r]")


@dataclass(frozen=True)
class Format:
    """A file format of exports."""

    suffix: str
    content_type: str
    chunks: Callable[[Table], Iterator[bytes]]


def spreadsheet_safe(text: str) -> str:
    """Keep a spreadsheet from running a text as a formula.

    Parameters
    ----------
    text : str
        A cell.

    Returns
    -------
    str
        With an apostrophe before it where it starts like a formula (or like a text that this
        function changed already, so that `spreadsheet_unsafe` is its exact inverse).

    Examples
    --------
    >>> spreadsheet_safe("=1+1"), spreadsheet_safe("'=1+1"), spreadsheet_safe("cat")
    ("'=1+1", "''=1+1", 'cat')
    """
    return f"'{text}" if _FORMULA.match(text) else text


def spreadsheet_unsafe(text: str) -> str:
    """Take `spreadsheet_safe` back.

    Parameters
    ----------
    text : str
        A cell of an export.

    Returns
    -------
    str

    Examples
    --------
    >>> spreadsheet_unsafe("'=1+1"), spreadsheet_unsafe("'quoted'")
    ('=1+1', "'quoted'")
    """
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


class _Echo:
    """A file that hands every line back."""

    def write(self, value: str) -> str:
        return value


def csv_lines(columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Write rows as CSV, one line at a time.

    Parameters
    ----------
    columns : sequence of Column
        The header.
    rows : iterable of sequence
        The values; None becomes an empty field, times ISO 8601; texts that a spreadsheet would run
        get an apostrophe, see `spreadsheet_safe`.

    Yields
    ------
    str
        Lines, each with its line end.
    """
    writer = csv.writer(_Echo())
    # a text column's own name may come from a user as well: a neuron's layer, a concept
    yield writer.writerow([spreadsheet_safe(column.name) for column in columns])
    texts = [column.kind is Kind.TEXT for column in columns]
    for row in rows:
        yield writer.writerow(
            [_csv_field(value, is_text=is_text) for value, is_text in zip(row, texts, strict=True)]
        )


def jsonl_lines(columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Write rows as JSON objects, one a line.

    Parameters
    ----------
    columns : sequence of Column
        The names.
    rows : iterable of sequence
        The values; times become ISO 8601.

    Yields
    ------
    str
        Lines, each with its line end.
    """
    names = [column.name for column in columns]
    for row in rows:
        record = {name: _plain(value) for name, value in zip(names, row, strict=True)}
        yield json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"


def parquet_chunks(columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """Write rows as a Parquet file, one row group at a time.

    Parameters
    ----------
    columns : sequence of Column
        Names and types; times are microseconds in UTC.
    rows : iterable of sequence
        The values.

    Yields
    ------
    bytes
        Pieces of the file.
    """
    import pyarrow as pa
    from pyarrow import parquet

    types = {
        Kind.TEXT: pa.string(),
        Kind.INTEGER: pa.int64(),
        Kind.REAL: pa.float64(),
        Kind.BOOLEAN: pa.bool_(),
        Kind.TIME: pa.timestamp("us", tz="UTC"),
    }
    schema = pa.schema([(column.name, types[column.kind]) for column in columns])
    sink = _Drain()
    stream = iter(rows)
    with parquet.ParquetWriter(sink, schema) as writer:
        while group := list(islice(stream, ROW_GROUP)):
            arrays = [
                pa.array([_parquet_value(row[number]) for row in group], type=field.type)
                for number, field in enumerate(schema)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            yield sink.taken()
    yield sink.taken()


class _Drain(io.RawIOBase):
    """A file that is emptied while it is written: it holds what was not sent yet."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._written

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._written += len(part)
        return len(part)

    def taken(self) -> bytes:
        chunk = b"".join(self._parts)
        self._parts.clear()
        return chunk


def _csv_field(value: Any, *, is_text: bool) -> Any:
    plain = _plain(value)
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return spreadsheet_safe(plain) if is_text and isinstance(plain, str) else plain


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _parquet_value(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


def _joined(lines: Iterator[str]) -> Iterator[bytes]:
    """Send lines in larger pieces: a write to the network a line would take most of the time."""
    while some := list(islice(lines, LINES)):
        yield "".join(some).encode()


#: By the name that ``?format=`` gives.
FORMATS: dict[str, Format] = {
    "csv": Format(
        "csv",
        "text/csv; charset=utf-8",
        lambda table: _joined(csv_lines(table.columns, table.rows)),
    ),
    "jsonl": Format(
        "jsonl",
        "application/jsonl; charset=utf-8",
        lambda table: _joined(jsonl_lines(table.columns, table.rows)),
    ),
    "parquet": Format(
        "parquet",
        "application/vnd.apache.parquet",
        lambda table: parquet_chunks(table.columns, table.rows),
    ),
}
