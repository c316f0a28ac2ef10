"""The page of a researcher's tokens: made, shown once, revoked."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from annotation.exceptions import InvalidInput
from annotation.forms.tokens import TokenForm
from annotation.models import ApiToken
from annotation.services.tokens import token_create, token_revoke, tokens_of

TEMPLATE = "researcher/tokens.html"


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@sensitive_variables("secret")
def tokens(request: HttpRequest) -> HttpResponse:
    """List the user's tokens; a POST makes one and shows it, this once."""
    user = cast("User", request.user)
    form = TokenForm(request.POST or None)
    secret = None
    status = 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                _, secret = token_create(user=user, **form.cleaned_data)
            except InvalidInput as error:
                form.add_error("name", str(error))
            else:
                form, status = TokenForm(), 201
    context = {
        "form": form,
        "secret": secret,
        "tokens": tokens_of(user),
        "now": timezone.now(),
        "api_address": request.build_absolute_uri("/api/"),
    }
    return render(request, TEMPLATE, context, status=status)


@require_POST
@login_required
def token_revoke_view(request: HttpRequest, token_id: int) -> HttpResponse:
    """Revoke one of the user's tokens."""
    user = cast("User", request.user)
    token = ApiToken.objects.filter(user=user, pk=token_id).first()
    if token is None:
        raise Http404(f"You have no token {token_id}.")
    token_revoke(token=token)
    messages.success(request, f"The token {token.name} is revoked.", extra_tags="good")
    return redirect("researcher:tokens")
