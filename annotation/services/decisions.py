"""What a person decides on the entries of the review queue."""

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from annotation.exceptions import InvalidInput
from annotation.models import Participation, Review, ReviewDecision
from annotation.services.audit import study_event_record
from annotation.services.exclusions import exclusion_make
from annotation.services.locks import lock
from annotation.services.notes import note_checked, pseudonym_of

DECISIONS = (ReviewDecision.KEEP, ReviewDecision.EXCLUDE)


@transaction.atomic
def review_decide(
    *, review: Review, decision: str, actor: AbstractBaseUser, note: str = ""
) -> Review:
    """Decide on an entry of the review queue.

    Parameters
    ----------
    review : Review
        An open one; one that was decided in the same way already is left as it is.
    decision : str
        ``"keep"`` or ``"exclude"``: the latter takes the rater's ratings out (see
        `annotation.services.exclusions.exclusion_make`). Neither touches what the panel pays.
    actor : User
        Who decides.
    note : str
        Why.

    Returns
    -------
    Review

    Raises
    ------
    InvalidInput
        When the decision is neither, the note too long, or the entry was decided otherwise.
    """
    if decision not in DECISIONS:
        raise InvalidInput(f"decision: {decision!r} is none of {', '.join(DECISIONS)}.")
    text = note_checked(note)
    found = Review.objects.get(pk=review.pk)
    # the participation before all else, as everywhere: an exclusion locks it as well
    participation = lock(Participation.objects.select_related("study"), pk=found.participation_id)
    row = lock(Review.objects.all(), pk=review.pk)
    if row.decision == decision:
        return row
    if row.decision != ReviewDecision.OPEN:
        raise InvalidInput(
            f"decision: this entry was decided already ({row.get_decision_display()}); "
            "exclude the rater or lift the exclusion on the rater's page."
        )
    row.decision = decision
    row.decided_at = timezone.now()
    row.decided_by_id = actor.pk
    row.note = text
    row.save(update_fields=["decision", "decided_at", "decided_by", "note"])
    study_event_record(
        study=participation.study,
        action="review decided",
        actor=actor,
        rater=pseudonym_of(participation),
        reason=row.reason,
        decision=decision,
        note=text,
    )
    if decision == ReviewDecision.EXCLUDE:
        exclusion_make(participation=participation, reason=row.reason, actor=actor, note=text)
    return row
