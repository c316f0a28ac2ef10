"""Spoil labels: lose positives, or add false ones."""

from typing import Any

import numpy as np
import numpy.typing as npt

from neuron_eval.validation import InputError, check_concepts, check_weights

FloatArray = npt.NDArray[np.float64]


class PerturbationError(InputError):
    """The labels cannot be spoiled as asked."""


def missing_labels(
    concept: Any, rng: np.random.Generator, *, keep: float = 0.5, n_draws: int = 1
) -> FloatArray:
    """Keep each positive label with a given probability, and lose the others.

    Parameters
    ----------
    concept : array-like, shape (n_inputs,)
        Concept vector; positive where it is at least 0.5.
    rng : numpy.random.Generator
        Source of randomness.
    keep : float, default 0.5
        Probability of keeping a positive, in [0, 1).
    n_draws : int, default 1
        How many spoiled copies.

    Returns
    -------
    ndarray, shape (n_inputs, n_draws), float64
        Copies in which lost positives are 0.

    Raises
    ------
    PerturbationError
        If `keep` is outside [0, 1), or no label is positive.
    """
    if not 0 <= keep < 1:
        raise PerturbationError(f"keep: found {keep!r}, expected a probability in [0, 1).")
    vector = _vector(concept)
    positive = np.flatnonzero(vector >= 0.5)
    if positive.size == 0:
        raise PerturbationError("concept: no label is positive, so none can be lost.")
    spoiled = np.repeat(vector[:, None], n_draws, axis=1)
    lost = rng.random((positive.size, n_draws)) >= keep
    spoiled[positive] = np.where(lost, 0.0, spoiled[positive])
    return spoiled


def extra_labels(
    concept: Any,
    rng: np.random.Generator,
    *,
    weights: Any = None,
    growth: float = 2.0,
    n_draws: int = 1,
) -> FloatArray:
    """Make negatives positive at random, so that the positives are expected to multiply.

    With K the weighted number of positives of W in all, every negative becomes positive with
    probability (growth - 1) K / (W - K).

    Parameters
    ----------
    concept : array-like, shape (n_inputs,)
        Concept vector; positive where it is at least 0.5.
    rng : numpy.random.Generator
        Source of randomness.
    weights : array-like, shape (n_inputs,), optional
        Non-negative sample weights.
    growth : float, default 2.0
        Expected number of positives after over before, above 1.
    n_draws : int, default 1
        How many spoiled copies.

    Returns
    -------
    ndarray, shape (n_inputs, n_draws), float64
        Copies in which added positives are 1.

    Raises
    ------
    PerturbationError
        If `growth` is not above 1, no label is positive, or there are too few negatives (for
        doubling: if the concept holds for more than half of the inputs).
    """
    if not 1 < growth < float("inf"):
        raise PerturbationError(f"growth: found {growth!r}, expected a number above 1.")
    vector = _vector(concept)
    mass = np.ones(len(vector))
    if weights is not None:
        mass = check_weights(weights, n_inputs=len(vector)).cpu().numpy()
    probability = extra_probability(float(mass[vector >= 0.5].sum()), float(mass.sum()), growth)
    negative = np.flatnonzero(vector < 0.5)
    spoiled = np.repeat(vector[:, None], n_draws, axis=1)
    added = rng.random((negative.size, n_draws)) < probability
    spoiled[negative] = np.where(added, 1.0, spoiled[negative])
    return spoiled


def extra_probability(positives: float, total: float, growth: float = 2.0) -> float:
    """Compute the probability with which a negative becomes positive.

    Parameters
    ----------
    positives : float
        Weighted number of positive labels, K.
    total : float
        Weighted number of inputs, W.
    growth : float, default 2.0
        Expected number of positives after over before.

    Returns
    -------
    float
        (growth - 1) K / (W - K), in (0, 1].

    Raises
    ------
    PerturbationError
        If there is no positive, or the probability would exceed 1.
    """
    if positives <= 0:
        raise PerturbationError("concept: no label is positive, so their number cannot grow.")
    needed = (growth - 1) * positives
    if needed > total - positives:
        raise PerturbationError(
            f"concept: {positives:g} of {total:g} labels are positive, too many to be multiplied "
            f"by {growth:g}: at most {total / growth:g} may be."
        )
    return needed / (total - positives)


def _vector(concept: Any) -> FloatArray:
    column: FloatArray = check_concepts(np.asarray(concept)[:, None]).numpy()[:, 0]
    return column
