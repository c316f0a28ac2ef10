"""``manage.py export_estimates``."""

import json
from typing import Any

from django.core.management.base import CommandParser

from annotation.exports import ESTIMATE_COLUMNS, csv_lines, estimate_rows, estimates_document
from annotation.management.base import StudyCommand
from annotation.models import Aggregation


class Command(StudyCommand):
    """Write the last finished estimates of a study as CSV or JSON."""

    help = "Write the last finished estimates of a study as CSV or JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the study, the aggregation, the format and where to write."""
        super().add_arguments(parser)
        parser.add_argument("--aggregation", choices=Aggregation.values)
        parser.add_argument("--format", choices=["csv", "json"], default="csv")
        parser.add_argument(
            "--output", default="-", help="a file, or - for standard output (default)"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write the file."""
        run = self.finished_run(self.study(options), options["aggregation"])
        lines = (
            csv_lines(ESTIMATE_COLUMNS, estimate_rows(run))
            if options["format"] == "csv"
            else iter([json.dumps(estimates_document(run), indent=2), "\n"])
        )
        self.write_lines(lines, options["output"])
