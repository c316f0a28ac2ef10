"""Record the activations of any torch module, several layers in one pass.

Layers are named as in ``model.named_modules()``, for example ``"layer4.1.conv2"``; names are
looked up, never evaluated. ``"output"`` is the output of the model itself.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn

Pool = Literal["avg", "max", "none", "token"]
Batch = Tensor | tuple[Tensor, ...]

#: The layer name that means the output of the whole model (a layer of that name goes first).
MODEL_OUTPUT = "output"

_POOLS = ("avg", "max", "none", "token")


class RecordingError(ValueError):
    """A layer, a batch or an option cannot be recorded."""


def record_activations(
    model: nn.Module,
    layers: Sequence[str],
    batches: Iterable[Batch],
    *,
    pool: Pool = "avg",
    device: str | torch.device | None = None,
    progress: Callable[[int], None] | None = None,
    repeated: Literal["error", "first", "last"] = "error",
    amp: torch.dtype | None = None,
) -> dict[str, Tensor]:
    """Run a model over batches of inputs and keep the pooled activations of some layers.

    Parameters
    ----------
    model : torch.nn.Module
        Any module; it runs in evaluation mode, and every submodule gets its own mode back.
    layers : sequence of str
        Qualified names, or ``"output"`` for the output of the model.
    batches : iterable of Tensor or tuple of Tensor
        What the model is called with; a tuple holds several positional arguments. The first
        dimension counts inputs.
    pool : {"avg", "max", "none", "token"}, default "avg"
        How one number per unit is made: mean or maximum over all positions (height and width of
        a convolution, tokens of a transformer); every position a unit of its own; or the first
        token. Outputs of shape (n_inputs, n_units) are kept as they are.
    device : str or torch.device, optional
        Where to run; where the model is when None. The model is moved back afterwards.
    progress : callable, optional
        Called after each batch with the number of inputs done so far.
    repeated : {"error", "first", "last"}, default "error"
        Which call counts when a layer runs more than once per batch (one ReLU that a block uses
        twice): none, the first or the last one.
    amp : torch.dtype, optional
        Run under automatic mixed precision in this type, for example ``torch.bfloat16``.

    Returns
    -------
    dict of str to Tensor, shape (n_inputs, n_units), float32
        Activations of every layer, on the CPU.

    Raises
    ------
    RecordingError
        If a layer does not exist (near matches are listed), is not reached, has an output that
        is no tensor or cannot be pooled, or if there are no batches.
    """
    parts: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    for pooled in pooled_batches(
        model,
        layers,
        batches,
        pool=pool,
        device=device,
        progress=progress,
        repeated=repeated,
        amp=amp,
    ):
        for layer, values in pooled.items():
            parts[layer].append(values)
    return {layer: torch.cat(blocks) for layer, blocks in parts.items()}


def pooled_batches(
    model: nn.Module,
    layers: Sequence[str],
    batches: Iterable[Batch],
    *,
    pool: Pool = "avg",
    device: str | torch.device | None = None,
    progress: Callable[[int], None] | None = None,
    repeated: Literal["error", "first", "last"] = "error",
    amp: torch.dtype | None = None,
) -> Iterator[dict[str, Tensor]]:
    """Yield the pooled activations batch by batch; see `record_activations`.

    Parameters
    ----------
    model, layers, batches, pool, device, progress, repeated, amp
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
    if pool not in _POOLS:
        raise RecordingError(f"pool: found {pool!r}, expected one of {', '.join(_POOLS)}.")
    if isinstance(layers, str) or not layers:
        raise RecordingError(f"layers: found {layers!r}, expected a list of layer names.")
    modules = {layer: find_layer(model, layer) for layer in layers}
    done = 0
    with ExitStack() as stack:
        stack.enter_context(_evaluation_mode(model))
        where = stack.enter_context(_on_device(model, device))
        calls = stack.enter_context(_hooked(modules))
        for batch in batches:
            arguments = batch if isinstance(batch, tuple | list) else (batch,)
            n_inputs = _batch_size(arguments)
            for outputs in calls.values():
                outputs.clear()
            with torch.inference_mode(), _precision(where, amp):
                model(*(argument.to(where) for argument in arguments))
                pooled = {
                    layer: _pooled(layer, _one_call(layer, outputs, repeated), n_inputs, pool)
                    for layer, outputs in calls.items()
                }
            done += n_inputs
            yield {layer: values.clone() for layer, values in pooled.items()}
            if progress is not None:
                progress(done)
    if done == 0:
        raise RecordingError("batches: found none, expected at least one batch of inputs.")


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
    hint = f"near matches: {', '.join(map(repr, near))}" if near else "see model.named_modules()"
    raise RecordingError(
        f"layers: {type(model).__name__} has no layer {layer!r}; {hint}; {MODEL_OUTPUT!r} is the "
        "output of the model."
    )


@contextmanager
def _evaluation_mode(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def _on_device(model: nn.Module, device: str | torch.device | None) -> Iterator[torch.device]:
    first = next(iter([*model.parameters(), *model.buffers()]), None)
    home = torch.device("cpu") if first is None else first.device
    target = home if device is None else torch.device(device)
    if target == home:
        yield home
        return
    model.to(target)
    try:
        yield target
    finally:
        model.to(home)


@contextmanager
def _hooked(modules: dict[str, nn.Module]) -> Iterator[dict[str, list[Any]]]:
    calls: dict[str, list[Any]] = {layer: [] for layer in modules}

    def keep(layer: str) -> Callable[[nn.Module, Any, Any], None]:
        return lambda _module, _arguments, output: calls[layer].append(output)

    handles = [module.register_forward_hook(keep(layer)) for layer, module in modules.items()]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _precision(where: torch.device, amp: torch.dtype | None) -> AbstractContextManager[Any]:
    return nullcontext() if amp is None else torch.autocast(where.type, dtype=amp)


def _batch_size(arguments: Sequence[Any]) -> int:
    for argument in arguments:
        if not isinstance(argument, Tensor):
            raise RecordingError(
                f"batches: found a {type(argument).__name__}, expected a tensor or a tuple of "
                "tensors; leave labels out of what the model is called with."
            )
    if not arguments or arguments[0].ndim == 0 or arguments[0].shape[0] == 0:
        raise RecordingError("batches: found an empty batch, expected at least one input.")
    return int(arguments[0].shape[0])


def _one_call(layer: str, outputs: list[Any], repeated: str) -> Tensor:
    if not outputs:
        raise RecordingError(
            f"layers: the model never ran layer {layer!r}; record a layer of its forward pass."
        )
    if len(outputs) > 1 and repeated == "error":
        raise RecordingError(
            f"layers: the model ran layer {layer!r} {len(outputs)} times on one batch; choose "
            "repeated='first' or repeated='last'."
        )
    output = outputs[0 if repeated == "first" else -1]
    if isinstance(output, tuple | list) and output:
        output = output[0]  # transformer blocks return (hidden states, ...)
    if not isinstance(output, Tensor):
        raise RecordingError(
            f"layers: the output of layer {layer!r} is a {type(output).__name__}, expected a "
            "tensor; record one of its parts."
        )
    return output


def _pooled(layer: str, output: Tensor, n_inputs: int, pool: Pool) -> Tensor:
    if output.ndim < 2 or output.shape[0] != n_inputs:
        raise RecordingError(
            f"layers: the output of layer {layer!r} has shape {tuple(output.shape)}, expected "
            f"{n_inputs} inputs first and at least one dimension of units."
        )
    values = output.detach().float()
    if pool == "token" and values.ndim != 3:
        raise RecordingError(
            f"pool: layer {layer!r} has outputs of shape {tuple(output.shape)}, expected (inputs, "
            "tokens, units) for pool='token'; use 'avg' or 'max'."
        )
    if values.ndim > 2:
        if pool == "none":
            values = values.flatten(start_dim=1)
        elif pool == "token":
            values = values[:, 0]
        else:
            # Convolutions put units second, transformers (inputs, tokens, units) put them last.
            positions = (1,) if values.ndim == 3 else tuple(range(2, values.ndim))
            values = values.mean(dim=positions) if pool == "avg" else values.amax(dim=positions)
    return values.cpu()
