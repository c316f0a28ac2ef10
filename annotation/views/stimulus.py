"""What a rater looks at, made ready for a template: an image's address or a text in three parts."""

from dataclasses import dataclass

from annotation.image_addresses import image_address
from annotation.models import Participation, ProbeInput
from annotation.queries.items import Passage, passage_of
from annotation.views.wording import alternative


@dataclass(frozen=True)
class Stimulus:
    """An input as a page shows it.

    Attributes
    ----------
    address : str
        Of the image; empty where the input is a text.
    passage : Passage or None
        The text; None where the input is an image.
    name : str
        What it is, for whoever cannot see it.
    """

    address: str
    passage: Passage | None
    name: str


def stimulus_of(
    participation: Participation, probe_input: ProbeInput, number: int, *, name: str = ""
) -> Stimulus:
    """Make an input ready for a rater's page.

    Parameters
    ----------
    participation : Participation
        The rater in the study: an image's address is made for them alone.
    probe_input : ProbeInput
        What is shown.
    number : int
        Its place on the page, from 1.
    name : str
        What to call it, if not by its number.

    Returns
    -------
    Stimulus
    """
    passage = passage_of(probe_input)
    address = (
        ""
        if passage is not None
        else image_address(participation_id=participation.public_id, image_id=probe_input.public_id)
    )
    return Stimulus(address, passage, name or alternative(participation.study, number))
