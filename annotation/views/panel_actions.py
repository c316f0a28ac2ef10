"""What a person does at Prolific: shown with its cost, confirmed, then done with one POST."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from annotation.exceptions import AnnotationError, InvalidInput
from annotation.forms.recruitment import BonusForm, PlacesForm, RejectionForm, SubmissionsForm
from annotation.models import (
    BonusState,
    Channel,
    PanelSubmission,
    Recruitment,
    SubmissionStatus,
)
from annotation.permissions import study_for
from annotation.queries.money import minor, place_cost, place_fee
from annotation.queries.recruitment import submission_row
from annotation.services.bonuses import (
    bonus_pay,
    bonus_possible_require,
    submission_bonus_resolve,
)
from annotation.services.credentials import balance_read
from annotation.services.prolific import (
    prolific_approve,
    prolific_draft_create,
    prolific_places_add,
    prolific_publish,
    prolific_reject,
    prolific_return_request,
    prolific_transition,
    prolific_webhooks_subscribe,
)
from annotation.services.submissions import submissions_reconcile
from annotation.views.panel_costs import cost_words
from annotation.views.recruitment import page_redirect

CONFIRM = "researcher/recruitment/confirm.html"
TRANSITIONS = {"pause": "PAUSE", "resume": "START", "stop": "STOP"}
DONE = {
    "draft": "The draft is at Prolific. Nobody sees it before you publish it.",
    "publish": "Published: raters can take places.",
    "pause": "Paused: nobody new is sent; who has begun may finish.",
    "resume": "Resumed.",
    "stop": "Stopped. What is not used is released.",
    "webhooks": "Prolific now calls this site when something changes.",
}
RETURN_REASON = "The study could not be completed as described; returning costs you nothing."


@never_cache
@require_POST
@login_required
def recruitment_action(request: HttpRequest, slug: str) -> HttpResponse:
    """Do something with the study at Prolific; what costs money or ends it asks first."""
    row = _recruitment(request, slug)
    if row is None:
        return page_redirect(slug)
    action = request.POST.get("action", "")
    try:
        if action in {"publish", "places", "stop"} and "confirmed" not in request.POST:
            return _confirm_action(request, row, action)
        messages.success(request, _act(request, row, action), extra_tags="good")
    except AnnotationError as error:
        messages.error(request, str(error), extra_tags="bad")
    return page_redirect(slug)


def _recruitment(request: HttpRequest, slug: str) -> Recruitment | None:
    study = study_for(request.user, slug, change=True)
    row = (
        study.recruitments.filter(channel=Channel.PROLIFIC)
        .select_related("study", "credential")
        .first()
    )
    if row is None:
        messages.error(request, "Save the channel Prolific first.", extra_tags="bad")
    return row


def _act(request: HttpRequest, row: Recruitment, action: str) -> str:
    user = cast("User", request.user)
    if action == "reconcile":
        changed = submissions_reconcile(recruitment=row)
        return f"Read from Prolific. Submissions new or changed: {changed}."
    if action == "balance":
        found = balance_read(recruitment=row)
        return f"Available at Prolific: {minor(found.balance_minor or 0, found.balance_currency)}."
    if action == "places":
        places = _places(request)
        prolific_places_add(recruitment=row, places=places, actor=user)
        return f"There are {places} places now."
    if action == "draft":
        entry_url = request.build_absolute_uri(reverse("rater:entry", args=[row.study.slug]))
        prolific_draft_create(recruitment=row, entry_url=entry_url, actor=user)
    elif action == "publish":
        prolific_publish(recruitment=row, actor=user)
    elif action in TRANSITIONS:
        prolific_transition(recruitment=row, action=TRANSITIONS[action], actor=user)
    elif action == "webhooks":
        if row.credential is None:
            raise InvalidInput("credential: enter a token of Prolific first.")
        address = reverse("prolific_webhook", args=[row.credential.public_id])
        prolific_webhooks_subscribe(
            credential=row.credential,
            target_url=request.build_absolute_uri(address),
            recruitment=row,
        )
    else:
        raise InvalidInput(f"action: {action!r} is none that the page offers.")
    return DONE[action]


def _places(request: HttpRequest) -> int:
    form = PlacesForm(request.POST)
    if not form.is_valid():
        raise InvalidInput("places: give a whole number, at least 1.")
    return int(form.cleaned_data["places"])


def _confirm_action(request: HttpRequest, row: Recruitment, action: str) -> HttpResponse:
    if action == "stop":
        return _confirm(
            request,
            row,
            "recruitment_action",
            "Stop the study at Prolific",
            "Stop it",
            hidden={"action": action},
            text="Nobody new is sent, for good; what was handed in can still be approved and paid.",
            danger=True,
        )
    places = _places(request) if action == "places" else row.places
    words = cost_words(row, places)
    return _confirm(
        request,
        row,
        "recruitment_action",
        "Publish at Prolific" if action == "publish" else "Add places",
        words.button,
        hidden={"action": action, "places": str(places)},
        lines=words.lines,
        text=words.warning,
    )


def _confirm(
    request: HttpRequest, row: Recruitment, view: str, title: str, button: str, **context: Any
) -> HttpResponse:
    address = reverse(f"researcher:{view}", args=[row.study.slug])
    return render(
        request,
        CONFIRM,
        {"study": row.study, "title": title, "button": button, "address": address, **context},
    )


@never_cache
@require_POST
@login_required
def recruitment_submissions(request: HttpRequest, slug: str) -> HttpResponse:
    """Approve, reward, reject or ask back the chosen submissions, each after a confirmation."""
    row = _recruitment(request, slug)
    if row is None:
        return page_redirect(slug)
    form = SubmissionsForm(
        request.POST, ids=list(row.submissions.order_by().values_list("pk", flat=True))
    )
    if not form.is_valid():
        messages.error(request, "Choose submissions of the list first.", extra_tags="bad")
        return page_redirect(slug)
    chosen = list(
        row.submissions.filter(pk__in=form.cleaned_data["submission"]).select_related(
            "recruitment__study", "recruitment__credential", "participation"
        )
    )
    step = {
        "approve": _approve,
        "bonus": _bonus,
        "bonus-paid": _bonus_paid,
        "bonus-unpaid": _bonus_unpaid,
        "reject": _reject,
        "return": _return,
    }.get(request.POST.get("do", ""))
    try:
        if step is None:
            raise InvalidInput("do: choose one of the buttons below the list.")
        page = step(request, row, chosen)
    except AnnotationError as error:
        messages.error(request, str(error), extra_tags="bad")
        return page_redirect(slug)
    return page or page_redirect(slug)


def _approve(
    request: HttpRequest, row: Recruitment, chosen: list[PanelSubmission]
) -> HttpResponse | None:
    if "confirmed" in request.POST:
        prolific_approve(recruitment=row, submissions=chosen, actor=cast("User", request.user))
        text = f"Prolific was asked to approve {len(chosen)}; each shows as approved when it has."
        messages.success(request, text, extra_tags="good")
        return None
    unpaid = [one for one in chosen if one.status != SubmissionStatus.APPROVED]
    cost = len(unpaid) * place_cost(row)
    doubtful = sum(bool(submission_row(submission).disagreement) for submission in chosen)
    return _confirm_submissions(
        request,
        row,
        chosen,
        "approve",
        f"Approve submissions: {len(unpaid)}",
        f"Pay {minor(cost, row.study.currency)}, fee included",
        text=f"{doubtful} of them disagree with what this site knows: look below."
        if doubtful
        else "Approved submissions are paid, and that cannot be taken back.",
    )


def _paid_say(request: HttpRequest, paid: int) -> None:
    text = "1 bonus is paid." if paid == 1 else f"{paid} bonuses are paid."
    messages.success(request, text, extra_tags="good")


def _bonus(
    request: HttpRequest, row: Recruitment, chosen: list[PanelSubmission]
) -> HttpResponse | None:
    form = BonusForm(request.POST)
    if not form.is_valid():
        raise InvalidInput("Bonus: give an amount above 0, with at most two decimals.")
    for submission in chosen:  # all of them, before anybody is paid
        bonus_possible_require(submission)
    amount, key = form.cleaned_data["amount"], form.cleaned_data["key"]
    if "confirmed" not in request.POST:
        cost = len(chosen) * (amount + place_fee(row, amount))
        return _confirm_submissions(
            request,
            row,
            chosen,
            "bonus",
            f"Pay {len(chosen)} a bonus of {minor(amount, row.study.currency)}",
            f"Pay {minor(cost, row.study.currency)}, fee included",
            hidden={"amount": f"{amount / 100:.2f}", "key": key},
        )
    paid = 0
    try:
        for submission in chosen:
            bonus, _ = bonus_pay(
                submission=submission,
                amount_minor=amount,
                key=f"{key}:{submission.pk}",
                actor=cast("User", request.user),
            )
            paid += bonus is not None and bonus.state == BonusState.PAID
    except AnnotationError:
        if paid:  # the next form has a new key, and would pay them again
            _paid_say(request, paid)
        raise
    _paid_say(request, paid)
    return None


def _bonus_paid(
    request: HttpRequest, row: Recruitment, chosen: list[PanelSubmission]
) -> HttpResponse | None:
    return _bonus_resolve(request, row, chosen, paid=True)


def _bonus_unpaid(
    request: HttpRequest, row: Recruitment, chosen: list[PanelSubmission]
) -> HttpResponse | None:
    return _bonus_resolve(request, row, chosen, paid=False)


def _bonus_resolve(
    request: HttpRequest, row: Recruitment, chosen: list[PanelSubmission], *, paid: bool
) -> HttpResponse | None:
    submission = _one(chosen, "looked up")
    if "confirmed" in request.POST:
        bonus = submission_bonus_resolve(
            submission=submission, paid=paid, actor=cast("User", request.user)
        )
        text = f"The bonus of {minor(bonus.amount_minor, row.study.currency)} is recorded as "
        messages.success(request, text + ("paid." if paid else "not paid."), extra_tags="good")
        return None
    return _confirm_submissions(
        request,
        row,
        chosen,
        "bonus-paid" if paid else "bonus-unpaid",
        "The bonus was paid" if paid else "The bonus was not paid",
        "I saw there that it was paid" if paid else "I saw there that it was not paid",
        text="Look at the submission in Prolific first: this records what you saw, and pays "
        "nothing. " + ("" if paid else "What was booked is released."),
    )


def _reject(
    request: HttpRequest, row: Recruitment, chosen: list[PanelSubmission]
) -> HttpResponse | None:
    submission = _one(chosen, "rejected")
    confirmed = "confirmed" in request.POST
    form = RejectionForm(request.POST if confirmed else None)
    if confirmed and form.is_valid():
        prolific_reject(
            submission=submission, actor=cast("User", request.user), **form.cleaned_data
        )
        messages.success(request, "Prolific was asked to reject it.", extra_tags="good")
        return None
    return _confirm_submissions(
        request,
        row,
        chosen,
        "reject",
        "Reject a submission",
        "Reject it",
        text="The rater is not paid, and a rejection follows them: consider asking for a return.",
        form=form,
        danger=True,
    )


def _return(
    request: HttpRequest, row: Recruitment, chosen: list[PanelSubmission]
) -> HttpResponse | None:
    submission = _one(chosen, "asked back")
    if "confirmed" in request.POST:
        prolific_return_request(
            submission=submission, reason=RETURN_REASON, actor=cast("User", request.user)
        )
        messages.success(request, "The rater was asked to give it back.", extra_tags="good")
        return None
    return _confirm_submissions(
        request,
        row,
        chosen,
        "return",
        "Ask for a submission back",
        "Ask for it",
        text=f"The rater reads: “{RETURN_REASON}” They may decline.",
    )


def _one(chosen: list[PanelSubmission], what: str) -> PanelSubmission:
    if len(chosen) != 1:
        raise InvalidInput(
            f"Choose exactly one submission: each is {what} for a reason of its own."
        )
    return chosen[0]


def _confirm_submissions(
    request: HttpRequest,
    row: Recruitment,
    chosen: list[PanelSubmission],
    do: str,
    title: str,
    button: str,
    *,
    hidden: dict[str, str] | None = None,
    **context: Any,
) -> HttpResponse:
    return _confirm(
        request,
        row,
        "recruitment_submissions",
        title,
        button,
        hidden={"do": do, **(hidden or {})},
        chosen=[submission_row(submission) for submission in chosen],
        **context,
    )
