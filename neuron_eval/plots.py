"""Pictures of results: sanity checks, meta-evaluation, ablation, agreement of metrics.

Figures are made without pyplot, so that nothing global is touched and no window opens. Colours are
those of Okabe and Ito, told apart by people with any colour vision and in grey.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from neuron_eval.sanity.results import PASS_THRESHOLD, TESTS
from neuron_eval.validation import InputError

_BLUE, _ORANGE, _GREEN, _RED, _GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#666666"
_TEST_STYLE = {"missing": (_BLUE, "o"), "extra": (_ORANGE, "s")}
_VERDICT_STYLE = {"pass": _GREEN, "fail": _RED, "too close to call": _GREY}
_ROW_INCHES = 0.27
_SUFFIXES = (".png", ".svg", ".pdf")


def plot_sanity(
    table: pd.DataFrame, *, threshold: float = PASS_THRESHOLD, title: str = "Sanity checks"
) -> Figure:
    """Draw the decrease accuracies of both tests, one row per metric.

    Parameters
    ----------
    table : pandas.DataFrame
        ``metric``, ``verdict``, ``missing_accuracy``, ``extra_accuracy`` in [0, 1], and, where
        there are intervals, ``..._low`` and ``..._high``; as of `SanityResult.to_frame` or
        `neuron_eval.sanity.theoretical.summarize_theory`.
    threshold : float, default 0.9
        Share that both tests must exceed; what lies above it is shaded.
    title : str
        Title.

    Returns
    -------
    matplotlib.figure.Figure
        The picture; metrics that pass are on top, then by the weaker of their two tests.

    References
    ----------
    After the overview figure of Oikarinen, Yan, Weng, ICML 2025, arXiv 2506.05774.
    """
    weaker = table[["missing_accuracy", "extra_accuracy"]].min(axis=1)
    order = (
        table.assign(_weaker=weaker, _passes=table["verdict"] != "pass")
        .sort_values(["_passes", "_weaker"], ascending=[True, False], kind="stable")
        .reset_index(drop=True)
    )
    figure, axes = _rows(len(order), title)
    rows = np.arange(len(order))
    axes.axvspan(100 * threshold, 102, color=_GREEN, alpha=0.12, lw=0)
    axes.axvline(100 * threshold, color=_GREEN, lw=1)
    axes.hlines(
        rows,
        100 * order[["missing_accuracy", "extra_accuracy"]].min(axis=1),
        100 * order[["missing_accuracy", "extra_accuracy"]].max(axis=1),
        color="#CCCCCC",
        lw=1,
        zorder=1,
    )
    for shift, test in ((-0.13, "missing"), (0.13, "extra")):
        colour, marker = _TEST_STYLE[test]
        values = 100 * order[f"{test}_accuracy"].to_numpy(float)
        error = None
        if f"{test}_low" in order:
            low, high = (100 * order[f"{test}_{side}"].to_numpy(float) for side in ("low", "high"))
            error = np.clip([values - low, high - values], 0, None)
        axes.errorbar(
            values,
            rows + shift,
            xerr=error,
            fmt=marker,
            color=colour,
            ms=5,
            lw=1.2,
            label=f"{test} labels",
            zorder=3,
        )
    for row, verdict in enumerate(order["verdict"]):
        axes.annotate(
            verdict,
            (1.01, row),
            xycoords=("axes fraction", "data"),
            va="center",
            color=_VERDICT_STYLE[verdict],
            fontsize=8,
        )
    axes.set_yticks(rows, order["metric"])
    axes.set_xlim(-2, 102)
    axes.set_xlabel("Decrease accuracy (% of draws in which the score falls)")
    _legend(axes)
    return figure


def plot_ablation(table: pd.DataFrame) -> Figure:
    """Draw decrease accuracies against the share of wrong labels, one panel per test.

    Parameters
    ----------
    table : pandas.DataFrame
        As of `neuron_eval.sanity.experimental.run_fraction_ablation`.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.
    """
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    panels: Sequence[Axes] = figure.subplots(1, 2, sharey=True)
    metrics = list(dict.fromkeys(table["metric"]))
    styles = [(marker, dash) for dash in ("-", "--", ":") for marker in "osD^vP*X"]
    colours = [_BLUE, _ORANGE, _GREEN, _RED, "#CC79A7", "#56B4E9", "#999933", "#000000"]
    for axes, test in zip(panels, TESTS, strict=True):
        for place, metric in enumerate(metrics):
            rows = table[(table["metric"] == metric) & (table["test"] == test)]
            marker, dash = styles[place % len(styles)]
            axes.plot(
                rows["fraction"],
                100 * rows["accuracy"],
                marker=marker,
                linestyle=dash,
                color=colours[place % len(colours)],
                ms=4,
                lw=1.2,
                label=metric,
            )
        axes.axhline(100 * PASS_THRESHOLD, color=_GREEN, lw=1)
        axes.set_title(f"{test} labels", loc="left", fontsize=10)
        axes.set_xlabel("Share of wrong labels")
        axes.set_ylim(-3, 103)
        _plain(axes)
    panels[0].set_ylabel("Decrease accuracy (%)")
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside right center",
        frameon=False,
        fontsize=8,
    )
    return figure


def plot_meta(table: pd.DataFrame, *, chance: float | None = None) -> Figure:
    """Draw the AUPRC of every metric with its interval, the best on top.

    Parameters
    ----------
    table : pandas.DataFrame
        As of `MetaResult.to_frame`.
    chance : float, optional
        AUPRC of random scores, drawn as a line.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.
    """
    ordered = table.sort_values("test_auprc", ascending=False, kind="stable")
    figure, axes = _rows(len(ordered), "Meta-evaluation: finding the true concepts")
    rows = np.arange(len(ordered))
    values = ordered["test_auprc"].to_numpy(float)
    low, high = ordered["low"].to_numpy(float), ordered["high"].to_numpy(float)
    error = np.clip(np.nan_to_num([values - low, high - values]), 0, None)
    axes.errorbar(values, rows, xerr=error, fmt="o", color=_BLUE, ms=5, lw=1.2)
    if chance is not None:
        axes.axvline(chance, color=_GREY, lw=1, ls="--", label="random scores")
        _legend(axes)
    axes.set_yticks(rows, ordered["metric"])
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("AUPRC over all (neuron, concept) pairs, 95% interval")
    return figure


def plot_agreement(table: pd.DataFrame, *, kind: Literal["order", "best"] = "order") -> Figure:
    """Draw the agreement of metrics as a matrix, like metrics beside each other.

    Parameters
    ----------
    table : pandas.DataFrame, shape (n_metrics, n_metrics)
        As of `neuron_eval.agreement.metric_agreement`.
    kind : {"order", "best"}, default "order"
        What was compared; sets range and title.

    Returns
    -------
    matplotlib.figure.Figure
        The picture; metrics are ordered by average-linkage clustering.

    Raises
    ------
    InputError
        If the table is not square with equal names.
    """
    if list(table.index) != list(table.columns):
        raise InputError("table: expected a square table with the same metrics on both sides.")
    names = list(table.index)
    if len(names) > 2:
        distance = 1 - table.fillna(0.0).to_numpy(copy=True)
        np.fill_diagonal(distance, 0.0)
        tree = hierarchy.average(squareform((distance + distance.T) / 2, checks=False))
        names = [names[leaf] for leaf in hierarchy.leaves_list(tree)]
    matrix = table.loc[names, names].to_numpy(float)
    side = 2.8 + 0.38 * len(names)
    figure = Figure(figsize=(side + 1.2, side), layout="constrained")
    axes: Axes = figure.subplots()
    low = -1.0 if kind == "order" else 0.0
    colours = "RdBu" if kind == "order" else "Blues"
    image = axes.imshow(matrix, vmin=low, vmax=1.0, cmap=colours)
    for (row, column), value in np.ndenumerate(matrix):
        # Dark cells are those near the ends of a diverging scale, or the end of a plain one.
        dark = abs(value) > 0.65 if kind == "order" else value > 0.6
        axes.annotate(
            "" if np.isnan(value) else f"{value:.2f}".replace("0.", ".").replace("1.00", "1"),
            (column, row),
            ha="center",
            va="center",
            fontsize=6.5,
            color="white" if dark else "black",
        )
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0, labelsize=8)
    title = {
        "order": "Agreement on the order of concepts (Spearman)",
        "best": "Share of neurons with the same best concept",
    }[kind]
    axes.set_title(title, loc="left", fontsize=10)
    figure.colorbar(image, shrink=0.6)
    return figure


def save_plot(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a picture to a file.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The picture.
    path : path-like
        Where to; ``.png`` (200 dots per inch), ``.svg`` or ``.pdf``.

    Raises
    ------
    InputError
        If the name ends otherwise.
    """
    target = Path(path)
    if target.suffix not in _SUFFIXES:
        raise InputError(f"plot: found {target}, expected a name that ends in .png, .svg or .pdf.")
    figure.savefig(target, dpi=200, facecolor="white")


def _rows(n_rows: int, title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8, 1.3 + _ROW_INCHES * n_rows), layout="constrained")
    axes: Axes = figure.subplots()
    axes.set_ylim(n_rows - 0.4, -0.6)
    # The legend stands between title and axes.
    axes.set_title(title, loc="left", fontsize=11, pad=22)
    _plain(axes)
    axes.tick_params(axis="y", labelsize=8)
    return figure, axes


def _plain(axes: Axes) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="x", color="#EEEEEE", lw=0.8)
    axes.tick_params(axis="y", length=0)
    axes.set_axisbelow(True)


def _legend(axes: Axes) -> None:
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        borderaxespad=0.1,
        borderpad=0.1,
        ncols=2,
        frameon=False,
        fontsize=8,
    )
