import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimation.aggregation import MeanRating
from estimation.rating_formats import (
    from_counts,
    from_crowdkit,
    from_task_probabilities,
    from_wide,
    to_agg_label,
    to_counts,
    to_crowdkit,
    to_task_probabilities,
    to_wide,
)
from estimation.ratings import RatingsError, rating_counts

YES_NO = {"yes": 1, "no": 0, "unsure": None}


@st.composite
def ratings_tables(draw, *, unsure=True):
    """Random tables: up to 6 items x 4 raters, each pair rated or not."""
    values = [None, 0.0, 1.0, "skip"] if unsure else [0.0, 1.0, "skip"]
    rows = [
        (f"i{item}", rater, value)
        for item in range(draw(st.integers(1, 6)))
        for rater in "abcd"
        if (value := draw(st.sampled_from(values))) != "skip"
    ]
    if not rows:
        rows = [("i0", "a", 1.0)]
    frame = pd.DataFrame(rows, columns=["item", "rater", "rating"]).astype({"rating": "float64"})
    return frame.sample(frac=1, random_state=draw(st.integers(0, 99))).reset_index(drop=True)


def same(left, right):
    key = [name for name in ("concept", "item", "rater") if name in left.columns]
    order = [*key, "rating"]
    pd.testing.assert_frame_equal(
        left[order].sort_values(key, ignore_index=True),
        right[order].sort_values(key, ignore_index=True),
        check_dtype=False,
    )


@settings(deadline=None, max_examples=40)
@given(ratings_tables(unsure=False))
def test_crowdkit_there_and_back(ratings):
    same(from_crowdkit(to_crowdkit(ratings)), ratings)
    words = to_crowdkit(ratings, labels=YES_NO)
    assert set(words["label"]) <= {"yes", "no"}
    same(from_crowdkit(words, labels=YES_NO), ratings)


@settings(deadline=None, max_examples=40)
@given(ratings_tables(unsure=False))
def test_wide_there_and_back(ratings):
    same(from_wide(to_wide(ratings)), ratings)


@settings(deadline=None, max_examples=40)
@given(ratings_tables())
def test_counts_there_and_back(ratings):
    counts = to_counts(ratings)
    pd.testing.assert_frame_equal(to_counts(from_counts(counts)), counts, check_dtype=False)
    pd.testing.assert_frame_equal(counts, rating_counts(ratings))


def test_concepts_survive():
    ratings = pd.DataFrame(
        {"concept": ["x", "y", "y"], "item": [0, 0, 1], "rater": list("aab"), "rating": [1, 0, 1]}
    )
    assert to_crowdkit(ratings)["task"].tolist() == [("x", 0), ("y", 0), ("y", 1)]
    assert to_wide(ratings).loc[("y", 1), "b"] == 1.0
    back = from_counts(to_counts(ratings))
    assert rating_counts(back).loc[("y", 0)].to_dict() == {"n": 1, "k": 0, "n_cannot_tell": 0}


def test_cannot_tell_goes_through_the_mapping_and_is_left_out_on_the_way_out():
    table = pd.DataFrame(
        {"task": [1, 1, 2], "worker": list("aba"), "label": ["yes", "unsure", "no"]}
    )
    ratings = from_crowdkit(table, labels=YES_NO)
    np.testing.assert_array_equal(ratings["rating"], [1.0, np.nan, 0.0])
    assert len(to_crowdkit(ratings)) == 2


def test_results_are_those_that_crowdkit_returns():
    theirs_module = pytest.importorskip("crowdkit.aggregation")
    rows = [(0, "a", 1), (0, "b", 1), (0, "c", 0), (1, "a", 0), (1, "b", 0)]
    ratings = pd.DataFrame(rows, columns=["item", "rater", "rating"])
    theirs = theirs_module.MajorityVote().fit(to_crowdkit(ratings))
    share = MeanRating().fit_predict_proba(ratings)
    pd.testing.assert_frame_equal(
        to_task_probabilities(share), theirs.probas_[[0, 1]], check_dtype=False
    )
    pd.testing.assert_series_equal(to_agg_label(share), theirs.labels_, check_dtype=False)
    pd.testing.assert_series_equal(from_task_probabilities(theirs.probas_), share)


def test_a_label_that_nobody_gave_has_probability_0():
    only = pd.DataFrame({0: [1.0, 1.0]}, index=pd.Index([5, 6], name="task"))
    assert from_task_probabilities(only).to_dict() == {5: 0.0, 6: 0.0}


def test_ties_are_never_labelled_in_silence():
    tied = pd.Series([0.5, 0.9], index=["a", "b"])
    with pytest.raises(RatingsError, match=r"exactly 0\.5"):
        to_agg_label(tied)
    assert to_agg_label(tied, tie=1).tolist() == [1, 1]


LONG = pd.DataFrame({"task": [1, 2], "worker": ["a", "a"], "label": [True, False]})


@pytest.mark.parametrize(
    ("table", "labels", "message"),
    [
        (LONG, None, "say what they mean"),
        (LONG.assign(label=["1", "0"]), None, "say what they mean"),
        (LONG.assign(label=["yes", "maybe"]), YES_NO, "label 'maybe' is not in the mapping"),
        (LONG, {True: 2, False: 0}, "mapping leads to 2"),
        (LONG.drop(columns="worker"), None, "'worker' is missing"),
        (LONG.assign(rater=1), None, "both 'worker' and 'rater'"),
        (LONG.assign(task=1), {True: 1, False: 0}, "more than once"),
    ],
)
def test_crowdkit_tables_that_cannot_be_read(table, labels, message):
    with pytest.raises(RatingsError, match=message):
        from_crowdkit(table, labels=labels)


def test_true_and_false_with_a_mapping():
    assert from_crowdkit(LONG, labels={True: 1, False: 0})["rating"].tolist() == [1.0, 0.0]


def test_a_mapping_without_way_back():
    ratings = pd.DataFrame({"item": [1], "rater": ["a"], "rating": [1]})
    with pytest.raises(RatingsError, match="2 labels of the mapping mean 1"):
        to_crowdkit(ratings, labels={"yes": 1, "yep": 1, "no": 0})


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (pd.DataFrame([[1, 0]], index=[0], columns=["a", "a"]), "rater 'a' occurs more than once"),
        (pd.DataFrame([[1], [0]], index=[3, 3], columns=["a"]), "item 3 occurs more than once"),
        (pd.DataFrame([[2.0]], columns=["a"]), "rating 2.0"),
        (pd.DataFrame([[np.nan]], columns=["a"]), "empty"),
    ],
)
def test_matrices_that_cannot_be_read(matrix, message):
    with pytest.raises(RatingsError, match=message):
        from_wide(matrix)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (pd.DataFrame({"n": [2], "k": [3]}), "k = 3"),
        (pd.DataFrame({"n": [2.5], "k": [1]}), "n = 2.5"),
        (pd.DataFrame({"n": [np.nan], "k": [1]}), "integers"),
        (pd.DataFrame({"n": [1]}), "column 'k' is missing"),
        (pd.DataFrame({"n": [1, 1], "k": [1, 1]}, index=[0, 0]), "item 0 occurs more than once"),
    ],
)
def test_counts_that_cannot_be_read(counts, message):
    with pytest.raises(RatingsError, match=message):
        from_counts(counts)


@pytest.mark.parametrize("bad", [np.nan, 1.2, -0.1])
def test_results_that_are_no_probabilities(bad):
    for convert in (to_agg_label, to_task_probabilities):
        with pytest.raises(RatingsError, match="no probability"):
            convert(pd.Series([bad]))


def test_three_labels_are_refused():
    table = pd.DataFrame([[0.2, 0.3, 0.5]], columns=["x", "y", "z"])
    with pytest.raises(RatingsError, match="one other"):
        from_task_probabilities(table)
