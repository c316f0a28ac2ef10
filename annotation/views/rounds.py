"""Further rounds: those so far, what is still in doubt, a plan to look at, and the draw."""

from dataclasses import replace
from typing import cast
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from annotation.exceptions import AnnotationError, RoundDrawnMeanwhile
from annotation.forms.rounds import RoundConfirmForm, RoundForm
from annotation.models import StudyStatus
from annotation.permissions import study_for
from annotation.queries.rounds import USUAL_HALF_WIDTH, intervals_known, rounds_overview
from annotation.services.round_plan import round_plan
from annotation.services.rounds import PAGE_SECONDS, round_problem, round_write

#: Ratings that came in after the plan was shown change it a little; it may ask for this much more.
SLACK = 1.1


@never_cache
@require_safe
@login_required
def rounds(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the rounds so far and what is in doubt; plan another one for who asks. Writes nothing.

    The plan fits models, so that only those who may draw the round get it.
    """
    planning = "design" in request.GET
    study = study_for(request.user, slug, change=planning)
    form = RoundForm(request.GET if planning else None, study=study)
    context = {
        "study": study,
        "rounds": rounds_overview(study),
        "known": intervals_known(study),
        "round_form": form,
        "usual_half_width": USUAL_HALF_WIDTH,
        "is_launched": study.status in (StudyStatus.OPEN, StudyStatus.PAUSED),
    }
    if planning and form.is_valid():
        try:
            plan = round_plan(study=study, most_seconds=PAGE_SECONDS, **form.cleaned_data)
        except AnnotationError as error:
            return render(request, "researcher/rounds.html", {**context, "problem": str(error)})
        problem = round_problem(study=study, plan=plan)
        context |= {
            "plan": plan,
            "problem": "" if problem is None else str(problem),
            "max_ratings": int(plan.n_ratings * SLACK),
            "half_width_given": "" if plan.half_width is None else repr(plan.half_width),
        }
    return render(request, "researcher/rounds.html", context)


@require_POST
@login_required
def round_draw(request: HttpRequest, slug: str) -> HttpResponse:
    """Draw the round that was looked at, from the ratings that count by now."""
    study = study_for(request.user, slug, change=True)
    form = RoundConfirmForm(request.POST, study=study)
    address = reverse("researcher:study_rounds", args=[slug])
    if not form.is_valid():
        messages.error(request, "Plan the round again: the form was not complete.")
        return redirect(address)
    given = dict(form.cleaned_data)
    number, max_ratings = given.pop("number"), given.pop("max_ratings")
    try:
        plan = round_plan(study=study, most_seconds=PAGE_SECONDS, **given)
        # the round that was looked at; refused where somebody has drawn it meanwhile
        plan = replace(plan, number=number)
        written = round_write(
            study=study, plan=plan, actor=cast("User", request.user), max_ratings=max_ratings
        )
    except RoundDrawnMeanwhile as error:
        messages.error(request, str(error))
        return redirect(address)
    except AnnotationError as error:
        messages.error(request, str(error))
        again = {name: value for name, value in given.items() if value is not None}
        return redirect(f"{address}?{urlencode(again)}")
    where = "Raters get its tasks at once."
    if study.status == StudyStatus.PAUSED:
        where = "The study is paused; resume it, so that raters get its tasks."
    messages.success(
        request,
        f"Round {written.number} is drawn: {plan.n_items} new items in {len(plan.tasks)} tasks. "
        f"{where}",
        extra_tags="good",
    )
    return redirect(address)
