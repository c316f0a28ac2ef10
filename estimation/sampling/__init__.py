"""Which inputs to have rated: sampling designs, draws with seed and probability, pooling."""

from collections.abc import Callable

from estimation.sampling.designs import (
    correlation_influence,
    draw_model_guided,
    draw_neyman,
    draw_top,
    draw_top_and_random,
    draw_uniform,
    model_guided_distribution,
    neyman_distribution,
)
from estimation.sampling.draw import Draw, SamplingError, draw_from, pool_draws

#: Every design by the name that studies and exports use.
DESIGNS: dict[str, Callable[..., Draw]] = {
    "uniform": draw_uniform,
    "top": draw_top,
    "top_and_random": draw_top_and_random,
    "model_guided": draw_model_guided,
    "neyman": draw_neyman,
}

__all__ = [
    "DESIGNS",
    "Draw",
    "SamplingError",
    "correlation_influence",
    "draw_from",
    "draw_model_guided",
    "draw_neyman",
    "draw_top",
    "draw_top_and_random",
    "draw_uniform",
    "model_guided_distribution",
    "neyman_distribution",
    "pool_draws",
]
