"""``manage.py draw_round``."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.management.base import CommandError, CommandParser

from annotation.exceptions import AnnotationError
from annotation.management.base import StudyCommand
from annotation.models import RoundDesign, Study
from annotation.queries.money import minor
from annotation.services.round_plan import round_plan
from annotation.services.round_types import RoundPlan
from annotation.services.rounds import round_problem, round_write


class Command(StudyCommand):
    """Draw a further round of a study, or say what it would ask and cost."""

    help = "Draw a further round of a study, or say what it would ask and cost."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the study, what to draw, and who draws it."""
        super().add_arguments(parser)
        parser.add_argument(
            "--design",
            choices=RoundDesign.values,
            default=RoundDesign.ADAPTIVE.value,
            help="adaptive, or the study's own design",
        )
        parser.add_argument("--draws", type=int, required=True, help="inputs for each pair")
        parser.add_argument(
            "--half-width",
            type=float,
            help="only pairs of explanations whose interval is wider than plus or minus this",
        )
        parser.add_argument("--seed", type=int, help="of the round")
        parser.add_argument("--max-ratings", type=int, help="refuse a round that asks for more")
        parser.add_argument("--actor", help="who draws it (default: the study's owner)")
        parser.add_argument("--dry-run", action="store_true", help="report it, and draw nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Plan the round, report it, perhaps write it."""
        study = self.study(options)
        actor = self._actor(study, options["actor"])
        try:
            plan = round_plan(
                study=study,
                design=options["design"],
                n_draws=options["draws"],
                half_width=options["half_width"],
                seed=options["seed"],
            )
            self._print(study, plan)
            if options["dry_run"]:
                problem = round_problem(study=study, plan=plan)
                if problem is not None:
                    self.stdout.write(f"It could not be drawn: {problem}")
                self.stdout.write("Dry run: nothing was drawn.")
                return
            round_write(study=study, plan=plan, actor=actor, max_ratings=options["max_ratings"])
        except AnnotationError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Drawn: round {plan.number} of /studies/{study.slug}/.")

    def _actor(self, study: Study, name: str | None) -> AbstractBaseUser:
        if name is None:
            return study.owner
        user = get_user_model().objects.filter(is_active=True, username=name).first()
        if user is None:
            raise CommandError(f"--actor: there is no account {name!r}.")
        return user

    def _print(self, study: Study, plan: RoundPlan) -> None:
        design = RoundDesign(plan.design).value
        self.stdout.write(
            f"Round {plan.number}, {design}, seed {plan.seed}: {len(plan.pairs)} pairs draw "
            f"{plan.n_draws} inputs each, {plan.n_pairs_left} are known well enough"
        )
        self.stdout.write(
            f"  {plan.n_drawn} draws, {plan.share_reused:.0%} on items that are there; "
            f"{plan.n_items} new items and {plan.n_gold} gold items in {len(plan.tasks)} tasks, "
            f"{plan.n_ratings} ratings of about {plan.n_raters} raters"
        )
        if plan.further is not None:
            self.stdout.write(
                f"  expected to be needed for the half width: {plan.further} further ratings"
            )
        for cost in plan.costs:
            if cost.total_minor:
                self.stdout.write(f"  {cost.channel}: {minor(cost.total_minor, study.currency)}")
        for note in plan.notes:
            self.stdout.write(f"  {note}")
