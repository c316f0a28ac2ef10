"""Calibration: from the match score of a model to the probability that a concept is present.

The sigmoid of an image-text logit says how well a text matches an image among the pairs that the
model was trained on, not how likely people are to call the concept present in this dataset. A few
labelled (input, concept) pairs fix that: the logit is mapped to a probability by a curve that
never falls, Platt's sigmoid or an isotonic step curve.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuron_eval.calibration_curves import (
    FloatArray,
    IsotonicCurve,
    Kind,
    PlattCurve,
    covariance,
    fit_curve,
    fit_shared_curve,
    frozen,
)
from neuron_eval.validation import InputError

_FORMAT = "neuron-jury-calibration"

_VERSION = 1

#: Points at which the shared curve is handed to the concepts as a prior.
_PRIOR_POINTS = 101

#: Weights that were scaled to sum to 1 would drown in the smoothing of the targets.
_LEAST_WEIGHT = 2


class CalibrationWarning(UserWarning):
    """A concept was calibrated, but its logits say nothing about it."""


_CURVES: dict[str, type[PlattCurve] | type[IsotonicCurve]] = {
    "platt": PlattCurve,
    "isotonic": IsotonicCurve,
}


@dataclass(frozen=True)
class Calibration:
    """Curves from logits to probabilities; made by `fit_calibration`.

    Attributes
    ----------
    kind : {"platt", "isotonic"}
        What the curves are.
    curves : tuple of PlattCurve or of IsotonicCurve
        One curve, or one per concept.
    per_concept : bool
        Whether there is one curve per concept.
    names : tuple of str or None
        Texts of the concepts that the curves belong to, where they were given.
    """

    kind: Kind
    curves: tuple[PlattCurve | IsotonicCurve, ...]
    per_concept: bool
    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.kind not in _CURVES:
            raise InputError(f"kind: found {self.kind!r}, expected 'platt' or 'isotonic'.")
        expected = _CURVES[self.kind]
        if not self.curves or not all(isinstance(curve, expected) for curve in self.curves):
            raise InputError(f"curves: expected at least one, each a {expected.__name__}.")
        if not self.per_concept and len(self.curves) != 1:
            raise InputError(f"curves: found {len(self.curves)}, expected one for all concepts.")
        if self.names is not None and len(self.names) != len(self.curves):
            raise InputError(
                f"names: found {len(self.names)} for {len(self.curves)} curves, expected as many."
            )

    def apply(self, logits: Any) -> FloatArray:
        """Turn logits into probabilities.

        Parameters
        ----------
        logits : array-like, shape (n_inputs, n_concepts) or, with one curve for all, any shape
            Logits of the same model.

        Returns
        -------
        ndarray of the same shape, float64
            Probabilities in [0, 1].

        Raises
        ------
        InputError
            If a logit is not finite, or there is one curve per concept and not one column for
            each.
        """
        values = _array(logits, "logits")
        _check_finite(values, "logits")
        if not self.per_concept:
            return self.curves[0](values)
        if values.ndim != 2 or values.shape[1] != len(self.curves):
            raise InputError(
                f"logits: found shape {values.shape}, expected {len(self.curves)} columns, one "
                "per concept of the calibration."
            )
        columns = zip(self.curves, values.T, strict=True)
        return np.stack([curve(column) for curve, column in columns], axis=1)

    def to_dict(self) -> dict[str, Any]:
        """Describe the calibration as plain values that JSON can hold.

        Returns
        -------
        dict
            What `from_dict` reads.
        """
        return {
            "format": _FORMAT,
            "version": _VERSION,
            "kind": self.kind,
            "per_concept": self.per_concept,
            "names": None if self.names is None else list(self.names),
            "curves": [
                {
                    name: list(value) if isinstance(value, tuple) else value
                    for name, value in vars(curve).items()
                }
                for curve in self.curves
            ],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Calibration":
        """Make a calibration of what `to_dict` gave.

        Parameters
        ----------
        values : mapping
            Plain values.

        Returns
        -------
        Calibration
            An equal calibration.

        Raises
        ------
        InputError
            If the values describe no calibration.
        """
        if values.get("format") != _FORMAT or values.get("version") != _VERSION:
            raise InputError(
                f"calibration: found format {values.get('format')!r} version "
                f"{values.get('version')!r}, expected {_FORMAT!r} version {_VERSION}."
            )
        try:
            curve: Any = _CURVES[values["kind"]]
            curves = tuple(
                curve(**{name: frozen(value) for name, value in one.items()})
                for one in values["curves"]
            )
            names = None if values["names"] is None else tuple(map(str, values["names"]))
            return cls(values["kind"], curves, bool(values["per_concept"]), names)
        except InputError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"calibration: found damaged values ({error!r}), expected what to_dict gives; fit "
                "it again."
            ) from error


def fit_calibration(
    logits: Any,
    labels: Any,
    weights: Any = None,
    *,
    kind: Kind = "platt",
    per_concept: bool = False,
    shrinkage: float = 10.0,
    names: Sequence[str] | None = None,
) -> Calibration:
    """Fit the curve from logits to probabilities on labelled (input, concept) pairs.

    Parameters
    ----------
    logits : array-like, shape (n_inputs, n_concepts) or (n_pairs,)
        Logits of the model.
    labels : array-like of the same shape
        1 where the concept is present, 0 where it is absent, a value between where that is
        uncertain; NaN where it is not known.
    weights : array-like, shape (n_inputs,) or that of the labels, optional
        How often each label counts, not negative. A weight of 2 stands for the label twice, so
        scale the weights of a sampling design to sum to the number of labels.
    kind : {"platt", "isotonic"}, default "platt"
        Platt's sigmoid, which needs few labels (tens), or an isotonic curve, which follows any
        shape that never falls and needs many (hundreds).
    per_concept : bool, default False
        One curve per concept instead of one for all.
    shrinkage : float, default 10.0
        With one curve per concept: how many labels the shared curve counts for. A concept with
        few labels stays near the shared curve, one with none gets it, one with many its own.
    names : sequence of str, optional
        Texts of the concepts, for messages; kept where there is one curve per concept.

    Returns
    -------
    Calibration
        The curves.

    Raises
    ------
    InputError
        If the shapes disagree, a value is invalid, all labels are the same, or the logits are
        constant or lower where concepts are present.

    Warns
    -----
    CalibrationWarning
        If the logits of single concepts, with one curve each, are lower where the concept is
        present. The curve that fits best without falling is then nearly or entirely flat.

    Notes
    -----
    The shared sigmoid is fitted by maximum likelihood to the smoothed targets of [1]_, which keep
    it finite where a threshold separates the labels: (N+ + 1) / (N+ + 2) in place of 1 and
    1 / (N- + 2) in place of 0, N+ and N- being the weights of present and absent.

    The curve of a concept is fitted to its labels and to pseudo-labels that follow the shared
    curve: equally weighted points at the quantiles of all labelled logits, of total weight
    `shrinkage` (a power prior [2]_). They alone would give the shared curve back. A sigmoid whose
    best slope is negative gets slope 0 and the mean of its targets.

    An isotonic curve reaches 0 and 1 where the lowest or highest labels agree.

    References
    ----------
    .. [1] J. Platt, "Probabilistic outputs for support vector machines", in Advances in Large
       Margin Classifiers, 1999, section 2.2.
    .. [2] J. G. Ibrahim and M.-H. Chen, "Power prior distributions for regression models",
       Statistical Science 15(1), 2000, equation 2.1.
    """
    if kind not in _CURVES:
        raise InputError(f"kind: found {kind!r}, expected 'platt' or 'isotonic'.")
    if not 0 < shrinkage < np.inf:
        raise InputError(f"shrinkage: found {shrinkage!r}, expected a positive number of labels.")
    x, y, w = _pairs(logits, labels, weights)
    if names is not None and len(names) != x.shape[1]:
        raise InputError(f"names: found {len(names)}, expected one per concept, {x.shape[1]}.")
    used = w > 0
    shared = fit_shared_curve(x[used], y[used], w[used], kind)
    if not per_concept:
        return Calibration(kind, (shared,), per_concept=False)
    # Pseudo-labels: any points would give the shared sigmoid, but how much each part of it weighs
    # against a concept's own labels should follow where the labels are.
    ranks = (np.arange(_PRIOR_POINTS) + 0.5) / _PRIOR_POINTS
    points = np.quantile(x[used], ranks, weights=w[used], method="inverted_cdf")
    prior = (points, shared(points), np.full(_PRIOR_POINTS, shrinkage / _PRIOR_POINTS))
    curves, falling = [], []
    for place in range(x.shape[1]):
        mask = used[:, place]
        if not mask.any():
            curves.append(shared)
            continue
        own = (x[mask, place], y[mask, place], w[mask, place])
        if covariance(*own) < 0:
            falling.append(place if names is None else names[place])
        scores, targets, counts = map(np.concatenate, zip(own, prior, strict=True))
        curves.append(fit_curve(scores, targets, counts, kind))
    if falling:
        warnings.warn(
            f"logits: those of concepts {', '.join(map(repr, falling[:10]))} ({len(falling)} in "
            "all) are lower where the concept is present, expected higher; their curves say "
            "little. Reword the text, or check the labels.",
            CalibrationWarning,
            stacklevel=2,
        )
    return Calibration(
        kind, tuple(curves), per_concept=True, names=None if names is None else tuple(names)
    )


def _pairs(logits: Any, labels: Any, weights: Any) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Check logits, labels and weights; give all three one shape, with weight 0 for unknown."""
    x, y = _array(logits, "logits"), _array(labels, "labels")
    if x.ndim not in (1, 2) or x.size == 0:
        raise InputError(
            f"logits: found shape {x.shape}, expected (n_inputs, n_concepts) or (n_pairs,), and "
            "at least one."
        )
    if x.shape != y.shape:
        raise InputError(f"labels: found shape {y.shape}, expected that of the logits, {x.shape}.")
    known = ~np.isnan(y)
    if not known.any():
        raise InputError("labels: all are NaN (not known), expected at least some labels.")
    if (y[known] < 0).any() or (y[known] > 1).any():
        raise InputError(
            f"labels: found values from {y[known].min():g} to {y[known].max():g}, expected 0 to 1, "
            "or NaN where it is not known."
        )
    w = np.ones(len(x)) if weights is None else _array(weights, "weights")
    if w.shape not in (x.shape, x.shape[:1]):
        raise InputError(
            f"weights: found shape {w.shape}, expected {x.shape[:1]} or {x.shape}, one per input "
            "or per label."
        )
    _check_finite(w, "weights")
    if (w < 0).any():
        raise InputError(f"weights: found {w.min():g}, expected values that are not negative.")
    if x.ndim == 1:
        x, y, w, known = x[:, None], y[:, None], w[:, None], known[:, None]
    w = np.where(known, w[:, None] if w.ndim == 1 else w, 0.0)
    if w.sum() < _LEAST_WEIGHT:
        raise InputError(
            f"weights: those of the labels sum to {w.sum():g}, expected counts of labels, at "
            f"least {_LEAST_WEIGHT} in all; scale them to sum to the number of labels."
        )
    # The logits of pairs without a label are not looked at.
    _check_finite(x[w > 0], "logits")
    return x, np.where(known, y, 0.0), w


def _array(values: Any, field: str) -> FloatArray:
    array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    if array.dtype.kind not in "biuf":
        raise InputError(f"{field}: found values of type {array.dtype}, expected numbers.")
    return array.astype(np.float64)


def _check_finite(values: FloatArray, field: str) -> None:
    wrong = np.argwhere(~np.isfinite(values))
    if wrong.size:
        place = tuple(wrong[0].tolist())
        raise InputError(
            f"{field}: the value at {place} is {values[place]}, expected a finite number."
        )
