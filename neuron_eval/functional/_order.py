"""Order statistics of rows: sorting, groups of ties, weighted mid-ranks."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


@dataclass(frozen=True)
class Groups:
    """Groups of equal values in sorted rows, all rows laid end to end.

    Attributes
    ----------
    first : Tensor, shape (n_groups,), int64
        Flat position of the first member of each group.
    last : Tensor, shape (n_groups,), int64
        Flat position of the last member.
    """

    first: Tensor
    last: Tensor

    @property
    def sizes(self) -> Tensor:
        """Number of members of each group."""
        return self.last - self.first + 1


def tie_groups(ordered: Tensor) -> Groups:
    """Find the groups of equal values in sorted rows.

    Parameters
    ----------
    ordered : Tensor, shape (n_rows, n_inputs)
        Sorted rows.

    Returns
    -------
    Groups
        The groups of all rows, row after row; no group spans two rows.
    """
    starts = torch.ones(ordered.shape, dtype=torch.bool, device=ordered.device)
    torch.ne(ordered[:, 1:], ordered[:, :-1], out=starts[:, 1:])
    first = starts.flatten().nonzero().squeeze(1)
    end = torch.tensor([ordered.numel()], device=first.device)
    return Groups(first, torch.cat([first[1:], end]) - 1)


def ascending(rows: Tensor) -> tuple[npt.NDArray[np.uint32], npt.NDArray[Any]]:
    """Sort rows on a CPU.

    Parameters
    ----------
    rows : Tensor, shape (n_rows, n_inputs), float32 or float64
        Values; no NaN.

    Returns
    -------
    order : ndarray, shape (n_rows, n_inputs), uint32
        Inputs in increasing order of the values.
    keys : ndarray, shape (n_rows, n_inputs)
        In this order, numbers that are equal exactly where values are.
    """
    values = rows.numpy()
    if values.dtype != np.float32:
        by_value = np.argsort(values, axis=1)
        return by_value.astype(np.uint32), np.take_along_axis(values, by_value, axis=1)
    # numpy sorts 64-bit words twice as fast as it sorts indirectly.
    from neuron_eval.functional import _kernels

    words = np.empty(values.shape, dtype=np.int64)
    _kernels.pack(values.view(np.int32), words)
    words.sort(axis=1)
    order, keys = np.empty(values.shape, dtype=np.uint32), np.empty(values.shape, dtype=np.int32)
    _kernels.unpack(words, order, keys)
    return order, keys


def rank_type(n_inputs: int, weights: Tensor | None) -> torch.dtype:
    """Return the type of mid-ranks: single precision where it holds every one exactly."""
    return torch.float32 if weights is None and n_inputs <= 1 << 23 else torch.float64


def midranks(rows: Tensor, weights: Tensor | None, dtype: torch.dtype = torch.float64) -> Tensor:
    """Give every value the weight below it plus half the weight tied with it.

    Parameters
    ----------
    rows : Tensor, shape (n_rows, n_inputs), float32 or float64
        Values.
    weights : Tensor, shape (n_inputs,), float64, or None
        Sample weights; every weight is 1 when None.
    dtype : torch.dtype, default torch.float64
        Type of the ranks; see `rank_type`.

    Returns
    -------
    Tensor, shape (n_rows, n_inputs)
        Weighted mid-ranks. Without weights they are the usual mid-ranks (ties share their mean
        rank, counted from 1) minus one half, and exact.
    """
    if rows.device.type == "cpu":
        return _midranks_row_by_row(rows, weights, dtype)
    return _midranks_at_once(rows, weights).to(dtype)


def _midranks_row_by_row(rows: Tensor, weights: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Rank on a CPU, where one row fits the cache."""
    from neuron_eval.functional import _kernels

    mass = torch.ones(rows.shape[1], dtype=torch.float64) if weights is None else weights
    ranks = torch.empty(rows.shape, dtype=dtype)
    _kernels.midranks(*ascending(rows), mass.numpy(), ranks.numpy())
    return ranks


def _midranks_at_once(rows: Tensor, weights: Tensor | None) -> Tensor:
    """Rank all rows together, for devices that want few and large operations."""
    order = rows.argsort(dim=1)
    groups = tie_groups(rows.gather(1, order))
    n_inputs = rows.shape[1]
    if weights is None:
        middle = ((groups.first % n_inputs) + (groups.last % n_inputs) + 1).to(torch.float64) / 2
    else:
        reached = weights[order].cumsum_(dim=1)
        upper = reached.flatten()[groups.last]
        lower = torch.zeros_like(upper)
        # The group before ends where this one begins, unless this one begins a row.
        inner = (groups.first % n_inputs) > 0
        lower[inner] = upper[inner.nonzero().squeeze(1) - 1]
        middle = (lower + upper) / 2
    spread = torch.repeat_interleave(middle, groups.sizes).view(rows.shape)
    return torch.empty_like(spread).scatter_(1, order, spread)
