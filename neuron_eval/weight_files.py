"""Weights of a model from a file: safetensors only, nothing is unpickled."""

import importlib
import os
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from neuron_eval.vision import VisionError, listed


def load_weights(model: nn.Module, path: str | os.PathLike[str]) -> nn.Module:
    """Load a model's weights from a ``.safetensors`` file; pickles are never read.

    Every name and shape must agree. Tied weights may be stored once, as ``safetensors`` does.

    Parameters
    ----------
    model : torch.nn.Module
        The model; its weights are replaced.
    path : path-like
        A ``.safetensors`` file with the state dict of the model.

    Returns
    -------
    torch.nn.Module
        The same model.

    Raises
    ------
    VisionError
        If the file is missing, damaged or of another kind, or if it lacks weights, holds
        unexpected ones or some of another shape. The model is then unchanged.
    """
    source = Path(path)
    if source.suffix != ".safetensors":
        raise VisionError(
            f"{source}: found a {source.suffix or 'file without suffix'}, expected .safetensors; "
            "pickles can run code and are never loaded. Convert the weights where you trust "
            "them: safetensors.torch.save_file(state_dict, 'weights.safetensors')."
        )
    if not source.is_file():
        raise VisionError(f"{source}: no such file, expected weights; correct the path.")
    found = _read_safetensors(source)
    state = model.state_dict(keep_vars=True)
    expected = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    stored = {_memory(expected[name]) for name in found if name in expected}
    missing = [
        name
        for name, tensor in expected.items()
        if name not in found and _memory(tensor) not in stored
    ]
    unexpected = [name for name in found if name not in expected]
    kind = type(model).__name__
    if missing or unexpected:
        raise VisionError(
            f"{source}: does not hold the weights of this {kind}: {len(missing)} missing "
            f"({listed(missing) or 'none'}), {len(unexpected)} unexpected "
            f"({listed(unexpected) or 'none'}); load the file that belongs to the model."
        )
    for name, tensor in found.items():
        if tensor.shape != expected[name].shape:
            raise VisionError(
                f"{source}: {name!r} has shape {tuple(tensor.shape)}, expected "
                f"{tuple(expected[name].shape)} in this {kind}; build the model that the weights "
                "belong to, for example with the same number of classes."
            )
    model.load_state_dict(found, strict=False)
    return model


def _read_safetensors(source: Path) -> dict[str, Tensor]:
    try:
        safetensors = importlib.import_module("safetensors")
        reader = importlib.import_module("safetensors.torch")
    except ImportError as error:
        raise VisionError(
            f"{source}: the package safetensors is not installed; pip install safetensors."
        ) from error
    try:
        tensors: dict[str, Tensor] = reader.load_file(source)
    except (safetensors.SafetensorError, ValueError) as error:
        raise VisionError(
            f"{source}: found a damaged file ({error}), expected .safetensors; copy it again."
        ) from error
    return tensors


def _memory(tensor: Tensor) -> tuple[Any, ...]:
    """Identify tied weights; tensors without memory (empty, on the meta device) are not tied."""
    place = tensor.data_ptr()
    return (place, tensor.shape, tensor.stride()) if place else (id(tensor),)
