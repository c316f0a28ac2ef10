"""``manage.py export_ratings``."""

from typing import Any

from django.core.management.base import CommandParser

from annotation.exports import (
    DRAW_COLUMNS,
    RATING_COLUMNS,
    csv_lines,
    draw_rows,
    rating_rows,
)
from annotation.management.base import StudyCommand


class Command(StudyCommand):
    """Write all ratings of a study as CSV, and on request the draws behind them."""

    help = "Write all ratings of a study as CSV, and on request the draws behind them."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the study and where to write."""
        super().add_arguments(parser)
        parser.add_argument(
            "--output", default="-", help="a file, or - for standard output (default)"
        )
        parser.add_argument(
            "--draws", metavar="FILE", help="also write every draw with its probability and seed"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write the files."""
        study = self.study(options)
        self.write_lines(csv_lines(RATING_COLUMNS, rating_rows(study)), options["output"])
        if options["draws"]:
            self.write_lines(csv_lines(DRAW_COLUMNS, draw_rows(study)), options["draws"])
