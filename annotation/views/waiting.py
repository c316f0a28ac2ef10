"""Files that were looked at and wait for a second button: nothing of them is in the database yet.

What a person asked for is in a signed ticket on the page, so that the second request is about the
file that the first one showed, and nobody else's.
"""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest

from annotation.models import Study

#: How long a ticket is good for; the sweeper removes files that are older than twice this.
WAITS_SECONDS = 24 * 60 * 60


def waiting_path(relative: str) -> Path:
    """Find a file that waits.

    Parameters
    ----------
    relative : str
        From a ticket, or a new name.

    Returns
    -------
    Path
    """
    return Path(settings.DATA_DIR) / "uploads" / "waiting" / relative


def ticket_make(request: HttpRequest, study: Study, asked: dict[str, Any], *, salt: str) -> str:
    """Sign what was asked for a study by a user.

    Parameters
    ----------
    request : HttpRequest
        Whose.
    study : Study
        What it is for.
    asked : dict
        JSON values.
    salt : str
        Of the page: a ticket of another one is none here.

    Returns
    -------
    str
    """
    return signing.dumps({**asked, "study": study.pk, "user": request.user.pk}, salt=salt)


def ticket_read(request: HttpRequest, study: Study, *, salt: str) -> dict[str, Any] | None:
    """Read the ticket that came with a form.

    Parameters
    ----------
    request : HttpRequest
        With ``ticket`` among what was posted.
    study : Study
        What it must be for.
    salt : str
        As it was made with.

    Returns
    -------
    dict or None
        None where it is no ticket, out of date, or of another study or user.
    """
    try:
        asked = signing.loads(request.POST.get("ticket", ""), salt=salt, max_age=WAITS_SECONDS)
    except signing.BadSignature:
        return None
    if (asked.get("study"), asked.get("user")) != (study.pk, request.user.pk):
        return None
    return dict(asked)
