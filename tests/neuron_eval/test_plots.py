"""Pictures show the numbers that they were given, and are written in the format of their name."""

import numpy as np
import pandas as pd
import pytest

from neuron_eval.plots import plot_ablation, plot_agreement, plot_meta, plot_sanity, save_plot
from neuron_eval.sanity.theoretical import (
    run_theoretical_checks,
    summarize_theory,
    theoretical_table,
)
from neuron_eval.validation import InputError


@pytest.fixture
def sanity():
    return pd.DataFrame(
        {
            "metric": ["recall", "iou", "pearson"],
            "verdict": ["fail", "pass", "too close to call"],
            "missing_accuracy": [0.99, 0.95, 0.92],
            "missing_low": [0.95, 0.91, 0.85],
            "missing_high": [1.0, 0.97, 0.97],
            "extra_accuracy": [0.0, 0.97, np.nan],
            "extra_low": [0.0, 0.92, 0.0],
            "extra_high": [0.1, 0.99, 1.0],
        }
    )


def _labels(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def test_sanity_orders_by_verdict_and_draws_both_tests(sanity):
    axes = plot_sanity(sanity, title="Mine").axes[0]
    assert _labels(axes) == ["iou", "pearson", "recall"]
    missing, extra = (container[0].get_xdata() for container in axes.containers)
    np.testing.assert_allclose(missing, [95, 92, 99])
    np.testing.assert_allclose(extra, [97, np.nan, 0])
    assert axes.get_title(loc="left") == "Mine"
    assert [t.get_text() for t in axes.texts] == ["pass", "too close to call", "fail"]


def test_theory_is_summarized_by_its_weakest_density():
    table = theoretical_table(run_theoretical_checks(metrics=["iou", "auroc"]))
    summary = summarize_theory(table).set_index("metric")
    assert summary["verdict"].to_dict() == {"iou": "pass", "auroc": "fail"}
    extra = table[(table["metric"] == "auroc") & (table["test"] == "extra")]
    assert summary.loc["auroc", "extra_accuracy"] == extra["expected_accuracy"].min() == 0.0
    assert len(plot_sanity(summary.reset_index()).axes[0].containers) == 2


def test_meta_puts_the_best_on_top():
    table = pd.DataFrame(
        {
            "metric": ["a", "b"],
            "test_auprc": [0.2, 0.9],
            "low": [np.nan, 0.8],
            "high": [np.nan, 0.95],
        }
    )
    axes = plot_meta(table, chance=0.05).axes[0]
    assert _labels(axes) == ["b", "a"]
    np.testing.assert_allclose(axes.containers[0][0].get_xdata(), [0.9, 0.2])


def test_ablation_has_a_line_per_metric_and_a_panel_per_test():
    rows = [
        (metric, fraction, test, fraction)
        for metric in ("x", "y")
        for fraction in (0.1, 0.5)
        for test in ("missing", "extra")
    ]
    table = pd.DataFrame(rows, columns=["metric", "fraction", "test", "accuracy"])
    figure = plot_ablation(table)
    assert len(figure.axes) == 2
    lines = [line for line in figure.axes[1].lines if line.get_label() in ("x", "y")]
    assert len(lines) == 2
    np.testing.assert_allclose(lines[0].get_ydata(), [10, 50])


def test_agreement_puts_like_metrics_side_by_side():
    names = ["a", "x", "b", "y"]
    table = pd.DataFrame(0.1, index=names, columns=names)
    for one, other in (("a", "b"), ("x", "y")):
        table.loc[one, other] = table.loc[other, one] = 0.9
    np.fill_diagonal(table.values, 1.0) if table.values.flags.writeable else None
    axes = plot_agreement(table).axes[0]
    order = _labels(axes)
    assert abs(order.index("a") - order.index("b")) == 1
    assert abs(order.index("x") - order.index("y")) == 1
    drawn = axes.images[0].get_array()
    np.testing.assert_allclose(drawn, table.loc[order, order])
    with pytest.raises(InputError, match="expected a square table"):
        plot_agreement(table[["a", "x"]])


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")]
)
def test_saved_in_the_format_of_the_name(tmp_path, sanity, suffix, start):
    path = tmp_path / f"plot{suffix}"
    save_plot(plot_sanity(sanity), path)
    assert path.read_bytes().startswith(start)


def test_other_names_are_refused(tmp_path, sanity):
    with pytest.raises(InputError, match=r"expected a name that ends in .png, .svg or .pdf"):
        save_plot(plot_sanity(sanity), tmp_path / "plot.jpg")
