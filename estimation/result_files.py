"""Results of pairs as plain files, one a pair, so that a run that was killed can go on.

A result is a dictionary of numbers, texts, booleans, None, lists and dictionaries of these, and
arrays. It becomes a JSON file; arrays lie beside it in an .npz, which is written first. A JSON file
appears whole or not at all, and carries the checksum of what it holds.
"""

import hashlib
import json
import os
import re
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from estimation.checks import EstimationError

Status = Literal["done", "missing", "changed", "damaged"]
_ARRAY = "__array__"


@dataclass(frozen=True)
class Stored:
    """What a folder holds of one pair.

    Attributes
    ----------
    status : {"done", "missing", "changed", "damaged"}
        "changed": made by another function, or from other parameters or inputs.
    result : dict or None
        The result when it is done.
    """

    status: Status
    result: dict[str, Any] | None = None


def plain(result: Any, key: str) -> dict[str, Any]:
    """Turn a result into what reading it back from its file would give.

    Parameters
    ----------
    result : Mapping or dataclass instance
        What the function returned for a pair.
    key : str
        The pair, for messages.

    Returns
    -------
    dict
        Numpy scalars as Python's, tuples as lists, dataclasses as dictionaries; arrays stay.

    Raises
    ------
    EstimationError
        When something in it has no plain form.
    """
    if is_dataclass(result) and not isinstance(result, type):
        result = asdict(result)
    if not isinstance(result, Mapping):
        msg = (
            f"result of {key!r}: found {type(result).__name__}, expected a dictionary or a "
            "dataclass; return named values"
        )
        raise EstimationError(msg)
    return {str(name): _plain(value, f"{key}: {name}") for name, value in result.items()}


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, np.generic):  # first: numpy's float64 and str_ are Python's, too
        return _plain(value.item(), where)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufcU":
        return value
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        if set(value) == {_ARRAY}:
            msg = f"result of {where}: the name {_ARRAY!r} stands for arrays in files; rename it"
            raise EstimationError(msg)
        return {str(name): _plain(part, f"{where}.{name}") for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, where) for part in value]
    msg = (
        f"result of {where}: {type(value).__name__} has no plain form; return numbers, texts, "
        "lists, dictionaries, or arrays of numbers"
    )
    raise EstimationError(msg)


def result_path(folder: Path, key: str) -> Path:
    """Name the file of a pair: readable, and unique however odd the key is."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", key).strip("-.")[:60]
    return folder / f"{readable}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"


def write_result(folder: Path, key: str, fingerprint: str, result: Mapping[str, Any]) -> None:
    """Write the result of a pair, whole or not at all.

    Parameters
    ----------
    folder : path
        An existing folder.
    key : str
        The pair.
    fingerprint : str
        Of function, parameters and inputs.
    result : Mapping
        As of `plain`.
    """
    path = result_path(folder, key)
    arrays: dict[str, np.ndarray] = {}
    body: dict[str, Any] = {
        "key": key,
        "fingerprint": fingerprint,
        "result": _without_arrays(result, arrays),
    }
    if arrays:
        beside = path.with_suffix(".npz")
        with _replacing(beside) as temporary:
            with temporary.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **arrays)
            body["arrays"] = _file_digest(temporary)
    body["checksum"] = _checksum(body)
    with _replacing(path) as temporary:
        temporary.write_text(json.dumps(body, indent=1), encoding="utf-8")


def read_result(folder: Path, key: str, fingerprint: str) -> Stored:
    """Read the result of a pair.

    Parameters
    ----------
    folder : path
        The folder.
    key : str
        The pair.
    fingerprint : str
        What it must have been made from.

    Returns
    -------
    Stored
    """
    path = result_path(folder, key)
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Stored("missing")
    except ValueError:
        return Stored("damaged")
    if not isinstance(body, dict) or body.pop("checksum", None) != _checksum(body):
        return Stored("damaged")
    if body.get("key") != key or body.get("fingerprint") != fingerprint:
        return Stored("changed")
    arrays: dict[str, np.ndarray] = {}
    if "arrays" in body:
        beside = path.with_suffix(".npz")
        if not beside.is_file() or _file_digest(beside) != body["arrays"]:
            return Stored("damaged")
        try:
            with np.load(beside, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file}
        except (ValueError, zipfile.BadZipFile):
            return Stored("damaged")
    result: dict[str, Any] = _with_arrays(body["result"], arrays)
    return Stored("done", result)


def remove_leftovers(folder: Path) -> None:
    """Remove half-written files of a run that was killed; no other run may be going on."""
    for path in folder.glob("*.partial"):
        path.unlink(missing_ok=True)


def digest(value: Any) -> str:
    """Make a fingerprint of plain values and arrays: the same values, the same fingerprint.

    Parameters
    ----------
    value : object
        Numbers, texts, None, arrays, lists, mappings (order counts), dataclass instances, paths.

    Returns
    -------
    str
        Hexadecimal.

    Raises
    ------
    EstimationError
        When there is a value of another kind.
    """
    state = hashlib.sha256()
    _feed(state, value)
    return state.hexdigest()


def _feed(state: Any, value: Any) -> None:
    if is_dataclass(value) and not isinstance(value, type):
        state.update(f"<{type(value).__qualname__}>".encode())
        for name in value.__dataclass_fields__:
            state.update(name.encode())
            _feed(state, getattr(value, name))
    elif isinstance(value, np.ndarray) and value.dtype.kind in "biufcU":
        state.update(f"<array {value.dtype.str} {value.shape}>".encode())
        state.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, np.generic):
        _feed(state, value.item())
    elif value is None or isinstance(value, bool | int | float | str | Path):
        state.update(f"<{type(value).__name__} {value!r}>".encode())
    elif isinstance(value, Mapping):
        state.update(f"<mapping {len(value)}>".encode())
        for name, part in value.items():
            _feed(state, str(name))
            _feed(state, part)
    elif isinstance(value, list | tuple):
        state.update(f"<sequence {len(value)}>".encode())
        for part in value:
            _feed(state, part)
    else:
        msg = (
            f"inputs: {type(value).__name__} has no fingerprint; give numbers, texts, arrays, "
            "lists, dictionaries, dataclasses or file columns"
        )
        raise EstimationError(msg)


class _replacing:  # noqa: N801 - used as a function is
    """Give a temporary file that takes the place of `path` when the block ends well."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Path:
        handle, name = tempfile.mkstemp(dir=self._path.parent, suffix=".partial")
        os.close(handle)
        self._temporary = Path(name)
        return self._temporary

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        if kind is not None:
            self._temporary.unlink(missing_ok=True)
            return
        with self._temporary.open("rb") as file:
            os.fsync(file.fileno())
        self._temporary.replace(self._path)


def _without_arrays(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, np.ndarray):
        name = f"a{len(arrays)}"
        arrays[name] = value
        return {_ARRAY: name}
    if isinstance(value, Mapping):
        return {name: _without_arrays(part, arrays) for name, part in value.items()}
    if isinstance(value, list):
        return [_without_arrays(part, arrays) for part in value]
    return value


def _with_arrays(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if isinstance(value, dict):
        if set(value) == {_ARRAY}:
            return arrays[value[_ARRAY]]
        return {name: _with_arrays(part, arrays) for name, part in value.items()}
    if isinstance(value, list):
        return [_with_arrays(part, arrays) for part in value]
    return value


def _checksum(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
