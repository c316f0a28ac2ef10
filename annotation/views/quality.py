"""Quality of a study: agreement, raters, the review queue, the rules."""

from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotation.exceptions import AnnotationError
from annotation.forms.quality import DecisionForm, PolicyForm, RatersFilterForm
from annotation.models import QualityPolicy, Review, ReviewReason, Study, StudyStatus
from annotation.permissions import study_for
from annotation.queries.gold import gold_hidden_count
from annotation.queries.quality import (
    FILTERS,
    participations_found,
    raters_quality,
    reviews_open,
    study_agreement,
)
from annotation.queries.training import training_shortage
from annotation.services.decisions import review_decide
from annotation.services.quality import quality_policy_set

RATERS_A_PAGE = 50
REVIEWS_A_PAGE = 20
CONCEPTS_SHOWN = 12


@never_cache
@require_safe
@login_required
def quality(request: HttpRequest, slug: str) -> HttpResponse:
    """Show how far raters agree, who waits for a decision, and how each of them does."""
    study = study_for(request.user, slug)
    if study.status == StudyStatus.DRAFT:
        return redirect("researcher:quality_policy", slug)
    form = RatersFilterForm(request.GET)
    chosen = form.cleaned_data if form.is_valid() else {}
    narrowed, words = chosen.get("show", ""), chosen.get("rater", "")
    found = participations_found(study, words=words, narrowed=narrowed)
    page = Paginator(found, RATERS_A_PAGE).get_page(request.GET.get("page"))
    reviews = Paginator(reviews_open(study), REVIEWS_A_PAGE).get_page(request.GET.get("reviews"))
    agreement = study_agreement(study)
    context = {
        "study": study,
        "agreement": agreement.overall,
        "concepts": agreement.per_concept[:CONCEPTS_SHOWN],
        "n_concepts_hidden": max(0, len(agreement.per_concept) - CONCEPTS_SHOWN),
        "n_gold": gold_hidden_count(study),
        "reviews": reviews,
        "review_rows": [review_shown(review) for review in reviews],
        "page": page,
        "raters": raters_quality(page),
        "filters": [{"value": value, "label": label} for value, label in FILTERS.items()],
        "show": narrowed,
        "words": words,
        "query": urlencode({"show": narrowed, "rater": words}),
    }
    return render(request, "researcher/quality/quality.html", context)


@require_POST
@login_required
def decide(request: HttpRequest, slug: str, review_id: int) -> HttpResponse:
    """Keep or exclude the ratings that an entry of the queue is about."""
    study = study_for(request.user, slug, change=True)
    review = get_object_or_404(Review, pk=review_id, participation__study=study)
    form = DecisionForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose to keep or to exclude; a note has at most 500 characters.")
    else:
        try:
            review_decide(review=review, actor=cast("User", request.user), **form.cleaned_data)
        except AnnotationError as error:
            messages.error(request, str(error))
        else:
            kept = form.cleaned_data["decision"] == "keep"
            text = "The ratings are kept." if kept else "The ratings are taken out; slots refill."
            messages.success(request, text, extra_tags="good")
    return redirect(back_of(request, study))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def policy(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the rules of a study; POST changes those that may change."""
    study = study_for(request.user, slug, change=request.method == "POST")
    row = QualityPolicy.objects.filter(study=study).first() or QualityPolicy(study=study)
    form = PolicyForm(request.POST if request.method == "POST" else None, instance=row)
    if request.method == "POST" and form.is_valid():
        try:
            quality_policy_set(study=study, actor=cast("User", request.user), **form.values())
        except AnnotationError as error:
            name, _, text = str(error).partition(": ")
            form.add_error(name if name in form.fields and text else None, text or str(error))
        else:
            messages.success(request, "Saved.", extra_tags="good")
            return redirect("researcher:quality_policy", slug)
    # what stands is measured, not what was just refused
    standing = QualityPolicy.objects.filter(study=study).first()
    context = {
        "study": study,
        "form": form,
        "shortage": training_shortage(study, standing) if standing is not None else None,
    }
    status = 422 if form.errors else 200
    return render(request, "researcher/quality/policy.html", context, status=status)


def review_shown(review: Review) -> dict[str, Any]:
    """Put an entry of the queue into words.

    Parameters
    ----------
    review : Review
        With participation and rater.

    Returns
    -------
    dict
        ``review``, ``pseudonym``, ``text``.
    """
    return {
        "review": review,
        "participation": review.participation,
        "pseudonym": str(review.participation.rater.public_id)[:8],
        "text": _evidence(review.reason, review.details),
    }


def back_of(request: HttpRequest, study: Study) -> str:
    """Say where a decision leads back to: the rater's page, or the list."""
    rater = request.POST.get("back", "")
    try:
        found = study.participations.filter(public_id=UUID(rater)).first() if rater else None
    except ValueError:
        found = None
    if found is None:
        return reverse("researcher:study_quality", args=[study.slug])
    return reverse("researcher:quality_rater", args=[study.slug, found.public_id])


def _evidence(reason: str, details: dict[str, Any]) -> str:
    """The numbers that an entry rests on, in a sentence; what it lacks is not made up."""
    if reason == ReviewReason.GOLD and {"n", "n_right", "minimum"} <= details.keys():
        return (
            f"{details['n_right']} of {details['n']} gold answers are right; the study asks for "
            f"{details['minimum']:.0%}."
        )
    if reason == ReviewReason.ATTENTION and {"n", "n_failed"} <= details.keys():
        return (
            f"{details['n_failed']} of {details['n']} attention checks failed; the participation "
            "has ended."
        )
    if reason == ReviewReason.SPEED and {"n", "median_ms", "minimum_ms"} <= details.keys():
        return (
            f"The median of {details['n']} answers took {details['median_ms'] / 1000:.2f} s, under "
            f"{details['minimum_ms'] / 1000:.2f} s."
        )
    if reason == ReviewReason.STRAIGHT_LINE and {"n", "value"} <= details.keys():
        value = str(details["value"]).replace("_", " ")
        return f"{details['n']} answers in a row say {value}."
    if "note" in details:
        return str(details["note"])
    return ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in details.items())
