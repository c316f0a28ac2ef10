"""The rater's training: one item a page, a plain form, feedback after each answer."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from annotation.exceptions import InvalidInput
from annotation.forms import AnswerForm
from annotation.models import Participation, TrainingAttempt
from annotation.queries.journey import Step, next_step
from annotation.queries.training import (
    TrainingItem,
    attempt_items,
    items_asked,
    latest_attempt,
    pass_mark,
)
from annotation.services.training import training_answer, training_begin
from annotation.views.rater_session import rater_page, step_redirect
from annotation.views.stimulus import stimulus_of
from annotation.views.wording import CHOICES, place_of, question_of


@require_http_methods(["GET", "HEAD", "POST"])
@rater_page
def training(request: HttpRequest, participation: Participation) -> HttpResponse:
    """Lead to the item that is next, or say how an attempt went; POST begins an attempt."""
    slug = participation.study.slug
    if request.method == "POST":
        training_begin(participation=participation)
        return redirect("rater:training", slug)
    attempt = latest_attempt(participation)
    if attempt is None and next_step(participation) is not Step.TRAINING:
        return step_redirect(participation)
    if attempt is not None and attempt.finished_at is None:
        item = next(item for item in attempt_items(attempt) if item.value is None)
        return redirect("rater:training_item", slug, attempt.number, item.number)
    policy = participation.study.quality_policy
    n_items = items_asked(participation.study) if attempt is None else attempt.answers.count()
    context = {
        "study": participation.study,
        "attempt": attempt,
        "n_items": n_items,
        "pass_mark": min(policy.training_pass_mark, n_items),
        "n_left": policy.training_attempts - (0 if attempt is None else attempt.number),
    }
    return render(request, "rater/training.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@rater_page
def training_item(
    request: HttpRequest, participation: Participation, attempt: int, number: int
) -> HttpResponse:
    """Ask one item; once it is answered, say what is right and why. POST answers."""
    slug = participation.study.slug
    if request.method == "POST":
        form = AnswerForm(request.POST)
        if form.is_valid():
            try:
                training_answer(
                    participation=participation,
                    attempt=attempt,
                    number=number,
                    value=form.cleaned_data["value"],
                )
            except InvalidInput:  # an old page or a second tab: go where the training is
                return redirect("rater:training", slug)
            if participation.ended_at is not None:
                return step_redirect(participation)
            return redirect("rater:training_item", slug, attempt, number)
    row = participation.training_attempts.filter(number=attempt).first()
    items = [] if row is None else attempt_items(row)
    if row is None or not 1 <= number <= len(items):
        return redirect("rater:training", slug)
    item = items[number - 1]
    if item.value is None and number > 1 and items[number - 2].value is None:
        return redirect("rater:training", slug)
    return _item_page(
        request, participation, row, items, item, chosen_none=request.method == "POST"
    )


def _item_page(
    request: HttpRequest,
    participation: Participation,
    attempt: TrainingAttempt,
    items: list[TrainingItem],
    item: TrainingItem,
    *,
    chosen_none: bool,
) -> HttpResponse:
    study = participation.study
    gold = item.gold_answer
    labels = {choice["value"]: choice["label"] for choice in CHOICES}
    answered = item.value is not None
    context = {
        "study": study,
        "question": question_of(study),
        "concept": gold.concept.text,
        "stimulus": stimulus_of(participation, gold.probe_input, item.number),
        "place": place_of(study, item.number, len(items)),
        "item": item,
        "choices": CHOICES,
        "is_right": item.is_right,
        "given_label": labels.get(item.value or "", ""),
        # the right answer and its reason leave the server only after the rater's own answer
        "right_label": labels[gold.value] if answered else "",
        "feedback": gold.feedback if answered else "",
        "next_number": item.number + 1 if item.number < len(items) else None,
        "attempt": attempt,
        "pass_mark": pass_mark(attempt, len(items)),
        "problem": _("Choose one of the three answers.") if chosen_none else "",
    }
    return render(request, "rater/training_item.html", context, status=422 if chosen_none else 200)
