"""Samples and tasks as they are planned, before and while they are written; of any round."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from annotation import science
from annotation.models import (
    Concept,
    Draw,
    ExplanationTerm,
    Item,
    Neuron,
    PairSample,
    ProbeInput,
    QualityPolicy,
    SamplingRound,
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


@dataclass(frozen=True)
class PlannedPair:
    """The sample of one (neuron, concept) pair, not yet in the database."""

    neuron: Neuron
    concept: Concept
    design: str
    parameters: dict[str, Any]
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
class TaskPlan:
    """Tasks of one round.

    Attributes
    ----------
    tasks : list of PlannedTask
        In the order of serving.
    gold_problems : list of str
        Concepts that have too few known answers, each with what it takes; their tasks have none.
    gold_told : list of str
        Known answers of training or examples whose item is drawn, so that raters would be told
        what they are then asked.
    """

    tasks: list[PlannedTask]
    gold_problems: list[str]
    gold_told: list[str]


def pairs_of(study: Study) -> list[tuple[Neuron, Concept]]:
    """List the (neuron, concept) pairs that a study's explanations are about.

    Parameters
    ----------
    study : Study
        Any.

    Returns
    -------
    list
        Each once, in an order of names: the same in any database.
    """
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


def pair_seed(seed: int, neuron: Neuron, concept: Concept) -> int:
    """Derive the seed of a pair's draw from that of the round and the names of the pair.

    Parameters
    ----------
    seed : int
        Of the round; that of the launch is the study's.
    neuron, concept
        The pair.

    Returns
    -------
    int
    """
    matrix = neuron.activations
    return science.seed_from(
        seed, "draw", matrix.model_name, matrix.layer, matrix.pool, neuron.unit, concept.text
    )


def tasks_plan(
    study: Study,
    inputs: Mapping[Concept, Sequence[science.SampledInput]],
    *,
    seed: int,
    before: Collection[tuple[int, int]] = (),
) -> TaskPlan:
    """Put the new items of every concept into tasks, and hide gold items among them.

    Parameters
    ----------
    study : Study
        With its quality policy.
    inputs : mapping
        From concept to the inputs that become items.
    seed : int
        Of the round.
    before : collection of (int, int)
        Concepts (primary keys) and inputs (indices) that are items already.

    Returns
    -------
    TaskPlan
        Gold items are none of the items, and in no more tasks than the policy allows, those of
        earlier rounds counted.
    """
    bundles = [_bundles(study, concept, own, seed) for concept, own in inputs.items()]
    new = {(concept.pk, sampled.index) for concept, own in inputs.items() for sampled in own}
    filled, problems = _with_gold(study, bundles, new | set(before), seed)
    return TaskPlan(_interleaved(filled, seed), problems, gold_told(study, new))


def draws_write(round_: SamplingRound, pairs: Sequence[PlannedPair]) -> None:
    """Write the samples of a round, inside the caller's transaction.

    Parameters
    ----------
    round_ : SamplingRound
        In the database.
    pairs : sequence of PlannedPair
        Its samples.
    """
    input_ids = _input_ids(round_.study, {index for pair in pairs for index in pair.indices})
    samples = PairSample.objects.bulk_create(
        (
            PairSample(
                study=round_.study,
                round=round_,
                neuron=pair.neuron,
                concept=pair.concept,
                sampling_design=pair.design,
                parameters=pair.parameters,
                n_draws=len(pair.indices),
                seed=pair.seed,
            )
            for pair in pairs
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
            for sample, pair in zip(samples, pairs, strict=True)
            for position, (index, probability) in enumerate(
                zip(pair.indices, pair.probabilities, strict=True)
            )
        ),
        batch_size=BATCH,
    )


def tasks_write(
    round_: SamplingRound, planned: Sequence[PlannedTask], *, seed: int, first: int = 1
) -> None:
    """Write the tasks of a round with their items, inside the caller's transaction.

    Parameters
    ----------
    round_ : SamplingRound
        In the database.
    planned : sequence of PlannedTask
        From `tasks_plan`.
    seed : int
        Of the round.
    first : int
        Number of the first task.
    """
    indices = {sampled.index for task in planned for sampled in task.inputs}
    indices.update(gold.index for task in planned for gold in task.gold)
    input_ids = _input_ids(round_.study, indices)
    tasks = Task.objects.bulk_create(
        (
            Task(study=round_.study, concept=task.concept, number=number)
            for number, task in enumerate(planned, start=first)
        ),
        batch_size=BATCH,
    )
    Item.objects.bulk_create(
        (
            item
            for task, own in zip(tasks, planned, strict=True)
            for item in _items(round_, task, own, input_ids, seed)
        ),
        batch_size=BATCH,
    )


def _items(
    round_: SamplingRound, task: Task, planned: PlannedTask, input_ids: dict[int, int], seed: int
) -> Iterable[Item]:
    """Make the items of a task; gold items lie at random among the others."""
    items = [
        Item(
            study=round_.study,
            task=task,
            round=round_,
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
            study=round_.study,
            task=task,
            round=round_,
            concept=planned.concept,
            probe_input_id=input_ids[gold.index],
            gold_value=gold.value,
        )
        for gold in planned.gold
    ]
    places = list(range(len(items)))
    if hidden:
        items += hidden
        own = science.seed_from(seed, "positions", planned.concept.text, task.number)
        places = science.shuffled(len(items), own)
    for item, position in zip(items, places, strict=True):
        item.position = position
    return items


def _bundles(
    study: Study, concept: Concept, inputs: Sequence[science.SampledInput], seed: int
) -> list[PlannedTask]:
    """Shuffle the items of a concept, so that their order tells nothing of their probability."""
    order = science.shuffled(len(inputs), science.seed_from(seed, "items", concept.text))
    size = study.items_per_task
    return [
        PlannedTask(concept, [inputs[number] for number in order[start : start + size]])
        for start in range(0, len(order), size)
    ]


def _with_gold(
    study: Study,
    bundles: Sequence[list[PlannedTask]],
    asked: Collection[tuple[int, int]],
    seed: int,
) -> tuple[list[list[PlannedTask]], list[str]]:
    """Hide gold items in the tasks of every concept, or say what is missing for it."""
    policy = QualityPolicy.objects.filter(study=study).first()
    if policy is None or policy.gold_per_task == 0:
        return list(bundles), []
    usable = gold_usable(study, asked)
    hidden_before = _hidden_before(study)
    filled, problems = [], []
    for tasks in bundles:
        if not tasks:
            continue
        concept = tasks[0].concept
        left, pool = _left(policy, usable.get(concept.pk, []), hidden_before, concept)
        problem = gold_problem(left, concept.text, pool, len(tasks))
        if problem:
            problems.append(problem)
            filled.append(tasks)
            continue
        hidden = gold_hidden(left, pool, len(tasks), science.seed_from(seed, "gold", concept.text))
        filled.append([replace(task, gold=own) for task, own in zip(tasks, hidden, strict=True)])
    return filled, problems


def _hidden_before(study: Study) -> Counter[tuple[int, int]]:
    """Count the tasks in which each gold item is hidden already; a draft has none."""
    rows = Item.objects.filter(study=study).exclude(gold_value="").order_by()
    return Counter(rows.values_list("concept_id", "probe_input__index"))


def _left(
    policy: QualityPolicy,
    pool: list[PlannedGold],
    hidden_before: Counter[tuple[int, int]],
    concept: Concept,
) -> tuple[QualityPolicy, list[PlannedGold]]:
    """Take what earlier rounds used off the cap: the answer used most says what is left of it."""
    cap = policy.gold_exposure_cap
    if cap is None or not hidden_before:
        return policy, pool
    uses = {gold: hidden_before[concept.pk, gold.index] for gold in pool}
    free = [gold for gold in pool if uses[gold] < cap]
    left = cap - max((uses[gold] for gold in free), default=0)
    return QualityPolicy(gold_per_task=policy.gold_per_task, gold_exposure_cap=left), free


def _interleaved(bundles: Sequence[list[PlannedTask]], seed: int) -> list[PlannedTask]:
    """Serve the concepts in turn, so that all of them have ratings early."""
    order = science.shuffled(len(bundles), science.seed_from(seed, "tasks"))
    turns = max(map(len, bundles), default=0)
    return [
        bundles[number][turn]
        for turn in range(turns)
        for number in order
        if turn < len(bundles[number])
    ]


def _input_ids(study: Study, wanted: Collection[int]) -> dict[int, int]:
    ids: dict[int, int] = {}
    indices = sorted(wanted)
    for start in range(0, len(indices), BATCH):
        rows = ProbeInput.objects.filter(
            dataset=study.dataset_id, index__in=indices[start : start + BATCH]
        )
        ids.update(rows.values_list("index", "pk"))
    return ids
