"""What a study costs: planned, committed, paid, and what raters earn an hour by it."""

from dataclasses import dataclass
from math import ceil
from statistics import median

from django.db.models import Q, Sum

from annotation.models import (
    AssignmentStatus,
    Channel,
    LedgerEntry,
    LedgerKind,
    Participation,
    QualityPolicy,
    Rating,
    Recruitment,
    Study,
)

#: Prolific's least hourly reward, and what it recommends, in pence and cents.
HOURLY_MINIMUM = {"GBP": 600, "USD": 800}
HOURLY_RECOMMENDED = {"GBP": 900, "USD": 1200}
#: Prolific's fee, without tax, for academic customers and for others, in percent.
USUAL_FEES = ("33.3", "42.8")
#: How keys of the ledger begin.
UNDO = "undo:"
BONUS = "bonus:"
LATE = "late:"


@dataclass(frozen=True)
class CostEstimate:
    """What places would cost.

    Attributes
    ----------
    places, reward_minor, fee_minor : int
        How many, and what each costs.
    total_minor : int
        All of it.
    hourly_minor : int
        What a rater earns an hour who takes as long as was estimated.
    hourly_minimum, hourly_recommended : int or None
        The panel's; None where it names none for the currency.
    cap_minor, left_minor : int or None
        The study's cap, and what is left of it before this; None where there is no cap.
    currency : str
        Of all amounts.
    """

    places: int
    reward_minor: int
    fee_minor: int
    total_minor: int
    hourly_minor: int
    hourly_minimum: int | None
    hourly_recommended: int | None
    cap_minor: int | None
    left_minor: int | None
    currency: str

    @property
    def is_underpaid(self) -> bool:
        """Whether it is below what the panel allows."""
        return self.hourly_minimum is not None and self.hourly_minor < self.hourly_minimum

    @property
    def is_meagre(self) -> bool:
        """Whether it is allowed, but below what the panel recommends."""
        return (
            not self.is_underpaid
            and self.hourly_recommended is not None
            and self.hourly_minor < self.hourly_recommended
        )

    @property
    def passes_cap(self) -> bool:
        """Whether the cap does not allow it; without a cap nothing is paid for."""
        return self.left_minor is None or self.total_minor > self.left_minor


@dataclass(frozen=True)
class StudySpend:
    """What is booked of a study, in minor units.

    Attributes
    ----------
    committed_minor : int
        Places that may still be filled and paid.
    rewards_minor, fees_minor, bonuses_minor : int
        What was paid.
    cap_minor, left_minor : int or None
        The cap and what is left of it; None where there is none.
    n_paid : int
        Submissions that were paid.
    n_ratings : int
        Ratings that count.
    hourly_minor : int or None
        The median rater's hourly rate; None before anybody completed.
    currency : str
        Of all amounts.
    """

    committed_minor: int
    rewards_minor: int
    fees_minor: int
    bonuses_minor: int
    cap_minor: int | None
    left_minor: int | None
    n_paid: int
    n_ratings: int
    hourly_minor: int | None
    currency: str

    @property
    def paid_minor(self) -> int:
        """Rewards, fees and bonuses."""
        return self.rewards_minor + self.fees_minor + self.bonuses_minor

    @property
    def used_minor(self) -> int:
        """What counts against the cap: payments, and what may still become one."""
        return self.committed_minor + self.paid_minor

    @property
    def rating_minor(self) -> float | None:
        """What a counted rating has cost; None before there is one."""
        return self.paid_minor / self.n_ratings if self.n_ratings else None


def place_fee(recruitment: Recruitment, amount_minor: int | None = None) -> int:
    """Compute the panel's fee on an amount, rounded up.

    Parameters
    ----------
    recruitment : Recruitment
        With the fee in percent.
    amount_minor : int, optional
        What it is on; the reward by default.

    Returns
    -------
    int
        Minor units.
    """
    amount = recruitment.reward_minor if amount_minor is None else amount_minor
    # not -(-x // 100): a Decimal is cut off towards zero
    return ceil(amount * recruitment.fee_percent / 100)


def place_cost(recruitment: Recruitment) -> int:
    """Compute what one rater who completes costs.

    Parameters
    ----------
    recruitment : Recruitment
        The channel.

    Returns
    -------
    int
        Reward and fee, in minor units.
    """
    return recruitment.reward_minor + place_fee(recruitment)


def ledger_total(study: Study) -> int:
    """Add up what counts against the cap.

    Parameters
    ----------
    study : Study
        Any.

    Returns
    -------
    int
        Open commitments and payments, in minor units.
    """
    return int(study.ledger.aggregate(total=Sum("amount_minor"))["total"] or 0)


def commitment_open(recruitment: Recruitment) -> int:
    """Add up what may still be paid for places of a channel.

    Parameters
    ----------
    recruitment : Recruitment
        The channel.

    Returns
    -------
    int
        Minor units.
    """
    return _sum(recruitment, Q(kind__in=[LedgerKind.COMMITMENT, LedgerKind.RELEASE]))


def places_booked(recruitment: Recruitment) -> int:
    """Count the places that are booked or paid; a place that was released is neither.

    Parameters
    ----------
    recruitment : Recruitment
        The channel; what a place costs never changes once one is booked.

    Returns
    -------
    int
        Without those that were booked in addition (see `late_booked`): the panel does not count
        them among its places.
    """
    cost = place_cost(recruitment)
    if not cost:
        return 0
    paid = recruitment.ledger.filter(kind=LedgerKind.REWARD).count()
    return commitment_open(recruitment) // cost + paid - len(late_booked(recruitment))


def late_booked(recruitment: Recruitment) -> set[int]:
    """Find the submissions that were booked in addition to the places.

    Parameters
    ----------
    recruitment : Recruitment
        The channel.

    Returns
    -------
    set of int
        Their primary keys; without those whose approval the panel refused.
    """
    sums: dict[int, int] = {}
    rows = recruitment.ledger.filter(key__startswith=f"{LATE}{recruitment.pk}:")
    for key, amount in rows.values_list("key", "amount_minor"):
        submission = int(key.split(":")[2])
        sums[submission] = sums.get(submission, 0) + amount
    return {submission for submission, total in sums.items() if total > 0}


def _sum(recruitment: Recruitment, condition: Q) -> int:
    rows = LedgerEntry.objects.filter(condition, recruitment=recruitment)
    return int(rows.aggregate(total=Sum("amount_minor"))["total"] or 0)


def cost_estimate(
    recruitment: Recruitment, *, places: int | None = None, booked: int = 0
) -> CostEstimate:
    """Estimate what places would cost before anything is spent.

    Parameters
    ----------
    recruitment : Recruitment
        The channel, with reward, fee and minutes.
    places : int, optional
        How many in all; those planned by default.
    booked : int
        Of these, how many are booked already.

    Returns
    -------
    CostEstimate
    """
    study = recruitment.study
    n_places = max(0, (recruitment.places if places is None else places) - booked)
    cap = study.spending_cap_minor
    return CostEstimate(
        places=n_places,
        reward_minor=recruitment.reward_minor,
        fee_minor=place_fee(recruitment),
        total_minor=n_places * place_cost(recruitment),
        hourly_minor=recruitment.reward_minor * 60 // recruitment.estimated_minutes,
        hourly_minimum=HOURLY_MINIMUM.get(study.currency),
        hourly_recommended=HOURLY_RECOMMENDED.get(study.currency),
        cap_minor=cap,
        left_minor=None if cap is None else cap - ledger_total(study),
        currency=study.currency,
    )


def places_needed(study: Study) -> int | None:
    """Count the raters that are still needed until every item has its redundancy.

    Parameters
    ----------
    study : Study
        Launched; a draft has no tasks yet (see `services.launch.sampling_preview`).

    Returns
    -------
    int or None
        None for a draft. Nobody does a task twice, so that a study whose raters may do as many
        tasks as they like needs as many raters as the redundancy says.
    """
    n_tasks = study.tasks.count()
    if not n_tasks:
        return None
    submitted = study.tasks.filter(assignments__status=AssignmentStatus.SUBMITTED).count()
    wanting = max(0, n_tasks * study.redundancy - submitted)
    policy = QualityPolicy.objects.filter(study=study).first()
    limit = None if policy is None else policy.tasks_per_rater
    if not wanting:
        return 0
    if limit is None:
        return study.redundancy
    return max(study.redundancy if not submitted else 1, -(-wanting // limit))


def study_spend(study: Study) -> StudySpend:
    """Add up what a study has cost so far, and what it got for it.

    Parameters
    ----------
    study : Study
        Any.

    Returns
    -------
    StudySpend
    """
    sums = study.ledger.aggregate(
        **{kind.name: Sum("amount_minor", filter=Q(kind=kind)) for kind in LedgerKind}
    )
    amounts = {kind: int(sums[kind.name] or 0) for kind in LedgerKind}
    total, cap = sum(amounts.values()), study.spending_cap_minor
    # a bonus that the panel refused was released; it is no release of places
    refused = study.ledger.filter(kind=LedgerKind.RELEASE, key__startswith=BONUS)
    unpaid = int(refused.aggregate(total=Sum("amount_minor"))["total"] or 0)
    return StudySpend(
        committed_minor=amounts[LedgerKind.COMMITMENT] + amounts[LedgerKind.RELEASE] - unpaid,
        rewards_minor=amounts[LedgerKind.REWARD],
        fees_minor=amounts[LedgerKind.FEE],
        bonuses_minor=amounts[LedgerKind.BONUS] + unpaid,
        cap_minor=cap,
        left_minor=None if cap is None else cap - total,
        n_paid=study.ledger.filter(kind=LedgerKind.REWARD).count(),
        n_ratings=Rating.objects.filter(
            item__study=study, item__gold_value="", assignment__status=AssignmentStatus.SUBMITTED
        ).count(),
        hourly_minor=hourly_reached(study),
        currency=study.currency,
    )


def hourly_reached(study: Study) -> int | None:
    """Compute what the median paid rater earns an hour.

    Parameters
    ----------
    study : Study
        Any.

    Returns
    -------
    int or None
        Minor units an hour, from arrival to the code; None before anybody completed.
    """
    rewards = dict(
        Recruitment.objects.filter(study=study, reward_minor__gt=0).values_list(
            "channel", "reward_minor"
        )
    )
    rates = [
        rewards[channel] * 3600 / max((completed - arrived).total_seconds(), 1.0)
        for channel, arrived, completed in Participation.objects.filter(
            study=study, channel__in=list(rewards), completed_at__isnull=False
        ).values_list("channel", "arrived_at", "completed_at")
        if completed is not None
    ]
    return round(median(rates)) if rates else None


def minor(amount: float, currency: str) -> str:
    """Write an amount for a person.

    Parameters
    ----------
    amount : float
        Minor units.
    currency : str
        ISO 4217.

    Returns
    -------
    str
        For example ``12.50 GBP``.
    """
    return f"{amount / 100:,.2f} {currency}"


def is_paid_channel(channel: str) -> bool:
    """Say whether raters of a channel are paid through it.

    Parameters
    ----------
    channel : str
        One of `Channel`.

    Returns
    -------
    bool
    """
    return channel in {Channel.PROLIFIC, Channel.PANEL}
