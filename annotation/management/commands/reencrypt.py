"""``manage.py reencrypt``."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.exceptions import DecryptionFailed
from annotation.services.encryption_keys import secrets_reencrypt


class Command(BaseCommand):
    """Write every stored secret anew with the first key, so that former keys can be taken away."""

    help = "Encrypt stored secrets anew with the first of NEURONJURY_ENCRYPTION_KEY's keys."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Do it, all or none."""
        try:
            n_secrets = secrets_reencrypt()
        except DecryptionFailed as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{n_secrets} secrets are encrypted with the first key now.")
