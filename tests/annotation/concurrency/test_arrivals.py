"""Raters who arrive, answer and finish at the same moment, on PostgreSQL."""

from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.exceptions import PlacesTaken
from annotation.models import Participation, Rater, ScreeningAnswer, TrainingAnswer
from annotation.services.assignments import assignment_lease
from annotation.services.eligibility import (
    NewScreeningQuestion,
    screening_questions_set,
    screening_record,
)
from annotation.services.places import places_come_back
from annotation.services.raters import rater_arrive
from annotation.services.training import training_answer, training_begin
from tests.annotation.concurrency.parallel import together
from tests.annotation.factories import make_participation, make_study, rate_task
from tests.annotation.factories_journey import add_training, make_panel, policy_set

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        "connection.vendor != 'postgresql'", reason="needs PostgreSQL: set DATABASE_URL"
    ),
]
assert connection is not None  # named in the condition above

AT_ONCE = 10


def test_the_last_places_are_given_once() -> None:
    study = make_study()
    make_panel(study, places=3)
    results = together(
        AT_ONCE, lambda n: rater_arrive(study=study, channel="panel", external_id=f"p{n}")
    )
    kinds = Counter(type(result) for result in results)
    assert kinds == {Participation: 3, PlacesTaken: AT_ONCE - 3}
    assert Rater.objects.count() == Participation.objects.count() == 3


def test_one_rater_in_ten_tabs_is_one_rater_with_one_training() -> None:
    study = make_study()
    add_training(study, ["present"], pass_mark=1)
    people = together(
        AT_ONCE, lambda _n: rater_arrive(study=study, channel="direct", external_id="same")
    )
    assert {type(person) for person in people} == {Participation}
    person = make_participation(study, "same")
    attempts = together(AT_ONCE, lambda _n: training_begin(participation=person))
    assert len({getattr(attempt, "pk", attempt) for attempt in attempts}) == 1
    values = ["present" if n % 2 else "absent" for n in range(AT_ONCE)]
    together(
        AT_ONCE,
        lambda n: training_answer(participation=person, attempt=1, number=1, value=values[n]),
    )
    assert Participation.objects.count() == TrainingAnswer.objects.count() == 1


def test_screening_answers_are_the_first_ones() -> None:
    study = make_study()
    question = NewScreeningQuestion("Q", ["a", "b"], ["a"])
    screening_questions_set(study=study, questions=[question], actor=study.owner)
    person = make_participation(study, ready=False)
    together(
        AT_ONCE,
        lambda n: screening_record(participation=person, answers={1: "a" if n % 2 else "b"}),
    )
    person.refresh_from_db()
    answer = ScreeningAnswer.objects.get()
    assert (person.outcome == "screened_out") == (answer.choice == "b")


def test_ten_clicks_at_the_end_are_one_code() -> None:
    study = make_study(n_inputs=60)
    policy_set(study, tasks_per_rater=1)
    person = make_participation(study)
    assignment = assignment_lease(participation=person)
    assert assignment is not None
    rate_task(assignment, "absent")
    cookies = Client()
    session = cookies.session
    session["participations"] = {study.slug: str(person.public_id)}
    session.save()

    def click(_n: int) -> str:
        browser = Client()
        browser.cookies = cookies.cookies
        browser.post(reverse("rater:task", args=[study.slug]))
        return Participation.objects.get().completion_code

    codes = together(AT_ONCE, click)
    assert len(set(codes)) == 1
    assert codes[0]
    assert person.assignments.count() == 1


def test_no_place_is_taken_from_who_is_given_a_task_at_this_moment() -> None:
    study = make_study(redundancy=AT_ONCE)
    study.recruitments.filter(channel="direct").update(places=AT_ONCE)
    people = [make_participation(study) for _ in range(AT_ONCE)]
    later = timezone.now() + timedelta(days=30)

    def work(number: int) -> object:
        if number % 2:
            return places_come_back(now=later)
        return assignment_lease(participation=people[number])

    results = together(AT_ONCE, work)
    assert [error for error in results if isinstance(error, Exception)] == []
    held = Participation.objects.filter(assignments__status="leased")
    assert held.count() == AT_ONCE / 2
    assert not held.filter(place_freed_at__isnull=False).exists()
    assert places_come_back(now=later) + sum(results[1::2]) >= AT_ONCE / 2
