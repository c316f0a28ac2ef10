"""What every response carries, and what no request may weigh."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

GetResponse = Callable[[HttpRequest], HttpResponseBase]

#: Where tokens count, and errors are problem details.
API = "/api/"
#: Nothing here needs a camera, a place or a payment of the browser, and nothing embedded gets one.
PERMISSIONS_POLICY = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer",
        "autoplay",
        "browsing-topics",
        "camera",
        "display-capture",
        "encrypted-media",
        "fullscreen",
        "geolocation",
        "gyroscope",
        "magnetometer",
        "microphone",
        "midi",
        "payment",
        "picture-in-picture",
        "publickey-credentials-get",
        "usb",
        "xr-spatial-tracking",
    )
)


def headers_middleware(get_response: GetResponse) -> GetResponse:
    """Add the headers that Django does not add by itself.

    Parameters
    ----------
    get_response : callable
        The rest of the site.

    Returns
    -------
    callable
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        # `accessed`: a response that used no session is no researcher's, and asks for no query now
        if (
            "Cache-Control" not in response.headers
            and request.session.accessed
            and request.user.is_authenticated
        ):
            response.headers["Cache-Control"] = "private, no-store"
        return response

    return middleware


def body_limit_middleware(get_response: GetResponse) -> GetResponse:
    """Refuse a body that is too large before any of it is read.

    Only who is logged in may send files, and below ``/api/`` who says so with a token: the API
    checks it before it reads the body. Content is checked by `annotation.uploads`.

    Parameters
    ----------
    get_response : callable
        The rest of the site.

    Returns
    -------
    callable
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        length = _content_length(request)
        if length > settings.NEURONJURY_MAX_BODY_BYTES:
            multipart = request.content_type == "multipart/form-data"
            with_token = request.path_info.startswith(API) and "Authorization" in request.headers
            known = with_token or request.user.is_authenticated
            limit = settings.NEURONJURY_MAX_UPLOAD_BYTES
            if not (multipart and known) or length > limit + settings.NEURONJURY_MAX_BODY_BYTES:
                return _too_large(request)
        return get_response(request)

    return middleware


def _content_length(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def _too_large(request: HttpRequest) -> HttpResponse:
    if request.path_info.startswith(API):
        problem = {
            "type": "urn:neuronjury:problem:BodyTooLarge",
            "status": 413,
            "detail": f"The body has {_content_length(request)} bytes, more than may be sent here; "
            "send it in parts, or upload it as a file.",
        }
        response: HttpResponse = JsonResponse(
            problem, status=413, content_type="application/problem+json"
        )
    else:
        response = render(request, "413.html", status=413)
    response.headers["Connection"] = "close"  # the body is still on its way, and is not read
    return response
