"""Every sampling design by name."""

from collections.abc import Callable

from estimation.sampling.designs import (
    draw_model_guided,
    draw_neyman,
    draw_top,
    draw_top_and_random,
    draw_uniform,
)
from estimation.sampling.draw import Draw
from estimation.sampling.stratified import draw_stratified

#: Every design by the name that studies and exports use.
DESIGNS: dict[str, Callable[..., Draw]] = {
    "uniform": draw_uniform,
    "top": draw_top,
    "top_and_random": draw_top_and_random,
    "model_guided": draw_model_guided,
    "neyman": draw_neyman,
    "stratified": draw_stratified,
}
