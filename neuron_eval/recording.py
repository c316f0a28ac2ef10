"""Record activations to memory-mapped files: large datasets, and runs that are interrupted.

A recording is a folder with one ``.npy`` file per layer and ``recording.json``, which says what
is being recorded and how many inputs are done. It grows batch by batch; a run that was cut off is
resumed by the same call, and goes on with the first input that is missing. Until then its files
are shorter than they announce, so nobody takes them for complete.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import nn
from torch.utils.data import Dataset

from neuron_eval.activations import (
    Batch,
    Pool,
    RecordingError,
    Repeated,
    Units,
    layer_list,
    pooled_batches,
)
from neuron_eval.arrays import ArrayInfo, describe_array, sync_folder
from neuron_eval.batches import dataset_batches, dataset_length
from neuron_eval.row_files import DType, check_dtype, converted, end_of_rows, rows_file, sync

_STATE = "recording.json"

_VERSION = 1

# What a recording had before it could be chosen.
_BEFORE = {"units": "auto", "parts": {}, "token_mask": "attention_mask", "dtype": "float32"}


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
        The ``.npy`` file of every layer, shape (n_inputs, n_units), float32 or float16.
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
    layers: str | Sequence[str],
    batches_from: Callable[[int], Iterable[Batch]],
    n_inputs: int,
    *,
    label: str = "",
    dtype: DType = "float32",
    pool: Pool = "avg",
    units: Units = "auto",
    parts: Mapping[str, str | int] | None = None,
    token_mask: str | None = "attention_mask",  # noqa: S107
    labelled: bool | None = None,
    device: str | torch.device | None = None,
    progress: Callable[[int], None] | None = None,
    repeated: Repeated = "error",
    amp: torch.dtype | None = None,
) -> Recording:
    """Record activations to files, or go on with a recording that was cut off.

    Parameters
    ----------
    folder : path-like
        Where to record; created when missing.
    model : torch.nn.Module
        Any module.
    layers : str or sequence of str
        Qualified names, or ``"output"``.
    batches_from : callable
        Called with the number of inputs that are done; gives the batches that follow, in an
        order that is the same for every run.
    n_inputs : int
        Number of probe inputs in all.
    label : str, default ""
        What is recorded, for example model and dataset with their versions. A recording is only
        resumed under the label it was begun with.
    dtype : {"float32", "float16"}, default "float32"
        Type on disk. float16 takes half the space and keeps three digits.
    pool, units, parts, token_mask, labelled, device, repeated, amp
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
        As `record_activations`; and if the folder holds another recording or files that are none,
        the batches do not add up to `n_inputs`, or a value is too large for float16.

    Notes
    -----
    A process may be killed at any moment: activations reach the disk before the record that
    counts them, so the next run repeats a batch at most. With batches of the same sizes its
    result equals that of an uninterrupted run bit for bit. One process at a time may record to a
    folder.
    """
    where = Path(folder)
    if n_inputs < 1:
        raise RecordingError(f"n_inputs: found {n_inputs!r}, expected at least 1.")
    check_dtype(dtype)
    names = layer_list(layers)
    wanted = {
        "version": _VERSION,
        "label": label,
        "layers": names,
        "n_inputs": n_inputs,
        "pool": pool,
        "repeated": repeated,
        "amp": None if amp is None else str(amp),
        "units": units,
        "parts": dict(parts or {}),
        "token_mask": token_mask,
        "dtype": dtype,
    }
    done = _resumed_at(where, wanted)
    if done == n_inputs:
        return open_recording(where)
    stream = pooled_batches(
        model,
        names,
        batches_from(done),
        pool=pool,
        units=units,
        parts=parts,
        token_mask=token_mask,
        labelled=labelled,
        device=device,
        repeated=repeated,
        amp=amp,
    )
    # Closed here, because an error's traceback would keep the hooks on the model.
    with closing(stream), ExitStack() as stack:
        files: dict[str, BinaryIO] = {}
        for pooled in stream:
            n_batch = len(next(iter(pooled.values())))
            if done + n_batch > n_inputs:
                raise RecordingError(
                    f"batches_from: gave more than the {n_inputs} inputs that were announced."
                )
            rows = {
                layer: converted(values, dtype, f"layer {layer!r}", done)
                for layer, values in pooled.items()
            }
            if not files:
                # The record comes first: what lies in the folder from now on is known to be ours.
                where.mkdir(parents=True, exist_ok=True)
                _write_state(where, {**wanted, "n_done": done})
                for place, (layer, values) in enumerate(rows.items()):
                    path, shape = where / _file_name(place), (n_inputs, values.shape[1])
                    files[layer] = stack.enter_context(rows_file(path, shape, dtype, done))
            for layer, values in rows.items():
                files[layer].write(values.data)
                sync(files[layer])
            done += n_batch
            _write_state(where, {**wanted, "n_done": done})
            if progress is not None:
                progress(done)
    if done < n_inputs:
        raise RecordingError(
            f"batches_from: gave {done} inputs in all, expected the {n_inputs} announced."
        )
    return open_recording(where)


def record_dataset(
    folder: str | os.PathLike[str],
    model: nn.Module,
    layers: str | Sequence[str],
    dataset: Dataset[Any],
    *,
    batch_size: int = 64,
    num_workers: int = 0,
    **options: Any,
) -> Recording:
    """Record the activations of a dataset to files, or go on with a recording that was cut off.

    Parameters
    ----------
    folder, model, layers
        As in `record_to_folder`.
    dataset : torch.utils.data.Dataset
        The probe dataset; see `neuron_eval.datasets.dataset_batches`.
    batch_size : int, default 64
        Inputs per batch.
    num_workers : int, default 0
        Processes that load inputs.
    **options
        As in `record_to_folder`: label, dtype, pool, device, progress and others.

    Returns
    -------
    Recording
        The complete recording.

    Raises
    ------
    RecordingError
        As `record_to_folder`.
    DatasetError
        If the dataset has no length, or its items cannot be put into batches.
    """

    def batches_from(start: int) -> Iterator[Batch]:
        return dataset_batches(dataset, start=start, batch_size=batch_size, num_workers=num_workers)

    return record_to_folder(folder, model, layers, batches_from, dataset_length(dataset), **options)


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


def _resumed_at(where: Path, wanted: Mapping[str, Any]) -> int:
    """Say how many inputs are done, and check that the folder holds this very recording."""
    state = _read_state(where)
    if state is None:
        if strange := sorted(where.glob(_file_name(0).replace("0", "*"))):
            raise RecordingError(
                f"{strange[0]}: found a file but no {_STATE} beside it, expected an empty folder; "
                "choose another folder, or remove the file."
            )
        return 0
    done = int(state["n_done"])
    if done == 0:
        return 0  # begun, and cut off before the first batch: nothing is lost
    if changed := [key for key in wanted if state.get(key) != wanted[key]]:
        key = changed[0]
        raise RecordingError(
            f"{where}: holds a recording with {key} {state.get(key)!r}, not {wanted[key]!r}; "
            "choose another folder, or remove it."
        )
    for place in range(len(wanted["layers"])):
        end_of_rows(where / _file_name(place), wanted["n_inputs"], wanted["dtype"], done)
    return done


def _read_state(where: Path) -> dict[str, Any] | None:
    path = where / _STATE
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = {**_BEFORE, **json.loads(path.read_text(encoding="utf-8"))}
        if not 0 <= int(state["n_done"]) <= int(state["n_inputs"]):
            raise ValueError("n_done is out of range")  # noqa: TRY301
        list(state["layers"])
    except (ValueError, KeyError, TypeError) as error:
        raise RecordingError(
            f"{path}: found a damaged record ({error}); remove the folder and record again."
        ) from error
    return state


def _write_state(where: Path, state: Mapping[str, Any]) -> None:
    temporary = where / f"{_STATE}.part"
    with temporary.open("w", encoding="utf-8") as stream:
        json.dump(state, stream, indent=1)
        sync(stream)
    temporary.replace(where / _STATE)
    sync_folder(where)
