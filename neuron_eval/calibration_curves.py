"""Curves from logits to probabilities: a sigmoid, or a monotone step function."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from neuron_eval.validation import InputError

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PlattCurve:
    """A sigmoid of the logit, P = 1 / (1 + exp(-(slope * logit + intercept))).

    Attributes
    ----------
    slope : float
        Not negative.
    intercept : float
        In logits.
    """

    slope: float
    intercept: float

    def __post_init__(self) -> None:
        if not (0 <= self.slope < np.inf and np.isfinite(self.intercept)):
            raise InputError(
                f"curve: found slope {self.slope!r} and intercept {self.intercept!r}, expected "
                "finite numbers and a slope that is not negative."
            )

    def __call__(self, logits: FloatArray) -> FloatArray:
        """Give the probabilities of logits.

        Parameters
        ----------
        logits : ndarray
            Finite numbers.

        Returns
        -------
        ndarray of the same shape, float64
            Probabilities.
        """
        probabilities: FloatArray = expit(self.slope * logits + self.intercept)
        return probabilities


@dataclass(frozen=True)
class IsotonicCurve:
    """A curve that never falls, linear between its points and constant outside them.

    Attributes
    ----------
    logits : tuple of float
        Increasing.
    probabilities : tuple of float
        As many, in [0, 1], never falling.
    """

    logits: tuple[float, ...]
    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        x, y = np.array(self.logits), np.array(self.probabilities)
        rising = x.shape == y.shape and x.size and np.isfinite(x).all() and (np.diff(x) > 0).all()
        if not (rising and (np.diff(y) >= 0).all() and y[0] >= 0 and y[-1] <= 1):
            raise InputError(
                f"curve: found {x.size} logits and {y.size} probabilities that are no curve, "
                "expected increasing logits and as many probabilities in [0, 1] that never fall."
            )

    def __call__(self, logits: FloatArray) -> FloatArray:
        """Give the probabilities of logits.

        Parameters
        ----------
        logits : ndarray
            Finite numbers.

        Returns
        -------
        ndarray of the same shape, float64
            Probabilities.
        """
        return np.interp(logits, self.logits, self.probabilities)


def frozen(value: Any) -> float | tuple[float, ...]:
    """Make numbers of a document immutable.

    Parameters
    ----------
    value : number, or list of numbers
        As read from JSON.

    Returns
    -------
    float or tuple of float
        The same numbers.
    """
    return tuple(map(float, value)) if isinstance(value, list | tuple) else float(value)
