"""Whether a study has room for one rater more."""

from annotation.exceptions import PlacesTaken, RecruitmentInactive
from annotation.models import Channel, Outcome, Participation, Recruitment, Study
from annotation.queries.journey import PAID
from annotation.services.locks import lock

#: The other channels hold no recruitment of a study's own: simulations and imports.
RECRUITED = (Channel.DIRECT, *PAID)
#: Prolific counts its places itself, and knows better who gave one back.
PLACES_COUNTED = (Channel.DIRECT, Channel.PANEL)


def place_require(*, study: Study, channel: str) -> None:
    """Refuse a new rater where a channel is switched off or full.

    Parameters
    ----------
    study : Study
        The study.
    channel : str
        One of `Channel`. Places that count are locked until the transaction ends, so that two
        raters who arrive at once do not both get the last one.

    Raises
    ------
    RecruitmentInactive
        When the study does not recruit through this channel at the moment.
    PlacesTaken
        When as many raters as there are places take part or have completed.
    """
    if channel not in RECRUITED:
        return
    recruitment = Recruitment.objects.filter(study=study, channel=channel, active=True).first()
    if recruitment is None:
        raise RecruitmentInactive(
            f"The study {study.title!r} does not recruit through this channel "
            f"({Channel(channel).label}) at the moment."
        )
    if not recruitment.places or channel not in PLACES_COUNTED:
        return
    places = lock(Recruitment.objects.all(), pk=recruitment.pk).places
    taken = Participation.objects.filter(
        study=study,
        channel=channel,
        declined_at__isnull=True,
        outcome__in=["", Outcome.COMPLETED],
    ).count()
    if taken >= places:
        raise PlacesTaken(f"All {places} places of the study {study.title!r} are taken.")
