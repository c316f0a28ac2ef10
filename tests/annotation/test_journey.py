"""One place decides what a rater does next."""

import pytest

from annotation.models import AttentionCheck, Participation, ScreeningQuestion, Study
from annotation.queries.journey import Step, code_to_show, next_step, tasks_done
from annotation.services.assignments import assignment_lease, leases_expire
from annotation.services.raters import (
    consent_decline,
    consent_give,
    instructions_confirm,
    participation_complete,
    participation_end,
)
from tests.annotation.factories import make_participation, make_study, rate_task
from tests.annotation.factories_journey import (
    CODES,
    add_training,
    make_panel,
    make_panel_rater,
    policy_set,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    return make_study(n_inputs=60)


def fresh(participation: Participation) -> Participation:
    return Participation.objects.select_related("study__quality_policy").get(pk=participation.pk)


def step(participation: Participation) -> Step:
    return next_step(fresh(participation))


def test_every_step_in_turn(study: Study) -> None:
    add_training(study, ["present"], pass_mark=0)
    policy_set(study, tasks_per_rater=1)
    question = ScreeningQuestion.objects.create(
        study=study, position=1, text="Q", choices=["a", "b"], accepted=["a"]
    )
    person = make_participation(study, ready=False)
    assert step(person) is Step.SCREENING
    question.delete()
    assert step(person) is Step.CONSENT
    consent_give(participation=person)
    assert step(person) is Step.INSTRUCTIONS
    instructions_confirm(participation=person)
    assert step(person) is Step.TRAINING
    Participation.objects.update(trained_at=person.consented_at)
    assert step(person) is Step.READY
    check = AttentionCheck.objects.create(participation=person, number=1, expected="absent")
    assert step(person) is Step.ATTENTION
    check.delete()
    assignment = assignment_lease(participation=fresh(person))
    assert step(person) is Step.TASK
    assert assignment is not None
    rate_task(assignment, "absent")
    assert step(person) is Step.FINISHED
    participation_complete(participation=fresh(person))
    assert step(person) is Step.COMPLETED


def test_what_was_begun_may_be_finished(study: Study) -> None:
    person = make_participation(study)
    assignment = assignment_lease(participation=person)
    assert assignment is not None
    Study.objects.update(consent_version="2")
    add_training(study, ["present"], pass_mark=1)
    assert step(person) is Step.TASK
    leases_expire(now=assignment.expires_at)
    assert step(person) is Step.CONSENT
    consent_give(participation=person)
    assert step(person) is Step.TRAINING


def test_declining_leads_back_to_consent_and_ends_for_a_panel(study: Study) -> None:
    volunteer = make_participation(study)
    consent_decline(participation=volunteer)
    assert step(volunteer) is Step.CONSENT
    make_panel(study)
    paid = make_panel_rater(study)
    consent_decline(participation=paid)
    assert step(paid) is Step.ENDED
    assert code_to_show(fresh(paid)) == CODES["no_consent"]


def test_late_and_excluded_work_is_done_work(study: Study) -> None:
    person = make_participation(study)
    for _ in range(3):
        assignment = assignment_lease(participation=person)
        assert assignment is not None
        rate_task(assignment, "absent")
    first, second, _ = person.assignments.all()
    person.assignments.filter(pk=first.pk).update(status="excluded")
    person.assignments.filter(pk=second.pk).update(
        status="expired", late_at=second.submitted_at, submitted_at=None
    )
    assert tasks_done(person) == 3
    assert assignment_lease(participation=person) is not None
    assert tasks_done(person) == 3


def test_codes_only_of_what_has_ended(study: Study) -> None:
    make_panel(study)
    person = make_panel_rater(study)
    assert code_to_show(person) == ""
    participation_end(participation=person, outcome="failed_checks")
    assert code_to_show(person) == CODES["failed_checks"]
