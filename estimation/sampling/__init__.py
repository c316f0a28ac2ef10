"""Which inputs to have rated: sampling designs, draws with seed and probability, pooling."""

from estimation.sampling.designs import (
    draw_model_guided,
    draw_neyman,
    draw_top,
    draw_top_and_random,
    draw_uniform,
)
from estimation.sampling.distributions import (
    correlation_influence,
    model_guided_distribution,
    neyman_distribution,
    prior_influence,
    top_and_random_distribution,
)
from estimation.sampling.draw import Draw, SamplingError
from estimation.sampling.drawing import draw_from, fixed_size_inclusion
from estimation.sampling.labels import labels_of_draw
from estimation.sampling.pooling import pool_draws
from estimation.sampling.registry import DESIGNS
from estimation.sampling.repeat import repeat_draw
from estimation.sampling.rounds import join_rounds, rated_rounds
from estimation.sampling.stratified import Strata, draw_stratified, strata_of
from estimation.sampling.variance import design_variance

__all__ = [
    "DESIGNS",
    "Draw",
    "SamplingError",
    "Strata",
    "correlation_influence",
    "design_variance",
    "draw_from",
    "draw_model_guided",
    "draw_neyman",
    "draw_stratified",
    "draw_top",
    "draw_top_and_random",
    "draw_uniform",
    "fixed_size_inclusion",
    "join_rounds",
    "labels_of_draw",
    "model_guided_distribution",
    "neyman_distribution",
    "pool_draws",
    "prior_influence",
    "rated_rounds",
    "repeat_draw",
    "strata_of",
    "top_and_random_distribution",
]
