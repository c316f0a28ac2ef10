"""Logging in, not too often: a password cannot be found by trying."""

from typing import Any

from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_safe

from annotation.services.throttles import throttle_hit, throttle_undo
from annotation.throttling import client_address, too_many


class ThrottledLoginView(LoginView):
    """The login page. Tries are counted before the password is looked at, so that parallel ones
    count too; the page for too many is the same whether or not the account exists.
    """

    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Count the try, and log in if there were not too many."""
        wait = 0
        for scope, who in self._counted():
            limit, seconds = settings.NEURONJURY_THROTTLES[scope]
            wait = max(wait, throttle_hit(scope=scope, who=who, limit=limit, seconds=seconds))
        return too_many(request, wait) if wait else super().post(request, *args, **kwargs)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Log in; a success was no try at a password."""
        for scope, who in self._counted():
            throttle_undo(scope=scope, who=who)
        return super().form_valid(form)

    def _counted(self) -> list[tuple[str, str]]:
        """Whose tries are counted: of an account from an address, of each of the two alone."""
        account = self.request.POST.get("username", "").casefold().strip()[:150]
        address = client_address(self.request)
        return [
            ("login", f"{account} {address}"),
            ("login_address", address),
            ("login_account", account),
        ]


@require_safe
def admin_login(request: HttpRequest) -> HttpResponseBase:
    """Send whoever opens the admin to the one login page: the admin's own counts no tries."""
    if request.user.is_authenticated:
        raise PermissionDenied("The admin is for staff; log in with another account.")
    return redirect_to_login(request.GET.get("next") or reverse("admin:index"))
