"""Arrays from the formats that hold any number of them: .npy, .npz, .safetensors, recordings."""

import importlib
import json
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np

from neuron_eval.arrays import load_array
from neuron_eval.matrices import Array, MatrixFileError, check_numbers, listed, no_key
from neuron_eval.text_files import names_file, read_texts

_READABLE = ".npy, .npz, .csv, .tsv, .parquet or .safetensors, or the folder of a recording"

_PICKLES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".joblib"})

#: Array in a .safetensors file that we write; its metadata holds the names of the columns.
TENSOR_KEY = "values"


def read_array(source: Path, key: str | None) -> tuple[Array, tuple[str, ...] | None]:
    """Read an array, whatever its shape, and the names of its columns.

    Parameters
    ----------
    source : pathlib.Path
        A ``.npy``, ``.npz`` or ``.safetensors`` file, or the folder of a complete recording.
    key : str or None
        Which array or layer, where there are several.

    Returns
    -------
    values : ndarray
        Numbers or booleans, memory-mapped where the format allows it.
    names : tuple of str or None
        Names of the columns, where the file has them; not compared with the shape.

    Raises
    ------
    MatrixFileError
        If the file cannot be read, or holds no such array of numbers.
    ArrayFileError
        If a ``.npy`` file is missing, damaged or pickled.
    """
    names = None
    if source.is_dir():
        values = _read_recording(source, key)
    elif source.suffix == ".npy":
        if key is not None:
            raise MatrixFileError(
                f"{source}: found key {key!r}, but a .npy file holds one array; leave the key out."
            )
        values = load_array(source)
        if names_file(source).is_file():
            names = read_texts(names_file(source))
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
    check_numbers(values, source)
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
    library = import_safetensors()
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
    if key != TENSOR_KEY or "names" not in metadata:
        return tensor.numpy(), None
    try:
        return tensor.numpy(), tuple(str(name) for name in json.loads(metadata["names"]))
    except (ValueError, TypeError) as error:
        raise MatrixFileError(
            f"{source}: found metadata 'names' that is no JSON list ({error}); write it again."
        ) from error


def import_safetensors() -> ModuleType:
    """Import the library safetensors, or say how to install it.

    Returns
    -------
    module
        The library.

    Raises
    ------
    MatrixFileError
        If it is missing.
    """
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
            f"{listed(keys)}."
            if keys
            else f"{source}: found no {word}, expected at least one."
        )
    if key not in keys:
        raise MatrixFileError(no_key(source, word, key, keys))
    return key
