"""Parquet files that people send: what they would be in memory is counted before they are read."""

from typing import IO, TYPE_CHECKING, Any

from annotation.exceptions import UploadRefused

if TYPE_CHECKING:
    from pyarrow import Array

#: Rows of a column that are looked at together.
BATCH_ROWS = 1 << 16


def parquet_checked(file: IO[bytes], label: str, limit: int) -> None:
    """Count what a Parquet file would be in memory; its texts are not unpacked for that.

    Parameters
    ----------
    file : binary file
        Seekable.
    label : str
        Its name in messages.
    limit : int
        Bytes that it may unpack to.

    Raises
    ------
    UploadRefused
        When it is damaged, has columns of lists or structs, or would unpack to more.
    """
    import pyarrow
    from pyarrow import parquet

    file.seek(0)
    try:
        table = parquet.ParquetFile(file)
        texts = _columns_require(table, label)
        metadata = table.metadata
        packed = sum(metadata.row_group(k).total_byte_size for k in range(metadata.num_row_groups))
        # a run of one value is stored once, so rows x columns counts as well
        cells = metadata.num_rows * sum(
            max(8, metadata.schema.column(k).length) for k in range(metadata.num_columns)
        )
        unpacked = max(packed, cells)
        _limit_require(unpacked, label, limit)
        # and so is a text that comes again and again
        file.seek(0)
        table = parquet.ParquetFile(file, read_dictionary=texts)
        for name in texts:
            for batch in table.iter_batches(batch_size=BATCH_ROWS, columns=[name]):
                unpacked += sum(_text_bytes(column) for column in batch.columns)
                _limit_require(unpacked, label, limit)
    except UploadRefused:  # a ValueError as well
        raise
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise UploadRefused(
            f"{label}: the file is damaged ({error}); make a sound copy of it."
        ) from error


def _columns_require(table: Any, label: str) -> list[str]:
    """Refuse columns that no table of ours has, and name those of texts."""
    import pyarrow

    metadata = table.metadata
    for field in table.schema_arrow:
        if pyarrow.types.is_nested(field.type):
            raise UploadRefused(
                f"{label}: the column {field.name!r} holds {field.type}, expected single numbers "
                "or texts; flatten it."
            )
    texts = []
    for k in range(metadata.num_columns):
        column = metadata.schema.column(k)
        if column.physical_type != "BYTE_ARRAY":
            continue
        for group in range(metadata.num_row_groups):
            if "DELTA_BYTE_ARRAY" in metadata.row_group(group).column(k).encodings:
                raise UploadRefused(
                    f"{label}: the column {column.name!r} is written as DELTA_BYTE_ARRAY, whose "
                    "size nobody can bound; write it with the usual encodings."
                )
        texts.append(column.path)
    return texts


def _text_bytes(column: "Array[Any]") -> int:
    """Sum the lengths of a column's texts, of each as often as it comes."""
    import pyarrow
    from pyarrow import compute

    if isinstance(column, pyarrow.DictionaryArray):
        lengths = compute.binary_length(column.dictionary).take(column.indices)
    else:
        lengths = compute.binary_length(column)
    return int(compute.sum(compute.cast(lengths, "int64")).as_py() or 0)


def _limit_require(unpacked: int, label: str, limit: int) -> None:
    if unpacked > limit:
        raise UploadRefused(
            f"{label}: it would unpack to {unpacked / 1024**2:.0f} MB or more, more than "
            f"{limit / 1024**2:g}; split it."
        )
