"""Average precision (AUPRC), both ways round.

The step sum over distinct thresholds, as in scikit-learn: with the inputs in decreasing order of
the score, groups of equal scores together, AP = sum over groups of (recall gained) x precision.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuron_eval.binarize import DEFAULT_BINARIZATION, Binarization
from neuron_eval.functional import _columns
from neuron_eval.functional._columns import MEMORY_BUDGET
from neuron_eval.functional._order import tie_groups

# Sets are padded to at most this multiple of the smallest size in their block.
_PADDING = 1.25
# Members that are looked up and sorted at a time: few enough to stay in the cache.
_BLOCK_MEMBERS = 1 << 16


def auprc(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    binarization: Binarization = DEFAULT_BINARIZATION,
    memory_budget: int = MEMORY_BUDGET,
) -> Tensor:
    """Score the average precision of the concept's values in finding the active inputs.

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations.
    concepts : array-like, shape (n_inputs, n_concepts)
        Concept vectors, in [0, 1].
    weights : array-like, shape (n_inputs,), optional
        Non-negative sample weights; a weight of 2 stands for the row twice.
    binarization : Binarization, default TopFraction(0.05)
        How activations become active or not.
    memory_budget : int, default 1 GiB
        Bytes for working copies.

    Returns
    -------
    Tensor, shape (n_neurons, n_concepts), float64
        Scores in [0, 1]; NaN where undefined:
        the neuron is never active.

    Raises
    ------
    InputError
        If an input is invalid.

    References
    ----------
    Oikarinen, Yan, Weng, "Evaluating Neuron Explanations: A Unified Framework with Sanity
    Checks", ICML 2025, arXiv 2506.05774.
    """
    scored = _columns.check(activations, concepts, weights)
    binarize = _columns.binarizer(scored, binarization)
    return _columns.fill(
        scored,
        memory_budget,
        binarize,
        lambda rows: rows,
        lambda sets, values: average_precision(sets, values, scored.weights, memory_budget),
        outer="concepts",
    )


def inverse_auprc(
    activations: Any,
    concepts: Any,
    *,
    weights: Any = None,
    concept_threshold: float = 0.5,
    memory_budget: int = MEMORY_BUDGET,
) -> Tensor:
    """Score the average precision of the activations in finding the inputs with the concept.

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations.
    concepts : array-like, shape (n_inputs, n_concepts)
        Concept vectors, in [0, 1].
    weights : array-like, shape (n_inputs,), optional
        Non-negative sample weights; a weight of 2 stands for the row twice.
    concept_threshold : float, default 0.5
        A concept is present where its value is at least this.
    memory_budget : int, default 1 GiB
        Bytes for working copies.

    Returns
    -------
    Tensor, shape (n_neurons, n_concepts), float64
        Scores in [0, 1]; NaN where undefined:
        the concept is never present.

    Raises
    ------
    InputError
        If an input is invalid.

    References
    ----------
    Oikarinen, Yan, Weng, "Evaluating Neuron Explanations: A Unified Framework with Sanity
    Checks", ICML 2025, arXiv 2506.05774.
    """
    scored = _columns.check(activations, concepts, weights)
    present = _columns.present(concept_threshold)
    return _columns.fill(
        scored,
        memory_budget,
        lambda rows: rows,
        present,
        lambda values, sets: average_precision(sets, values, scored.weights, memory_budget).T,
        outer="neurons",
    )


def average_precision(
    sets: Tensor, scores: Tensor, weights: Tensor | None, memory_budget: int = MEMORY_BUDGET
) -> Tensor:
    """Compute the average precision of every score in finding every set.

    Parameters
    ----------
    sets : Tensor, shape (n_sets, n_inputs), bool
        What is to be found.
    scores : Tensor, shape (n_scores, n_inputs), float64
        Values that should be high inside a set.
    weights : Tensor, shape (n_inputs,), float64, or None
        Sample weights.
    memory_budget : int, default 1 GiB
        Bytes for working copies.

    Returns
    -------
    Tensor, shape (n_sets, n_scores), float64
        Average precision, in [0, 1]; NaN for an empty set.
    """
    if sets.device.type == "cpu":
        found = _by_positions(sets, scores, weights)
    else:
        found = _by_running_sums(sets, scores, weights, memory_budget)
    mass = _columns.sums(sets, weights)
    return found / torch.where(mass > 0, mass, torch.nan)[:, None]


def _by_running_sums(
    sets: Tensor, scores: Tensor, weights: Tensor | None, memory_budget: int
) -> Tensor:
    """Sum gains times precision from running sums over all inputs: few and large operations."""
    n_inputs = scores.shape[1]
    members = sets.T.contiguous()
    width = max(1, memory_budget // (4 * 8 * n_inputs))
    result = torch.empty((sets.shape[0], scores.shape[0]), dtype=torch.float64, device=sets.device)
    for column, row in enumerate(scores):
        order = row.argsort(descending=True)
        ends = tie_groups(row[order][None, :]).last
        each = torch.ones_like(row, dtype=torch.float64) if weights is None else weights[order]
        depth = each.cumsum(dim=0)[ends]
        for start in range(0, sets.shape[0], width):
            block = slice(start, start + width)
            found = (members[order, block] * each[:, None]).cumsum_(dim=0)[ends]
            gained = found.diff(dim=0, prepend=torch.zeros_like(found[:1]))
            result[block, column] = (gained * found).T @ (1 / depth)
    return result


def _by_positions(sets: Tensor, scores: Tensor, weights: Tensor | None) -> Tensor:
    """Sum gains times precision over the members of each set only: a CPU's way.

    Sets of about the same size are handled together, padded with a position behind all inputs.
    """
    mass = None if weights is None else weights.numpy()
    rankings = [_Ranking(row, mass) for row in scores.numpy()]
    n_inputs = scores.shape[1]
    result = np.zeros((sets.shape[0], scores.shape[0]))
    for chosen, members in _padded_members(sets.numpy()):
        for column, ranking in enumerate(rankings):
            places = ranking.place.take(members)
            places.sort(axis=1)
            result[chosen, column] = ranking.sum_of_precision(places, n_inputs)
    return torch.from_numpy(result)


def _padded_members(
    sets: npt.NDArray[np.bool_],
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Yield blocks of sets: their numbers, and their members in rows of equal length."""
    n_inputs = sets.shape[1]
    sizes = np.count_nonzero(sets, axis=1)
    by_size = np.argsort(sizes, kind="stable")
    start = int(np.searchsorted(sizes[by_size], 1))  # an empty set finds nothing
    while start < len(by_size):
        longest = int(sizes[by_size[start]] * _PADDING) + 1
        stop = int(np.searchsorted(sizes[by_size], longest, side="right"))
        stop = min(stop, start + max(1, _BLOCK_MEMBERS // longest))
        chosen = by_size[start:stop]
        members = np.full((len(chosen), sizes[chosen].max()), n_inputs)
        for row, number in zip(members, chosen, strict=True):
            row[: sizes[number]] = np.flatnonzero(sets[number])
        yield chosen, members
        start = stop


class _Ranking:
    """The inputs in decreasing order of one score.

    Attributes
    ----------
    place : ndarray, shape (n_inputs + 1,), int32
        Place of every input, and of the padding, which comes last.
    """

    def __init__(self, row: npt.NDArray[Any], mass: npt.NDArray[np.float64] | None) -> None:
        n_inputs = len(row)
        order = np.argsort(row)[::-1]
        ordered = row[order]
        self.place = np.empty(n_inputs + 1, dtype=np.int32)
        self.place[order] = np.arange(n_inputs)
        self.place[n_inputs] = n_inputs
        last = np.append(ordered[1:] != ordered[:-1], True)
        ends = np.flatnonzero(last)
        # Weights and reciprocal depths by place; the padding has neither weight nor precision.
        self._mass = None if mass is None else np.append(mass[order], 0.0)
        depth = np.arange(1.0, n_inputs + 1) if mass is None else mass[order].cumsum()
        self._group = None
        if len(ends) == n_inputs:
            reciprocal = 1 / depth
        else:
            sizes = np.diff(ends, prepend=-1)
            self._group = np.append(np.repeat(np.arange(len(ends)), sizes), len(ends))
            reciprocal = np.repeat(1 / depth[ends], sizes)
        self._reciprocal = np.append(reciprocal, 0.0)

    def sum_of_precision(
        self, places: npt.NDArray[np.int32], n_inputs: int
    ) -> npt.NDArray[np.float64]:
        """Sum weight times precision over the members of each set.

        Parameters
        ----------
        places : ndarray, shape (n_sets, n_members), int32
            Sorted places of the members.
        n_inputs : int
            Number of inputs; places from here on are padding.

        Returns
        -------
        ndarray, shape (n_sets,), float64
            The sums.
        """
        precision = self._reciprocal.take(places)
        tied = None
        if self._group is not None:
            group = self._group.take(places)
            tied = (group[:, 1:] == group[:, :-1]) & (places[:, 1:] < n_inputs)
            if not tied.any():
                tied = None
        if self._mass is not None:
            return _weighted_sum(self._mass[places], precision, tied)
        # The j-th member is found at depth place + 1 with j members so far.
        summed: npt.NDArray[np.float64] = precision @ np.arange(1.0, places.shape[1] + 1)
        if tied is not None:
            summed += _extra_of_ties(tied, precision)
        return summed


def _weighted_sum(
    gained: npt.NDArray[np.float64],
    precision: npt.NDArray[np.float64],
    tied: npt.NDArray[np.bool_] | None,
) -> npt.NDArray[np.float64]:
    """Sum weight times weight found so far times reciprocal depth."""
    found = gained.cumsum(axis=1)
    if tied is not None:
        # Members that are tied are found together: all count what the last of them counts.
        last = np.ones(gained.shape, dtype=bool)
        np.logical_not(tied, out=last[:, :-1])
        ends = np.flatnonzero(last)
        found = np.repeat(found.ravel()[ends], np.diff(ends, prepend=-1)).reshape(found.shape)
    summed: npt.NDArray[np.float64] = np.einsum("ij,ij,ij->i", gained, found, precision)
    return summed


def _extra_of_ties(
    tied: npt.NDArray[np.bool_], precision: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Sum what tied members gain by being found together.

    Counted one after the other, the r-th of a run (from 0) misses the members behind it; over
    the run that is the sum of all r, times the precision that the run shares.
    """
    rows, columns = np.nonzero(tied)
    flat = rows * precision.shape[1] + columns
    starts = np.append(True, np.diff(flat) != 1)
    run_starts = np.flatnonzero(starts)
    place_in_run = np.arange(len(flat)) - np.repeat(
        run_starts, np.diff(np.append(run_starts, len(flat)))
    )
    gains = (place_in_run + 1) * precision[rows, columns + 1]
    extra: npt.NDArray[np.float64] = np.zeros(len(precision))
    np.add.at(extra, rows, gains)
    return extra
