"""Rounds of one study: draws that were made after each other, joined into one weighted sample.

What a later round draws may depend on the ratings of the rounds before. Given those, a draw of
round r falls on input i with probability q_r(i), so that E[h_i / (N q_r(i)) | rounds before] is the
mean of h over all inputs: every draw is unbiased with its own probability, and so is their average
(the differences to the mean are a martingale). The mixture of the rounds, which pooling would use,
is no probability of any draw once q_r depends on ratings: whether a label is known to be doubtful
decides both the label's estimate and its weight, and estimates are biased.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from estimation.checks import FloatArray
from estimation.sampling.draw import Draw, SamplingError, included_with_replacement

#: Share of a later round's draws that must be rated before it counts.
LEAST_SHARE = 0.5


def join_rounds(draws: Sequence[Draw]) -> Draw:
    """Join the rounds of a study into one weighted sample, every draw with its own probability.

    Parameters
    ----------
    draws : sequence of Draw
        One a round, in their order; several draws of one round are pooled before (`pool_draws`).

    Returns
    -------
    Draw
        Design "rounds"; the draw itself when there is one. Its probabilities are those of each
        round given the rounds before. `source` keeps the rounds apart, so that variances are taken
        within them: given the past they are independent.

    Raises
    ------
    SamplingError
        When there is none, or they differ in the probe dataset.

    Notes
    -----
    Unbiased where the number of draws of each round is fixed beforehand. A rule that gives further
    rounds to some pairs by the width of their intervals makes the shares of the rounds depend on
    the ratings: as with any rule for stopping there is then a bias of the order of one over the
    number of draws.

    References
    ----------
    Oh and Berger, "Adaptive importance sampling in Monte Carlo integration" (1992); Kossen,
    Farquhar, Gal and Rainforth, "Active testing: sample-efficient model evaluation" (2021).
    """
    if not draws:
        msg = "draws: no round to join; give at least one draw"
        raise SamplingError(msg)
    if len(draws) == 1:
        return draws[0]
    sizes = {draw.n_inputs for draw in draws}
    if len(sizes) > 1:
        msg = f"draws: rounds over probe datasets of different sizes {sorted(sizes)}; join one"
        raise SamplingError(msg)
    sources, own = [], []
    n_sources = 0
    for draw in draws:
        source = np.zeros(draw.n_draws, np.int64) if draw.source is None else draw.source
        sources.append(n_sources + source)
        n_sources += int(source.max()) + 1
        own.append(np.zeros(draw.n_draws) if draw.own_inclusion is None else draw.own_inclusion)
    own_inclusion = np.concatenate(own)
    return Draw(
        design="top" if any(draw.design == "top" for draw in draws) else "rounds",
        indices=np.concatenate([draw.indices for draw in draws]),
        probabilities=np.concatenate([draw.probabilities for draw in draws]),
        n_inputs=draws[0].n_inputs,
        seed=draws[0].seed,
        parameters={
            "designs": [draw.design for draw in draws],
            "seeds": [draw.seed for draw in draws],
            "n_draws": [draw.n_draws for draw in draws],
        },
        source=np.concatenate(sources),
        inclusion=_included(draws),
        own_inclusion=own_inclusion if own_inclusion.any() else None,
        parts=tuple(draw.provenance() for draw in draws),
    )


def rated_rounds(
    draws: Sequence[Draw], rated: ArrayLike, *, least_share: float = LEAST_SHARE
) -> Draw | None:
    """Join the rounds of a study as far as their inputs have been rated.

    Which inputs of a round have ratings is decided by the shuffled order of its tasks, so that the
    rest is missing by chance. A later round, though, may fall on inputs of an earlier one, which
    are rated long before its own: to keep these and leave out the others would be a biased part of
    the round. So the draws of a round are grouped by the round that first drew their input, and
    those of each group that are left stand for the whole group: with f the share of a group's draws
    that have ratings, a draw that is left counts 1/f times. A round with a group without any rating
    says nothing yet, and is left out.

    Parameters
    ----------
    draws : sequence of Draw
        One a round, in their order, each whole.
    rated : array-like of int
        Inputs with a rating that counts.
    least_share : float
        Share of each group's draws that must be rated before a later round counts, in (0, 1].

    Returns
    -------
    Draw or None
        None when no round can be used yet. One round: its draws whose input is rated.

    Raises
    ------
    SamplingError
        See `join_rounds`; also when `least_share` is out of range.
    """
    if not 0 < least_share <= 1:
        msg = f"least_share: {least_share} is outside (0, 1]"
        raise SamplingError(msg)
    known = np.asarray(rated, dtype=np.int64)
    first: dict[int, int] = {}
    parts = []
    for number, draw in enumerate(draws):
        for index in draw.unique_indices.tolist():
            first.setdefault(index, number)
        groups = np.array([first[index] for index in draw.indices.tolist()], dtype=np.int64)
        part = _left_by_group(draw, np.isin(draw.indices, known), groups, least_share)
        if part is not None:
            parts.append(part)
    return join_rounds(parts) if parts else None


def _left_by_group(
    draw: Draw, keep: NDArray[np.bool_], groups: NDArray[np.int64], least_share: float
) -> Draw | None:
    """Leave draws out by chance within groups, so that what is left stands for the whole draw."""
    drawn = np.bincount(groups)
    left = np.bincount(groups[keep], minlength=drawn.size)
    if not keep.any():
        return None
    if groups.max() == 0:
        return draw.restricted(keep)
    if np.any(left < least_share * drawn):
        return None
    part = draw.restricted(keep)
    # n q f draws on an input are expected to be left of the n q that were made; over the m left
    shares = (left / np.maximum(drawn, 1))[groups[keep]]
    expected = part.probabilities * shares * (draw.n_draws / part.n_draws)
    # past 1 only where chance left few draws beside an input that is nearly certain: its weight
    # is next to nothing either way
    return replace(part, probabilities=np.minimum(expected, 1.0))


def _included(draws: Sequence[Draw]) -> FloatArray | None:
    """Chance of every input to be in some round, given the rounds before; None if one is unknown.

    The rounds before decide it, so it says how likely this study was, not how likely any is.
    """
    missed = np.ones(draws[0].n_inputs)
    for draw in draws:
        included = draw.inclusion
        if included is None:
            if draw.distribution is None:
                return None
            included = included_with_replacement(draw.distribution, draw.n_draws)
        missed *= 1.0 - included
    return 1.0 - missed
