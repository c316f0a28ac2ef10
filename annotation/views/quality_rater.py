"""One rater of a study: what they did, what was decided, and what a person may do."""

from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AbstractBaseUser, User
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotation.exceptions import AnnotationError
from annotation.forms.quality import DeletionForm, ExclusionForm, NoteForm
from annotation.models import Assignment, Participation, ReviewDecision, Study
from annotation.permissions import may_change, study_for
from annotation.queries.gold import gold_record
from annotation.queries.quality import raters_quality
from annotation.services.deletions import rater_delete
from annotation.services.exclusions import exclusion_lift, exclusion_make
from annotation.services.reviews import review_report
from annotation.views.quality import review_shown

ASSIGNMENTS_SHOWN = 200
GOLD_SHOWN = 200


@never_cache
@require_safe
@login_required
def rater(request: HttpRequest, slug: str, participation_id: UUID) -> HttpResponse:
    """Show one rater: gold record, times, history, decisions."""
    study = study_for(request.user, slug)
    participation = _participation(study, participation_id)
    return _page(request, study, participation)


@require_POST
@login_required
def report(request: HttpRequest, slug: str, participation_id: UUID) -> HttpResponse:
    """Put a rater into the review queue."""
    study = study_for(request.user, slug, change=True)
    participation = _participation(study, participation_id)
    form = NoteForm(request.POST)
    if form.is_valid():
        try:
            review_report(
                participation=participation,
                actor=cast("User", request.user),
                note=form.cleaned_data["note"],
            )
        except AnnotationError as error:
            messages.error(request, str(error))
        else:
            messages.success(request, "It waits for a decision.", extra_tags="good")
    else:
        messages.error(request, "Say in a note of at most 500 characters what you saw.")
    return redirect("researcher:quality_rater", slug, participation_id)


@require_POST
@login_required
def exclude(request: HttpRequest, slug: str, participation_id: UUID) -> HttpResponse:
    """Take a rater's ratings out."""
    study = study_for(request.user, slug, change=True)
    participation = _participation(study, participation_id)
    form = ExclusionForm(request.POST)
    if form.is_valid():
        try:
            exclusion_make(
                participation=participation, actor=cast("User", request.user), **form.cleaned_data
            )
        except AnnotationError as error:
            messages.error(request, str(error))
        else:
            text = "The ratings are taken out; their slots go to other raters."
            messages.success(request, text, extra_tags="good")
    else:
        messages.error(request, "Choose one of the reasons; a note has at most 500 characters.")
    return redirect("researcher:quality_rater", slug, participation_id)


@require_POST
@login_required
def lift(request: HttpRequest, slug: str, participation_id: UUID) -> HttpResponse:
    """Let a rater's ratings count again."""
    study = study_for(request.user, slug, change=True)
    participation = _participation(study, participation_id)
    try:
        lifted = exclusion_lift(participation=participation, actor=cast("User", request.user))
    except AnnotationError as error:
        messages.error(request, str(error))
    else:
        text = f"The exclusion is lifted: {lifted.n_back} tasks count again."
        if lifted.n_left_out:
            text += (
                f" {lifted.n_left_out} stay out, for other raters have filled their places "
                "meanwhile."
            )
        messages.success(request, text, extra_tags="good")
    return redirect("researcher:quality_rater", slug, participation_id)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def delete(request: HttpRequest, slug: str, participation_id: UUID) -> HttpResponse:
    """Say what there is of a rater in all studies; POST deletes it."""
    study = study_for(request.user, slug, change=True)
    participation = _participation(study, participation_id)
    row = participation.rater
    pseudonym = str(row.public_id)[:8]
    elsewhere = _deletable_require(cast("User", request.user), participation)
    form = DeletionForm(request.POST or None, pseudonym=pseudonym)
    if request.method == "POST" and form.is_valid():
        try:
            record = rater_delete(
                rater=row, actor=cast("User", request.user), note=form.cleaned_data["note"]
            )
        except AnnotationError as error:
            form.add_error(None, str(error))
        else:
            text = f"Rater {pseudonym} and {record.n_ratings} ratings are deleted."
            messages.success(request, text, extra_tags="good")
            return redirect("researcher:study_quality", slug)
    context = {
        "study": study,
        "participation": participation,
        "pseudonym": pseudonym,
        "n_ratings": row.ratings.count(),
        "studies": elsewhere,
        "form": form,
    }
    status = 422 if form.errors else 200
    return render(request, "researcher/quality/rater_delete.html", context, status=status)


def _deletable_require(user: AbstractBaseUser, participation: Participation) -> list[Study]:
    """A rater's data goes from all their studies, so all of them must be the user's to change."""
    studies = [
        one.study
        for one in Participation.objects.filter(rater=participation.rater_id).select_related(
            "study"
        )
    ]
    if not all(may_change(user, study) for study in studies):
        raise PermissionDenied(
            "This rater took part in studies of others as well, and the deletion concerns them "
            "all; ask the staff of this site."
        )
    return studies


def _participation(study: Study, public_id: UUID) -> Participation:
    return get_object_or_404(
        Participation.objects.select_related("rater", "study"), study=study, public_id=public_id
    )


def _page(request: HttpRequest, study: Study, participation: Participation) -> HttpResponse:
    (row,) = raters_quality([participation])
    assignments = (
        Assignment.objects.filter(participation=participation)
        .select_related("task__concept")
        .annotate(
            n_answers=Count("ratings"),
            n_gold=Count("ratings", filter=~Q(ratings__item__gold_value="")),
        )
        .order_by("-leased_at", "-pk")
    )
    gold = gold_record(participation)
    context: dict[str, Any] = {
        "study": study,
        "participation": participation,
        "row": row,
        "assignments": assignments[:ASSIGNMENTS_SHOWN],
        "n_assignments_hidden": max(0, assignments.count() - ASSIGNMENTS_SHOWN),
        "gold": gold[-GOLD_SHOWN:][::-1],
        "n_gold_hidden": max(0, len(gold) - GOLD_SHOWN),
        "checks": participation.attention_checks.filter(answered_at__isnull=False),
        "attempts": participation.training_attempts.filter(finished_at__isnull=False),
        "review_rows": [
            review_shown(review)
            for review in participation.reviews.select_related(
                "participation__rater", "decided_by"
            ).order_by("-opened_at", "-pk")
        ],
        "open": ReviewDecision.OPEN,
        "exclusions": participation.exclusions.select_related("excluded_by", "lifted_by"),
        "exclusion_form": ExclusionForm(auto_id="exclude-%s"),
        "report_form": NoteForm(auto_id="report-%s"),
    }
    return render(request, "researcher/quality/rater.html", context)
