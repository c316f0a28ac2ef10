"""The training of a rater: which items, in which order, and how far it is. Nothing here writes."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from itertools import chain, zip_longest

from annotation.models import (
    GoldAnswer,
    GoldUse,
    Participation,
    QualityPolicy,
    RatingValue,
    Study,
    TrainingAnswer,
    TrainingAttempt,
)


@dataclass(frozen=True)
class TrainingItem:
    """One place in an attempt.

    Attributes
    ----------
    number : int
        From 1.
    gold_answer : GoldAnswer
        What is asked, with the right answer.
    value : str or None
        The rater's first answer, None while there is none.
    """

    number: int
    gold_answer: GoldAnswer
    value: str | None

    @property
    def is_right(self) -> bool:
        """Whether the answer is the known one."""
        return self.value == self.gold_answer.value


def latest_attempt(participation: Participation) -> TrainingAttempt | None:
    """Find a rater's attempt that is open, or else the last one.

    Parameters
    ----------
    participation : Participation
        The rater in the study.

    Returns
    -------
    TrainingAttempt or None
    """
    return participation.training_attempts.order_by("-number").first()


def attempt_items(attempt: TrainingAttempt) -> list[TrainingItem]:
    """List the items of an attempt, in an order that stays the same while it lasts.

    Parameters
    ----------
    attempt : TrainingAttempt
        A rater's.

    Returns
    -------
    list of TrainingItem
        As many as the quality policy says (all, where there are fewer), present and absent in
        turns, those first that the rater did not meet in earlier attempts.
    """
    participation = attempt.participation
    study = participation.study
    answers = TrainingAnswer.objects.filter(attempt__participation=participation)
    met = Counter(
        answers.filter(attempt__number__lt=attempt.number).values_list("gold_answer", flat=True)
    )
    given = dict(answers.filter(attempt=attempt).values_list("gold_answer", "value"))
    pool = sorted(
        GoldAnswer.objects.filter(study=study, use=GoldUse.TRAINING).select_related(
            "concept", "probe_input"
        ),
        key=lambda gold: (met[gold.pk], _shuffled(attempt, gold)),
    )
    by_value = (
        [gold for gold in pool if gold.value == value]
        for value in (RatingValue.PRESENT, RatingValue.ABSENT)
    )
    in_turns = [gold for gold in chain.from_iterable(zip_longest(*by_value)) if gold is not None]
    chosen = sorted(
        in_turns[: study.quality_policy.training_items],
        key=lambda gold: _shuffled(attempt, gold),
    )
    return [TrainingItem(number, gold, given.get(gold.pk)) for number, gold in enumerate(chosen, 1)]


def items_asked(study: Study) -> int:
    """Count the items of an attempt that is not begun yet.

    Parameters
    ----------
    study : Study
        Any.

    Returns
    -------
    int
        As many as the quality policy says, or all that there are.
    """
    n_there = study.gold_answers.filter(use=GoldUse.TRAINING).count()
    return min(study.quality_policy.training_items, n_there)


@dataclass(frozen=True)
class TrainingShortage:
    """A training that asks for more items than there are.

    Attributes
    ----------
    text : str
        How many, and what raters would meet instead.
    remedy : str
        What mends it.
    """

    text: str
    remedy: str


def training_shortage(study: Study, policy: QualityPolicy) -> TrainingShortage | None:
    """Say what is missing for the training that a policy asks for.

    Parameters
    ----------
    study : Study
        Any.
    policy : QualityPolicy
        Its own, saved or not.

    Returns
    -------
    TrainingShortage or None
        None where nothing is missing.
    """
    wanted, mark = policy.training_items, policy.training_pass_mark
    n_there = study.gold_answers.filter(use=GoldUse.TRAINING).count()
    if n_there >= wanted:
        return None
    if n_there == 0:
        effect = "Raters would not be trained at all."
    elif mark > n_there:
        effect = f"Raters would see {n_there} and pass with {n_there} right, not {mark}."
    else:
        effect = f"Raters would see {n_there}, and pass with {mark} right."
    missing = wanted - n_there
    fewer = f"ask for {n_there}" + (f", with a pass mark of {n_there}" if mark > n_there else "")
    return TrainingShortage(
        f"{wanted} training items asked for, {n_there} there. {effect}",
        f"Add {missing} known answer{'s' * (missing > 1)} for training, or {fewer}.",
    )


def pass_mark(attempt: TrainingAttempt, n_items: int) -> int:
    """Say how many right answers pass an attempt.

    Parameters
    ----------
    attempt : TrainingAttempt
        A rater's.
    n_items : int
        Of the attempt.

    Returns
    -------
    int
        Never more than there are items.
    """
    return min(attempt.participation.study.quality_policy.training_pass_mark, n_items)


def _shuffled(attempt: TrainingAttempt, gold: GoldAnswer) -> bytes:
    """Give an order that differs between raters and attempts, and needs no memory."""
    seed = f"{attempt.participation.public_id}/{attempt.number}/{gold.pk}"
    return hashlib.sha256(seed.encode()).digest()
