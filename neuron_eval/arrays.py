"""Arrays on disk: write them atomically, read them back as what they are recorded to be.

This module needs numpy only, so that a process that must stay light can describe a file.
"""

import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neuron_eval.errors import NeuronEvalError

_CHECKSUM_CHUNK = 1 << 20


class ArrayFileError(NeuronEvalError):
    """A file does not hold the array that it should."""


@dataclass(frozen=True)
class ArrayInfo:
    """What is recorded about an array on disk.

    Attributes
    ----------
    path : pathlib.Path
        The ``.npy`` file.
    shape : tuple of int
        Shape of the array.
    dtype : str
        Name of the element type, for example ``"float32"``.
    sha256 : str
        Checksum of the whole file, 64 hexadecimal digits.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: str
    sha256: str


def save_array(path: str | os.PathLike[str], array: npt.ArrayLike) -> ArrayInfo:
    """Write an array to a ``.npy`` file, atomically and in C order.

    The file appears under its name only when it is complete and on the disk, so a reader never
    meets a half-written one. The parent folder is created when it is missing.

    Parameters
    ----------
    path : path-like
        Where to write; the name must end in ``.npy``.
    array : array-like
        Any array of numbers or booleans.

    Returns
    -------
    ArrayInfo
        Shape, element type and checksum of what was written.

    Raises
    ------
    ArrayFileError
        If the name does not end in ``.npy`` or the array holds Python objects.
    """
    target = Path(path)
    if target.suffix != ".npy":
        raise ArrayFileError(f"{target}: array files end in .npy; rename it to {target.stem}.npy.")
    values = np.asarray(array, order="C")
    if values.dtype.hasobject:
        raise ArrayFileError(
            f"{target}: found an array of Python objects, expected numbers or booleans; "
            "convert it, for example with np.asarray(array, dtype=np.float32)."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            np.lib.format.write_array(stream, values, allow_pickle=False)
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp creates files that only their owner may read; follow the umask instead.
        temporary.chmod(0o666 & ~_umask())
        checksum = _sha256(temporary)
        temporary.replace(target)
        sync_folder(target.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return ArrayInfo(target, values.shape, values.dtype.name, checksum)


def describe_array(path: str | os.PathLike[str]) -> ArrayInfo:
    """Describe the array in a ``.npy`` file: shape, element type and checksum.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    ArrayInfo
        What the file holds.

    Raises
    ------
    ArrayFileError
        If the file is missing, truncated, pickled or no ``.npy`` file.
    """
    source = Path(path)
    array = load_array(source)
    return ArrayInfo(source, array.shape, array.dtype.name, _sha256(source))


def load_array(
    path: str | os.PathLike[str],
    *,
    shape: Sequence[int] | None = None,
    dtype: npt.DTypeLike | None = None,
    sha256: str | None = None,
) -> npt.NDArray[Any]:
    """Open a ``.npy`` file as a read-only memory map and check it against its record.

    Parameters
    ----------
    path : path-like
        The file.
    shape : sequence of int, optional
        The recorded shape; not checked when None.
    dtype : dtype-like, optional
        The recorded element type; not checked when None.
    sha256 : str, optional
        The recorded checksum of the file; not checked when None, for checking reads all of it.

    Returns
    -------
    numpy.ndarray
        The array, memory-mapped and read-only.

    Raises
    ------
    ArrayFileError
        If the file is missing, no ``.npy`` file, truncated, holds pickled objects, or differs
        from its record. The message names the path, what was found, what was expected and what
        to do.
    """
    source = Path(path)
    array = _open(source)
    if shape is not None and tuple(array.shape) != tuple(shape):
        raise ArrayFileError(
            f"{source}: found shape {tuple(array.shape)}, expected {tuple(shape)}; "
            "register the file again if it was replaced on purpose, or restore the original."
        )
    if dtype is not None and array.dtype != np.dtype(dtype):
        raise ArrayFileError(
            f"{source}: found dtype {array.dtype.name}, expected {np.dtype(dtype).name}; "
            "register the file again if it was replaced on purpose, or restore the original."
        )
    if sha256 is not None:
        found = _sha256(source)
        if found != sha256.lower():
            raise ArrayFileError(
                f"{source}: found checksum {found}, expected {sha256.lower()}: the file changed "
                "since it was recorded; restore the original, or register the new file."
            )
    return array


def _open(source: Path) -> npt.NDArray[Any]:
    if not source.is_file():
        raise ArrayFileError(
            f"{source}: no such file, expected a .npy array; restore it or correct the path."
        )
    with source.open("rb") as stream:
        prefix = stream.read(6)
    if prefix != b"\x93NUMPY":
        raise ArrayFileError(
            f"{source}: found a file that starts with {prefix!r}, expected a .npy array; "
            "write it with numpy.save or neuron_eval.arrays.save_array."
        )
    try:
        array: npt.NDArray[Any] = np.lib.format.open_memmap(source, mode="r")
    except ValueError as error:
        if "object" in str(error).lower():
            raise ArrayFileError(
                f"{source}: found pickled Python objects, expected numbers or booleans; pickles "
                "can run code and are never loaded. Convert the array to a numeric dtype and "
                "save it again."
            ) from error
        if source.stat().st_size and _declares_no_elements(source):
            return _empty(source)
        raise ArrayFileError(_unreadable(source, error)) from error
    except (OSError, EOFError, SyntaxError, TypeError, KeyError) as error:
        raise ArrayFileError(_unreadable(source, error)) from error
    return array


def _unreadable(source: Path, error: Exception) -> str:
    size = source.stat().st_size
    return (
        f"{source}: found a truncated or damaged file of {size} bytes ({error}), expected a "
        "complete .npy array; copy or compute it again."
    )


def _declares_no_elements(source: Path) -> bool:
    """Say whether the header announces a shape with a zero, which cannot be memory-mapped."""
    try:
        return bool(np.load(source, allow_pickle=False).size == 0)
    except (ValueError, OSError, EOFError):
        return False


def _empty(source: Path) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(source, allow_pickle=False)
    array.flags.writeable = False
    return array


def _sha256(source: Path) -> str:
    digest = hashlib.sha256()
    with source.open("rb") as stream:
        while chunk := stream.read(_CHECKSUM_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sync_folder(folder: Path) -> None:
    """Make new names in a folder survive a power cut, where the system can sync folders.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.
    """
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
