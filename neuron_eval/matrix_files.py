"""Matrices from files: activations and concept vectors in the formats that people keep them in.

`read_matrix` reads ``.npy``, ``.npz``, ``.csv``, ``.tsv``, ``.parquet``, ``.safetensors`` and
recordings; `write_matrix` writes most of them. Nothing is ever unpickled. The values are those of
the file: whether they are finite, or probabilities, is checked where they are used.
"""

import importlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neuron_eval.array_files import TENSOR_KEY, import_safetensors, read_array
from neuron_eval.arrays import save_array
from neuron_eval.matrices import Array, Matrix, MatrixFileError, check_numbers, listed, no_key
from neuron_eval.tables import DELIMITERS, needs_pyarrow, read_table, table_matrix
from neuron_eval.text_files import checked_names, names_file

_WRITABLE = ".npy, .csv, .tsv, .parquet or .safetensors"


def read_matrix(path: str | os.PathLike[str], *, key: str | None = None) -> Matrix:
    """Read a matrix of activations or concept vectors.

    Parameters
    ----------
    path : path-like
        A ``.npy``, ``.npz``, ``.csv``, ``.tsv``, ``.parquet`` or ``.safetensors`` file, or the
        folder of a complete recording.
    key : str, optional
        Which array of a ``.npz`` or ``.safetensors`` file, or which layer of a recording; needed
        where there are several. Formats that hold one matrix take no key.

    Returns
    -------
    Matrix
        Values, shape (n_inputs, n_columns), with the names that the file has.

    Raises
    ------
    MatrixFileError
        If the file cannot be read, or holds no matrix of numbers, or several and no key was
        given; the keys are listed.
    ArrayFileError
        If a ``.npy`` file is missing, damaged or pickled.

    Notes
    -----
    The first row of a table names its columns. A first column that is called ``input``,
    ``file``, ``index`` or nothing at all holds the names of the inputs if it is not numeric or
    all its values are different whole numbers, as in the index that pandas writes. The names of
    the columns of ``x.npy`` stand in ``x.names.txt``, one a line, if there is such a file.
    """
    source = Path(path)
    if source.suffix in DELIMITERS or source.suffix == ".parquet":
        if key is not None:
            raise MatrixFileError(
                f"{source}: found key {key!r}, but a table holds one matrix; leave the key out."
            )
        return table_matrix(source, read_table(source))
    values, names = read_array(source, key)
    where = f"{source}" if key is None else f"{source}, {key!r}"
    if values.ndim == 3:
        raise MatrixFileError(
            f"{where}: found shape {values.shape}, expected two dimensions; flatten (inputs, "
            "tokens, units) with neuron_eval.activations.flatten_tokens and save the result."
        )
    if values.ndim != 2:
        raise MatrixFileError(
            f"{where}: found shape {values.shape}, expected two dimensions (n_inputs, n_columns); "
            "a single column needs the shape (n, 1); read_vector reads one-dimensional arrays."
        )
    if names is not None and len(names) != values.shape[1]:
        raise MatrixFileError(
            f"{where}: found {len(names)} names and {values.shape[1]} columns, expected one name "
            "per column."
        )
    return Matrix(values, names, source)


def read_vector(path: str | os.PathLike[str], key: str | None = None) -> Array:
    """Read a one-dimensional array, such as labels or weights.

    Parameters
    ----------
    path : path-like
        As for `read_matrix`.
    key : str, optional
        As for `read_matrix`; in a table, the name of the column.

    Returns
    -------
    ndarray, shape (n_inputs,)
        The values, in the type of the file. A matrix of one column is taken as a vector.

    Raises
    ------
    MatrixFileError
        As `read_matrix`, and if the array has another shape or the table several columns.
    ArrayFileError
        As `read_matrix`.
    """
    source = Path(path)
    if source.suffix in DELIMITERS or source.suffix == ".parquet":
        table = read_table(source)
        names = [str(name) for name in table.columns]
        if key is not None:
            if key not in names:
                raise MatrixFileError(no_key(source, "column", key, names))
            table = table.iloc[:, [names.index(key)]]
        matrix = table_matrix(source, table, row_names=key is None)
        if matrix.values.shape[1] != 1:
            raise MatrixFileError(
                f"{source}: found {matrix.values.shape[1]} columns, expected one; choose it with "
                f"key, one of {listed(matrix.names or ())}."
            )
        return matrix.values[:, 0]
    values, _ = read_array(source, key)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise MatrixFileError(
            f"{source}: found shape {values.shape}, expected one dimension, (n_inputs,); read "
            "matrices with read_matrix."
        )
    return values


def write_matrix(
    path: str | os.PathLike[str], values: Any, names: Sequence[str] | None = None
) -> Path:
    """Write a matrix to a file that `read_matrix` reads, atomically.

    Parameters
    ----------
    path : path-like
        Where to write; ``.npy``, ``.csv``, ``.tsv``, ``.parquet`` or ``.safetensors``.
    values : Tensor or array-like, shape (n_inputs, n_columns)
        Numbers or booleans.
    names : sequence of str, optional
        Names of the columns. Tables number their columns from 0 when None.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    MatrixFileError
        If the format is unknown, the values are no matrix of numbers, or the names do not fit,
        are empty, repeated or of several lines.

    Notes
    -----
    The names beside ``x.npy`` are written to ``x.names.txt``; without names, such a file of an
    earlier matrix is removed. Values come back exactly; the text formats give float32 values
    back as float64.
    """
    target = Path(path)
    array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    check_numbers(array, target)
    if array.ndim != 2:
        raise MatrixFileError(
            f"{target}: found shape {array.shape}, expected two dimensions (n_inputs, n_columns)."
        )
    columns = None if names is None else checked_names(target, names, array.shape[1])
    if target.suffix == ".npy":
        sidecar = names_file(target)
        sidecar.unlink(missing_ok=True)
        save_array(target, array)
        if columns is not None:
            with _replaced(sidecar) as part:
                part.write_text("".join(f"{name}\n" for name in columns), encoding="utf-8")
    elif target.suffix in DELIMITERS or target.suffix == ".parquet":
        table = pd.DataFrame(array, columns=columns or [str(i) for i in range(array.shape[1])])
        with _replaced(target) as part:
            if target.suffix == ".parquet":
                needs_pyarrow(lambda: table.to_parquet(part, index=False))
            else:
                table.to_csv(part, index=False, sep=DELIMITERS[target.suffix])
    elif target.suffix == ".safetensors":
        metadata = None if columns is None else {"names": json.dumps(columns)}
        writer = importlib.import_module(f"{import_safetensors().__name__}.numpy")
        with _replaced(target) as part:
            writer.save_file({TENSOR_KEY: np.ascontiguousarray(array)}, part, metadata=metadata)
    else:
        raise MatrixFileError(f"{target}: found {target.suffix!r}, expected {_WRITABLE}.")
    return target


@contextmanager
def _replaced(target: Path) -> Iterator[Path]:
    """Give a temporary file that takes the target's place once it is written and on the disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    try:
        yield part
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
