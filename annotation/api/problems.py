"""Errors of the API as problem details (RFC 9457): a type, a status, a sentence for a person."""

from typing import Any

from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import exception_handler

from annotation.exceptions import (
    AnnotationError,
    AssignmentClosed,
    AssignmentIncomplete,
    ClientIdReused,
    ConsentMissing,
    InstructionsUnread,
    InvalidInput,
    PanelError,
    StudyStateError,
)

CONTENT_TYPE = "application/problem+json"
#: The first class that matches decides.
STATUSES: tuple[tuple[type[AnnotationError], int], ...] = (
    (ClientIdReused, status.HTTP_409_CONFLICT),
    (InvalidInput, status.HTTP_400_BAD_REQUEST),
    (AssignmentClosed, status.HTTP_409_CONFLICT),
    (AssignmentIncomplete, status.HTTP_409_CONFLICT),
    (ConsentMissing, status.HTTP_403_FORBIDDEN),
    (InstructionsUnread, status.HTTP_403_FORBIDDEN),
    (StudyStateError, status.HTTP_409_CONFLICT),
    # no fault of this server, and nothing that a client should repeat by itself
    (PanelError, status.HTTP_424_FAILED_DEPENDENCY),
)


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn an error into a problem response; DRF calls this for every error of a view.

    Parameters
    ----------
    error : Exception
        Whatever the view raised.
    context : dict
        DRF's: the view, the request.

    Returns
    -------
    Response or None
        None for a fault of the software, which Django then logs and answers with 500.
    """
    if isinstance(error, AnnotationError):
        code = next(
            (code for kind, code in STATUSES if isinstance(error, kind)),
            status.HTTP_409_CONFLICT,
        )
        return _problem(type(error).__name__, code, str(error))
    response = exception_handler(error, context)
    if response is None:
        return None
    fields: dict[str, Any] = {}
    if isinstance(error, exceptions.ValidationError):
        fields["errors"] = response.data
        detail = _sentence(response.data)
    else:
        detail = str(getattr(error, "detail", error))
    kind = "NotFound" if response.status_code == status.HTTP_404_NOT_FOUND else type(error).__name__
    problem = _problem(kind, response.status_code, detail, **fields)
    for name, value in response.items():
        if name not in {"Content-Type", "Content-Length"}:
            problem[name] = value
    return problem


def _problem(kind: str, code: int, detail: str, **fields: Any) -> Response:
    body = {"type": f"urn:neuronjury:problem:{kind}", "status": code, "detail": detail, **fields}
    return Response(body, status=code, content_type=CONTENT_TYPE)


def _sentence(errors: Any) -> str:
    """Join a serializer's errors: ``value: "maybe" is not a valid choice.``."""
    if isinstance(errors, dict):
        return " ".join(f"{name}: {_sentence(inner)}" for name, inner in errors.items())
    if isinstance(errors, list):
        return " ".join(_sentence(inner) for inner in errors)
    return str(errors)
