"""Record the activations of any torch module, several layers in one pass.

Layers are named as in ``model.named_modules()``, for example ``"layer4.1.conv2"``; names are
looked up, never evaluated. ``"output"`` is the output of the model itself. `layer_names` lists
them all.
"""

import difflib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy.typing as npt
import torch
from torch import Tensor, nn

from neuron_eval.datasets import Batch as Batch
from neuron_eval.datasets import Data as Data
from neuron_eval.datasets import DatasetError, data_batches
from neuron_eval.errors import NeuronEvalError

Pool = Literal["avg", "max", "none", "token", "last"]
Units = Literal["auto", "second", "last"]
Repeated = Literal["error", "first", "last"]

#: The layer name that means the output of the whole model (a layer of that name goes first).
MODEL_OUTPUT = "output"

_POOLS = ("avg", "max", "none", "token", "last")
_UNITS = ("auto", "second", "last")
_REPEATED = ("error", "first", "last")

# Layers that fix the dimension of their units. Subclasses may transpose, so the type must be exact.
_CHANNELS_1D = (nn.Conv1d, nn.ConvTranspose1d, nn.BatchNorm1d, nn.InstanceNorm1d)
_UNITS_SECOND: frozenset[type[nn.Module]] = frozenset(
    {
        *_CHANNELS_1D, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d,
        nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm, nn.InstanceNorm2d, nn.InstanceNorm3d,
    }
)  # fmt: skip


class RecordingError(NeuronEvalError):
    """A layer, a batch or an option cannot be recorded."""


def record_activations(
    model: nn.Module,
    layers: str | Sequence[str],
    data: Data,
    *,
    pool: Pool = "avg",
    units: Units = "auto",
    parts: Mapping[str, str | int] | None = None,
    token_mask: str | None = "attention_mask",  # noqa: S107
    labelled: bool | None = None,
    batch_size: int | None = None,
    num_workers: int = 0,
    device: str | torch.device | None = None,
    progress: Callable[[int], None] | None = None,
    repeated: Repeated = "error",
    amp: torch.dtype | None = None,
) -> dict[str, Tensor]:
    """Run a model over a dataset and keep the pooled activations of some layers.

    Parameters
    ----------
    model : torch.nn.Module
        Any module; it runs in evaluation mode, and every submodule gets its own mode back.
    layers : str or sequence of str
        Qualified names, or ``"output"`` for the output of the model.
    data : Tensor, ndarray, mapping of tensors, Dataset, DataLoader or iterable of batches
        The probe inputs; the first dimension counts them. A tensor, an array or a mapping holds
        all inputs; of every item of a Dataset the first element is the input. A batch is a
        tensor, a tuple of the positional arguments of the model, or a mapping of its keyword
        arguments (``input_ids``, ``attention_mask``, ...).
    pool : {"avg", "max", "none", "token", "last"}, default "avg"
        How one number per unit is made: mean or maximum over all positions (height and width of
        a convolution, tokens of a transformer); every position a unit of its own, padded ones
        too; the first token (the class token of a vision transformer); or the last token (causal
        language models). Outputs of shape (n_inputs, n_units) are kept as they are.
    units : {"auto", "second", "last"}, default "auto"
        Which dimension of outputs with three dimensions or more holds the units. "auto" is the
        last of (inputs, tokens, units) and the second of (inputs, units, height, width); where
        the model also has layers of the other kind, as Swin and ConvNeXt, it is an error.
    parts : mapping of str to str or int, optional
        For layers whose output is a mapping or a tuple: which part to keep, for example
        ``{"output": "last_hidden_state"}``. Of a tuple, the first one if not given.
    token_mask : str or None, default "attention_mask"
        The entry of mapping batches that marks real tokens, (n_inputs, n_tokens), 0 or 1. Where
        it is there, "avg" and "max" leave padded tokens out, "token" is the first real token and
        "last" the last one, whichever side is padded. None pools over all tokens.
    labelled : bool, optional
        Whether batches are tuples of inputs and labels, as a DataLoader of a labelled dataset
        makes them: if True, the model is called with the first element alone. Must be said for a
        DataLoader whose batches hold several elements; an iterable's tuples are all arguments.
    batch_size : int, optional
        Inputs per batch, 64 when None, where the data are not in batches already.
    num_workers : int, default 0
        Processes that load the items of a Dataset.
    device : str or torch.device, optional
        Where to run; where the model is when None. "auto" is CUDA, else MPS, else the CPU. The
        model is moved back afterwards.
    progress : callable, optional
        Called after each batch with the number of inputs done so far.
    repeated : {"error", "first", "last"}, default "error"
        Which call counts when a layer runs more than once per batch (one ReLU that a block uses
        twice): none, the first or the last one.
    amp : torch.dtype, optional
        Run under automatic mixed precision: ``torch.bfloat16`` or ``torch.float16``.

    Returns
    -------
    dict of str to Tensor, shape (n_inputs, n_units), float32
        Activations of every layer, on the CPU; a dict for a single layer too.

    Raises
    ------
    RecordingError
        If a layer does not exist (near matches are listed), is not reached, has an output that
        is no tensor or cannot be pooled, if an option is unknown, or if there are no inputs.

    Notes
    -----
    Activations are pooled when the layer returns, so later operations that work in place on its
    output do not change them. Padding is only seen in mapping batches. Modules that put tokens
    before inputs (``batch_first=False``) cannot be recorded.
    """
    blocks: dict[str, list[Tensor]] = {}
    for pooled in pooled_batches(
        model,
        layers,
        data,
        pool=pool,
        units=units,
        parts=parts,
        token_mask=token_mask,
        labelled=labelled,
        batch_size=batch_size,
        num_workers=num_workers,
        device=device,
        progress=progress,
        repeated=repeated,
        amp=amp,
    ):
        for layer, values in pooled.items():
            blocks.setdefault(layer, []).append(values)
    return {layer: torch.cat(values) for layer, values in blocks.items()}


def pooled_batches(
    model: nn.Module,
    layers: str | Sequence[str],
    data: Data,
    *,
    pool: Pool = "avg",
    units: Units = "auto",
    parts: Mapping[str, str | int] | None = None,
    token_mask: str | None = "attention_mask",  # noqa: S107
    labelled: bool | None = None,
    batch_size: int | None = None,
    num_workers: int = 0,
    device: str | torch.device | None = None,
    progress: Callable[[int], None] | None = None,
    repeated: Repeated = "error",
    amp: torch.dtype | None = None,
) -> Generator[dict[str, Tensor], None, None]:
    """Yield the pooled activations batch by batch; see `record_activations`.

    Parameters
    ----------
    model, layers, data, pool, units, parts, token_mask, labelled, batch_size, num_workers, device
        As in `record_activations`.
    progress, repeated, amp
        As in `record_activations`.

    Yields
    ------
    dict of str to Tensor, shape (batch, n_units), float32
        Activations of every layer, on the CPU.

    Raises
    ------
    RecordingError
        As `record_activations`.
    """
    names = layer_list(layers)
    _check_options(pool, units, repeated, amp, parts or {}, names)
    watch = _Watch(pool, units, repeated, parts or {})
    modules = {layer: find_layer(model, layer) for layer in names}
    n_units: dict[str, int] = {}
    done = 0
    with ExitStack() as stack:
        stack.enter_context(in_evaluation_mode(model))
        where = stack.enter_context(on_device(model, device))
        stack.enter_context(_hooked(model, modules, watch))
        for batch in _data_batches(data, labelled, batch_size, num_workers):
            arguments, keywords = _arguments(batch)
            n_inputs = _batch_size([*arguments, *keywords.values()])
            with torch.inference_mode(), _precision(where, amp):
                arguments = [argument.to(where) for argument in arguments]
                keywords = {name: value.to(where) for name, value in keywords.items()}
                watch.begin(n_inputs, _token_mask(keywords, token_mask, n_inputs))
                model(*arguments, **keywords)
                pooled = {layer: watch.result(layer).cpu() for layer in modules}
            for layer, values in pooled.items():
                if n_units.setdefault(layer, values.shape[1]) != values.shape[1]:
                    raise RecordingError(
                        f"layers: layer {layer!r} has {values.shape[1]} units in this batch and "
                        f"had {n_units[layer]} before; bring all inputs to one size, or pool."
                    )
            done += n_inputs
            # Tensors made in inference mode cannot be used in training; their copies can.
            yield {layer: values.clone() for layer, values in pooled.items()}
            if progress is not None:
                progress(done)
    if done == 0:
        raise RecordingError("data: found no batches, expected at least one input.")


def find_layer(model: nn.Module, layer: str) -> nn.Module:
    """Look a layer up by its qualified name.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    layer : str
        A name of ``model.named_modules()``, or ``"output"`` for the model itself.

    Returns
    -------
    torch.nn.Module
        The layer.

    Raises
    ------
    RecordingError
        If there is none of this name; near matches are listed.
    """
    modules: dict[str, nn.Module] = dict(model.named_modules())
    del modules[""]
    if layer in modules:
        return modules[layer]
    if layer == MODEL_OUTPUT:
        return model
    near = difflib.get_close_matches(layer, [*modules, MODEL_OUTPUT], n=3, cutoff=0.4)
    hint = f"near matches: {', '.join(map(repr, near))}" if near else "see layer_names(model)"
    raise RecordingError(
        f"layers: {type(model).__name__} has no layer {layer!r}; {hint}; {MODEL_OUTPUT!r} is the "
        "output of the model."
    )


def layer_names(model: nn.Module) -> list[tuple[str, str]]:
    """List every layer that can be recorded.

    Parameters
    ----------
    model : torch.nn.Module
        The model.

    Returns
    -------
    list of tuple of str
        Name and type of every layer, in the order of the model; ``"output"`` last.
    """
    names = [(name, type(module).__name__) for name, module in model.named_modules() if name]
    if MODEL_OUTPUT not in dict(names):
        names.append((MODEL_OUTPUT, type(model).__name__))
    return names


def layer_list(layers: str | Sequence[str]) -> list[str]:
    """Make a list of layer names of one name or several.

    Parameters
    ----------
    layers : str or sequence of str
        One name, or several.

    Returns
    -------
    list of str
        The names.

    Raises
    ------
    RecordingError
        If there is none, or one is given twice.
    """
    names = [layers] if isinstance(layers, str) else list(layers)
    if not names:
        raise RecordingError("layers: found none, expected at least one layer name.")
    for name in names:
        if names.count(name) > 1:
            raise RecordingError(f"layers: {name!r} is given twice; name every layer once.")
    return names


def flatten_tokens(
    hidden_states: Tensor | npt.NDArray[Any], mask: Tensor | npt.NDArray[Any] | None = None
) -> tuple[Tensor, Tensor]:
    """Make every token a probe input of its own.

    For studies of language models, where the probe input is a token in its context. The arrays
    may be hidden states of a transformer or latents of a sparse autoencoder.

    Parameters
    ----------
    hidden_states : Tensor or ndarray, shape (n_inputs, n_tokens, n_units)
        Activations of every token. A recording with ``pool="none"`` becomes this with
        ``reshape(n_inputs, n_tokens, -1)``.
    mask : Tensor or ndarray, shape (n_inputs, n_tokens), optional
        1 (or True) for real tokens, 0 for padded ones, which are left out; all are real if None.

    Returns
    -------
    activations : Tensor, shape (n_rows, n_units)
        One row per real token, inputs in order, tokens in order; the type is that of the input.
    index : Tensor, shape (n_rows, 2), int64
        Input and token (its place among all tokens, padded ones included) of every row.

    Raises
    ------
    RecordingError
        If the shapes do not fit, the mask holds other values, or no token is real.
    """
    states = torch.as_tensor(hidden_states)
    if states.ndim != 3:
        raise RecordingError(
            f"hidden_states: found shape {tuple(states.shape)}, expected (n_inputs, n_tokens, "
            "n_units); reshape it."
        )
    if mask is None:
        real = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
    else:
        real = _real_tokens(torch.as_tensor(mask, device=states.device), "mask")
    if real.shape != states.shape[:2]:
        raise RecordingError(
            f"mask: found shape {tuple(real.shape)}, expected {tuple(states.shape[:2])}, one "
            "entry per token."
        )
    if not bool(real.any()):
        raise RecordingError("mask: found no real token, expected at least one 1.")
    return states[real], real.nonzero()


@dataclass
class _Watch:
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
        self.n_inputs, self.mask = n_inputs, mask
        self.calls.clear()
        self.presumed.clear()

    def keep(self, layer: str, module: nn.Module, output: Any) -> None:
        calls = self.calls.setdefault(layer, [])
        if calls and self.repeated != "last":
            calls.append(calls[0])  # only their number matters: nothing is pooled in vain
            return
        try:
            calls.append(self._pooled(layer, module, output))
        except RecordingError as error:
            calls.append(error)

    def result(self, layer: str) -> Tensor:
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
        second, certain = _units_are_second(module, values.ndim, self.units)
        if not certain:
            self.presumed[layer] = tuple(values.shape)
        return _pooled(layer, values.detach().float(), self.pool, second, self.mask)


def _units_are_second(module: nn.Module, ndim: int, units: Units) -> tuple[bool, bool]:
    """Say whether the second dimension holds the units (the last one if not), and if it is sure."""
    if units != "auto":
        return units == "second", True
    if type(module) in _UNITS_SECOND:
        return True, True
    if type(module) in (nn.Linear, nn.LayerNorm) and _works_on_last(module):
        return False, True
    return ndim > 3, False


def _works_on_last(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or (
        isinstance(module, nn.LayerNorm) and len(module.normalized_shape) == 1
    )


def _pooled(layer: str, values: Tensor, pool: Pool, second: bool, mask: Tensor | None) -> Tensor:
    shape = tuple(values.shape)
    if values.ndim > 3 and (pool in ("token", "last") or mask is not None):
        found = f"pool={pool!r}" if mask is None else "a token mask"
        raise RecordingError(
            f"pool: layer {layer!r} has outputs of shape {shape}, expected (inputs, tokens, "
            f"units) for {found}; use 'avg' or 'max' and token_mask=None."
        )
    if mask is None and pool in ("avg", "max"):
        positions = list(range(2, values.ndim) if second else range(1, values.ndim - 1))
        return values.mean(dim=positions) if pool == "avg" else values.amax(dim=positions)
    tokens = values.transpose(1, 2) if second else values
    if mask is None:
        return tokens[:, 0 if pool == "token" else -1].clone()
    if mask.shape != tokens.shape[:2]:
        raise RecordingError(
            f"token_mask: layer {layer!r} has outputs of shape {shape}, expected the "
            f"{mask.shape[1]} tokens of the mask; pool over all positions with token_mask=None."
        )
    return _masked(tokens, pool, mask)


def _masked(tokens: Tensor, pool: Pool, mask: Tensor) -> Tensor:
    if pool in ("token", "last"):
        places = torch.arange(mask.shape[1], device=mask.device).expand(mask.shape)
        if pool == "token":
            chosen = places.masked_fill(~mask, mask.shape[1]).amin(dim=1)
        else:
            chosen = places.masked_fill(~mask, -1).amax(dim=1)
        return tokens[torch.arange(len(tokens), device=tokens.device), chosen]
    if pool == "max":
        return tokens.masked_fill(~mask[:, :, None], -torch.inf).amax(dim=1)
    # Filled, not multiplied: padded tokens may hold NaN, and NaN times 0 is NaN.
    return tokens.masked_fill(~mask[:, :, None], 0).sum(dim=1) / mask.sum(dim=1, keepdim=True)


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


@contextmanager
def _hooked(model: nn.Module, modules: Mapping[str, nn.Module], watch: _Watch) -> Iterator[None]:
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
                if isinstance(module, _CHANNELS_1D):
                    handles.append(module.register_forward_hook(look(name, lambda n: n == 3)))
                elif _works_on_last(module):
                    handles.append(module.register_forward_hook(look(name, lambda n: n > 3)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _precision(where: torch.device, amp: torch.dtype | None) -> AbstractContextManager[Any]:
    return nullcontext() if amp is None else torch.autocast(where.type, dtype=amp)


def _check_options(
    pool: str,
    units: str,
    repeated: str,
    amp: torch.dtype | None,
    parts: Mapping[str, str | int],
    layers: Sequence[str],
) -> None:
    for name, found, known in (
        ("pool", pool, _POOLS),
        ("units", units, _UNITS),
        ("repeated", repeated, _REPEATED),
    ):
        if found not in known:
            raise RecordingError(f"{name}: found {found!r}, expected one of {', '.join(known)}.")
    if amp not in (None, torch.bfloat16, torch.float16):
        raise RecordingError(f"amp: found {amp!r}, expected torch.bfloat16 or torch.float16.")
    if unknown := [layer for layer in parts if layer not in layers]:
        raise RecordingError(
            f"parts: found layer {unknown[0]!r}, expected one of the layers {list(layers)}."
        )


def _data_batches(
    data: Data, labelled: bool | None, batch_size: int | None, num_workers: int
) -> Iterator[Batch]:
    try:
        yield from data_batches(
            data, labelled=labelled, batch_size=batch_size, num_workers=num_workers
        )
    except DatasetError as error:
        raise RecordingError(str(error)) from error


def _arguments(batch: Batch) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Split a batch into positional and keyword arguments of the model."""
    if isinstance(batch, Mapping):
        arguments: list[Any] = []
        keywords: dict[str, Any] = dict(batch)
    else:
        arguments = list(batch) if isinstance(batch, tuple | list) else [batch]
        keywords = {}
    named = [*((None, value) for value in arguments), *keywords.items()]
    for name, value in named:
        if not isinstance(value, Tensor):
            place = "" if name is None else f" under {name!r}"
            raise RecordingError(
                f"data: found a {type(value).__name__}{place} in a batch, expected a tensor, a "
                "tuple or a mapping of tensors; leave labels out of what the model is called with."
            )
    return arguments, keywords


def _batch_size(values: Sequence[Tensor]) -> int:
    if not values or values[0].ndim == 0 or values[0].shape[0] == 0:
        raise RecordingError("data: found an empty batch, expected at least one input.")
    return int(values[0].shape[0])


def _token_mask(keywords: Mapping[str, Tensor], name: str | None, n_inputs: int) -> Tensor | None:
    mask = None if name is None else keywords.get(name)
    if mask is None:
        return None
    real = _real_tokens(mask, f"token_mask ({name})")
    if len(real) != n_inputs:
        raise RecordingError(
            f"token_mask ({name}): found {len(real)} rows, expected {n_inputs}, one per input."
        )
    if not bool(real.any(dim=1).all()):
        raise RecordingError(
            f"token_mask ({name}): input {int((~real.any(dim=1)).nonzero()[0])} of the batch has "
            "no real token, expected at least one; leave empty texts out."
        )
    return real


def _real_tokens(mask: Tensor, field_name: str) -> Tensor:
    if mask.ndim != 2:
        raise RecordingError(
            f"{field_name}: found shape {tuple(mask.shape)}, expected (n_inputs, n_tokens); a "
            "mask of another kind is passed on with token_mask=None."
        )
    wrong = (mask != 0) & (mask != 1)
    if bool(wrong.any()):
        raise RecordingError(
            f"{field_name}: found the value {mask[wrong][0].item()}, expected 1 for real tokens "
            "and 0 for padded ones."
        )
    return mask == 1
