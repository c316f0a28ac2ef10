"""Batches of probe inputs: of datasets, data loaders, arrays and iterables, in order."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from neuron_eval.errors import NeuronEvalError

#: What a model is called with: one argument, several, or arguments by name.
Batch: TypeAlias = Tensor | Sequence[Tensor] | Mapping[str, Tensor]

#: All inputs at once, a dataset of them, or batches.
Data: TypeAlias = (
    Tensor
    | npt.NDArray[Any]
    | Mapping[str, Tensor]
    | Dataset[Any]
    | DataLoader[Any]
    | Iterable[Batch]
)

_BATCH_SIZE = 64


class DatasetError(NeuronEvalError):
    """A dataset cannot be built, read or put into batches."""


def dataset_length(dataset: Dataset[Any]) -> int:
    """Count the inputs of a dataset.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        The dataset.

    Returns
    -------
    int
        Number of inputs.

    Raises
    ------
    DatasetError
        If the dataset has no length, as an IterableDataset.
    """
    if not isinstance(dataset, Sized):
        raise DatasetError(
            f"data: {type(dataset).__name__} has no length, expected a dataset whose items have "
            "numbers; give a DataLoader of it."
        )
    return len(dataset)


def dataset_batches(
    dataset: Dataset[Any], *, start: int = 0, batch_size: int = _BATCH_SIZE, num_workers: int = 0
) -> Iterator[Batch]:
    """Give the inputs of a dataset in batches, in order and without labels.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        Its items are inputs, or tuples that begin with one; an input is a tensor, an array or a
        mapping of them (``input_ids``, ``attention_mask``, ...).
    start : int, default 0
        The first input that is wanted, in [0, n_inputs].
    batch_size : int, default 64
        Inputs per batch.
    num_workers : int, default 0
        Processes that load items; none but this one if 0.

    Yields
    ------
    Tensor or dict of str to Tensor
        The inputs, stacked; the first dimension counts them.

    Raises
    ------
    DatasetError
        If the dataset has no length, an item is no tensor or the items differ in shape; the
        input is named.
    """
    n_inputs = dataset_length(dataset)
    if not 0 <= start <= n_inputs:
        raise DatasetError(f"start: found {start}, expected a number in [0, {n_inputs}].")
    yield from DataLoader(
        _Inputs(dataset, start, n_inputs),
        batch_size=_checked_batch_size(batch_size),
        num_workers=num_workers,
        collate_fn=_stack,
    )


def data_batches(
    data: Data,
    *,
    labelled: bool | None = None,
    batch_size: int | None = None,
    num_workers: int = 0,
) -> Iterator[Batch]:
    """Give the batches of any data that `record_activations` takes.

    Parameters
    ----------
    data, labelled, batch_size, num_workers
        As in `neuron_eval.activations.record_activations`.

    Yields
    ------
    Tensor, sequence of Tensor or mapping of str to Tensor
        What the model is called with.

    Raises
    ------
    DatasetError
        If the data are of another kind, an option does not apply to them, or it must be said
        whether the batches are labelled.
    """
    whole = isinstance(data, Tensor | np.ndarray | Mapping)
    if num_workers and (whole or not isinstance(data, Dataset)):
        raise DatasetError(
            f"num_workers: found {num_workers}, expected 0; only the items of a Dataset are "
            "loaded by workers."
        )
    if whole or isinstance(data, Dataset):
        if labelled is not None:
            raise DatasetError(
                f"labelled: found {labelled}, expected None; it is for batches, and of a "
                "Dataset's items the first element is the input."
            )
        size = _checked_batch_size(_BATCH_SIZE if batch_size is None else batch_size)
        if isinstance(data, Dataset):
            yield from dataset_batches(data, batch_size=size, num_workers=num_workers)
        else:
            yield from _slices(data, size)
        return
    if batch_size is not None:
        raise DatasetError(
            f"batch_size: found {batch_size}, expected None; the data are in batches already."
        )
    if not isinstance(data, Iterable):
        raise DatasetError(
            f"data: found a {type(data).__name__}, expected a tensor, an array, a Dataset, a "
            "DataLoader or an iterable of batches."
        )
    for batch in data:
        yield _without_labels(batch, labelled, isinstance(data, DataLoader))


class _Inputs(Dataset[Any]):
    """The inputs from one place on, each with its number."""

    def __init__(self, dataset: Dataset[Any], start: int, n_inputs: int) -> None:
        self._dataset = dataset
        self._places = range(start, n_inputs)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> tuple[int, Any]:
        place = self._places[index]
        item = self._dataset[place]
        if isinstance(item, tuple | list) and item:
            item = item[0]
        if isinstance(item, Mapping):
            return place, {name: _tensor(value, place) for name, value in item.items()}
        return place, _tensor(item, place)


def _tensor(value: Any, place: int) -> Tensor:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return torch.from_numpy(value.astype(value.dtype.newbyteorder("=")))
    raise DatasetError(
        f"data: input {place} is a {type(value).__name__}, expected a tensor; give the dataset a "
        "transform, such as default_transform(model_name)."
    )


def _stack(items: list[tuple[int, Any]]) -> Batch:
    first = items[0][1]
    if not isinstance(first, Mapping):
        return _stacked(items)
    for place, item in items:
        if item.keys() != first.keys():
            raise DatasetError(
                f"data: input {place} has the entries {list(item)}, expected {list(first)} as "
                "other inputs have; give all inputs the same entries."
            )
    return {name: _stacked([(place, item[name]) for place, item in items]) for name in first}


def _stacked(items: list[tuple[int, Tensor]]) -> Tensor:
    place, first = items[0]
    for other, value in items:
        if value.shape != first.shape:
            raise DatasetError(
                f"data: input {other} has shape {tuple(value.shape)} and input {place} "
                f"{tuple(first.shape)}, expected one shape; resize, crop or pad them in the "
                "dataset's transform."
            )
    return torch.stack([value for _, value in items])


def _checked_batch_size(batch_size: int) -> int:
    if batch_size < 1:
        raise DatasetError(f"batch_size: found {batch_size}, expected at least 1.")
    return batch_size


def _slices(data: Any, size: int) -> Iterator[Batch]:
    if not isinstance(data, Mapping):
        for start in range(0, _rows("data", data), size):
            yield _block(data, start, size)
        return
    lengths = {name: _rows(name, values) for name, values in data.items()}
    if len(set(lengths.values())) > 1:
        raise DatasetError(f"data: found {lengths} inputs, expected one number of them.")
    for start in range(0, max(lengths.values(), default=0), size):
        yield {name: _block(values, start, size) for name, values in data.items()}


def _rows(name: str, values: Any) -> int:
    numbers = isinstance(values, np.ndarray) and values.dtype.kind in "biuf"
    if not (numbers or isinstance(values, Tensor)) or values.ndim == 0:
        raise DatasetError(
            f"data: {name!r} is a {type(values).__name__}, expected a tensor or an array of "
            "numbers with one row per input; a tokenizer makes tensors with "
            "return_tensors='pt' and padding=True."
        )
    return len(values)


def _block(values: Tensor | npt.NDArray[Any], start: int, size: int) -> Tensor:
    block = values[start : start + size]
    # The copy leaves a memory map alone and has the byte order that torch wants.
    return block if isinstance(block, Tensor) else _tensor(block, start)


def _without_labels(batch: Any, labelled: bool | None, from_loader: bool) -> Batch:
    several = isinstance(batch, tuple | list)
    if labelled:
        if not several or not batch:
            raise DatasetError(
                f"labelled: found a batch that is a {type(batch).__name__}, expected a tuple of "
                "inputs and labels; leave labelled=True out."
            )
        first: Batch = batch[0]
        return first
    if from_loader and labelled is None and several and len(batch) > 1:
        raise DatasetError(
            f"labelled: the DataLoader's batches hold {len(batch)} elements; say labelled=True if "
            "the first one holds the inputs and the rest labels, or labelled=False if all are "
            "arguments of the model."
        )
    whole: Batch = batch
    return whole
