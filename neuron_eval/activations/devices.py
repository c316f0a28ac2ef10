"""Run a model somewhere else for a while, and leave it as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from neuron_eval.activations.options import RecordingError


@contextmanager
def in_evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put a model in evaluation mode for a while; every submodule gets its own mode back.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def on_device(model: nn.Module, device: str | torch.device | None) -> Iterator[torch.device]:
    """Put a model on a device for a while.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    device : str or torch.device, optional
        As in `record_activations`.

    Yields
    ------
    torch.device
        Where the model is meanwhile.

    Raises
    ------
    RecordingError
        If there is no such device.
    """
    first = next(iter([*model.parameters(), *model.buffers()]), None)
    home = torch.device("cpu") if first is None else first.device
    target = home if device is None else _device(device)
    if target == home:
        yield home
        return
    try:
        model.to(target)
        yield target
    finally:
        model.to(home)


def _device(device: str | torch.device) -> torch.device:
    """Choose a device that is there."""
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise RecordingError(
            f"device: found {device!r}, expected 'auto', 'cpu', 'cuda', 'cuda:1', 'mps' or "
            "another device of torch."
        ) from error
    n_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if chosen.type == "cuda" and (chosen.index or 0) >= n_devices:
        raise RecordingError(
            f"device: found {str(chosen)!r}, but torch sees {n_devices} CUDA devices here; use "
            "'auto' or 'cpu', or install a CUDA build of torch and its driver."
        )
    if chosen.type == "mps" and not torch.backends.mps.is_available():
        raise RecordingError("device: found 'mps', but torch has none here; use 'auto' or 'cpu'.")
    return chosen
