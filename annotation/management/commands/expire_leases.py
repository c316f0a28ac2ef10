"""``manage.py expire_leases``."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from annotation.services.assignments import leases_expire


class Command(BaseCommand):
    """Give the tasks of overdue leases back; leasing does the same for the study at hand."""

    help = "Take the slots of overdue leases back, in every study."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take how often to repeat it."""
        parser.add_argument(
            "--every", type=float, metavar="SECONDS", help="go on for ever, this often"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Expire them, once or for ever."""
        while True:
            self.stdout.write(f"{leases_expire()} leases expired")
            if options["every"] is None:
                return
            time.sleep(options["every"])
