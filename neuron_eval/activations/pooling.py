"""One number per unit: pool the output of a layer over its positions or tokens."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from neuron_eval.activations.options import Pool, RecordingError, Units

# Layers that fix the dimension of their units. Subclasses may transpose, so the type must be exact.
CHANNELS_1D = (nn.Conv1d, nn.ConvTranspose1d, nn.BatchNorm1d, nn.InstanceNorm1d)

_UNITS_SECOND: frozenset[type[nn.Module]] = frozenset(
    {
        *CHANNELS_1D, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d,
        nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm, nn.InstanceNorm2d, nn.InstanceNorm3d,
    }
)  # fmt: skip


def units_are_second(module: nn.Module, ndim: int, units: Units) -> tuple[bool, bool]:
    """Say whether the second dimension holds the units (the last one if not), and if it is sure."""
    if units != "auto":
        return units == "second", True
    if type(module) in _UNITS_SECOND:
        return True, True
    if type(module) in (nn.Linear, nn.LayerNorm) and works_on_last(module):
        return False, True
    return ndim > 3, False


def works_on_last(module: nn.Module) -> bool:
    """Say whether a layer works along the last dimension, whatever is before it.

    Parameters
    ----------
    module : torch.nn.Module
        The layer.

    Returns
    -------
    bool
        True for linear layers, and for layer norms over one dimension.
    """
    return isinstance(module, nn.Linear) or (
        isinstance(module, nn.LayerNorm) and len(module.normalized_shape) == 1
    )


def pool_values(
    layer: str, values: Tensor, pool: Pool, second: bool, mask: Tensor | None
) -> Tensor:
    """Pool the output of a layer.

    Parameters
    ----------
    layer : str
        Name of the layer, for messages.
    values : Tensor, three dimensions or more, float32
        Its output, inputs first.
    pool : {"avg", "max", "token", "last"}
        As in `neuron_eval.activations.record_activations`.
    second : bool
        Whether the second dimension holds the units, else the last one.
    mask : Tensor, shape (n_inputs, n_tokens), bool, or None
        Which tokens are real; all when None.

    Returns
    -------
    Tensor, shape (n_inputs, n_units), float32
        Activations.

    Raises
    ------
    RecordingError
        If the output has no tokens to choose from, or others than the mask.
    """
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


def token_mask_of(keywords: Mapping[str, Tensor], name: str | None, n_inputs: int) -> Tensor | None:
    """Find the mask of real tokens in a batch.

    Parameters
    ----------
    keywords : mapping of str to Tensor
        Keyword arguments of the batch.
    name : str or None
        Which of them is the mask; None for none.
    n_inputs : int
        Number of inputs.

    Returns
    -------
    Tensor, shape (n_inputs, n_tokens), bool, or None
        Which tokens are real; None where the batch has no mask.

    Raises
    ------
    RecordingError
        If it has another shape, other values than 0 and 1, or an input without a real token.
    """
    mask = None if name is None else keywords.get(name)
    if mask is None:
        return None
    real = real_tokens(mask, f"token_mask ({name})")
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


def real_tokens(mask: Tensor, field_name: str) -> Tensor:
    """Check a mask of tokens.

    Parameters
    ----------
    mask : Tensor, shape (n_inputs, n_tokens)
        1 or True for real tokens, 0 for padded ones.
    field_name : str
        What messages call it.

    Returns
    -------
    Tensor, shape (n_inputs, n_tokens), bool
        Which tokens are real.

    Raises
    ------
    RecordingError
        If it has another shape or other values.
    """
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
