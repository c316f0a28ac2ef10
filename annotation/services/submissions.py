"""The panel's submissions: kept beside our participations, moved forward by the panel alone."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from annotation.exceptions import AnnotationError, InvalidInput
from annotation.models import (
    Channel,
    Outcome,
    PanelSubmission,
    Participation,
    Recruitment,
    Review,
    ReviewReason,
    SubmissionStatus,
)
from annotation.queries.recruitment import disagreement
from annotation.services.commitments import commitment_settle
from annotation.services.credentials import client_for
from annotation.services.locks import lock
from annotation.services.payments import submission_book
from annotation.services.raters import external_id_hash, participation_end

logger = logging.getLogger(__name__)

#: The place went back to the panel; whoever held it is not paid for anything that follows.
GIVEN_BACK = (SubmissionStatus.RETURNED, SubmissionStatus.TIMED_OUT)
#: Two words of one moment: the one further along is the later one.
ORDER = {
    SubmissionStatus.RESERVED: 0,
    SubmissionStatus.ACTIVE: 1,
    SubmissionStatus.TIMED_OUT: 2,
    SubmissionStatus.AWAITING_REVIEW: 3,
    SubmissionStatus.RETURNED: 4,
    SubmissionStatus.SCREENED_OUT: 4,
    SubmissionStatus.REJECTED: 4,
    SubmissionStatus.APPROVED: 5,
}
#: How long after a study's end its submissions are still asked for.
RECONCILE_EVERY = timedelta(minutes=2)
#: Of the panel's ids in links too: what passes the arrival is recorded.
LONGEST_ID = 200


@dataclass(frozen=True)
class PanelWord:
    """What the panel says of one submission.

    Attributes
    ----------
    status : SubmissionStatus
        Its state.
    at : datetime
        When it was so, by the panel's clock.
    code : str
        The completion code that the panel saw; empty where it says none.
    participant : str
        The keyed hash of the panel's id of the rater; empty where it is not known.
    """

    status: SubmissionStatus
    at: datetime
    code: str = ""
    participant: str = ""


@transaction.atomic
def submission_record(
    *, recruitment: Recruitment, submission_id: str, participation: Participation
) -> PanelSubmission:
    """Record which of the panel's submissions a rater's visit is.

    Parameters
    ----------
    recruitment : Recruitment
        The channel that the rater came through.
    submission_id : str
        The panel's id of the visit.
    participation : Participation
        The rater in the study.

    Returns
    -------
    PanelSubmission
        The same one however often the rater arrives. Where the panel spoke of it before the rater
        arrived here, what it said takes effect now.

    Raises
    ------
    InvalidInput
        When the id is empty, too long, or already that of another rater.
    """
    if not 0 < len(submission_id) <= LONGEST_ID:
        raise InvalidInput(
            f"submission_id: it has {len(submission_id)} characters; give 1 to {LONGEST_ID}."
        )
    made, _ = PanelSubmission.objects.get_or_create(
        recruitment=recruitment,
        submission_id=submission_id,
        defaults={"participation": participation},
    )
    row = lock(PanelSubmission.objects.all(), pk=made.pk)
    if row.participation_id is None:
        row.participation = participation
        row.save(update_fields=["participation", "seen_at"])
        _take_effect(row)
    elif row.participation_id != participation.pk:
        raise InvalidInput("The link was made for another rater: this visit is theirs already.")
    return row


@transaction.atomic
def submission_apply(
    *, recruitment: Recruitment, submission_id: str, word: PanelWord
) -> PanelSubmission:
    """Take over what the panel says of a submission; what is older than we know changes nothing.

    Parameters
    ----------
    recruitment : Recruitment
        Prolific's channel of the study.
    submission_id : str
        The panel's id.
    word : PanelWord
        What it says.

    Returns
    -------
    PanelSubmission
        As it stands now. A place that was given back frees the rater's task and ends the
        participation; an approved submission is booked, once.
    """
    made, _ = PanelSubmission.objects.get_or_create(
        recruitment=recruitment,
        submission_id=submission_id,
        defaults={"status": word.status, "status_at": word.at},
    )
    row = lock(PanelSubmission.objects.select_related("recruitment"), pk=made.pk)
    if row.participation_id is None and word.participant:
        row.participation = Participation.objects.filter(
            study=recruitment.study_id,
            rater__channel=Channel.PROLIFIC,
            rater__external_id_hash=word.participant,
        ).first()
    if word.code:
        row.code = word.code[:32]
    if _is_news(row, word):
        row.status, row.status_at = word.status, word.at
    row.save()
    _take_effect(row)
    return row


def _is_news(row: PanelSubmission, word: PanelWord) -> bool:
    if row.status == SubmissionStatus.APPROVED:
        return False  # paid: the panel takes that back no more
    if row.status_at is None:
        return True
    if row.status == word.status:
        return False  # since when it is so is what the first word of it said
    if word.at == row.status_at:
        return ORDER[word.status] > ORDER[SubmissionStatus(row.status)]
    return word.at > row.status_at


def _take_effect(row: PanelSubmission) -> None:
    participation = row.participation
    if participation is not None and row.status in GIVEN_BACK and _is_latest(row):
        participation_end(participation=participation, outcome=Outcome.RETURNED)
    submission_book(submission=row)
    if participation is not None:
        _disagreement_review(row, participation)


def _is_latest(row: PanelSubmission) -> bool:
    """Say whether the rater did not come back with a place of their own after this one."""
    return not (
        PanelSubmission.objects.filter(participation=row.participation_id, pk__gt=row.pk)
        .exclude(status__in=GIVEN_BACK)
        .exists()
    )


def _disagreement_review(row: PanelSubmission, participation: Participation) -> None:
    """Ask a person to look where the panel and we disagree; once for each disagreement."""
    text = disagreement(row, participation)
    if not text:
        return
    details = {"panel": row.status, "ours": participation.outcome or "going on", "text": text}
    reviews = Review.objects.filter(participation=participation, reason=ReviewReason.CODE_MISMATCH)
    if any(review.decision == "" or review.details == details for review in reviews):
        return
    Review.objects.get_or_create(
        participation=participation,
        reason=ReviewReason.CODE_MISMATCH,
        decision="",
        defaults={"details": details},
    )


def submissions_reconcile(*, recruitment: Recruitment) -> int:
    """Read the study and all its submissions from the panel, and repair what webhooks missed.

    Parameters
    ----------
    recruitment : Recruitment
        Prolific's channel of a study that exists there.

    Returns
    -------
    int
        How many submissions changed or were new.

    Raises
    ------
    InvalidInput
        When the study has no draft at Prolific or no credential.
    PanelError
        When Prolific cannot be asked.
    """
    started = timezone.now()
    before = Recruitment.objects.get(pk=recruitment.pk).panel_status
    client = client_for(recruitment)
    if not recruitment.panel_study_id:
        raise InvalidInput("Prolific: the study has no draft there yet; create it first.")
    study, _ = client.study(recruitment.panel_study_id)
    rows, at = client.submissions(recruitment.panel_study_id)
    changed = 0
    for row in rows:
        changed += _one_reconcile(recruitment, row, at)
    with transaction.atomic():
        current = lock(Recruitment.objects.all(), pk=recruitment.pk)
        is_busy = current.busy_until is not None and current.busy_until > timezone.now()
        if not is_busy and current.panel_status == before:
            # else an action has moved it since it was read: what was read may be the older word
            current.panel_status = str(study.get("status", ""))[:30]
        current.reconciled_at = started
        current.save(update_fields=["panel_status", "reconciled_at"])
    commitment_settle(recruitment=current, as_of=started)
    recruitment.panel_status = current.panel_status
    recruitment.reconciled_at = current.reconciled_at
    return changed


def _one_reconcile(recruitment: Recruitment, row: Mapping[str, Any], at: datetime) -> int:
    word = panel_word(row, at)
    submission_id = str(row.get("id", ""))
    if word is None or not 0 < len(submission_id) <= LONGEST_ID:
        logger.warning("prolific: a submission of %s has no state known here", recruitment)
        return 0
    before = PanelSubmission.objects.filter(
        recruitment=recruitment, submission_id=submission_id
    ).first()
    after = submission_apply(recruitment=recruitment, submission_id=submission_id, word=word)
    return int(before is None or (before.status, before.code) != (after.status, after.code))


def panel_word(row: Mapping[str, Any], at: datetime) -> PanelWord | None:
    """Read one submission of the panel's API.

    Parameters
    ----------
    row : mapping
        The submission.
    at : datetime
        When the panel said so.

    Returns
    -------
    PanelWord or None
        None while it is in a state of the panel's own that ends by itself (PROCESSING).
    """
    status = str(row.get("status", ""))
    if status not in SubmissionStatus.values:
        return None
    participant = str(row.get("participant_id") or row.get("participant") or "")
    code = row.get("entered_code") or row.get("study_code") or ""
    return PanelWord(
        status=SubmissionStatus(status),
        at=at,
        code=str(code)[:32],
        participant=(
            external_id_hash(channel=Channel.PROLIFIC, external_id=participant)
            if participant
            else ""
        ),
    )


def submissions_reconcile_due(*, now: datetime | None = None) -> int:
    """Reconcile every published study whose turn it is; the sweeper calls it.

    Parameters
    ----------
    now : datetime, optional
        The time to compare with; the present by default.

    Returns
    -------
    int
        How many submissions changed. A study that cannot be asked is logged, and does not keep
        the others from being asked.
    """
    moment = now or timezone.now()
    due = (
        Recruitment.objects.filter(channel=Channel.PROLIFIC, credential__isnull=False)
        .exclude(panel_study_id="")
        .exclude(panel_status__in=["", "UNPUBLISHED"])
        .filter(Q(reconciled_at__isnull=True) | Q(reconciled_at__lt=moment - RECONCILE_EVERY))
        .exclude(panel_status="COMPLETED", reconciled_at__gt=F("study__closed_at"))
        .select_related("study", "credential")
    )
    changed = 0
    for recruitment in due:
        try:
            changed += submissions_reconcile(recruitment=recruitment)
        except AnnotationError as error:
            logger.warning("prolific: %s cannot be reconciled: %s", recruitment, error)
        except Exception:
            # whatever is wrong with one study: money and places of the others go on
            logger.exception("prolific: %s cannot be reconciled", recruitment)
    return changed
