"""``neuron-estimate curves``, ``savings`` and ``settings``: the simulation laboratory."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from estimation.checks import EstimationError
from neuron_eval.cli.console import CONSOLE, note, show_table, write_table

if TYPE_CHECKING:
    import pandas as pd

    from estimation.laboratory.settings import Setting

Out = Annotated[
    Path,
    typer.Option(
        help="Folder for results. Finished studies are kept in its folder 'studies', so that a "
        "second call computes only what is missing."
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(help="Folder of CIFAR-10H: adds its settings, ten thousand real images."),
]
SettingNames = Annotated[
    list[str] | None,
    typer.Option(
        "--setting",
        "-s",
        help="Setting; several. All if none. 'neuron-estimate settings' names them.",
    ),
]
MethodNames = Annotated[
    list[str] | None, typer.Option("--method", "-m", help="Method; several. All if none.")
]
Budgets = Annotated[
    str | None, typer.Option(help="Ratings a pair, such as 60,180,540. Powers of three if none.")
]
Redundancies = Annotated[
    str | None, typer.Option(help="Ratings an input, such as 1,3,9. 1,3,9,27 if none.")
]
Seeds = Annotated[int, typer.Option(min=1, help="Repetitions of each study.")]
Pairs = Annotated[int, typer.Option(min=1, help="Simulated pairs a setting.")]
Inputs = Annotated[
    int, typer.Option(min=100, help="Simulated inputs; the setting 'published' has five times it.")
]
Jobs = Annotated[int, typer.Option(help="Processes; -1 for all cores.")]


def curves(
    out: Out,
    data: Data = None,
    setting: SettingNames = None,
    method: MethodNames = None,
    budgets: Budgets = None,
    redundancies: Redundancies = None,
    seeds: Seeds = 3,
    pairs: Pairs = 10,
    inputs: Inputs = 10_000,
    jobs: Jobs = -1,
) -> None:
    """Draw the error of every method against what it costs.

    Writes studies.csv (a row a study), curves.csv (means with intervals) and three figures, as PNG
    and SVG: error against ratings, against the number of inputs, and against ratings per input.

    neuron-estimate curves --out curves/ --setting published --setting "1% positives"
    """
    from estimation.laboratory.curves import cost_curves
    from estimation.laboratory.figures import plot_curves, save_figure
    from estimation.laboratory.report import coverage_report, error_report, ordering_report

    studies = _studies(
        out, data, setting, method, budgets, redundancies, seeds, pairs, inputs, jobs
    )
    table = cost_curves(studies)
    write_table(studies, out / "studies.csv")
    write_table(table, out / "curves.csv")
    for title, part in (*error_report(table), coverage_report(table)):
        show_table(part, title)
    if ordering := ordering_report(studies):
        show_table(ordering[1], ordering[0])
    for kind in ("ratings", "inputs", "ratings_per_input"):
        try:
            figure = plot_curves(table, kind=kind)
        except EstimationError as error:
            note(f"no figure of {kind}: {error}")
            continue
        for suffix in (".png", ".svg"):
            path = out / f"error-{kind.replace('_', '-')}{suffix}"
            save_figure(figure, path)
            note(f"wrote {path}")


def savings(
    out: Out,
    data: Data = None,
    setting: SettingNames = None,
    method: MethodNames = None,
    budgets: Budgets = None,
    redundancies: Redundancies = None,
    target: Annotated[
        float | None,
        typer.Option(
            help="Error to reach, such as 0.275. Without it, in each setting the error of the "
            "published study: 180 inputs by MG-IS, 3 ratings each, BRAgg."
        ),
    ] = None,
    by: Annotated[
        Literal["bought", "nominal"],
        typer.Option(
            help="bought: ratings paid for; nominal: an input that is drawn twice counts twice, as "
            "the published figures count."
        ),
    ] = "bought",
    seeds: Seeds = 3,
    pairs: Pairs = 10,
    inputs: Inputs = 10_000,
    jobs: Jobs = -1,
) -> None:
    """Print how many ratings each method needs, and how many times fewer than others.

    Writes studies.csv and savings.csv.

    neuron-estimate savings --out curves/ --seeds 5
    """
    from estimation.laboratory.report import savings_report
    from estimation.laboratory.savings import savings_table

    counted = "n_ratings" if by == "bought" else "budget"
    studies = _studies(
        out, data, setting, method, budgets, redundancies, seeds, pairs, inputs, jobs
    )
    write_table(studies, out / "studies.csv")
    write_table(savings_table(studies, target=target, by=counted), out / "savings.csv")
    for title, part in savings_report(studies, target=target, by=counted):
        show_table(part, title, most=200)


def settings(data: Data = None) -> None:
    """Name the settings and methods of the laboratory."""
    import pandas as pd

    from estimation.laboratory.methods import METHODS

    every = _every_setting(data, 10, 10_000)
    rows = [
        {
            "setting": name,
            "kind": "simulated" if one.simulated else "real pairs",
            "pairs": len(one.recipes),
            "what": one.description,
        }
        for name, one in every.items()
    ]
    show_table(pd.DataFrame(rows), "settings")
    show_table(pd.DataFrame({"method": list(METHODS)}), "methods")


def _every_setting(data: Path | None, pairs: int, inputs: int) -> Mapping[str, "Setting"]:
    from estimation.laboratory.settings import cifar_settings, simulated_settings

    simulated = simulated_settings(n_pairs=pairs, n_inputs=inputs, published_inputs=5 * inputs)
    return {**simulated, **(cifar_settings(data) if data is not None else {})}


def _studies(
    out: Path,
    data: Path | None,
    setting: list[str] | None,
    method: list[str] | None,
    budgets: str | None,
    redundancies: str | None,
    seeds: int,
    pairs: int,
    inputs: int,
    jobs: int,
) -> "pd.DataFrame":
    from estimation.laboratory.curves import BUDGETS, REDUNDANCIES, run_studies
    from estimation.laboratory.methods import METHODS

    every = _every_setting(data, pairs, inputs)
    wanted = setting or list(every)
    for name in wanted:
        if name not in every:
            msg = f"--setting: found {name!r}, expected one of {', '.join(map(repr, every))}"
            raise EstimationError(msg)
    chosen = [every[name] for name in wanted]
    simulated = [one.name for one in chosen if one.simulated]
    if simulated:
        CONSOLE.print(f"SIMULATION: {', '.join(simulated)}", soft_wrap=True, markup=False)
    return run_studies(
        chosen,
        method or list(METHODS),
        budgets=_numbers(budgets, "--budgets", BUDGETS),
        redundancies=_numbers(redundancies, "--redundancies", REDUNDANCIES),
        seeds=range(seeds),
        n_jobs=jobs,
        folder=out / "studies",
    )


def _numbers(text: str | None, option: str, default: tuple[int, ...]) -> list[int]:
    if text is None:
        return list(default)
    try:
        return sorted({int(part) for part in text.split(",")})
    except ValueError:
        msg = f"{option}: found {text!r}, expected whole numbers such as 60,180,540"
        raise EstimationError(msg) from None
