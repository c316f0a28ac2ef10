"""What a study's state allows."""

from annotation.exceptions import StudyStateError
from annotation.models import Study, StudyStatus


def state_require(study: Study, what: str, *allowed: StudyStatus) -> None:
    """Refuse what a study's state does not allow.

    Parameters
    ----------
    study : Study
        Any.
    what : str
        What is wanted, for the message.
    *allowed : StudyStatus
        The states that allow it.

    Raises
    ------
    StudyStateError
        When the study is in another state.
    """
    if study.status not in allowed:
        states = " or ".join(str(status.label) for status in allowed)
        raise StudyStateError(
            f"The study {study.title!r} is {study.get_status_display()}; only while it is {states} "
            f"{what}."
        )
