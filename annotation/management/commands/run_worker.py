"""``manage.py run_worker``."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from annotation.worker import worker_run


class Command(BaseCommand):
    """Run the background: estimates, panels' events, overdue leases, the work of killed workers."""

    help = "Run the background worker: estimates and all other tasks, and the sweeper."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take how to run."""
        parser.add_argument("--batch", action="store_true", help="stop when no task is waiting")
        parser.add_argument(
            "--interval",
            type=float,
            default=0.5,
            metavar="SECONDS",
            help="between two looks at an empty queue (default: %(default)s)",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run until a signal says to stop; a second one stops in the middle of a task."""
        worker_run(batch=options["batch"], interval=options["interval"])
