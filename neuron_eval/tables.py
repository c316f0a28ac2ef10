"""Tables of numbers: CSV, TSV and Parquet, with the names of columns and inputs."""

import csv
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neuron_eval.matrices import Array, Matrix, MatrixFileError

#: pandas reads text to the nearest float of its own accord from 3.1, where the option goes away.
_EXACT_FLOATS: dict[str, Any] = (
    {"float_precision": "round_trip"}
    if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1)
    else {}
)

DELIMITERS = {".csv": ",", ".tsv": "\t"}

#: Names of a first column that holds the names of the inputs rather than numbers.
_ROW_NAME_COLUMNS = frozenset({"", "input", "file", "index"})


def read_table(source: Path) -> pd.DataFrame:
    """Read a table as it is in the file.

    Parameters
    ----------
    source : pathlib.Path
        A ``.csv``, ``.tsv`` or ``.parquet`` file.

    Returns
    -------
    pandas.DataFrame
        The table.

    Raises
    ------
    MatrixFileError
        If the file is missing, empty or cannot be read, or its name ends otherwise.
    """
    if not source.is_file():
        raise MatrixFileError(f"{source}: no such file; correct the path.")
    if source.suffix != ".parquet" and source.suffix not in DELIMITERS:
        raise MatrixFileError(
            f"{source}: found a name that ends in {source.suffix!r}, expected "
            f"{', '.join(DELIMITERS)} or .parquet."
        )
    if source.suffix == ".parquet":
        try:
            table: pd.DataFrame = needs_pyarrow(lambda: pd.read_parquet(source))
        except MatrixFileError:
            raise
        except (ValueError, OSError) as error:
            raise MatrixFileError(
                f"{source}: found no readable .parquet file ({error}); copy or compute it again."
            ) from error
        if not isinstance(table.index, pd.RangeIndex):
            table = table.reset_index(names="index")
    else:
        table = _read_delimited(source, DELIMITERS[source.suffix])
    if 0 in table.shape:
        raise MatrixFileError(
            f"{source}: found {table.shape[0]} rows and {table.shape[1]} columns below the first "
            "row, which names the columns; expected at least one of each."
        )
    return table


def _read_delimited(source: Path, delimiter: str) -> pd.DataFrame:
    try:
        with source.open(encoding="utf-8-sig", newline="") as stream:
            header = next(csv.reader(stream, delimiter=delimiter), [])
        if not any(header):
            raise MatrixFileError(
                f"{source}: found no column names in the first row, expected one per column."
            )
        repeated = next((name for name, count in Counter(header).items() if count > 1), None)
        if repeated is not None or _are_data(header):
            raise MatrixFileError(
                f"{source}: the first row has "
                + (f"{repeated!r} more than once" if repeated is not None else "only numbers")
                + ", expected different column names; add a first row that names the columns."
            )
        is_text = header[0].lower() in _ROW_NAME_COLUMNS
        with warnings.catch_warnings():
            # pandas warns of rows that are longer than the first one, and cuts them.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table: pd.DataFrame = pd.read_csv(
                source,
                sep=delimiter,
                names=header,
                header=0,
                index_col=False,
                converters={header[0]: str} if is_text else None,
                keep_default_na=False,  # an input may be called "NA"
                na_values={name: [""] for name in header[is_text:]},
                **_EXACT_FLOATS,
                low_memory=False,
                encoding="utf-8-sig",
                skip_blank_lines=False,
            )
            return table
    except (pd.errors.ParserError, pd.errors.ParserWarning, csv.Error) as error:
        raise MatrixFileError(
            f"{source}: found rows of different lengths ({error}); expected one value per column."
        ) from error
    except UnicodeDecodeError as error:
        raise MatrixFileError(f"{source}: found no UTF-8 text; save it as UTF-8.") from error


def table_matrix(source: Path, table: pd.DataFrame, *, row_names: bool = True) -> Matrix:
    """Make a matrix of numbers of a table.

    Parameters
    ----------
    source : pathlib.Path
        The file, for messages.
    table : pandas.DataFrame
        The table.
    row_names : bool, default True
        Whether a first column may hold the names of the inputs.

    Returns
    -------
    Matrix
        Values with the names of columns and inputs.

    Raises
    ------
    MatrixFileError
        If a cell is no number.
    """
    rows = None
    if row_names and str(table.columns[0]).lower() in _ROW_NAME_COLUMNS:
        first = table.iloc[:, 0]
        numbers = pd.to_numeric(first, errors="coerce").to_numpy(dtype=np.float64)
        identifiers = (numbers == np.floor(numbers)).all() and np.unique(numbers).size == len(first)
        if np.isnan(numbers).any() or identifiers:
            rows = tuple(str(name) for name in first)
            table = table.iloc[:, 1:]
    if table.shape[1] == 0:
        raise MatrixFileError(f"{source}: found names of inputs only, expected columns of numbers.")
    columns = [_numbers(source, table, place) for place in range(table.shape[1])]
    return Matrix(np.stack(columns, axis=1), tuple(map(str, table.columns)), source, rows)


def _numbers(source: Path, table: pd.DataFrame, place: int) -> Array:
    column = table.iloc[:, place]
    if not pd.api.types.is_numeric_dtype(column):
        # A column of text, for one of its cells or for all; booleans count as numbers.
        parsed = pd.to_numeric(column, errors="coerce")
        wrong = np.flatnonzero(parsed.isna() & column.notna())
        if wrong.size:
            raise MatrixFileError(
                f"{source}: column {table.columns[place]!r} has {column.iloc[wrong[0]]!r} in row "
                f"{wrong[0] + 1} below the names, expected a number; leave the column out or "
                "correct it."
            )
        column = parsed
    missing = np.flatnonzero(column.isna())
    if missing.size:
        raise MatrixFileError(
            f"{source}: column {table.columns[place]!r} has no number in row {missing[0] + 1} "
            "below the names, expected one; fill it in, or leave the row or the column out."
        )
    values = column.to_numpy()
    return values if values.dtype.kind in "biuf" else values.astype(np.float64)


def _are_data(header: list[str]) -> bool:
    """Say whether the first row holds numbers that are no numbers of columns, such as 0.25."""
    try:
        return not all(float(name).is_integer() for name in header)
    except ValueError:
        return False


def needs_pyarrow(use: Callable[[], Any]) -> Any:
    """Do something with a Parquet file, or say what must be installed.

    Parameters
    ----------
    use : callable
        What to do.

    Returns
    -------
    object
        What it returns.

    Raises
    ------
    MatrixFileError
        If pyarrow is missing.
    """
    try:
        return use()
    except ImportError as error:
        raise MatrixFileError(
            ".parquet files need the library pyarrow, which is not installed; run "
            "pip install pyarrow."
        ) from error
