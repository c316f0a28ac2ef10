"""The panel's submissions beside our participations, and where the two disagree."""

from dataclasses import dataclass

from django.db.models import Case, QuerySet, When

from annotation.models import (
    BonusState,
    Outcome,
    OutcomeCode,
    PanelBonus,
    PanelRequest,
    PanelSubmission,
    Participation,
    Recruitment,
    Study,
    SubmissionStatus,
)

#: Somebody handed it in at the panel.
HANDED_IN = (SubmissionStatus.AWAITING_REVIEW, SubmissionStatus.APPROVED)
#: Whether it was paid is for a person to say.
DOUBTFUL = (BonusState.UNCERTAIN, BonusState.BOOKED)
LOST = (SubmissionStatus.RETURNED, SubmissionStatus.TIMED_OUT)


@dataclass(frozen=True)
class SubmissionRow:
    """One of the panel's submissions beside what we know of it.

    Attributes
    ----------
    submission : PanelSubmission
        As the panel says.
    ours : str
        How the participation stands here.
    disagreement : str
        Empty where the two agree.
    may_approve : bool
        Whether it waits for a person, and the rater completed here.
    """

    submission: PanelSubmission
    ours: str
    disagreement: str
    may_approve: bool

    @property
    def bonuses(self) -> list[PanelBonus]:
        """Its bonuses, the oldest first."""
        return list(self.submission.bonuses.all())

    @property
    def has_doubtful_bonus(self) -> bool:
        """Whether a person has to say if a bonus was paid."""
        return any(bonus.state in DOUBTFUL for bonus in self.bonuses)


def disagreement(submission: PanelSubmission, participation: Participation) -> str:
    """Say in which way the panel and we disagree.

    Parameters
    ----------
    submission : PanelSubmission
        As the panel says.
    participation : Participation
        As we know it.

    Returns
    -------
    str
        Empty where they agree.
    """
    ours = participation.outcome
    if ours == Outcome.COMPLETED and submission.status in LOST:
        return f"completed here, but {submission.get_status_display()} at the panel"
    if submission.status not in HANDED_IN:
        return ""
    if not ours:
        return f"{submission.get_status_display()} at the panel, but not finished here"
    if ours == Outcome.RETURNED:
        return f"{submission.get_status_display()} at the panel, but returned before"
    if submission.code:
        code = OutcomeCode.objects.filter(
            recruitment=submission.recruitment_id, outcome=ours
        ).first()
        if code is not None and code.code != submission.code:
            return f"the panel was given another code than that of {Outcome(ours).label}"
    return ""


def submission_rows(recruitment: Recruitment, *, status: str = "") -> "QuerySet[PanelSubmission]":
    """List a channel's submissions, those that wait for a person first.

    Parameters
    ----------
    recruitment : Recruitment
        The channel.
    status : str
        One of `SubmissionStatus`; empty for all.

    Returns
    -------
    QuerySet of PanelSubmission
        To be paged, then given to `submission_row`.
    """
    rows = PanelSubmission.objects.filter(recruitment=recruitment).select_related("participation")
    if status:
        rows = rows.filter(status=status)
    waiting_first = Case(When(status=SubmissionStatus.AWAITING_REVIEW, then=0), default=1)
    # not by seen_at: every look at the panel renews it, and rows would move between pages
    return rows.order_by(waiting_first, "-pk").prefetch_related("bonuses")


def submission_row(submission: PanelSubmission) -> SubmissionRow:
    """Put one submission beside what we know of it.

    Parameters
    ----------
    submission : PanelSubmission
        From `submission_rows`.

    Returns
    -------
    SubmissionRow
    """
    participation = submission.participation
    if participation is None:
        # the rater may have had the panel's page open and gone away again; after a deletion nothing
        # says any more that they were here
        text = "never arrived here, or the rater's data was deleted: see the study's log"
        lost = text if submission.status in HANDED_IN else ""
        return SubmissionRow(submission, "not here", lost, may_approve=False)
    ours = str(Outcome(participation.outcome).label) if participation.outcome else "going on"
    return SubmissionRow(
        submission,
        ours,
        disagreement(submission, participation),
        may_approve=submission.status == SubmissionStatus.AWAITING_REVIEW
        and participation.outcome == Outcome.COMPLETED,
    )


def submission_counts(recruitment: Recruitment) -> dict[str, int]:
    """Count a channel's submissions by their state.

    Parameters
    ----------
    recruitment : Recruitment
        The channel.

    Returns
    -------
    dict of str to int
        Only states that occur, in the order of a submission's life.
    """
    found: dict[str, int] = {}
    for status in recruitment.submissions.order_by().values_list("status", flat=True):
        found[status] = found.get(status, 0) + 1
    return {status: found[status] for status in SubmissionStatus.values if status in found}


def panel_follows(study: Study) -> bool:
    """Say whether a panel is still to follow what the study's state wants of it.

    Parameters
    ----------
    study : Study
        Any.

    Returns
    -------
    bool
    """
    return PanelRequest.objects.filter(recruitment__study=study, done_at__isnull=True).exists()
