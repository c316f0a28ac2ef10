"""An exclusion and a submit at the same moment: whichever comes second sees the first."""

import threading

import pytest
from django.db import connection

from annotation.models import Assignment, Exclusion, Participation
from annotation.services.assignments import assignment_lease, assignment_submit
from annotation.services.exclusions import exclusion_lift, exclusion_make
from annotation.services.ratings import ratings_save
from tests.annotation.factories import make_participation, make_study, rate_task

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
]
ROUNDS = 6


@pytest.fixture(autouse=True)
def on_postgresql() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("needs PostgreSQL: scripts/with-postgresql")


def at_once(*works) -> None:
    """Run each in a thread of its own, with a connection of its own; raise what they raise."""
    barrier = threading.Barrier(len(works))
    errors: list[BaseException] = []

    def run(work) -> None:
        try:
            barrier.wait(timeout=20)
            work()
        except BaseException as error:  # noqa: BLE001 - raised below, in the test's own thread
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    if errors:
        raise errors[0]


def test_no_submit_slips_past_an_exclusion(queued_tasks) -> None:
    study = make_study(redundancy=2, items_per_task=4)
    for _ in range(ROUNDS):
        participation = make_participation(study)
        assignment = assignment_lease(participation=participation)
        ids = assignment.task.items.values_list("public_id", flat=True)
        ratings_save(assignment=assignment, values=dict.fromkeys(ids, "absent"))
        at_once(
            lambda row=assignment: assignment_submit(assignment=row),
            lambda row=participation: exclusion_make(
                participation=row, reason="reported", actor=study.owner
            ),
        )
        assignment.refresh_from_db()
        assert assignment.status == "excluded"


def test_lifting_several_exclusions_at_once_never_passes_the_redundancy(queued_tasks) -> None:
    study = make_study(redundancy=1, items_per_task=4, n_neurons=1, n_concepts=1)
    raters: list[Participation] = []
    for _ in range(3):  # each excludes the one before, and does all tasks anew
        participation = make_participation(study)
        while (assignment := assignment_lease(participation=participation)) is not None:
            rate_task(assignment, "absent")
        exclusion_make(participation=participation, reason="gold", actor=study.owner)
        raters.append(participation)
    n_tasks = study.tasks.count()
    assert Assignment.objects.filter(status="excluded").count() == 3 * n_tasks
    at_once(
        *(lambda row=row: exclusion_lift(participation=row, actor=study.owner) for row in raters)
    )
    assert Assignment.objects.filter(status="submitted").count() == n_tasks
    assert not Exclusion.objects.filter(lifted_at__isnull=True).exists()
