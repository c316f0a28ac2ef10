"""Not too often: decorators for views that anybody may call, and who it is that calls."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from annotation.error_pages import error_page
from annotation.services.throttles import throttle_hit

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def client_address(request: HttpRequest) -> str:
    """Find the address that a request comes from.

    Parameters
    ----------
    request : HttpRequest
        Any.

    Returns
    -------
    str
        What the outermost of our own ``NEURONJURY_PROXIES`` proxies saw; whatever a client writes
        into ``X-Forwarded-For`` itself stands further to the left and is not believed.
    """
    remote = str(request.META.get("REMOTE_ADDR", ""))
    n_proxies = settings.NEURONJURY_PROXIES
    forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
    if n_proxies and len(forwarded) >= n_proxies and forwarded[-n_proxies]:
        return forwarded[-n_proxies]
    return remote


def throttled(scope: str, view: View[P]) -> View[P]:
    """Refuse an address that sends a view too many unsafe requests.

    Parameters
    ----------
    scope : str
        A key of ``NEURONJURY_THROTTLES``: how many, in how many seconds.
    view : callable
        The view.

    Returns
    -------
    callable
        Answers 429 with ``Retry-After`` beyond the limit; GET is never counted, for it writes
        nothing.
    """

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if request.method in {"GET", "HEAD", "OPTIONS"}:
            return view(request, *args, **kwargs)
        limit, seconds = settings.NEURONJURY_THROTTLES[scope]
        wait = throttle_hit(scope=scope, who=client_address(request), limit=limit, seconds=seconds)
        return too_many(request, wait) if wait else view(request, *args, **kwargs)

    return guarded


def too_many(request: HttpRequest, wait: int) -> HttpResponse:
    """Say that there were too many tries, and for how long.

    Parameters
    ----------
    request : HttpRequest
        The request that is refused.
    wait : int
        Seconds.

    Returns
    -------
    HttpResponse
        429.
    """
    response = error_page(request, 429, minutes=-(-wait // 60))
    response["Retry-After"] = str(wait)
    return response
