"""Run a model over a dataset and keep the pooled activations of some layers."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from neuron_eval.activations.devices import in_evaluation_mode, on_device
from neuron_eval.activations.hooks import Watch, hooked
from neuron_eval.activations.layers import find_layer, layer_list
from neuron_eval.activations.options import Pool, RecordingError, Repeated, Units, check_options
from neuron_eval.activations.pooling import token_mask_of
from neuron_eval.batches import Batch, Data, DatasetError, data_batches


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
    check_options(pool, units, repeated, amp, parts or {}, names)
    watch = Watch(pool, units, repeated, parts or {})
    modules = {layer: find_layer(model, layer) for layer in names}
    n_units: dict[str, int] = {}
    done = 0
    with ExitStack() as stack:
        stack.enter_context(in_evaluation_mode(model))
        where = stack.enter_context(on_device(model, device))
        stack.enter_context(hooked(model, modules, watch))
        for batch in _data_batches(data, labelled, batch_size, num_workers):
            arguments, keywords = _arguments(batch)
            n_inputs = _batch_size([*arguments, *keywords.values()])
            with torch.inference_mode(), _precision(where, amp):
                arguments = [argument.to(where) for argument in arguments]
                keywords = {name: value.to(where) for name, value in keywords.items()}
                watch.begin(n_inputs, token_mask_of(keywords, token_mask, n_inputs))
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


def _precision(where: torch.device, amp: torch.dtype | None) -> AbstractContextManager[Any]:
    return nullcontext() if amp is None else torch.autocast(where.type, dtype=amp)


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
