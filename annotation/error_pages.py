"""Pages that say what went wrong, in the language of whoever sees them: raters see them too."""

import logging
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseServerError
from django.shortcuts import render
from django.template.loader import get_template
from django.utils import translation
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.utils.translation import gettext as _

from annotation.languages import RATER, language_of_browser, language_of_visitor, match_of

logger = logging.getLogger(__name__)


def error_page(request: HttpRequest, status: int, **context: Any) -> HttpResponse:
    """Make the page of an error; the database may be asked for the study's language.

    Parameters
    ----------
    request : HttpRequest
        What is refused.
    status : int
        There is a template of this name.
    **context
        For the template.

    Returns
    -------
    HttpResponse
    """
    return _page(request, f"{status}.html", status, language_of_visitor(request), context)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django's
    """Answer what cannot be read."""
    return _page(request, "400.html", 400, language_of_browser(request), {})


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    """Answer who may not."""
    return error_page(request, 403)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    """Answer an address that stands for nothing, or for nothing that the visitor may see."""
    return error_page(request, 404)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001 - Django's
    """Answer a form whose token is missing or of another session."""
    return _page(request, "403_csrf.html", 403, language_of_visitor(request), {})


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer after a fault of the software, which may be that the database is not there.

    Nothing is asked of the database, nor of the session: the template gets no request, and the
    language is the one that the page was being made in, or the browser's. When even the template
    fails (static files were not collected, say), a line of text has to do.
    """
    with translation.override(language_of_browser(request)):
        try:
            html = get_template("500.html").render({"for_rater": _for_rater(request)})
        except Exception:  # whatever it is, it must not hide the fault that is being answered
            logger.exception("the page for faults cannot be made")
            words = _("Something broke on our side")
            return HttpResponseServerError(words, content_type="text/plain; charset=utf-8")
    response = HttpResponseServerError(html)
    add_never_cache_headers(response)
    return response


def at_work(request: HttpRequest) -> HttpResponse:
    """Say that the site is being worked on; the database may be away."""
    with translation.override(language_of_browser(request)):
        html = get_template("503.html").render({"for_rater": _for_rater(request)})
    response = HttpResponse(html, status=503)
    add_never_cache_headers(response)
    return response


def _page(
    request: HttpRequest, template: str, status: int, language: str, context: dict[str, Any]
) -> HttpResponse:
    with translation.override(language):
        response = render(
            request, template, {"for_rater": _for_rater(request), **context}, status=status
        )
    patch_vary_headers(response, ["Accept-Language"])
    add_never_cache_headers(response)
    return response


def _for_rater(request: HttpRequest) -> bool:
    """Say whether the page is a rater's, who needs no way to the researchers' site."""
    match = match_of(request)
    return match is not None and match.namespace == RATER
