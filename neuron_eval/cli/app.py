"""Put the commands together, and turn the package's errors into one line."""

import sys
from importlib import metadata
from typing import Annotated

import typer

from neuron_eval.cli import (
    agreement,
    concepts,
    explain,
    explanations,
    meta,
    metrics,
    record,
    sanity,
    score,
)
from neuron_eval.cli.console import ERROR_CONSOLE
from neuron_eval.cli.plugins import import_modules
from neuron_eval.errors import NeuronEvalError

_HELP = """Evaluate explanations of neurons: score them, check the metrics, record activations.

Files: activations and concept vectors are matrices with one row per probe input, in .npy, .npz,
.csv, .parquet or .safetensors; concept vectors hold probabilities in [0, 1].

A first round, with activations.npy and concepts.csv (a column per concept, its text on top):

    neuron-eval explain activations.npy concepts.csv --method best_iou --output mine.csv

    neuron-eval score activations.npy concepts.csv --explanations mine.csv

    neuron-eval sanity experimental activations.npy concepts.csv --plot sanity.png
"""

app = typer.Typer(
    name="neuron-eval",
    help=_HELP,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("score")(score.score)
app.add_typer(sanity.app, name="sanity")
app.add_typer(meta.app, name="meta")
app.command("record")(record.record)
app.command("explain")(explain.explain)
app.add_typer(explanations.app, name="explanations")
app.add_typer(concepts.app, name="concepts")
app.command("agreement")(agreement.agreement)
app.add_typer(metrics.app, name="metrics")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(metadata.version("neuronjury"))
        raise typer.Exit


@app.callback()
def common(
    metrics_from: Annotated[
        list[str] | None,
        typer.Option(
            help="Python file or module that registers metrics of your own; it is imported. "
            "May be given several times."
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    """Take the options that all commands share."""
    import_modules(metrics_from or [])


def main() -> None:
    """Run the command line; a wrong input ends with one line and exit status 2."""
    try:
        app()
    except (NeuronEvalError, FileNotFoundError, PermissionError, IsADirectoryError) as error:
        # Errors of this package say what to do; a traceback would only hide it.
        ERROR_CONSOLE.print(f"[bold red]error:[/] {_escaped(error)}", soft_wrap=True)
        sys.exit(2)


def _escaped(error: Exception) -> str:
    from rich.markup import escape

    return escape(str(error))
