"""A rater's way through a study."""

from datetime import timedelta

import pytest
from django.utils import timezone

from annotation.exceptions import (
    ConsentMissing,
    InvalidInput,
    NothingSubmitted,
    ParticipationOver,
    PlacesTaken,
    RecruitmentInactive,
    StudyNotOpen,
    TasksLeft,
)
from annotation.models import AssignmentStatus, Participation, Rater, Recruitment
from annotation.services.assignments import assignment_lease, leases_expire
from annotation.services.raters import (
    consent_decline,
    consent_give,
    instructions_confirm,
    participation_complete,
    participation_end,
    participation_find,
    rater_arrive,
)
from annotation.services.studies import study_pause
from tests.annotation.factories import make_participation, make_study, rate_task
from tests.annotation.factories_journey import CODES, make_panel, make_panel_rater, policy_set

pytestmark = pytest.mark.django_db


def test_arriving_again_is_the_same_participation() -> None:
    study = make_study()
    first = rater_arrive(study=study, channel="direct", external_id="abc")
    assert rater_arrive(study=study, channel="direct", external_id=" abc ") == first
    Recruitment.objects.create(study=study, channel="prolific")
    assert rater_arrive(study=study, channel="prolific", external_id="abc") != first
    assert Participation.objects.count() == 2


def test_a_rater_of_two_studies_is_one_rater() -> None:
    first = rater_arrive(study=make_study(), channel="direct", external_id="abc")
    second = rater_arrive(study=make_study(), channel="direct", external_id="abc")
    assert first != second
    assert first.rater == second.rater


def test_the_panels_id_is_kept_as_a_keyed_hash_only(settings) -> None:
    study = make_study()
    Recruitment.objects.create(study=study, channel="prolific")
    rater_arrive(study=study, channel="prolific", external_id="5f3c1a2b")
    settings.SECRET_KEY = "another key"
    rater_arrive(study=study, channel="prolific", external_id="5f3c1a2b")
    hashes = list(Rater.objects.values_list("external_id_hash", flat=True))
    assert len(set(hashes)) == 2
    assert all(len(text) == 64 and "5f3c1a2b" not in text for text in hashes)


@pytest.mark.parametrize(
    ("channel", "external_id", "message"),
    [("mturk", "a", "channel: 'mturk' is none of"), ("direct", "  ", "external_id: it is empty")],
)
def test_bad_arrivals(channel: str, external_id: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        rater_arrive(study=make_study(), channel=channel, external_id=external_id)


def test_a_paused_study_takes_no_new_raters_but_knows_its_own() -> None:
    study = make_study()
    known = rater_arrive(study=study, channel="direct", external_id="known")
    study_pause(study=study, actor=study.owner)
    assert rater_arrive(study=study, channel="direct", external_id="known") == known
    with pytest.raises(StudyNotOpen, match="is paused; it takes no new raters"):
        rater_arrive(study=study, channel="direct", external_id="new")
    assert not Participation.objects.exclude(pk=known.pk).exists()


def test_consent_keeps_its_time_and_version() -> None:
    study = make_study(consent_version="2")
    participation = make_participation(study, ready=False)
    consent_give(participation=participation)
    first = participation.consented_at
    assert first is not None
    assert participation.consent_version == "2"
    consent_give(participation=participation)
    assert participation.consented_at == first
    study.consent_version = "3"
    study.save()
    consent_give(participation=participation)
    assert participation.consent_version == "3"
    assert participation.consented_at > first


def test_instructions_need_consent() -> None:
    participation = make_participation(make_study(), ready=False)
    with pytest.raises(ConsentMissing, match="agree"):
        instructions_confirm(participation=participation)
    consent_give(participation=participation)
    instructions_confirm(participation=participation)
    first = participation.instructions_read_at
    instructions_confirm(participation=participation)
    assert participation.instructions_read_at == first is not None


def test_declining_frees_the_task_and_keeps_the_record_of_consent() -> None:
    participation = make_participation(make_study())
    assignment = assignment_lease(participation=participation)
    assert assignment is not None
    consent_decline(participation=participation)
    assignment.refresh_from_db()
    participation.refresh_from_db()
    assert assignment.status == AssignmentStatus.RETURNED
    assert participation.consented_at is not None
    assert participation.declined_at is not None
    with pytest.raises(ConsentMissing):
        assignment_lease(participation=participation)
    consent_give(participation=participation)
    assert participation.declined_at is None
    assert assignment_lease(participation=participation) is not None


def test_the_completion_code_is_made_once_after_a_submitted_task() -> None:
    participation = make_participation(make_study())
    assignment = assignment_lease(participation=participation)
    assert assignment is not None
    with pytest.raises(NothingSubmitted, match="submit at least one task"):
        participation_complete(participation=participation)
    rate_task(assignment, "absent")
    code = participation_complete(participation=participation).completion_code
    assert len(code) == 10
    assert participation_complete(participation=participation).completion_code == code
    assert participation.completion_code == code


def test_looking_a_rater_up_writes_nothing() -> None:
    study = make_study()
    assert participation_find(study=study, channel="direct", external_id="abc") is None
    assert not Rater.objects.exists()
    there = rater_arrive(study=study, channel="direct", external_id="abc")
    assert participation_find(study=study, channel="direct", external_id=" abc ") == there
    assert participation_find(study=make_study(), channel="direct", external_id="abc") is None


def test_a_channel_that_is_off_takes_nobody_new() -> None:
    study = make_study()
    known = rater_arrive(study=study, channel="direct", external_id="known")
    study.recruitments.update(active=False)
    assert rater_arrive(study=study, channel="direct", external_id="known") == known
    for channel in ("direct", "panel"):
        with pytest.raises(RecruitmentInactive):
            rater_arrive(study=study, channel=channel, external_id="new")
    assert Rater.objects.count() == 1
    rater_arrive(study=study, channel="simulated", external_id="a simulation has no recruitment")


def test_places_are_limited_and_freed_by_whoever_does_not_take_part() -> None:
    study = make_study()
    make_panel(study, places=2)
    first, second = (
        rater_arrive(study=study, channel="panel", external_id=name) for name in ("a", "b")
    )
    with pytest.raises(PlacesTaken, match="All 2 places"):
        rater_arrive(study=study, channel="panel", external_id="c")
    assert rater_arrive(study=study, channel="panel", external_id="a") == first
    consent_decline(participation=second)
    rater_arrive(study=study, channel="panel", external_id="c")
    assert study.participations.count() == 3


def test_a_nickname_is_kept_with_consent() -> None:
    participation = make_participation(make_study(), ready=False)
    with pytest.raises(InvalidInput, match="nickname: it has 41 characters; give at most 40"):
        consent_give(participation=participation, nickname="x" * 41)
    assert participation.consented_at is None
    consent_give(participation=participation, nickname="Ada")
    consent_give(participation=participation)
    assert Rater.objects.get().nickname == "Ada"


def test_a_paid_rater_does_all_tasks_for_the_code() -> None:
    study = make_study()
    make_panel(study)
    policy_set(study, tasks_per_rater=2)
    paid, volunteer = make_panel_rater(study), make_participation(study)
    for person in (paid, volunteer):
        assignment = assignment_lease(participation=person)
        assert assignment is not None
        rate_task(assignment, "absent")
    with pytest.raises(TasksLeft, match="1 of 2 tasks"):
        participation_complete(participation=paid)
    assert participation_complete(participation=volunteer).completion_code
    done = participation_complete(participation=paid, nothing_left=True)
    assert done.completion_code == CODES["completed"]


def test_what_has_ended_takes_nothing_more() -> None:
    participation = make_participation(make_study())
    assignment = assignment_lease(participation=participation)
    assert assignment is not None
    rate_task(assignment, "absent")
    participation_end(participation=participation, outcome="failed_checks")
    with pytest.raises(ParticipationOver):
        participation_complete(participation=participation)
    with pytest.raises(ParticipationOver):
        consent_give(participation=participation)
    participation.refresh_from_db()
    assert (participation.outcome, participation.completion_code) == ("failed_checks", "")


@pytest.mark.parametrize(
    "leave",
    [
        lambda person: consent_decline(participation=person),
        lambda person: participation_end(participation=person, outcome="returned"),
    ],
)
def test_leaving_gives_an_expired_task_back_as_well(leave) -> None:
    participation = make_participation(make_study())
    assignment = assignment_lease(participation=participation)
    leases_expire(now=timezone.now() + timedelta(days=1))
    leave(participation)
    assignment.refresh_from_db()
    assert assignment.status == AssignmentStatus.RETURNED


def test_who_declined_and_comes_back_needs_a_place() -> None:
    study = make_study()
    study.recruitments.filter(channel="direct").update(places=1)
    first = make_participation(study)
    consent_decline(participation=first)
    second = make_participation(study)
    with pytest.raises(PlacesTaken):
        consent_give(participation=first)
    consent_decline(participation=second)
    assert consent_give(participation=first).declined_at is None
