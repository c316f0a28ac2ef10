"""Curves from logits to probabilities, and how each is fitted: a sigmoid, or a monotone curve."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from neuron_eval.validation import InputError

FloatArray = npt.NDArray[np.float64]

Kind = Literal["platt", "isotonic"]


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


def fit_shared_curve(
    x: FloatArray, y: FloatArray, w: FloatArray, kind: Kind
) -> PlattCurve | IsotonicCurve:
    """Fit the curve of all concepts, which the data must support.

    Parameters
    ----------
    x, y, w : ndarray, shape (n,), float64
        Logits, labels in [0, 1], and positive weights.
    kind : {"platt", "isotonic"}
        What to fit; a sigmoid is fitted to smoothed targets.

    Returns
    -------
    PlattCurve or IsotonicCurve
        The curve.

    Raises
    ------
    InputError
        If all labels are the same, or the logits are constant or not higher where concepts are
        present.
    """
    present, absent = float(w @ y), float(w @ (1 - y))
    if present <= 0 or absent <= 0:
        raise InputError(
            f"labels: all {x.size} labels say {'absent' if present <= 0 else 'present'}, expected "
            "both; label more inputs."
        )
    if x.min() == x.max():
        raise InputError(f"logits: all are {x[0]:g}, expected different values.")
    if covariance(x, y, w) <= 0:
        raise InputError(
            "logits: they are not higher where concepts are present (the logit is anti-correlated "
            "with the labels), expected higher; check that labels and logits are in the same "
            "order, and that 1 stands for present."
        )
    if kind == "platt":
        y = y * (present + 1) / (present + 2) + (1 - y) / (absent + 2)
    return fit_curve(x, y, w, kind)


def fit_curve(
    x: FloatArray, y: FloatArray, w: FloatArray, kind: Kind
) -> PlattCurve | IsotonicCurve:
    """Fit a curve that never falls to labels as they are.

    Parameters
    ----------
    x, y, w : ndarray, shape (n,), float64
        Logits, labels in [0, 1], and positive weights.
    kind : {"platt", "isotonic"}
        What to fit: a sigmoid by maximum likelihood, or a step curve by least squares.

    Returns
    -------
    PlattCurve or IsotonicCurve
        The curve; flat where the best sigmoid would fall.
    """
    if kind == "isotonic":
        fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(x, y, w)
        # Sums in floating point may leave the bounds, or fall, by a rounding error.
        heights = np.maximum.accumulate(np.clip(fitted.y_thresholds_, 0, 1))
        return IsotonicCurve(tuple(fitted.X_thresholds_.tolist()), tuple(heights.tolist()))
    centre = float(np.average(x, weights=w))
    spread = float(np.sqrt(np.average((x - centre) ** 2, weights=w)))
    # A label between 0 and 1 is one of each, in proportion: the likelihood is the same.
    z = np.concatenate([x, x])[:, None] - centre
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    model.fit(z / spread, np.repeat([1, 0], x.size), np.concatenate([w * y, w * (1 - y)]))
    slope = float(model.coef_[0, 0]) / spread
    if slope <= 0:
        return PlattCurve(0.0, float(logit(np.average(y, weights=w))))
    return PlattCurve(slope, float(model.intercept_[0]) - slope * centre)


def covariance(x: FloatArray, y: FloatArray, w: FloatArray) -> float:
    """Give the weighted covariance of logits and labels.

    Parameters
    ----------
    x, y, w : ndarray, shape (n,), float64
        Logits, labels in [0, 1], and positive weights.

    Returns
    -------
    float
        Negative if the logits are lower where the concept is present.
    """
    return float(np.average((x - np.average(x, weights=w)) * y, weights=w))
