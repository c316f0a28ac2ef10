import numpy as np
import pytest

from benchmarks.paired import average_over, paired_difference


def test_what_both_methods_share_leaves_the_interval():
    luck = np.random.default_rng(0).normal(0, 10, 8)
    better = paired_difference([luck + 0.5, luck + 0.1], [luck, luck])
    assert better.mean == pytest.approx(0.3)
    assert better.half_width == pytest.approx(0, abs=1e-9)
    assert better.n == 8


def test_the_interval_is_that_of_the_mean_of_sets():
    a, b = np.array([0.0, 2.0, 1.0, 5.0]), np.array([3.0, 1.0])
    got = paired_difference([a, b], [np.zeros(4), np.zeros(2)])
    error = np.sqrt(a.var(ddof=1) / 4 + b.var(ddof=1) / 2) / 2
    assert got.mean == pytest.approx((a.mean() + b.mean()) / 2)
    assert got.half_width == pytest.approx(1.96 * error)


def test_a_slow_method_is_compared_on_the_subsets_it_saw():
    got = paired_difference([np.array([1.0, 1.0, 100.0])], [np.array([0.0, 1.0])])
    assert (got.mean, got.n) == (0.5, 2)


def test_no_interval_from_one_subset_and_none_needed_for_all_ratings():
    one = paired_difference([np.array([1.0, 2.0])], [np.array([0.0])])
    assert np.isnan(one.half_width)
    everything = paired_difference([np.array([1.0])], [np.array([0.0])])
    assert everything.half_width == 0


def test_ways_to_draw_are_averaged_subset_by_subset():
    some, everything = [np.array([1.0, 3.0])], [np.array([5.0])]
    (average,) = average_over([some, everything])
    np.testing.assert_allclose(average, [3.0, 4.0])


def test_the_number_of_sets_must_agree():
    with pytest.raises(ValueError, match="zip"):
        paired_difference([np.zeros(2)], [])
