"""Sums over the members of sets: inputs where a neuron is active or a concept present."""

from collections.abc import Callable

import torch
from torch import Tensor

from neuron_eval.functional import _columns


def member_sums(
    sets: Tensor,
    rows: Tensor,
    weights: Tensor | None,
    memory_budget: int,
    change: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Sum every row over the members of every set, weighted.

    On a CPU only members are visited, which beats a matrix product where sets hold less than a
    third of the inputs.

    Parameters
    ----------
    sets : Tensor, shape (n_sets, n_inputs), bool
        The sets.
    rows : Tensor, shape (n_rows, n_inputs)
        What is summed.
    weights : Tensor, shape (n_inputs,), float64, or None
        Sample weights.
    memory_budget : int
        Bytes that the metric may use.
    change : callable, optional
        What is done to the values, float64, before; must leave its argument as it is.

    Returns
    -------
    Tensor, shape (n_sets, n_rows), float64
        The sums.
    """
    total = torch.zeros((len(sets), len(rows)), dtype=torch.float64, device=rows.device)
    add = _add_members if rows.device.type == "cpu" else _add_product
    for tile in _columns.tiles(rows.shape[1], len(sets) + len(rows), memory_budget, rows.device):
        values = rows[:, tile].to(torch.float64)
        if change is not None:
            values = change(values)
        if weights is not None:
            values = values * weights[tile]
        add(total, sets[:, tile], values)
    return total


def _add_members(total: Tensor, sets: Tensor, values: Tensor) -> None:
    from neuron_eval.functional import _kernels

    members, by_input = sets.contiguous(), values.T.contiguous()
    _kernels.add_members(members.numpy(), by_input.numpy(), total.numpy())


def _add_product(total: Tensor, sets: Tensor, values: Tensor) -> None:
    total.addmm_(sets.to(torch.float64), values.T)


def reference_sides(
    sets: Tensor, weights: Tensor | None, memory_budget: int
) -> tuple[Tensor, Tensor]:
    """Sum the weights inside and outside reference sets.

    Parameters
    ----------
    sets : Tensor, shape (n_sets, n_inputs), bool
        The sets.
    weights : Tensor, shape (n_inputs,), float64, or None
        Sample weights.
    memory_budget : int
        Bytes that the metric may use.

    Returns
    -------
    inside, outside : Tensor, shape (n_sets,), float64
        The weights; both NaN for a set that is empty or holds every input.
    """
    inside, outside = _columns.both_sides(sets, weights, memory_budget)
    defined = (inside > 0) & (outside > 0)
    return torch.where(defined, inside, torch.nan), torch.where(defined, outside, torch.nan)
