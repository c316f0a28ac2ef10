"""Run saved activations through an encoder, such as that of a sparse autoencoder."""

import os
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from neuron_eval.activations import (
    RecordingError,
    in_evaluation_mode,
    on_device,
)
from neuron_eval.arrays import load_array, sync_folder
from neuron_eval.row_files import DType, check_dtype, converted, rows_file, sync
from neuron_eval.validation import check_activations


def encode_activations(
    encoder: Callable[[Tensor], Tensor],
    activations: Any,
    *,
    batch_size: int = 4096,
    device: str | torch.device | None = None,
    path: str | os.PathLike[str] | None = None,
    dtype: DType = "float32",
    progress: Callable[[int], None] | None = None,
) -> npt.NDArray[Any]:
    """Run activations through an encoder, such as that of a sparse autoencoder, in blocks.

    Parameters
    ----------
    encoder : torch.nn.Module or callable
        Takes a float32 tensor (block, n_units) and returns one (block, n_latents). A module runs
        in evaluation mode and gets its own mode back.
    activations : Tensor, ndarray or DataFrame, shape (n_inputs, n_units)
        Activations of every unit on every probe input; a memory-mapped file is read by blocks.
    batch_size : int, default 4096
        Inputs per block.
    device : str or torch.device, optional
        Where to run, as in `neuron_eval.activations.record_activations`; a callable that is no
        module must be there already.
    path : path-like, optional
        A ``.npy`` file to write to, block by block. It appears under its name when complete.
    dtype : {"float32", "float16"}, default "float32"
        Type of the latents.
    progress : callable, optional
        Called after each block with the number of inputs done so far.

    Returns
    -------
    ndarray, shape (n_inputs, n_latents)
        The latents; memory-mapped and read-only if `path` is given.

    Raises
    ------
    InputError
        If `activations` are no finite matrix.
    RecordingError
        If the encoder returns anything but one row of latents per input, a value is too large
        for float16, or an option is wrong.
    """
    matrix = check_activations(activations, dtype=None)
    if batch_size < 1:
        raise RecordingError(f"batch_size: found {batch_size}, expected at least 1.")
    check_dtype(dtype)
    target = None if path is None else Path(path)
    if target is not None and target.suffix != ".npy":
        raise RecordingError(f"path: found {str(target)!r}, expected a name that ends in .npy.")
    with closing(_encoded(encoder, matrix, batch_size, device, dtype, progress)) as blocks:
        if target is None:
            return np.concatenate(list(blocks))
        first = next(blocks)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f"{target.name}.part")
        try:
            with rows_file(temporary, (len(matrix), first.shape[1]), dtype, 0) as file:
                file.write(first.data)
                for block in blocks:
                    file.write(block.data)
                sync(file)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    sync_folder(target.parent)
    return load_array(target)


def _encoded(
    encoder: Callable[[Tensor], Tensor],
    matrix: Tensor,
    batch_size: int,
    device: str | torch.device | None,
    dtype: DType,
    progress: Callable[[int], None] | None,
) -> Generator[npt.NDArray[Any], None, None]:
    module = encoder if isinstance(encoder, nn.Module) else nn.Module()
    n_latents = None
    with in_evaluation_mode(module), on_device(module, device) as where:
        for start in range(0, len(matrix), batch_size):
            block = matrix[start : start + batch_size]
            with torch.inference_mode():
                latents = encoder(block.to(where, torch.float32))
            if not isinstance(latents, Tensor) or latents.ndim != 2 or len(latents) != len(block):
                shape = f" of shape {tuple(latents.shape)}" if isinstance(latents, Tensor) else ""
                raise RecordingError(
                    f"encoder: returned a {type(latents).__name__}{shape}, expected a tensor of "
                    f"shape ({len(block)}, n_latents); give a function that returns the latents "
                    "alone, such as lambda x: sae(x)[0]."
                )
            if n_latents not in (None, latents.shape[1]):
                raise RecordingError(
                    f"encoder: returned {latents.shape[1]} latents, expected {n_latents} as before."
                )
            n_latents = latents.shape[1]
            yield converted(latents.float().cpu(), dtype, "the encoder", start)
            if progress is not None:
                progress(start + len(block))
