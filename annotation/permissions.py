"""Who may see what: a study belongs to its owner, and staff see all; for others it is not there."""

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404

from annotation.models import Study

User = AbstractBaseUser | AnonymousUser


def logged_in(user: User) -> AbstractBaseUser:
    """Take a request's user as somebody who can be named in a log.

    Parameters
    ----------
    user : User
        Of the request.

    Returns
    -------
    AbstractBaseUser

    Raises
    ------
    PermissionDenied
        When nobody is logged in.
    """
    if not isinstance(user, AbstractBaseUser) or not user.is_authenticated:
        raise PermissionDenied("Log in first.")
    return user


def studies_visible(user: User) -> "QuerySet[Study]":
    """List the studies that a user may see.

    Parameters
    ----------
    user : User
        Of the request.

    Returns
    -------
    QuerySet
        All for staff, a researcher's own otherwise, none for anybody who is not logged in.
    """
    if not user.is_authenticated or not user.is_active:
        return Study.objects.none()
    if getattr(user, "is_staff", False):
        return Study.objects.all()
    return Study.objects.filter(owner=user.pk)


def study_for(user: User, slug: str) -> Study:
    """Get a study for a user.

    Parameters
    ----------
    user : User
        Of the request.
    slug : str
        The study's name in URLs.

    Returns
    -------
    Study

    Raises
    ------
    Http404
        When there is none, or the user may not see it: the two look the same.
    """
    study = studies_visible(user).select_related("dataset", "owner").filter(slug=slug).first()
    if study is None:
        raise Http404(f"There is no study {slug!r} that you may see.")
    return study
