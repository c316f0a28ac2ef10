"""Files of activations that grow row by row, and read as truncated until they are whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor

from neuron_eval.activations import (
    RecordingError,
)

DType = Literal["float32", "float16"]


def check_dtype(dtype: str) -> None:
    """Check a type on disk.

    Parameters
    ----------
    dtype : str
        The type.

    Raises
    ------
    RecordingError
        If it is neither float32 nor float16.
    """
    if dtype not in ("float32", "float16"):
        raise RecordingError(f"dtype: found {dtype!r}, expected 'float32' or 'float16'.")


def converted(values: Tensor, dtype: DType, source: str, start: int) -> npt.NDArray[Any]:
    """Convert activations to the type on disk.

    Parameters
    ----------
    values : Tensor, shape (n_rows, n_units), float32
        Activations.
    dtype : {"float32", "float16"}
        The type.
    source : str
        What messages call them.
    start : int
        Number of the first row, for messages.

    Returns
    -------
    ndarray, shape (n_rows, n_units)
        The rows.

    Raises
    ------
    RecordingError
        If a value is too great for float16.
    """
    array = np.ascontiguousarray(values.numpy())
    if dtype == "float32":
        return array
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    wrong = np.isinf(half) & np.isfinite(array)
    if wrong.any():
        row, unit = (int(place) for place in np.argwhere(wrong)[0])
        raise RecordingError(
            f"dtype: unit {unit} of {source} is {array[row, unit]:g} on input {start + row}, "
            "expected at most 65504 for float16; use dtype='float32'."
        )
    return half


@contextmanager
def rows_file(path: Path, shape: tuple[int, int], dtype: DType, done: int) -> Iterator[BinaryIO]:
    """Open a ``.npy`` file that is written row by row, behind the rows that are done.

    The header announces all rows from the start. A full disk is an error of the write, where a
    memory map would kill the process.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    shape : (int, int)
        All rows and units.
    dtype : {"float32", "float16"}
        Type on disk.
    done : int
        Rows that it has already; 0 makes it anew.

    Yields
    ------
    file object
        Behind the last row that is done.
    """
    if done == 0:
        with path.open("wb") as file:
            descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
            header = {"descr": descr, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            yield file
        return
    end = end_of_rows(path, shape[0], dtype, done, shape[1])
    with path.open("r+b") as file:
        file.truncate(end)
        file.seek(end)
        yield file


def end_of_rows(
    path: Path, n_inputs: int, dtype: DType, done: int, n_units: int | None = None
) -> int:
    """Find the byte behind the rows that are done, and check that the file has them.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    n_inputs : int
        All rows.
    dtype : {"float32", "float16"}
        Type on disk.
    done : int
        Rows that are done.
    n_units : int, optional
        Units per row; those of the file when None.

    Returns
    -------
    int
        The position.

    Raises
    ------
    RecordingError
        If the file is damaged, of another kind, or too short.
    """
    try:
        with path.open("rb") as file:
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError("another version of the format")  # noqa: TRY301
            shape, fortran, found = np.lib.format.read_array_header_1_0(file)
            start = file.tell()
    except (OSError, ValueError) as error:
        raise RecordingError(
            f"{path}: found no file that can be gone on with ({error}); remove the folder and "
            "record again."
        ) from error
    units = shape[-1] if n_units is None else n_units
    end = start + done * units * np.dtype(dtype).itemsize
    if shape != (n_inputs, units) or fortran or found != np.dtype(dtype):
        raise RecordingError(
            f"{path}: found shape {shape} and dtype {found}, expected {(n_inputs, units)} and "
            f"{dtype}; choose another folder, or remove it and record again."
        )
    if path.stat().st_size < end:
        raise RecordingError(
            f"{path}: found {path.stat().st_size} bytes, expected at least {end} for the {done} "
            "inputs that are recorded; remove the folder and record again."
        )
    return end


def sync(stream: IO[Any]) -> None:
    """Bring what was written to the disk.

    Parameters
    ----------
    stream : file object
        An open file.
    """
    stream.flush()
    os.fsync(stream.fileno())
