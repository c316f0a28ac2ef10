"""Check that a metric keeps the promises of its registry entry, in the manner of scikit-learn's
``check_estimator``.

The built-in metrics pass these checks in the test suite; a metric of one's own is checked by::

    from neuron_eval.metric_checks import check_metric
    from neuron_eval.registry import get_metric

    check_metric(get_metric("agreement"))

Each check is a function of a metric and data, and raises `MetricCheckError` where the metric breaks
a promise.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from neuron_eval.binarize import AlreadyBinary, TopFraction
from neuron_eval.errors import NeuronEvalError
from neuron_eval.registry import Metric

FloatArray = npt.NDArray[np.float64]

_ALPHA = 0.2
_TOLERANCE = {"rtol": 1e-10, "atol": 1e-12, "equal_nan": True}
_LOOSE = {"rtol": 1e-8, "atol": 1e-8, "equal_nan": True}


class MetricCheckError(NeuronEvalError):
    """A metric breaks a promise; the message names the promise and shows the scores."""


@dataclass(frozen=True)
class Case:
    """Data that a metric is checked on.

    Attributes
    ----------
    activations : ndarray, shape (n_inputs, n_neurons), float64
        Activations.
    concepts : ndarray, shape (n_inputs, n_concepts), float64
        Concept vectors in [0, 1].
    weights : ndarray, shape (n_inputs,), int64
        Whole weights, not all 0.
    order : ndarray, shape (n_inputs,), int64
        A permutation of the inputs.
    """

    activations: FloatArray
    concepts: FloatArray
    weights: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]


Check = Callable[[Metric, Case], None]


def _score(metric: Metric, a: Any, c: Any, **options: Any) -> FloatArray:
    if "binarization" in metric.parameters:
        options.setdefault("binarization", TopFraction(_ALPHA))
    scores: FloatArray = metric(a, c, **options).cpu().numpy()
    return scores


def _demand(promise: str, got: FloatArray, expected: FloatArray, **tolerance: Any) -> None:
    if got.shape != expected.shape or not np.allclose(got, expected, **tolerance):
        raise MetricCheckError(f"{promise}: found scores {got!r}, expected {expected!r}.")


def check_form(metric: Metric, case: Case) -> None:
    """Check shape, type and range of the scores, and that the input is left alone.

    Parameters
    ----------
    metric : Metric
        The metric.
    case : Case
        Data.

    Raises
    ------
    MetricCheckError
        If the scores are no float64 tensor of shape (n_neurons, n_concepts), are infinite or
        outside the range, or the input was changed.
    """
    a, c = case.activations.copy(), case.concepts.copy()
    options = {"binarization": TopFraction(_ALPHA)} if "binarization" in metric.parameters else {}
    scores = metric(a, c, **options)
    expected = (a.shape[1], c.shape[1])
    if scores.dtype != torch.float64 or tuple(scores.shape) != expected:
        raise MetricCheckError(
            f"form: found {tuple(scores.shape)} of {scores.dtype}, expected {expected} of float64."
        )
    _demand("activations are left alone", a, case.activations)
    _demand("concepts are left alone", c, case.concepts)
    values = scores.cpu().numpy()
    if np.isinf(values).any():
        raise MetricCheckError("undefined scores are NaN: found an infinite score.")
    low, high = metric.range or (-np.inf, np.inf)
    defined = values[~np.isnan(values)]
    if ((defined < low - 1e-12) | (defined > high + 1e-12)).any():
        raise MetricCheckError(f"range: found {values!r}, expected scores in {metric.range}.")


def check_weights_repeat_rows(metric: Metric, case: Case) -> None:
    """Check that a weight of 2 is the row twice, and that a common factor changes nothing.

    Parameters
    ----------
    metric : Metric
        The metric; passed over if it draws inputs.
    case : Case
        Data.

    Raises
    ------
    MetricCheckError
        If it takes no weights, or its scores are others.
    """
    if metric.sampled:
        return
    if not metric.takes_weights:
        raise MetricCheckError("weights: the function takes no argument 'weights'; add it.")
    a, c, w = case.activations, case.concepts, case.weights
    repeated = _score(metric, np.repeat(a, w, axis=0), np.repeat(c, w, axis=0))
    promise = "a weight of 2 is the row twice"
    _demand(promise, _score(metric, a, c, weights=w), repeated, **_TOLERANCE)
    promise = "a common factor of the weights changes nothing"
    _demand(promise, _score(metric, a, c, weights=w * 0.37), repeated, **_TOLERANCE)


def check_order_is_irrelevant(metric: Metric, case: Case) -> None:
    """Check that neither the order of the inputs nor the other columns matter.

    Parameters
    ----------
    metric : Metric
        The metric; passed over if it draws inputs.
    case : Case
        Data.

    Raises
    ------
    MetricCheckError
        If scores change.
    """
    if metric.sampled:
        return
    a, c, w = case.activations, case.concepts, case.weights
    weights = {"weights": w} if metric.takes_weights else {}
    expected = _score(metric, a, c, **weights)
    moved = _score(
        metric,
        a[case.order],
        c[case.order],
        **{name: values[case.order] for name, values in weights.items()},
    )
    _demand("the order of the inputs is irrelevant", moved, expected, **_TOLERANCE)
    turned = _score(metric, a[:, ::-1], c[:, ::-1], **weights)
    _demand("columns keep their places", turned, expected[::-1, ::-1], **_TOLERANCE)
    alone = _score(metric, a[:, -1:], c[:, -1:], **weights)
    _demand("a pair is scored by itself", alone, expected[-1:, -1:], **_TOLERANCE)


def check_units(metric: Metric, case: Case) -> None:
    """Check what the entry says of the units of activations and concepts.

    Parameters
    ----------
    metric : Metric
        The metric; passed over if it draws inputs.
    case : Case
        Data.

    Raises
    ------
    MetricCheckError
        If it is not free of scale or shift as `Metric.scale_free`, `shift_free` and
        `concept_units_free` say.
    """
    if metric.sampled:
        return
    a, c = case.activations, case.concepts
    expected = _score(metric, a, c)
    for factor in (0.3, 1e5) if metric.scale_free else ():
        _demand("scale_free", _score(metric, a * factor, c), expected, **_LOOSE)
    for shift in (-7.0, 1e3) if metric.shift_free else ():
        _demand("shift_free", _score(metric, a + shift, c), expected, **_LOOSE)
    if metric.concept_units_free:
        _demand("concept_units_free", _score(metric, a, 0.25 + c / 2), expected, **_LOOSE)


def check_symmetry(metric: Metric, case: Case) -> None:
    """Check that exchanging neuron and concept, both binary, leaves a symmetric metric as it is.

    Parameters
    ----------
    metric : Metric
        The metric; passed over unless it is symmetric.
    case : Case
        Data.

    Raises
    ------
    MetricCheckError
        If the scores change.
    """
    if not metric.symmetric:
        return
    options = {"binarization": AlreadyBinary()} if "binarization" in metric.parameters else {}
    a = (case.activations > np.median(case.activations)).astype(float)
    c = (case.concepts >= 0.5).astype(float)
    exchanged = _score(metric, c, a, **options).T
    _demand("symmetric", exchanged, _score(metric, a, c, **options), **_TOLERANCE)


def check_types_and_chunks(metric: Metric, case: Case) -> None:
    """Check that tensors, frames, single precision and small memory budgets give the same scores.

    Parameters
    ----------
    metric : Metric
        The metric.
    case : Case
        Data.

    Raises
    ------
    MetricCheckError
        If the scores change.
    """
    # Values that single precision holds exactly, so that it has no excuse.
    a = case.activations.astype(np.float32).astype(float)
    c = case.concepts.astype(np.float32).astype(float)
    expected = _score(metric, a, c)
    frames = _score(metric, torch.from_numpy(a), pd.DataFrame(c))
    _demand("tensors and frames are taken", frames, expected, **_TOLERANCE)
    single = _score(metric, a.astype(np.float32), np.asfortranarray(c.astype(np.float32)))
    _demand("single precision is taken as it is", single, expected, **_TOLERANCE)
    takes_budget = "memory_budget" in inspect.signature(metric.function).parameters
    for budget in (1, 5000) if takes_budget else ():
        chunked = _score(metric, a, c, memory_budget=budget)
        _demand("the memory budget changes nothing", chunked, expected, **_TOLERANCE)


#: The checks by name.
CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "form": check_form,
        "weights": check_weights_repeat_rows,
        "order": check_order_is_irrelevant,
        "units": check_units,
        "symmetry": check_symmetry,
        "types": check_types_and_chunks,
    }
)


def make_cases(n_cases: int, seed: int = 0) -> list[Case]:
    """Make data on which metrics go wrong: ties, dead and sparse neurons, empty concepts.

    Parameters
    ----------
    n_cases : int
        Number of cases, at least 1.
    seed : int, default 0
        Seed.

    Returns
    -------
    list of Case
        Cases of 2 to 40 inputs, two neurons and three concepts, of varied kinds.
    """
    rng = np.random.default_rng(seed)
    cases = []
    for number in range(n_cases):
        n = int(rng.integers(2, 41))
        levels = (2, 5, 101)[number % 3]
        a: FloatArray = np.asarray(rng.integers(0, levels, size=(n, 2)) - 1.0, np.float64) * 0.37
        steps = (1, 4, 64)[(number // 3) % 3]
        c = rng.integers(0, steps + 1, size=(n, 3)) / steps
        if number % 4 == 1:
            a[:, 0], c[:, 0] = -0.3, 0.0
        elif number % 4 == 2:
            a[:, 0] = np.where(rng.random(n) < 0.1, a[:, 0] ** 2, 0.0)
            c[:, 1] = 1.0
        weights = rng.integers(0, 4, size=n)
        weights[0] = max(1, weights[0])
        cases.append(Case(a, c, weights, rng.permutation(n)))
    return cases


def check_metric(metric: Metric, *, n_cases: int = 36, seed: int = 0) -> None:
    """Run all checks on made-up data.

    Parameters
    ----------
    metric : Metric
        An entry of the registry.
    n_cases : int, default 36
        Number of data sets, at least 1; 36 meet every kind.
    seed : int, default 0
        Seed of the data.

    Raises
    ------
    MetricCheckError
        At the first broken promise; the message names the metric, the check and the case.
    """
    if n_cases < 1:
        raise NeuronEvalError(f"n_cases: found {n_cases!r}, expected at least 1.")
    for number, case in enumerate(make_cases(n_cases, seed)):
        for name, check in CHECKS.items():
            try:
                check(metric, case)
            except MetricCheckError as error:
                raise MetricCheckError(
                    f"{metric.name}, check {name!r}, case {number}: {error}"
                ) from error
