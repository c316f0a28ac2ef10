"""What can be asked of a recording, and its error."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch

from neuron_eval.errors import NeuronEvalError

Pool = Literal["avg", "max", "none", "token", "last"]

Units = Literal["auto", "second", "last"]

Repeated = Literal["error", "first", "last"]

POOLS = ("avg", "max", "none", "token", "last")

UNITS = ("auto", "second", "last")

REPEATED = ("error", "first", "last")


class RecordingError(NeuronEvalError):
    """A layer, a batch or an option cannot be recorded."""


def check_options(
    pool: str,
    units: str,
    repeated: str,
    amp: torch.dtype | None,
    parts: Mapping[str, str | int],
    layers: Sequence[str],
) -> None:
    """Check the options of a recording.

    Parameters
    ----------
    pool, units, repeated, amp, parts, layers
        As in `neuron_eval.activations.record_activations`.

    Raises
    ------
    RecordingError
        If one is unknown.
    """
    for name, found, known in (
        ("pool", pool, POOLS),
        ("units", units, UNITS),
        ("repeated", repeated, REPEATED),
    ):
        if found not in known:
            raise RecordingError(f"{name}: found {found!r}, expected one of {', '.join(known)}.")
    if amp not in (None, torch.bfloat16, torch.float16):
        raise RecordingError(f"amp: found {amp!r}, expected torch.bfloat16 or torch.float16.")
    if unknown := [layer for layer in parts if layer not in layers]:
        raise RecordingError(
            f"parts: found layer {unknown[0]!r}, expected one of the layers {list(layers)}."
        )
