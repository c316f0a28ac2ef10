"""Simulated (neuron, concept) pairs in regimes that strain an estimator, and whole studies of them.

Everything made here is a simulation. The regimes differ in how common the concept is, how good its
prior is, and whether the explanation is right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from estimation.checks import EstimationError, FloatArray
from estimation.sampling import Draw, draw_model_guided
from estimation.simulation import SimulatedRater, simulate_ratings


@dataclass(frozen=True)
class Regime:
    """How pairs are simulated.

    Attributes
    ----------
    prevalence : float
        Share of positives.
    evidence : float
        Distance between positives and negatives, in standard deviations, of the cheap model's
        evidence; 0 makes the prior useless.
    shift, stretch : float
        The prior's logit is stretch times the right logit plus shift; (0, 1) is calibrated.
    blind : float
        Share of positives that the prior takes for negatives.
    signal : float
        Mean activation of positives less that of negatives, in standard deviations; 0 makes the
        explanation wrong.
    difficulty_sd : float
        Standard deviation of item difficulty on the logit of raters' errors.
    """

    prevalence: float = 0.1
    evidence: float = 2.5
    shift: float = 0.0
    stretch: float = 1.0
    blind: float = 0.0
    signal: float = 2.5
    difficulty_sd: float = 0.0


REGIMES: Mapping[str, Regime] = {
    "base": Regime(),
    "rare": Regime(prevalence=0.02, evidence=3.0, signal=4.0),
    "common": Regime(prevalence=0.5, evidence=2.0, signal=1.0),
    "miscalibrated": Regime(shift=1.5, stretch=0.5),
    "useless prior": Regime(evidence=0.0),
    "blind prior": Regime(blind=0.33),
    "wrong explanation": Regime(signal=0.0),
    "hard items": Regime(difficulty_sd=1.0),
}


@dataclass(frozen=True, eq=False)
class SimulatedPair:
    """One (neuron, concept) pair with everything known.

    Attributes
    ----------
    activation, prior, truth : ndarray, shape (n_inputs,)
        Activations, concept prior, true labels.
    score : float
        True Pearson correlation.
    """

    activation: FloatArray
    prior: FloatArray
    truth: FloatArray
    score: float


def simulate_pair(regime: Regime, *, n_inputs: int = 2000, seed: int) -> SimulatedPair:
    """Simulate one pair.

    Labels are Bernoulli; the cheap model sees evidence x ~ Normal(+-evidence/2, 1), whose right
    logit is logit(prevalence) + evidence x; activations are a rectified noisy signal, so that they
    are skewed as real ones are.

    Parameters
    ----------
    regime : Regime
        How.
    n_inputs : int
        Size of the probe dataset.
    seed : int
        Seed.

    Returns
    -------
    SimulatedPair
        With at least three positives and three negatives.

    Raises
    ------
    EstimationError
        When the dataset is too small for that.
    """
    rng = np.random.default_rng(seed)
    if n_inputs < 20:
        msg = f"n_inputs: {n_inputs}; simulate at least 20"
        raise EstimationError(msg)
    truth = (rng.random(n_inputs) < regime.prevalence).astype(np.float64)
    truth[rng.choice(n_inputs, 6, replace=False)] = [1, 1, 1, 0, 0, 0]
    seen = truth * (rng.random(n_inputs) >= regime.blind)
    x = rng.normal((seen - 0.5) * regime.evidence)
    right = logit(regime.prevalence) + regime.evidence * x
    # a useless prior still varies: noise of the size of a good one's
    noise = rng.normal(0.0, 1.5, n_inputs) if regime.evidence == 0 else 0.0
    prior = expit(regime.shift + regime.stretch * right + noise)
    activation = np.maximum(rng.normal(regime.signal * truth) + 0.3, 0.0)
    score = float(np.corrcoef(activation, truth)[0, 1])
    return SimulatedPair(activation, prior, truth, score)


def simulate_study(
    pairs: Sequence[SimulatedPair],
    raters: Sequence[SimulatedRater],
    *,
    n_draws: int = 180,
    redundancy: int = 3,
    difficulty_sd: float = 0.0,
    seed: int,
) -> tuple[list[Draw], pd.DataFrame]:
    """Draw inputs for every pair by MG-IS and have simulated raters rate them.

    Parameters
    ----------
    pairs : sequence of SimulatedPair
        Pairs; pair t has concept t.
    raters : sequence of SimulatedRater
        The panel, shared by all pairs.
    n_draws : int
        Draws a pair.
    redundancy : int
        Ratings an item.
    difficulty_sd : float
        See `estimation.simulation.simulate_ratings`.
    seed : int
        Seed.

    Returns
    -------
    draws : list of Draw
    ratings : DataFrame
        Columns ``concept``, ``item``, ``rater``, ``rating``.
    """
    draws, frames = [], []
    for t, pair in enumerate(pairs):
        draw = draw_model_guided(pair.activation, pair.prior, n_draws=n_draws, seed=seed * 1000 + t)
        draws.append(draw)
        frames.append(
            simulate_ratings(
                pair.truth,
                raters,
                items=draw.unique_indices,
                redundancy=redundancy,
                seed=seed * 1000 + 500 + t,
                difficulty_sd=difficulty_sd,
                concept=t,
            )
        )
    return draws, pd.concat(frames, ignore_index=True)
