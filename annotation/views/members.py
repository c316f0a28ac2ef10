"""Who shares in a study, and what was done to it."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from annotation.exceptions import AnnotationError
from annotation.forms.study import MemberForm
from annotation.permissions import owned_study_for, study_for
from annotation.services.members import member_remove, member_set

EVENTS_A_PAGE = 50


@never_cache
@require_safe
@login_required
def members(request: HttpRequest, slug: str) -> HttpResponse:
    """List the members of a study."""
    study = study_for(request.user, slug)
    context = {
        "study": study,
        "members": study.members.select_related("user").order_by("user__username"),
        "form": MemberForm(),
    }
    return render(request, "researcher/members.html", context)


@require_POST
@login_required
def member_add(request: HttpRequest, slug: str) -> HttpResponse:
    """Give somebody a role, or another one."""
    study = owned_study_for(request.user, slug)
    form = MemberForm(request.POST)
    if form.is_valid():
        try:
            member = member_set(study=study, actor=cast("User", request.user), **form.cleaned_data)
        except AnnotationError as error:
            messages.error(request, str(error))
        else:
            text = f"{member.user.get_username()} is now {member.get_role_display()}."
            messages.success(request, text, extra_tags="good")
    else:
        messages.error(request, "Give the name of an account and one of the roles on the page.")
    return redirect("researcher:study_members", slug)


@require_POST
@login_required
def member_delete(request: HttpRequest, slug: str) -> HttpResponse:
    """Take somebody's role away."""
    study = owned_study_for(request.user, slug)
    username = request.POST.get("username", "")
    try:
        member_remove(study=study, username=username, actor=cast("User", request.user))
    except AnnotationError as error:
        messages.error(request, str(error))
    return redirect("researcher:study_members", slug)


@never_cache
@require_safe
@login_required
def log(request: HttpRequest, slug: str) -> HttpResponse:
    """Show everything that was done to a study, the newest first."""
    study = study_for(request.user, slug)
    events = study.events.select_related("actor").order_by("-at", "-id")
    page = Paginator(events, EVENTS_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "researcher/log.html", {"study": study, "page": page})
