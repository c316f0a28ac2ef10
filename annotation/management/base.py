"""What the commands share."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotation.exports import FORMATS, Table
from annotation.models import EstimateRun, Study
from annotation.queries import latest_run


class StudyCommand(BaseCommand):
    """A command about one study."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the study's slug."""
        parser.add_argument("study", help="the study's name in URLs (its slug)")

    def study(self, options: dict[str, Any]) -> Study:
        """Get the study, or say which there are."""
        slug = options["study"]
        study = Study.objects.select_related("dataset", "concept_prior").filter(slug=slug).first()
        if study is None:
            known = ", ".join(Study.objects.values_list("slug", flat=True)) or "none yet"
            raise CommandError(f"There is no study {slug!r}; there are: {known}.")
        return study

    def finished_run(self, study: Study, aggregation: str | None) -> EstimateRun:
        """Get the run to export, or say how to make one."""
        run = latest_run(study, aggregation)
        if run is None:
            what = f"{aggregation} " if aggregation else ""
            raise CommandError(
                f"The study {study.slug!r} has no finished {what}estimate; "
                f"run `manage.py estimate {study.slug}` first."
            )
        return run

    def write_lines(self, lines: Iterable[str], output: str) -> None:
        """Write lines to a file, or to standard output for ``-``."""
        if output == "-":
            self.stdout.writelines(lines)
            return
        with Path(output).open("w", encoding="utf-8", newline="") as file:
            file.writelines(lines)
        sys.stderr.write(f"Wrote {output}\n")

    def write_table(self, table: Table, form: str, output: str) -> None:
        """Write a table to a file in one of `FORMATS`, or to standard output for ``-``."""
        chunks = FORMATS[form].chunks(table)
        if output != "-":
            with Path(output).open("wb") as file:
                file.writelines(chunks)
            sys.stderr.write(f"Wrote {output}\n")
            return
        if form == "parquet":
            raise CommandError("Parquet is no text: name a file with --output.")
        for chunk in chunks:
            self.stdout.write(chunk.decode(), ending="")
