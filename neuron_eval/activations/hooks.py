"""Watch layers while a model runs, and pool what they return at once."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from neuron_eval.activations.options import Pool, RecordingError, Repeated, Units
from neuron_eval.activations.pooling import (
    CHANNELS_1D,
    pool_values,
    units_are_second,
    works_on_last,
)


@dataclass
class Watch:
    """What the hooks need to know of a batch, and what they saw of it."""

    pool: Pool
    units: Units
    repeated: Repeated
    parts: Mapping[str, str | int]
    n_inputs: int = 0
    mask: Tensor | None = None
    # A layer that cannot be pooled is only an error if that call counts, so errors are kept too.
    calls: dict[str, list[Tensor | RecordingError]] = field(default_factory=dict)
    # Layers whose dimension of units was presumed: their output's shape.
    presumed: dict[str, tuple[int, ...]] = field(default_factory=dict)
    # A layer that speaks against the presumption, for outputs of three dimensions and of more.
    against: dict[bool, str] = field(default_factory=dict)

    def begin(self, n_inputs: int, mask: Tensor | None) -> None:
        """Begin a batch.

        Parameters
        ----------
        n_inputs : int
            Number of its inputs.
        mask : Tensor, shape (n_inputs, n_tokens), bool, or None
            Which tokens are real.
        """
        self.n_inputs, self.mask = n_inputs, mask
        self.calls.clear()
        self.presumed.clear()

    def keep(self, layer: str, module: nn.Module, output: Any) -> None:
        """Pool what a layer returned, and keep it.

        Parameters
        ----------
        layer : str
            Name of the layer.
        module : torch.nn.Module
            The layer.
        output : object
            What it returned.
        """
        calls = self.calls.setdefault(layer, [])
        if calls and self.repeated != "last":
            calls.append(calls[0])  # only their number matters: nothing is pooled in vain
            return
        try:
            calls.append(self._pooled(layer, module, output))
        except RecordingError as error:
            calls.append(error)

    def result(self, layer: str) -> Tensor:
        """Give the activations of a layer on the batch.

        Parameters
        ----------
        layer : str
            Name of the layer.

        Returns
        -------
        Tensor, shape (n_inputs, n_units), float32
            Pooled activations of the call that counts.

        Raises
        ------
        RecordingError
            If the layer never ran, ran too often, or cannot be pooled.
        """
        calls = self.calls.get(layer, [])
        if not calls:
            raise RecordingError(
                f"layers: the model never ran layer {layer!r}; record a layer of its forward pass."
            )
        if len(calls) > 1 and self.repeated == "error":
            raise RecordingError(
                f"layers: the model ran layer {layer!r} {len(calls)} times on one batch; choose "
                "repeated='first' or repeated='last'."
            )
        result = calls[0 if self.repeated == "first" else -1]
        if isinstance(result, RecordingError):
            raise result
        shape = self.presumed.get(layer)
        if shape is not None and (len(shape) == 3) in self.against:
            raise RecordingError(
                f"units: layer {layer!r} has outputs of shape {shape}, and "
                f"{self.against[len(shape) == 3]!r} of this model keeps its units "
                f"{'second' if len(shape) == 3 else 'last'}; which dimension holds the units "
                "cannot be told: choose units='second' or units='last'."
            )
        return result

    def _pooled(self, layer: str, module: nn.Module, output: Any) -> Tensor:
        values = _part(layer, output, self.parts.get(layer))
        if values.ndim < 2 or values.shape[0] != self.n_inputs:
            raise RecordingError(
                f"layers: the output of layer {layer!r} has shape {tuple(values.shape)}, expected "
                f"{self.n_inputs} inputs first and at least one dimension of units."
            )
        self.presumed.pop(layer, None)
        if values.ndim == 2 or self.pool == "none":
            return values.detach().to(torch.float32, copy=True).flatten(start_dim=1)
        second, certain = units_are_second(module, values.ndim, self.units)
        if not certain:
            self.presumed[layer] = tuple(values.shape)
        return pool_values(layer, values.detach().float(), self.pool, second, self.mask)


@contextmanager
def hooked(model: nn.Module, modules: Mapping[str, nn.Module], watch: Watch) -> Iterator[None]:
    """Watch layers for a while; no hook is left behind.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    modules : mapping of str to torch.nn.Module
        Layers by name.
    watch : Watch
        What is told of every call.
    """

    def keep(layer: str) -> Callable[[nn.Module, Any, Any], None]:
        return lambda module, _arguments, output: watch.keep(layer, module, output)

    def look(name: str, n_dims: Callable[[int], bool]) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_module: nn.Module, _arguments: Any, output: Any) -> None:
            if isinstance(output, Tensor) and n_dims(output.ndim):
                watch.against[output.ndim == 3] = name

        return hook

    handles = []
    try:
        for layer, module in modules.items():
            handles.append(module.register_forward_hook(keep(layer)))
        if watch.units == "auto" and watch.pool != "none":
            # A convolution over (inputs, units, positions) makes three dimensions ambiguous, a
            # layer over (inputs, height, width, units) makes four and more ambiguous.
            for name, module in model.named_modules():
                if isinstance(module, CHANNELS_1D):
                    handles.append(module.register_forward_hook(look(name, lambda n: n == 3)))
                elif works_on_last(module):
                    handles.append(module.register_forward_hook(look(name, lambda n: n > 3)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _part(layer: str, output: Any, part: str | int | None) -> Tensor:
    if part is not None:
        try:
            output = output[part]
        except (KeyError, IndexError, TypeError) as error:
            raise RecordingError(
                f"parts: the output of layer {layer!r}, a {type(output).__name__}, has no part "
                f"{part!r}{_part_names(output)}."
            ) from error
    elif isinstance(output, tuple | list) and output:
        output = output[0]  # transformer blocks return (hidden states, ...)
    if not isinstance(output, Tensor):
        raise RecordingError(
            f"layers: the output of layer {layer!r} is a {type(output).__name__}, expected a "
            f"tensor; choose one of its parts with parts={{{layer!r}: ...}}{_part_names(output)}."
        )
    if output.is_nested:
        raise RecordingError(
            f"layers: the output of layer {layer!r} is a nested tensor, expected a plain one; "
            "build the nn.TransformerEncoder with enable_nested_tensor=False."
        )
    return output


def _part_names(output: Any) -> str:
    if isinstance(output, Mapping):
        return f"; it has {', '.join(map(repr, output))}"
    return f"; it has {len(output)}" if isinstance(output, tuple | list) else ""
