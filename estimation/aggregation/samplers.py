"""Ways to sample the hierarchical model: the PyMC model, or its density written out."""

from collections.abc import Callable
from typing import Any, Literal, get_args

from estimation.aggregation.density import CalibrationPrior, LogDensity, RatingData
from estimation.ratings import RatingsError

Sampler = Literal["nutpie", "kernel", "pymc"]

#: Free variables of the PyMC model, in the order of the parameter vector.
FREE = ["population", "concepts", "raters"]


def check_sampler(name: str) -> None:
    """Refuse an unknown sampler.

    Parameters
    ----------
    name : str
        Name.

    Raises
    ------
    RatingsError
        When it is none of the samplers.
    """
    if name not in get_args(Sampler):
        msg = f"sampler: {name!r} is none of {', '.join(map(repr, get_args(Sampler)))}"
        raise RatingsError(msg)


def prepare_sampler(
    name: Sampler, data: RatingData, calibration: CalibrationPrior
) -> Callable[..., Any]:
    """Build, and compile if need be, what samples the model of some ratings.

    Parameters
    ----------
    name : {"nutpie", "kernel", "pymc"}
        The PyMC model compiled and sampled by nutpie; the written-out density sampled by nutpie;
        or the PyMC model sampled by PyMC.
    data : RatingData
        Ratings.
    calibration : CalibrationPrior
        Prior on the calibration.

    Returns
    -------
    callable
        Takes draws, tune, chains and seed, any number of times; returns InferenceData with the
        parameters of `LogDensity.natural`.

    Raises
    ------
    RatingsError
        When it is none of the samplers.
    """
    check_sampler(name)
    from estimation.aggregation import nuts

    density = LogDensity(data, calibration)
    if name == "kernel":

        def sample_kernel(**settings: int) -> Any:
            return nuts.sample_density(
                density, density.size, density.natural, start=density.start, **settings
            )

        return sample_kernel
    from estimation.aggregation.hierarchical_pymc import compile_model, pymc_model

    model: Any = pymc_model(data, calibration)
    sample: Callable[..., Any] = nuts.sample_pymc
    if name == "nutpie":
        model, sample = compile_model(model, density.start), nuts.sample_compiled

    def sample_model(**settings: int) -> Any:
        return nuts.name_parameters(sample(model, **settings), FREE, density.natural)

    return sample_model
