"""``manage.py delete_rater``."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotation.exceptions import AnnotationError
from annotation.models import Participation, Rating
from annotation.services.deletions import rater_delete, rater_find


class Command(BaseCommand):
    """Delete a rater's data in all studies, on their request."""

    help = "Delete a rater's data in all studies, on their request."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the rater, who deletes, and why."""
        parser.add_argument("rater", help="the rater's random id, or its first 8 characters")
        parser.add_argument("--actor", required=True, help="username of whoever deletes")
        parser.add_argument("--note", default="", help="how the request came")
        parser.add_argument(
            "--yes", action="store_true", help="delete; without it only say what would be deleted"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Say what there is of the rater, and delete it with ``--yes``."""
        users = get_user_model().objects
        actor = users.filter(username=options["actor"], is_active=True).first()
        if actor is None:
            raise CommandError(f"There is no active user {options['actor']!r}.")
        try:
            rater = rater_find(pseudonym=options["rater"])
            slugs = Participation.objects.filter(rater=rater).values_list("study__slug", flat=True)
            n_ratings = Rating.objects.filter(rater=rater).count()
            what = f"{n_ratings} ratings of rater {rater.public_id} in {', '.join(slugs) or 'none'}"
            if not options["yes"]:
                self.stdout.write(f"Would delete {what}; add --yes to do it.")
                return
            rater_delete(rater=rater, actor=actor, note=options["note"])
        except AnnotationError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Deleted {what}.")
