"""Studies with gold items, rules and raters of every kind, for tests of quality control."""

from collections.abc import Callable
from typing import Any

from annotation.models import Item, Participation, QualityPolicy, RatingValue, Study
from annotation.services.assignments import assignment_lease
from annotation.services.gold import gold_answers_add
from annotation.services.gold_suggestions import gold_answers_suggest
from annotation.services.studies import study_launch
from tests.annotation.factories import make_study, rate_task, truthful


def set_policy(study: Study, **fields: Any) -> QualityPolicy:
    """Set rules without asking the service: also those of a launched study."""
    QualityPolicy.objects.filter(study=study).update(**fields)
    return QualityPolicy.objects.get(study=study)


def make_gold_study(
    *,
    n_each: int = 4,
    gold_per_task: int = 2,
    gold_exposure_cap: int | None = None,
    launched: bool = True,
    **fields: Any,
) -> Study:
    """A study with known answers from its reference labels, hidden in its tasks."""
    settings = {"n_inputs": 120, "inputs_per_pair": 15, "items_per_task": 5, "n_neurons": 2}
    study = make_study(launched=False, **{**settings, **fields})
    answers = gold_answers_suggest(study=study, source="reference", n_each=n_each)
    gold_answers_add(study=study, answers=answers, actor=study.owner)
    set_policy(study, gold_per_task=gold_per_task, gold_exposure_cap=gold_exposure_cap)
    if launched:
        study_launch(study=study, actor=study.owner)
    return study


def wrong(study: Study) -> Callable[[Item], str]:
    """The contrary of the truth."""
    right = truthful(study)

    def answer(item: Item) -> str:
        present = right(item) == RatingValue.PRESENT
        return RatingValue.ABSENT if present else RatingValue.PRESENT

    return answer


def rate_tasks(
    participation: Participation, answer: Callable[[Item], str] | str, n_tasks: int = 1
) -> int:
    """Let a rater do tasks; how many there were."""
    for done in range(n_tasks):
        assignment = assignment_lease(participation=participation)
        if assignment is None:
            return done
        rate_task(assignment, answer)
    return n_tasks
