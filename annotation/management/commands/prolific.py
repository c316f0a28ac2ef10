"""``manage.py prolific``: what the recruitment page does, for a terminal or a script."""

import json
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.management.base import CommandError, CommandParser
from django.urls import reverse

from annotation.exceptions import AnnotationError, InvalidInput
from annotation.management.base import StudyCommand
from annotation.models import Channel, PanelSubmission, Recruitment, SubmissionStatus
from annotation.queries.money import cost_estimate, minor, places_booked
from annotation.queries.recruitment import submission_row, submission_rows
from annotation.recruitment.prolific import Sending
from annotation.services.bonuses import bonus_pay
from annotation.services.credentials import balance_read
from annotation.services.prolific import (
    prolific_approve,
    prolific_draft_create,
    prolific_places_add,
    prolific_publish,
    prolific_transition,
    prolific_webhooks_subscribe,
)
from annotation.services.submissions import submissions_reconcile

ACTIONS = (
    "create",
    "webhooks",
    "publish",
    "pause",
    "resume",
    "stop",
    "add-places",
    "submissions",
    "approve",
    "bonus",
    "reconcile",
    "balance",
)
TRANSITIONS = {"pause": "PAUSE", "resume": "START", "stop": "STOP"}
READING = {"reconcile", "balance"}
#: What spends money, or cannot be taken back.
ASKED = {"publish", "add-places", "approve", "bonus", "stop"}


class Command(StudyCommand):
    """Run a study at Prolific."""

    help = "Create, publish, pause, resume, stop a study at Prolific, add places, approve, bonus."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the study, the action and its options."""
        super().add_arguments(parser)
        parser.add_argument("action", choices=ACTIONS)
        parser.add_argument("--dry-run", action="store_true", help="say what would be sent, only")
        parser.add_argument(
            "--yes",
            action="store_true",
            help="do not ask before money is spent, or the study is stopped",
        )
        parser.add_argument("--as", dest="user", help="who does it; by default the study's owner")
        parser.add_argument(
            "--site",
            default=settings.NEURONJURY_SITE_URL,
            help="create, webhooks: our own address, https://...",
        )
        parser.add_argument("--places", type=int, help="add-places: how many in all")
        parser.add_argument("--submission", action="append", default=[], help="approve, bonus: id")
        parser.add_argument("--all", action="store_true", help="approve: all without disagreement")
        parser.add_argument("--amount", type=int, help="bonus: in pence or cents")
        parser.add_argument("--key", help="bonus: the same key pays once")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's
        """Do it, and say what was sent."""
        study = self.study(options)
        row = (
            Recruitment.objects.filter(study=study, channel=Channel.PROLIFIC)
            .select_related("study__owner", "credential")
            .first()
        )
        if row is None:
            raise CommandError(
                f"The study {study.slug!r} does not recruit at Prolific; add the channel on its "
                "recruitment page or in its study file."
            )
        try:
            self._act(row, options)
        except AnnotationError as error:
            raise CommandError(str(error)) from error

    def _act(self, row: Recruitment, options: dict[str, Any]) -> None:
        action, dry_run = options["action"], options["dry_run"]
        if action == "submissions":
            for line in self._table(row):
                self.stdout.write(line)
            return
        if action in READING and dry_run:
            self.stdout.write("Nothing is sent by reading; nothing was read.")
            return
        if action == "reconcile":
            changed = submissions_reconcile(recruitment=row)
            self.stdout.write(f"Submissions new or changed: {changed}.")
            return
        if action == "balance":
            found = balance_read(recruitment=row)
            amount = minor(found.balance_minor or 0, found.balance_currency)
            self.stdout.write(f"The workspace has {amount} to spend.")
            return
        if action in ASKED and not dry_run and not options["yes"]:
            self._ask(row, options)
        for sending in self._sendings(row, options, self._actor(row, options)):
            word = "Would send" if dry_run else "Sent"
            self.stdout.write(f"{word} {sending.method} {sending.path} {json.dumps(sending.body)}")
        if not dry_run:
            self.stdout.write(f"The study is {row.panel_status.lower() or 'not there'} there.")

    def _sendings(
        self, row: Recruitment, options: dict[str, Any], actor: AbstractBaseUser
    ) -> list[Sending]:
        action, dry_run = options["action"], options["dry_run"]
        if action == "create":
            return prolific_draft_create(
                recruitment=row,
                entry_url=self._entry_url(row, options),
                actor=actor,
                dry_run=dry_run,
            )
        if action == "webhooks":
            if row.credential is None:
                raise InvalidInput("credential: enter a token of Prolific on the page first.")
            address = reverse("prolific_webhook", args=[row.credential.public_id])
            return prolific_webhooks_subscribe(
                credential=row.credential,
                target_url=f"{self._site(options)}{address}",
                recruitment=row,
                dry_run=dry_run,
            )
        if action == "publish":
            return prolific_publish(recruitment=row, actor=actor, dry_run=dry_run)
        if action in TRANSITIONS:
            return prolific_transition(
                recruitment=row, action=TRANSITIONS[action], actor=actor, dry_run=dry_run
            )
        if action == "add-places":
            return prolific_places_add(
                recruitment=row, places=self._places(options), actor=actor, dry_run=dry_run
            )
        chosen = self._chosen(row, options)
        if action == "approve":
            return prolific_approve(
                recruitment=row, submissions=chosen, actor=actor, dry_run=dry_run
            )
        sendings: list[Sending] = []
        for submission in chosen:
            _, sent = bonus_pay(
                submission=submission,
                amount_minor=self._needed(options, "amount"),
                key=f"{self._needed(options, 'key')}:{submission.pk}",
                actor=actor,
                dry_run=dry_run,
            )
            sendings += sent
        return sendings

    def _chosen(self, row: Recruitment, options: dict[str, Any]) -> list[PanelSubmission]:
        rows = row.submissions.select_related(
            "recruitment__study", "recruitment__credential", "participation"
        )
        if options["all"] and options["action"] == "approve":
            waiting = rows.filter(status=SubmissionStatus.AWAITING_REVIEW)
            known = [submission_row(submission) for submission in waiting]
            return [r.submission for r in known if r.may_approve and not r.disagreement]
        wanted = options["submission"]
        if not wanted:
            raise InvalidInput("--submission: name at least one, or use --all to approve.")
        found = list(rows.filter(submission_id__in=wanted))
        missing = set(wanted) - {submission.submission_id for submission in found}
        if missing:
            raise InvalidInput(f"--submission: the study has no {min(missing)}.")
        return found

    def _ask(self, row: Recruitment, options: dict[str, Any]) -> None:
        """Say what it costs or ends, and go on after "yes" alone."""
        currency = row.study.currency
        if options["action"] == "stop":
            self.stdout.write("Stopping is final: Prolific sends nobody else to this study.")
        elif options["action"] in {"publish", "add-places"}:
            places = row.places if options["action"] == "publish" else self._places(options)
            estimate = cost_estimate(row, places=places, booked=places_booked(row))
            self.stdout.write(
                f"{estimate.places} places cost {minor(estimate.total_minor, currency)}, of which "
                f"{minor(estimate.fee_minor, currency)} a place are fees; "
                f"{minor(estimate.hourly_minor, currency)} an hour."
            )
        else:
            self.stdout.write(
                f"{options['action']}: {len(self._chosen(row, options))} submissions, "
                f"{minor(options['amount'] or row.reward_minor, currency)} each before fees."
            )
        try:
            answer = input("Type yes to go on: ")
        except EOFError:
            raise CommandError("Nothing was done: nobody is there to ask; add --yes.") from None
        if answer.strip() != "yes":
            raise CommandError("Nothing was done.")

    def _table(self, row: Recruitment) -> list[str]:
        lines = [
            "\t".join(
                (
                    shown.submission.submission_id,
                    str(shown.submission.get_status_display()),
                    shown.ours,
                    shown.disagreement,
                )
            )
            for shown in map(submission_row, submission_rows(row))
        ]
        return lines or ["Prolific has sent nobody yet."]

    def _actor(self, row: Recruitment, options: dict[str, Any]) -> AbstractBaseUser:
        if not options["user"]:
            return row.study.owner
        user = get_user_model().objects.filter(username=options["user"]).first()
        if user is None:
            raise InvalidInput(f"--as: there is no user {options['user']!r}.")
        return user

    def _entry_url(self, row: Recruitment, options: dict[str, Any]) -> str:
        return f"{self._site(options)}{reverse('rater:entry', args=[row.study.slug])}"

    def _site(self, options: dict[str, Any]) -> str:
        site = (options["site"] or "").rstrip("/")
        if not site.startswith(("https://", "http://")):
            raise InvalidInput("--site: give our own address, https://..., for the raters' link.")
        return site

    def _places(self, options: dict[str, Any]) -> int:
        return int(self._needed(options, "places"))

    def _needed(self, options: dict[str, Any], name: str) -> Any:
        if options[name] is None:
            raise InvalidInput(f"--{name}: {options['action']} needs it.")
        return options[name]
