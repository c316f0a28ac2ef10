"""What a person decides of submissions at Prolific, and how Prolific tells of them."""

from collections.abc import Sequence

from django.contrib.auth.models import AbstractBaseUser

from annotation.exceptions import InvalidInput, PanelRefused
from annotation.models import PanelCredential, PanelSubmission, Recruitment, SubmissionStatus
from annotation.recruitment.prolific import EVENT_TYPES, Sending, rejection_require
from annotation.services.audit import study_event_record
from annotation.services.commitments import commitment_late_book, commitment_late_undo
from annotation.services.credentials import client_for, webhook_secret_save


def prolific_approve(
    *,
    recruitment: Recruitment,
    submissions: Sequence[PanelSubmission],
    actor: AbstractBaseUser,
    dry_run: bool = False,
) -> list[Sending]:
    """Ask Prolific to approve submissions; they count as approved when it says that they are.

    Parameters
    ----------
    recruitment : Recruitment
        Prolific's channel of the study.
    submissions : sequence of PanelSubmission
        Those that wait for review; approving twice pays once.
    actor : User
        The person who approves.
    dry_run : bool
        Send and write nothing.

    Returns
    -------
    list of Sending
        What was sent, or would be; empty where all are approved already.

    Raises
    ------
    InvalidInput
        When one is of another study, or in a state that cannot be approved.
    SpendingCapPassed
        When they are not covered by booked places, as those that timed out never are, and cost
        more than the cap allows; nothing is asked.
    PanelError
        When Prolific does not do it: its refusal releases what was booked, its silence does not.
    """
    client = client_for(recruitment, dry_run=dry_run)
    waiting: list[PanelSubmission] = []
    for submission in submissions:
        if submission.recruitment_id != recruitment.pk:
            raise InvalidInput(
                f"submissions: {submission.submission_id} is of another study than this one."
            )
        if submission.status == SubmissionStatus.APPROVED:
            continue
        if submission.status not in {SubmissionStatus.AWAITING_REVIEW, SubmissionStatus.TIMED_OUT}:
            raise InvalidInput(
                f"submissions: {submission.submission_id} is {submission.get_status_display()}; "
                "only those that wait for review, or timed out, can be approved."
            )
        waiting.append(submission)
    if not waiting:
        return []
    ids = [submission.submission_id for submission in waiting]
    if dry_run:
        client.submissions_approve(ids)
        return client.sendings
    booked = commitment_late_book(recruitment=recruitment, submissions=waiting, actor=actor)
    try:
        client.submissions_approve(ids)
    except PanelRefused:
        commitment_late_undo(recruitment=recruitment, submissions=booked, actor=actor)
        raise
    study_event_record(
        study=recruitment.study, action="approval asked for", actor=actor, n=len(waiting)
    )
    return client.sendings


def prolific_reject(
    *,
    submission: PanelSubmission,
    category: str,
    message: str,
    actor: AbstractBaseUser,
    dry_run: bool = False,
) -> list[Sending]:
    """Refuse to pay one submission. Only a person does this, one at a time, with a reason.

    Parameters
    ----------
    submission : PanelSubmission
        One that waits for review.
    category : str
        One of Prolific's categories.
    message : str
        What the rater reads: 100 characters or more.
    actor : User
        The person who rejects.
    dry_run : bool
        Send and write nothing.

    Returns
    -------
    list of Sending
        What was sent, or would be.

    Raises
    ------
    InvalidInput
        When category or message is not what Prolific wants, or it does not wait for review.
    PanelError
        When Prolific does not do it.
    """
    rejection_require(category, message)
    _awaiting_require(submission)
    recruitment = submission.recruitment
    client = client_for(recruitment, dry_run=dry_run)
    client.submission_reject(submission.submission_id, category=category, message=message)
    if not dry_run:
        study_event_record(
            study=recruitment.study,
            action="rejection asked for",
            actor=actor,
            submission=submission.submission_id,
            category=category,
        )
    return client.sendings


def prolific_return_request(
    *, submission: PanelSubmission, reason: str, actor: AbstractBaseUser, dry_run: bool = False
) -> list[Sending]:
    """Ask a rater to give a submission back; they may decline.

    Parameters
    ----------
    submission : PanelSubmission
        One that waits for review.
    reason : str
        What the rater reads.
    actor : User
        The person who asks.
    dry_run : bool
        Send and write nothing.

    Returns
    -------
    list of Sending
        What was sent, or would be.

    Raises
    ------
    InvalidInput
        When there is no reason, or it does not wait for review.
    PanelError
        When Prolific does not do it.
    """
    if not reason.strip():
        raise InvalidInput("reason: say why, for the rater reads it.")
    _awaiting_require(submission)
    client = client_for(submission.recruitment, dry_run=dry_run)
    client.submission_return_request(submission.submission_id, reasons=[reason.strip()])
    if not dry_run:
        study_event_record(
            study=submission.recruitment.study,
            action="return asked for",
            actor=actor,
            submission=submission.submission_id,
        )
    return client.sendings


def prolific_webhooks_subscribe(
    *, credential: PanelCredential, target_url: str, recruitment: Recruitment, dry_run: bool = False
) -> list[Sending]:
    """Have Prolific call us when a submission or a study changes.

    Parameters
    ----------
    credential : PanelCredential
        Its workspace must be known.
    target_url : str
        The webhook's address, over https.
    recruitment : Recruitment
        A channel that uses the credential.
    dry_run : bool
        Send and write nothing.

    Returns
    -------
    list of Sending
        What was sent, or would be. The workspace has one secret: a former one stops working.

    Raises
    ------
    InvalidInput
        When the workspace is not known.
    PanelError
        When Prolific does not do it.
    """
    if not credential.workspace_id:
        raise InvalidInput(
            "workspace_id: enter Prolific's id of the workspace; webhooks belong to one."
        )
    client = client_for(recruitment, dry_run=dry_run)
    workspace = credential.workspace_id
    secret = client.hook_secret_create(workspace)
    if not dry_run:
        webhook_secret_save(credential=credential, secret=secret)
    known = {
        str(row.get("event_type"))
        for row in client.hook_subscriptions(workspace)
        if row.get("target_url") == target_url and row.get("is_enabled", True)
    }
    for event_type in EVENT_TYPES:
        if event_type not in known:
            client.hook_subscribe(
                workspace_id=workspace, event_type=event_type, target_url=target_url
            )
    return client.sendings


def _awaiting_require(submission: PanelSubmission) -> None:
    if submission.status != SubmissionStatus.AWAITING_REVIEW:
        raise InvalidInput(
            f"submission: {submission.submission_id} is {submission.get_status_display()}; only "
            "one that waits for review can be decided."
        )
