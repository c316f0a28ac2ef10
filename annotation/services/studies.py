"""The life of a study: created, filled with explanations, launched, paused, closed."""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from annotation.exceptions import BudgetTooSmall, InvalidInput, NothingToRate
from annotation.models import (
    MAX_REDUNDANCY,
    Channel,
    ConceptMatrix,
    Item,
    Modality,
    ProbeDataset,
    QualityPolicy,
    Recruitment,
    Study,
    StudyStatus,
)
from annotation.services.audit import study_event_record
from annotation.services.explanations import NewExplanation, explanations_add
from annotation.services.locks import lock
from annotation.services.prolific_states import panel_state_follow
from annotation.services.quality import policy_require
from annotation.services.sampling import sampling_plan, sampling_write
from annotation.services.states import state_require
from annotation.services.study_changes import currency_require, study_clean
from annotation.study_texts import QUESTIONS

__all__ = [
    "NewExplanation",
    "explanations_add",
    "study_close",
    "study_create",
    "study_launch",
    "study_pause",
    "study_redundancy_raise",
    "study_resume",
]


@transaction.atomic
def study_create(
    *,
    slug: str,
    title: str,
    owner: AbstractBaseUser,
    dataset: ProbeDataset,
    concept_prior: ConceptMatrix,
    rating_budget: int,
    consent_text: str,
    reference: ConceptMatrix | None = None,
    **settings: Any,
) -> Study:
    """Create a study as a draft.

    Parameters
    ----------
    slug : str
        Its name in URLs.
    title : str
        Shown to raters and researchers.
    owner : User
        Who may see and change it, beside staff.
    dataset : ProbeDataset
        What the neurons are measured on.
    concept_prior : ConceptMatrix
        Concept vectors of a cheap model over this dataset.
    rating_budget : int
        Ratings that may be asked for in all, at least 1.
    consent_text : str
        What raters agree to.
    reference : ConceptMatrix, optional
        Known concept vectors over this dataset.
    **settings
        Further fields of `Study`: question, instructions, contact, sampling_design,
        sampling_parameters, seed, inputs_per_pair, redundancy, items_per_task, lease_seconds, ...
        Without a question it is the usual one for the dataset's images or texts.

    Returns
    -------
    Study

    Raises
    ------
    BudgetTooSmall
        When the budget is below 1.
    InvalidInput
        When a field is out of range, the slug is taken, or a matrix is over another dataset.
    """
    if rating_budget < 1:
        raise BudgetTooSmall(
            f"rating_budget: the study {title!r} has no budget ({rating_budget} ratings), so "
            "nobody could be asked anything; give the number of ratings that you can pay for."
        )
    settings.setdefault("question", QUESTIONS[Modality(dataset.modality)])
    study = Study(
        slug=slug,
        title=title,
        owner_id=owner.pk,
        dataset=dataset,
        concept_prior=concept_prior,
        reference=reference,
        rating_budget=rating_budget,
        consent_text=consent_text,
        **settings,
    )
    study_clean(study)
    currency_require(study.currency)
    study.save()
    QualityPolicy.objects.create(study=study)
    Recruitment.objects.create(study=study, channel=Channel.DIRECT)
    study_event_record(study=study, action="created", actor=owner, rating_budget=rating_budget)
    return study


@transaction.atomic
def study_launch(*, study: Study, actor: AbstractBaseUser) -> Study:
    """Draw the samples, make the items and tasks, and open the study to raters.

    Parameters
    ----------
    study : Study
        A draft with explanations.
    actor : User
        Who launches it.

    Returns
    -------
    Study

    Raises
    ------
    StudyStateError
        When it is no draft.
    NothingToRate
        When it has no explanations.
    BudgetTooSmall
        When the budget is below items x redundancy, gold items included, for they are asked as
        well; the message gives both and what would fit.
    GoldTooFew
        When there are fewer known answers than gold items to hide.
    PolicyRefused
        When the quality policy contradicts the study or its recruitment.
    ArrayProblem, UnknownConcept, ConceptWithoutPositives, SamplingProblem
        See `annotation.services.sampling.sampling_plan`.
    """
    row = lock(Study.objects.select_related("concept_prior", "reference", "dataset"), pk=study.pk)
    state_require(row, "it can be launched", StudyStatus.DRAFT)
    if not row.explanations.exists():
        raise NothingToRate(
            f"The study {row.title!r} has no explanations, so there is nothing to rate; add the "
            "explanations of at least one method first."
        )
    policy_require(study=row)
    plan = sampling_plan(row)
    _budget_require(row, plan.n_items, plan.n_gold)
    sampling_write(row, plan, actor=actor)
    row.status = StudyStatus.OPEN
    row.launched_at = timezone.now()
    row.launched_by_id = actor.pk
    row.save(update_fields=["status", "launched_at", "launched_by"])
    study_event_record(
        study=row,
        action="launched",
        actor=actor,
        n_pairs=len(plan.pairs),
        n_items=plan.n_items,
        n_tasks=len(plan.tasks),
        ratings_wanted=plan.n_items * row.redundancy,
        **({"n_gold": plan.n_gold} if plan.n_gold else {}),
    )
    _refresh(study)
    return row


@transaction.atomic
def study_pause(*, study: Study, actor: AbstractBaseUser) -> Study:
    """Hand out no more tasks for now; tasks that raters hold may be finished.

    A panel is asked to pause as well, in the background (see `prolific_states`).

    Parameters
    ----------
    study : Study
        Open (or paused already).
    actor : User
        Who pauses it.

    Returns
    -------
    Study

    Raises
    ------
    StudyStateError
        When it is a draft or closed.
    """
    return _move(study, actor, StudyStatus.PAUSED, "paused", StudyStatus.OPEN)


@transaction.atomic
def study_resume(*, study: Study, actor: AbstractBaseUser) -> Study:
    """Hand out tasks again; a panel that was paused with the study is asked to resume as well.

    Parameters
    ----------
    study : Study
        Paused (or open already).
    actor : User
        Who resumes it.

    Returns
    -------
    Study

    Raises
    ------
    StudyStateError
        When it is a draft or closed.
    """
    return _move(study, actor, StudyStatus.OPEN, "resumed", StudyStatus.PAUSED)


@transaction.atomic
def study_close(*, study: Study, actor: AbstractBaseUser) -> Study:
    """End a study; tasks that raters hold may be finished, for their work is done in good faith.

    A panel is asked to stop, in the background: the study is closed whether it can be reached or
    not (see `prolific_states`).

    Parameters
    ----------
    study : Study
        In any state; closing again changes nothing.
    actor : User
        Who closes it.

    Returns
    -------
    Study
    """
    return _move(
        study,
        actor,
        StudyStatus.CLOSED,
        "closed",
        StudyStatus.DRAFT,
        StudyStatus.OPEN,
        StudyStatus.PAUSED,
    )


@transaction.atomic
def study_redundancy_raise(*, study: Study, redundancy: int, actor: AbstractBaseUser) -> Study:
    """Ask for more ratings an item; ratings that stand go on counting.

    Parameters
    ----------
    study : Study
        Launched and not closed.
    redundancy : int
        More than now, at most `MAX_REDUNDANCY`.
    actor : User
        Who raises it.

    Returns
    -------
    Study

    Raises
    ------
    StudyStateError
        When it is a draft (change the draft instead) or closed.
    InvalidInput
        When the number is not above the present one or too large.
    BudgetTooSmall
        When the budget does not pay for it.
    """
    row = lock(Study.objects.all(), pk=study.pk)
    state_require(row, "its redundancy can be raised", StudyStatus.OPEN, StudyStatus.PAUSED)
    if not row.redundancy < redundancy <= MAX_REDUNDANCY:
        raise InvalidInput(
            f"redundancy: {redundancy} is not above the present {row.redundancy} and at most "
            f"{MAX_REDUNDANCY}; ratings that stand cannot be taken back."
        )
    before, row.redundancy = row.redundancy, redundancy
    items = Item.objects.filter(study=row)
    n_gold = items.exclude(gold_value="").count()
    _budget_require(row, items.count() - n_gold, n_gold, lowest=before + 1)
    row.save(update_fields=["redundancy"])
    study_event_record(
        study=row, action="redundancy raised", actor=actor, before=before, after=redundancy
    )
    _refresh(study)
    return row


def _budget_require(study: Study, n_items: int, n_gold: int, *, lowest: int = 1) -> None:
    """Refuse a study that its budget does not pay for; redundancy may be chosen from `lowest`."""
    n_asked = n_items + n_gold
    need, budget = n_asked * study.redundancy, study.rating_budget
    if need <= budget:
        return
    ways = [f"raise rating_budget to {need}"]
    if budget // n_asked >= lowest:
        ways.append(f"lower redundancy to {budget // n_asked}")
    fewer = study.inputs_per_pair * budget // need
    if study.status == StudyStatus.DRAFT and fewer >= 1:
        ways.append(f"lower inputs_per_pair to about {fewer}")
    gold = f" and {n_gold} gold items" if n_gold else ""
    raise BudgetTooSmall(
        f"The study {study.title!r} needs {need} ratings ({n_items} items{gold} x redundancy "
        f"{study.redundancy}), but rating_budget is {budget}: {', or '.join(ways)}."
    )


def _move(
    study: Study, actor: AbstractBaseUser, status: StudyStatus, action: str, *allowed: StudyStatus
) -> Study:
    row = lock(Study.objects.all(), pk=study.pk)
    if row.status != status:
        state_require(row, f"it can be {action}", *allowed)
        row.status = status
        if status == StudyStatus.CLOSED:
            row.closed_at = timezone.now()
            row.closed_by_id = actor.pk
        row.save(update_fields=["status", "closed_at", "closed_by"])
        study_event_record(study=row, action=action, actor=actor)
        panel_state_follow(study=row, actor=actor)
    _refresh(study)
    return row


def _refresh(study: Study) -> None:
    """Bring the caller's object up to date."""
    study.refresh_from_db(
        fields=["status", "launched_at", "launched_by", "closed_at", "closed_by", "redundancy"]
    )
