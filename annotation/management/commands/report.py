"""``manage.py report``."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from annotation.management.base import StudyCommand
from annotation.models import Aggregation
from annotation.queries import latest_run
from annotation.reports import study_report

#: Beside the study's own aggregation, which comes first: it is the headline.
BESIDE = (Aggregation.HIERARCHICAL, Aggregation.BRAGG, Aggregation.MAJORITY)


class Command(StudyCommand):
    """Write the report of a study, with the newest finished run of every aggregation."""

    help = "Write the report of a study as one self-contained HTML file."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the study and where to write."""
        super().add_arguments(parser)
        parser.add_argument(
            "--output", type=Path, help="file to write (default: SLUG-report.html, here)"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """Write the file and say where it is."""
        study = self.study(options)
        order = dict.fromkeys([Aggregation(study.aggregation), *BESIDE])
        runs = [run for run in (latest_run(study, name) for name in order) if run is not None]
        if not runs:
            raise CommandError(
                f"Study {study.slug!r} has no finished estimate; "
                f"run `manage.py estimate {study.slug}` first."
            )
        output = options["output"] or Path(f"{study.slug}-report.html")
        output.write_text(study_report(study=study, runs=runs), encoding="utf-8")
        self.stdout.write(f"Wrote {output}")
