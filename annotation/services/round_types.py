"""A further round as it is planned: what it draws, asks and costs."""

from dataclasses import dataclass, field

from annotation.models import EstimateRun
from annotation.services.samples import PlannedPair, PlannedTask


@dataclass(frozen=True)
class ConceptRound:
    """What a round draws for one concept.

    Attributes
    ----------
    concept : str
        Its text.
    n_pairs, n_draws : int
        Neurons that draw, and their draws together.
    n_new : int
        Inputs that become items.
    n_reused : int
        Draws on inputs that are items already: their ratings serve again.
    further : int or None
        Further ratings that its scores are expected to need for the half width; None where it is
        more than was looked ahead, or nobody has worked it out.
    """

    concept: str
    n_pairs: int
    n_draws: int
    n_new: int
    n_reused: int
    further: int | None = None

    @property
    def share_reused(self) -> float:
        """Of the draws, the share that falls on items that are there."""
        return self.n_reused / self.n_draws


@dataclass(frozen=True)
class ChannelCost:
    """What the raters of a round would cost if all of them came through one channel.

    Attributes
    ----------
    channel : str
        What it is called.
    places_planned : int
        Places that it has in all; 0 is no limit, but at a panel none.
    total_minor : int
        Rewards and fees, in minor units.
    left_minor : int or None
        What is left of the study's cap; None where there is none.
    currency : str
        Of both.
    is_paid : bool
        Whether raters are paid through it.
    """

    channel: str
    places_planned: int
    total_minor: int
    left_minor: int | None
    currency: str
    is_paid: bool

    @property
    def passes_cap(self) -> bool:
        """Whether the cap does not allow it; without a cap nothing is paid for."""
        return bool(self.total_minor) and (
            self.left_minor is None or self.total_minor > self.left_minor
        )


@dataclass(frozen=True)
class RoundPlan:
    """Everything that a further round writes.

    Attributes
    ----------
    number : int
        Of the round; it cannot be written once somebody else has drawn that round.
    design, n_draws, half_width, seed
        As asked for.
    run : EstimateRun or None
        Whose intervals chose the pairs.
    n_ratings_before : int
        Ratings that count.
    error_rate : float or None
        How often raters were taken to err; None where the design does not ask.
    pairs : list of PlannedPair
        The samples.
    n_pairs_left : int
        Pairs that are known well enough, and draw nothing.
    tasks : list of PlannedTask
        Of the inputs that become items.
    reused : dict
        From the primary key of an item that is there to the draws on it and their probability.
    concepts : list of ConceptRound
        What it draws for each.
    redundancy : int
        Ratings an item.
    n_items_before : int
        Items that are there, gold items among them.
    n_raters : int
        Raters that the new tasks need.
    minutes_a_task : float
        How long one takes.
    costs : list of ChannelCost
        Of the active channels.
    notes : list of str
        What whoever draws the round must know.
    """

    number: int
    design: str
    n_draws: int
    half_width: float | None
    seed: int
    run: EstimateRun | None
    n_ratings_before: int
    error_rate: float | None
    pairs: list[PlannedPair]
    n_pairs_left: int
    tasks: list[PlannedTask]
    reused: dict[int, tuple[int, float]]
    concepts: list[ConceptRound]
    redundancy: int
    n_items_before: int
    n_raters: int = 0
    minutes_a_task: float = 0.0
    costs: list[ChannelCost] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def n_items(self) -> int:
        """How many inputs become items."""
        return sum(len(task.inputs) for task in self.tasks)

    @property
    def n_gold(self) -> int:
        """How many gold items are hidden in the new tasks."""
        return sum(len(task.gold) for task in self.tasks)

    @property
    def n_ratings(self) -> int:
        """How many ratings the round asks for, gold items included."""
        return (self.n_items + self.n_gold) * self.redundancy

    @property
    def n_drawn(self) -> int:
        """How many draws it makes in all."""
        return sum(row.n_draws for row in self.concepts)

    @property
    def n_reused(self) -> int:
        """How many of them fall on items that are there."""
        return sum(row.n_reused for row in self.concepts)

    @property
    def share_reused(self) -> float:
        """Of all draws, the share that falls on items that are there."""
        return self.n_reused / self.n_drawn

    @property
    def further(self) -> int | None:
        """Further ratings that all its scores are expected to need; None where one is unknown."""
        known = [row.further for row in self.concepts if row.further is not None]
        return sum(known) if len(known) == len(self.concepts) else None
