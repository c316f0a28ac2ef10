"""What the intervals of each aggregation cover, in words."""

import pytest

from annotation.intervals import interval_covers, interval_note
from annotation.models import Aggregation


def test_probabilities_of_labels_are_covered_votes_are_not() -> None:
    assert {name: interval_covers(name) for name in Aggregation.values} == {
        "majority": "sampling_error",
        "mean": "sampling_error",
        "dawid_skene": "sampling_error_and_label_uncertainty",
        "bragg": "sampling_error_and_label_uncertainty",
        "hierarchical": "sampling_error_and_label_uncertainty",
    }


@pytest.mark.parametrize("aggregation", Aggregation.values)
def test_the_note_names_the_interval_to_quote(aggregation: str) -> None:
    note = interval_note(aggregation)
    assert "to quote" in note
    assert ("sampling error alone" in note) == (interval_covers(aggregation) == "sampling_error")


def test_an_unknown_aggregation_is_refused() -> None:
    with pytest.raises(ValueError, match="guess"):
        interval_covers("guess")
