"""What the log of a study says of a rater, and the notes that people give their decisions."""

from annotation.exceptions import InvalidInput
from annotation.models import Participation

#: As long as the notes of reviews, exclusions and deletions may be.
NOTE_LENGTH = 500


def note_checked(note: str, *, needed: bool = False) -> str:
    """Check a note that goes with a decision.

    Parameters
    ----------
    note : str
        As a person wrote it.
    needed : bool
        Whether it may not be empty.

    Returns
    -------
    str
        Without space around it.

    Raises
    ------
    InvalidInput
        When it is too long, or empty and needed.
    """
    text = note.strip()
    if needed and not text:
        raise InvalidInput("note: it is empty; say in a few words why.")
    if len(text) > NOTE_LENGTH:
        raise InvalidInput(f"note: it has {len(text)} characters; give at most {NOTE_LENGTH}.")
    return text


def pseudonym_of(participation: Participation) -> str:
    """Name a rater in the log and on pages: the start of the random public id.

    Parameters
    ----------
    participation : Participation
        The rater in the study.

    Returns
    -------
    str
    """
    return str(participation.rater.public_id)[:8]
