"""Where a rater is in a study: one place decides which page comes next. Nothing here writes."""

from enum import Enum

from django.db.models import Q

from annotation.models import (
    HANDED_IN,
    AssignmentStatus,
    Channel,
    GoldUse,
    Outcome,
    OutcomeCode,
    Participation,
    Recruitment,
    Study,
)

#: Whoever comes this way is paid by a panel, which wants a code for every outcome.
PAID = (Channel.PROLIFIC, Channel.PANEL)


class Step(Enum):
    """What a rater does next."""

    SCREENING = "answers the screening questions"
    CONSENT = "reads the consent text and decides"
    INSTRUCTIONS = "reads how rating works"
    TASK = "rates the task that they hold"
    TRAINING = "is trained"
    ATTENTION = "answers the attention check that waits"
    READY = "may be given a task"
    FINISHED = "has done as many tasks as make a participation"
    COMPLETED = "has the completion code"
    ENDED = "has ended without completing"


def next_step(participation: Participation) -> Step:
    """Decide what a rater does next in a study.

    Parameters
    ----------
    participation : Participation
        The rater in the study.

    Returns
    -------
    Step
        A task that is held comes before training, attention checks and a new consent text: what
        was begun may be finished.
    """
    if participation.ended_at is not None:
        return Step.COMPLETED if participation.completed_at is not None else Step.ENDED
    study = participation.study
    if participation.screened_at is None and study.screening_questions.exists():
        return Step.SCREENING
    if participation.consented_at is None or participation.declined_at is not None:
        return Step.CONSENT
    holds = participation.assignments.filter(status=AssignmentStatus.LEASED).exists()
    if not holds and participation.consent_version != study.consent_version:
        return Step.CONSENT
    if participation.instructions_read_at is None:
        return Step.INSTRUCTIONS
    if holds:
        return Step.TASK
    return _between_tasks(participation)


def _between_tasks(participation: Participation) -> Step:
    if training_due(participation):
        return Step.TRAINING
    if participation.attention_checks.filter(answered_at__isnull=True).exists():
        return Step.ATTENTION
    limit = tasks_limit(participation)
    if limit is not None and tasks_done(participation) >= limit:
        return Step.FINISHED
    return Step.READY


def training_due(participation: Participation) -> bool:
    """Say whether a rater must pass the training before the first task.

    Parameters
    ----------
    participation : Participation
        The rater in the study.

    Returns
    -------
    bool
    """
    study = participation.study
    return (
        participation.trained_at is None
        and study.quality_policy.training_items > 0
        and study.gold_answers.filter(use=GoldUse.TRAINING).exists()
    )


def tasks_done(participation: Participation) -> int:
    """Count the tasks that a rater handed in.

    Parameters
    ----------
    participation : Participation
        The rater in the study.

    Returns
    -------
    int
        A late one is work done as well, and an exclusion takes nothing of it back.
    """
    return participation.assignments.filter(
        Q(status__in=HANDED_IN) | Q(late_at__isnull=False)
    ).count()


def tasks_limit(participation: Participation) -> int | None:
    """Say how many tasks make a participation.

    Parameters
    ----------
    participation : Participation
        The rater in the study.

    Returns
    -------
    int or None
        None where a rater may do as many as they like.
    """
    return participation.study.quality_policy.tasks_per_rater


def is_paid(participation: Participation) -> bool:
    """Say whether a panel pays for this participation.

    Parameters
    ----------
    participation : Participation
        The rater in the study.

    Returns
    -------
    bool
    """
    return participation.channel in PAID


def code_to_show(participation: Participation) -> str:
    """Find the code that a rater takes back to the panel when a participation has ended.

    Parameters
    ----------
    participation : Participation
        The rater in the study.

    Returns
    -------
    str
        Empty while it goes on, and where the channel has no code for the outcome.
    """
    if participation.outcome == Outcome.COMPLETED:
        return participation.completion_code
    return outcome_code(participation, participation.outcome)


def outcome_code(participation: Participation, outcome: str) -> str:
    """Find the code that the rater's panel expects for an outcome.

    Parameters
    ----------
    participation : Participation
        The rater in the study.
    outcome : str
        One of `Outcome`.

    Returns
    -------
    str
        Empty where the channel has no code for it (volunteers, say).
    """
    code = OutcomeCode.objects.filter(
        recruitment__study=participation.study_id,
        recruitment__channel=participation.channel,
        outcome=outcome,
    ).first()
    return "" if code is None else code.code


def recruitments_by_channel(study: Study) -> dict[str, Recruitment]:
    """List a study's channels.

    Parameters
    ----------
    study : Study
        Any.

    Returns
    -------
    dict of str to Recruitment
    """
    return {row.channel: row for row in Recruitment.objects.filter(study=study)}
