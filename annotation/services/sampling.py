"""What is rated: samples of every (neuron, concept) pair, pooled into items, put into tasks."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.contrib.auth.models import AbstractBaseUser
from django.utils import timezone

from annotation import science
from annotation.exceptions import GoldTooFew, StudyNotReady, UnknownConcept
from annotation.models import Concept, ConceptMatrix, Neuron, SamplingRound, Study
from annotation.services.samples import (
    PlannedPair,
    PlannedTask,
    draws_write,
    pair_seed,
    pairs_of,
    tasks_plan,
    tasks_write,
)

#: So many known answers that would be told are named at once.
GOLD_NAMED = 5


@dataclass(frozen=True)
class SamplingPlan:
    """Everything that a launch writes.

    Attributes
    ----------
    pairs : list of PlannedPair
        The samples.
    tasks : list of PlannedTask
        In the order of serving.
    gold_problems : list of str
        Concepts that have too few known answers, each with what it takes; such a plan cannot be
        written.
    gold_told : list of str
        Known answers of training or examples whose item is drawn, so that raters would be told
        what they are then asked; such a plan cannot be written either.
    """

    pairs: list[PlannedPair]
    tasks: list[PlannedTask]
    gold_problems: list[str] = field(default_factory=list)
    gold_told: list[str] = field(default_factory=list)

    @property
    def n_items(self) -> int:
        """How many (concept, input) pairs are to be rated, gold items left out."""
        return sum(len(task.inputs) for task in self.tasks)

    @property
    def n_gold(self) -> int:
        """How many gold items are hidden in the tasks."""
        return sum(len(task.gold) for task in self.tasks)


def sampling_plan(study: Study) -> SamplingPlan:
    """Draw the inputs of every (neuron, concept) pair of a study; write nothing.

    Parameters
    ----------
    study : Study
        With its explanations.

    Returns
    -------
    SamplingPlan
        The same for the same study, arrays and seed, in any database.

    Raises
    ------
    ArrayProblem
        When a file is missing, damaged or changed since it was registered.
    UnknownConcept
        When the concept prior lacks a concept.
    ConceptWithoutPositives
        When reference labels are constant.
    SamplingProblem
        When a pair cannot be sampled; the message names neuron and concept.
    """
    neurons_of: dict[Concept, list[Neuron]] = defaultdict(list)
    for neuron, concept in pairs_of(study):
        neurons_of[concept].append(neuron)
    prior_columns = columns_of(study.concept_prior)
    prior = science.array_load(study.concept_prior, verify=True)
    references_require(study, neurons_of)
    matrices = {
        neuron.activations_id: neuron.activations
        for neurons in neurons_of.values()
        for neuron in neurons
    }
    arrays = {pk: science.array_load(matrix, verify=True) for pk, matrix in matrices.items()}
    pairs: list[PlannedPair] = []
    inputs: dict[Concept, list[science.SampledInput]] = {}
    for concept, neurons in neurons_of.items():
        if concept.pk not in prior_columns:
            raise UnknownConcept(
                f"concept {concept.text!r}: the concept prior {study.concept_prior.name!r} has no "
                "column for it; register a prior with this concept, or take the explanation out."
            )
        draws = []
        for neuron in neurons:
            seed = pair_seed(study.seed, neuron, concept)
            drawn = science.draw_pair(
                design=study.sampling_design,
                parameters=study.sampling_parameters,
                activation=arrays[neuron.activations_id][:, neuron.unit],
                prior=prior[:, prior_columns[concept.pk]],
                n_draws=study.inputs_per_pair,
                seed=seed,
                what=f"neuron {neuron}, concept {concept.text!r}",
            )
            draws.append(drawn)
            pairs.append(
                PlannedPair(
                    neuron,
                    concept,
                    study.sampling_design,
                    study.sampling_parameters,
                    seed,
                    drawn.indices.tolist(),
                    drawn.probabilities.tolist(),
                )
            )
        inputs[concept] = science.sampled_inputs(draws)
    planned = tasks_plan(study, inputs, seed=study.seed)
    return SamplingPlan(pairs, planned.tasks, planned.gold_problems, planned.gold_told)


def sampling_write(study: Study, plan: SamplingPlan, *, actor: AbstractBaseUser) -> None:
    """Write a plan into the database, inside the caller's transaction.

    Parameters
    ----------
    study : Study
        Without samples and tasks yet.
    plan : SamplingPlan
        From `sampling_plan`.
    actor : User
        Who launches the study.

    Raises
    ------
    GoldTooFew
        When concepts have too few known answers; the message says how many each takes.
    StudyNotReady
        When training or examples tell the answer to an item.
    """
    if plan.gold_problems:
        raise GoldTooFew(
            f"gold_per_task: {'; '.join(plan.gold_problems)}. Add known answers, hide fewer gold "
            "items in a task, or raise the cap."
        )
    if plan.gold_told:
        raise StudyNotReady(
            f"Raters would be told the answer to items: {'; '.join(plan.gold_told[:GOLD_NAMED])}. "
            "Remove these known answers of training and examples; choose inputs that are not drawn."
        )
    launch = SamplingRound.objects.create(
        study=study,
        number=1,
        design=study.sampling_design,
        n_draws=study.inputs_per_pair,
        seed=study.seed,
        drawn_at=timezone.now(),
        drawn_by_id=actor.pk,
    )
    draws_write(launch, plan.pairs)
    tasks_write(launch, plan.tasks, seed=study.seed)


def columns_of(matrix: ConceptMatrix) -> dict[int, int]:
    """Map the concepts of a matrix to its columns.

    Parameters
    ----------
    matrix : ConceptMatrix
        Any.

    Returns
    -------
    dict
        From concept primary key to column.
    """
    return dict(matrix.columns.values_list("concept_id", "column"))


def references_require(study: Study, concepts: Iterable[Concept]) -> None:
    """Refuse reference labels that no score can be compared with.

    Parameters
    ----------
    study : Study
        With or without reference labels.
    concepts : iterable of Concept
        Those that explanations use; a concept that the reference lacks has no reference score.

    Raises
    ------
    ConceptWithoutPositives
        When the labels of a concept are the same on every input.
    """
    if study.reference is None:
        return
    columns = columns_of(study.reference)
    labels = science.array_load(study.reference, verify=True)
    for concept in concepts:
        if concept.pk in columns:
            science.labels_require(
                labels[:, columns[concept.pk]],
                what=f"concept {concept.text!r} in the reference labels {study.reference.name!r}",
            )
