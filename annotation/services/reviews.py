"""The review queue: the software asks; see `annotation.services.decisions` for the answer."""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction

from annotation.models import (
    Participation,
    QualityPolicy,
    Review,
    ReviewDecision,
    ReviewReason,
)
from annotation.queries.signs import rater_signs
from annotation.services.audit import study_event_record
from annotation.services.locks import lock
from annotation.services.notes import note_checked, pseudonym_of

#: A person has decided; the software asks again only when there is this many times the evidence.
ASK_AGAIN = 2


@transaction.atomic
def review_open(
    *, participation: Participation, reason: str, details: dict[str, Any]
) -> Review | None:
    """Ask a person to look at a rater's work.

    Parameters
    ----------
    participation : Participation
        The rater in the study.
    reason : str
        One of `ReviewReason`.
    details : dict
        The numbers that it rests on, JSON values; ``n`` is how much evidence there is.

    Returns
    -------
    Review or None
        The one that is open for this reason already, with the new numbers, or a new one. None when
        a person has decided on it, and there is less than twice the evidence of then.
    """
    reviews = Review.objects.filter(participation=participation, reason=reason)
    for _ in range(2):
        last = reviews.order_by("-pk").first()
        if last is not None and last.decision == ReviewDecision.OPEN:
            if last.details != details:
                # the person who decides sees the numbers of today
                last.details = details
                last.save(update_fields=["details"])
            return last
        if last is not None and details.get("n", 0) < ASK_AGAIN * last.details.get("n", 0):
            return None
        try:
            with transaction.atomic():
                return Review.objects.create(
                    participation=participation, reason=reason, details=details
                )
        except IntegrityError:
            # somebody else opened it between the look and the insert
            continue
    return reviews.filter(decision=ReviewDecision.OPEN).first()


@transaction.atomic
def review_report(*, participation: Participation, actor: AbstractBaseUser, note: str) -> Review:
    """Put a rater into the review queue by hand.

    Parameters
    ----------
    participation : Participation
        The rater in the study.
    actor : User
        Who does.
    note : str
        What they saw, not empty.

    Returns
    -------
    Review
        Open, with the reason "reported".

    Raises
    ------
    InvalidInput
        When the note is empty or too long.
    """
    text = note_checked(note, needed=True)
    lock(Participation.objects.all(), pk=participation.pk)
    review, made = Review.objects.get_or_create(
        participation=participation,
        reason=ReviewReason.REPORTED,
        decision=ReviewDecision.OPEN,
        defaults={"details": {"note": text}},
    )
    if made:
        study_event_record(
            study=participation.study,
            action="rater reported",
            actor=actor,
            rater=pseudonym_of(participation),
            note=text,
        )
    return review


def reviews_follow(*, participation: Participation) -> None:
    """Look at a rater's work once the present transaction, a submit, is committed.

    Parameters
    ----------
    participation : Participation
        Who submits.
    """
    # robust: the submit is committed, and must be acknowledged, whatever happens here
    transaction.on_commit(lambda: reviews_check(participation=participation), robust=True)


def reviews_check(*, participation: Participation) -> list[Review]:
    """Ask a person to look at a rater, where the study's policy says so.

    Parameters
    ----------
    participation : Participation
        The rater in the study. Simulated and imported raters are looked at as well.

    Returns
    -------
    list of Review
        Those that are open for a reason found now. The cost is a constant number of queries.
    """
    policy = QualityPolicy.objects.get(study=participation.study_id)
    found: dict[str, dict[str, Any]] = {}
    signs = rater_signs(participation)
    if (
        policy.gold_minimum_accuracy is not None
        and signs.n_gold >= policy.gold_minimum_answers
        and signs.n_gold_right < policy.gold_minimum_accuracy * signs.n_gold
    ):
        found[ReviewReason.GOLD] = {
            "n": signs.n_gold,
            "n_right": signs.n_gold_right,
            "minimum": policy.gold_minimum_accuracy,
        }
    if signs.median_ms is not None and signs.median_ms < policy.minimum_response_ms:
        found[ReviewReason.SPEED] = {
            "n": signs.n_times,
            "median_ms": signs.median_ms,
            "minimum_ms": policy.minimum_response_ms,
        }
    if policy.straight_line_items and signs.longest_run >= policy.straight_line_items:
        found[ReviewReason.STRAIGHT_LINE] = {
            "n": signs.longest_run,
            "value": signs.run_value,
            "limit": policy.straight_line_items,
        }
    opened = [
        review_open(participation=participation, reason=reason, details=details)
        for reason, details in found.items()
    ]
    return [review for review in opened if review is not None]
