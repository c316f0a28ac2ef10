"""Tokens as probe inputs, for studies of language models."""

from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from neuron_eval.activations.options import RecordingError
from neuron_eval.activations.pooling import real_tokens


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
        real = real_tokens(torch.as_tensor(mask, device=states.device), "mask")
    if real.shape != states.shape[:2]:
        raise RecordingError(
            f"mask: found shape {tuple(real.shape)}, expected {tuple(states.shape[:2])}, one "
            "entry per token."
        )
    if not bool(real.any()):
        raise RecordingError("mask: found no real token, expected at least one 1.")
    return states[real], real.nonzero()
