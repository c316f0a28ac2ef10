"""How many ratings each method needs: the published ladder, and regimes that strain a method.

    python benchmarks/savings.py                    simulated settings
    python benchmarks/savings.py --data FOLDER      CIFAR-10H; FOLDER holds classes_0_to_4.npz
    python benchmarks/savings.py --quick            few pairs and seeds: minutes, wide intervals

A thin front of the laboratory (``estimation.laboratory``; the command ``neuron-estimate`` has all
its options). For each method and budget the best redundancy is taken; with --ladder it is 3, as
published. Intervals are bootstrap intervals over pairs, and over seeds within pairs. With --data
nothing is simulated but, in the settings that say so, the raters; five classes and three pairs of
models give 15 pairs a setting.

--out keeps finished studies, so that a run that was stopped goes on where it was.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from estimation.checks import EstimationError
from estimation.laboratory.curves import BUDGETS, REDUNDANCIES, cost_curves, run_studies
from estimation.laboratory.methods import METHODS, PUBLISHED
from estimation.laboratory.report import (
    coverage_report,
    error_report,
    ordering_report,
    savings_report,
)
from estimation.laboratory.savings import REFERENCE
from estimation.laboratory.settings import cifar_settings, simulated_settings

#: Uniform draws with majority votes need more than the default budgets in the published settings.
LARGE_BUDGETS = (131_220, 393_660)
#: Ratings an input of the published study.
PUBLISHED_REDUNDANCY = (3,)
LADDER = ("uniform + majority", "uniform + BRAgg", "MG-IS + majority", "MG-IS + BRAgg")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder of CIFAR-10H")
    parser.add_argument("--setting", action="append", help="only this one; may be repeated")
    parser.add_argument("--method", action="append", choices=list(METHODS), help="may be repeated")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=10, help="simulated pairs a setting")
    parser.add_argument("--largest", type=int, default=4860, help="largest budget, ratings")
    parser.add_argument("--ladder", action="store_true", help="the published ladder alone")
    parser.add_argument("--quick", action="store_true", help="4 pairs, 2 seeds")
    parser.add_argument("--by", choices=("bought", "nominal"), default="bought")
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument("--out", type=Path, help="folder that keeps finished studies")
    arguments = parser.parse_args()
    n_pairs, n_seeds = (4, 2) if arguments.quick else (arguments.pairs, arguments.seeds)
    if arguments.ladder and arguments.data:
        parser.error("--ladder: is of the simulated settings; leave --data out")
    try:
        settings = (
            cifar_settings(arguments.data)
            if arguments.data
            else simulated_settings(n_pairs=n_pairs)
        )
        methods = arguments.method or list(METHODS)
        redundancies = REDUNDANCIES
        budgets = [budget for budget in BUDGETS if budget <= arguments.largest]
        wanted = arguments.setting or list(settings)
        if arguments.ladder:
            published = [name for name in settings if name.startswith("published")]
            wanted = arguments.setting or published
            methods = arguments.method or list(LADDER)
            budgets = [*BUDGETS, *LARGE_BUDGETS]
            redundancies = PUBLISHED_REDUNDANCY
        unknown = [name for name in wanted if name not in settings]
        if unknown:
            known = ", ".join(map(repr, settings))
            sys.exit(f"--setting: found {unknown[0]!r}, expected one of {known}")
        with tempfile.TemporaryDirectory() as temporary:
            studies = run_studies(
                [settings[name] for name in wanted],
                methods,
                budgets=budgets,
                redundancies=redundancies,
                seeds=range(n_seeds),
                n_jobs=arguments.jobs,
                folder=arguments.out or Path(temporary),
            )
        by = "n_ratings" if arguments.by == "bought" else "budget"
        curves = cost_curves(studies)
        tables = [
            *error_report(curves),
            coverage_report(curves),
            *([ordering] if (ordering := ordering_report(studies)) else []),
        ]
        if arguments.ladder:
            tables += savings_report(studies, target=0.275, by=by)
        elif PUBLISHED in methods and REFERENCE[1] in budgets:
            tables += savings_report(studies, by=by)
        else:
            print(f"No savings: they need {PUBLISHED} at {REFERENCE[1]} ratings.")
    except EstimationError as error:
        sys.exit(f"savings: {error}")
    console = Console(width=220)
    where = "CIFAR-10H, real pairs" if arguments.data else "SIMULATION"
    n = len(settings[wanted[0]].recipes)
    console.print(f"{where}: {n} pairs a setting, {n_seeds} seeds", markup=False)
    for title, frame in tables:
        table = Table(title=title, title_justify="left")
        for name in frame.columns:
            table.add_column(str(name), justify="left" if frame[name].dtype == object else "right")
        for row in frame.itertuples(index=False):
            table.add_row(*(f"{v:.2f}" if isinstance(v, float) else str(v) for v in row))
        console.print(table)


if __name__ == "__main__":
    main()
