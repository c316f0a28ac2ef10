"""The audit log of a study."""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser

from annotation.models import Study, StudyEvent


def study_event_record(
    *, study: Study, action: str, actor: AbstractBaseUser | None, **details: Any
) -> StudyEvent:
    """Write what was done to a study; call it inside the transaction of the change itself.

    Parameters
    ----------
    study : Study
        What was changed.
    action : str
        A verb in the past tense: ``launched``, ``paused``.
    actor : User or None
        Who did it; None for the software itself.
    **details
        Whatever explains the change, JSON values.

    Returns
    -------
    StudyEvent
    """
    return StudyEvent.objects.create(
        study=study, action=action, actor_id=None if actor is None else actor.pk, details=details
    )
