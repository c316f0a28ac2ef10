"""Loops over sorted inputs and over the members of sets, compiled by numba.

They serve CPUs; other devices take the same sums from matrix products and running sums. The
modules that call them import them when a metric runs: numba takes a second to import. The compiled
code is cached on disk.
"""

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def pack(bits: Any, words: Any) -> None:
    """Join the bits of float32 values and the numbers of their inputs into sortable words.

    Parameters
    ----------
    bits : ndarray, shape (n_rows, n_inputs), int32
        Float32 values, read as integers.
    words : ndarray, shape (n_rows, n_inputs), int64
        Written: an integer in the order of the values, above the number of the input.
    """
    for r in range(bits.shape[0]):
        for i in range(bits.shape[1]):
            key = np.int64(bits[r, i])
            if key < 0:
                # More negative values have greater bits; -0, the least of all, becomes 0.
                key = -(key & 0x7FFFFFFF)
            words[r, i] = (key << 32) | i


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def unpack(words: Any, order: Any, keys: Any) -> None:
    """Take sorted words apart again.

    Parameters
    ----------
    words : ndarray, shape (n_rows, n_inputs), int64
        Sorted words, from `pack`.
    order : ndarray, shape (n_rows, n_inputs), uint32
        Written: numbers of inputs.
    keys : ndarray, shape (n_rows, n_inputs), int32
        Written: integers in the order of the values, equal where these are.
    """
    for r in range(words.shape[0]):
        for i in range(words.shape[1]):
            order[r, i] = words[r, i] & 0xFFFFFFFF
            keys[r, i] = words[r, i] >> 32


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def midranks(order: Any, keys: Any, mass: Any, ranks: Any) -> None:
    """Write the weight below each value plus half the weight tied with it.

    Parameters
    ----------
    order, keys : ndarray, shape (n_rows, n_inputs)
        As `neuron_eval.functional._order.ascending` returns them.
    mass : ndarray, shape (n_inputs,), float64
        Weights.
    ranks : ndarray, shape (n_rows, n_inputs), float64
        Written.
    """
    n_rows, n_inputs = order.shape
    for r in range(n_rows):
        below = 0.0
        first = 0
        while first < n_inputs:
            reached = below
            behind = first
            while behind < n_inputs and keys[r, behind] == keys[r, first]:
                reached += mass[order[r, behind]]
                behind += 1
            for place in range(first, behind):
                ranks[r, order[r, place]] = (below + reached) / 2
            below = reached
            first = behind


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def sets_of_inputs(members: Any) -> Any:
    """List the sets that each input belongs to.

    Parameters
    ----------
    members : ndarray, shape (n_inputs, n_sets), bool
        At most 65,536 sets.

    Returns
    -------
    starts : ndarray, shape (n_inputs + 1,), uint32
        Input i is in the sets ``sets[starts[i]:starts[i + 1]]``.
    sets : ndarray, uint16
        Numbers of sets.
    """
    n_inputs, n_sets = members.shape
    starts = np.zeros(n_inputs + 1, np.uint32)
    for i in range(n_inputs):
        count = 0
        for s in range(n_sets):
            count += members[i, s]
        starts[i + 1] = starts[i] + count
    sets = np.empty(starts[n_inputs], np.uint16)
    for i in range(n_inputs):
        place = starts[i]
        for s in range(n_sets):
            if members[i, s]:
                sets[place] = s
                place += 1
    return starts, sets


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def average_precision(
    order: Any, keys: Any, mass: Any, starts: Any, sets: Any, result: Any
) -> None:
    """Write the average precision of every row of scores in finding every set.

    One pass over the inputs, the highest score first, with the weight that every set has found so
    far. Tied inputs are found together: their weights are counted before their gains.

    Parameters
    ----------
    order, keys : ndarray, shape (n_rows, n_inputs)
        As `neuron_eval.functional._order.ascending` returns them.
    mass : ndarray, shape (n_inputs,), float64
        Weights.
    starts, sets : ndarray
        As `sets_of_inputs` returns them.
    result : ndarray, shape (n_rows, n_sets), float64
        Written; NaN for an empty set.
    """
    n_rows, n_inputs = order.shape
    n_sets = result.shape[1]
    found = np.empty(n_sets)
    gained = np.empty(n_sets)
    begin = np.empty(n_inputs, np.uint32)
    end = np.empty(n_inputs, np.uint32)
    for r in range(n_rows):
        # Far reads that do not wait for each other, before the loop whose reads would.
        for place in range(n_inputs):
            begin[place] = starts[order[r, place]]
            end[place] = starts[order[r, place] + np.uint32(1)]
        found[:] = 0.0
        gained[:] = 0.0
        depth = 0.0
        first = n_inputs - 1
        while first >= 0:
            behind = first
            while behind >= 0 and keys[r, behind] == keys[r, first]:
                depth += mass[order[r, behind]]
                behind -= 1
            if behind == first - 1:
                weight = mass[order[r, first]]
                gain = weight / depth
                for s in sets[begin[first] : end[first]]:
                    reached = found[s] + weight
                    found[s] = reached
                    gained[s] += gain * reached
            else:
                for place in range(first, behind, -1):
                    weight = mass[order[r, place]]
                    for s in sets[begin[place] : end[place]]:
                        found[s] += weight
                for place in range(first, behind, -1):
                    gain = mass[order[r, place]] / depth
                    for s in sets[begin[place] : end[place]]:
                        gained[s] += gain * found[s]
            first = behind
        for s in range(n_sets):
            # Rounding must not lift a perfect score above 1.
            result[r, s] = min(gained[s] / found[s], 1.0) if found[s] > 0.0 else np.nan


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def add_members(members: Any, values: Any, total: Any) -> None:
    """Add the values of every set's members to its total.

    Parameters
    ----------
    members : ndarray, shape (n_sets, n_inputs), bool
        The sets.
    values : ndarray, shape (n_inputs, n_columns), float64
        Values.
    total : ndarray, shape (n_sets, n_columns), float64
        Increased.
    """
    n_columns = values.shape[1]
    for s in range(members.shape[0]):
        reached = total[s]
        for i in range(members.shape[1]):
            if members[s, i]:
                added = values[i]
                for c in range(n_columns):
                    reached[c] += added[c]
