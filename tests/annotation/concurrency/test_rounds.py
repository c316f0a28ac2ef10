"""Two people who draw a round at once: one round, and a clear word to the other."""

from collections import Counter

import pytest

from annotation.exceptions import RoundDrawnMeanwhile
from annotation.models import Rating, SamplingRound
from annotation.services.assignments import assignment_lease
from annotation.services.round_plan import round_plan
from annotation.services.rounds import round_draw, round_write
from tests.annotation.concurrency.parallel import together
from tests.annotation.factories import (
    make_participation,
    make_study,
    rate_study,
    rate_task,
    truthful,
)

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
]

N = 5


def test_one_of_five_who_saw_the_same_plan_draws_it() -> None:
    study = make_study(n_inputs=80)
    rate_study(study)
    plan = round_plan(study=study, design="adaptive", n_draws=10)
    before = study.items.count()
    results = together(N, lambda _: round_write(study=study, plan=plan, actor=study.owner))
    kinds = Counter(type(result).__name__ for result in results)
    assert kinds == {"SamplingRound": 1, RoundDrawnMeanwhile.__name__: N - 1}, results
    assert study.sampling_rounds.count() == 2
    assert study.items.count() == before + plan.n_items
    assert study.events.filter(action="round drawn").count() == 1


def test_rounds_drawn_at_once_are_one_after_the_other_or_refused() -> None:
    study = make_study(n_inputs=80)
    rate_study(study, max_tasks=2)
    results = together(
        N,
        lambda number: round_draw(
            study=study, design="model_guided", n_draws=8, seed=number, actor=study.owner
        ),
    )
    drawn = [result for result in results if isinstance(result, SamplingRound)]
    assert drawn
    assert all(isinstance(r, SamplingRound | RoundDrawnMeanwhile) for r in results), results
    numbers = sorted(study.sampling_rounds.values_list("number", flat=True))
    assert numbers == list(range(1, len(drawn) + 2))
    tasks = sorted(study.tasks.values_list("number", flat=True))
    assert tasks == list(range(1, len(tasks) + 1))


def test_raters_go_on_while_a_round_is_drawn() -> None:
    study = make_study(n_inputs=80, items_per_task=5)
    people = [make_participation(study) for _ in range(4)]

    def work(number: int) -> object:
        if number == 0:
            return round_draw(study=study, design="adaptive", n_draws=10, actor=study.owner)
        answer = truthful(study)
        for _ in range(3):
            assignment = assignment_lease(participation=people[number - 1])
            assert assignment is not None
            rate_task(assignment, answer)
        return number

    results = together(5, work)
    assert not [result for result in results if isinstance(result, Exception)], results
    assert Rating.objects.count() >= 4 * 3
    rate_study(study)
    per_item = Counter(Rating.objects.values_list("item", flat=True))
    assert set(per_item.values()) == {study.redundancy}
    assert len(per_item) == study.items.count()
