"""A draw: which inputs were chosen, with what probability, and how to choose them again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimation.checks import EstimationError, FloatArray


class SamplingError(EstimationError):
    """Raised when no sample can be drawn, or a drawn one cannot be weighted."""


@dataclass(frozen=True, eq=False)
class Draw:
    """Inputs drawn with replacement for one (neuron, concept) pair.

    Attributes
    ----------
    design : str
        Name of the sampling design, a key of ``DESIGNS`` (or "pooled").
    indices : ndarray, shape (n_draws,), int64
        Inputs drawn, in order of drawing; an input may be there more than once.
    probabilities : ndarray, shape (n_draws,), float64
        Probability q_i with which each of them is taken in one draw.
    n_inputs : int
        Size N of the probe dataset.
    seed : int
        Seed that the draw came from: same seed, same arguments, same draw.
    parameters : Mapping
        Parameters of the design (plain numbers and strings).
    distribution : ndarray, shape (n_inputs,), float64, or None
        The whole q, needed to pool this draw with others.
    source : ndarray, shape (n_draws,), int64, or None
        For a pooled draw: which of the pooled draws each input came from.
    """

    design: str
    indices: NDArray[np.int64]
    probabilities: FloatArray
    n_inputs: int
    seed: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    distribution: FloatArray | None = None
    source: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if self.indices.shape != self.probabilities.shape or self.indices.ndim != 1:
            msg = (
                f"draw: {self.indices.shape} indices but {self.probabilities.shape} probabilities; "
                "give one probability a drawn input"
            )
            raise SamplingError(msg)
        if self.indices.size == 0:
            msg = "draw: no input was drawn; a study needs a budget of at least one input"
            raise SamplingError(msg)
        if self.indices.min() < 0 or self.indices.max() >= self.n_inputs:
            msg = (
                f"draw: indices span {self.indices.min()} to {self.indices.max()}, but the probe "
                f"dataset has {self.n_inputs} inputs"
            )
            raise SamplingError(msg)
        if not np.all((self.probabilities > 0) & (self.probabilities <= 1)):
            msg = "draw: every drawn input needs a draw probability in (0, 1]"
            raise SamplingError(msg)

    @property
    def n_draws(self) -> int:
        """Number of draws, repeated inputs counted as often as they were drawn."""
        return int(self.indices.size)

    @property
    def weights(self) -> FloatArray:
        """Importance weights w_i = (1/N) / q_i of the drawn inputs, shape (n_draws,).

        Raises
        ------
        SamplingError
            For designs that leave inputs without any chance: no weights make up for that.
        """
        if self.design == "top":
            msg = (
                "draw: the design 'top' never draws inputs outside the top, so it has no importance"
                " weights; use 'top_and_random', 'model_guided', 'neyman' or 'uniform'"
            )
            raise SamplingError(msg)
        return 1.0 / (self.n_inputs * self.probabilities)

    @property
    def unique_indices(self) -> NDArray[np.int64]:
        """The distinct inputs to have rated, sorted."""
        return np.unique(self.indices)


def draw_from(
    distribution: FloatArray,
    n_draws: int,
    *,
    design: str,
    seed: int,
    parameters: Mapping[str, Any] | None = None,
) -> Draw:
    """Draw inputs with replacement from a distribution over all inputs.

    Parameters
    ----------
    distribution : ndarray, shape (n_inputs,), float64
        Draw probabilities q, non-negative, summing to 1.
    n_draws : int
        Number of draws, at least 1.
    design : str
        Name recorded with the draw.
    seed : int
        Seed of the generator.
    parameters : Mapping, optional
        Parameters recorded with the draw.

    Returns
    -------
    Draw

    Raises
    ------
    SamplingError
        When `n_draws` is below 1 or the distribution is not one.
    """
    check_budget(n_draws)
    if np.any(distribution < 0) or not np.isclose(distribution.sum(), 1.0, rtol=0, atol=1e-8):
        msg = f"draw probabilities: negative, or summing to {distribution.sum():g} instead of 1"
        raise SamplingError(msg)
    # inversion of the cumulative sum: the draw then depends on seed and q alone, not on how
    # a numpy version happens to implement Generator.choice
    cumulative = np.cumsum(distribution)
    uniforms = np.random.default_rng(seed).random(n_draws) * cumulative[-1]
    indices = np.searchsorted(cumulative, uniforms, side="right").astype(np.int64)
    np.minimum(indices, distribution.size - 1, out=indices)
    return Draw(
        design=design,
        indices=indices,
        probabilities=distribution[indices],
        n_inputs=int(distribution.size),
        seed=seed,
        parameters=dict(parameters or {}),
        distribution=distribution,
    )


def check_budget(n_draws: int) -> None:
    """Refuse a study with no budget.

    Parameters
    ----------
    n_draws : int
        Number of draws.

    Raises
    ------
    SamplingError
        When it is below 1.
    """
    if n_draws < 1:
        msg = (
            f"n_draws: a study with no budget ({n_draws} draws) rates nothing; "
            "give at least one draw a (neuron, concept) pair"
        )
        raise SamplingError(msg)


def pool_draws(draws: Sequence[Draw]) -> Draw:
    """Pool draws of several neurons for one concept into one weighted sample.

    A rating is about an (input, concept) pair, so inputs drawn for one neuron serve all neurons of
    that concept. The pooled inputs are weighted by the mixture they came from,
    q_mix = sum_k n_k q_k / n (the balance heuristic): (1/n) sum_i h(x_i) / (N q_mix(x_i)) is
    unbiased for the mean of h, and its second moment never exceeds that of any single draw, because
    n q_mix >= n_k q_k everywhere.

    Parameters
    ----------
    draws : sequence of Draw
        Draws over the same probe dataset, each with its `distribution`.

    Returns
    -------
    Draw
        Design "pooled"; `source` says which draw an input came from, so that variances can be
        taken within draws.

    Raises
    ------
    SamplingError
        When there is none, they differ in the probe dataset, or one lacks its distribution.

    References
    ----------
    Veach and Guibas, "Optimally combining sampling techniques for Monte Carlo rendering" (1995),
    the balance heuristic, eq. 11.
    """
    if not draws:
        msg = "draws: nothing to pool; give at least one draw"
        raise SamplingError(msg)
    sizes = {draw.n_inputs for draw in draws}
    if len(sizes) > 1:
        msg = (
            f"draws: made over probe datasets of different sizes {sorted(sizes)}; pool one dataset"
        )
        raise SamplingError(msg)
    n_total = sum(draw.n_draws for draw in draws)
    mixture = np.zeros(draws[0].n_inputs)
    for number, draw in enumerate(draws):
        if draw.distribution is None:
            msg = f"draws[{number}]: has no `distribution`; draw it again from its seed to pool it"
            raise SamplingError(msg)
        mixture += draw.distribution * (draw.n_draws / n_total)
    indices = np.concatenate([draw.indices for draw in draws])
    return Draw(
        design="pooled" if not all(draw.design == "top" for draw in draws) else "top",
        indices=indices,
        probabilities=mixture[indices],
        n_inputs=draws[0].n_inputs,
        seed=draws[0].seed,
        parameters={
            "designs": [draw.design for draw in draws],
            "seeds": [draw.seed for draw in draws],
            "n_draws": [draw.n_draws for draw in draws],
        },
        distribution=mixture,
        source=np.repeat(np.arange(len(draws)), [draw.n_draws for draw in draws]).astype(np.int64),
    )
