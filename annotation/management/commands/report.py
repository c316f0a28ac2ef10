"""``manage.py report <study>``: the study's report as one HTML file."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.models import Aggregation, RunStatus, Study
from annotation.queries import latest_run
from annotation.reports import study_report


class Command(BaseCommand):
    """Write the report of a study, with the newest finished run of every aggregation."""

    help = "Write the report of a study as one self-contained HTML file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("study", help="the study's slug")
        parser.add_argument(
            "--output", type=Path, help="file to write (default: SLUG-report.html, here)"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """Write the file and say where it is."""
        slug = options["study"]
        study = Study.objects.filter(slug=slug).first()
        if study is None:
            raise CommandError(f"There is no study {slug!r}; `manage.py report` takes its slug.")
        # the most careful aggregation first: it is the headline
        order = (Aggregation.HIERARCHICAL, Aggregation.BRAGG, Aggregation.MAJORITY)
        runs = [run for run in (latest_run(study, a) for a in order) if run is not None]
        finished = [run for run in runs if run.status == RunStatus.FINISHED]
        if not finished:
            raise CommandError(
                f"Study {slug!r} has no finished estimate; run `manage.py estimate {slug}` first."
            )
        output = options["output"] or Path(f"{slug}-report.html")
        output.write_text(study_report(study=study, runs=finished), encoding="utf-8")
        self.stdout.write(f"Wrote {output}")
