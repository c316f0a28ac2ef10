"""A rater is a session: it names the participation of each study that the browser takes part in."""

from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView


class RaterSessionAuthentication(SessionAuthentication):
    """Authenticate a rater by session; ``request.auth`` is the participation's public id."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, UUID]:
        """Find the participation in the study of the URL, and check the CSRF token.

        Parameters
        ----------
        request : Request
            To a URL with the study's ``slug``.

        Returns
        -------
        tuple of AnonymousUser and UUID

        Raises
        ------
        NotAuthenticated
            When this browser does not take part in the study.
        PermissionDenied
            When the CSRF token is missing or wrong.
        """
        slug = request.parser_context["kwargs"]["slug"]
        public_id = request._request.session.get("participations", {}).get(slug)  # noqa: SLF001
        if public_id is None:
            raise NotAuthenticated("You do not take part in this study; open its link first.")
        self.enforce_csrf(request)
        return AnonymousUser(), UUID(public_id)


class TakesPart(BasePermission):
    """Let raters of the study in, and nobody else."""

    def has_permission(self, request: Request, view: APIView) -> bool:  # noqa: ARG002 - DRF's
        """Say whether `RaterSessionAuthentication` found a participation."""
        return isinstance(request.auth, UUID)
