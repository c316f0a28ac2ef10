"""What is rated: samples of every (neuron, concept) pair, pooled into items, put into tasks."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from annotation import science
from annotation.exceptions import GoldTooFew, StudyNotReady, UnknownConcept
from annotation.models import (
    Concept,
    ConceptMatrix,
    Draw,
    ExplanationTerm,
    Item,
    Neuron,
    PairSample,
    ProbeInput,
    QualityPolicy,
    Study,
    Task,
)
from annotation.services.gold_plan import (
    PlannedGold,
    gold_hidden,
    gold_problem,
    gold_told,
    gold_usable,
)

BATCH = 2000
#: So many known answers that would be told are named at once.
GOLD_NAMED = 5


@dataclass(frozen=True)
class PlannedPair:
    """The sample of one (neuron, concept) pair, not yet in the database."""

    neuron: Neuron
    concept: Concept
    seed: int
    indices: list[int]
    probabilities: list[float]


@dataclass(frozen=True)
class PlannedTask:
    """A task, not yet in the database."""

    concept: Concept
    inputs: list[science.SampledInput]
    gold: list[PlannedGold] = field(default_factory=list)


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
    for neuron, concept in _pairs(study):
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
    bundles: list[list[PlannedTask]] = []
    for concept, neurons in neurons_of.items():
        if concept.pk not in prior_columns:
            raise UnknownConcept(
                f"concept {concept.text!r}: the concept prior {study.concept_prior.name!r} has no "
                "column for it; register a prior with this concept, or take the explanation out."
            )
        draws = []
        for neuron in neurons:
            seed = pair_seed(study, neuron, concept)
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
                    neuron, concept, seed, drawn.indices.tolist(), drawn.probabilities.tolist()
                )
            )
        bundles.append(_bundles(study, concept, science.sampled_inputs(draws)))
    asked = {
        (task.concept.pk, sampled.index)
        for tasks in bundles
        for task in tasks
        for sampled in task.inputs
    }
    bundles, problems = _with_gold(study, bundles, asked)
    return SamplingPlan(
        pairs, _interleaved(study, bundles), problems, gold_told=gold_told(study, asked)
    )


def sampling_write(study: Study, plan: SamplingPlan) -> None:
    """Write a plan into the database, inside the caller's transaction.

    Parameters
    ----------
    study : Study
        Without samples and tasks yet.
    plan : SamplingPlan
        From `sampling_plan`.

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
    indices = {index for pair in plan.pairs for index in pair.indices}
    indices.update(gold.index for task in plan.tasks for gold in task.gold)
    input_ids = _input_ids(study, sorted(indices))
    samples = PairSample.objects.bulk_create(
        (
            PairSample(
                study=study,
                neuron=pair.neuron,
                concept=pair.concept,
                sampling_design=study.sampling_design,
                parameters=study.sampling_parameters,
                n_draws=len(pair.indices),
                seed=pair.seed,
            )
            for pair in plan.pairs
        ),
        batch_size=BATCH,
    )
    Draw.objects.bulk_create(
        (
            Draw(
                pair_sample=sample,
                position=position,
                probe_input_id=input_ids[index],
                probability=probability,
            )
            for sample, pair in zip(samples, plan.pairs, strict=True)
            for position, (index, probability) in enumerate(
                zip(pair.indices, pair.probabilities, strict=True)
            )
        ),
        batch_size=BATCH,
    )
    tasks = Task.objects.bulk_create(
        (
            Task(study=study, concept=planned.concept, number=number)
            for number, planned in enumerate(plan.tasks, start=1)
        ),
        batch_size=BATCH,
    )
    Item.objects.bulk_create(
        (
            item
            for task, planned in zip(tasks, plan.tasks, strict=True)
            for item in _items(study, task, planned, input_ids)
        ),
        batch_size=BATCH,
    )


def _items(
    study: Study, task: Task, planned: PlannedTask, input_ids: dict[int, int]
) -> Iterable[Item]:
    """Make the items of a task; gold items lie at random among the others."""
    items = [
        Item(
            study=study,
            task=task,
            concept=planned.concept,
            probe_input_id=input_ids[sampled.index],
            n_draws=sampled.n_draws,
            draw_probability=sampled.draw_probability,
            inclusion_probability=sampled.inclusion_probability,
        )
        for sampled in planned.inputs
    ]
    hidden = [
        Item(
            study=study,
            task=task,
            concept=planned.concept,
            probe_input_id=input_ids[gold.index],
            gold_value=gold.value,
        )
        for gold in planned.gold
    ]
    places = list(range(len(items)))
    if hidden:
        items += hidden
        seed = science.seed_from(study.seed, "positions", planned.concept.text, task.number)
        places = science.shuffled(len(items), seed)
    for item, position in zip(items, places, strict=True):
        item.position = position
    return items


def pair_seed(study: Study, neuron: Neuron, concept: Concept) -> int:
    """Derive the seed of a pair's draw from the study's seed and the names of the pair.

    Parameters
    ----------
    study, neuron, concept
        The pair.

    Returns
    -------
    int
    """
    matrix = neuron.activations
    return science.seed_from(
        study.seed, "draw", matrix.model_name, matrix.layer, matrix.pool, neuron.unit, concept.text
    )


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


def _pairs(study: Study) -> list[tuple[Neuron, Concept]]:
    terms = (
        ExplanationTerm.objects.filter(explanation__study=study)
        .select_related("concept", "explanation__neuron__activations")
        .order_by("concept__text")
    )
    pairs = {(term.explanation.neuron, term.concept): None for term in terms}

    def name(pair: tuple[Neuron, Concept]) -> tuple[str, str, str, str, int]:
        matrix = pair[0].activations
        return (pair[1].text, matrix.model_name, matrix.layer, matrix.pool, pair[0].unit)

    return sorted(pairs, key=name)


def _bundles(
    study: Study, concept: Concept, inputs: Sequence[science.SampledInput]
) -> list[PlannedTask]:
    """Shuffle the items of a concept, so that their order tells nothing of their probability."""
    order = science.shuffled(len(inputs), science.seed_from(study.seed, "items", concept.text))
    size = study.items_per_task
    return [
        PlannedTask(concept, [inputs[number] for number in order[start : start + size]])
        for start in range(0, len(order), size)
    ]


def _with_gold(
    study: Study, bundles: Sequence[list[PlannedTask]], drawn: Collection[tuple[int, int]]
) -> tuple[list[list[PlannedTask]], list[str]]:
    """Hide gold items in the tasks of every concept, or say what is missing for it."""
    policy = QualityPolicy.objects.filter(study=study).first()
    if policy is None or policy.gold_per_task == 0:
        return list(bundles), []
    usable = gold_usable(study, drawn)
    filled, problems = [], []
    for tasks in bundles:
        concept = tasks[0].concept
        pool = usable.get(concept.pk, [])
        problem = gold_problem(policy, concept.text, pool, len(tasks))
        if problem:
            problems.append(problem)
            filled.append(tasks)
            continue
        seed = science.seed_from(study.seed, "gold", concept.text)
        hidden = gold_hidden(policy, pool, len(tasks), seed)
        filled.append([replace(task, gold=own) for task, own in zip(tasks, hidden, strict=True)])
    return filled, problems


def _interleaved(study: Study, bundles: Sequence[list[PlannedTask]]) -> list[PlannedTask]:
    """Serve the concepts in turn, so that all of them have ratings early."""
    order = science.shuffled(len(bundles), science.seed_from(study.seed, "tasks"))
    rounds = max(map(len, bundles), default=0)
    return [
        bundles[number][turn]
        for turn in range(rounds)
        for number in order
        if turn < len(bundles[number])
    ]


def _input_ids(study: Study, indices: Sequence[int]) -> dict[int, int]:
    ids: dict[int, int] = {}
    for start in range(0, len(indices), BATCH):
        rows = ProbeInput.objects.filter(
            dataset=study.dataset_id, index__in=indices[start : start + BATCH]
        )
        ids.update(rows.values_list("index", "pk"))
    return ids
