"""Which old ratings fit a study, and into which tasks they go; nothing here writes."""

import json
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from annotation.models import (
    HOLDING,
    Assignment,
    Channel,
    Exclusion,
    Item,
    ProbeInput,
    Rating,
    Study,
)
from annotation.rating_files import OldRating, RatingFile
from annotation.services.raters import external_id_hash

#: Of the rows that are refused, so many are named; all are counted.
REFUSALS_NAMED = 200
#: Makes the id of an imported answer from its row: the same row again is the same answer.
NAMESPACE = uuid.UUID("6f2b8f0e-93d0-4d51-a1a3-6f4c9a7f53f1")


@dataclass(frozen=True)
class Refusal:
    """A row that is not imported, and why."""

    row: int
    reason: str
    line: int = 0


@dataclass(frozen=True)
class AcceptedRating:
    """A row that fits: whose answer, to which item."""

    old: OldRating
    item: int
    value: str
    client_id: uuid.UUID


@dataclass(frozen=True)
class ImportedSlot:
    """One imported rater's answers to all items of one task to be."""

    rater: str
    answers: list[AcceptedRating]


@dataclass(frozen=True)
class ImportedBundle:
    """Items that the same raters rated: a task to be, or one that stands already."""

    concept: int
    items: list[int]
    slots: list[ImportedSlot]
    task: int | None


@dataclass(frozen=True)
class ImportPlan:
    """What an import does, or did.

    Attributes
    ----------
    format : str
        What the file was recognised as.
    n_rows, n_ready, n_there : int
        Rows; those that fit; those that an earlier import brought.
    n_raters, n_items : int
        Whose ratings they are, and of how many items.
    refused : list of Refusal
        The first `REFUSALS_NAMED` of those that do not fit.
    reasons : dict
        All of those, counted by reason.
    """

    format: str
    n_rows: int
    n_ready: int
    n_there: int
    n_raters: int
    n_items: int
    refused: list[Refusal]
    reasons: dict[str, int]
    bundles: list[ImportedBundle] = field(default_factory=list, repr=False)


def plan_of(study: Study, file: RatingFile) -> ImportPlan:
    """Sort the rows of a file into those that fit a study and those that do not.

    Parameters
    ----------
    study : Study
        Launched.
    file : RatingFile
        Read.

    Returns
    -------
    ImportPlan
    """
    return _Planner(study).plan(file)


def rater_hash(rater: str) -> str:
    """Hash the name that a file gives a rater, as every id of a rater is hashed.

    Parameters
    ----------
    rater : str
        Of the file; the same name in another file is the same rater.

    Returns
    -------
    str
    """
    return external_id_hash(channel=Channel.IMPORTED, external_id=rater)


class _Planner:
    """The state of a study that decides which rows fit."""

    def __init__(self, study: Study) -> None:
        self.study = study
        items = Item.objects.filter(study=study, gold_value="")
        self.items: dict[tuple[str, int], int] = {}
        self.concept_of: dict[int, int] = {}
        self.task_of: dict[int, int] = {}
        self.task_items: dict[int, set[int]] = defaultdict(set)
        for text, concept, index, item, task in items.order_by("task", "position").values_list(
            "concept__text", "concept_id", "probe_input__index", "pk", "task_id"
        ):
            self.items[text, index] = item
            self.concept_of[item] = concept
            self.task_of[item] = task
            self.task_items[task].add(item)
        self.with_gold = set(
            Item.objects.filter(study=study).exclude(gold_value="").values_list("task", flat=True)
        )
        assignments = Assignment.objects.filter(task__study=study)
        self.begun = set(assignments.values_list("task", flat=True))
        self.held: Counter[int] = Counter(
            assignments.filter(status__in=HOLDING).values_list("task", flat=True)
        )
        self.concepts = {text for text, _ in self.items}
        self.inputs = _input_names(study)
        imported = Rating.objects.filter(item__study=study, rater__channel=Channel.IMPORTED)
        self.answers = {
            (rater, item): client_id
            for rater, item, client_id in imported.values_list(
                "rater__external_id_hash", "item", "client_id"
            )
        }
        self.excluded = set(
            Exclusion.objects.filter(
                participation__study=study,
                participation__channel=Channel.IMPORTED,
                lifted_at__isnull=True,
            ).values_list("participation__rater__external_id_hash", flat=True)
        )
        self.n_there = 0
        self.refused: list[Refusal] = []
        self.reasons: Counter[str] = Counter()

    def plan(self, file: RatingFile) -> ImportPlan:
        """Sort the rows into those that fit and those that do not."""
        by_item: dict[int, dict[str, AcceptedRating]] = defaultdict(dict)
        for old in file.rows:
            accepted = self._accepted(old, file)
            if accepted is None:
                continue
            if old.rater in by_item[accepted.item]:
                self._refuse(old, "its rater rated the same item in an earlier row")
            else:
                by_item[accepted.item][old.rater] = accepted
        bundles = [*self._new_tasks(by_item), *self._begun_tasks(by_item)]
        ready = [answer for bundle in bundles for slot in bundle.slots for answer in slot.answers]
        self.refused.sort(key=lambda refusal: refusal.row)
        return ImportPlan(
            format=file.format,
            n_rows=len(file.rows),
            n_ready=len(ready),
            n_there=self.n_there,
            n_raters=len({answer.old.rater for answer in ready}),
            n_items=len({answer.item for answer in ready}),
            refused=self.refused[:REFUSALS_NAMED],
            reasons=dict(self.reasons.most_common()),
            bundles=bundles,
        )

    def _refuse(self, old: OldRating, reason: str, about: str = "") -> None:
        self.reasons[reason] += 1
        text = f"{reason} ({about})" if about else reason
        self.refused.append(Refusal(old.row, text, old.line))

    def _accepted(self, old: OldRating, file: RatingFile) -> AcceptedRating | None:
        if old.refused:
            self._refuse(old, old.refused)
            return None
        for name, text in (
            ("rater", old.rater),
            ("concept", old.concept),
            ("input", old.probe_input),
            ("answer", old.label),
        ):
            if not text:
                self._refuse(old, f"it has no {name}")
                return None
        value = file.labels.get(old.label)
        if value is None:
            self._refuse(old, "nobody said what its label means", old.label[:60])
            return None
        if old.concept not in self.concepts:
            self._refuse(old, "the study has no such concept", old.concept[:60])
            return None
        index = self.inputs.get(old.probe_input)
        if index is None:
            self._refuse(old, "the probe dataset has no such input", old.probe_input[:60])
            return None
        item = self.items.get((old.concept, index))
        if item is None:
            self._refuse(
                old, "it is outside the sampling design", f"{old.concept[:60]}, input {index}"
            )
            return None
        client_id = _client_id(self.study, old, index, value)
        rater = rater_hash(old.rater)
        before = self.answers.get((rater, item))
        if before == client_id:
            self.n_there += 1
            return None
        if rater in self.excluded:
            self._refuse(old, "its rater is excluded here; lift the exclusion first")
            return None
        if before is not None:
            self._refuse(old, "an earlier import has another answer of this rater to the item")
            return None
        return AcceptedRating(old, item, value, client_id)

    def _new_tasks(self, by_item: dict[int, dict[str, AcceptedRating]]) -> Iterable[ImportedBundle]:
        """ImportedBundle the items of tasks that nobody has begun by who rated them."""
        kept: dict[int, dict[str, AcceptedRating]] = {}
        k = self.study.redundancy
        for item, answers in by_item.items():
            if self.task_of[item] not in self.begun:
                kept[item] = dict(list(answers.items())[:k])
                for surplus in list(answers.values())[k:]:
                    self._refuse(surplus.old, f"its item has {k} ratings, as many as wanted")
        groups: dict[tuple[int, int | None, frozenset[str]], list[int]] = defaultdict(list)
        for item, answers in kept.items():
            groups[self.concept_of[item], self._whole_task(item, kept), frozenset(answers)].append(
                item
            )
        for (concept, task, raters), items in groups.items():
            size = self.study.items_per_task if task is None else len(items)
            for start in range(0, len(items), size):
                some = items[start : start + size]
                slots = [
                    ImportedSlot(rater, [kept[item][rater] for item in some])
                    for rater in sorted(raters)
                ]
                yield ImportedBundle(concept, some, slots, task)

    def _whole_task(
        self, item: int, kept: Mapping[int, Mapping[str, AcceptedRating]]
    ) -> int | None:
        """Name an item's task where the same raters rated all of it; it can stay as it is."""
        task = self.task_of[item]
        raters = {frozenset(kept.get(other, ())) for other in self.task_items[task]}
        return task if len(raters) == 1 and task not in self.with_gold else None

    def _begun_tasks(
        self, by_item: dict[int, dict[str, AcceptedRating]]
    ) -> Iterable[ImportedBundle]:
        """Fill free slots of tasks that somebody has begun with raters who rated all of them."""
        tasks: dict[int, dict[str, list[AcceptedRating]]] = defaultdict(lambda: defaultdict(list))
        for item, answers in by_item.items():
            if self.task_of[item] in self.begun:
                for rater, answer in answers.items():
                    tasks[self.task_of[item]][rater].append(answer)
        for task, raters in tasks.items():
            slots: list[ImportedSlot] = []
            free = self.study.redundancy - self.held[task]
            for rater, own in raters.items():
                if len(own) < len(self.task_items[task]) or task in self.with_gold:
                    reason = "its task is being rated already, and its rater rated only some of it"
                elif len(slots) == free:
                    reason = f"its item has {self.study.redundancy} ratings, or raters at work"
                else:
                    slots.append(ImportedSlot(rater, own))
                    continue
                for answer in own:
                    self._refuse(answer.old, reason)
            if slots:
                items = sorted(self.task_items[task])
                yield ImportedBundle(self.concept_of[items[0]], items, slots, task)


def _input_names(study: Study) -> dict[str, int]:
    """Map what a file may call an input to its index: file, last part of it, index."""
    files = dict(ProbeInput.objects.filter(dataset=study.dataset_id).values_list("index", "file"))
    last_parts = {index: file.rpartition("/")[2] for index, file in files.items()}
    times = Counter(last_parts.values())
    return {
        **{str(index): index for index in files},
        **{last: index for index, last in last_parts.items() if last and times[last] == 1},
        **{file: index for index, file in files.items() if file},
    }


def _client_id(study: Study, old: OldRating, index: int, value: str) -> uuid.UUID:
    return uuid.uuid5(NAMESPACE, json.dumps([study.slug, old.rater, old.concept, index, value]))
