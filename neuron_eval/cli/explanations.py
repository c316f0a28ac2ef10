"""``neuron-eval explanations``: look into explanation files and bring them into one format."""

from pathlib import Path
from typing import Annotated

import typer

from neuron_eval.cli.console import CONSOLE, ERROR_CONSOLE, check_output, note
from neuron_eval.errors import NeuronEvalError

app = typer.Typer(
    help="Explanation files of CLIP-Dissect, MILAN, MILANNOTATIONS, Network Dissection, Linear "
    "Explanations, Describe-and-Dissect, and ours.",
    no_args_is_help=True,
)


@app.command()
def inspect(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Explanation files.")],
    show: Annotated[int, typer.Option(min=0, help="Explanations to print of each file.")] = 3,
) -> None:
    """Say what was recognised in each file, what was left out, and why.

    Ends with status 1 if a file could not be read.

        neuron-eval explanations inspect results/*.csv
    """
    from neuron_eval.explanation_files import read_explanations

    unreadable = 0
    for number, path in enumerate(files):
        if number:
            CONSOLE.print()
        try:
            found = read_explanations(path)
        except NeuronEvalError as error:
            unreadable += 1
            ERROR_CONSOLE.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
            continue
        CONSOLE.print(found.summary(), markup=False, soft_wrap=True, highlight=False)
        for explanation in found.explanations[:show]:
            text = " + ".join(
                t.text if t.weight == 1 else f"{t.weight:.3g} {t.text}" for t in explanation.terms
            )
            where = f"{explanation.layer} " if explanation.layer else ""
            CONSOLE.print(
                f"  {where}unit {explanation.unit}: {text}",
                markup=False,
                soft_wrap=True,
                highlight=False,
            )
    if unreadable:
        raise typer.Exit(1)


@app.command()
def convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An explanation file.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Write our format to this .csv or .json.")
    ],
    layer: Annotated[
        str | None, typer.Option(help="The layer, where the file does not name it.")
    ] = None,
) -> None:
    """Write what was recognised in our own format.

    neuron-eval explanations convert clip_dissect.csv -o explanations.json
    """
    from neuron_eval.explanation_files import read_explanations, write_explanations

    check_output(output, (".csv", ".json"))
    found = read_explanations(file, layer=layer)
    CONSOLE.print(found.summary(), markup=False, soft_wrap=True, highlight=False)
    write_explanations(output, found.explanations)
    note(f"wrote {output} ({len(found.explanations)} explanations)")
