"""The life of a study: created, filled with explanations, launched, paused, closed."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from annotation.exceptions import (
    BudgetTooSmall,
    InvalidInput,
    NothingToRate,
    StudyStateError,
    UnknownConcept,
    UnknownNeuron,
)
from annotation.models import (
    MAX_REDUNDANCY,
    ActivationMatrix,
    Concept,
    ConceptMatrix,
    Explanation,
    ExplanationMethod,
    ExplanationTerm,
    Item,
    Neuron,
    ProbeDataset,
    Study,
    StudyStatus,
)
from annotation.services.audit import study_event_record
from annotation.services.locks import lock
from annotation.services.sampling import sampling_plan, sampling_write


@dataclass(frozen=True)
class NewExplanation:
    """One explanation to add to a study.

    Attributes
    ----------
    activations : ActivationMatrix
        The layer of the neuron.
    unit : int
        The neuron's column in it, from 0.
    terms : mapping of str to float
        From concept text to weight; ``{"tabby cat": 1.0}`` where the explanation is one concept.
    bias : float
        Of a linear explanation; it does not change a correlation.
    """

    activations: ActivationMatrix
    unit: int
    terms: Mapping[str, float] = field(default_factory=dict)
    bias: float = 0.0


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
    for name, matrix in (("concept_prior", concept_prior), ("reference", reference)):
        if matrix is not None and matrix.dataset_id != dataset.pk:
            raise InvalidInput(
                f"{name}: {matrix.name!r} is over the probe dataset {matrix.dataset.name!r}, the "
                f"study over {dataset.name!r}; register one over the study's dataset."
            )
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
    try:
        study.full_clean()
    except ValidationError as error:
        raise InvalidInput(
            " ".join(f"{name}: {' '.join(texts)}" for name, texts in error.message_dict.items())
        ) from error
    study.save()
    study_event_record(study=study, action="created", actor=owner, rating_budget=rating_budget)
    return study


@transaction.atomic
def explanations_add(
    *,
    study: Study,
    method: str,
    explanations: Iterable[NewExplanation],
    actor: AbstractBaseUser | None = None,
) -> list[Explanation]:
    """Add what a method says of some neurons to a draft.

    Parameters
    ----------
    study : Study
        A draft.
    method : str
        The explanation method's name.
    explanations : iterable of NewExplanation
        At most one a neuron.
    actor : User, optional
        Who adds them.

    Returns
    -------
    list of Explanation

    Raises
    ------
    StudyStateError
        When the study was launched.
    UnknownNeuron
        When a layer has no such unit, or is of another dataset.
    UnknownConcept
        When the study's concept prior lacks a concept.
    InvalidInput
        When there are no terms, a weight is 0, or a neuron has an explanation by this method.
    """
    row = lock(Study.objects.select_related("concept_prior", "dataset"), pk=study.pk)
    _state_require(row, "explanations can be added", StudyStatus.DRAFT)
    given = list(explanations)
    concepts = {
        column.concept.text: column.concept
        for column in row.concept_prior.columns.select_related("concept")
    }
    for new in given:
        _explanation_require(row, new, concepts)
    method_row, _ = ExplanationMethod.objects.get_or_create(name=method)
    explained = {
        explanation.neuron
        for explanation in row.explanations.filter(method=method_row).select_related(
            "neuron__activations"
        )
    }
    added = []
    for new in given:
        neuron, _ = Neuron.objects.get_or_create(activations=new.activations, unit=new.unit)
        if neuron in explained:
            raise InvalidInput(
                f"neuron {neuron}: the method {method!r} explains it twice; a method gives one "
                "explanation a neuron (a weighted sum of concepts is one)."
            )
        explained.add(neuron)
        explanation = Explanation.objects.create(
            study=row, neuron=neuron, method=method_row, bias=new.bias
        )
        ExplanationTerm.objects.bulk_create(
            ExplanationTerm(explanation=explanation, concept=concepts[text], weight=weight)
            for text, weight in new.terms.items()
        )
        added.append(explanation)
    study_event_record(
        study=row, action="explanations added", actor=actor, method=method, n_added=len(added)
    )
    return added


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
        When the budget is below items x redundancy; the message gives both and what would fit.
    ArrayProblem, UnknownConcept, ConceptWithoutPositives, SamplingProblem
        See `annotation.services.sampling.sampling_plan`.
    """
    row = lock(Study.objects.select_related("concept_prior", "reference", "dataset"), pk=study.pk)
    _state_require(row, "it can be launched", StudyStatus.DRAFT)
    if not row.explanations.exists():
        raise NothingToRate(
            f"The study {row.title!r} has no explanations, so there is nothing to rate; add the "
            "explanations of at least one method first."
        )
    plan = sampling_plan(row)
    _budget_require(row, plan.n_items)
    sampling_write(row, plan)
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
    )
    _refresh(study)
    return row


@transaction.atomic
def study_pause(*, study: Study, actor: AbstractBaseUser) -> Study:
    """Hand out no more tasks for now; tasks that raters hold may be finished.

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
    """Hand out tasks again.

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
    _state_require(row, "its redundancy can be raised", StudyStatus.OPEN, StudyStatus.PAUSED)
    if not row.redundancy < redundancy <= MAX_REDUNDANCY:
        raise InvalidInput(
            f"redundancy: {redundancy} is not above the present {row.redundancy} and at most "
            f"{MAX_REDUNDANCY}; ratings that stand cannot be taken back."
        )
    before, row.redundancy = row.redundancy, redundancy
    _budget_require(row, Item.objects.filter(study=row).count())
    row.save(update_fields=["redundancy"])
    study_event_record(
        study=row, action="redundancy raised", actor=actor, before=before, after=redundancy
    )
    _refresh(study)
    return row


def _explanation_require(
    study: Study, new: NewExplanation, concepts: Mapping[str, Concept]
) -> None:
    matrix = new.activations
    n_units = matrix.shape[1]
    if matrix.dataset_id != study.dataset_id:
        raise UnknownNeuron(
            f"neuron {matrix.layer}:{new.unit}: its activations were recorded on another probe "
            f"dataset than {study.dataset.name!r}; register them on the study's dataset."
        )
    if not 0 <= new.unit < n_units:
        raise UnknownNeuron(
            f"neuron {matrix.layer}:{new.unit}: the layer {matrix.layer!r} of "
            f"{matrix.model_name!r} has {n_units} neurons, 0 to {n_units - 1}; correct the unit."
        )
    if not new.terms:
        raise InvalidInput(
            f"neuron {matrix.layer}:{new.unit}: its explanation has no concept; give at least one."
        )
    for text, weight in new.terms.items():
        if text not in concepts:
            raise UnknownConcept(
                f"concept {text!r}: the concept prior {study.concept_prior.name!r} has no column "
                "for it; register a prior with this concept, or take the explanation out."
            )
        if weight == 0 or not math.isfinite(weight):
            raise InvalidInput(
                f"neuron {matrix.layer}:{new.unit}: the weight of {text!r} is {weight}; give a "
                "finite number other than 0, or leave the concept out."
            )


def _budget_require(study: Study, n_items: int) -> None:
    need, budget = n_items * study.redundancy, study.rating_budget
    if need <= budget:
        return
    ways = [f"raise rating_budget to {need}"]
    if budget // n_items >= 1:
        ways.append(f"lower redundancy to {budget // n_items}")
    fewer = study.inputs_per_pair * budget // need
    if study.status == StudyStatus.DRAFT and fewer >= 1:
        ways.append(f"lower inputs_per_pair to about {fewer}")
    raise BudgetTooSmall(
        f"The study {study.title!r} needs {need} ratings ({n_items} items x redundancy "
        f"{study.redundancy}), but rating_budget is {budget}: {', or '.join(ways)}."
    )


def _move(
    study: Study, actor: AbstractBaseUser, status: StudyStatus, action: str, *allowed: StudyStatus
) -> Study:
    row = lock(Study.objects.all(), pk=study.pk)
    if row.status != status:
        _state_require(row, f"it can be {action}", *allowed)
        row.status = status
        if status == StudyStatus.CLOSED:
            row.closed_at = timezone.now()
            row.closed_by_id = actor.pk
        row.save(update_fields=["status", "closed_at", "closed_by"])
        study_event_record(study=row, action=action, actor=actor)
    _refresh(study)
    return row


def _state_require(study: Study, what: str, *allowed: StudyStatus) -> None:
    if study.status not in allowed:
        states = " or ".join(str(status.label) for status in allowed)
        raise StudyStateError(
            f"The study {study.title!r} is {study.get_status_display()}; only while it is {states} "
            f"{what}."
        )


def _refresh(study: Study) -> None:
    """Bring the caller's object up to date."""
    study.refresh_from_db(
        fields=["status", "launched_at", "launched_by", "closed_at", "closed_by", "redundancy"]
    )
