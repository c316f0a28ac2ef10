"""Who shares in a study: added, changed and removed by its owner, with a line in the log each."""

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from annotation.exceptions import InvalidInput
from annotation.models import Recruitment, Role, Study, StudyMember
from annotation.services.audit import study_event_record
from annotation.services.locks import lock


@transaction.atomic
def member_set(*, study: Study, username: str, role: str, actor: AbstractBaseUser) -> StudyMember:
    """Give somebody a role in a study, or another one than before.

    Parameters
    ----------
    study : Study
        Any.
    username : str
        Of an account on this site.
    role : str
        One of `Role`.
    actor : User
        Who does it: the owner or staff.

    Returns
    -------
    StudyMember

    Raises
    ------
    InvalidInput
        When there is no such account, it is the owner's, or the role is unknown.
    """
    row = lock(Study.objects.select_related("owner"), pk=study.pk)
    if role not in Role.values:
        raise InvalidInput(f"role: {role!r} is none of {', '.join(Role.values)}.")
    name = username.strip()
    user = get_user_model().objects.filter(username=name, is_active=True).first()
    if user is None:
        raise InvalidInput(
            f"username: there is no account {name!r} on this site; ask for its exact name, or have "
            "staff make one."
        )
    if user.pk == row.owner_id:
        raise InvalidInput(f"username: {name!r} owns the study and may do everything already.")
    member = StudyMember.objects.filter(study=row, user=user).first()
    if member is None:
        member = StudyMember.objects.create(study=row, user=user, role=role)
        study_event_record(study=row, action="member added", actor=actor, user=name, role=role)
    elif member.role != role:
        before, member.role = member.role, role
        member.save(update_fields=["role"])
        if role == Role.VIEWER:
            _access_withdraw(member, actor)
        study_event_record(
            study=row, action="member changed", actor=actor, user=name, role=[before, role]
        )
    return member


@transaction.atomic
def member_remove(*, study: Study, username: str, actor: AbstractBaseUser) -> None:
    """Take somebody's role in a study away.

    Parameters
    ----------
    study : Study
        Any.
    username : str
        The member's.
    actor : User
        Who does it: the owner or staff, or the member.

    Raises
    ------
    InvalidInput
        When there is no such member.
    """
    row = lock(Study.objects.all(), pk=study.pk)
    member = StudyMember.objects.filter(study=row, user__username=username).first()
    if member is None:
        raise InvalidInput(f"username: {username!r} is no member of the study; reload the page.")
    _access_withdraw(member, actor)
    member.delete()
    study_event_record(
        study=row, action="member removed", actor=actor, user=username, role=member.role
    )


def _access_withdraw(member: StudyMember, actor: AbstractBaseUser) -> None:
    """Take a member's own access to a panel off the study: others spend with it no more."""
    rows = Recruitment.objects.filter(study=member.study_id, credential__owner=member.user_id)
    if rows.update(credential=None):
        study_event_record(
            study=member.study,
            action="panel access withdrawn",
            actor=actor,
            user=member.user.get_username(),
        )
