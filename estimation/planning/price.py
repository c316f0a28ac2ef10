"""What a study costs, and which study a budget or a wanted exactness recommends."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from estimation.checks import EstimationError
from estimation.planning.pair_plan import Plan

#: The published study: 15 images a task, $0.06 a task.
PUBLISHED_ITEMS_PER_TASK = 15
PUBLISHED_REWARD = 0.06


@dataclass(frozen=True)
class Price:
    """Price of the ratings of one pair.

    Attributes
    ----------
    n_tasks : int
        Tasks, each done by `redundancy` raters.
    n_assignments : int
        Tasks times redundancy: what is paid.
    reward_per_task : float
        Paid to a rater for a task.
    rewards, fees, total : float
        To raters, to the platform, together.
    minutes : float or None
        Work of all raters together; None when minutes an item are not known.
    hourly_wage : float or None
        What a rater earns an hour; None likewise.
    """

    n_tasks: int
    n_assignments: int
    reward_per_task: float
    rewards: float
    fees: float
    total: float
    minutes: float | None
    hourly_wage: float | None


def price(
    n_inputs: int,
    redundancy: int,
    *,
    reward_per_task: float | None = None,
    hourly_rate: float | None = None,
    items_per_task: int = PUBLISHED_ITEMS_PER_TASK,
    fee_rate: float = 0.0,
    minutes_per_item: float | None = None,
) -> Price:
    """Work out what the ratings of one pair cost.

    Parameters
    ----------
    n_inputs : int
        Inputs to rate.
    redundancy : int
        Ratings an input.
    reward_per_task : float, optional
        Paid for a task; the published $0.06 when neither this nor `hourly_rate` is given.
    hourly_rate : float, optional
        Wage an hour, from which the reward of a task follows, rounded up to a cent; it needs
        `minutes_per_item`.
    items_per_task : int
        Inputs shown in a task; the last task may have fewer and is paid in full.
    fee_rate : float
        Fee of the platform as a share of the rewards.
    minutes_per_item : float, optional
        Time that a rating takes.

    Returns
    -------
    Price
        In the currency of the reward.

    Raises
    ------
    EstimationError
        When a number is out of range, or both ways to set the reward are given.
    """
    for name, number in (
        ("n_inputs", n_inputs),
        ("redundancy", redundancy),
        ("items_per_task", items_per_task),
    ):
        if number < 1:
            msg = f"{name}: found {number}, expected at least 1"
            raise EstimationError(msg)
    for name, value in (
        ("reward_per_task", reward_per_task),
        ("hourly_rate", hourly_rate),
        ("fee_rate", fee_rate),
        ("minutes_per_item", minutes_per_item),
    ):
        if value is not None and not 0 <= value < math.inf:
            msg = f"{name}: found {value}, expected 0 or more"
            raise EstimationError(msg)
    if hourly_rate is not None:
        if reward_per_task is not None:
            msg = "reward_per_task: given together with hourly_rate; give one of the two"
            raise EstimationError(msg)
        if minutes_per_item is None:
            msg = "minutes_per_item: missing; an hourly rate needs the time that a rating takes"
            raise EstimationError(msg)
        cents = 100 * hourly_rate * minutes_per_item * items_per_task / 60
        reward = math.ceil(round(cents, 6)) / 100
    else:
        reward = PUBLISHED_REWARD if reward_per_task is None else reward_per_task
    n_tasks = math.ceil(n_inputs / items_per_task)
    n_assignments = n_tasks * redundancy
    rewards = round(n_assignments * reward, 9)  # 36 x 0.3 is 10.8
    minutes = None if minutes_per_item is None else minutes_per_item * n_inputs * redundancy
    return Price(
        n_tasks,
        n_assignments,
        reward,
        rewards,
        round(rewards * fee_rate, 9),
        round(rewards * (1 + fee_rate), 9),
        minutes,
        round(60 * rewards / minutes, 9) if minutes else None,
    )


@dataclass(frozen=True)
class Recommendation:
    """The study that a plan recommends.

    Attributes
    ----------
    design : str
        Sampling design.
    n_inputs, redundancy : int
        Draws, and ratings of each input.
    budget : int
        Ratings at most.
    rmse, relative_error : float
        Expected errors, see `Plan`.
    reason : str
        Why, in a sentence.
    """

    design: str
    n_inputs: int
    redundancy: int
    budget: int
    rmse: float
    relative_error: float
    reason: str


def recommend(
    plan: Plan,
    *,
    budget: int | None = None,
    rmse: float | None = None,
    designs: Sequence[str] | None = None,
) -> Recommendation:
    """Choose design, inputs and redundancy for a budget, or the cheapest for a wanted error.

    Parameters
    ----------
    plan : Plan
        From `plan_pair` or `combine_plans`.
    budget : int, optional
        Ratings a pair at most.
    rmse : float, optional
        Root mean square error wanted; give this or `budget`.
    designs : sequence of str, optional
        Designs to choose from; all of the plan by default.

    Returns
    -------
    Recommendation
        Least error within the budget (among equals fewer ratings), or least budget for the error.

    Raises
    ------
    EstimationError
        When not exactly one of budget and error is given, the plan has no study within the budget,
        or none reaches the error.
    """
    if (budget is None) == (rmse is None):
        msg = "budget: give either a budget or the rmse wanted"
        raise EstimationError(msg)
    table = plan.table
    if designs is not None:
        table = table[table["design"].isin(list(designs))]
    if table.empty:
        msg = f"designs: the plan has none of {list(designs or [])}; plan them first"
        raise EstimationError(msg)
    if budget is not None:
        fitting = table[table["budget"] <= budget]
        if fitting.empty:
            msg = (
                f"budget: {budget} ratings, but the least that was planned for is "
                f"{int(table['budget'].min())}; raise it or plan smaller budgets"
            )
            raise EstimationError(msg)
        order = ["rmse", "expected_ratings"]
        reason = f"least expected error of {len(fitting)} studies within {budget} ratings"
    else:
        fitting = table[table["rmse"] <= rmse]
        if fitting.empty:
            best = table.sort_values("rmse").iloc[0]
            msg = (
                f"rmse: no study planned reaches {rmse:g}; the best has {best['rmse']:.3f} with "
                f"{int(best['budget'])} ratings; plan larger budgets, or improve the prior"
            )
            raise EstimationError(msg)
        order = ["budget", "rmse"]
        reason = f"fewest ratings of {len(fitting)} studies with an expected error of {rmse:g}"
    row = fitting.sort_values(order, kind="stable").iloc[0]
    return Recommendation(
        str(row["design"]),
        int(row["n_inputs"]),
        int(row["redundancy"]),
        int(row["budget"]),
        float(row["rmse"]),
        float(row["relative_error"]),
        reason,
    )


def savings(plan: Plan, *, baseline: str = "uniform") -> pd.DataFrame:
    """Compute how many ratings each design needs for the errors that a baseline reaches.

    Parameters
    ----------
    plan : Plan
        With the baseline among its designs.
    baseline : str
        Design to compare with, at its best redundancy.

    Returns
    -------
    DataFrame
        One row a (budget of the baseline, design): ``budget``, ``rmse``, ``design``, ``ratings``
        (interpolated between planned budgets, logarithms of both; NaN outside them), ``factor``
        (budget over ratings).

    Raises
    ------
    EstimationError
        When the plan lacks the baseline.
    """
    best = plan.best()
    if baseline not in set(best["design"]):
        msg = f"baseline: the plan has no design {baseline!r}; found {sorted(set(best['design']))}"
        raise EstimationError(msg)
    rows = []
    for _, base in best[best["design"] == baseline].iterrows():
        for name, own in best.groupby("design", sort=False):
            ratings = _ratings_for(own["budget"].tolist(), own["rmse"].tolist(), base["rmse"])
            rows.append(
                {
                    "budget": int(base["budget"]),
                    "rmse": float(base["rmse"]),
                    "design": name,
                    "ratings": ratings,
                    "factor": base["budget"] / ratings,
                }
            )
    return pd.DataFrame(rows)


def _ratings_for(budgets: Sequence[int], errors: Sequence[float], wanted: float) -> float:
    """Interpolate the first budget whose error is no more than wanted; NaN outside the plan."""
    if errors[0] <= wanted:
        return float(budgets[0]) if math.isclose(errors[0], wanted) else math.nan
    points = list(zip(budgets, errors, strict=True))
    for (low, before), (high, after) in itertools.pairwise(points):
        if after <= wanted:
            share = math.log(before / wanted) / math.log(before / after)
            return float(low * (high / low) ** share)
    return math.nan
