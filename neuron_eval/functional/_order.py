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


def midranks(rows: Tensor, weights: Tensor | None) -> Tensor:
    """Give every value the weight below it plus half the weight tied with it.

    Parameters
    ----------
    rows : Tensor, shape (n_rows, n_inputs), float
        Values.
    weights : Tensor, shape (n_inputs,), float64, or None
        Sample weights; every weight is 1 when None.

    Returns
    -------
    Tensor, shape (n_rows, n_inputs), float64
        Weighted mid-ranks. Without weights they are the usual mid-ranks (ties share their mean
        rank, counted from 1) minus one half, and exact.
    """
    if rows.device.type == "cpu":
        return _midranks_row_by_row(rows, weights)
    return _midranks_at_once(rows, weights)


def _midranks_row_by_row(rows: Tensor, weights: Tensor | None) -> Tensor:
    """Rank on a CPU, where one row fits the cache and numpy sorts fast."""
    values = rows.numpy()
    mass = None if weights is None else weights.numpy()
    ranks = np.empty(values.shape)
    for row, rank in zip(values, ranks, strict=True):
        order = np.argsort(row)
        starts = np.flatnonzero(_group_starts(row[order]))
        bounds = np.append(starts, len(row))
        if mass is not None:
            bounds = np.append(0.0, mass[order].cumsum())[bounds]
        middle = (bounds[1:] + bounds[:-1]) / 2
        if len(starts) < len(row):
            middle = np.repeat(middle, np.diff(np.append(starts, len(row))))
        rank[order] = middle
    return torch.from_numpy(ranks)


def _group_starts(ordered: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    starts = np.ones(len(ordered), dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=starts[1:])
    return starts


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
