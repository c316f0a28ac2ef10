"""What a rater's link says: which channel, and who. Read and checked here; nothing is written."""

import base64
import json
from collections.abc import Mapping
from uuid import UUID

from django.core import signing
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from annotation.encryption import decrypt, encrypt
from annotation.exceptions import ArrivalIncomplete, DecryptionFailed, ForgedArrival
from annotation.models import Channel, Participation, Recruitment, Study
from annotation.queries.journey import recruitments_by_channel
from annotation.recruitment.signature import signature_verify
from annotation.services.arrivals import Arrival
from annotation.services.submissions import LONGEST_ID

TOKEN_PARAMETER = "prolific_token"  # noqa: S105 - the name of a parameter
RATER_PARAMETER = "PROLIFIC_PID"
STUDY_PARAMETER = "STUDY_ID"
SUBMISSION_PARAMETER = "SESSION_ID"
BACK_PARAMETER = "back"

#: A rater may read the consent text for as long, though the panel's signature ends much sooner.
TICKET_SECONDS = 24 * 60 * 60
BACK_SECONDS = 90 * 24 * 60 * 60


def arrival_read(request: HttpRequest, study: Study) -> Arrival | None:
    """Read who the link says the rater is.

    Parameters
    ----------
    request : HttpRequest
        To the study's entry page. A form of that page carries the ticket of the link that was
        checked before; else the query is read.
    study : Study
        The study.

    Returns
    -------
    Arrival or None
        None when the link names nobody, as a volunteer's does.

    Raises
    ------
    ArrivalIncomplete
        When the link lacks something or was made for another study.
    ForgedArrival
        When its signature does not hold.
    PanelKeysUnavailable
        When it cannot be checked at the moment.
    """
    ticket = request.POST.get("arrival", "")
    if ticket:
        return _ticket_read(ticket, study)
    channels = recruitments_by_channel(study)
    query = request.GET
    prolific, panel = channels.get(Channel.PROLIFIC), channels.get(Channel.PANEL)
    if prolific is not None and (TOKEN_PARAMETER in query or RATER_PARAMETER in query):
        return _prolific(request, prolific)
    if panel is not None and panel.id_parameter and panel.id_parameter in query:
        submission = panel.submission_parameter
        return Arrival(
            Channel.PANEL,
            _id(query, panel.id_parameter),
            _id(query, submission) if submission and submission in query else "",
        )
    return None


def _prolific(request: HttpRequest, recruitment: Recruitment) -> Arrival:
    query = request.GET
    if TOKEN_PARAMETER in query:
        claims = signature_verify(
            token=query[TOKEN_PARAMETER], audience=request.build_absolute_uri("/").rstrip("/")
        )
        rater, of_study, submission = (
            claims.participant_id,
            claims.study_id,
            claims.submission_id,
        )
    elif recruitment.require_signature:
        raise ForgedArrival(_("The link carries no signature of the panel."))
    else:
        rater = _id(query, RATER_PARAMETER)
        submission = _id(query, SUBMISSION_PARAMETER)
        of_study = _id(query, STUDY_PARAMETER)
    if recruitment.panel_study_id and of_study != recruitment.panel_study_id:
        raise ArrivalIncomplete(_("The link was made for another study."))
    return Arrival(Channel.PROLIFIC, rater, submission)


def _id(query: Mapping[str, str], parameter: str) -> str:
    value = query.get(parameter, "").strip()
    # "{{%PROLIFIC_PID%}}", "[id]": a panel's placeholder that nobody filled in
    if not value or len(value) > LONGEST_ID or any(mark in value for mark in "{}%[]<>\0"):
        raise ArrivalIncomplete(
            _(
                "The link does not say who you are: “{parameter}” is missing or not filled in."
            ).format(parameter=parameter)
        )
    return value


def ticket_make(study: Study, arrival: Arrival) -> str:
    """Seal what a checked link said, for the form that follows.

    Parameters
    ----------
    study : Study
        The study.
    arrival : Arrival
        From `arrival_read`.

    Returns
    -------
    str
        Encrypted, so that no page holds a panel's id in plain words; good for a day.
    """
    content = json.dumps([study.slug, arrival.channel, arrival.external_id, arrival.submission_id])
    return signing.dumps(seal(content), salt="annotation.rater.arrival")


def _ticket_read(ticket: str, study: Study) -> Arrival:
    try:
        sealed = signing.loads(ticket, salt="annotation.rater.arrival", max_age=TICKET_SECONDS)
        slug, channel, external_id, submission_id = json.loads(unseal(sealed))
    except (signing.BadSignature, DecryptionFailed) as error:
        raise ArrivalIncomplete(
            _("This page is too old. Open the link that you were given once more.")
        ) from error
    if slug != study.slug:
        raise ArrivalIncomplete(_("The link was made for another study."))
    return Arrival(channel, external_id, submission_id)


def seal(text: str) -> str:
    """Encrypt a text for a form or a session.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        ASCII.
    """
    return base64.urlsafe_b64encode(encrypt(text)).decode()


def unseal(sealed: str) -> str:
    """Decrypt what `seal` returned.

    Parameters
    ----------
    sealed : str

    Returns
    -------
    str

    Raises
    ------
    DecryptionFailed
        When the server's keys have changed since.
    """
    return decrypt(base64.urlsafe_b64decode(sealed))


def back_link(request: HttpRequest, participation: Participation) -> str:
    """Make the link with which a rater goes on in another browser, or after cookies were cleared.

    Parameters
    ----------
    request : HttpRequest
        The rater's.
    participation : Participation
        The rater in the study.

    Returns
    -------
    str
        An absolute address, good for 90 days. It is as good as the rater's session: theirs alone.
    """
    key = signing.dumps(participation.public_id.hex, salt="annotation.rater.back")
    address = reverse("rater:entry", args=[participation.study.slug])
    return request.build_absolute_uri(f"{address}?{BACK_PARAMETER}={key}")


def back_read(request: HttpRequest, study: Study) -> Participation | None:
    """Find whose link to come back this is.

    Parameters
    ----------
    request : HttpRequest
        To the study's entry page.
    study : Study
        The study.

    Returns
    -------
    Participation or None
        None when the address is no such link.

    Raises
    ------
    ArrivalIncomplete
        When the link is forged, out of date or of another study.
    """
    key = request.GET.get(BACK_PARAMETER)
    if key is None:
        return None
    try:
        public_id = signing.loads(key, salt="annotation.rater.back", max_age=BACK_SECONDS)
    except signing.BadSignature as error:
        raise ArrivalIncomplete(
            _("Your link to come back is damaged or too old. Open the link you were first given.")
        ) from error
    participation = (
        Participation.objects.select_related("study__quality_policy", "study__dataset", "rater")
        .filter(study=study, public_id=UUID(public_id))
        .first()
    )
    if participation is None:
        raise ArrivalIncomplete(_("The link was made for another study."))
    return participation
