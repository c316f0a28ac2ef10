"""Ratings needed to reach an error, and what each method saves over another."""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression

from estimation.checks import EstimationError, FloatArray
from estimation.laboratory.curves import N_BOOTSTRAP, bootstrap_means, study_errors
from estimation.laboratory.methods import BASELINE, PRIOR_ALONE, PUBLISHED

#: RCE at which the published savings are stated.
PUBLISHED_TARGET = 0.275
#: The published study: 180 inputs drawn, 3 ratings each.
REFERENCE = (PUBLISHED, 540, 3)
#: What the published paper needs for it: ratings by method.
PUBLISHED_LADDER = {
    "uniform + majority": 22_560,
    "uniform + BRAgg": 14_607,
    "MG-IS + majority": 1_760,
    "MG-IS + BRAgg": 550,
}


def ratings_needed(cost: ArrayLike, error: ArrayLike, target: float) -> float:
    """Interpolate the cost at which a curve falls to an error.

    The curve is first made monotone (isotonic regression of the log error on the order of cost), so
    that a lucky dip is no success; between its points, log cost is linear in log error.

    Parameters
    ----------
    cost : array-like, shape (n,)
        Ratings, positive, increasing.
    error : array-like, shape (n,)
        Mean errors there, not negative.
    target : float
        Error to reach, positive.

    Returns
    -------
    float
        Ratings; the smallest cost where that already reaches the target (so an upper bound);
        infinity where the curve does not come down to it.

    Raises
    ------
    EstimationError
        When lengths differ or the target is not positive.
    """
    x, y = np.asarray(cost, dtype=np.float64), np.asarray(error, dtype=np.float64)
    if x.shape != y.shape or x.size == 0 or np.any(np.diff(x) <= 0) or x[0] <= 0:
        msg = "cost: expected increasing positive numbers, as many as errors"
        raise EstimationError(msg)
    if not target > 0:
        msg = f"target: {target} is not positive; give an error to reach, such as 0.275"
        raise EstimationError(msg)
    smooth = isotonic_regression(np.log(np.maximum(y, 1e-12)), increasing=False).x
    goal = np.log(target)
    reached = np.flatnonzero(smooth <= goal + 1e-12)
    if reached.size == 0:
        return float("inf")
    at = int(reached[0])
    if at == 0:
        return float(x[0])
    share = (smooth[at - 1] - goal) / (smooth[at - 1] - smooth[at])
    return float(np.exp(np.log(x[at - 1]) + share * (np.log(x[at]) - np.log(x[at - 1]))))


@dataclass(frozen=True, eq=False)
class _Curve:
    """Errors of one method in one setting, and of its resamples, at the best redundancy."""

    cost: FloatArray  # (n_budgets,)
    error: FloatArray  # (n_budgets,)
    resampled: FloatArray  # (n_bootstrap, n_budgets)


def _curve(studies: pd.DataFrame, by: str, seed: int) -> _Curve:
    """Gather one method's studies of one setting."""
    budgets = sorted(studies["budget"].unique())
    cost, error, resampled = [], [], []
    for budget in budgets:
        here = studies[studies["budget"] == budget]
        tables = [
            group.pivot_table(index="pair", columns="seed", values="error").to_numpy()
            for _, group in here.groupby("redundancy")
        ]
        bought = [group["n_ratings"].mean() for _, group in here.groupby("redundancy")]
        means = np.array([table.mean() for table in tables])
        best = int(means.argmin())
        error.append(means[best])
        # the choice of the redundancy is part of what is resampled
        resampled.append(bootstrap_means(np.stack(tables), seed=seed).min(axis=1))
        cost.append(float(budget) if by == "budget" else float(bought[best]))
    # what was bought may not grow with the budget where another redundancy is best
    order = np.argsort(cost, kind="stable")
    cost_array = np.asarray(cost)[order]
    fresh = np.concatenate([[True], np.diff(cost_array) > 0])
    return _Curve(
        cost_array[fresh],
        np.asarray(error)[order][fresh],
        np.stack(resampled, axis=1)[:, order][:, fresh],
    )


def savings_table(
    studies: pd.DataFrame,
    *,
    target: float | None = None,
    reference: tuple[str, int, int] = REFERENCE,
    by: str = "n_ratings",
    seed: int = 0,
) -> pd.DataFrame:
    """Compute the ratings that each method needs, and the savings.

    Parameters
    ----------
    studies : DataFrame
        As of `estimation.laboratory.curves.run_studies`.
    target : float, optional
        Error to reach. Without it, in each setting the error that `reference` is left with.
    reference : tuple
        Method, budget and redundancy of a study; the published one by default.
    by : {"n_ratings", "budget"}
        What counts as cost: ratings bought, or the nominal budget, in which an input that was drawn
        twice counts twice though its ratings are bought once (as the published figures count).
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    DataFrame
        A row a (setting, method) that rates: ``target``, ``needed`` with its 95% interval,
        ``savings_baseline`` and ``savings_published`` (how many times fewer ratings than uniform +
        majority, and than MG-IS + BRAgg) with theirs, and ``bound``: "at most" where the smallest
        budget already reaches the target, "never" where none does. Without a target the last
        savings are over the reference study itself, whose error is resampled too.

    Raises
    ------
    EstimationError
        When `by` is unknown, or the reference was not run.
    """
    if by not in ("n_ratings", "budget"):
        msg = f"by: found {by!r}, expected 'n_ratings' or 'budget'"
        raise EstimationError(msg)
    rows = []
    for setting, group in study_errors(studies).groupby("setting", sort=False):
        curves = {
            method: _curve(part, by, seed)
            for method, part in group.groupby("method", sort=False)
            if part["budget"].max() > 0
        }
        if target is None:
            goals, spent = _reference(group, reference, by, seed)
        else:
            goals, spent = np.full(N_BOOTSTRAP + 1, target), None
        needed = {
            method: np.array(
                [
                    ratings_needed(curve.cost, row, goal)
                    for row, goal in zip([curve.error, *curve.resampled], goals, strict=True)
                ]
            )
            for method, curve in curves.items()
        }
        others = {"savings_baseline": needed.get(BASELINE)}
        others["savings_published"] = (
            needed.get(PUBLISHED) if spent is None else np.full(N_BOOTSTRAP + 1, spent)
        )
        for method, values in needed.items():
            row: dict[str, Any] = {"setting": setting, "method": method, "target": goals[0]}
            row |= _with_interval("needed", values)
            for name, other in others.items():
                if other is not None:
                    row |= _with_interval(name, _ratio(other, values))
            row["bound"] = (
                "never"
                if np.isinf(values[0])
                else "at most"
                if values[0] <= curves[method].cost[0]
                else ""
            )
            rows.append(row)
    return pd.DataFrame(rows)


def _reference(
    studies: pd.DataFrame, reference: tuple[str, int, int], by: str, seed: int
) -> tuple[FloatArray, float]:
    """Find the errors of the reference study, resampled ones behind its own, and its cost."""
    method, budget, redundancy = reference
    rows = studies[
        (studies["method"] == method)
        & (studies["budget"] == budget)
        & (studies["redundancy"] == redundancy)
    ]
    if rows.empty:
        msg = (
            f"reference: {method} at {budget} ratings, {redundancy} an input, was not run in "
            f"{studies['setting'].iloc[0]!r}; run it too, or give a target"
        )
        raise EstimationError(msg)
    values = rows.pivot_table(index="pair", columns="seed", values="error").to_numpy()
    resampled = bootstrap_means(values[None], seed=seed)[:, 0]
    cost = float(budget) if by == "budget" else float(rows["n_ratings"].mean())
    return np.concatenate([[values.mean()], resampled]), cost


def safety_table(studies: pd.DataFrame) -> pd.DataFrame:
    """Compare every method with the better of MG-IS + BRAgg and the prior alone.

    Parameters
    ----------
    studies : DataFrame
        As of `estimation.laboratory.curves.run_studies`.

    Returns
    -------
    DataFrame
        A row a (setting, method, budget): ``error``, ``error_of_others``, and their ``ratio``;
        above 1 the method is worse than what one could have had without it.

    Raises
    ------
    EstimationError
        When neither of the two was run.
    """
    errors = study_errors(studies)
    means = errors.groupby(["setting", "method", "budget", "redundancy"], sort=False)[
        "error"
    ].mean()
    best = means.groupby(level=["setting", "method", "budget"], sort=False).min().to_dict()
    rows = []
    for key, error in best.items():
        setting, method, budget = cast("tuple[str, str, int]", key)
        if method in (PUBLISHED, PRIOR_ALONE) or budget == 0:
            continue
        others = [
            best[other]
            for other in ((setting, PUBLISHED, budget), (setting, PRIOR_ALONE, 0))
            if other in best
        ]
        if not others:
            msg = f"methods: neither {PUBLISHED!r} nor {PRIOR_ALONE!r} was run; run one of them"
            raise EstimationError(msg)
        rows.append(
            {
                "setting": setting,
                "method": method,
                "budget": budget,
                "error": error,
                "error_of_others": min(others),
                "ratio": error / min(others),
            }
        )
    return pd.DataFrame(rows)


def overall_savings(table: pd.DataFrame, *, column: str = "savings_published") -> pd.DataFrame:
    """Take the geometric mean of savings over settings.

    Parameters
    ----------
    table : DataFrame
        As of `savings_table`.
    column : str
        Which savings.

    Returns
    -------
    DataFrame
        A row a method: ``geometric_mean`` over the settings in which it reaches the target,
        ``n_settings`` of these, and ``n_never`` of the others. A saving of 0 (never) would make
        every mean 0, so these are counted, not averaged.
    """
    rows = []
    for method, group in table.groupby("method", sort=False):
        values = group[column].to_numpy(dtype=np.float64)
        fine = np.isfinite(values) & (values > 0)
        mean = float(np.exp(np.log(values[fine]).mean())) if fine.any() else float("nan")
        rows.append(
            {
                "method": method,
                "geometric_mean": mean,
                "n_settings": int(fine.sum()),
                "n_never": int((~fine).sum()),
            }
        )
    return pd.DataFrame(rows)


def _ratio(other: FloatArray, own: FloatArray) -> FloatArray:
    """How many times fewer; where both are infinite nothing can be said."""
    both = np.isinf(other) & np.isinf(own)
    ratio: FloatArray = np.divide(other, own, out=np.full(own.shape, np.nan), where=~both)
    return ratio


def _with_interval(name: str, values: FloatArray) -> dict[str, float]:
    """Point first, resamples behind it; an infinite end stays infinite."""
    resampled = np.sort(values[1:][~np.isnan(values[1:])])
    ends = [float("nan")] * 2
    if resampled.size:
        last = resampled.size - 1
        ends = [float(resampled[round(share * last)]) for share in (0.025, 0.975)]
    return {name: float(values[0]), f"{name}_lower": ends[0], f"{name}_upper": ends[1]}
