"""``python -m demo``: the whole study on handwritten digits, from training to leaderboard."""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

SEED = 0
MEAN_ERROR = 0.23
TASKS_A_RATER = 10
INPUTS_PER_PAIR = 50

console = Console()


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument(
        "--fresh", action="store_true", help="start another study beside those that exist"
    )
    parser.add_argument(
        "--seed", type=int, default=SEED, help=f"of network, samples and raters (default {SEED})"
    )
    parser.add_argument(
        "--inputs-per-pair",
        type=int,
        default=INPUTS_PER_PAIR,
        help="inputs drawn for each (neuron, concept) pair of a new study "
        f"(default {INPUTS_PER_PAIR})",
    )
    return parser.parse_args(arguments)


@contextmanager
def stage(number: int, title: str) -> Iterator[Callable[[str], None]]:
    """Announce a stage, print its lines, and say how long it took."""
    console.print(f"\n[bold]{number}. {title}[/bold]")
    start = time.perf_counter()
    yield lambda line: console.print(f"   {line}", highlight=False)
    console.print(f"   [dim]{time.perf_counter() - start:.1f} s[/dim]", highlight=False)


def main() -> None:
    """Run the demo study; what an earlier run finished is not done again."""
    options = parse()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "neuronjury.settings.dev")
    # set before Django starts: only this process may call a rater simulated
    os.environ["NEURONJURY_ALLOW_SIMULATED_RATERS"] = "1"
    started = time.perf_counter()

    import django

    django.setup()

    import torch
    from django.conf import settings
    from django.core.management import call_command

    from annotation.models import Aggregation, AssignmentStatus, Rating, RunStatus
    from annotation.services.estimates import estimate_request, estimate_run
    from annotation.services.studies import study_redundancy_raise
    from demo import outputs, raters
    from demo import study as stages
    from estimation.simulation import simulate_raters

    torch.set_num_threads(1)  # the network is so small that threads only cost
    call_command("migrate", verbosity=0)
    console.print("[bold]Neuron Jury demo[/bold]: is each explanation of each neuron true?")

    with stage(1, "Digits, a network, and what a cheap model sees") as say:
        owner, login = stages.researcher_account()
        probe = stages.prepare_probe(seed=options.seed, say=say)

    with stage(2, "Five explanation methods; model-guided importance sampling") as say:
        study = stages.prepare_study(
            probe,
            owner=owner,
            seed=options.seed,
            inputs_per_pair=options.inputs_per_pair,
            fresh=options.fresh,
            say=say,
        )

    with stage(3, "Simulated raters work through the web app") as say:
        wanted = study.items.count() * stages.REDUNDANCY
        held = Rating.objects.filter(
            item__study=study, assignment__status=AssignmentStatus.SUBMITTED
        ).count()
        n_raters = -(-study.tasks.count() * stages.REDUNDANCY // TASKS_A_RATER) + stages.REDUNDANCY
        panel = simulate_raters(
            n_raters, mean_error=MEAN_ERROR, seed=options.seed, prefix=f"{study.slug}-rater"
        )
        with Progress(
            SpinnerColumn(),
            TextColumn("  ratings"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        ) as bar:
            task = bar.add_task("ratings", total=wanted, completed=held)
            given = 0
            if study.redundancy == stages.REDUNDANCY:
                given = raters.rate_study(
                    study,
                    panel,
                    truth=probe.truth,
                    max_tasks=TASKS_A_RATER,
                    seed=options.seed,
                    progress=lambda n: bar.advance(task, n),
                )
        mean_error = sum(r.miss_rate + r.false_alarm_rate for r in panel) / (2 * len(panel))
        say(
            f"{given} ratings given now, {held} before; {stages.REDUNDANCY} an item; "
            f"{len(panel)} raters on the panel err in {mean_error:.0%} of their answers (simulated)"
        )

    with stage(4, "Ratings to concept vectors to scores") as say:
        runs = []
        for aggregation in (Aggregation.HIERARCHICAL, Aggregation.BRAGG, Aggregation.MAJORITY):
            begun = time.perf_counter()
            with console.status(f"   {aggregation.label} ..."):
                run = estimate_run(
                    run=estimate_request(study=study, aggregation=aggregation, enqueue=False)
                )
            if run.status != RunStatus.FINISHED:
                raise SystemExit(f"The {aggregation.label} run is {run.status}: {run.error}")
            say(f"{aggregation.label}: {time.perf_counter() - begun:.1f} s")
            runs.append(run)

    folder = Path(settings.DATA_DIR) / "demo" / study.slug
    written = outputs.write_outputs(study, runs, folder)
    if study.redundancy == stages.REDUNDANCY:
        # one more rating an item, so that there is something left to rate in the browser
        study = study_redundancy_raise(study=study, redundancy=stages.REDUNDANCY + 1, actor=owner)

    console.print()
    console.print(outputs.leaderboard_table(runs))
    console.print()
    console.print(outputs.sanity_table(runs))
    console.print()
    for run in runs:
        console.print(outputs.coverage_sentence(run), highlight=False)
    console.print()
    for path in written:
        console.print(f"   wrote {os.path.relpath(path)}", highlight=False)
    console.print(
        "\n   [bold]make serve[/bold] opens the site: http://localhost:8000/", highlight=False
    )
    console.print(f"   {login}", highlight=False)
    console.print(f"   Rate it yourself    http://localhost:8000/r/{study.slug}/", highlight=False)
    console.print(f"\n   [dim]{time.perf_counter() - started:.0f} s in all[/dim]", highlight=False)


if __name__ == "__main__":
    main()
