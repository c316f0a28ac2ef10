"""Parameters to try for a metric, and the split of neurons that tunes and tests them."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from neuron_eval.binarize import TopFraction
from neuron_eval.registry import Metric
from neuron_eval.validation import InputError

#: Top fractions that are tried for metrics that binarize the neuron.
ALPHAS = (0.0002, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
#: Values of λ that are tried for WPMI.
LAMBDAS = (0.0, 0.35, 0.7, 1.0)


def default_grid(metric: Metric) -> list[dict[str, Any]]:
    """List the parameters that are tried for a metric.

    Parameters
    ----------
    metric : Metric
        The metric.

    Returns
    -------
    list of dict
        All combinations of `ALPHAS`, if it binarizes neurons, and `LAMBDAS`, if it has a λ; one
        empty dict if it has neither.
    """
    choices: list[list[tuple[str, Any]]] = []
    if "binarization" in metric.parameters:
        choices.append([("binarization", TopFraction(alpha)) for alpha in ALPHAS])
    if "lam" in metric.parameters:
        choices.append([("lam", lam) for lam in LAMBDAS])
    return [dict(combination) for combination in itertools.product(*choices)]


def check_validation(validation: float) -> None:
    """Check the fraction of the neurons that parameters are tuned on.

    Parameters
    ----------
    validation : float
        The fraction.

    Raises
    ------
    InputError
        If it is not in (0, 1).
    """
    if not 0 < validation < 1:
        raise InputError(f"validation: found {validation!r}, expected a fraction in (0, 1).")


def split_neurons(
    neurons: Sequence[int] | npt.NDArray[np.int64], validation: float, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Split neurons at random into those that tune parameters and those that test them.

    Parameters
    ----------
    neurons : sequence of int
        Distinct neurons, at least two.
    validation : float
        Fraction that tunes, in (0, 1).
    seed : int
        Seed of the split.

    Returns
    -------
    ndarray, ndarray
        Neurons that tune and neurons that test, each at least one and in increasing order.

    Raises
    ------
    InputError
        If there are fewer than two neurons or the fraction is out of range.
    """
    check_validation(validation)
    given = np.asarray(neurons, dtype=np.int64)
    if len(given) < 2:
        raise InputError(
            f"activations: found {len(given)} neuron, expected one to tune on and one to test."
        )
    order = given[np.random.default_rng(seed).permutation(len(given))]
    n_tuned = min(len(given) - 1, max(1, round(validation * len(given))))
    return np.sort(order[:n_tuned]), np.sort(order[n_tuned:])
