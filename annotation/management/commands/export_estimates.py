"""``manage.py export_estimates``."""

import json
from typing import Any

from django.core.management.base import CommandParser

from annotation.exports import ESTIMATE_COLUMNS, FORMATS, Table, estimate_rows, estimates_document
from annotation.management.base import StudyCommand
from annotation.models import Aggregation


class Command(StudyCommand):
    """Write the last finished estimates of a study."""

    help = "Write the last finished estimates of a study as a table, or as one JSON document."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the study, the aggregation, the format and where to write."""
        super().add_arguments(parser)
        parser.add_argument("--aggregation", choices=Aggregation.values)
        parser.add_argument("--format", choices=[*FORMATS, "json"], default="csv")
        parser.add_argument(
            "--output", default="-", help="a file, or - for standard output (default)"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write the file."""
        run = self.finished_run(self.study(options), options["aggregation"])
        if options["format"] == "json":
            document = json.dumps(estimates_document(run), indent=2)
            self.write_lines(iter([document, "\n"]), options["output"])
            return
        table = Table("estimates", ESTIMATE_COLUMNS, estimate_rows(run))
        self.write_table(table, options["format"], options["output"])
