"""A rater's arrival: who they are, and which visit of the panel this is, in one transaction."""

from dataclasses import dataclass, field

from django.db import transaction

from annotation.models import Participation, Recruitment, Study
from annotation.services.raters import rater_arrive
from annotation.services.submissions import submission_record


@dataclass(frozen=True)
class Arrival:
    """What a link says of the rater who opened it.

    Attributes
    ----------
    channel : str
        One of `Channel`.
    external_id : str
        The channel's id of the rater; never in a log.
    submission_id : str
        The panel's id of this visit; empty where it has none.
    """

    channel: str
    external_id: str = field(repr=False)
    submission_id: str = field(default="", repr=False)


@transaction.atomic
def arrival_record(*, study: Study, arrival: Arrival) -> Participation:
    """Record that a rater arrived, and which of the panel's visits it is.

    Parameters
    ----------
    study : Study
        The study.
    arrival : Arrival
        Who arrived.

    Returns
    -------
    Participation

    Raises
    ------
    InvalidInput, StudyNotOpen, RecruitmentInactive, PlacesTaken
        See `annotation.services.raters.rater_arrive`.
    """
    participation = rater_arrive(
        study=study,
        channel=arrival.channel,
        external_id=arrival.external_id,
    )
    if arrival.submission_id:
        submission_record(
            recruitment=Recruitment.objects.get(study=study, channel=arrival.channel),
            submission_id=arrival.submission_id,
            participation=participation,
        )
    return participation
