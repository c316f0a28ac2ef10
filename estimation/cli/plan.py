"""``neuron-estimate plan``: what a study will find out, and what it costs, before any rating."""

from pathlib import Path
from typing import Annotated

import typer

from estimation.cli.pairs import Activations, Correlation, ErrorRate, Prior, read_pairs
from neuron_eval.cli.console import (
    CONSOLE,
    check_output,
    note,
    progress_bar,
    show_table,
    write_table,
)


def plan(
    activations: Activations,
    prior: Prior,
    pair: Annotated[
        list[str],
        typer.Option("--pair", "-p", help="NEURON:CONCEPT, names or column numbers; several."),
    ],
    budget: Annotated[
        int | None, typer.Option(min=1, help="Ratings a pair that you can pay for.")
    ] = None,
    rmse: Annotated[
        float | None,
        typer.Option(help="Expected error to reach, instead of a budget; 0.05 if neither."),
    ] = None,
    error_rate: ErrorRate = 0.23,
    correlation: Correlation = 0.1,
    reward: Annotated[float, typer.Option(help="Paid for a task.")] = 0.06,
    items_per_task: Annotated[int, typer.Option(min=1, help="Items a task.")] = 15,
    fee_rate: Annotated[float, typer.Option(help="Fee of the panel, as a share of rewards.")] = 0.0,
    minutes_per_item: Annotated[
        float | None, typer.Option(help="Minutes an item takes, to know the hourly wage.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write the table: .csv or .json.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw it: .png, .svg or .pdf.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the labels that are tried.")] = 0,
) -> None:
    """Plan a study: expected error against budget for every design, what to do, and its price.

    Labels are drawn from the concept prior, which is doubted; raters err as told.

    neuron-estimate plan activations.npy prior.csv --pair 12:dog --budget 540 --plot plan.png
    """
    from estimation.planning import (
        RaterErrors,
        combine_plans,
        plan_pair,
        plot_plan,
        price,
        recommend,
    )
    from estimation.planning.pair_plan import DEFAULT_BUDGETS

    check_output(plot, (".png", ".svg", ".pdf"))
    check_output(output, (".csv", ".json"))
    pairs = read_pairs(activations, prior, pair)
    raters = RaterErrors(error_rate, correlation)
    budgets = sorted({*DEFAULT_BUDGETS, *([] if budget is None else [budget])})
    plans = []
    with progress_bar("planning", len(pairs)) as steps:
        for one in pairs:
            plans.append(
                plan_pair(one.activation, one.prior, budgets=budgets, raters=raters, seed=seed)
            )
            steps.one_more()
    whole = combine_plans(plans) if len(plans) > 1 else plans[0]
    best = whole.best()
    show_table(
        best[["budget", "design", "redundancy", "n_inputs", "rmse", "relative_error"]],
        f"expected error of {len(pairs)} pair{'s' if len(pairs) > 1 else ''}, by ratings a pair",
    )
    for warning in whole.warnings:
        note(warning)
    # before the advice, which may say that no planned study will do
    write_table(whole.table, output)
    if plot is not None:
        plot_plan(whole).savefig(plot)
        note(f"wrote {plot}")
    goal = None if budget is not None else rmse if rmse is not None else 0.05
    advice = recommend(whole, budget=budget, rmse=goal)
    CONSOLE.print(advice.reason, soft_wrap=True, markup=False)
    cost = price(
        advice.n_inputs,
        advice.redundancy,
        reward_per_task=reward,
        items_per_task=items_per_task,
        fee_rate=fee_rate,
        minutes_per_item=minutes_per_item,
    )
    wage = "" if cost.hourly_wage is None else f"; raters earn {cost.hourly_wage:.2f} an hour"
    CONSOLE.print(
        f"{advice.n_inputs} inputs x {advice.redundancy} ratings: {cost.n_assignments} tasks, "
        f"{cost.total:.2f} a pair, {cost.total * len(pairs):.2f} in all{wage}",
        soft_wrap=True,
        markup=False,
    )
