"""``neuron-eval metrics``: what there is, and whether a metric of one's own keeps its promises."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuron_eval.cli.console import CONSOLE, progress_bar, show_table

if TYPE_CHECKING:
    from neuron_eval.registry import Metric

app = typer.Typer(help="List metrics, explain one, or check one of your own.", no_args_is_help=True)

MetricName = Annotated[str, typer.Argument(metavar="METRIC", help="Name of a metric.")]


@app.command("list")
def list_metrics(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a table for a page of documentation.")
    ] = False,
) -> None:
    """List the metrics with their properties, your own among them.

    neuron-eval --metrics-from my_metrics.py metrics list
    """
    import pandas as pd

    from neuron_eval.registry import METRICS

    table = pd.DataFrame([_row(metric) for metric in METRICS.values()])
    if markdown:
        CONSOLE.print(_markdown(table), markup=False, soft_wrap=True, highlight=False)
    else:
        show_table(table, f"{len(table)} metrics")


@app.command()
def show(metric: MetricName) -> None:
    """Print the documentation of a metric.

    neuron-eval metrics show wpmi
    """
    import inspect

    from neuron_eval.registry import get_metric

    found = get_metric(metric)
    for name, value in _row(found).items():
        CONSOLE.print(f"{name:12s}{value}", markup=False, soft_wrap=True, highlight=False)
    CONSOLE.print()
    text = inspect.getdoc(found.function) or "This metric has no documentation."
    CONSOLE.print(text, markup=False, highlight=False)


@app.command()
def check(
    metric: MetricName,
    cases: Annotated[int, typer.Option(min=1, help="Data sets to check on.")] = 36,
) -> None:
    """Check that a metric keeps the promises of its registry entry.

    Weights as repetitions, order of the inputs, range, units, symmetry, types and chunks, on data
    with ties, dead neurons and empty concepts.

        neuron-eval --metrics-from my_metrics.py metrics check agreement
    """
    from neuron_eval.metric_checks import CHECKS, check_metric
    from neuron_eval.registry import get_metric

    found = get_metric(metric)
    with progress_bar("checking", None):
        check_metric(found, n_cases=cases)
    CONSOLE.print(f"{metric}: {', '.join(CHECKS)} checked on {cases} data sets; all promises kept.")


def _row(metric: "Metric") -> dict[str, Any]:
    low, high = metric.range or (None, None)
    return {
        "name": metric.name,
        "range": "unbounded" if metric.range is None else f"[{low:g}, {high:g}]",
        "binarizes": metric.binarizes,
        "reference": metric.reference or "-",
        "symmetric": "yes" if metric.symmetric else "no",
        "weights": "yes" if metric.takes_weights else "no",
        "parameters": ", ".join(metric.parameters) or "-",
        "summary": metric.summary,
    }


def _markdown(table: Any) -> str:
    def line(cells: Any) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"

    rows = [line(row) for row in table.itertuples(index=False)]
    return "\n".join([line(table.columns), line(["---"] * len(table.columns)), *rows])
