"""Matrices from files: activations and concept vectors in the formats that people keep them in.

`read_matrix` reads ``.npy``, ``.npz``, ``.csv``, ``.tsv``, ``.parquet``, ``.safetensors`` and
recordings; `write_matrix` writes most of them. Nothing is ever unpickled. The values are those of
the file: whether they are finite, or probabilities, is checked where they are used.
"""

import importlib
import json
import os
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from neuron_eval.arrays import load_array, save_array
from neuron_eval.tables import (
    DELIMITERS,
    Array,
    Matrix,
    MatrixFileError,
    needs_pyarrow,
    read_table,
    table_matrix,
)

__all__ = [
    "Array",
    "Matrix",
    "MatrixFileError",
    "read_matrix",
    "read_texts",
    "read_vector",
    "write_matrix",
]

_READABLE = ".npy, .npz, .csv, .tsv, .parquet or .safetensors, or the folder of a recording"

_WRITABLE = ".npy, .csv, .tsv, .parquet or .safetensors"

_PICKLES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".joblib"})

#: Array in a .safetensors file that we write; its metadata holds the names of the columns.
_TENSOR_KEY = "values"


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
    values, names = _read_array(source, key)
    where = f"{source}" if key is None else f"{source}, {key!r}"
    if values.ndim == 3:
        raise MatrixFileError(
            f"{where}: found shape {values.shape}, expected two dimensions; flatten (inputs, "
            "tokens, units) with neuron_eval.activations.flatten_tokens and save the result."
        )
    if values.ndim != 2:
        raise MatrixFileError(
            f"{where}: found shape {values.shape}, expected two dimensions (n_inputs, n_columns); "
            "read one-dimensional arrays with read_vector."
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
                raise MatrixFileError(_no_key(source, "column", key, names))
            table = table.iloc[:, [names.index(key)]]
        matrix = table_matrix(source, table, row_names=key is None)
        if matrix.values.shape[1] != 1:
            raise MatrixFileError(
                f"{source}: found {matrix.values.shape[1]} columns, expected one; choose it with "
                f"key, one of {_listed(matrix.names or ())}."
            )
        return matrix.values[:, 0]
    values, _ = _read_array(source, key)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise MatrixFileError(
            f"{source}: found shape {values.shape}, expected one dimension, (n_inputs,); read "
            "matrices with read_matrix."
        )
    return values


def read_texts(path: str | os.PathLike[str], *, unique: bool = True) -> tuple[str, ...]:
    """Read texts of concepts, or names of classes or neurons, one a line.

    Parameters
    ----------
    path : path-like
        A UTF-8 text file. Spaces around a text are dropped.
    unique : bool, default True
        Whether a repeated text is an error; names of classes are not always unique.

    Returns
    -------
    tuple of str
        The texts, in the order of the file.

    Raises
    ------
    MatrixFileError
        If the file is missing, empty or not UTF-8, or a line is blank or a repetition; the line
        is named.
    """
    source = Path(path)
    try:
        content = source.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise MatrixFileError(f"{source}: no such file; correct the path.") from None
    except UnicodeDecodeError as error:
        raise MatrixFileError(
            f"{source}: found no UTF-8 text ({error}); save it as such."
        ) from None
    # Not str.splitlines, which also breaks lines at characters that a text may hold.
    texts = [line.strip() for line in content.removesuffix("\n").split("\n")]
    seen: dict[str, int] = {}
    for line, text in enumerate(texts, start=1):
        if not text:
            raise MatrixFileError(f"{source}: line {line} is blank, expected a text; remove it.")
        first = seen.setdefault(text, line)
        if unique and first != line:
            raise MatrixFileError(
                f"{source}: line {line} repeats {text!r} of line {first}, expected different "
                "texts; remove or rename one."
            )
    return tuple(texts)


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
    _check_numbers(array, target)
    if array.ndim != 2:
        raise MatrixFileError(
            f"{target}: found shape {array.shape}, expected two dimensions (n_inputs, n_columns)."
        )
    columns = None if names is None else _checked_names(target, names, array.shape[1])
    if target.suffix == ".npy":
        sidecar = _names_file(target)
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
        writer = importlib.import_module(f"{_safetensors().__name__}.numpy")
        with _replaced(target) as part:
            writer.save_file({_TENSOR_KEY: np.ascontiguousarray(array)}, part, metadata=metadata)
    else:
        raise MatrixFileError(f"{target}: found {target.suffix!r}, expected {_WRITABLE}.")
    return target


def _read_array(source: Path, key: str | None) -> tuple[Array, tuple[str, ...] | None]:
    names = None
    if source.is_dir():
        values = _read_recording(source, key)
    elif source.suffix == ".npy":
        if key is not None:
            raise MatrixFileError(
                f"{source}: found key {key!r}, but a .npy file holds one array; leave the key out."
            )
        values = load_array(source)
        if _names_file(source).is_file():
            names = read_texts(_names_file(source))
    elif source.suffix in _PICKLES:
        raise MatrixFileError(
            f"{source}: files of this kind are pickles, which can run code and are never loaded; "
            "save the array as .npy or .safetensors."
        )
    elif source.suffix not in (".npz", ".safetensors"):
        raise MatrixFileError(
            f"{source}: found a name that ends in {source.suffix!r}, expected {_READABLE}."
        )
    elif not source.is_file():
        raise MatrixFileError(f"{source}: no such file; correct the path.")
    elif source.suffix == ".npz":
        values = _read_npz(source, key)
    else:
        values, names = _read_safetensors(source, key)
    _check_numbers(values, source)
    return values, names


def _read_recording(source: Path, layer: str | None) -> Array:
    from neuron_eval.activations import RecordingError
    from neuron_eval.recording import open_recording

    try:
        recording = open_recording(source)
    except RecordingError as error:
        raise MatrixFileError(str(error)) from error
    if not recording.complete:
        raise MatrixFileError(
            f"{source}: {recording.n_done} of {recording.n_inputs} inputs are recorded, expected "
            "all; resume the recording."
        )
    layer = _chosen(source, "layer", layer, list(recording.files))
    values = load_array(recording.files[layer])
    if values.shape[0] != recording.n_inputs:
        raise MatrixFileError(
            f"{recording.files[layer]}: found {values.shape[0]} rows, expected the "
            f"{recording.n_inputs} of the recording; record it again."
        )
    return values


def _read_npz(source: Path, key: str | None) -> Array:
    try:
        with np.load(source, allow_pickle=False) as archive:
            key = _chosen(source, "array", key, list(archive.files))
            values = archive[key]
    except MatrixFileError:
        raise
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        if "pickle" in str(error).lower() and zipfile.is_zipfile(source):
            raise MatrixFileError(
                f"{source}: array {key!r} holds pickled Python objects, expected numbers or "
                "booleans; pickles can run code and are never loaded. Save it with a numeric dtype."
            ) from error
        raise MatrixFileError(
            f"{source}: found no readable .npz file ({error}); copy or compute it again."
        ) from error
    if not isinstance(values, np.ndarray):
        raise MatrixFileError(f"{source}: {key!r} is no array; choose another key.")
    return values


def _read_safetensors(source: Path, key: str | None) -> tuple[Array, tuple[str, ...] | None]:
    library = _safetensors()
    try:
        # torch, because numpy has no bfloat16, the usual type of hidden states.
        with library.safe_open(source, framework="pt") as archive:
            key = _chosen(source, "array", key, list(archive.keys()))
            tensor = archive.get_tensor(key)
            metadata = archive.metadata() or {}
    except (library.SafetensorError, OSError) as error:
        raise MatrixFileError(
            f"{source}: found no readable .safetensors file ({error}); copy or compute it again."
        ) from error
    if tensor.is_floating_point() and str(tensor.dtype) not in (
        "torch.float16",
        "torch.float32",
        "torch.float64",
    ):
        tensor = tensor.float()
    if key != _TENSOR_KEY or "names" not in metadata:
        return tensor.numpy(), None
    try:
        return tensor.numpy(), tuple(str(name) for name in json.loads(metadata["names"]))
    except (ValueError, TypeError) as error:
        raise MatrixFileError(
            f"{source}: found metadata 'names' that is no JSON list ({error}); write it again."
        ) from error


def _safetensors() -> ModuleType:
    try:
        return importlib.import_module("safetensors")
    except ImportError as error:
        raise MatrixFileError(
            ".safetensors files need the library safetensors, which is not installed; run "
            "pip install safetensors."
        ) from error


def _chosen(source: Path, word: str, key: str | None, keys: list[str]) -> str:
    if key is None and len(keys) == 1:
        return keys[0]
    if key is None:
        raise MatrixFileError(
            f"{source}: found {len(keys)} {word}s, expected a key that names one; the keys are "
            f"{_listed(keys)}."
            if keys
            else f"{source}: found no {word}, expected at least one."
        )
    if key not in keys:
        raise MatrixFileError(_no_key(source, word, key, keys))
    return key


def _no_key(source: Path, word: str, key: str, keys: Sequence[str]) -> str:
    return f"{source}: found no {word} {key!r}; the {word}s are {_listed(keys)}."


def _listed(keys: Sequence[str]) -> str:
    shown = ", ".join(map(repr, keys[:20]))
    return shown if len(keys) <= 20 else f"{shown} and {len(keys) - 20} more"


def _check_numbers(values: Array, source: Path) -> None:
    if values.dtype.kind not in "biuf":
        raise MatrixFileError(
            f"{source}: found values of type {values.dtype}, expected real numbers or booleans."
        )


def _names_file(target: Path) -> Path:
    return target.with_name(f"{target.stem}.names.txt")


def _checked_names(target: Path, names: Sequence[str], n_columns: int) -> list[str]:
    columns = [str(name) for name in names]
    if len(columns) != n_columns:
        raise MatrixFileError(
            f"{target}: found {len(columns)} names and {n_columns} columns, expected one name per "
            "column."
        )
    for place, name in enumerate(columns):
        if not name.strip() or name != name.strip() or "\n" in name or "\r" in name:
            raise MatrixFileError(
                f"{target}: name {place} is {name!r}, expected one line of text without spaces "
                "around it."
            )
    repeated = next((name for name, count in Counter(columns).items() if count > 1), None)
    if repeated is not None:
        raise MatrixFileError(f"{target}: {repeated!r} names several columns; rename one.")
    return columns


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
