"""What every response carries, and what no request may weigh."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase

from annotation.error_pages import at_work, error_page

GetResponse = Callable[[HttpRequest], HttpResponseBase]

#: Where tokens count, and errors are problem details.
API = "/api/"
#: A file of this name in the data folder: the site is being worked on.
MAINTENANCE = "maintenance"
#: When to look again whether it is still being worked on.
RETRY_SECONDS = 60
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


def maintenance_middleware(get_response: GetResponse) -> GetResponse:
    """Answer everything with 503 while there is a file ``maintenance`` in the data folder.

    No restart is needed to put it there or to take it away, and neither database nor session is
    asked. A rater's browser keeps answers that meet a 503, and sends them again.

    Parameters
    ----------
    get_response : callable
        The rest of the site.

    Returns
    -------
    callable
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if not (settings.DATA_DIR / MAINTENANCE).exists():
            return get_response(request)
        if request.path_info.startswith(API):
            response: HttpResponse = _problem(
                503, "Maintenance", "The site is being worked on; send the request again later."
            )
        else:
            response = at_work(request)
        response.headers["Retry-After"] = str(RETRY_SECONDS)
        return response

    return middleware


def _content_length(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def _too_large(request: HttpRequest) -> HttpResponse:
    # what of the body is still on its way is the server's business: gunicorn closes the connection
    if request.path_info.startswith(API):
        return _problem(
            413,
            "BodyTooLarge",
            f"The body has {_content_length(request)} bytes, more than may be sent here; "
            "send it in parts, or upload it as a file.",
        )
    return error_page(request, 413)


def _problem(status: int, kind: str, detail: str) -> HttpResponse:
    problem = {"type": f"urn:neuronjury:problem:{kind}", "status": status, "detail": detail}
    return JsonResponse(problem, status=status, content_type="application/problem+json")
