"""The published paper's two figures, and the cost curve, for any settings and methods.

Figures are made without pyplot, so that nothing global is touched and no window opens. Colours are
those of Okabe and Ito, told apart by people with any colour vision; each method has a marker too.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from estimation.checks import EstimationError
from estimation.laboratory.curves import best_redundancy
from estimation.laboratory.methods import METHODS, PRIOR_ALONE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Kind = Literal["inputs", "ratings_per_input", "ratings"]
SUFFIXES = (".png", ".svg", ".pdf")

_AXES = {
    "inputs": "Inputs rated",
    "ratings_per_input": "Ratings per input",
    "ratings": "Ratings",
}
_TITLES = {
    "inputs": "Error against number of inputs, {redundancy} ratings each",
    "ratings_per_input": "Error against ratings per input, {inputs} inputs drawn",
    "ratings": "Error against ratings bought, best redundancy",
}
_STYLES = (
    ("#888888", "o", "-"),
    ("#56B4E9", "s", "-"),
    ("#E69F00", "^", "-"),
    ("#D55E00", "D", "-"),
    ("#000000", "", ":"),
    ("#009E73", "v", "-"),
    ("#0072B2", "P", "-"),
    ("#CC79A7", "X", "-"),
)
_COLUMNS = 3


def plot_curves(
    curves: pd.DataFrame,
    *,
    kind: Kind = "ratings",
    redundancy: int = 3,
    inputs: int = 180,
    settings: Sequence[str] | None = None,
) -> "Figure":
    """Draw errors with their 95% intervals, a panel a setting.

    Parameters
    ----------
    curves : DataFrame
        As of `estimation.laboratory.curves.cost_curves`.
    kind : {"ratings", "inputs", "ratings_per_input"}
        What the error is drawn against: ratings bought, at the best redundancy; inputs rated, at
        `redundancy` ratings each; ratings an input, at `inputs` inputs drawn. Methods that choose
        the number of ratings of an input themselves are not in the last.
    redundancy, inputs : int
        See `kind`.
    settings : sequence of str, optional
        Settings to draw; all by default.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    EstimationError
        When there is nothing to draw.
    """
    from matplotlib.figure import Figure

    names = list(settings) if settings is not None else list(dict.fromkeys(curves["setting"]))
    shown = _chosen(curves[curves["setting"].isin(names)], kind, redundancy, inputs)
    rated = shown[shown["method"] != PRIOR_ALONE]
    if rated.empty:
        msg = (
            f"curves: no row has {'redundancy' if kind == 'inputs' else 'inputs'} "
            f"{redundancy if kind == 'inputs' else inputs}; run that one too"
        )
        raise EstimationError(msg)
    columns = min(_COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(5.6 * columns, 0.5 + 3.7 * rows), layout="constrained")
    panels = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    for axes, name in zip(panels, names, strict=False):
        _panel(axes, shown[shown["setting"] == name], name, kind)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    title = _TITLES[kind].format(redundancy=redundancy, inputs=inputs)
    figure.suptitle(f"{title}; bands: 95% intervals over pairs and seeds", x=0.01, ha="left")
    return figure


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    path : path
        Where to; ``.png`` (160 dots per inch), ``.svg`` or ``.pdf``.

    Raises
    ------
    EstimationError
        When the name ends otherwise.
    """
    if path.suffix not in SUFFIXES:
        msg = f"figure: found {path}, expected a name that ends in {', '.join(SUFFIXES)}"
        raise EstimationError(msg)
    figure.savefig(path, dpi=160, facecolor="white")


def _chosen(curves: pd.DataFrame, kind: Kind, redundancy: int, inputs: int) -> pd.DataFrame:
    """Keep what the figure shows, with its place on the axis as ``x``."""
    prior = curves["method"] == PRIOR_ALONE
    fixed = curves["redundancy"] > 0
    if kind == "ratings":
        kept = best_redundancy(curves)
        return kept.assign(x=kept["n_ratings"])
    if kind == "inputs":
        kept = curves[prior | ~fixed | (curves["redundancy"] == redundancy)]
        return kept.assign(x=kept["n_inputs"])
    drawn = curves["budget"] // curves["redundancy"].where(fixed, 1)
    kept = curves[prior | (fixed & (drawn == inputs))]
    return kept.assign(x=kept["redundancy"])


def _panel(axes: "Axes", curves: pd.DataFrame, name: str, kind: Kind) -> None:
    ends = []
    order = {method: place for place, method in enumerate(METHODS)}
    present = sorted(
        (str(name) for name in curves["method"].unique()), key=lambda m: order.get(m, len(order))
    )
    for method in present:
        rows = curves[curves["method"] == method]
        colour, marker, dash = _STYLES[order.get(method, len(order)) % len(_STYLES)]
        if method == PRIOR_ALONE:
            value = float(rows["error"].iloc[0])
            axes.axhline(value, color=colour, ls=dash, lw=1.3, zorder=1)
            ends.append((value, method, colour))
            continue
        points = rows.sort_values("x")
        x, y = points["x"].to_numpy(float), points["error"].to_numpy(float)
        axes.fill_between(
            x,
            points["error_lower"].to_numpy(float),
            points["error_upper"].to_numpy(float),
            color=colour,
            alpha=0.13,
            lw=0,
        )
        axes.plot(x, y, color=colour, marker=marker, ls=dash, lw=1.6, ms=4.5, zorder=3)
        ends.append((float(y[-1]), method, colour))
    axes.set_xscale("log")
    axes.set_yscale("log")
    _plain_ticks(axes, kind, sorted(curves.loc[curves["method"] != PRIOR_ALONE, "x"].unique()))
    axes.set_title(name, loc="left", fontsize=10)
    axes.set_xlabel(_AXES[kind])
    axes.set_ylabel("Absolute error" if curves["absolute"].any() else "Relative correlation error")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(color="#EEEEEE", lw=0.8)
    axes.set_axisbelow(True)
    _label_ends(axes, ends)


def _plain_ticks(axes: "Axes", kind: Kind, places: list[float]) -> None:
    """Write numbers as people do, not as powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    if kind == "ratings_per_input":
        axes.set_xticks(places, [f"{place:g}" for place in places])
        axes.xaxis.set_minor_locator(NullLocator())
        return
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _label_ends(axes: "Axes", ends: list[tuple[float, str, str]]) -> None:
    """Write each method's name beside the end of its line, names kept apart."""
    from matplotlib.colors import to_rgb

    low, high = (math.log(limit) for limit in axes.get_ylim())
    gap = 0.065
    ordered = sorted(ends)
    wanted = [(math.log(value) - low) / (high - low) for value, _, _ in ordered]
    # push apart upwards, then down again from the top
    places: list[float] = []
    for place in wanted:
        places.append(max(place, places[-1] + gap) if places else max(place, 0.0))
    ceiling = 1.0
    for number in range(len(places) - 1, -1, -1):
        places[number] = min(places[number], ceiling)
        ceiling = places[number] - gap
    for place, (_, method, colour) in zip(places, ordered, strict=True):
        axes.annotate(
            method,
            (1.02, place),
            xycoords="axes fraction",
            va="center",
            fontsize=8.5,
            # letters are thinner than lines: darker, to be read on white
            color=tuple(0.75 * part for part in to_rgb(colour)),
            annotation_clip=False,
        )
