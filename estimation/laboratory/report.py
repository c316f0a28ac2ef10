"""Tables of the laboratory as people read them."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from estimation.laboratory.curves import best_redundancy
from estimation.laboratory.methods import PRIOR_ALONE
from estimation.laboratory.ordering import CONFIDENCE, DIFFERENCE, ordering_table
from estimation.laboratory.savings import (
    PUBLISHED_LADDER,
    PUBLISHED_TARGET,
    overall_savings,
    safety_table,
    savings_table,
)

#: Settings whose names begin so are compared with the published figures.
PUBLISHED_SETTING = "published"


def error_report(curves: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Make a table of errors for each setting: a row a method, a column a budget.

    Parameters
    ----------
    curves : DataFrame
        As of `estimation.laboratory.curves.cost_curves`.

    Yields
    ------
    title : str
    table : DataFrame
        Errors with their 95% intervals, at the best redundancy.
    """
    for setting, group in best_redundancy(curves).groupby("setting", sort=False):
        kind = "absolute error" if group["absolute"].any() else "RCE"
        budgets = sorted(budget for budget in group["budget"].unique() if budget)
        rows = []
        for method, part in group.groupby("method", sort=False):
            cells = part.set_index("budget")[["error", "error_lower", "error_upper"]]
            row: dict[str, str] = {"method": str(method)}
            for budget in budgets:
                at = 0 if method == PRIOR_ALONE else budget
                row[f"{budget:,}"] = (
                    "{:.3f} ({:.3f}-{:.3f})".format(*cells.loc[at]) if at in cells.index else ""
                )
            rows.append(row)
        yield f"{setting}: {kind} by budget", pd.DataFrame(rows)


def coverage_report(curves: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """Make a table of how often 95% intervals hold the truth, budgets together.

    Parameters
    ----------
    curves : DataFrame
        As of `estimation.laboratory.curves.cost_curves`.

    Returns
    -------
    title : str
    table : DataFrame
        A row a setting, a column a method: coverage and mean half width over the budgets from 60
        ratings on, at the redundancy with the smallest error.
    """
    kept = best_redundancy(curves)
    kept = kept[kept["coverage"].notna() & (kept["budget"] >= 60)]
    rows = []
    for setting, group in kept.groupby("setting", sort=False):
        row: dict[str, str] = {"setting": str(setting)}
        for method, part in group.groupby("method", sort=False):
            row[str(method)] = f"{part['coverage'].mean():.2f} ±{part['half_width'].mean():.2f}"
        rows.append(row)
    return "coverage of 95% intervals, and ± their mean half width", pd.DataFrame(rows)


def ordering_report(
    studies: pd.DataFrame, *, most_ratings: int = 200
) -> tuple[str, pd.DataFrame] | None:
    """Make a table of how often two explanations that differ by .05 are put in the right order.

    Parameters
    ----------
    studies : DataFrame
        As of `estimation.laboratory.curves.run_studies`.
    most_ratings : int
        The largest budget up to here is shown.

    Returns
    -------
    title : str
    table : DataFrame
        A row a setting, a column a method, at the redundancy that does best: share in the right
        order with its 95% interval, and the share that is also told apart with 95% probability.
        None without a budget that small.
    """
    budgets = studies.loc[studies["budget"] <= most_ratings, "budget"]
    if studies["pair"].nunique() < 2 or budgets.max() == 0 or budgets.empty:
        return None
    table = ordering_table(studies[studies["budget"].isin([0, budgets.max()])])
    best = table.loc[table.groupby(["setting", "method"], sort=False)["right"].idxmax()]
    rows = []
    for setting, group in best.groupby("setting", sort=False):
        row: dict[str, str] = {"setting": str(setting)}
        for part in group.to_dict("records"):
            told = "" if np.isnan(part["told_apart"]) else f", {part['told_apart']:.2f}"
            row[str(part["method"])] = (
                f"{part['right']:.3f} ({part['right_lower']:.3f}-{part['right_upper']:.3f}){told}"
            )
        rows.append(row)
    title = (
        f"share of two explanations {DIFFERENCE:g} apart in the right order at {budgets.max()} "
        f"ratings each, and told apart with {CONFIDENCE:.0%} probability"
    )
    return title, pd.DataFrame(rows).fillna("")


def savings_report(
    studies: pd.DataFrame, *, target: float | None = None, by: str = "n_ratings"
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Make the tables of savings.

    Parameters
    ----------
    studies : DataFrame
        As of `estimation.laboratory.curves.run_studies`.
    target, by
        See `estimation.laboratory.savings.savings_table`.

    Yields
    ------
    title : str
    table : DataFrame
        First ratings needed and savings, a row a (setting, method); then geometric means over
        settings; then by how much each method is worse than the better of MG-IS + BRAgg and the
        prior alone; last the published ladder, where its setting was run.
    """
    counted = "ratings bought" if by == "n_ratings" else "nominal ratings"
    goal = "the error of the published study" if target is None else f"an error of {target:g}"
    table = savings_table(studies, target=target, by=by)
    yield f"{counted} needed to reach {goal}, with 95% intervals", _readable(table)
    yield (
        f"times fewer {counted} than MG-IS + BRAgg, geometric mean over settings",
        overall_savings(table),
    )
    safety = safety_table(studies)
    if not safety.empty:
        wide = safety.pivot_table(
            index=["setting", "method"], columns="budget", values="ratio", sort=False
        )
        wide.columns = pd.Index([f"{column:,}" for column in wide.columns])
        yield (
            "error as a multiple of the better of MG-IS + BRAgg and the prior alone",
            wide.reset_index(),
        )
    published = studies[studies["setting"].str.startswith(PUBLISHED_SETTING)]
    if not published.empty:
        ladder = savings_table(published, target=PUBLISHED_TARGET, by="budget")
        ladder = ladder.assign(published=ladder["method"].map(PUBLISHED_LADDER))
        shown = _readable(ladder).drop(columns=["target"])
        shown["published"] = [
            "" if np.isnan(value) else f"{value:,.0f}" for value in ladder["published"]
        ]
        yield (
            f"SIMULATION of the published study: ratings for an RCE of {PUBLISHED_TARGET:.1%}",
            shown,
        )


def _readable(table: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for row in table.to_dict("records"):
        bound = "≤ " if row["bound"] == "at most" else ""
        rows.append(
            {
                "setting": row["setting"],
                "method": row["method"],
                "target": f"{row['target']:.3f}",
                "needed": bound + _interval(row, "needed", "{:,.0f}"),
                "× uniform + majority": _interval(row, "savings_baseline", "{:.1f}"),
                "× MG-IS + BRAgg": _interval(row, "savings_published", "{:.1f}"),
            }
        )
    return pd.DataFrame(rows)


def _interval(row: Mapping[Any, Any], name: str, form: str) -> str:
    def text(value: float) -> str:
        if np.isnan(value):
            return "?"
        return "never" if np.isinf(value) and name == "needed" else _number(value, form)

    if name not in row or np.isnan(row[name]):
        return ""
    return f"{text(row[name])} ({text(row[f'{name}_lower'])}-{text(row[f'{name}_upper'])})"


def _number(value: float, form: str) -> str:
    return "∞" if np.isinf(value) else form.format(value)
