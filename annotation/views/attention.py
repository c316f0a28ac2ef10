"""The page between tasks that says which answer to choose."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from annotation.exceptions import InvalidInput
from annotation.forms import AnswerForm
from annotation.models import Participation
from annotation.services.attention import attention_answer
from annotation.views.rater import onward
from annotation.views.rater_session import rater_page, step_redirect
from annotation.views.wording import CHOICES


@require_http_methods(["GET", "HEAD", "POST"])
@rater_page
def attention(request: HttpRequest, participation: Participation) -> HttpResponse:
    """Show the attention check that waits; POST answers it and goes on."""
    if request.method == "POST" and "number" in request.POST:
        form = AnswerForm(request.POST)
        if form.is_valid() and request.POST["number"].isdecimal():
            try:
                attention_answer(
                    participation=participation,
                    number=int(request.POST["number"][:6]),
                    value=form.cleaned_data["value"],
                )
            except InvalidInput:  # a page of long ago: go where the rater is
                return step_redirect(participation)
            if participation.ended_at is not None:
                return step_redirect(participation)
            return onward(participation)
    check = participation.attention_checks.filter(answered_at__isnull=True).first()
    if check is None:
        return step_redirect(participation)
    labels = {choice["value"]: choice["label"] for choice in CHOICES}
    chosen_none = request.method == "POST"
    context = {
        "study": participation.study,
        "check": check,
        "expected": labels[check.expected],
        "choices": CHOICES,
        "problem": _("Choose one of the three answers.") if chosen_none else "",
    }
    return render(request, "rater/attention.html", context, status=422 if chosen_none else 200)
