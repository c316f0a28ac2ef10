import numpy as np
import pandas as pd
import pytest

from estimation.aggregation.encoding import encode_ratings
from estimation.ratings import (
    RatingsError,
    check_designed,
    check_ratings,
    gold_labels,
    rating_counts,
)


def table(**changes):
    columns = {"item": [0, 0, 1, 1], "rater": ["a", "b", "a", "b"], "rating": [1, 0, None, 1]}
    columns.update(changes)
    return pd.DataFrame(columns)


def test_counts_keep_cannot_tell_out_of_n_but_count_it():
    counts = rating_counts(table())
    assert counts.loc[0].to_dict() == {"n": 2, "k": 1, "n_cannot_tell": 0}
    assert counts.loc[1].to_dict() == {"n": 1, "k": 1, "n_cannot_tell": 1}


def test_counts_are_those_of_concept_and_item_where_there_are_concepts():
    frame = table(rating=[1, 0, 1, 1], concept=["x", "x", "y", "y"], item=[0, 0, 0, 0])
    counts = rating_counts(frame)
    assert counts.loc[("x", 0), "k"] == 1
    assert counts.loc[("y", 0), "k"] == 2


@pytest.mark.parametrize(
    "values", [[True, False, True, True], ["1", "0", "1", "1"], [1.0, 0, 1, 1]]
)
def test_ratings_become_float(values):
    clean = check_ratings(table(rating=values))
    assert clean["rating"].dtype == np.float64
    assert clean["rating"].tolist() == [1.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize("missing", ["item", "rater", "rating"])
def test_missing_column_is_named(missing):
    with pytest.raises(RatingsError, match=f"column '{missing}' is missing"):
        check_ratings(table().drop(columns=missing))


@pytest.mark.parametrize("bad", [2, -1, 0.5, "yes", float("inf")])
def test_other_values_are_named_with_their_row(bad):
    with pytest.raises(RatingsError, match=r"rating .* in row 2 is none of 1"):
        check_ratings(table(rating=pd.Series([1, 0, bad, 1], dtype=object)))


@pytest.mark.parametrize("check", [check_ratings, encode_ratings])
def test_what_is_no_table_of_ratings_is_named(check):
    with pytest.raises(RatingsError, match="found list, expected a pandas DataFrame"):
        check([1, 0])
    with pytest.raises(RatingsError, match="column 'rating' is there more than once"):
        check(pd.concat([table(), table()[["rating"]]], axis=1))
    with pytest.raises(RatingsError, match=r"item \[0\] in row 0 is a list"):
        check(table(item=[[0], [0], [1], [1]]))


def test_empty_table():
    with pytest.raises(RatingsError, match="empty"):
        check_ratings(table().iloc[:0])


def test_missing_rater():
    with pytest.raises(RatingsError, match="column 'rater' has no value in row 1"):
        check_ratings(table(rater=["a", None, "a", "b"]))


def test_one_rater_twice_on_one_item():
    with pytest.raises(RatingsError, match="rater 'a' rated item 0 more than once"):
        check_ratings(table(rater=["a", "a", "a", "b"]))


def test_same_item_of_two_concepts_is_no_duplicate():
    frame = table(item=[0, 0, 0, 0], concept=["x", "x", "y", "y"])
    assert len(check_ratings(frame)) == 4


def test_the_table_given_is_left_alone():
    frame = table(rating=["1", "0", None, "1"])
    before = frame.copy()
    check_ratings(frame)
    pd.testing.assert_frame_equal(frame, before)


# --- gold items, times, the design


def test_gold_labels_are_one_an_item():
    frame = table(gold=[1, None, None, None])
    assert gold_labels(frame).to_dict() == {0: 1.0}
    assert check_ratings(frame)["gold"].dtype == np.float64
    assert gold_labels(table()).empty


def test_gold_labels_of_concepts_are_apart():
    frame = table(item=[0, 0, 0, 0], concept=list("xxyy"), gold=[1, 1, 0, 0])
    assert gold_labels(frame).to_dict() == {("x", 0): 1.0, ("y", 0): 0.0}


def test_two_gold_labels_of_an_item():
    with pytest.raises(RatingsError, match="item 1 has the gold labels 0 and 1"):
        check_ratings(table(gold=[1, 1, 0, 1]))


@pytest.mark.parametrize("bad", [2, "bird", -1])
def test_gold_label_that_is_none(bad):
    with pytest.raises(RatingsError, match=r"gold label .* in row 1"):
        check_ratings(table(gold=pd.Series([1, bad, None, None], dtype=object)))


@pytest.mark.parametrize("bad", [-1, "soon", float("inf")])
def test_times_are_seconds(bad):
    with pytest.raises(RatingsError, match=r"time .* in row 2"):
        check_ratings(table(time=pd.Series([1.5, None, bad, 2], dtype=object)))
    assert check_ratings(table(time=[1, 2.5, None, 0]))["time"].tolist()[:2] == [1.0, 2.5]


def test_items_outside_the_design_are_named():
    assert len(check_designed(table(), [0, 1, 2])) == 4
    with pytest.raises(RatingsError, match=r"1 of 2 items are outside the sampling design \(1\)"):
        check_designed(table(), [0, 2])
    concepts = table(item=[0, 0, 0, 0], concept=list("xxyy"))
    with pytest.raises(RatingsError, match=r"\('y', 0\)"):
        check_designed(concepts, [("x", 0)])
