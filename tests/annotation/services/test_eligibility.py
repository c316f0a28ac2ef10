"""Screening questions: who may take part, asked once."""

import pytest

from annotation.exceptions import InvalidInput, StudyStateError
from annotation.models import Outcome, ScreeningAnswer, ScreeningQuestion, Study
from annotation.services.eligibility import (
    NewScreeningQuestion,
    screening_questions_set,
    screening_record,
)
from annotation.services.raters import consent_give, rater_arrive
from tests.annotation.factories import make_participation, make_study

pytestmark = pytest.mark.django_db

SIGHT = NewScreeningQuestion("Do you see well?", ["Yes", "With glasses", "No"], ["Yes", "No"])
AGE = NewScreeningQuestion("Are you 18 or older?", ["Yes", "No"], ["Yes"])


@pytest.fixture
def study() -> Study:
    study = make_study()
    screening_questions_set(study=study, questions=[SIGHT, AGE], actor=study.owner)
    return study


def test_questions_are_kept_in_order_and_logged(study: Study) -> None:
    rows = ScreeningQuestion.objects.values_list("position", "text", "choices", "accepted")
    assert list(rows) == [
        (1, "Do you see well?", ["Yes", "With glasses", "No"], ["Yes", "No"]),
        (2, "Are you 18 or older?", ["Yes", "No"], ["Yes"]),
    ]
    event = study.events.last()
    assert (event.action, event.details) == ("screening questions set", {"n_questions": 2})
    screening_questions_set(study=study, questions=[AGE], actor=study.owner)
    assert ScreeningQuestion.objects.get().text == AGE.text


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (NewScreeningQuestion(" ", ["Yes", "No"], ["Yes"]), "question 1: text: it has"),
        (NewScreeningQuestion("Q", ["Yes"], ["Yes"]), "question 1: choices: .* too few"),
        (NewScreeningQuestion("Q", ["Yes", "Yes"], ["Yes"]), "not distinct"),
        (NewScreeningQuestion("Q", ["Yes", "No"], ["Maybe"]), "accepted: .*Maybe"),
        (NewScreeningQuestion("Q", ["Yes", "No"], []), "accepted: nothing"),
    ],
)
def test_bad_questions(study: Study, question: NewScreeningQuestion, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        screening_questions_set(study=study, questions=[question], actor=study.owner)
    assert ScreeningQuestion.objects.count() == 2


def test_eligible_raters_go_on(study: Study) -> None:
    participation = make_participation(study, ready=False)
    screening_record(participation=participation, answers={1: "No", 2: "Yes"})
    assert participation.screened_at is not None
    assert participation.ended_at is None
    assert list(ScreeningAnswer.objects.values_list("choice", flat=True)) == ["No", "Yes"]


def test_the_first_answers_stand(study: Study) -> None:
    participation = make_participation(study, ready=False)
    screening_record(participation=participation, answers={1: "With glasses", 2: "Yes"})
    screening_record(participation=participation, answers={1: "Yes", 2: "Yes"})
    participation.refresh_from_db()
    assert participation.outcome == Outcome.SCREENED_OUT
    assert ScreeningAnswer.objects.get(question__position=1).choice == "With glasses"


def test_an_answer_to_every_question_is_needed(study: Study) -> None:
    participation = make_participation(study, ready=False)
    for answers in ({1: "Yes"}, {1: "Yes", 2: "Perhaps"}):
        with pytest.raises(InvalidInput, match=r"question 2: .* none of the choices"):
            screening_record(participation=participation, answers=answers)
    assert not ScreeningAnswer.objects.exists()


def test_answered_questions_stay(study: Study) -> None:
    participation = make_participation(study, ready=False)
    screening_record(participation=participation, answers={1: "Yes", 2: "Yes"})
    with pytest.raises(StudyStateError, match="clone the study"):
        screening_questions_set(study=study, questions=[], actor=study.owner)


def test_raters_of_an_excluded_study_are_screened_out() -> None:
    first, second = make_study(), make_study()
    second.excluded_studies.add(first)
    rated, declined = (
        rater_arrive(study=first, channel="direct", external_id=name) for name in ("a", "b")
    )
    consent_give(participation=rated)
    assert declined.consented_at is None
    outcomes = [
        rater_arrive(study=second, channel="direct", external_id=name).outcome
        for name in ("a", "b", "c", "a")
    ]
    assert outcomes == [Outcome.SCREENED_OUT, "", "", Outcome.SCREENED_OUT]
    assert first.participations.filter(ended_at__isnull=False).count() == 0
