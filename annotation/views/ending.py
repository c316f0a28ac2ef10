"""The pages at the end of a participation: the code, why it ended, the way back to the panel."""

from urllib.parse import quote, urlsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from annotation.exceptions import DecryptionFailed
from annotation.models import Channel, Outcome, Participation
from annotation.queries.journey import (
    code_to_show,
    is_paid,
    recruitments_by_channel,
    tasks_done,
)
from annotation.views.arrival_link import unseal
from annotation.views.rater_session import (
    known_rater_page,
    message_page,
    rater_page,
    step_redirect,
)

#: Where Prolific takes its raters back, unless the study's recruitment says otherwise.
PROLIFIC_COMPLETION = "https://app.prolific.com/submissions/complete?cc={code}"


@require_GET
@known_rater_page
def complete(request: HttpRequest, participation: Participation) -> HttpResponse:
    """Show the completion code, the way back to the panel, and what the study was for."""
    if participation.completed_at is None:
        return step_redirect(participation)
    context = {
        "study": participation.study,
        "n_submitted": tasks_done(participation),
        **_way_back(request, participation),
    }
    return render(request, "rater/complete.html", context)


@require_GET
@known_rater_page
def ended(request: HttpRequest, participation: Participation) -> HttpResponse:
    """Say why a participation has ended without completing, and what to tell the panel."""
    if participation.ended_at is None or participation.outcome == Outcome.COMPLETED:
        return step_redirect(participation)
    heading, lines = {
        Outcome.NO_CONSENT: (
            _("You do not take part"),
            [_("You did not agree to take part in this study. Thank you for your time.")],
        ),
        Outcome.SCREENED_OUT: (
            _("This study is not for you"),
            [
                _(
                    "It looks for other people: by your answers, or because you took part in a"
                    " related study. Thank you for your interest."
                ),
            ],
        ),
        Outcome.FAILED_CHECKS: (
            _("The study ends here for you"),
            [
                _(
                    "Too many training or attention questions were answered in another way than the"
                    " study needs, so no more tasks follow."
                ),
                _("The answers that you gave are kept. Thank you for your time."),
            ],
        ),
        Outcome.RETURNED: (
            _("Your place was given back"),
            [
                _(
                    "The panel says that you gave your place back, or that its time ran out, so no"
                    " more tasks follow."
                ),
                _("The answers that you gave are kept. Thank you for your time."),
            ],
        ),
    }[Outcome(participation.outcome)]
    context = {
        "study": participation.study,
        "heading": heading,
        "lines": lines,
        "lacks_code": is_paid(participation) and participation.outcome != Outcome.RETURNED,
        **_way_back(request, participation),
    }
    return render(request, "rater/ended.html", context)


def _way_back(request: HttpRequest, participation: Participation) -> dict[str, str]:
    """Return the code for the panel, and the address that takes the rater and the code there."""
    code = code_to_show(participation)
    recruitment = recruitments_by_channel(participation.study).get(participation.channel)
    address = "" if recruitment is None else recruitment.completion_url
    if not address and participation.channel == Channel.PROLIFIC:
        address = PROLIFIC_COMPLETION
    if not code or urlsplit(address).scheme not in {"https", "http"}:
        return {"code": code, "panel_url": ""}
    if "{id}" in address:
        rater_id = _panel_id(request, participation)
        if not rater_id:
            return {"code": code, "panel_url": ""}
        address = address.replace("{id}", quote(rater_id, safe=""))
    return {"code": code, "panel_url": address.replace("{code}", quote(code, safe=""))}


def _panel_id(request: HttpRequest, participation: Participation) -> str:
    """Return the panel's id of the rater, which this browser's session alone holds."""
    sealed = request.session.get("panel_ids", {}).get(participation.study.slug, "")
    try:
        return unseal(sealed) if sealed else ""
    except DecryptionFailed:  # the server's key was changed: the code can still be copied
        return ""


@require_GET
@rater_page
def nothing_left(request: HttpRequest, participation: Participation) -> HttpResponse:
    """Tell a rater who came too late for any task."""
    panel = (
        [
            _(
                "If you cannot wait, give your place back on the panel's page, so that it costs you"
                " nothing."
            )
        ]
        if is_paid(participation)
        else []
    )
    return message_page(
        request,
        participation.study,
        _("No task is left"),
        _("Other raters hold or have finished all tasks of this study at the moment."),
        _("One may become free again: try in half an hour. Thank you for being here."),
        *panel,
        action=_("Try again"),
        action_url=reverse("rater:task", args=[participation.study.slug]),
        action_method="post",
    )
