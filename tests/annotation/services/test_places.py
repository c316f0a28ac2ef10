"""Places of raters who fell silent come back; whoever returns loses no answer."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.exceptions import PlacesTaken
from annotation.models import (
    Assignment,
    AssignmentStatus,
    AttentionCheck,
    Participation,
    Rating,
    Study,
    TrainingAnswer,
)
from annotation.services.assignments import assignment_lease, assignment_submit, leases_expire
from annotation.services.places import places_come_back
from annotation.services.raters import consent_give, participation_complete
from annotation.services.ratings import ratings_save
from annotation.services.studies import study_pause
from annotation.services.sweeps import CHORES
from annotation.services.training import training_answer, training_begin
from tests.annotation.factories import make_participation, make_study, rate_task
from tests.annotation.factories_journey import add_training, policy_set

pytestmark = pytest.mark.django_db

SILENCE = django_settings.NEURONJURY_PLACE_SILENCE
A_DAY_LATER = SILENCE + timedelta(minutes=1)


def limited(places: int = 1, **fields) -> Study:
    study = make_study(n_inputs=30, items_per_task=4, inputs_per_pair=8, **fields)
    study.recruitments.filter(channel="direct").update(places=places)
    return study


def leased(person: Participation) -> Assignment:
    assignment = assignment_lease(participation=person)
    assert assignment is not None
    return assignment


def later(**more: float) -> int:
    """How many places come back a day from now, after the leases that end by then."""
    now = timezone.now() + A_DAY_LATER + timedelta(**more)
    leases_expire(now=now)
    return places_come_back(now=now)


def test_the_worker_does_it() -> None:
    study = limited()
    make_participation(study, ready=False)
    (chore,) = (one for one in CHORES if one.name == "places of raters who are gone")
    assert chore.work(timezone.now()) == 0
    assert chore.work(timezone.now() + A_DAY_LATER) == 1


def test_a_silent_rater_s_place_goes_to_another(settings) -> None:
    study = limited()
    gone = make_participation(study, ready=False)
    with pytest.raises(PlacesTaken):
        make_participation(study)
    assert places_come_back(now=timezone.now() + SILENCE - timedelta(minutes=1)) == 0
    settings.NEURONJURY_PLACE_SILENCE = timedelta(hours=2)
    assert places_come_back(now=timezone.now() + timedelta(hours=3)) == 1
    assert places_come_back(now=timezone.now() + timedelta(hours=3)) == 0  # once
    event = study.events.get(action="places came back")
    assert (event.actor, event.details) == (None, {"places": 1})
    make_participation(study)
    with pytest.raises(PlacesTaken):
        consent_give(participation=gone)
    gone.refresh_from_db()
    assert (gone.outcome, gone.consented_at) == ("", None)


def test_a_living_lease_keeps_the_place_however_long_it_is() -> None:
    study = limited(lease_seconds=7 * 24 * 3600)
    leased(make_participation(study))
    assert later() == 0
    assert later(days=8) == 1


def test_every_sign_of_a_rater_keeps_the_place() -> None:
    """Each kind of sign is the only fresh one of an otherwise silent rater."""
    old = timezone.now() - 3 * SILENCE
    study = limited(20)
    add_training(study, ["present"], pass_mark=1)

    def rater(sign: Callable[[Participation], object]) -> Participation:
        person = make_participation(study)
        attempt = training_begin(participation=person)
        training_answer(participation=person, attempt=attempt.number, number=1, value="present")
        assignment = leased(person)
        item = assignment.task.items.first()
        ratings_save(assignment=assignment, values={item.public_id: "absent"})
        check = AttentionCheck.objects.create(
            participation=person, number=1, expected="absent", value="absent", answered_at=old
        )
        Participation.objects.filter(pk=person.pk).update(
            arrived_at=old, consented_at=old, instructions_read_at=old, trained_at=old
        )
        Rating.objects.filter(assignment=assignment).update(rated_at=old)
        TrainingAnswer.objects.filter(attempt=attempt).update(answered_at=old)
        Assignment.objects.filter(pk=assignment.pk).update(
            leased_at=old, expires_at=old + SILENCE, status=AssignmentStatus.EXPIRED
        )
        sign(person)
        assert check.pk
        return person

    now = timezone.now()
    kept = [
        rater(lambda person: Participation.objects.filter(pk=person.pk).update(trained_at=now)),
        rater(lambda person: Rating.objects.filter(rater=person.rater).update(rated_at=now)),
        rater(lambda person: person.assignments.update(leased_at=now, expires_at=now + SILENCE)),
        rater(lambda person: person.assignments.update(late_at=now)),
        rater(lambda person: person.attention_checks.update(answered_at=now)),
        rater(
            lambda person: TrainingAnswer.objects.filter(attempt__participation=person).update(
                answered_at=now
            )
        ),
    ]
    silent = rater(lambda _person: None)
    assert places_come_back(now=now) == 1
    freed = Participation.objects.filter(place_freed_at__isnull=False)
    assert list(freed) == [silent]
    assert len(kept) == 6


def test_who_did_their_part_keeps_the_place_and_who_did_half_does_not() -> None:
    study = limited()
    person = make_participation(study)
    rate_task(leased(person), "absent")
    assert later() == 0  # a volunteer who closed the page after a task
    policy_set(study, tasks_per_rater=2)
    assert later() == 1
    assert Rating.objects.filter(assignment__status=AssignmentStatus.SUBMITTED).count() == 4


def test_channels_without_a_limit_and_studies_that_rest_are_left_alone() -> None:
    study = limited(0)
    make_participation(study, ready=False)
    assert later() == 0
    study.recruitments.filter(channel="direct").update(places=5)
    study_pause(study=study, actor=study.owner)
    assert later() == 0


def test_who_returns_gets_a_place_again_where_there_is_one() -> None:
    study = limited()
    gone = make_participation(study)
    first = leased(gone)
    assert later() == 1
    again = leased(gone)
    assert again == first  # with its answers
    gone.refresh_from_db()
    assert gone.place_freed_at is None
    with pytest.raises(PlacesTaken):
        make_participation(study)


def test_who_returns_too_late_loses_no_answer_and_gets_the_code_for_what_was_done() -> None:
    study = limited()
    policy_set(study, tasks_per_rater=3)
    gone = make_participation(study)
    rate_task(leased(gone), "absent")
    begun = leased(gone)
    assert later() == 1
    other = make_participation(study)
    with pytest.raises(PlacesTaken):
        assignment_lease(participation=gone)
    # the page of the task was still open: what it sends is kept, and counts where a slot is free
    ids = begun.task.items.values_list("public_id", flat=True)
    ratings_save(assignment=begun, values=dict.fromkeys(ids, "absent"))
    assert assignment_submit(assignment=begun).status == AssignmentStatus.SUBMITTED
    assert participation_complete(participation=gone).completion_code
    assert leased(other)


def test_a_training_is_not_begun_without_a_place() -> None:
    study = limited()
    add_training(study, ["present"], pass_mark=1)
    gone = make_participation(study)
    assert later() == 1
    make_participation(study)
    with pytest.raises(PlacesTaken):
        training_begin(participation=gone)


def test_the_page_says_that_the_places_are_taken_and_offers_the_code(client: Client) -> None:
    study = limited()
    policy_set(study, tasks_per_rater=2)
    entry, task = (reverse(f"rater:{name}", args=[study.slug]) for name in ("entry", "task"))
    client.post(entry, {"consent": "yes"})
    client.post(reverse("rater:instructions", args=[study.slug]))
    gone = Participation.objects.get()
    rate_task(gone.assignments.get(), "absent")
    assert later() == 1
    make_participation(study)
    response = client.post(task)
    html = response.content.decode()
    assert response.status_code == 403
    assert "All places are taken" in html
    assert "Everything that you answered is saved." in html
    assert "Get my completion code" in html
