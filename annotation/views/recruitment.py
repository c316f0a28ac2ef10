"""The recruitment page: a study's channels, access to Prolific, submissions, money."""

import secrets
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from annotation.exceptions import AnnotationError
from annotation.forms.recruitment import (
    FORMS,
    CodesForm,
    CredentialChoiceForm,
    CredentialForm,
    DirectForm,
    SubmissionFilterForm,
)
from annotation.models import (
    Channel,
    PanelCredential,
    PanelRequest,
    Recruitment,
    Study,
    StudyStatus,
)
from annotation.permissions import may_change, study_for
from annotation.queries.money import cost_estimate, places_needed, study_spend
from annotation.queries.recruitment import submission_counts, submission_row, submission_rows
from annotation.queries.workers import worker_is_running
from annotation.services.credentials import (
    credential_delete,
    credential_save,
    credential_use,
)
from annotation.services.prolific_states import request_due_at
from annotation.services.recruitments import outcome_codes_set, recruitment_set

SUBMISSIONS_A_PAGE = 50
ENTRIES_A_PAGE = 25
LABELS = {
    Channel.DIRECT: "Volunteers",
    Channel.PROLIFIC: "Prolific",
    Channel.PANEL: "Another panel",
}
#: What each state of Prolific's study allows; the page offers nothing else.
OFFERED = {
    "": ["draft"],
    "UNPUBLISHED": ["publish"],
    "PUBLISHING": ["reconcile", "stop"],
    "ACTIVE": ["reconcile", "pause", "stop", "places"],
    "PAUSED": ["reconcile", "resume", "stop", "places"],
    "SCHEDULED": ["reconcile", "stop"],
    "AWAITING REVIEW": ["reconcile", "places"],
    "COMPLETED": ["reconcile", "places"],
}
#: What the state of the study here forbids there: it would send raters to a study that takes none.
BARRED = {
    StudyStatus.DRAFT: {"publish", "resume"},
    StudyStatus.PAUSED: {"publish", "resume"},
    StudyStatus.OPEN: set[str](),
    StudyStatus.CLOSED: {"draft", "publish", "pause", "resume", "places"},
}


def page_redirect(slug: str) -> HttpResponse:
    """Go back to the recruitment page."""
    return redirect("researcher:study_recruitment", slug)


@never_cache
@require_safe
@login_required
def study_recruitment(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a study's channels, its submissions at Prolific, its ledger and what it has cost."""
    study = study_for(request.user, slug)
    return render(request, "researcher/recruitment/page.html", page_context(request, study))


def page_context(
    request: HttpRequest, study: Study, bound: dict[str, DirectForm] | None = None
) -> dict[str, Any]:
    """Put the page together.

    Parameters
    ----------
    request : HttpRequest
        With ``status``, ``page`` (submissions) and ``entries`` (ledger) in its query.
    study : Study
        The study.
    bound : dict of str to DirectForm, optional
        Forms with errors, by channel.

    Returns
    -------
    dict
    """
    rows = {row.channel: row for row in study.recruitments.select_related("study", "credential")}
    entry_url = request.build_absolute_uri(reverse("rater:entry", args=[study.slug]))
    entries = study.ledger.select_related("actor").order_by("-at", "-pk")
    return {
        "study": study,
        "may_change": may_change(request.user, study),
        "entry_url": entry_url,
        "channels": [
            _channel(study, Channel(channel), rows.get(channel), entry_url, (bound or {}))
            for channel in FORMS
        ],
        "spend": study_spend(study),
        "places_needed": places_needed(study),
        "entries": Paginator(entries, ENTRIES_A_PAGE).get_page(request.GET.get("entries")),
        **_prolific(request, rows.get(Channel.PROLIFIC)),
    }


def _channel(
    study: Study,
    channel: Channel,
    row: Recruitment | None,
    entry_url: str,
    bound: dict[str, DirectForm],
) -> dict[str, Any]:
    shown = row or Recruitment(study=study, channel=channel, active=False)
    form = FORMS[channel]
    link = entry_url
    if channel == Channel.PANEL and shown.id_parameter:
        link = f"{entry_url}?{shown.id_parameter}=..."
    codes = {} if row is None else {code.outcome: code.code for code in row.codes.all()}
    return {
        "name": channel.value,
        "label": {"direct": "Volunteers", "prolific": "Prolific", "panel": "Another panel"}[
            channel
        ],
        "row": row,
        "link": link,
        "open": channel in bound or _to_do(channel, row),
        "form": bound.get(channel) or form(initial=form.initial_of(shown), prefix=channel.value),
        "codes_form": CodesForm(codes=codes, prefix=f"codes-{channel}")
        if row is not None and channel != Channel.DIRECT
        else None,
        "estimate": cost_estimate(row) if row is not None and row.reward_minor else None,
    }


def _to_do(channel: Channel, row: Recruitment | None) -> bool:
    """Say whether a channel is shown unfolded: Prolific is, until the draft is there."""
    return channel == Channel.PROLIFIC and row is not None and not row.panel_study_id


def _prolific(request: HttpRequest, row: Recruitment | None) -> dict[str, Any]:
    if row is None:
        return {"prolific": None}
    wanted = SubmissionFilterForm(request.GET)
    status = wanted.cleaned_data["status"] if wanted.is_valid() else ""
    page = Paginator(submission_rows(row, status=status), SUBMISSIONS_A_PAGE).get_page(
        request.GET.get("page")
    )
    shown = [submission_row(submission) for submission in page]
    asked = PanelRequest.objects.filter(recruitment=row).first()
    barred = BARRED[StudyStatus(row.study.status)]
    waits = asked is not None and asked.done_at is None
    return {
        "prolific": row,
        "asked": asked,
        "asked_again_at": request_due_at(asked) if asked is not None and waits else None,
        "worker_missing": waits and not worker_is_running(),
        "offered": [action for action in _offered(row) if action not in barred],
        "status_filter": wanted,
        "query": f"status={status}" if status else "",
        "submissions": shown,
        "bonus_in_doubt": any(one.has_doubtful_bonus for one in shown),
        "submissions_page": page,
        "counts": submission_counts(row),
        "credential_form": CredentialForm(),
        "credentials": list(PanelCredential.objects.filter(owner=cast("User", request.user))),
        "bonus_key": secrets.token_urlsafe(16),
        "webhook_url": request.build_absolute_uri(
            reverse("prolific_webhook", args=[row.credential.public_id])
        )
        if row.credential is not None
        else "",
    }


def _offered(row: Recruitment) -> list[str]:
    return OFFERED.get(row.panel_status if row.panel_study_id else "", ["reconcile"])


@require_POST
@login_required
def recruitment_save(request: HttpRequest, slug: str) -> HttpResponse:
    """Set one channel."""
    study = study_for(request.user, slug, change=True)
    channel = request.POST.get("channel", "")
    if channel not in FORMS:
        messages.error(request, "Choose one of the channels on the page.", extra_tags="bad")
        return page_redirect(slug)
    form = FORMS[channel](request.POST, prefix=channel)
    if form.is_valid():
        try:
            row = recruitment_set(
                study=study, channel=channel, actor=cast("User", request.user), **form.fields_of()
            )
        except AnnotationError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, f"Saved: {row.get_channel_display()}.", extra_tags="good")
            return page_redirect(slug)
    context = page_context(request, study, {channel: form})
    return render(request, "researcher/recruitment/page.html", context, status=400)


@require_POST
@login_required
def recruitment_codes(request: HttpRequest, slug: str) -> HttpResponse:
    """Set the completion codes of a panel."""
    study = study_for(request.user, slug, change=True)
    row = study.recruitments.filter(channel=request.POST.get("channel", "")).first()
    if row is None:
        messages.error(request, "Save the channel before its codes.", extra_tags="bad")
        return page_redirect(slug)
    form = CodesForm(request.POST, codes={}, prefix=f"codes-{row.channel}")
    if not form.is_valid():
        messages.error(request, "Give a code for every outcome.", extra_tags="bad")
        return page_redirect(slug)
    try:
        outcome_codes_set(
            recruitment=row, codes=form.cleaned_data, actor=cast("User", request.user)
        )
    except AnnotationError as error:
        messages.error(request, str(error), extra_tags="bad")
    else:
        messages.success(request, "The codes are saved.", extra_tags="good")
    return page_redirect(slug)


@sensitive_post_parameters("token")
@require_POST
@login_required
def recruitment_access(request: HttpRequest, slug: str) -> HttpResponse:
    """Enter a token of Prolific, choose one of the user's own, or delete that which is used."""
    study = study_for(request.user, slug, change=True)
    user = cast("User", request.user)
    row = study.recruitments.filter(channel=Channel.PROLIFIC).first()
    if row is None:
        messages.error(request, "Save the channel Prolific first.", extra_tags="bad")
        return page_redirect(slug)
    try:
        if "delete" in request.POST:
            credential_delete(recruitment=row, actor=user)
            messages.success(request, "The token is deleted from this site.", extra_tags="good")
            return page_redirect(slug)
        credential = _credential(request, user)
        if credential is None:
            messages.error(request, "Choose a token, or enter a new one.", extra_tags="bad")
            return page_redirect(slug)
        credential_use(recruitment=row, credential=credential, actor=user)
    except AnnotationError as error:
        messages.error(request, str(error), extra_tags="bad")
    else:
        messages.success(request, f"The study uses the token {credential.name}.", extra_tags="good")
    return page_redirect(slug)


def _credential(request: HttpRequest, user: User) -> PanelCredential | None:
    chosen = CredentialChoiceForm(request.POST)
    if chosen.is_valid():
        return PanelCredential.objects.filter(
            owner=user, pk=chosen.cleaned_data["credential"]
        ).first()
    form = CredentialForm(request.POST)
    return credential_save(owner=user, **form.cleaned_data) if form.is_valid() else None
