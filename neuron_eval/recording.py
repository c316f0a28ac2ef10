"""Record activations to memory-mapped files: large datasets, and runs that are interrupted.

A recording is a folder with one ``.npy`` file per layer and ``recording.json``, which says what
is being recorded and how many inputs are done. It grows batch by batch; a run that was cut off is
resumed by the same call, and goes on with the first input that is missing.
"""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from neuron_eval.activations import Batch, Pool, RecordingError, pooled_batches
from neuron_eval.arrays import ArrayInfo, describe_array, load_array

_STATE = "recording.json"
_VERSION = 1


@dataclass(frozen=True)
class Recording:
    """Activations on disk.

    Attributes
    ----------
    folder : pathlib.Path
        Where they are.
    n_inputs : int
        Number of probe inputs.
    files : dict of str to pathlib.Path
        The ``.npy`` file of every layer, shape (n_inputs, n_units), float32.
    n_done : int
        Inputs that are recorded.
    """

    folder: Path
    n_inputs: int
    files: dict[str, Path]
    n_done: int

    @property
    def complete(self) -> bool:
        """Whether all inputs are recorded."""
        return self.n_done == self.n_inputs

    def describe(self) -> dict[str, ArrayInfo]:
        """Describe the files of a complete recording.

        Returns
        -------
        dict of str to ArrayInfo
            Shape, type and checksum per layer.

        Raises
        ------
        RecordingError
            If inputs are missing.
        """
        if not self.complete:
            raise RecordingError(
                f"{self.folder}: {self.n_done} of {self.n_inputs} inputs are recorded; resume it."
            )
        return {layer: describe_array(path) for layer, path in self.files.items()}


def record_to_folder(
    folder: str | os.PathLike[str],
    model: nn.Module,
    layers: Sequence[str],
    batches_from: Callable[[int], Iterable[Batch]],
    n_inputs: int,
    *,
    label: str = "",
    pool: Pool = "avg",
    device: str | torch.device | None = None,
    progress: Callable[[int], None] | None = None,
    repeated: Literal["error", "first", "last"] = "error",
    amp: torch.dtype | None = None,
) -> Recording:
    """Record activations to files, or go on with a recording that was cut off.

    Parameters
    ----------
    folder : path-like
        Where to record; created when missing.
    model : torch.nn.Module
        Any module.
    layers : sequence of str
        Qualified names, or ``"output"``.
    batches_from : callable
        Called with the number of inputs that are done; gives the batches that follow, in an
        order that is the same for every run.
    n_inputs : int
        Number of probe inputs in all.
    label : str, default ""
        What is recorded, for example model and dataset with their versions. A recording is only
        resumed under the label it was begun with.
    pool, device, repeated, amp
        As in `neuron_eval.activations.record_activations`.
    progress : callable, optional
        Called after each batch with the number of inputs done so far, those of earlier runs
        included.

    Returns
    -------
    Recording
        The complete recording.

    Raises
    ------
    RecordingError
        As `record_activations`; and if the folder holds another recording, or the batches do not
        add up to `n_inputs`.
    """
    where = Path(folder)
    if n_inputs < 1:
        raise RecordingError(f"n_inputs: found {n_inputs!r}, expected at least 1.")
    wanted = {
        "version": _VERSION,
        "label": label,
        "layers": list(layers),
        "n_inputs": n_inputs,
        "pool": pool,
        "repeated": repeated,
        "amp": None if amp is None else str(amp),
    }
    state = _read_state(where)
    if state is not None and {key: state.get(key) for key in wanted} != wanted:
        changed = next(key for key in wanted if state.get(key) != wanted[key])
        raise RecordingError(
            f"{where}: holds a recording with {changed} {state.get(changed)!r}, not "
            f"{wanted[changed]!r}; choose another folder, or remove it."
        )
    done = 0 if state is None else int(state["n_done"])
    if done == n_inputs:
        return open_recording(where)
    where.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, np.memmap[Any, Any]] = {}
    pooled_stream = pooled_batches(
        model, layers, batches_from(done), pool=pool, device=device, repeated=repeated, amp=amp
    )
    for pooled in pooled_stream:
        n_batch = len(next(iter(pooled.values())))
        if done + n_batch > n_inputs:
            raise RecordingError(
                f"batches_from: gave more than the {n_inputs} inputs that were announced."
            )
        for place, (layer, values) in enumerate(pooled.items()):
            if layer not in arrays:
                arrays[layer] = _open(where / _file_name(place), n_inputs, values.shape[1], done)
            arrays[layer][done : done + n_batch] = values.numpy()
        # Activations reach the disk before the state that says so: a crash repeats a batch.
        for array in arrays.values():
            array.flush()
        done += n_batch
        _write_state(where, {**wanted, "n_done": done})
        if progress is not None:
            progress(done)
    if done < n_inputs:
        raise RecordingError(
            f"batches_from: gave {done} inputs in all, expected the {n_inputs} announced."
        )
    return open_recording(where)


def open_recording(folder: str | os.PathLike[str]) -> Recording:
    """Open a recording, complete or not.

    Parameters
    ----------
    folder : path-like
        Folder of the recording.

    Returns
    -------
    Recording
        What it holds.

    Raises
    ------
    RecordingError
        If there is no recording.
    """
    where = Path(folder)
    state = _read_state(where)
    if state is None:
        raise RecordingError(f"{where}: found no {_STATE}, expected a recording.")
    files = {layer: where / _file_name(place) for place, layer in enumerate(state["layers"])}
    return Recording(where, int(state["n_inputs"]), files, int(state["n_done"]))


def _file_name(place: int) -> str:
    # Layer names may hold characters that file systems refuse; the state keeps their order.
    return f"layer-{place}.npy"


def _open(path: Path, n_inputs: int, n_units: int, done: int) -> np.memmap[Any, Any]:
    if done == 0:
        return np.lib.format.open_memmap(
            path, mode="w+", dtype=np.float32, shape=(n_inputs, n_units)
        )
    load_array(path, shape=(n_inputs, n_units), dtype=np.float32)
    return np.lib.format.open_memmap(path, mode="r+")


def _read_state(where: Path) -> dict[str, Any] | None:
    path = where / _STATE
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not 0 <= int(state["n_done"]) <= int(state["n_inputs"]):
            raise ValueError("n_done is out of range")  # noqa: TRY301
    except (ValueError, KeyError, TypeError) as error:
        raise RecordingError(
            f"{path}: found a damaged record ({error}); remove the folder and record again."
        ) from error
    return state


def _write_state(where: Path, state: dict[str, Any]) -> None:
    temporary = where / f"{_STATE}.part"
    with temporary.open("w", encoding="utf-8") as stream:
        json.dump(state, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(where / _STATE)
