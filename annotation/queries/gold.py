"""Gold items: how many there are, and what raters answered to them."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q

from annotation.models import (
    HANDED_IN,
    GoldAnswer,
    GoldUse,
    Item,
    Participation,
    Rating,
    RatingValue,
    Study,
)


@dataclass(frozen=True)
class GoldRecord:
    """A rater's answer to a gold item."""

    concept: str
    input_index: int
    expected: str
    value: str
    response_ms: int | None
    rated_at: datetime

    @property
    def is_right(self) -> bool:
        """Whether it is the known answer."""
        return self.value == self.expected


def gold_record(participation: Participation) -> list[GoldRecord]:
    """List a rater's answers to gold items, the first first.

    Parameters
    ----------
    participation : Participation
        The rater in the study.

    Returns
    -------
    list of GoldRecord
    """
    rows = (
        Rating.objects.filter(
            assignment__participation=participation, assignment__status__in=HANDED_IN
        )
        .exclude(item__gold_value="")
        .order_by("rated_at", "pk")
        .values_list(
            "item__concept__text",
            "item__probe_input__index",
            "item__gold_value",
            "value",
            "response_ms",
            "rated_at",
        )
    )
    return [GoldRecord(*row) for row in rows]


def gold_counts(study: Study) -> list[dict[str, object]]:
    """Count a study's known answers by use and value.

    Parameters
    ----------
    study : Study
        Any.

    Returns
    -------
    list of dict
        ``use``, ``label``, ``n_present``, ``n_absent``, ``n_concepts`` of each use.
    """
    counted = {
        row["use"]: row
        for row in GoldAnswer.objects.filter(study=study)
        .order_by()
        .values("use")
        .annotate(
            n_present=Count("pk", filter=Q(value=RatingValue.PRESENT)),
            n_absent=Count("pk", filter=Q(value=RatingValue.ABSENT)),
            n_concepts=Count("concept", distinct=True),
        )
    }
    nothing = {"n_present": 0, "n_absent": 0, "n_concepts": 0}
    return [
        {**nothing, **counted.get(use.value, {}), "use": use.value, "label": use.label}
        for use in GoldUse
    ]


def gold_hidden_count(study: Study) -> int:
    """Count the gold items that are hidden in a study's tasks.

    Parameters
    ----------
    study : Study
        Any.

    Returns
    -------
    int
    """
    return Item.objects.filter(study=study).exclude(gold_value="").count()
