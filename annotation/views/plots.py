"""Interval plots as numbers for inline SVG: positions in percent, so that a plot fits any width.

No script and no style attribute is involved, which the site's content security policy forbids.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from annotation.templatetags.humane import score

#: The plot's own margin in percent, so that a marker at an end is not cut.
MARGIN = 3.0
MAX_TICKS = 4
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0)


@dataclass(frozen=True)
class Tick:
    """A line of the grid: its label and its place."""

    label: str
    x: str
    zero: bool


@dataclass(frozen=True)
class Axis:
    """A horizontal axis from `lower` to `upper`."""

    lower: float
    upper: float
    ticks: tuple[Tick, ...]

    def place(self, value: float) -> str:
        """Return where a value lies, as an SVG percentage; values outside land on the end."""
        share = (min(max(value, self.lower), self.upper) - self.lower) / (self.upper - self.lower)
        return f"{MARGIN + share * (100 - 2 * MARGIN):.2f}%"


@dataclass(frozen=True)
class Mark:
    """A point with its interval and, where known, a reference value, placed on an axis."""

    x: str
    lower: str
    upper: str
    reference: str | None
    label: str


def axis_over(values: Iterable[float | None]) -> Axis:
    """Make an axis that holds all values and zero, with ticks at round numbers.

    Parameters
    ----------
    values : iterable of float or None
        Scores and ends of intervals; None is left out.

    Returns
    -------
    Axis
        At least .1 wide; ends on multiples of the tick step.
    """
    known = [value for value in values if value is not None] + [0.0]
    low, high = min(known), max(known)
    if high - low < 0.1:
        high = low + 0.1
    for step in (*STEPS, float(math.ceil(high - low))):
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first <= MAX_TICKS:  # with both ends, which may lie beyond the values
            break
    bare = Axis(first * step, last * step, ())
    ticks = tuple(
        Tick(label=score(k * step), x=bare.place(k * step), zero=k == 0)
        for k in range(first, last + 1)
    )
    return Axis(bare.lower, bare.upper, ticks)


def mark(
    axis: Axis, *, value: float, lower: float, upper: float, reference: float | None, level: float
) -> Mark:
    """Place a score and its interval on an axis, with the words that a screen reader says.

    Parameters
    ----------
    axis : Axis
    value, lower, upper : float
        The score and the ends of its interval.
    reference : float or None
        The true value, where it is known.
    level : float
        Of the interval, in (0, 1).

    Returns
    -------
    Mark
    """
    label = f"{score(value)}, {level:.0%} interval {score(lower)} to {score(upper)}"
    if reference is not None:
        label += f", reference {score(reference)}"
    return Mark(
        x=axis.place(value),
        lower=axis.place(lower),
        upper=axis.place(upper),
        reference=None if reference is None else axis.place(reference),
        label=label,
    )
