"""Attention checks: when they come, that one answer stands, what follows from failing."""

import pytest
from django.urls import reverse

from annotation.exceptions import InvalidInput, ParticipationOver
from annotation.models import (
    AttentionCheck,
    Participation,
    QualityPolicy,
    Rating,
    RatingValue,
    Review,
)
from annotation.services.assignments import assignment_lease
from annotation.services.attention import attention_after, attention_answer, attention_due
from tests.annotation.factories import make_participation, make_study
from tests.annotation.factories_quality import rate_tasks, set_policy

pytestmark = pytest.mark.django_db


def rater(n_tasks: int = 0, **policy: object) -> Participation:
    study = make_study(items_per_task=3)
    set_policy(study, **{"attention_checks": 3, "tasks_per_rater": 4, **policy})
    participation = make_participation(study)
    rate_tasks(participation, "absent", n_tasks)
    return participation


def contrary(check: AttentionCheck) -> str:
    return next(value for value in RatingValue.values if value != check.expected)


@pytest.mark.parametrize(
    ("tasks", "checks", "after"),
    [(10, 2, [4, 7]), (4, 1, [2]), (4, 3, [1, 2, 3]), (2, 2, [1, 2]), (1, 1, [1])],
)
def test_checks_are_spread_over_the_tasks(tasks: int, checks: int, after: list[int]) -> None:
    policy = QualityPolicy(tasks_per_rater=tasks, attention_checks=checks)
    assert [attention_after(policy, number) for number in range(1, checks + 1)] == after
    assert attention_after(policy, checks + 1) is None


def test_without_a_limit_they_come_every_few_tasks() -> None:
    policy = QualityPolicy(attention_checks=2)
    assert [attention_after(policy, number) for number in (1, 2, 3)] == [3, 6, None]


def test_a_check_is_made_when_it_is_due_and_only_once() -> None:
    participation = rater()
    assert attention_due(participation=participation) is None
    rate_tasks(participation, "absent")
    check = attention_due(participation=participation)
    assert attention_due(participation=participation) == check
    attention_answer(participation=participation, number=1, value=check.expected)
    assert attention_due(participation=participation) is None
    assert AttentionCheck.objects.count() == 1


def test_no_checks_without_a_policy() -> None:
    assert attention_due(participation=rater(1, attention_checks=0)) is None


def test_checks_ask_for_different_answers() -> None:
    participation = rater(4)
    asked = []
    while (check := attention_due(participation=participation)) is not None:
        asked.append(check.expected)
        attention_answer(participation=participation, number=check.number, value=check.expected)
    assert sorted(asked) == sorted(RatingValue.values)
    assert not Review.objects.exists()
    participation.refresh_from_db()
    assert participation.ended_at is None


def test_the_first_answer_stands() -> None:
    participation = rater(1)
    check = attention_due(participation=participation)
    attention_answer(participation=participation, number=1, value=contrary(check))
    again = attention_answer(participation=participation, number=1, value=check.expected)
    assert again.value == contrary(check)


def test_one_failure_has_no_consequence_two_end_the_participation() -> None:
    participation = rater(4)
    for number in (1, 2):
        assert participation.ended_at is None
        check = attention_due(participation=participation)
        attention_answer(participation=participation, number=number, value=contrary(check))
    assert participation.outcome == "failed_checks"
    review = Review.objects.get()
    assert (review.reason, review.decision) == ("attention", "")
    assert review.details == {"n": 2, "n_failed": 2, "failed": [1, 2]}
    # a person decides on the ratings; until then they count
    assert set(Rating.objects.values_list("assignment__status", flat=True)) == {"submitted"}
    with pytest.raises(ParticipationOver):
        assignment_lease(participation=participation)
    assert attention_due(participation=participation) is None


def test_what_is_no_answer_is_refused() -> None:
    participation = rater(1)
    attention_due(participation=participation)
    with pytest.raises(InvalidInput, match="'perhaps' is none of"):
        attention_answer(participation=participation, number=1, value="perhaps")
    with pytest.raises(InvalidInput, match="no attention check 2"):
        attention_answer(participation=participation, number=2, value="present")


# --- the page ----------------------------------------------------------------------------------


def sit_down(client, participation: Participation) -> None:
    session = client.session
    session["participations"] = {participation.study.slug: str(participation.public_id)}
    session.save()


def test_the_page_shows_the_check_and_goes_on(client) -> None:
    participation = rater(1)
    sit_down(client, participation)
    slug = participation.study.slug
    page = reverse("rater:attention", args=[slug])
    # GET makes no check
    assert client.get(page).status_code == 302
    assert not AttentionCheck.objects.exists()
    reply = client.post(reverse("rater:task", args=[slug]))
    assert reply.url == page
    check = AttentionCheck.objects.get()
    shown = client.get(page).content.decode()
    label = {"present": "Present", "absent": "Absent", "cannot_tell": "Cannot tell"}[check.expected]
    assert f"<strong>{label}</strong>" in shown
    assert client.post(page, {"number": "1"}).status_code == 422
    reply = client.post(page, {"number": "1", "value": check.expected})
    assert reply.url == reverse("rater:task", args=[slug])
    check.refresh_from_db()
    assert check.value == check.expected
    # the next task is leased; sending the form again does no harm
    assert client.post(page, {"number": "1", "value": "present"}).status_code == 302
    assert participation.assignments.filter(status="leased").count() == 1


def test_the_page_ends_a_participation_that_failed(client) -> None:
    participation = rater(4)
    sit_down(client, participation)
    slug = participation.study.slug
    page = reverse("rater:attention", args=[slug])
    for number in (1, 2):
        check = attention_due(participation=participation)
        reply = client.post(page, {"number": number, "value": contrary(check)})
    assert reply.url == reverse("rater:ended", args=[slug])


@pytest.mark.parametrize("number", ["7", "x", "", "9" * 30])
def test_a_check_that_there_is_none_of_leads_to_where_the_rater_is(client, number: str) -> None:
    participation = rater(1)
    sit_down(client, participation)
    page = reverse("rater:attention", args=[participation.study.slug])
    assert client.post(page, {"number": number, "value": "present"}).status_code == 302
