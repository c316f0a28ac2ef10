"""Training before the first task: answers with feedback, a pass mark, a few attempts."""

from django.db import transaction
from django.utils import timezone

from annotation.exceptions import InvalidInput
from annotation.models import (
    Outcome,
    Participation,
    RatingValue,
    TrainingAnswer,
    TrainingAttempt,
)
from annotation.queries.journey import training_due
from annotation.queries.training import attempt_items, latest_attempt, pass_mark
from annotation.services.locks import lock
from annotation.services.places import place_regain
from annotation.services.raters import consent_require, going_on_require, participation_end


@transaction.atomic
def training_begin(*, participation: Participation) -> TrainingAttempt | None:
    """Start the next attempt at the training, or go on with the one that is open.

    Parameters
    ----------
    participation : Participation
        The rater in the study.

    Returns
    -------
    TrainingAttempt or None
        None when no training is due: it is passed already, or the study has none.

    Raises
    ------
    ConsentMissing
        When the rater has not consented.
    ParticipationOver
        When the participation has ended, as it does with the last attempt that fails.
    RecruitmentInactive, PlacesTaken
        When the rater was silent for long, and others got the place.
    """
    row = _locked(participation)
    going_on_require(row)
    consent_require(row)
    place_regain(participation=row)
    if not training_due(row):
        return None
    latest = latest_attempt(row)
    if latest is not None and latest.finished_at is None:
        return latest
    return TrainingAttempt.objects.create(
        participation=row, number=1 if latest is None else latest.number + 1
    )


@transaction.atomic
def training_answer(
    *, participation: Participation, attempt: int, number: int, value: str
) -> TrainingAnswer:
    """Keep the answer to one training item; the last one of an attempt decides on it.

    Parameters
    ----------
    participation : Participation
        The rater in the study.
    attempt, number : int
        Which attempt and which of its items, from 1. The first answer stands, for the feedback
        follows it.
    value : str
        One of `RatingValue`.

    Returns
    -------
    TrainingAnswer
        The one that stands.

    Raises
    ------
    InvalidInput
        When the value is none of the three, or the item is not the next one of an attempt.
    ParticipationOver
        When the participation has ended.
    """
    if value not in RatingValue.values:
        raise InvalidInput(f"value: {value!r} is none of {', '.join(RatingValue.values)}.")
    row = _locked(participation)
    going_on_require(row)
    attempts = TrainingAttempt.objects.select_related("participation__study__quality_policy")
    open_attempt = attempts.filter(participation=row, number=attempt).first()
    if open_attempt is None:
        raise InvalidInput(f"attempt: there is no training attempt {attempt}; go back to the page.")
    items = attempt_items(open_attempt)
    if not 1 <= number <= len(items):
        raise InvalidInput(f"number: {number} is none of the training items 1 to {len(items)}.")
    gold = items[number - 1].gold_answer
    standing = TrainingAnswer.objects.filter(attempt=open_attempt, gold_answer=gold).first()
    if standing is not None:
        return standing
    n_answered = sum(item.value is not None for item in items)
    if number != n_answered + 1:
        raise InvalidInput(f"number: {number} is not the next item, {n_answered + 1}.")
    answer = TrainingAnswer.objects.create(attempt=open_attempt, gold_answer=gold, value=value)
    if n_answered + 1 == len(items):
        _decide(row, open_attempt)
        participation.refresh_from_db(fields=["trained_at", "ended_at", "outcome"])
    return answer


def _decide(row: Participation, attempt: TrainingAttempt) -> None:
    """Finish an attempt whose last item was answered."""
    items = attempt_items(attempt)
    attempt.n_correct = sum(item.is_right for item in items)
    attempt.passed = attempt.n_correct >= pass_mark(attempt, len(items))
    attempt.finished_at = timezone.now()
    attempt.save(update_fields=["n_correct", "passed", "finished_at"])
    if attempt.passed:
        row.trained_at = attempt.finished_at
        row.save(update_fields=["trained_at"])
    elif attempt.number >= row.study.quality_policy.training_attempts:
        participation_end(participation=row, outcome=Outcome.FAILED_CHECKS)


def _locked(participation: Participation) -> Participation:
    return lock(Participation.objects.select_related("study__quality_policy"), pk=participation.pk)
