"""(neuron, concept) pairs with everything known: recipes, and how they are made from them.

A recipe is a handful of numbers, so that it travels to a worker and into a fingerprint where the
vectors themselves would be megabytes. Simulated ones are made here, real ones in ``cifar10h``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from estimation.checks import EstimationError, FloatArray


@dataclass(frozen=True, eq=False)
class LabPair:
    """One (neuron, concept) pair with everything known.

    Attributes
    ----------
    activation, prior, truth : ndarray, shape (n_inputs,), float64
        Activations, concept prior in [0, 1], true labels of 0 and 1.
    share : ndarray, shape (n_inputs,), or None
        Share of real people who say "present", where that is known.
    related : ndarray of bool, shape (n_inputs,), or None
        Inputs without the concept that resemble it, where that is known.
    """

    activation: FloatArray
    prior: FloatArray
    truth: FloatArray
    share: FloatArray | None = None
    related: NDArray[np.bool_] | None = None

    @property
    def score(self) -> float:
        """True Pearson correlation."""
        return float(np.corrcoef(self.activation, self.truth)[0, 1])


@dataclass(frozen=True)
class PriorChange:
    """What is done to a good concept prior to make it a bad one, in this order.

    Attributes
    ----------
    blind : float
        Share of the positives whose prior is exchanged for that of a random negative.
    shift, stretch, noise : float
        The logit becomes stretch times itself plus shift plus normal noise of that standard
        deviation; (0, 1, 0) changes nothing.
    constant : float, optional
        The prior is this number everywhere.
    """

    blind: float = 0.0
    shift: float = 0.0
    stretch: float = 1.0
    noise: float = 0.0
    constant: float | None = None


UNCHANGED = PriorChange()


@dataclass(frozen=True)
class SimulatedRecipe:
    """A simulated pair.

    The concept consists of `n_classes` classes of equal size, of which the neuron fires fully for
    the first and half as strongly for the others; `n_related` negatives look like the concept to
    the cheap model and the neuron alike, halfway.

    Attributes
    ----------
    n_inputs, n_positives : int
        Size of the probe dataset, and inputs with the concept.
    evidence : float
        Distance between positives and negatives of the cheap model's evidence, in standard
        deviations.
    signal : float
        Mean activation of positives before rectifying, in standard deviations of the noise, at
        most; it varies from 0 to this between positives. 0 makes the explanation wrong: the neuron
        then fires for as many other inputs as the concept has.
    n_classes, n_related : int
        See above.
    change : PriorChange
        What is done to the prior.
    seed : int
        Seed.
    """

    n_inputs: int
    n_positives: int
    evidence: float
    signal: float
    seed: int
    n_classes: int = 1
    n_related: int = 0
    change: PriorChange = UNCHANGED

    def make(self) -> LabPair:
        """Make the pair."""
        return make_simulated(self)


def make_simulated(recipe: SimulatedRecipe) -> LabPair:
    """Simulate a pair.

    The cheap model sees evidence x ~ Normal(+-evidence/2, 1), whose right logit is
    logit(prevalence) + evidence x (the related inputs, of which it knows nothing, are halfway). The
    activation is the square of a rectified noisy signal, because those of real neurons are skewed.

    Parameters
    ----------
    recipe : SimulatedRecipe
        How.

    Returns
    -------
    LabPair

    Raises
    ------
    EstimationError
        When there are fewer than three positives or negatives.
    """
    n, n_positives = recipe.n_inputs, recipe.n_positives
    if n_positives < 3 or n - n_positives - recipe.n_related < 3:
        msg = (
            f"n_positives: {n_positives} positives and {recipe.n_related} related inputs of {n}; "
            "leave three positives and three negatives at least"
        )
        raise EstimationError(msg)
    rng = np.random.default_rng(recipe.seed)
    order = rng.permutation(n)
    positives, related = order[:n_positives], order[n_positives : n_positives + recipe.n_related]
    truth = np.zeros(n)
    truth[positives] = 1
    looks_like = truth.copy()
    looks_like[related] = 0.5
    x = rng.normal((looks_like - 0.5) * recipe.evidence)
    prior = expit(logit(n_positives / n) + recipe.evidence * x)
    drive = looks_like.copy()
    drive[positives[: n_positives - n_positives // recipe.n_classes]] *= 0.5
    signal = recipe.signal
    if signal == 0:
        # its activations are as skewed as those of a neuron that has a concept
        drive, signal = np.zeros(n), 6.0
        drive[order[-n_positives:]] = 1
    activation = np.maximum(rng.normal(signal * drive * rng.random(n)) + 0.5, 0.0) ** 2
    resembles = np.zeros(n, dtype=bool)
    resembles[related] = True
    changed = change_prior(prior, truth == 1, recipe.change, rng)
    return LabPair(activation, changed, truth, related=resembles)


def change_prior(
    prior: FloatArray, positive: NDArray[np.bool_], change: PriorChange, rng: np.random.Generator
) -> FloatArray:
    """Make a concept prior worse.

    Parameters
    ----------
    prior : ndarray, shape (n_inputs,)
        Concept prior in [0, 1].
    positive : ndarray of bool, shape (n_inputs,)
        True labels.
    change : PriorChange
        How.
    rng : Generator
        Source of chance.

    Returns
    -------
    ndarray, shape (n_inputs,), float64
        The changed prior; `prior` itself is left alone.
    """
    if change.constant is not None:
        return np.full(prior.size, change.constant)
    if change == UNCHANGED:
        return prior
    changed = prior.copy()
    where = np.flatnonzero(positive)
    lost = rng.choice(where, round(change.blind * where.size), replace=False)
    changed[lost] = rng.choice(prior[~positive], lost.size)
    noise = rng.normal(0.0, change.noise, prior.size) if change.noise else 0.0
    logits = logit(np.clip(changed, 1e-6, 1 - 1e-6))
    result: FloatArray = expit(change.shift + change.stretch * logits + noise)
    return result
