"""``manage.py export_ratings``."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from annotation.exceptions import ArrayProblem
from annotation.exports import FORMATS, export_table
from annotation.management.base import StudyCommand

#: Estimates have a command of their own.
TABLES = ("ratings", "items", "draws", "explanations", "inputs")


class Command(StudyCommand):
    """Write the ratings of a study, or another table of it, with the design behind them."""

    help = "Write the ratings of a study, or another table of it, with the design behind them."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the study, the table, the format and where to write."""
        super().add_arguments(parser)
        parser.add_argument("--table", choices=TABLES, default="ratings")
        parser.add_argument("--format", choices=list(FORMATS), default="csv")
        parser.add_argument(
            "--output", default="-", help="a file, or - for standard output (default)"
        )
        parser.add_argument(
            "--draws", metavar="FILE", help="also write every draw with its probability and seed"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write the files."""
        study = self.study(options)
        wanted = [(options["table"], options["output"])]
        if options["draws"]:
            wanted.append(("draws", options["draws"]))
        for name, output in wanted:
            try:
                table = export_table(study, name)
            except ArrayProblem as error:
                raise CommandError(str(error)) from error
            assert table is not None  # noqa: S101 - the parser took no other name
            self.write_table(table, options["format"], output)
