"""``manage.py create_study``."""

from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotation.exceptions import AnnotationError
from annotation.models import StudyStatus
from annotation.queries.checklist import Checklist, CheckState
from annotation.services.launch import launch_require
from annotation.services.studies import study_launch
from annotation.services.study_files import study_from_file
from annotation.study_file import study_file_read

SIGNS = {CheckState.PASS: "ok  ", CheckState.WARN: "look", CheckState.FAIL: "FAIL"}


class Command(BaseCommand):
    """Make a study from a study file; what exists is left as it is."""

    help = "Make a study from a study file (TOML); see docs/study.example.toml."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the file and what to do with it."""
        parser.add_argument("file", type=Path, help="the study file")
        parser.add_argument("--owner", help="account that owns the study, if the file names none")
        parser.add_argument(
            "--launch", action="store_true", help="launch the study if every check is passed"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="do it all, report it, and take it back"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make the study, print the launch list, perhaps launch."""
        try:
            document = study_file_read(options["file"])
            made, checklist = study_from_file(
                document=document,
                owner=self._owner(options["owner"], document.study.get("owner")),
                dry_run=options["dry_run"],
            )
        except AnnotationError as error:
            raise CommandError(str(error)) from error
        for line in made.lines:
            self.stdout.write(line)
        study = made.study
        if study.status == StudyStatus.DRAFT:
            self._print(checklist)
        if options["dry_run"]:
            self.stdout.write("Dry run: all of it was taken back.")
            return
        if not options["launch"] or study.status != StudyStatus.DRAFT:
            self.stdout.write(f"/studies/{study.slug}/ is {study.get_status_display()}.")
            return
        try:
            launch_require(study=study)
            study_launch(study=study, actor=study.owner)
        except AnnotationError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Launched: raters come to /r/{study.slug}/.")

    def _owner(self, name: str | None, in_file: str | None) -> AbstractBaseUser:
        users = get_user_model().objects.filter(is_active=True)
        wanted = name or in_file
        if wanted is None:
            staff = list(users.filter(is_staff=True)[:2])
            if len(staff) != 1:
                raise CommandError(
                    "owner: say with --owner, or in the study file, whose study it is; there is "
                    "not exactly one staff account."
                )
            return staff[0]
        user = users.filter(username=wanted).first()
        if user is None:
            raise CommandError(f"owner: there is no account {wanted!r}.")
        return user

    def _print(self, checklist: Checklist) -> None:
        self.stdout.write("Launch list:")
        for check in checklist.checks:
            line = f"  {SIGNS[check.state]}  {check.title}: {check.text} {check.remedy}"
            self.stdout.write(line.rstrip())
        preview = checklist.preview
        if not preview.problem:
            self.stdout.write(
                f"  {preview.n_items} items in {preview.n_tasks} tasks, {preview.n_ratings} "
                f"ratings, {preview.n_raters} raters at least, about "
                f"{preview.minutes_a_task:.1f} minutes a task"
            )
