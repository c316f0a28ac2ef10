"""Training: the first answer stands, the pass mark decides, the attempts are limited."""

import pytest

from annotation.exceptions import ConsentMissing, InvalidInput, ParticipationOver
from annotation.models import Outcome, Participation, TrainingAnswer, TrainingAttempt
from annotation.queries.journey import Step, next_step
from annotation.queries.training import attempt_items, latest_attempt
from annotation.services.training import training_answer, training_begin
from tests.annotation.factories import make_participation, make_study
from tests.annotation.factories_journey import add_training, policy_set

pytestmark = pytest.mark.django_db


@pytest.fixture
def participation() -> Participation:
    study = make_study()
    add_training(study, ["present", "absent", "present"], pass_mark=2)
    return make_participation(study)


def rate(participation: Participation, n_right: int) -> TrainingAttempt:
    """Go through an attempt with so many right answers, those first."""
    attempt = training_begin(participation=participation)
    assert attempt is not None
    for item in attempt_items(attempt):
        known = item.gold_answer.value
        other = "absent" if known == "present" else "present"
        training_answer(
            participation=participation,
            attempt=attempt.number,
            number=item.number,
            value=known if item.number <= n_right else other,
        )
    attempt.refresh_from_db()
    return attempt


def test_the_pass_mark_is_enough(participation: Participation) -> None:
    assert next_step(participation) is Step.TRAINING
    attempt = rate(participation, 2)
    assert (attempt.n_correct, attempt.passed) == (2, True)
    assert participation.trained_at == attempt.finished_at
    assert next_step(participation) is Step.READY
    assert training_begin(participation=participation) is None


def test_the_last_failed_attempt_ends_it(participation: Participation) -> None:
    assert rate(participation, 1).passed is False
    assert next_step(participation) is Step.TRAINING
    assert rate(participation, 0).number == 2
    participation.refresh_from_db()
    assert participation.outcome == Outcome.FAILED_CHECKS
    assert participation.trained_at is None
    with pytest.raises(ParticipationOver):
        training_begin(participation=participation)
    with pytest.raises(ParticipationOver):
        training_answer(participation=participation, attempt=2, number=1, value="present")


def test_the_first_answer_stands(participation: Participation) -> None:
    training_begin(participation=participation)
    first = training_answer(participation=participation, attempt=1, number=1, value="cannot_tell")
    again = training_answer(participation=participation, attempt=1, number=1, value="present")
    assert first == again == TrainingAnswer.objects.get()
    assert again.value == "cannot_tell"


def test_beginning_twice_is_beginning_once(participation: Participation) -> None:
    assert training_begin(participation=participation) == training_begin(
        participation=participation
    )
    assert TrainingAttempt.objects.count() == 1


@pytest.mark.parametrize(
    ("attempt", "number", "value", "message"),
    [
        (1, 1, "maybe", "value: 'maybe'"),
        (2, 1, "present", "attempt: there is no training attempt 2"),
        (1, 4, "present", "number: 4 is none of the training items 1 to 3"),
        (1, 0, "present", "number: 0"),
        (1, 2, "present", "number: 2 is not the next item, 1"),
    ],
)
def test_bad_answers(
    participation: Participation, attempt: int, number: int, value: str, message: str
) -> None:
    training_begin(participation=participation)
    with pytest.raises(InvalidInput, match=message):
        training_answer(participation=participation, attempt=attempt, number=number, value=value)
    assert not TrainingAnswer.objects.exists()


def test_consent_comes_first() -> None:
    study = make_study()
    add_training(study, ["present"], pass_mark=1)
    with pytest.raises(ConsentMissing):
        training_begin(participation=make_participation(study, ready=False))


def test_items_are_balanced_and_new_ones_come_first() -> None:
    study = make_study(n_inputs=60)
    add_training(study, ["present"] * 5 + ["absent"] * 3, pass_mark=4)
    policy_set(study, training_items=4)
    participation = make_participation(study)
    first = rate(participation, 0)
    shown = [item.gold_answer for item in attempt_items(first)]
    assert sorted(gold.value for gold in shown) == ["absent"] * 2 + ["present"] * 2
    assert attempt_items(first) == attempt_items(first)
    training_begin(participation=participation)
    second = latest_attempt(participation)
    assert second is not None
    again = [item.gold_answer for item in attempt_items(second)]
    # five present, three absent: only one absent item has to come again
    assert len(set(again) & set(shown)) == 1


def test_no_training_items_no_training() -> None:
    study = make_study()
    policy_set(study, training_items=3, training_pass_mark=2)
    assert next_step(make_participation(study)) is Step.READY


def test_a_study_without_training_begins_none() -> None:
    participation = make_participation(make_study())
    assert training_begin(participation=participation) is None
    assert not TrainingAttempt.objects.exists()
