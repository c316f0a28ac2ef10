"""``manage.py import_ratings``."""

from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser

from annotation.exceptions import AnnotationError
from annotation.management.base import StudyCommand
from annotation.models import RatingValue
from annotation.rating_files import RatingFileOptions, rating_file_read
from annotation.services.import_plan import ImportPlan
from annotation.services.imports import import_plan, ratings_import


class Command(StudyCommand):
    """Import ratings that were given elsewhere into a study."""

    help = (
        "Import old ratings into a study: our own export, crowd-kit's task/worker/label, or a "
        "result file of Mechanical Turk."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the study, the file and what it does not say itself."""
        super().add_arguments(parser)
        parser.add_argument("file", type=Path, help="CSV, JSON lines or Parquet")
        parser.add_argument(
            "--preview", action="store_true", help="say what would be imported; write nothing"
        )
        parser.add_argument("--actor", help="who imports it (default: the study's owner)")
        parser.add_argument("--concept", default="", help="the concept of every row")
        parser.add_argument(
            "--label",
            action="append",
            default=[],
            metavar="LABEL=RATING",
            help=f"what a label means: one of {', '.join(RatingValue.values)}; again for each",
        )
        for column in ("input", "concept", "answer"):
            parser.add_argument(
                f"--{column}-column", default="", help=f"where the {column} is (Mechanical Turk)"
            )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Import it, or say what would be imported."""
        study = self.study(options)
        path: Path = options["file"]
        try:
            with path.open("rb") as stream:
                file = rating_file_read(stream, name=path.name, options=self._options(options))
            if options["preview"]:
                plan = import_plan(study=study, file=file)
            else:
                users = get_user_model()
                actor = (
                    users.objects.get(username=options["actor"])
                    if options["actor"]
                    else study.owner
                )
                plan = ratings_import(study=study, file=file, actor=actor)
        except OSError as error:
            raise CommandError(f"{path.name}: it cannot be read ({error.strerror}).") from error
        except AnnotationError as error:
            raise CommandError(str(error)) from error
        except get_user_model().DoesNotExist as error:
            raise CommandError(f"There is no user {options['actor']!r}.") from error
        self._report(plan, done=not options["preview"])

    def _options(self, options: dict[str, Any]) -> RatingFileOptions:
        labels = {}
        for given in options["label"]:
            label, equals, value = given.rpartition("=")
            if not equals:
                raise CommandError(f"--label: {given!r} is not of the form LABEL=RATING.")
            labels[label] = value
        return RatingFileOptions(
            concept=options["concept"],
            labels=labels,
            input_column=options["input_column"],
            concept_column=options["concept_column"],
            answer_column=options["answer_column"],
        )

    def _report(self, plan: ImportPlan, *, done: bool) -> None:
        verb = "imported" if done else "would be imported"
        self.stdout.write(
            f"Format {plan.format}, {plan.n_rows} ratings: {plan.n_ready} {verb} "
            f"({plan.n_raters} raters, {plan.n_items} items), {plan.n_there} there already, "
            f"{sum(plan.reasons.values())} refused"
        )
        for reason, n in plan.reasons.items():
            first = next((row for row in plan.refused if row.reason.startswith(reason)), None)
            where = f"; the first in line {first.line}" if first else ""
            self.stdout.write(f"  {n}: {reason}{where}")
