"""Who may take part: screening questions, and what a rater answers to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from annotation.exceptions import InvalidInput, StudyStateError
from annotation.models import (
    Outcome,
    Participation,
    ScreeningAnswer,
    ScreeningQuestion,
    Study,
)
from annotation.services.audit import study_event_record
from annotation.services.locks import lock
from annotation.services.raters import participation_end

MAX_LENGTH = 300


@dataclass(frozen=True)
class NewScreeningQuestion:
    """A question to raters before they consent.

    Attributes
    ----------
    text : str
        The question.
    choices : sequence of str
        The answers to choose from, two or more.
    accepted : sequence of str
        Those of them that make a rater eligible, one or more.
    """

    text: str
    choices: Sequence[str]
    accepted: Sequence[str]


@transaction.atomic
def screening_questions_set(
    *, study: Study, questions: Sequence[NewScreeningQuestion], actor: AbstractBaseUser | None
) -> list[ScreeningQuestion]:
    """Replace the screening questions of a study.

    Parameters
    ----------
    study : Study
        One to whose questions nobody has answered yet.
    questions : sequence of NewScreeningQuestion
        In the order in which they are asked; none asks nothing.
    actor : User or None
        Who sets them.

    Returns
    -------
    list of ScreeningQuestion

    Raises
    ------
    StudyStateError
        When a rater has answered one: other questions would make two kinds of raters.
    InvalidInput
        When a text or a choice is empty, too long or there twice, or what is accepted is none of
        the choices.
    """
    row = lock(Study.objects.all(), pk=study.pk)
    if ScreeningAnswer.objects.filter(question__study=row).exists():
        raise StudyStateError(
            f"Raters have answered the screening questions of {row.title!r}, so they stay; clone "
            "the study to ask others."
        )
    made = [
        ScreeningQuestion(
            study=row,
            position=position,
            text=_text(f"screening question {position}: text", question.text),
            choices=_choices(f"screening question {position}: choices", question.choices),
            accepted=list(question.accepted),
        )
        for position, question in enumerate(questions, start=1)
    ]
    for question in made:
        strange = [choice for choice in question.accepted if choice not in question.choices]
        if strange or not question.accepted:
            raise InvalidInput(
                f"screening question {question.position}: accepted: {strange or 'nothing'} is none "
                f"of the choices {question.choices}; give at least one of them."
            )
    ScreeningQuestion.objects.filter(study=row).delete()
    ScreeningQuestion.objects.bulk_create(made)
    study_event_record(
        study=row, action="screening questions set", actor=actor, n_questions=len(made)
    )
    return made


@transaction.atomic
def screening_record(*, participation: Participation, answers: Mapping[int, str]) -> Participation:
    """Keep a rater's answers to the screening questions, and end what is not eligible.

    Parameters
    ----------
    participation : Participation
        The rater in the study. Answering again changes nothing: who may try again answers until it
        fits.
    answers : mapping of int to str
        From a question's position to the choice.

    Returns
    -------
    Participation
        Ended as screened out when a choice is not accepted.

    Raises
    ------
    InvalidInput
        When a question has no answer, or one that is none of its choices.
    """
    row = lock(Participation.objects.select_related("study"), pk=participation.pk)
    if row.screened_at is None and row.ended_at is None:
        questions = list(ScreeningQuestion.objects.filter(study=row.study))
        for question in questions:
            choice = answers.get(question.position, "")
            if choice not in question.choices:
                raise InvalidInput(
                    f"screening question {question.position}: {choice!r} is none of the choices; "
                    "choose one of them."
                )
        ScreeningAnswer.objects.bulk_create(
            ScreeningAnswer(participation=row, question=question, choice=answers[question.position])
            for question in questions
        )
        row.screened_at = timezone.now()
        row.save(update_fields=["screened_at"])
        if any(answers[question.position] not in question.accepted for question in questions):
            participation_end(participation=row, outcome=Outcome.SCREENED_OUT)
    participation.refresh_from_db(fields=["screened_at", "ended_at", "outcome"])
    return participation


def _text(name: str, text: str) -> str:
    if not 0 < len(text.strip()) <= MAX_LENGTH:
        raise InvalidInput(f"{name}: it has {len(text)} characters; give 1 to {MAX_LENGTH}.")
    return text.strip()


def _choices(name: str, choices: Sequence[str]) -> list[str]:
    texts = [_text(name, choice) for choice in choices]
    if len(texts) < 2 or len(set(texts)) < len(texts):
        raise InvalidInput(f"{name}: {texts} are too few or not distinct; give two or more.")
    return texts
