"""Pooling the draws of several neurons and methods for one concept."""

from collections.abc import Sequence

import numpy as np

from estimation.sampling.draw import Draw, SamplingError, included_with_replacement


def pool_draws(draws: Sequence[Draw]) -> Draw:
    """Pool draws of several neurons for one concept into one weighted sample.

    A rating is about an (input, concept) pair, so inputs drawn for one neuron serve all neurons of
    that concept. The pooled inputs are weighted by the mixture they came from,
    q_mix = sum_k n_k q_k / n (the balance heuristic): (1/n) sum_i h(x_i) / (N q_mix(x_i)) is
    unbiased for the mean of h, because n q_mix is the expected number of draws of an input. With
    replacement its second moment never exceeds that of any single draw, n q_mix >= n_k q_k being
    true everywhere. Draws with and without replacement, stratified or not, can be pooled; an input
    drawn by two of them counts twice.

    Parameters
    ----------
    draws : sequence of Draw
        Draws over the same probe dataset, each with its `distribution`.

    Returns
    -------
    Draw
        Design "pooled"; `source` says which draw (and stratum) an input came from, so that
        variances can be taken within draws.

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
    missed = np.ones(draws[0].n_inputs)
    sources, own = [], []
    n_sources = 0
    for number, draw in enumerate(draws):
        if draw.distribution is None:
            msg = f"draws[{number}]: has no `distribution`; draw it again from its seed to pool it"
            raise SamplingError(msg)
        mixture += draw.distribution * (draw.n_draws / n_total)
        included = draw.inclusion
        if included is None:
            included = included_with_replacement(draw.distribution, draw.n_draws)
        missed *= 1.0 - included
        source = np.zeros(draw.n_draws, np.int64) if draw.source is None else draw.source
        sources.append(n_sources + source)
        n_sources += int(source.max()) + 1
        own.append(np.zeros(draw.n_draws) if draw.own_inclusion is None else draw.own_inclusion)
    indices = np.concatenate([draw.indices for draw in draws])
    own_inclusion = np.concatenate(own)
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
        source=np.concatenate(sources),
        # one draw without replacement has no input twice; two may share one
        replacement=len(draws) > 1 or draws[0].replacement,
        inclusion=1.0 - missed,
        own_inclusion=own_inclusion if own_inclusion.any() else None,
        parts=tuple(draw.provenance() for draw in draws),
    )
