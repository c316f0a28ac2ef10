"""``neuron-eval sanity``: check that a metric would notice a bad explanation."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuron_eval.cli import options as opt
from neuron_eval.cli.console import (
    CONSOLE,
    check_output,
    note,
    progress_bar,
    show_table,
    write_table,
)

if TYPE_CHECKING:
    import pandas as pd

    from neuron_eval.matrices import Matrix

app = typer.Typer(
    help="Missing and Extra Labels: a metric must fall when the concept's labels get worse.",
    no_args_is_help=True,
)


@app.command()
def theoretical(
    metric: opt.MetricNames = None,
    gamma: Annotated[
        list[float] | None,
        typer.Option(help="Share of inputs with the concept; several. The paper's five if none."),
    ] = None,
    inputs: Annotated[int, typer.Option(min=2, help="Number of probe inputs.")] = 500_000,
    draws: Annotated[int, typer.Option(min=1, help="Simulated draws per cell.")] = 1000,
    published: Annotated[
        bool,
        typer.Option(
            "--published",
            help="Compare with the published table, and imitate its rules where they differ "
            "(half a minute).",
        ),
    ] = False,
    seed: opt.Seed = 0,
    output: opt.Output = None,
    plot: opt.Plot = None,
) -> None:
    """Check metrics on a perfect explanation, exactly, from counts.

    The neuron equals its concept. Missing labels loses half of the positive labels, extra labels
    doubles them with wrong ones. The decrease accuracy is the probability that the score falls by
    more than 0.001 of the metric's range; a metric passes if it exceeds 90% in both tests at every
    density.

        neuron-eval sanity theoretical --plot theory.png

        neuron-eval sanity theoretical --published
    """
    check_output(output, (".csv", ".json"))
    check_output(plot, opt.PLOT_SUFFIXES)
    if published:
        if metric or gamma:
            raise opt.OptionError("--published: is for all metrics and the paper's densities.")
        table = _compare(seed)
    else:
        table = _theory(metric, gamma, inputs, draws, seed, plot)
    write_table(table, output)


def _theory(
    metric: list[str] | None,
    gamma: list[float] | None,
    inputs: int,
    draws: int,
    seed: int,
    plot: Path | None,
) -> "pd.DataFrame":
    from neuron_eval.sanity.theoretical import (
        GAMMAS,
        run_theoretical_checks,
        summarize_theory,
        theoretical_table,
    )

    with progress_bar("counting", None):
        checks = run_theoretical_checks(
            metrics=opt.chosen_metrics(metric) if metric else None,
            gammas=gamma or GAMMAS,
            n_inputs=inputs,
            n_draws=draws,
            seed=seed,
        )
    table = theoretical_table(checks)
    summary = summarize_theory(table)
    show_table(summary, f"A perfect explanation, {inputs:,} inputs: decrease accuracies at worst")
    if plot is not None:
        from neuron_eval.plots import plot_sanity, save_plot

        save_plot(plot_sanity(summary, title="Sanity checks, perfect explanation"), plot)
        note(f"wrote {plot}")
    return table


def _compare(seed: int) -> "pd.DataFrame":
    from neuron_eval.sanity.published import compare_with_published

    with progress_bar("imitating the published rules", 10) as steps:
        table = compare_with_published(seed=seed, progress=steps.to)
    differing = table[~table["agrees"]]
    agreeing = len(table) - len(differing)
    show_table(
        differing[["metric", "gamma", "test", "published", "faithful", "exact"]].assign(
            gamma=differing["gamma"].map("{:g}".format)
        ),
        "Mean normalised difference of the score, where the published figure is not the exact one",
        digits=4,
    )
    CONSOLE.print(f"{agreeing} of {len(table)} published cells agree with the exact expectations.")
    for reason, rows in differing.groupby("reason"):
        names = ", ".join(dict.fromkeys(rows["metric"]))
        CONSOLE.print(f"  {reason}: {names}", soft_wrap=True, markup=False)
    CONSOLE.print("faithful: what the published rule gives, computed here.", markup=False)
    return table


@app.command()
def experimental(
    activations: opt.ActivationsFile,
    concepts: opt.ConceptsFile,
    pairs: Annotated[
        Path | None,
        typer.Option(
            help="CSV with the columns neuron and concept (a column number or a text): the known "
            "concept of each neuron. Without it, the concept of the best IoU is taken."
        ),
    ] = None,
    metric: opt.MetricNames = None,
    semantic: Annotated[
        bool,
        typer.Option(
            "--semantic",
            help="Spoil labels by meaning: narrower and broader concepts in place of the concept.",
        ),
    ] = False,
    relations: Annotated[
        Path | None,
        typer.Option(
            help="With --semantic: CSV with the columns narrower and broader. Without it, which "
            "concepts contain which is found in the labels."
        ),
    ] = None,
    fractions: Annotated[
        str | None,
        typer.Option(help="Repeat with these shares of wrong labels, such as 0.1,0.25,0.5,0.75."),
    ] = None,
    draws: Annotated[int, typer.Option(min=1, help="Draws per pair and test.")] = 10,
    validation: Annotated[
        float, typer.Option(help="Fraction of the neurons that α and λ are tuned on.")
    ] = 0.05,
    alpha: opt.Alpha = None,
    threshold: opt.Threshold = None,
    binary: opt.Binary = False,
    lam: opt.Lam = None,
    weights: opt.WeightsFile = None,
    texts: opt.TextsFile = None,
    activations_key: opt.ActivationsKey = None,
    concepts_key: opt.ConceptsKey = None,
    seed: opt.Seed = 0,
    output: opt.Output = None,
    plot: opt.Plot = None,
) -> None:
    """Check metrics on real activations and labels.

    The labels of each neuron's concept are spoiled several times; the decrease accuracy is the
    share of draws in which the score falls, with a 95% interval over neurons. A metric passes if
    both intervals lie above 90%, fails if one lies below, and is too close to call otherwise.
    Without --alpha and --lam the parameters are tuned on a few of the neurons and tested on the
    others.

        neuron-eval sanity experimental a.npy labels.csv --pairs pairs.csv --plot sanity.png
    """
    check_output(output, (".csv", ".json"))
    check_output(plot, opt.PLOT_SUFFIXES)
    if semantic and fractions:
        raise opt.OptionError("--fractions: goes with labels spoiled at random, not --semantic.")
    if relations is not None and not semantic:
        raise opt.OptionError("--relations: goes with --semantic.")
    metrics = opt.chosen_metrics(metric)
    given = opt.metric_options(alpha, threshold, binary, lam=lam)
    a, c, names, w = opt.read_inputs(
        activations,
        concepts,
        activations_key=activations_key,
        concepts_key=concepts_key,
        texts=texts,
        weights=weights,
    )
    known = _known_pairs(pairs, names) if pairs else _best_pairs(a, c, w, given)
    shared: dict[str, Any] = {
        "metrics": metrics,
        "weights": w,
        "n_draws": draws,
        "seed": seed,
        "validation": validation,
        "parameters": opt.parameters_for(metrics, given),
    }
    if fractions:
        table = _ablation(a, c, known, fractions, shared, plot)
    else:
        neighbours = _neighbours(c, names, relations) if semantic else None
        table = _experiment(a, c, known, neighbours, shared, plot)
    write_table(table, output)


def _experiment(
    a: "Matrix",
    c: "Matrix",
    pairs: list[tuple[int, int]],
    neighbours: dict[str, Any] | None,
    shared: dict[str, Any],
    plot: Path | None,
) -> "pd.DataFrame":
    from neuron_eval.sanity.experimental import run_sanity_checks
    from neuron_eval.sanity.semantic import run_semantic_checks

    with progress_bar("spoiling labels", len(pairs)) as steps:
        if neighbours is None:
            result = run_sanity_checks(a.values, c.values, pairs, **shared, progress=steps.to)
        else:
            result = run_semantic_checks(
                a.values, c.values, pairs, **neighbours, **shared, progress=steps.to
            )
    table = result.to_frame()
    shown = table[["metric", "verdict"]].copy()
    for test in ("missing", "extra"):
        shown[test] = [
            f"{row[f'{test}_accuracy']:.3f} ({row[f'{test}_low']:.3f} to {row[f'{test}_high']:.3f})"
            for _, row in table.iterrows()
        ]
    shown["parameters"] = table["parameters"]
    show_table(
        shown,
        f"Decrease accuracies on {result.n_pairs} pairs ({result.n_validation} more for tuning)",
    )
    _tell_skipped(result.skipped)
    if plot is not None:
        from neuron_eval.plots import plot_sanity, save_plot

        kind = "by meaning" if neighbours else "at random"
        save_plot(plot_sanity(table, title=f"Sanity checks, labels spoiled {kind}"), plot)
        note(f"wrote {plot}")
    return table


def _ablation(
    a: "Matrix",
    c: "Matrix",
    pairs: list[tuple[int, int]],
    fractions: str,
    shared: dict[str, Any],
    plot: Path | None,
) -> "pd.DataFrame":
    from neuron_eval.sanity.experimental import run_fraction_ablation

    try:
        shares = [float(part) for part in fractions.split(",")]
    except ValueError:
        raise opt.OptionError(
            f"--fractions: found {fractions!r}, expected numbers such as 0.1,0.25,0.5."
        ) from None
    with progress_bar("spoiling labels", len(pairs) * len(shares)) as steps:
        table = run_fraction_ablation(
            a.values, c.values, pairs, fractions=shares, **shared, progress=steps.to
        )
    wide = table.assign(column=table["test"] + table["fraction"].map(" {:g}".format)).pivot_table(
        index="metric", columns="column", values="accuracy", sort=False
    )
    show_table(wide.reset_index(), "Decrease accuracy by share of wrong labels")
    if plot is not None:
        from neuron_eval.plots import plot_ablation, save_plot

        save_plot(plot_ablation(table), plot)
        note(f"wrote {plot}")
    return table


def _best_pairs(
    a: "Matrix", c: "Matrix", weights: Any, given: dict[str, Any]
) -> list[tuple[int, int]]:
    from neuron_eval.explainers import explain_best_iou

    options = {"binarization": given["binarization"]} if "binarization" in given else {}
    found = explain_best_iou(a.values, c.values, weights=weights, **options)
    note("pairs: each neuron with the concept of its best IoU; --pairs gives known ones.")
    return [(e.unit, e.terms[0].concept) for e in found if e.terms and e.score]


def _known_pairs(path: Path, names: list[str]) -> list[tuple[int, int]]:
    from neuron_eval.pairs import read_pairs

    return read_pairs(path, names)


def _neighbours(c: "Matrix", names: list[str], relations: Path | None) -> dict[str, Any]:
    from neuron_eval.pairs import read_relations
    from neuron_eval.sanity.semantic import nested_concepts

    if relations is None:
        broader, narrower = nested_concepts(c.values)
    else:
        broader, narrower = read_relations(relations, names)
    return {"broader": broader, "narrower": narrower}


def _tell_skipped(skipped: Any) -> None:
    reasons: dict[str, list[str]] = {}
    for pair in skipped:
        what = f"{pair.metric}: " if pair.metric else ""
        reasons.setdefault(f"{what}{pair.reason}", []).append(str(pair.neuron))
    for reason, neurons in reasons.items():
        shown = ", ".join(neurons[:8]) + (", ..." if len(neurons) > 8 else "")
        note(f"not tested, neuron {shown}: {reason}")
