"""``manage.py fake_prolific``: a Prolific for demos, on this machine."""

import time
from typing import Any

import httpx
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from annotation.recruitment.fake import Delivery, FakeProlific, FakeServer

DELIVER_SECONDS = 1.0


class Command(BaseCommand):
    """Play Prolific."""

    help = "Play Prolific on this machine: its API, signed links, webhooks. Never in production."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the port and the token."""
        parser.add_argument("--port", type=int, default=8765)
        parser.add_argument("--token", default="fake-token", help="the only one that is taken")
        parser.add_argument(
            "--raters", type=int, default=0, help="so many take places and their links are printed"
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's
        """Serve until it is interrupted."""
        if settings.SECURE_SSL_REDIRECT:
            raise CommandError(
                "These are production settings: the fake would take the place of the real Prolific."
            )
        fake = FakeProlific(token=options["token"])
        with FakeServer(fake, port=options["port"]) as server:
            self.stdout.write(f"NEURONJURY_PROLIFIC_URL={server.api_url}")
            self.stdout.write(f"NEURONJURY_PROLIFIC_JWKS_URL={server.jwks_url}")
            self.stdout.write(f"Token: {fake.token}. Stop with Control-C.")
            self.stdout.flush()  # also where it goes to a file
            try:
                self._serve(fake, options["raters"])
            except KeyboardInterrupt:
                self.stdout.write("Stopped.")

    def _serve(self, fake: FakeProlific, n_raters: int) -> None:
        sent: set[str] = set()
        while True:
            time.sleep(DELIVER_SECONDS)
            self._deliver(fake)
            for study in list(fake.studies.values()):
                while study.status == "ACTIVE" and len(sent) < n_raters:
                    submission = fake.place_take(study.id)
                    sent.add(submission.id)
                    self.stdout.write(f"A rater arrives at {fake.arrival_url(submission)}")
                    self.stdout.flush()

    def _deliver(self, fake: FakeProlific) -> None:
        with fake.lock:
            waiting, fake.deliveries = fake.deliveries, []
        for delivery in waiting:
            if not self._delivered(delivery):
                with fake.lock:
                    fake.deliveries.append(delivery)

    def _delivered(self, delivery: Delivery) -> bool:
        headers = {**delivery.headers(timezone.now()), "Content-Type": "application/json"}
        try:
            reply = httpx.post(
                delivery.target_url, content=delivery.body, headers=headers, timeout=5.0
            )
        except httpx.HTTPError as error:
            self.stderr.write(f"A webhook waits: {type(error).__name__}")
            return False
        return reply.is_success
