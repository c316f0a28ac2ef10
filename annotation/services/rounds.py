"""Further rounds of ratings: written when somebody has looked at what they ask and cost."""

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from annotation.exceptions import (
    BudgetTooSmall,
    InvalidInput,
    RoundDrawnMeanwhile,
    SpendingCapPassed,
)
from annotation.models import Item, SamplingRound, Study, StudyStatus
from annotation.queries.money import ledger_total, minor
from annotation.services.audit import study_event_record
from annotation.services.locks import lock
from annotation.services.round_plan import round_plan
from annotation.services.round_types import RoundPlan
from annotation.services.samples import draws_write, tasks_write
from annotation.services.states import state_require

BATCH = 500
#: A page or request waits no longer for the models of an adaptive round.
PAGE_SECONDS = 25.0


def round_draw(
    *,
    study: Study,
    design: str,
    n_draws: int,
    actor: AbstractBaseUser,
    half_width: float | None = None,
    seed: int | None = None,
    max_ratings: int | None = None,
    most_seconds: float | None = None,
) -> SamplingRound:
    """Draw a further round and write it.

    The draw, which may take long, happens before the study is locked.

    Parameters
    ----------
    study, design, n_draws, half_width, seed, most_seconds
        See `annotation.services.round_plan.round_plan`.
    actor : User
        Who draws it.
    max_ratings : int, optional
        See `round_write`.

    Returns
    -------
    SamplingRound

    Raises
    ------
    AnnotationError
        See `round_plan` and `round_write`.
    """
    plan = round_plan(
        study=study,
        design=design,
        n_draws=n_draws,
        half_width=half_width,
        seed=seed,
        most_seconds=most_seconds,
    )
    return round_write(study=study, plan=plan, actor=actor, max_ratings=max_ratings)


@transaction.atomic
def round_write(
    *, study: Study, plan: RoundPlan, actor: AbstractBaseUser, max_ratings: int | None = None
) -> SamplingRound:
    """Write a round: its draws, and items and tasks for inputs that nobody was asked about.

    Items that are there keep their tasks and ratings: a draw on one counts with its own
    probability, and costs nothing.

    Parameters
    ----------
    study : Study
        Open or paused; it stays so.
    plan : RoundPlan
        From `round_plan`.
    actor : User
        Who draws it.
    max_ratings : int, optional
        Refuse a plan that asks for more: what the person saw who confirmed it.

    Returns
    -------
    SamplingRound

    Raises
    ------
    StudyStateError
        When the study is a draft or closed.
    RoundDrawnMeanwhile
        When somebody drew a round after the plan was made.
    BudgetTooSmall
        When the rating budget does not pay for it.
    SpendingCapPassed
        When no active channel could bring its raters within the spending cap.
    InvalidInput
        When it asks for more than `max_ratings`.
    """
    row = lock(Study.objects.all(), pk=study.pk)
    state_require(row, "a round can be drawn", StudyStatus.OPEN, StudyStatus.PAUSED)
    last = row.sampling_rounds.aggregate(last=Max("number"))["last"] or 0
    if plan.number != last + 1:
        raise RoundDrawnMeanwhile(
            f"Somebody drew round {last} of {row.title!r} meanwhile; look at it, then plan the "
            "next one if it is still wanted."
        )
    problem = round_problem(study=row, plan=plan)
    if problem is not None:
        raise problem
    if max_ratings is not None and plan.n_ratings > max_ratings:
        raise InvalidInput(
            f"max_ratings: the round would ask for {plan.n_ratings} ratings, more than "
            f"{max_ratings}; ratings that came in meanwhile changed what is drawn. Look at it "
            "again."
        )
    written = SamplingRound.objects.create(
        study=row,
        number=plan.number,
        design=plan.design,
        n_draws=plan.n_draws,
        half_width=plan.half_width,
        seed=plan.seed,
        drawn_at=timezone.now(),
        drawn_by_id=actor.pk,
        run=plan.run,
        n_ratings_before=plan.n_ratings_before,
    )
    draws_write(written, plan.pairs)
    first = (row.tasks.aggregate(last=Max("number"))["last"] or 0) + 1
    tasks_write(written, plan.tasks, seed=plan.seed, first=first)
    _reused_write(plan)
    study_event_record(
        study=row,
        action="round drawn",
        actor=actor,
        number=plan.number,
        design=plan.design,
        n_draws=plan.n_draws,
        n_pairs=len(plan.pairs),
        n_items=plan.n_items,
        n_tasks=len(plan.tasks),
        n_reused=plan.n_reused,
        ratings_wanted=plan.n_items * row.redundancy,
        **({"half_width": plan.half_width} if plan.half_width is not None else {}),
        **({"n_gold": plan.n_gold} if plan.n_gold else {}),
    )
    return written


def round_problem(*, study: Study, plan: RoundPlan) -> BudgetTooSmall | SpendingCapPassed | None:
    """Say why a round cannot be paid for.

    Parameters
    ----------
    study : Study
        As it stands.
    plan : RoundPlan
        From `round_plan`.

    Returns
    -------
    AnnotationError or None
        None when nothing stands against it.
    """
    n_asked = study.items.count() + plan.n_items + plan.n_gold
    need = n_asked * study.redundancy
    if plan.n_items and need > study.rating_budget:
        return BudgetTooSmall(
            f"The study {study.title!r} would need {need} ratings in all ({n_asked} items, gold "
            f"items among them, x redundancy {study.redundancy}), but rating_budget is "
            f"{study.rating_budget}: raise it to {need}, draw fewer inputs a pair, or give a "
            "larger half_width."
        )
    # a channel without pay costs nothing, and always allows it
    least = min(plan.costs, key=lambda cost: cost.total_minor, default=None)
    if least is None or not least.total_minor:
        return None
    cap = study.spending_cap_minor
    left = None if cap is None else cap - ledger_total(study)
    if left is None or least.total_minor > left:
        text = (
            "no spending cap is set"
            if left is None
            else f"{minor(left, least.currency)} are left of the spending cap"
        )
        return SpendingCapPassed(
            f"The raters of this round would cost about {minor(least.total_minor, least.currency)} "
            f"({plan.n_raters} through {least.channel}), and {text}; raise the cap, or draw fewer "
            "inputs a pair."
        )
    return None


def _reused_write(plan: RoundPlan) -> None:
    """Count the draws on items that are there: n_draws over draw_probability stays their weight."""
    wanted = sorted(plan.reused)
    for start in range(0, len(wanted), BATCH):
        items = list(Item.objects.filter(pk__in=wanted[start : start + BATCH]))
        for item in items:
            n_draws, probability = plan.reused[item.pk]
            assert item.draw_probability is not None  # noqa: S101 - no gold item is drawn
            weight = item.n_draws / item.draw_probability + n_draws / probability
            item.n_draws += n_draws
            item.draw_probability = item.n_draws / weight
        Item.objects.bulk_update(items, ["n_draws", "draw_probability"])
