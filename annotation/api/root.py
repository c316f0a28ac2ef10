"""The OpenAPI document, and what is no address of the API."""

from typing import Any

from drf_spectacular.views import SpectacularAPIView
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from annotation.api.base import ApiView


class SchemaView(SpectacularAPIView):
    """``/api/schema/``: open to all, for it says nothing of any study."""

    authentication_classes = []
    permission_classes = []


class NowhereView(ApiView):
    """Every other address below ``/api/``: a problem, as everywhere in the API."""

    authentication_classes = []
    permission_classes = []
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse, whatever the method.

        Raises
        ------
        NotFound
            Always.
        """
        super().initial(request, *args, **kwargs)
        raise NotFound(f"The API has no address {request.path}; /api/docs/ lists all it has.")
