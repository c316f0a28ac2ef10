"""Sampling a posterior by NUTS, and acting on its diagnostics.

nutpie, PyMC and ArviZ are imported inside functions: they take seconds.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

import numpy as np

from estimation.checks import FloatArray


class ConvergenceWarning(UserWarning):
    """Warns that chains of a sampler have not converged."""


@dataclass(frozen=True)
class Diagnostics:
    """What the sampler says of itself.

    Attributes
    ----------
    r_hat_population, r_hat_all : float
        Largest rank-normalised R-hat over population parameters, and over all parameters.
    ess_population, ess_all : float
        Smallest bulk effective sample size over the same.
    divergences : int
        Divergent transitions after warm-up.
    n_chains, n_draws : int
        Chains, and draws a chain.
    rounds : int
        How often it was sampled: more than once when chains were lengthened.
    converged : bool
        Whether R-hat and divergences stayed within their limits.
    """

    r_hat_population: float
    r_hat_all: float
    ess_population: float
    ess_all: float
    divergences: int
    n_chains: int
    n_draws: int
    rounds: int
    converged: bool

    def as_dict(self) -> dict[str, float | int | bool]:
        """Return the diagnostics as plain numbers, for storage."""
        return asdict(self)


def sample_density(
    density: Callable[[FloatArray], tuple[float, FloatArray]],
    size: int,
    natural: Callable[[FloatArray], Mapping[str, FloatArray]],
    *,
    start: FloatArray,
    draws: int,
    tune: int,
    chains: int,
    seed: int,
) -> Any:
    """Sample a log density with gradient by nutpie's NUTS, without compiling anything.

    Parameters
    ----------
    density : callable
        Vector to (log density, gradient).
    size : int
        Length of the vector.
    natural : callable
        Vector to named parameters, which is what is kept.
    start : ndarray, shape (size,)
        Where chains start, each with a little noise of its own.
    draws, tune, chains : int
        Draws kept and warm-up draws a chain, and chains.
    seed : int
        Seed.

    Returns
    -------
    arviz.InferenceData
    """
    from nutpie.compiled_pyfunc import from_pyfunc

    shapes = {name: value.shape for name, value in natural(np.zeros(size)).items()}

    def make_expand(_seed1: Any, _seed2: Any, _chain: Any) -> Callable[[FloatArray], Any]:
        return lambda theta: dict(natural(np.asarray(theta)))

    model = from_pyfunc(
        size,
        lambda: density,
        make_expand,
        [np.dtype("float64")] * len(shapes),
        list(shapes.values()),
        list(shapes),
        make_initial_point_fn=starts_around(start),
    )
    return sample_compiled(model, draws=draws, tune=tune, chains=chains, seed=seed)


def starts_around(start: FloatArray) -> Callable[[int], FloatArray]:
    """Make the function that gives each chain its start.

    Parameters
    ----------
    start : ndarray, shape (size,)
        Where chains start, each with noise of standard deviation 0.1.

    Returns
    -------
    callable
        From the chain's seed to its start.
    """

    def initial(chain_seed: int) -> FloatArray:
        jittered: FloatArray = start + np.random.default_rng(chain_seed).normal(0, 0.1, start.size)
        return jittered

    return initial


def sample_compiled(model: Any, *, draws: int, tune: int, chains: int, seed: int) -> Any:
    """Sample a compiled model with nutpie's NUTS.

    Parameters
    ----------
    model : nutpie.CompiledModel
        Model.
    draws, tune, chains : int
        Draws kept and warm-up draws a chain, and chains.
    seed : int
        Seed.

    Returns
    -------
    arviz.InferenceData
    """
    import nutpie

    return nutpie.sample(
        model,
        draws=draws,
        tune=tune,
        chains=chains,
        cores=chains,
        seed=seed,
        save_warmup=False,
        progress_bar=False,
        # smaller steps than nutpie's default of 0.8: spreads of few concepts make funnels
        target_accept=0.9,
    )


def sample_pymc(model: Any, *, draws: int, tune: int, chains: int, seed: int) -> Any:
    """Sample a PyMC model with PyMC's own NUTS.

    Parameters
    ----------
    model : pymc.Model
        Model.
    draws, tune, chains : int
        Draws kept and warm-up draws a chain, and chains.
    seed : int
        Seed.

    Returns
    -------
    arviz.InferenceData
    """
    import pymc as pm

    with model:
        return pm.sample(
            draws=draws,
            tune=tune,
            chains=chains,
            cores=1,
            random_seed=seed,
            progressbar=False,
            compute_convergence_checks=False,
            target_accept=0.9,
        )


def name_parameters(
    idata: Any, variables: list[str], natural: Callable[[FloatArray], Mapping[str, FloatArray]]
) -> Any:
    """Replace the free variables of a posterior by parameters that people read.

    Parameters
    ----------
    idata : arviz.InferenceData
        Draws of flat variables.
    variables : list of str
        The free variables that make up the parameter vector, in its order.
    natural : callable
        From vectors, shape (chains, draws, size), to named parameters.

    Returns
    -------
    arviz.InferenceData
        The same object.
    """
    az: Any = import_module("arviz")  # by name: it is typed in part
    theta = np.concatenate([idata.posterior[name].to_numpy() for name in variables], axis=-1)
    del idata.posterior
    idata.add_groups(posterior=az.convert_to_dataset(dict(natural(theta))))
    return idata


def diagnose(
    idata: Any, population: list[str], others: list[str], *, rounds: int, max_r_hat: float
) -> Diagnostics:
    """Compute R-hat, effective sample sizes and divergences.

    Parameters
    ----------
    idata : arviz.InferenceData
        Draws.
    population, others : list of str
        Names of population parameters, and of the rest.
    rounds : int
        How often it was sampled.
    max_r_hat : float
        Limit for population parameters; single concepts and raters may reach 1 + 5 times the
        excess, since the largest of hundreds of R-hats is high by chance alone.

    Returns
    -------
    Diagnostics
    """
    import arviz as az

    def extreme(names: list[str], measure: Callable[..., Any], pick: Callable[..., Any]) -> float:
        values = measure(idata, var_names=names)
        return float(pick([pick(values[name].to_numpy()) for name in names]))

    everything = population + others
    divergences = int(idata.sample_stats["diverging"].sum())
    r_hat = extreme(population, az.rhat, np.max)
    r_hat_all = extreme(everything, az.rhat, np.max)
    n_chains, n_draws = (int(idata.posterior.sizes[name]) for name in ("chain", "draw"))
    return Diagnostics(
        r_hat_population=r_hat,
        r_hat_all=r_hat_all,
        ess_population=extreme(population, az.ess, np.min),
        ess_all=extreme(everything, az.ess, np.min),
        divergences=divergences,
        n_chains=n_chains,
        n_draws=n_draws,
        rounds=rounds,
        converged=bool(
            r_hat <= max_r_hat
            and r_hat_all <= 1 + 5 * (max_r_hat - 1)
            and divergences <= 0.01 * n_chains * n_draws
        ),
    )


def sample_until_converged(
    sample: Callable[..., Any],
    population: list[str],
    others: list[str],
    *,
    draws: int,
    tune: int,
    chains: int,
    seed: int,
    max_r_hat: float,
    max_rounds: int,
) -> tuple[Any, Diagnostics]:
    """Sample, and again with twice the draws while the chains disagree.

    Parameters
    ----------
    sample : callable
        Takes draws, tune, chains and seed; returns InferenceData.
    population, others : list of str
        Names of population parameters, and of the rest.
    draws, tune, chains, seed : int
        Of the first round; draws and warm-up double each round.
    max_r_hat : float
        Limit, see `diagnose`.
    max_rounds : int
        Rounds at most.

    Returns
    -------
    idata : arviz.InferenceData
    diagnostics : Diagnostics

    Warns
    -----
    ConvergenceWarning
        When the last round has not converged either.
    """
    for number in range(1, max_rounds + 1):
        factor = 2 ** (number - 1)
        idata = sample(draws=draws * factor, tune=tune * factor, chains=chains, seed=seed + number)
        diagnostics = diagnose(idata, population, others, rounds=number, max_r_hat=max_r_hat)
        if diagnostics.converged:
            break
    else:
        warnings.warn(
            f"chains have not converged after {max_rounds} rounds: R-hat "
            f"{diagnostics.r_hat_population:.3f} (population), {diagnostics.r_hat_all:.3f} (all), "
            f"{diagnostics.divergences} divergences; treat intervals as too short, or raise "
            "draws and tune",
            ConvergenceWarning,
            stacklevel=4,
        )
    return idata, diagnostics
