"""``manage.py estimate``."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from annotation.exceptions import AnnotationError
from annotation.management.base import StudyCommand
from annotation.models import Aggregation, RunStatus
from annotation.queries import leaderboard
from annotation.services.estimates import estimate_request, estimate_run


class Command(StudyCommand):
    """Estimate the scores of a study's explanations now, in this process."""

    help = "Estimate the scores of a study's explanations now, in this process."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the study and the aggregation."""
        super().add_arguments(parser)
        parser.add_argument(
            "--aggregation",
            choices=Aggregation.values,
            help="how ratings become labels (default: the study's own)",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make the run and print its leaderboard."""
        study = self.study(options)
        try:
            aggregation = options["aggregation"] or study.aggregation
            run = estimate_request(study=study, aggregation=aggregation, enqueue=False)
        except AnnotationError as error:
            raise CommandError(str(error)) from error
        run = estimate_run(run=run)
        if run.status == RunStatus.FAILED:
            raise CommandError(f"The estimate failed: {run.error}")
        if run.status == RunStatus.CANCELLED:
            raise CommandError("The estimate was cancelled by somebody; nothing was written.")
        if run.status != RunStatus.FINISHED:
            raise CommandError("A background worker has taken this run; wait for it.")
        waiting = run.diagnostics.get("n_waiting", 0)
        self.stdout.write(
            f"{run.get_aggregation_display()}, {run.estimator or 'no scores'}: "
            f"{run.n_ratings} ratings, "
            f"{run.estimates.count()} scores, {waiting} explanations waiting for ratings"
        )
        for row in leaderboard(run):
            reference = (
                "" if row.reference_mean is None else f"  reference {row.reference_mean:.3f}"
            )
            self.stdout.write(
                f"{row.rank:>3}. {row.method.name:<30} {row.mean_score:6.3f} "
                f"[{row.lower:.3f}, {row.upper:.3f}]{reference}"
            )
