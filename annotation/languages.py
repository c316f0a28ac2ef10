"""Which of the site's languages somebody is spoken to in."""

from django.conf import settings
from django.http import HttpRequest
from django.urls import Resolver404, ResolverMatch, resolve
from django.utils import translation

from annotation.models import Study, StudyStatus

#: The namespace of the pages for raters.
RATER = "rater"


def language_of(study: Study) -> str:
    """Choose the language of a study's rater pages: its own, or a variant that there is.

    What the researcher wrote is shown as it is; the site's own words fall back to its language
    where it does not speak the study's.

    Parameters
    ----------
    study : Study
        Any.

    Returns
    -------
    str
        A code of ``LANGUAGES``.
    """
    return _spoken(study.language)


def language_of_browser(request: HttpRequest) -> str:
    """Choose a language for somebody of whom only the request is known, without the database.

    Parameters
    ----------
    request : HttpRequest
        Any, also one that led nowhere.

    Returns
    -------
    str
        That of the study whose page was being made, where it got as far as that; else what the
        browser asks for. The researchers' own pages are in the site's language.
    """
    known = getattr(request, "rater_language", "")
    if known:
        return str(known)
    match = match_of(request)
    if match is not None and match.namespace != RATER:
        return settings.LANGUAGE_CODE
    return translation.get_language_from_request(request)


def language_of_visitor(request: HttpRequest) -> str:
    """Choose a language as `language_of_browser` does, but ask the database for the study.

    Parameters
    ----------
    request : HttpRequest
        Any.

    Returns
    -------
    str
        That of the study in the address, where there is one that raters may know of.
    """
    match = match_of(request)
    if match is not None and match.namespace == RATER and "slug" in match.kwargs:
        studies = Study.objects.exclude(status=StudyStatus.DRAFT).filter(slug=match.kwargs["slug"])
        language = studies.values_list("language", flat=True).first()
        if language is not None:
            return _spoken(language)
    return language_of_browser(request)


def match_of(request: HttpRequest) -> ResolverMatch | None:
    """Find what a request's address stands for, also before Django has looked.

    Parameters
    ----------
    request : HttpRequest
        Any.

    Returns
    -------
    ResolverMatch or None
        None where it stands for nothing.
    """
    if request.resolver_match is not None:
        return request.resolver_match
    try:
        return resolve(request.path_info)
    except Resolver404:
        return None


def _spoken(language: str) -> str:
    try:
        return translation.get_supported_language_variant(language)
    except LookupError:
        return settings.LANGUAGE_CODE
