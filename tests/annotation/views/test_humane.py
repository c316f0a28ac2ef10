"""Numbers as a person reads them."""

import math

import pytest

from annotation.templatetags.humane import chance, grouped, humane, percent, score, seconds


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.456, "0.46"), (-0.456, "−0.46"), (-0.001, "0.00"), (1.0, "1.00"), (None, "–")],
)
def test_score(value: float | None, text: str) -> None:
    assert score(value) == text


def test_score_of_an_undefined_value_is_a_dash() -> None:
    assert score(math.nan) == "–"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0%"),
        (0.001, "<1%"),
        (0.0099, "<1%"),
        (0.01, "1%"),
        (0.42, "42%"),
        (0.99, "99%"),
        (0.996, ">99%"),
        (1.0, "100%"),
    ],
)
def test_chance_claims_certainty_only_where_there_is_certainty(value: float, text: str) -> None:
    assert chance(value) == text


def test_counts_shares_times_and_words() -> None:
    assert grouped(1234567) == "1,234,567"
    assert percent(0.755) == "76%"
    assert percent(None) == "–"
    assert seconds(2140) == "2.1 s"
    assert seconds(None) == "–"
    assert humane("model_guided") == "model guided"
