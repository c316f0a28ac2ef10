"""Calibration: optimal, monotone, calibrated, and kept as JSON."""

import dataclasses
import json
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit

from neuron_eval.calibration import Calibration, CalibrationWarning, fit_calibration
from neuron_eval.calibration_curves import IsotonicCurve, PlattCurve
from neuron_eval.validation import InputError

KINDS = ["platt", "isotonic"]


def _data(rng, n, slope=0.4, intercept=1.5):
    """Logits as SigLIP gives them (mostly far below zero), and labels of a known sigmoid."""
    logits = rng.normal(-8, 5, size=n)
    return logits, (rng.random(n) < expit(slope * logits + intercept)).astype(float)


def _optimum(x, targets, weights):
    """Maximise the likelihood without scikit-learn."""

    def loss(parameters):
        z = parameters[0] * x + parameters[1]
        return float(weights @ (np.logaddexp(0, z) - targets * z))

    found = minimize(loss, [0.1, 0.0], method="Nelder-Mead", tol=1e-12, options={"maxiter": 5000})
    return found.x


def _smoothed(y, weights):
    present, absent = weights @ y, weights @ (1 - y)
    return np.where(y == 1, (present + 1) / (present + 2), 1 / (absent + 2))


def test_platt_is_the_optimum_of_the_smoothed_likelihood():
    rng = np.random.default_rng(0)
    x, y = _data(rng, 60)
    w = rng.uniform(0.5, 2, size=60)
    curve = fit_calibration(x, y, w).curves[0]
    slope, intercept = _optimum(x, _smoothed(y, w), w)
    assert curve.slope == pytest.approx(slope, rel=1e-5)
    assert curve.intercept == pytest.approx(intercept, rel=1e-5)


def test_isotonic_is_the_least_squares_fit():
    rng = np.random.default_rng(1)
    x, y = _data(rng, 80)
    w = rng.uniform(0.5, 2, size=80)
    order = np.argsort(x)
    expected = isotonic_regression(y[order], weights=w[order]).x
    got = fit_calibration(x, y, w, kind="isotonic").apply(x[order])
    np.testing.assert_allclose(got, expected, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("per_concept", [False, True])
def test_a_weight_of_two_is_a_label_twice(kind, per_concept):
    rng = np.random.default_rng(2)
    x, y = (values.reshape(30, 2) for values in _data(rng, 60))
    w = rng.integers(0, 4, size=30)
    options = {"kind": kind, "per_concept": per_concept}
    weighted = fit_calibration(x, y, w, **options)
    repeated = fit_calibration(np.repeat(x, w, axis=0), np.repeat(y, w, axis=0), **options)
    grid = np.linspace(-25, 5, 40).reshape(20, 2)
    np.testing.assert_allclose(weighted.apply(grid), repeated.apply(grid), atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_calibrated_probabilities_are_calibrated(kind):
    rng = np.random.default_rng(3)
    calibration = fit_calibration(*_data(rng, 4000), kind=kind)
    x, y = _data(rng, 40_000)
    raw, calibrated = expit(x), calibration.apply(x)
    assert _worst_bin(calibrated, y) < 0.04
    assert _worst_bin(raw, y) > 0.2  # the problem that calibration solves


def test_isotonic_follows_what_no_sigmoid_can():
    rng = np.random.default_rng(4)

    def steps(n):
        x = rng.normal(size=n)
        return x, (rng.random(n) < np.where(x < 0, 0.1, np.where(x < 1, 0.4, 0.5))).astype(float)

    x, y = steps(20_000)
    fitted = {kind: fit_calibration(x, y, kind=kind) for kind in KINDS}
    fresh = np.array([-2.0, -0.5, 0.3, 0.7, 2.0])
    truth = np.array([0.1, 0.1, 0.4, 0.4, 0.5])
    assert np.abs(fitted["isotonic"].apply(fresh) - truth).max() < 0.05
    assert np.abs(fitted["platt"].apply(fresh) - truth).max() > 0.1


def _worst_bin(probabilities, labels):
    order = np.argsort(probabilities)
    return max(
        abs(probabilities[rows].mean() - labels[rows].mean()) for rows in np.array_split(order, 10)
    )


def test_separable_labels_stay_finite():
    x = np.arange(10.0)
    curve = fit_calibration(x, x >= 5)
    p = curve.apply([-1e6, 0, 4, 5, 9, 1e6])
    assert np.all(np.diff(p) >= 0)
    assert 0 < p[1] < 0.5 < p[4] < 1
    assert curve.curves[0].slope < 5


@given(
    st.lists(st.tuples(st.integers(-20, 20), st.booleans()), min_size=6, max_size=30),
    st.sampled_from(KINDS),
)
def test_probabilities_never_fall(pairs, kind):
    x, y = np.array(pairs, dtype=float).T
    try:
        calibration = fit_calibration(x, y, kind=kind)
    except InputError:
        return
    p = calibration.apply(np.linspace(-30, 30, 50))
    assert p.min() >= 0
    assert p.max() <= 1
    assert np.all(np.diff(p) >= -1e-15)


def test_takes_tensors_and_uncertain_labels():
    x, y = torch.tensor([0.0, 1.0, 2.0, 3.0]), torch.tensor([0.0, 0.25, 0.75, 1.0])
    got = fit_calibration(x, y).apply(x.reshape(2, 2))
    assert got.shape == (2, 2)
    # A label of 1/4 is a quarter of a present and three quarters of an absent one.
    split = fit_calibration([0, 1, 1, 2, 2, 3], [0, 1, 0, 1, 0, 1], [1, 0.25, 0.75, 0.75, 0.25, 1])
    np.testing.assert_allclose(got.ravel(), split.apply([0, 1, 2, 3]), atol=1e-9)


# --- one curve per concept -----------------------------------------------------------------------


def _concepts(rng, counts):
    """Concepts of different base rates; `counts` says how many labels each has."""
    n = max(counts)
    columns = [_data(rng, n, slope=0.5, intercept=4 - 2 * place) for place in range(len(counts))]
    x = np.stack([column[0] for column in columns], axis=1)
    y = np.stack([column[1] for column in columns], axis=1)
    for place, count in enumerate(counts):
        y[count:, place] = np.nan
    return x, y


def test_shrinkage_reaches_from_the_shared_curve_to_the_own_one():
    x, y = _concepts(np.random.default_rng(5), [200, 200])
    shared = fit_calibration(x, y).curves[0]
    for place, curve in enumerate(fit_calibration(x, y, per_concept=True, shrinkage=1e9).curves):
        assert curve.slope == pytest.approx(shared.slope, rel=1e-4)
        assert curve.intercept == pytest.approx(shared.intercept, rel=1e-4)
        own = fit_calibration(x, y, per_concept=True, shrinkage=1e-6).curves[place]
        expected = _optimum(x[:, place], y[:, place], np.ones(200))
        assert (own.slope, own.intercept) == pytest.approx(tuple(expected), rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_few_labels_gain_from_the_shared_curve(kind):
    rng = np.random.default_rng(6)
    n_labels, intercepts = 12, rng.normal(3, 1, size=60)
    x = rng.normal(-6, 4, size=(n_labels, 60))
    y = (rng.random(x.shape) < expit(0.5 * x + intercepts)).astype(float)
    grid = np.tile(np.linspace(-14, 2, 30)[:, None], 60)
    truth = expit(0.5 * grid + intercepts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CalibrationWarning)  # by chance, with so few labels
        error = {
            shrinkage: np.abs(
                fit_calibration(x, y, kind=kind, per_concept=True, shrinkage=shrinkage).apply(grid)
                - truth
            ).mean()
            for shrinkage in (1e-3, 10.0, 1e6)
        }
    assert error[10.0] < error[1e-3]
    assert error[10.0] < error[1e6]


@pytest.mark.parametrize("kind", KINDS)
def test_a_concept_without_labels_gets_the_shared_curve(kind):
    x, y = _concepts(np.random.default_rng(12), [500, 500, 0])
    fitted = fit_calibration(x, y, kind=kind, per_concept=True)
    assert fitted.curves[2] == fit_calibration(x, y, kind=kind).curves[0]
    grid = np.linspace(-15, 2, 30)
    truth = expit(0.5 * grid + 4)
    own, shared = (np.abs(fitted.curves[place](grid) - truth).mean() for place in (0, 2))
    assert own < shared / 2


def test_a_concept_without_positives_is_finite():
    x, y = _concepts(np.random.default_rng(7), [300, 20])
    y[:20, 1] = 0
    p = fit_calibration(x, y, per_concept=True).apply(np.zeros((1, 2)))
    assert 0 < p[0, 1] < p[0, 0] < 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_concept_whose_logits_fall_is_named(kind):
    x, y = _concepts(np.random.default_rng(8), [300, 300, 300])
    x[:, 2] = -16 - x[:, 2]
    with pytest.warns(CalibrationWarning, match=r"concepts 'dog' \(1 in all\) are lower"):
        fitted = fit_calibration(
            x, y, per_concept=True, kind=kind, names=["cat", "cow", "dog"], shrinkage=1
        )
    assert fitted.names == ("cat", "cow", "dog")
    curve = fitted.curves[2](np.array([-30.0, -8.0, 20.0]))
    assert np.diff(curve).min() >= 0
    if kind == "platt":
        assert fitted.curves[2].slope == 0
        assert curve[0] == pytest.approx(np.nanmean(y[:, 2]), abs=0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_calibration(x[:, :2], y[:, :2], per_concept=True, kind=kind)


def test_unknown_labels_do_not_count():
    rng = np.random.default_rng(9)
    x, y = _data(rng, 50)
    holes, noise = y.copy(), x.copy()
    holes[:10] = np.nan
    noise[:10] = np.nan
    assert fit_calibration(noise, holes) == fit_calibration(x[10:], y[10:])
    assert fit_calibration(x, y, np.arange(50) >= 10) == fit_calibration(x[10:], y[10:])


# --- keeping it ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("per_concept", [False, True])
def test_json_round_trip(kind, per_concept):
    x, y = _concepts(np.random.default_rng(10), [50, 40])
    fitted = fit_calibration(x, y, kind=kind, per_concept=per_concept, names=["a", "b"])
    assert Calibration.from_dict(json.loads(json.dumps(fitted.to_dict()))) == fitted
    with pytest.raises(dataclasses.FrozenInstanceError):
        fitted.kind = "platt"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "format 'other'"),
        ({"version": 2}, "version 2"),
        ({"kind": "beta"}, "damaged values"),
        ({"curves": []}, "at least one"),
        ({"curves": [{"slope": -1, "intercept": 0}]}, "slope -1.0"),
        ({"curves": [{"slope": 1, "intercept": float("nan")}]}, "intercept nan"),
        ({"curves": [{"slope": 1}]}, "damaged values"),
        ({"curves": [{"slope": 1, "intercept": "x"}]}, "damaged values"),
        ({"curves": [{"slope": 1, "intercept": 0}] * 2}, "found 2, expected one for all"),
        ({"names": ["a", "b"]}, "found 2 for 1 curves"),
    ],
)
def test_from_dict_refuses(change, message):
    values = {**Calibration("platt", (PlattCurve(1, 0),), per_concept=False).to_dict(), **change}
    with pytest.raises(InputError, match=message):
        Calibration.from_dict(values)


@pytest.mark.parametrize(
    ("logits", "probabilities"),
    [((0, 0), (0, 1)), ((0, 1), (1, 0)), ((0, 1), (0, 1.5)), ((0,), (0, 1)), ((), ())],
)
def test_isotonic_curves_are_checked(logits, probabilities):
    with pytest.raises(InputError, match="no curve"):
        IsotonicCurve(logits, probabilities)


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("logits", "labels", "options", "message"),
    [
        ([0, 1, 2, 3], [1, 1, 0, 0], {}, "anti-correlated"),
        ([0, 1, 2, 3], [1, 1, 0, 0], {"kind": "isotonic"}, "anti-correlated"),
        ([0, 1], [1, 1], {}, "all 2 labels say present"),
        ([0, 1], [0, 0], {}, "all 2 labels say absent"),
        ([1, 1], [0, 1], {}, "all are 1, expected different"),
        ([0, 1], [0, 2], {}, "values from 0 to 2"),
        ([0, 1], [0, 1, 1], {}, r"labels: found shape \(3,\)"),
        ([0, 1], [np.nan, np.nan], {}, "all are NaN"),
        ([0, np.inf], [0, 1], {}, "expected a finite number"),
        ([], [], {}, "at least one"),
        (["a", "b"], [0, 1], {}, "values of type <U1"),
        ([0, 1], [0, 1], {"weights": [1]}, r"weights: found shape \(1,\)"),
        ([0, 1], [0, 1], {"weights": [1, -1]}, "found -1"),
        ([0, 1], [0, 1], {"weights": [1, np.nan]}, "weights: the value at"),
        ([0, 1], [0, 1], {"weights": [0.5, 0.5]}, "sum to 1, expected counts"),
        ([0, 1], [0, 1], {"kind": "beta"}, "kind: found 'beta'"),
        ([0, 1], [0, 1], {"shrinkage": 0}, "shrinkage: found 0"),
        ([0, 1], [0, 1], {"names": ["a", "b"]}, "names: found 2, expected one per concept, 1"),
    ],
)
def test_fit_refuses(logits, labels, options, message):
    with pytest.raises(InputError, match=message):
        fit_calibration(logits, labels, **options)


def test_apply_refuses():
    x, y = _concepts(np.random.default_rng(11), [30, 30])
    fitted = fit_calibration(x, y, per_concept=True)
    with pytest.raises(InputError, match=r"found shape \(4, 3\), expected 2 columns"):
        fitted.apply(np.zeros((4, 3)))
    with pytest.raises(InputError, match=r"the value at \(0, 1\) is nan"):
        fitted.apply([[0, np.nan]])
