"""``manage.py sweep``."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.services.sweeps import CHORES, PANEL_CHORES, Sweeper


class Command(BaseCommand):
    """Do once what the worker does all the time: for a site whose timer calls it."""

    help = "End overdue leases, find the work of killed workers, delete old rows; once."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Do every chore and say what it did."""
        results = Sweeper(CHORES + PANEL_CHORES).sweep()
        for name, result in results.items():
            self.stdout.write(f"{name}: {result}")
        failed = [name for name, result in results.items() if isinstance(result, Exception)]
        if failed:
            raise CommandError(f"Failed, see the log: {', '.join(failed)}.")
