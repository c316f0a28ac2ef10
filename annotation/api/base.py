"""What every endpoint of the researcher's API is made from."""

import hashlib
import json
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar, cast

from django.contrib.auth.models import AbstractBaseUser
from django.core.files.uploadedfile import UploadedFile
from rest_framework import serializers, status
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.generics import GenericAPIView
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.pagination import PageNumberPagination
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.api.access import (
    AnonymousThrottle,
    HasScope,
    TokenAuthentication,
    UserThrottle,
)
from annotation.api.parsers import SafeJSONParser
from annotation.exceptions import InvalidInput
from annotation.models import Study
from annotation.permissions import logged_in, owned_study_for, study_for
from annotation.services.idempotency import request_begin, request_end, request_forget

IDEMPOTENCY_HEADER = "Idempotency-Key"
MAX_KEY = 120
#: Set on a reply that was kept.
REPLAYED_HEADER = "Idempotency-Replayed"

Handler = TypeVar("Handler", bound=Callable[..., Any])


class JsonAlone(DefaultContentNegotiation):
    """The API answers in JSON, whatever the request would accept."""

    def select_renderer(  # noqa: D102 - DRF's
        self,
        request: Request,  # noqa: ARG002
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,  # noqa: ARG002
    ) -> tuple[BaseRenderer, str]:
        first = next(iter(renderers))
        return first, first.media_type


class Pages(PageNumberPagination):
    """``?page=2&page_size=100``."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500


class ApiView(APIView):
    """An endpoint for researchers: by session or token, within its scopes, not too often.

    Attributes
    ----------
    pays : bool
        Whether its unsafe methods spend money: a token then needs the scope pay.
    """

    pays = False
    authentication_classes = [TokenAuthentication, SessionAuthentication]
    permission_classes = [IsAuthenticated, HasScope]
    throttle_classes = [UserThrottle]
    parser_classes = [SafeJSONParser]
    content_negotiation_class = JsonAlone

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check who asks, for what, how often; slow down whoever keeps failing to say who it is."""
        try:
            super().initial(request, *args, **kwargs)
        except (AuthenticationFailed, NotAuthenticated):
            failures = AnonymousThrottle()
            if not failures.allow_request(request, self):
                self.throttled(request, failures.wait())
            raise

    @property
    def actor(self) -> AbstractBaseUser:
        """Who asks."""
        return logged_in(self.request.user)

    def study(self, slug: str) -> Study:
        """Get the study that the request is about.

        Parameters
        ----------
        slug : str
            From the address.

        Returns
        -------
        Study

        Raises
        ------
        Http404
            When the user may not see it.
        PermissionDenied
            When the request would change it and the user may only look.
        """
        change = self.request.method not in {"GET", "HEAD", "OPTIONS"}
        return study_for(self.request.user, slug, change=change)

    def access_require(self, slug: str | None = None, **_others: Any) -> None:
        """Check that the user may do what the request asks for, before a kept reply is given.

        Parameters
        ----------
        slug : str, optional
            The study of the address, where it has one.

        Raises
        ------
        Http404, PermissionDenied
            See `study`.
        """
        if slug is not None:
            self.study(slug)

    def owned_study(self, slug: str) -> Study:
        """Get a study of which the user is owner, or staff.

        Parameters
        ----------
        slug : str
            From the address.

        Returns
        -------
        Study

        Raises
        ------
        Http404
            When the user may not see it.
        PermissionDenied
            When it is another user's.
        """
        return owned_study_for(self.request.user, slug)

    def given(
        self,
        serializer_class: type[serializers.BaseSerializer[Any]],
        data: Any = None,
        *,
        partial: bool = False,
        **context: Any,
    ) -> dict[str, Any]:
        """Check what the request says.

        Parameters
        ----------
        serializer_class : type
            What it must look like.
        data : object, optional
            The body by default.
        partial : bool
            Whether fields may be left out.
        **context
            What the serializer needs to know.

        Returns
        -------
        dict

        Raises
        ------
        ValidationError
            When it looks otherwise.
        """
        serializer = serializer_class(
            data=self.request.data if data is None else data,
            partial=partial,
            context={"request": self.request, **context},
        )
        serializer.is_valid(raise_exception=True)
        return cast("dict[str, Any]", serializer.validated_data)


class ListView(ApiView, GenericAPIView[Any]):
    """An endpoint that lists rows, a page at a time."""

    pagination_class = Pages

    def page(self, rows: Any, serializer_class: type[serializers.BaseSerializer[Any]]) -> Response:
        """Answer with one page.

        Parameters
        ----------
        rows : QuerySet or sequence
            In an order that does not change between pages.
        serializer_class : type
            Of one row.

        Returns
        -------
        Response
            ``count``, ``next``, ``previous``, ``results``.
        """
        found = self.paginate_queryset(rows)
        return self.get_paginated_response(serializer_class(found, many=True).data)


def once(handler: Handler) -> Handler:
    """Make a handler keep its reply under the request's ``Idempotency-Key``, where it has one.

    Parameters
    ----------
    handler : callable
        A method of an `ApiView` that creates or spends.

    Returns
    -------
    callable
        The same request again gets the reply that was kept; another one with the same key is
        refused with 409. A request that is refused frees its key.
    """

    @wraps(handler)
    def wrapped(self: ApiView, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get(IDEMPOTENCY_HEADER, "")
        if not key:
            return cast("Response", handler(self, request, *args, **kwargs))
        if len(key) > MAX_KEY or not key.isprintable():
            raise InvalidInput(
                f"{IDEMPOTENCY_HEADER}: give at most {MAX_KEY} printable characters, not "
                f"{len(key)}; a UUID is a good key."
            )
        self.access_require(**kwargs)  # a kept reply is for whoever may still ask for it
        row, is_new = request_begin(user=self.actor, key=key, fingerprint=_fingerprint(request))
        if not is_new:
            return Response(
                row.reply,
                status=row.status or status.HTTP_200_OK,
                headers={REPLAYED_HEADER: "true"},
            )
        try:
            response = cast("Response", handler(self, request, *args, **kwargs))
        except Exception:
            request_forget(row=row)
            raise
        request_end(
            row=row,
            status=response.status_code,
            reply=json.loads(JSONRenderer().render(response.data) or b"null"),
        )
        return response

    wrapped.takes_idempotency_key = True  # type: ignore[attr-defined]
    return cast("Handler", wrapped)


def _fingerprint(request: Request) -> str:
    digest = hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode())
    data = request.data
    if not hasattr(data, "lists"):
        digest.update(json.dumps(data, sort_keys=True).encode())
        return digest.hexdigest()
    for name, values in sorted(data.lists()):
        for value in values:
            digest.update(f"\n{name}\n".encode())
            if not isinstance(value, UploadedFile):
                digest.update(str(value).encode())
                continue
            for chunk in value.chunks():
                digest.update(chunk)
            value.seek(0)
    return digest.hexdigest()
