"""What the methods say of the neurons, added to a draft and checked."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from annotation.exceptions import InvalidInput, UnknownConcept, UnknownNeuron
from annotation.models import (
    ActivationMatrix,
    Concept,
    Explanation,
    ExplanationMethod,
    ExplanationTerm,
    Neuron,
    Study,
    StudyStatus,
)
from annotation.services.audit import study_event_record
from annotation.services.locks import lock
from annotation.services.states import state_require


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
    state_require(row, "explanations can be added", StudyStatus.DRAFT)
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
