"""The rater table: who differs from the others, how fast they are; the same in SQL as by hand."""

import itertools
from collections import Counter, defaultdict
from statistics import median

import numpy as np
import pytest

from annotation.models import Assignment, Rating, Study
from annotation.queries import rater_table
from annotation.services.assignments import assignment_lease
from annotation.services.ratings import rating_save
from tests.annotation.factories import make_participation, make_study, rate_study, rate_task

pytestmark = pytest.mark.django_db


def by_hand(study: Study) -> dict[str, tuple[object, ...]]:
    """The table, counted vote by vote."""
    rows = list(
        Rating.objects.filter(item__study=study, assignment__status="submitted").select_related(
            "rater"
        )
    )
    votes: dict[int, Counter[str]] = defaultdict(Counter)
    for row in rows:
        votes[row.item_id][row.value] += 1
    table: dict[str, tuple[object, ...]] = {}
    for rater in {row.rater for row in rows}:
        own = [row for row in rows if row.rater == rater]
        compared = agreed = 0
        for row in own:
            others = votes[row.item_id] - Counter([row.value])
            if row.value != "cannot_tell" and others["present"] != others["absent"]:
                compared += 1
                winner = "present" if others["present"] > others["absent"] else "absent"
                agreed += row.value == winner
        times = [row.response_ms for row in own if row.response_ms is not None]
        table[str(rater.public_id)[:8]] = (
            len({row.assignment_id for row in own}),
            len(own),
            compared,
            agreed / compared if compared else None,
            median(times) if times else None,
        )
    return table


def test_the_table_is_what_counting_by_hand_gives(django_assert_num_queries) -> None:
    study = make_study(redundancy=4, n_inputs=60, items_per_task=7)
    rate_study(study)
    other = make_study()  # another study's ratings are none of this one's business
    rate_study(other)
    rng = np.random.default_rng(5)
    ratings = list(Rating.objects.filter(item__study=study))
    for rating in ratings:
        rating.value = rng.choice(["present", "absent", "cannot_tell"], p=[0.45, 0.4, 0.15])
        rating.response_ms = None if rng.random() < 0.2 else int(rng.integers(1, 9)) * 100
    Rating.objects.bulk_update(ratings, ["value", "response_ms"])
    dropped = Assignment.objects.filter(task__study=study).first()
    Assignment.objects.filter(pk=dropped.pk).update(status="returned", submitted_at=None)
    with django_assert_num_queries(2):
        table = rater_table(study)
    shown = {
        row.pseudonym: (row.tasks, row.ratings, row.n_compared, row.agreement, row.median_ms)
        for row in table
    }
    assert shown == by_hand(study)
    assert len({row.n_compared for row in table}) > 1
    assert [row.ratings for row in table] == sorted((r.ratings for r in table), reverse=True)
    with django_assert_num_queries(2):
        assert rater_table(study, limit=2) == table[:2]


@pytest.mark.parametrize(
    "times", [[700], [700, 900], [100, 300, 800], [100, 100, 300, 800, 5000, 5001]]
)
def test_median_times(times: list[int]) -> None:
    study = make_study(redundancy=1)
    participation = make_participation(study)
    assignment = assignment_lease(participation=participation)
    for item, response_ms in itertools.zip_longest(assignment.task.items.all(), times):
        rating_save(
            assignment=assignment,
            item=item,
            value="present",
            client_id=item.public_id,
            response_ms=response_ms,
        )
    rate_task(assignment, "present")
    (row,) = rater_table(study)
    assert row.median_ms == median(times)


def test_rater_table_compares_with_the_majority_of_the_others() -> None:
    study = make_study()
    rate_study(study)
    honest = rater_table(study)
    assert {row.agreement for row in honest} == {1.0}
    assert sum(row.ratings for row in honest) == study.items.count() * study.redundancy
    assert {row.median_ms for row in honest} == {None}


def test_rater_table_finds_who_differs() -> None:
    study = make_study(n_inputs=12, inputs_per_pair=4, n_neurons=1, n_concepts=1)
    n_items = study.items.count()
    raters = {}
    for answer in ("present", "present", "absent"):
        participation = make_participation(study)
        assignment = assignment_lease(participation=participation)
        rate_task(assignment, answer)
        raters[str(participation.rater.public_id)[:8]] = (answer, assignment.task_id)
    assert len({task for _, task in raters.values()}) == 1
    table = {row.pseudonym: row for row in rater_table(study)}
    for pseudonym, (answer, _) in raters.items():
        row = table[pseudonym]
        # of three votes the two alike see a tie between the others, the third sees both against it
        expected = (0, None) if answer == "present" else (n_items, 0.0)
        assert (row.n_compared, row.agreement) == expected
        assert (row.tasks, row.ratings) == (1, n_items)


def test_rater_table_leaves_ties_and_lone_ratings_out() -> None:
    study = make_study(redundancy=1)
    rate_study(study)
    assert {(row.n_compared, row.agreement) for row in rater_table(study)} == {(0, None)}
