"""Turn activations into "active" and "not active".

Three explicit modes, each a small immutable object that metrics take as ``binarization``:
`TopFraction` (the default), `Threshold` and `AlreadyBinary`.

The tie rule of the top fraction. Let T be the fraction α of the total weight, T = α W, and let
the inputs be taken in decreasing order of activation, inputs with equal activations together, as
one group. Whole groups are marked until the marked weight reaches T. The group that crosses T is
marked too, except when

- it is the column's minimum: inputs at the floor are never active, so a sparse neuron (a ReLU or
  a sparse autoencoder latent that fires on fewer than α N inputs) is marked where it fires and
  nowhere else, and a constant neuron is marked nowhere; or
- more than 2 T would be marked with it, and something is marked without it: a crowd of equal
  values in the middle (the zeros of a signed sparse neuron) is not marked to fill up.

Without ties exactly k = ceil(α N) inputs are marked. The rule looks at values and weights only,
so it depends neither on the order of the rows nor on whether a row is repeated or weighted.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from neuron_eval.validation import (
    InputError,
    check_activations,
    check_fraction,
    check_weights,
)

# α N is computed in floating point: 0.1 * 30 is slightly more than 3, and must still mean 3.
_ROUNDING = 1e-9


class Binarization(Protocol):
    """A rule that marks the active inputs of every neuron."""

    def apply(self, rows: Tensor, weights: Tensor | None) -> Tensor:
        """Mark the active inputs.

        Parameters
        ----------
        rows : Tensor, shape (n_neurons, n_inputs), float
            Activations, one row per neuron.
        weights : Tensor, shape (n_inputs,), float64, or None
            Positive sample weights.

        Returns
        -------
        Tensor, shape (n_neurons, n_inputs), bool
            Where the neuron is active.
        """
        ...


@dataclass(frozen=True)
class TopFraction:
    """Mark the top fraction of the inputs of each neuron; see the module for the tie rule.

    Attributes
    ----------
    alpha : float, default 0.05
        Fraction of the total weight, in (0, 1].
    """

    alpha: float = 0.05

    def __post_init__(self) -> None:
        check_fraction(self.alpha, "alpha")

    def apply(self, rows: Tensor, weights: Tensor | None) -> Tensor:
        """Mark the active inputs; see `Binarization.apply`."""
        if weights is None:
            return _top_rows(rows, self.alpha)
        return _top_weighted_rows(rows, weights, self.alpha)


@dataclass(frozen=True)
class Threshold:
    """Mark the inputs whose activation exceeds a value.

    Attributes
    ----------
    value : float
        Activations strictly above it are active.
    """

    value: float

    def __post_init__(self) -> None:
        if self.value != self.value:
            raise InputError("value: found nan, expected a number to compare activations with.")

    def apply(self, rows: Tensor, weights: Tensor | None) -> Tensor:  # noqa: ARG002
        """Mark the active inputs; see `Binarization.apply`."""
        return rows > self.value


@dataclass(frozen=True)
class AlreadyBinary:
    """Take activations that are 0 or 1 as they are."""

    def apply(self, rows: Tensor, weights: Tensor | None) -> Tensor:  # noqa: ARG002
        """Mark the active inputs; see `Binarization.apply`.

        Raises
        ------
        InputError
            If an activation is neither 0 nor 1.
        """
        active = rows == 1
        other = ~(active | (rows == 0))
        if bool(other.any()):
            neuron, row = (int(index) for index in other.nonzero()[0])
            raise InputError(
                f"activations: found {rows[neuron, row].item():g} on input {row}, expected 0 or "
                "1, because the binarization says that they are already binary; use TopFraction "
                "or Threshold."
            )
        return active


DEFAULT_BINARIZATION = TopFraction()


def binarize_top(activations: Any, alpha: float, *, weights: Any = None) -> Tensor:
    """Mark the top fraction of the inputs of every neuron.

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations.
    alpha : float
        Fraction of the inputs, or of their total weight, in (0, 1].
    weights : array-like, shape (n_inputs,), optional
        Non-negative sample weights.

    Returns
    -------
    Tensor, shape (n_inputs, n_neurons), bool
        True where the neuron is active: exactly ceil(alpha * n_inputs) inputs per neuron unless
        activations are tied at the cutoff; the module explains the tie rule.

    Raises
    ------
    InputError
        If an input is invalid.

    Examples
    --------
    >>> binarize_top([[0.0], [3.0], [0.0], [0.0]], 0.5).squeeze(1).tolist()
    [False, True, False, False]
    """
    return _apply(TopFraction(alpha), activations, weights)


def binarize_threshold(activations: Any, threshold: float) -> Tensor:
    """Mark the inputs whose activation is strictly above a threshold.

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations.
    threshold : float
        The value to exceed.

    Returns
    -------
    Tensor, shape (n_inputs, n_neurons), bool
        True where the neuron is active.

    Raises
    ------
    InputError
        If an input is invalid.
    """
    return _apply(Threshold(threshold), activations, None)


def already_binary(activations: Any) -> Tensor:
    """Read activations that are 0 or 1 as booleans.

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations, every one 0 or 1.

    Returns
    -------
    Tensor, shape (n_inputs, n_neurons), bool
        True where the neuron is active.

    Raises
    ------
    InputError
        If a value is neither 0 nor 1.
    """
    return _apply(AlreadyBinary(), activations, None)


def _apply(rule: Binarization, activations: Any, weights: Any) -> Tensor:
    matrix = check_activations(activations)
    mass = None if weights is None else check_weights(weights, n_inputs=matrix.shape[0])
    if mass is None:
        return rule.apply(matrix.T.contiguous(), None).T.contiguous()
    # A row of weight 0 is absent: it takes no part in the cutoff and is never active.
    present = mass > 0
    marked = torch.zeros(matrix.shape, dtype=torch.bool, device=matrix.device)
    marked[present] = rule.apply(matrix[present].T.contiguous(), mass[present]).T
    return marked


def _top_rows(rows: Tensor, alpha: float) -> Tensor:
    n_inputs = rows.shape[1]
    target = alpha * n_inputs
    k = min(n_inputs, max(1, math.ceil(target * (1 - _ROUNDING))))
    cutoff = _kth_largest(rows, k)
    marked = rows >= cutoff
    # Exactly k above the minimum is the rule without ties; only the other rows need more.
    count = _count(marked)
    tied = ((count != k) | (cutoff <= rows.amin(dim=1, keepdim=True)))[:, 0].nonzero()[:, 0]
    if len(tied):
        group, above = marked[tied], rows[tied] > cutoff[tied]
        whole = _takes_group(rows[tied], cutoff[tied], count[tied], _count(above), target)
        marked[tied] = torch.where(whole, group, above)
    return marked


def _kth_largest(rows: Tensor, k: int) -> Tensor:
    if rows.device.type == "cpu":
        # numpy partitions with vector instructions, several times as fast as torch.
        place = rows.shape[1] - k
        parted = np.partition(rows.numpy(), place, axis=1)
        return torch.from_numpy(parted[:, place : place + 1].copy())
    return rows.topk(k, dim=1, sorted=False).values.amin(dim=1, keepdim=True)


def _count(marked: Tensor) -> Tensor:
    if marked.device.type == "cpu":
        return torch.from_numpy(np.count_nonzero(marked.numpy(), axis=1, keepdims=True))
    return marked.sum(dim=1, keepdim=True)


def _top_weighted_rows(rows: Tensor, weights: Tensor, alpha: float) -> Tensor:
    target = alpha * float(weights.sum())
    order = rows.argsort(dim=1, descending=True)
    reached = weights[order].cumsum(dim=1) >= target * (1 - _ROUNDING)
    # argmax gives the first True; rounding must not leave a row of α = 1 without any.
    reached[:, -1] = True
    position = reached.to(torch.uint8).argmax(dim=1, keepdim=True)
    cutoff = rows.gather(1, order.gather(1, position))
    above = rows > cutoff
    at_least = rows >= cutoff
    with_group = (at_least * weights).sum(dim=1, keepdim=True)
    without_group = (above * weights).sum(dim=1, keepdim=True)
    whole = _takes_group(rows, cutoff, with_group, without_group, target)
    return torch.where(whole, at_least, above)


def _takes_group(
    rows: Tensor, cutoff: Tensor, with_group: Tensor, without_group: Tensor, target: float
) -> Tensor:
    floor = rows.amin(dim=1, keepdim=True)
    fits = with_group <= 2 * target * (1 + _ROUNDING)
    return (cutoff > floor) & (fits | (without_group == 0))
