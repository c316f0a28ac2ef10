"""Where gold items are hidden: which known answers go into which task of a concept."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from annotation import science
from annotation.models import GoldAnswer, GoldUse, QualityPolicy, RatingValue, Study


@dataclass(frozen=True)
class PlannedGold:
    """A gold item of a task, not yet in the database."""

    index: int
    value: str


@dataclass(frozen=True)
class GoldNeed:
    """How many known answers the tasks of one concept need.

    Attributes
    ----------
    present, absent : int
        At least so many with this value.
    """

    present: int
    absent: int


def gold_need(policy: QualityPolicy, n_tasks: int) -> GoldNeed:
    """Say how many known answers some tasks of one concept need.

    Parameters
    ----------
    policy : QualityPolicy
        How many gold items a task has, and in how many tasks one may be hidden.
    n_tasks : int
        Of the concept.

    Returns
    -------
    GoldNeed
        Present and absent are hidden equally often, in every task and over all tasks, as far as odd
        numbers allow. In one task no input comes twice.
    """
    places = [_places(policy.gold_per_task, task) for task in range(n_tasks)]
    return GoldNeed(
        present=_pool_needed([present for present, _ in places], policy.gold_exposure_cap),
        absent=_pool_needed([absent for _, absent in places], policy.gold_exposure_cap),
    )


def gold_usable(study: Study, drawn: Iterable[tuple[int, int]]) -> dict[int, list[PlannedGold]]:
    """List the known answers that can be hidden, by concept.

    Parameters
    ----------
    study : Study
        A draft.
    drawn : iterable of (int, int)
        Concepts (primary keys) and inputs (indices) of the sample. Such an item is rated for its
        own sake, and is no gold item.

    Returns
    -------
    dict
        From concept to its answers, by input.
    """
    sampled = set(drawn)
    usable: dict[int, list[PlannedGold]] = {}
    for concept, index, value in (
        GoldAnswer.objects.filter(study=study, use=GoldUse.HIDDEN)
        .order_by("concept_id", "probe_input__index")
        .values_list("concept_id", "probe_input__index", "value")
    ):
        if (concept, index) not in sampled:
            usable.setdefault(concept, []).append(PlannedGold(index, value))
    return usable


def gold_told(study: Study, drawn: Collection[tuple[int, int]]) -> list[str]:
    """Name the known answers that raters are shown and then asked: training, examples.

    Parameters
    ----------
    study : Study
        A draft.
    drawn : collection of (int, int)
        Concepts (primary keys) and inputs (indices) of the sample.

    Returns
    -------
    list of str
        Concept, input and use of each.
    """
    rows = (
        GoldAnswer.objects.filter(study=study)
        .exclude(use=GoldUse.HIDDEN)
        .order_by("concept__text", "probe_input__index")
        .values_list("concept_id", "concept__text", "probe_input__index", "use")
    )
    return [
        f"{text!r} at input {index} ({use})"
        for concept, text, index, use in rows
        if (concept, index) in drawn
    ]


def gold_hidden(
    policy: QualityPolicy, pool: Sequence[PlannedGold], n_tasks: int, seed: int
) -> list[list[PlannedGold]]:
    """Spread known answers over the tasks of a concept.

    Parameters
    ----------
    policy : QualityPolicy
        See `gold_need`.
    pool : sequence of PlannedGold
        At least as many of each value as `gold_need` says.
    n_tasks : int
        Of the concept, in the order of serving.
    seed : int
        Of the order in which they are used.

    Returns
    -------
    list of list
        Of each task. The answers of each value go round and round: a gold item comes back after as
        many tasks as possible, and none is used twice more often than another.
    """
    mixed = [pool[number] for number in science.shuffled(len(pool), seed)]
    of_value = {
        value: [gold for gold in mixed if gold.value == value]
        for value in (RatingValue.PRESENT, RatingValue.ABSENT)
    }
    used = dict.fromkeys(of_value, 0)
    tasks = []
    for task in range(n_tasks):
        hidden: list[PlannedGold] = []
        for value, n in zip(of_value, _places(policy.gold_per_task, task), strict=True):
            round_of = of_value[value]
            hidden += [round_of[(used[value] + k) % len(round_of)] for k in range(n)]
            used[value] += n
        tasks.append(hidden)
    return tasks


def gold_problem(
    policy: QualityPolicy, concept: str, pool: Sequence[PlannedGold], n_tasks: int
) -> str:
    """Say what is missing to hide gold items in the tasks of a concept.

    Parameters
    ----------
    policy : QualityPolicy
        See `gold_need`.
    concept : str
        Its text.
    pool : sequence of PlannedGold
        Its known answers that are not drawn.
    n_tasks : int
        Of the concept.

    Returns
    -------
    str
        Empty when nothing is missing.
    """
    need = gold_need(policy, n_tasks)
    there = dict.fromkeys((RatingValue.PRESENT, RatingValue.ABSENT), 0)
    for gold in pool:
        there[RatingValue(gold.value)] += 1
    if there[RatingValue.PRESENT] >= need.present and there[RatingValue.ABSENT] >= need.absent:
        return ""
    cap = policy.gold_exposure_cap
    capped = "" if cap is None else f", each in at most {cap} tasks"
    return (
        f"{concept!r} needs {need.present} known answers present and {need.absent} absent "
        f"({n_tasks} task{'s' * (n_tasks != 1)} with {policy.gold_per_task} gold items{capped}); "
        f"it has {there[RatingValue.PRESENT]} and {there[RatingValue.ABSENT]} whose input is not "
        "drawn anyway"
    )


def _places(per_task: int, task: int) -> tuple[int, int]:
    """How many gold items of a task are present and absent; the odd one changes sides."""
    half, odd = divmod(per_task, 2)
    return half + odd * ((task + 1) % 2), half + odd * (task % 2)


def _pool_needed(places: Sequence[int], cap: int | None) -> int:
    """No input twice in a task, and none in more tasks than the cap."""
    by_cap = 0 if cap is None else -(-sum(places) // cap)
    return max(max(places, default=0), by_cap)
