"""How each rater of a study does: how much, how fast, and how often with the majority."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from statistics import median

from annotation.models import AssignmentStatus, Participation, Rating, RatingValue, Study


@dataclass(frozen=True)
class RaterRow:
    """One rater of a study.

    Attributes
    ----------
    pseudonym : str
        Start of the rater's public id.
    channel : str
        How the rater came.
    tasks, ratings : int
        Handed in, and what they hold.
    n_compared : int
        Ratings that the others' majority can be compared with.
    agreement : float or None
        Share of those that agree, in [0, 1].
    median_ms : float or None
        Median response time in milliseconds; None where no time was measured.
    """

    pseudonym: str
    channel: str
    tasks: int
    ratings: int
    n_compared: int
    agreement: float | None
    median_ms: float | None


def rater_table(study: Study) -> list[RaterRow]:
    """Compare every rater with the majority of the others on the same items.

    Parameters
    ----------
    study : Study

    Returns
    -------
    list of RaterRow
        The busiest first. Only submitted tasks count. "Cannot tell" and items whose other ratings
        are tied, or none, are not compared.
    """
    rows = list(
        Rating.objects.filter(
            item__study=study, assignment__status=AssignmentStatus.SUBMITTED
        ).values_list("item_id", "rater_id", "assignment_id", "value", "response_ms")
    )
    votes: dict[int, Counter[str]] = defaultdict(Counter)
    for item, _, _, value, _ in rows:
        votes[item][value] += 1
    by_rater: dict[int, list[tuple[int, int, str, int | None]]] = defaultdict(list)
    for item, rater, assignment, value, response_ms in rows:
        by_rater[rater].append((item, assignment, value, response_ms))
    people = {
        participation.rater_id: participation.rater
        for participation in Participation.objects.filter(
            study=study, rater__in=by_rater
        ).select_related("rater")
    }
    table = []
    for rater, own in by_rater.items():
        compared = [
            (value, winner)
            for item, _, value, _ in own
            if value != RatingValue.CANNOT_TELL
            and (winner := _majority_of_others(votes[item], value)) is not None
        ]
        agreed = sum(value == winner for value, winner in compared)
        times = [response_ms for *_, response_ms in own if response_ms is not None]
        table.append(
            RaterRow(
                pseudonym=str(people[rater].public_id)[:8],
                channel=people[rater].get_channel_display(),
                tasks=len({assignment for _, assignment, _, _ in own}),
                ratings=len(own),
                n_compared=len(compared),
                agreement=agreed / len(compared) if compared else None,
                median_ms=median(times) if times else None,
            )
        )
    return sorted(table, key=lambda row: (-row.ratings, row.pseudonym))


def _majority_of_others(votes: Counter[str], own: str) -> str | None:
    present = votes[RatingValue.PRESENT] - (own == RatingValue.PRESENT)
    absent = votes[RatingValue.ABSENT] - (own == RatingValue.ABSENT)
    if present == absent:
        return None
    return RatingValue.PRESENT if present > absent else RatingValue.ABSENT
