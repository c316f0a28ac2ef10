"""Stratified sampling: groups of inputs alike, each with draws of its own."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from estimation.checks import FloatArray
from estimation.sampling.distributions import check_gamma, prior_influence
from estimation.sampling.draw import Draw, SamplingError, check_budget, included_with_replacement

#: Fewest draws of a stratum: its variance needs two.
FEWEST_DRAWS = 2


@dataclass(frozen=True, eq=False)
class Strata:
    """Strata and the draws that each of them gets.

    Attributes
    ----------
    of_input : ndarray, shape (n_inputs,), int64
        Stratum of every input, 0 to n_strata - 1, by rising size.
    sizes : ndarray, shape (n_strata,), int64
        Inputs in each.
    allocation : ndarray, shape (n_strata,), int64
        Draws of each.
    """

    of_input: NDArray[np.int64]
    sizes: NDArray[np.int64]
    allocation: NDArray[np.int64]

    @property
    def distribution(self) -> FloatArray:
        """Expected number of draws of every input over all draws, shape (n_inputs,)."""
        each = self.allocation / (self.sizes * self.allocation.sum())
        spread: FloatArray = each[self.of_input]
        return spread


def strata_of(
    activation: ArrayLike,
    prior: ArrayLike,
    *,
    n_draws: int,
    n_strata: int = 10,
    by: Literal["influence", "prior"] = "influence",
    edges: Literal["size", "inputs"] = "size",
    allocation: Literal["neyman", "proportional"] = "neyman",
    gamma: float = 0.1,
    replacement: bool = True,
) -> Strata:
    """Divide the inputs into strata and share the draws out among them.

    Parameters
    ----------
    activation : array-like, shape (n_inputs,)
        Activations of the neuron.
    prior : array-like, shape (n_inputs,)
        Concept prior s in [0, 1].
    n_draws : int
        Number of draws, at least two a stratum.
    n_strata : int
        Strata wanted, at least 1. Equal values are never torn apart, and a stratum has at least
        two inputs, so there may be fewer.
    by : {"influence", "prior"}
        What inputs are ordered by: the size |f_i| sqrt(s_i (1 - s_i)) of the Neyman design, or
        s_i itself.
    edges : {"size", "inputs"}
        Whether strata have the same total of what they are ordered by, which keeps the few large
        values of rare concepts apart, or the same number of inputs (quantiles).
    allocation : {"neyman", "proportional"}
        Draws proportional to N_h S_h, S_h the standard deviation of f_i c_i in the stratum as the
        prior expects it, or to the number N_h of inputs.
    gamma : float
        Share, in (0, 1], of the draws that the Neyman allocation gives by N_h alone.
    replacement : bool
        Without replacement a stratum gets at most as many draws as it has inputs.

    Returns
    -------
    Strata

    Raises
    ------
    SamplingError
        When a parameter is out of range, or there are too few draws for the strata, or more draws
        than inputs without replacement.
    EstimationError
        When activations are constant or not finite, or the prior is no probability.

    References
    ----------
    Neyman (1934); Cochran, Sampling Techniques (1977), ch. 5 and 5A, for the allocation and for
    strata of equal total size.
    """
    check_budget(n_draws)
    check_gamma(gamma)
    for name, value, known in (
        ("by", by, ("influence", "prior")),
        ("edges", edges, ("size", "inputs")),
        ("allocation", allocation, ("neyman", "proportional")),
    ):
        if value not in known:
            msg = f"{name}: {value!r} is none of {', '.join(known)}"
            raise SamplingError(msg)
    if n_strata < 1:
        msg = f"n_strata: {n_strata}; give at least 1"
        raise SamplingError(msg)
    influence, probabilities = prior_influence(activation, prior)
    v = probabilities * (1 - probabilities)
    ordered_by = np.abs(influence) * np.sqrt(v) if by == "influence" else probabilities
    of_input = _cut(ordered_by, n_strata, ordered_by if edges == "size" else None)
    sizes = np.bincount(of_input).astype(np.int64)
    fewest = FEWEST_DRAWS * sizes.size
    if n_draws < fewest:
        msg = (
            f"n_draws: {n_draws} draws for {sizes.size} strata of at least {FEWEST_DRAWS}; give "
            f"{fewest} draws, or at most {max(n_draws // FEWEST_DRAWS, 1)} strata"
        )
        raise SamplingError(msg)
    if not replacement and n_draws > of_input.size:
        msg = f"n_draws: {n_draws} inputs without replacement, but there are {of_input.size}"
        raise SamplingError(msg)
    share = sizes / of_input.size
    if allocation == "neyman":
        expected = influence * probabilities
        mean = np.bincount(of_input, expected) / sizes
        spread = np.bincount(of_input, influence**2 * v + (expected - mean[of_input]) ** 2) / sizes
        wanted = sizes * np.sqrt(spread)
        if wanted.sum() > 0:
            share = (1 - gamma) * wanted / wanted.sum() + gamma * share
    most = sizes if not replacement else np.full(sizes.size, n_draws, dtype=np.int64)
    return Strata(of_input, sizes, _share_out(n_draws, share, most))


def draw_stratified(
    activation: ArrayLike,
    prior: ArrayLike,
    *,
    n_draws: int,
    n_strata: int = 10,
    by: Literal["influence", "prior"] = "influence",
    edges: Literal["size", "inputs"] = "size",
    allocation: Literal["neyman", "proportional"] = "neyman",
    gamma: float = 0.1,
    seed: int,
    replacement: bool = True,
) -> Draw:
    """Draw inputs within strata, uniformly in each.

    Parameters
    ----------
    activation : array-like, shape (n_inputs,)
        Activations of the neuron.
    prior : array-like, shape (n_inputs,)
        Concept prior s in [0, 1].
    n_draws : int
        Number of draws.
    n_strata, by, edges, allocation, gamma
        See `strata_of`.
    seed : int
        Seed of the generator.
    replacement : bool
        Whether an input may be drawn more than once.

    Returns
    -------
    Draw
        `source` is the stratum of each draw, so that variances are taken within strata.

    Raises
    ------
    SamplingError, EstimationError
        See `strata_of`.
    """
    strata = strata_of(
        activation,
        prior,
        n_draws=n_draws,
        n_strata=n_strata,
        by=by,
        edges=edges,
        allocation=allocation,
        gamma=gamma,
        replacement=replacement,
    )
    rng = np.random.default_rng(seed)
    members = np.split(
        np.argsort(strata.of_input, kind="stable"), np.cumsum(strata.sizes)[:-1].tolist()
    )
    picked = [
        own[np.floor(rng.random(n) * own.size).astype(np.int64)]
        if replacement
        else rng.permutation(own)[:n]
        for own, n in zip(members, strata.allocation.tolist(), strict=True)
    ]
    indices = np.concatenate(picked).astype(np.int64)
    distribution = strata.distribution
    if replacement:
        included = np.array(
            [
                float(included_with_replacement(np.array(1.0 / size), int(n)))
                for size, n in zip(strata.sizes, strata.allocation, strict=True)
            ]
        )
    else:
        included = strata.allocation / strata.sizes
    inclusion = included[strata.of_input]
    return Draw(
        design="stratified",
        indices=indices,
        probabilities=distribution[indices],
        n_inputs=int(distribution.size),
        seed=seed,
        parameters={
            "n_strata": n_strata,
            "by": by,
            "edges": edges,
            "allocation": allocation,
            "gamma": gamma,
        },
        distribution=distribution,
        source=strata.of_input[indices],
        replacement=replacement,
        inclusion=inclusion,
        own_inclusion=None if replacement else inclusion[indices],
    )


def _cut(values: FloatArray, n_strata: int, mass: FloatArray | None) -> NDArray[np.int64]:
    """Cut inputs, ordered by `values`, into strata of equal mass (of equal number when None)."""
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(np.ones(values.size) if mass is None else mass[order])
    if cumulative[-1] <= 0:
        return np.zeros(values.size, dtype=np.int64)
    at = np.searchsorted(cumulative, cumulative[-1] * np.arange(1, n_strata) / n_strata)
    edges = np.unique(values[order[np.minimum(at, values.size - 1)]])
    # an edge belongs to the stratum above it, and so do all inputs that share its value
    labels = np.searchsorted(edges, values, side="right")
    while True:
        labels = np.unique(labels, return_inverse=True)[1]
        sizes = np.bincount(labels)
        small = np.flatnonzero(sizes < FEWEST_DRAWS)
        if small.size == 0 or sizes.size == 1:
            return labels.astype(np.int64)
        lonely = int(small[-1])
        labels = np.where(labels == lonely, lonely - 1 if lonely > 0 else 1, labels)


def _share_out(n_draws: int, share: FloatArray, most: NDArray[np.int64]) -> NDArray[np.int64]:
    """Round n_draws * share to whole draws, between `FEWEST_DRAWS` and `most`, of the same sum."""
    wanted = n_draws * share
    allocation = np.clip(np.floor(wanted).astype(np.int64), FEWEST_DRAWS, most)
    while allocation.sum() > n_draws:
        surplus = np.where(allocation > FEWEST_DRAWS, allocation - wanted, -np.inf)
        allocation[np.argmax(surplus)] -= 1
    while allocation.sum() < n_draws:
        missing = np.where(allocation < most, wanted - allocation, -np.inf)
        allocation[np.argmax(missing)] += 1
    return allocation
