"""What the demo leaves behind: leaderboard in the terminal, report, ratings, estimates."""

from pathlib import Path

from django.core.management import call_command
from rich import box
from rich.table import Table

from annotation.models import EstimateRun, Study
from annotation.reports import study_report


def leaderboard_table(runs: list[EstimateRun]) -> Table:
    """Return the leaderboard of the first run, with the means of the others beside it.

    Parameters
    ----------
    runs : list of EstimateRun
        Finished; the first is the headline.

    Returns
    -------
    rich.table.Table
    """
    headline, *others = runs
    table = Table(
        title=f"Leaderboard: {headline.get_aggregation_display()}, {headline.n_ratings} ratings",
        caption=f"score: Pearson correlation, mean over neurons, {headline.level:.0%} interval; "
        "bragg, majority: the score from those labels; truth: from the digits' labels",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 0, 0, 1),  # narrow enough for a terminal of 80 columns
    )
    table.add_column("rank", justify="right", no_wrap=True)
    table.add_column("method", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("interval", justify="right", no_wrap=True)
    table.add_column("P(best)", justify="right", no_wrap=True)
    for run in others:
        table.add_column(run.aggregation, justify="right", no_wrap=True)
    table.add_column("truth", justify="right", no_wrap=True, style="dim")
    beside = [dict(run.method_estimates.values_list("method_id", "mean_score")) for run in others]
    for row in headline.method_estimates.select_related("method"):
        table.add_row(
            str(row.rank),
            row.method.name,
            f"{row.mean_score:.2f}",
            f"{row.lower:.2f} to {row.upper:.2f}",
            f"{row.probability_best:.2f}",
            *(f"{means[row.method_id]:.2f}" for means in beside),
            "" if row.reference_mean is None else f"{row.reference_mean:.2f}",
        )
    return table


def sanity_table(runs: list[EstimateRun]) -> Table:
    """Return the Missing and Extra Labels checks of the runs.

    Parameters
    ----------
    runs : list of EstimateRun

    Returns
    -------
    rich.table.Table
    """
    table = Table(
        title="Would the metric have noticed a bad explanation?",
        caption="share of cases in which spoiled labels lower the score: half of the present "
        "labels missing, or as many again added; a metric passes above 90%",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 0, 0, 1),  # narrow enough for a terminal of 80 columns
    )
    for name in ("labels from", "metric"):
        table.add_column(name, no_wrap=True)
    for name in ("missing", "extra"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for run in runs:
        for check in run.sanity_checks:
            table.add_row(
                run.aggregation,
                check["metric"],
                f"{check['missing']['share']:.1%}",
                f"{check['extra']['share']:.1%}",
                check["verdict"],
            )
    return table


def coverage_sentence(run: EstimateRun) -> str:
    """Say how many intervals of a run hold the true score, and how far the scores are off.

    Parameters
    ----------
    run : EstimateRun
        With reference scores.

    Returns
    -------
    str
    """
    estimates = [e for e in run.estimates.all() if e.reference_score is not None]
    held = sum(e.lower <= float(e.reference_score or 0) <= e.upper for e in estimates)
    off = sum(abs(e.score - float(e.reference_score or 0)) for e in estimates) / len(estimates)
    return (
        f"{run.get_aggregation_display()}: {held} of {len(estimates)} {run.level:.0%} intervals "
        f"({held / len(estimates):.0%}) hold the true score; scores are off by {off:.3f} on average"
    )


def write_outputs(study: Study, runs: list[EstimateRun], folder: Path) -> list[Path]:
    """Write report and exports.

    Parameters
    ----------
    study : Study
    runs : list of EstimateRun
        Finished; the first is the headline.
    folder : Path
        Made if need be; files of an earlier run are replaced.

    Returns
    -------
    list of Path
    """
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / "report.html"
    report.write_text(study_report(study=study, runs=runs), encoding="utf-8")
    ratings = folder / "ratings.csv"
    call_command("export_ratings", study.slug, output=str(ratings))
    written = [report, ratings]
    for form in ("csv", "json"):
        path = folder / f"estimates.{form}"
        call_command("export_estimates", study.slug, format=form, output=str(path))
        written.append(path)
    return written
