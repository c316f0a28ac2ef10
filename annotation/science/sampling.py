"""Samples: which inputs are rated for a (neuron, concept) pair, and with what probability."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from annotation.exceptions import SamplingProblem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from estimation.sampling import Draw as Draw


@dataclass(frozen=True)
class SampledInput:
    """An input that the pooled draws of a concept fell on.

    Attributes
    ----------
    index : int
        Which input.
    n_draws : int
        How many draws fell on it.
    draw_probability : float
        Its chance in one draw, averaged over the draws that were pooled.
    inclusion_probability : float
        The chance that at least one draw falls on it.
    """

    index: int
    n_draws: int
    draw_probability: float
    inclusion_probability: float


def seed_from(*parts: object) -> int:
    """Derive a seed from names, so that it does not depend on database ids.

    Parameters
    ----------
    *parts
        The study's seed and names of what is drawn.

    Returns
    -------
    int
        In [0, 2**48).
    """
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def shuffled(n: int, seed: int) -> list[int]:
    """Shuffle the numbers 0 to n - 1.

    Parameters
    ----------
    n : int
        How many.
    seed : int
        Seed of the generator.

    Returns
    -------
    list of int
    """
    import numpy as np

    return [int(number) for number in np.random.default_rng(seed).permutation(n)]


def draw_pair(
    *,
    design: str,
    parameters: Mapping[str, Any],
    activation: "NDArray[np.floating[Any]]",
    prior: "NDArray[np.floating[Any]]",
    n_draws: int,
    seed: int,
    what: str,
) -> "Draw":
    """Draw the inputs to rate for one (neuron, concept) pair.

    Parameters
    ----------
    design : str
        A key of `estimation.sampling.DESIGNS`.
    parameters : mapping
        Of the design, for example ``{"gamma": 0.2}``.
    activation : ndarray, shape (n_inputs,)
        Of the neuron.
    prior : ndarray, shape (n_inputs,)
        Concept prior.
    n_draws : int
        Draws, with replacement.
    seed : int
        Same seed, same draw.
    what : str
        The pair's name in messages.

    Returns
    -------
    Draw

    Raises
    ------
    SamplingProblem
        When the design is unknown or has no weights, or activation or prior cannot guide it.
    """
    from estimation.sampling import DESIGNS

    draw_from_design = DESIGNS.get(design)
    if draw_from_design is None:
        raise SamplingProblem(
            f"{what}: the sampling design {design!r} is none of {', '.join(sorted(DESIGNS))}."
        )
    subject: dict[str, tuple[Any, ...]] = {
        "uniform": (len(activation),),
        "top": (activation,),
        "top_and_random": (activation,),
    }
    try:
        drawn = draw_from_design(
            *subject.get(design, (activation, prior)), n_draws=n_draws, seed=seed, **parameters
        )
        # raises for a design without weights: it says nothing about inputs outside the sample
        _ = drawn.weights
    except TypeError as error:
        raise SamplingProblem(
            f"{what}: the design {design!r} does not take the parameters "
            f"{', '.join(parameters) or 'given'} ({error})."
        ) from error
    except ValueError as error:
        raise SamplingProblem(f"{what}: {error}") from error
    return drawn


def sampled_inputs(draws: "Sequence[Draw]") -> list[SampledInput]:
    """Pool the draws of all neurons of one concept into the inputs to rate.

    Parameters
    ----------
    draws : sequence of Draw
        Over the same probe dataset.

    Returns
    -------
    list of SampledInput
        By index.
    """
    import numpy as np

    from estimation.sampling import pool_draws

    pooled = pool_draws(draws)
    indices, first, counts = np.unique(pooled.indices, return_index=True, return_counts=True)
    included = pooled.inclusion_probabilities[first]
    return [
        SampledInput(int(index), int(count), float(probability), float(inclusion))
        for index, count, probability, inclusion in zip(
            indices, counts, pooled.probabilities[first], included, strict=True
        )
    ]
