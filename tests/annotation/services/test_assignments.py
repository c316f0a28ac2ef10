"""Leases: who works on what, and what counts."""

from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from annotation.exceptions import (
    AssignmentClosed,
    AssignmentIncomplete,
    ConsentMissing,
    InstructionsUnread,
    StudyNotOpen,
)
from annotation.models import (
    HOLDING,
    Assignment,
    AssignmentStatus,
    EstimateRun,
    Participation,
    Rating,
    Study,
)
from annotation.services.assignments import (
    assignment_lease,
    assignment_return,
    assignment_submit,
    leases_expire,
)
from annotation.services.raters import consent_give
from annotation.services.ratings import ratings_save
from annotation.services.studies import study_close, study_pause, study_redundancy_raise
from tests.annotation.factories import make_participation, make_study, rate_study, rate_task

pytestmark = pytest.mark.django_db


def lease(study_or_participation: Study | Participation) -> Assignment:
    if isinstance(study_or_participation, Study):
        study_or_participation = make_participation(study_or_participation)
    assignment = assignment_lease(participation=study_or_participation)
    assert assignment is not None
    return assignment


def answer_all(assignment: Assignment, value: str = "present") -> None:
    ids = assignment.task.items.values_list("public_id", flat=True)
    ratings_save(assignment=assignment, values=dict.fromkeys(ids, value))


def expire(assignment: Assignment) -> None:
    """Let the lease run out and its slot be taken back."""
    now = timezone.now()
    Assignment.objects.filter(pk=assignment.pk).update(
        leased_at=now - timedelta(hours=1), expires_at=now - timedelta(minutes=1)
    )
    assert leases_expire() == 1
    assignment.refresh_from_db()
    assert assignment.status == AssignmentStatus.EXPIRED


def one_task_study(redundancy: int = 1) -> Study:
    study = make_study(
        n_inputs=12, n_neurons=1, n_concepts=1, redundancy=redundancy, items_per_task=100
    )
    assert study.tasks.count() == 1
    return study


def test_a_lease_needs_consent_and_instructions() -> None:
    participation = make_participation(make_study(), ready=False)
    with pytest.raises(ConsentMissing):
        assignment_lease(participation=participation)
    consent_give(participation=participation)
    with pytest.raises(InstructionsUnread, match="instructions"):
        assignment_lease(participation=participation)
    assert not Assignment.objects.exists()


@pytest.mark.parametrize("end", [study_pause, study_close])
def test_no_lease_when_the_study_is_not_open(end) -> None:
    study = make_study()
    participation = make_participation(study)
    end(study=study, actor=study.owner)
    with pytest.raises(StudyNotOpen, match="hands out no tasks"):
        assignment_lease(participation=participation)


def test_work_that_began_may_be_finished_after_the_end() -> None:
    study = make_study()
    assignment = lease(study)
    study_close(study=study, actor=study.owner)
    assert rate_task(assignment, "absent").status == AssignmentStatus.SUBMITTED


def test_leasing_again_resumes() -> None:
    participation = make_participation(make_study())
    assert lease(participation) == lease(participation)
    assert Assignment.objects.count() == 1


def test_an_overdue_lease_that_nobody_took_is_renewed() -> None:
    assignment = lease(make_study())
    now = timezone.now()
    Assignment.objects.filter(pk=assignment.pk).update(
        leased_at=now - timedelta(hours=1), expires_at=now - timedelta(seconds=1)
    )
    again = lease(assignment.participation)
    assert again == assignment
    assert again.expires_at > now + timedelta(minutes=29)


def test_the_redundancy_fills_evenly() -> None:
    study = make_study(redundancy=2)
    n_tasks = study.tasks.count()
    first = [lease(study).task.number for _ in range(n_tasks)]
    assert first == list(range(1, n_tasks + 1))
    second = [lease(study).task.number for _ in range(n_tasks)]
    assert second == first
    assert assignment_lease(participation=make_participation(study)) is None


def test_exactly_k_ratings_an_item_and_no_rater_twice() -> None:
    study = make_study(redundancy=3)
    rate_study(study)
    counts = Counter(Rating.objects.values_list("item", flat=True))
    assert set(counts) == set(study.items.values_list("pk", flat=True))
    assert set(counts.values()) == {3}
    pairs = list(Rating.objects.values_list("item", "rater"))
    assert len(set(pairs)) == len(pairs)


def test_a_returned_task_comes_back_only_when_no_other_is_left() -> None:
    study = make_study()
    participation = make_participation(study)
    first = lease(participation)
    answer_all(first, "absent")
    assignment_return(assignment=first)
    seen = [first.task_id]
    for _ in range(study.tasks.count() - 1):
        rate_task(assignment := lease(participation), "present")
        seen.append(assignment.task_id)
    assert len(set(seen)) == len(seen)
    again = lease(participation)
    assert (again, again.status) == (first, AssignmentStatus.LEASED)
    assert again.ratings.filter(value="absent").exists()
    rate_task(again, "present")
    assert assignment_lease(participation=participation) is None


def test_the_first_task_returned_is_the_first_to_come_back() -> None:
    study = make_study()
    participation = make_participation(study)
    given_back = [assignment_return(assignment=lease(participation))]
    while (assignment := lease(participation)) not in given_back:
        given_back.append(assignment_return(assignment=assignment))
    assert assignment == given_back[0]
    assert len(given_back) == study.tasks.count()


def test_a_returned_task_that_others_filled_does_not_come_back() -> None:
    study = one_task_study()
    assignment = lease(study)
    assignment_return(assignment=assignment)
    lease(study)
    assert assignment_lease(participation=assignment.participation) is None


def test_submitting_needs_every_answer_and_names_what_is_missing() -> None:
    assignment = lease(make_study())
    items = list(assignment.task.items.all())
    ratings_save(assignment=assignment, values={item.public_id: "absent" for item in items[2:]})
    with pytest.raises(AssignmentIncomplete, match=f"2 of {len(items)} answers") as caught:
        assignment_submit(assignment=assignment)
    assert set(caught.value.missing) == {item.public_id for item in items[:2]}


def test_submitting_twice_is_one_submit() -> None:
    assignment = lease(make_study())
    first = rate_task(assignment, "present")
    again = assignment_submit(assignment=assignment)
    assert again.submitted_at == first.submitted_at is not None


def test_a_submit_asks_for_at_most_one_live_estimate(
    queued_tasks, django_capture_on_commit_callbacks
) -> None:
    study = make_study()
    with django_capture_on_commit_callbacks(execute=True):
        rate_task(lease(study), "present")
        rate_task(lease(study), "present")
    runs = EstimateRun.objects.filter(study=study)
    assert [(run.aggregation, run.status, run.live) for run in runs] == [("bragg", "queued", True)]
    assert len(queued_tasks) == 1


def test_a_returned_task_goes_to_another_rater_and_cannot_be_submitted() -> None:
    study = one_task_study()
    assignment = lease(study)
    answer_all(assignment)
    assert assignment_return(assignment=assignment).status == AssignmentStatus.RETURNED
    assert assignment_return(assignment=assignment).status == AssignmentStatus.RETURNED
    assert lease(study).slot == assignment.slot
    with pytest.raises(AssignmentClosed, match="returned"):
        assignment_submit(assignment=assignment)
    assert Rating.objects.filter(assignment=assignment).exists()


def test_a_submitted_task_cannot_be_returned() -> None:
    assignment = lease(make_study())
    rate_task(assignment, "present")
    with pytest.raises(AssignmentClosed, match="submitted"):
        assignment_return(assignment=assignment)


def test_an_expired_lease_goes_to_the_next_rater_at_once() -> None:
    study = one_task_study()
    first = lease(study)
    assert assignment_lease(participation=make_participation(study)) is None
    now = timezone.now()
    Assignment.objects.filter(pk=first.pk).update(
        leased_at=now - timedelta(hours=1), expires_at=now - timedelta(seconds=1)
    )
    second = lease(study)
    first.refresh_from_db()
    assert first.status == AssignmentStatus.EXPIRED
    assert second.slot == first.slot


def test_expiring_spares_live_and_submitted_leases() -> None:
    study = make_study()
    rate_task(lease(study), "present")
    lease(study)
    assert leases_expire() == 0
    assert leases_expire(now=timezone.now() + timedelta(days=1)) == 1


def test_a_rater_takes_up_an_expired_task_with_its_answers() -> None:
    assignment = lease(make_study())
    item = assignment.task.items.first()
    ratings_save(assignment=assignment, values={item.public_id: "present"})
    expire(assignment)
    again = lease(assignment.participation)
    assert again == assignment
    assert again.status == AssignmentStatus.LEASED
    assert again.ratings.count() == 1


def test_a_late_submit_counts_while_a_slot_is_free() -> None:
    study = one_task_study(redundancy=2)
    first = lease(study)
    answer_all(first)
    expire(first)
    other = lease(study)
    assert other.slot == first.slot == 0
    late = assignment_submit(assignment=first)
    assert (late.status, late.slot, late.late_at) == (AssignmentStatus.SUBMITTED, 1, None)


def test_a_late_submit_without_a_slot_is_kept_and_not_counted(queued_tasks) -> None:
    study = one_task_study()
    first = lease(study)
    answer_all(first, "absent")
    expire(first)
    rate_task(lease(study), "present")
    late = assignment_submit(assignment=first)
    assert late.status == AssignmentStatus.EXPIRED
    assert late.late_at is not None
    assert assignment_submit(assignment=first).late_at == late.late_at
    assert first.ratings.count() == study.items.count()
    counted = Rating.objects.filter(assignment__status=AssignmentStatus.SUBMITTED)
    assert set(counted.values_list("value", flat=True)) == {"present"}
    # the rater is not sent back to it
    assert assignment_lease(participation=first.participation) is None


def test_raising_the_redundancy_opens_slots() -> None:
    study = one_task_study()
    rate_task(lease(study), "present")
    assert assignment_lease(participation=make_participation(study)) is None
    study_redundancy_raise(study=study, redundancy=2, actor=study.owner)
    assert lease(study).slot == 1


def test_held_slots_never_exceed_the_redundancy_through_all_of_this() -> None:
    study = make_study(redundancy=2)
    raters = [make_participation(study) for _ in range(5)]
    for turn in range(12):
        rater = raters[turn % 5]
        assignment = assignment_lease(participation=rater)
        if assignment is None:
            continue
        if turn % 3 == 0:
            rate_task(assignment, "present")
        elif turn % 3 == 1:
            expire(assignment)
        else:
            assignment_return(assignment=assignment)
    held = Assignment.objects.filter(status__in=HOLDING)
    per_task = Counter(held.values_list("task", flat=True))
    assert per_task
    assert max(per_task.values()) <= 2
