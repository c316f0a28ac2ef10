"""Put the commands together, and turn the package's errors into one line."""

import sys
from importlib import metadata
from typing import Annotated

import typer

from estimation.checks import EstimationError
from estimation.cli import laboratory, plan, rounds
from neuron_eval.cli.console import ERROR_CONSOLE
from neuron_eval.errors import NeuronEvalError

_HELP = """Plan and study the estimation of explanation scores from human ratings.

Before a study: expected error against budget for every design, and the price:

    neuron-estimate plan activations.npy prior.csv --pair 12:dog --budget 540

In adaptive rounds: the score so far, whether to stop, and which inputs to rate next:

    neuron-estimate next activations.npy prior.csv -p 12:dog --ratings rated.csv --output next.csv

The laboratory runs every method where the truth is known, on simulated pairs or on CIFAR-10H:

    neuron-estimate curves --out curves/ --setting "1% positives"

    neuron-estimate savings --out curves/
"""

app = typer.Typer(
    name="neuron-estimate",
    help=_HELP,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("plan")(plan.plan)
app.command("next")(rounds.next_round)
app.command("curves")(laboratory.curves)
app.command("savings")(laboratory.savings)
app.command("settings")(laboratory.settings)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(metadata.version("neuronjury"))
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    """Take the options that all commands share."""


def main() -> None:
    """Run the command line; a wrong input ends with one line and exit status 2."""
    from rich.markup import escape

    try:
        app()
    except (EstimationError, NeuronEvalError, OSError) as error:
        # Errors of this package say what to do; a traceback would only hide it.
        ERROR_CONSOLE.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(2)
