"""Who may see and change what: a study is its owner's and its members'; staff may all."""

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404

from annotation.models import ProbeDataset, Role, Study, StudyMember

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
        All for staff; otherwise a researcher's own and those shared with them; none for anybody who
        is not logged in.
    """
    if not user.is_authenticated or not user.is_active:
        return Study.objects.none()
    if getattr(user, "is_staff", False):
        return Study.objects.all()
    shared = StudyMember.objects.filter(user=user.pk).values("study")
    return Study.objects.filter(Q(owner=user.pk) | Q(pk__in=shared))


def may_change(user: User, study: Study) -> bool:
    """Say whether a user may change a study.

    Parameters
    ----------
    user : User
        Of the request.
    study : Study
        Any.

    Returns
    -------
    bool
        True for staff, the owner, and members with the role researcher.
    """
    if not user.is_authenticated or not user.is_active:
        return False
    if getattr(user, "is_staff", False) or study.owner_id == user.pk:
        return True
    return StudyMember.objects.filter(study=study.pk, user=user.pk, role=Role.RESEARCHER).exists()


def owns(user: User, study: Study) -> bool:
    """Say whether a user may share a study with others and delete it.

    Parameters
    ----------
    user : User
        Of the request.
    study : Study
        Any.

    Returns
    -------
    bool
        True for staff and the owner.
    """
    if not user.is_authenticated or not user.is_active:
        return False
    return getattr(user, "is_staff", False) or study.owner_id == user.pk


def may_delete_of(user: User, dataset: ProbeDataset) -> bool:
    """Say whether a user may delete a dataset and what is registered on it.

    Parameters
    ----------
    user : User
        Of the request.
    dataset : ProbeDataset
        Any.

    Returns
    -------
    bool
        True for staff and for whoever registered it.
    """
    return bool(getattr(user, "is_staff", False)) or (
        dataset.created_by_id is not None and dataset.created_by_id == user.pk
    )


def owned_study_for(user: User, slug: str) -> Study:
    """Get a study for a user who is about to share or delete it.

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
        When there is none, or the user may not see it.
    PermissionDenied
        When it is somebody else's.
    """
    study = study_for(user, slug)
    if not owns(user, study):
        raise PermissionDenied(
            f"Only the owner of the study {study.title!r} may share or delete it."
        )
    return study


def study_for(user: User, slug: str, *, change: bool = False) -> Study:
    """Get a study for a user.

    Parameters
    ----------
    user : User
        Of the request.
    slug : str
        The study's name in URLs.
    change : bool
        Whether the user is about to change it.

    Returns
    -------
    Study

    Raises
    ------
    Http404
        When there is none, or the user may not see it: the two look the same.
    PermissionDenied
        When the user may see it, not change it.
    """
    study = studies_visible(user).select_related("dataset", "owner").filter(slug=slug).first()
    if study is None:
        raise Http404(f"There is no study {slug!r} that you may see.")
    if change and not may_change(user, study):
        raise PermissionDenied(
            f"You may look at the study {study.title!r}, not change it; ask its owner to make you "
            "a researcher of it."
        )
    return study
