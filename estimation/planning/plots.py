"""Pictures of plans. Figures are made without pyplot, so that nothing global is touched."""

from typing import TYPE_CHECKING, Literal

from estimation.checks import EstimationError
from estimation.planning.pair_plan import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# the colours of Okabe and Ito, told apart with any colour vision; markers for grey prints
_STYLES = {
    "uniform": ("#666666", "o"),
    "top_and_random": ("#E69F00", "s"),
    "model_guided": ("#0072B2", "^"),
    "neyman": ("#009E73", "D"),
    "stratified": ("#D55E00", "v"),
}
_LABELS = {
    "rmse": "expected error (root mean square)",
    "relative_error": "expected relative error",
}


def plot_plan(
    plan: Plan,
    *,
    error: Literal["rmse", "relative_error"] = "rmse",
    target: float | None = None,
    title: str = "Expected error against budget",
) -> "Figure":
    """Draw the expected error of every design against the budget, both on logarithmic axes.

    Parameters
    ----------
    plan : Plan
        From `plan_pair` or `combine_plans`.
    error : {"rmse", "relative_error"}
        What is drawn.
    target : float, optional
        Error wanted, drawn as a line.
    title : str
        Title.

    Returns
    -------
    matplotlib.figure.Figure
        Each design at its best redundancy for the budget; the number at a point is that redundancy.

    Raises
    ------
    EstimationError
        When the error is another, or undefined.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullFormatter

    if error not in _LABELS:
        msg = f"error: {error!r} is none of {', '.join(_LABELS)}"
        raise EstimationError(msg)
    best = plan.best()
    if best[error].isna().any():
        msg = f"error: the plan has no {error}, because its scores are zero; draw the rmse"
        raise EstimationError(msg)
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    axes = figure.subplots()
    for number, (name, own) in enumerate(best.groupby("design", sort=False)):
        colour, marker = _STYLES.get(str(name), ("#000000", "x"))
        axes.plot(own["budget"], own[error], color=colour, marker=marker, ms=5, label=str(name))
        for budget, value, redundancy in zip(
            own["budget"], own[error], own["redundancy"], strict=True
        ):
            axes.annotate(
                str(redundancy),
                (budget, value),
                xytext=(0, -11 if number % 2 else 5),  # neighbours are often close
                textcoords="offset points",
                ha="center",
                fontsize=7,
                color=colour,
            )
    if target is not None:
        axes.axhline(target, color="#999999", lw=1, ls="--")
        axes.annotate(
            f"wanted: {target:g}", (1, target), xycoords=("axes fraction", "data"),
            xytext=(-4, 3), textcoords="offset points", ha="right", fontsize=8, color="#666666",
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(sorted(set(best["budget"])))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_major_formatter(plain)
    axes.yaxis.set_minor_formatter(plain)
    axes.tick_params(which="both", labelsize=8)
    axes.set_xlabel("ratings a (neuron, explanation)")
    axes.set_ylabel(_LABELS[error])
    axes.set_title(title, loc="left", fontsize=11)
    axes.grid(visible=True, which="major", color="#EEEEEE")
    axes.legend(title="design (best redundancy written at the point)", fontsize=8, title_fontsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure
