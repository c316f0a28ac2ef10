"""Signs that a rater does not look: gold answers, speed, the same answer all along."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from statistics import median

from annotation.models import HANDED_IN, Participation, Rating


@dataclass(frozen=True)
class RaterSigns:
    """What the answers that a rater handed in show.

    Attributes
    ----------
    n_gold, n_gold_right : int
        Answers to gold items, and those that are right; "cannot tell" is not.
    n_times : int
        Answers whose time was measured.
    median_ms : float or None
        Of those; None where there is none.
    longest_run : int
        How often in a row the same answer was given, tasks of any concept one after the other.
    run_value : str
        That answer; empty where there is none.
    """

    n_gold: int
    n_gold_right: int
    n_times: int
    median_ms: float | None
    longest_run: int
    run_value: str


def rater_signs(participation: Participation) -> RaterSigns:
    """Read the signs of one rater, in one query.

    Parameters
    ----------
    participation : Participation
        The rater in the study.

    Returns
    -------
    RaterSigns
    """
    rows = list(
        Rating.objects.filter(
            assignment__participation=participation, assignment__status__in=HANDED_IN
        )
        .order_by("rated_at", "pk")
        .values_list("value", "item__gold_value", "response_ms")
    )
    times = [ms for _, _, ms in rows if ms is not None]
    length, value = longest_run(value for value, _, _ in rows)
    return RaterSigns(
        n_gold=sum(1 for _, gold, _ in rows if gold),
        n_gold_right=sum(1 for value, gold, _ in rows if gold == value),
        n_times=len(times),
        median_ms=median(times) if times else None,
        longest_run=length,
        run_value=value,
    )


def longest_run(values: Iterable[str]) -> tuple[int, str]:
    """Find the longest run of the same answer.

    Parameters
    ----------
    values : iterable of str
        Answers in the order in which they were given.

    Returns
    -------
    length : int
        0 where there are no answers.
    value : str
        Empty where there are none; of runs of the same length the first.
    """
    runs = [(sum(1 for _ in run), value) for value, run in groupby(values)]
    return max(runs, key=lambda run: run[0], default=(0, ""))
