"""Checks of vectors that several modules need, with messages that name field, value and remedy."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


class EstimationError(ValueError):
    """Raised when a score cannot be estimated from what was given."""


def numbers(values: ArrayLike, name: str) -> FloatArray:
    """Return `values` as a float64 array.

    Parameters
    ----------
    values : array-like
        Numbers; missing values become NaN.
    name : str
        What they are called in messages.

    Returns
    -------
    ndarray, float64

    Raises
    ------
    EstimationError
        When they are texts, complex, or of no regular shape.
    """
    try:
        return _real(values)
    except (TypeError, ValueError) as error:
        msg = f"{name}: expected an array of numbers ({error}); convert or correct the values"
        raise EstimationError(msg) from error


def _real(values: ArrayLike) -> FloatArray:
    if np.iscomplexobj(values):
        msg = "found complex ones"
        raise TypeError(msg)
    return np.asarray(values, dtype=np.float64)


def finite_vector(values: ArrayLike, name: str) -> FloatArray:
    """Return `values` as a finite float64 vector.

    Parameters
    ----------
    values : array-like, shape (n,)
        Numbers.
    name : str
        What they are called in messages.

    Returns
    -------
    ndarray, shape (n,), float64

    Raises
    ------
    EstimationError
        When the array is not one-dimensional, is empty, or holds NaN, infinity or no numbers.
    """
    vector = numbers(values, name)
    if vector.ndim != 1 or vector.size == 0:
        msg = f"{name}: expected a non-empty vector, got shape {vector.shape}"
        raise EstimationError(msg)
    bad = ~np.isfinite(vector)
    if bad.any():
        where = int(np.flatnonzero(bad)[0])
        msg = (
            f"{name}: {int(bad.sum())} of {vector.size} values are not finite "
            f"(first: {vector[where]} at index {where}); repair or drop those inputs"
        )
        raise EstimationError(msg)
    return vector


def standardized(activation: ArrayLike) -> FloatArray:
    """Standardise an activation vector over all probe inputs.

    Parameters
    ----------
    activation : array-like, shape (n_inputs,)
        Activations of one neuron, finite, not constant.

    Returns
    -------
    ndarray, shape (n_inputs,), float64
        Mean 0 and standard deviation 1 (divisor N).

    Raises
    ------
    EstimationError
        When values are not finite or the neuron is constant, so that no correlation exists.
    """
    given = finite_vector(activation, "activation")
    # by a power of two, which rounds nothing: squares of 1e200 overflow, those of 1e-200 vanish
    vector = np.ldexp(given, -int(np.frexp(np.abs(given).max())[1]))
    centred = vector - vector.mean()
    spread = float(np.sqrt(np.mean(centred**2)))
    # a constant column leaves rounding errors of the order of its mean times the machine epsilon
    if spread <= 1e-12 * float(np.abs(vector).max()):
        msg = (
            f"activation: constant over all {given.size} inputs (value {given[0]:g}), so no "
            "correlation is defined; leave this neuron out of the study"
        )
        raise EstimationError(msg)
    scaled: FloatArray = centred / spread
    return scaled


def probability_vector(values: ArrayLike, name: str, n_inputs: int | None = None) -> FloatArray:
    """Return `values` as a float64 vector of probabilities.

    Parameters
    ----------
    values : array-like, shape (n_inputs,)
        Numbers in [0, 1].
    name : str
        What they are called in messages.
    n_inputs : int, optional
        Length that is required.

    Returns
    -------
    ndarray, shape (n_inputs,), float64

    Raises
    ------
    EstimationError
        When the length is another, or a value is not finite or outside [0, 1].
    """
    vector = finite_vector(values, name)
    if n_inputs is not None and vector.size != n_inputs:
        msg = f"{name}: expected {n_inputs} values, one an input, got {vector.size}"
        raise EstimationError(msg)
    bad = (vector < 0) | (vector > 1)
    if bad.any():
        where = int(np.flatnonzero(bad)[0])
        msg = f"{name}: {vector[where]:g} at index {where} is outside [0, 1]; give probabilities"
        raise EstimationError(msg)
    return vector
