"""Interval plots: what is drawn lies where the numbers say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.views.plots import MARGIN, axis_over, mark

scores = st.floats(-1, 1, allow_nan=False)


def share(place: str) -> float:
    assert place.endswith("%")
    return float(place[:-1])


@given(st.lists(scores, min_size=1))
def test_axis_holds_all_values_and_zero(values: list[float]) -> None:
    axis = axis_over(values)
    assert axis.lower <= min(values) + 1e-9
    assert axis.upper >= max(values) - 1e-9
    assert axis.lower <= 0 <= axis.upper
    assert 2 <= len(axis.ticks) <= 5  # more labels would touch each other in a leaderboard
    assert [tick.label for tick in axis.ticks if tick.zero] == ["0.00"]
    assert len({tick.label for tick in axis.ticks}) == len(axis.ticks)


@given(st.lists(scores, min_size=2, unique=True))
def test_place_keeps_the_order_and_the_margins(values: list[float]) -> None:
    axis = axis_over(values)
    places = [share(axis.place(value)) for value in sorted(values)]
    assert places == sorted(places)
    assert places[0] >= MARGIN - 1e-6
    assert places[-1] <= 100 - MARGIN + 1e-6


def test_an_end_beyond_the_values_counts_as_a_tick() -> None:
    labels = [tick.label for tick in axis_over([-0.38, 0.59]).ticks]
    assert labels == ["−0.50", "0.00", "0.50", "1.00"]


def test_axis_ends_lie_at_the_margins() -> None:
    axis = axis_over([-0.2, 0.6, None])
    assert axis.lower == pytest.approx(-0.2)
    assert axis.upper == pytest.approx(0.6)
    assert share(axis.ticks[0].x) == MARGIN
    assert share(axis.ticks[-1].x) == 100 - MARGIN
    assert [tick.label for tick in axis.ticks] == ["−0.20", "0.00", "0.20", "0.40", "0.60"]


def test_mark_says_in_words_what_it_draws() -> None:
    axis = axis_over([0.0, 1.0])
    drawn = mark(axis, value=0.5, lower=0.25, upper=0.75, reference=0.4, level=0.95)
    assert share(drawn.x) == 50
    assert share(drawn.lower) == pytest.approx(MARGIN + 0.25 * (100 - 2 * MARGIN), abs=0.01)
    assert drawn.label == "0.50, 95% interval 0.25 to 0.75, reference 0.40"


def test_mark_without_reference_draws_none() -> None:
    drawn = mark(axis_over([0.5]), value=0.5, lower=0.4, upper=0.6, reference=None, level=0.9)
    assert drawn.reference is None
    assert "reference" not in drawn.label
