"""A study's report: one HTML file with everything in it, to keep, print or send.

Unlike the pages of the site it is opened from disk, so styles, scripts and figures are inside.
"""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import escape

from annotation.intervals import interval_note
from annotation.models import Estimate, EstimateRun, MethodEstimate, RunStatus, Study

# Readable on white and on near-black alike; told apart by people with any colour vision
# (Okabe and Ito's palette).
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9")
GREY = "#8a8f98"


@dataclass(frozen=True)
class RunReport:
    """One estimate run as the report shows it."""

    run: EstimateRun
    methods: list[MethodEstimate]
    estimates: list[Estimate]

    @property
    def covered(self) -> int:
        """How many intervals contain the reference score."""
        return sum(
            e.lower <= e.reference_score <= e.upper
            for e in self.estimates
            if e.reference_score is not None
        )

    @property
    def checks(self) -> list[dict[str, Any]]:
        """The Missing and Extra Labels checks, shares as per cent."""
        return [
            {
                **check,
                "tests": [
                    {name: f"{check[test][name]:.1%}" for name in ("share", "lower", "upper")}
                    for test in ("missing", "extra")
                ],
            }
            for check in self.run.sanity_checks
        ]

    @property
    def diagnostics(self) -> list[str]:
        """What the aggregation says of itself, a line a fact."""
        lines = []
        for name, value in self.run.diagnostics.items():
            inner = value if isinstance(value, dict) else {name: value}
            lines += [
                f"{key.replace('_', ' ')} {number:.4g}"
                for key, number in inner.items()
                if isinstance(number, int | float) and not isinstance(number, bool)
            ]
        return lines

    @property
    def with_reference(self) -> int:
        """How many estimates have a reference score beside them."""
        return sum(e.reference_score is not None for e in self.estimates)


def _load(run: EstimateRun) -> RunReport:
    return RunReport(
        run=run,
        methods=list(run.method_estimates.select_related("method").order_by("rank")),
        estimates=list(
            run.estimates.select_related(
                "explanation__method", "explanation__neuron__activations"
            ).prefetch_related("explanation__terms__concept")
        ),
    )


def study_report(*, study: Study, runs: list[EstimateRun]) -> str:
    """Return the report of a study as a self-contained HTML page.

    Parameters
    ----------
    study : Study
    runs : list of EstimateRun
        Finished runs; the first is the headline, the others are shown beside it.

    Raises
    ------
    ValueError
        When there is no run, or one has not finished.
    """
    if not runs:
        raise ValueError(f"Study {study.slug!r} has no estimates to report: run an estimate first.")
    unfinished = [run for run in runs if run.status != RunStatus.FINISHED]
    if unfinished:
        raise ValueError(
            f"The {unfinished[0].aggregation} run of study {study.slug!r} is "
            f"{unfinished[0].status}, not finished: wait for it, or leave it out."
        )
    reports = [_load(run) for run in runs]
    headline = reports[0]
    figures = [
        ("Mean correlation of each explanation method", _leaderboard_figure(reports)),
        ("Every explanation: neurons by methods", _scores_figure(headline)),
    ]
    if headline.with_reference:
        title = (
            f"Estimates beside the truth: {headline.covered} of {headline.with_reference} "
            "intervals hold it"
        )
        figures.insert(1, (title, _truth_figure(headline)))
    return render_to_string(
        "report/report.html",
        {
            "study": study,
            "rounds": study.sampling_rounds.filter(number__gte=2).order_by("number"),
            "headline": headline,
            "interval_note": interval_note(headline.run.aggregation),
            "reports": reports,
            "figures": [
                {"title": title, "html": _figure_html(figure, first=number == 0)}
                for number, (title, figure) in enumerate(figures)
            ],
            "made_at": timezone.now(),
            "versions": {
                name: version(name) for name in ("neuronjury", "pymc", "numpy", "torch", "django")
            },
        },
    )


def _figure_html(figure: Any, *, first: bool) -> str:
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 14, "color": GREY},
        margin={"l": 10, "r": 20, "t": 20, "b": 50},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"},
        hoverlabel={"font": {"family": "system-ui, sans-serif"}},
    )
    figure.update_xaxes(
        gridcolor="rgba(138,143,152,.25)", zerolinecolor=GREY, automargin=True, title_font_size=14
    )
    figure.update_yaxes(
        gridcolor="rgba(138,143,152,.25)", zerolinecolor=GREY, automargin=True, title_font_size=14
    )
    return str(
        figure.to_html(
            full_html=False,
            include_plotlyjs=first,  # the library once, with the first figure
            config={"displaylogo": False, "responsive": True},
        )
    )


def _interval(
    values: list[float], lower: list[float], upper: list[float], colour: str
) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [u - v for v, u in zip(values, upper, strict=True)],
        "arrayminus": [v - low for v, low in zip(values, lower, strict=True)],
        "color": colour,
        "thickness": 1.5,
        "width": 3,
    }


def _leaderboard_figure(reports: list[RunReport]) -> Any:
    from plotly import graph_objects as go

    figure = go.Figure()
    for report, colour in zip(reports, COLOURS, strict=False):
        means = [m.mean_score for m in report.methods]
        figure.add_scatter(
            x=means,
            y=[m.method.name for m in report.methods],
            mode="markers",
            orientation="h",
            name=report.run.get_aggregation_display(),
            marker={"size": 11, "color": colour},
            error_x=_interval(
                means,
                [m.lower for m in report.methods],
                [m.upper for m in report.methods],
                colour,
            ),
        )
    known = [m for m in reports[0].methods if m.reference_mean is not None]
    if known:
        figure.add_scatter(
            x=[m.reference_mean for m in known],
            y=[m.method.name for m in known],
            mode="markers",
            name="Reference labels",
            marker={"size": 13, "symbol": "diamond-open", "color": GREY, "line": {"width": 2}},
        )
    figure.update_layout(
        height=150 + 55 * max(len(reports[0].methods), 1),
        scattermode="group",
    )
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title="Pearson correlation, mean over neurons")
    return figure


def _truth_figure(report: RunReport) -> Any:
    from plotly import graph_objects as go

    figure = go.Figure()
    names = sorted({e.explanation.method.name for e in report.estimates})
    ends = [-0.1, 1.0]
    for name, colour in zip(names, COLOURS * (1 + len(names) // len(COLOURS)), strict=False):
        chosen = [
            e
            for e in report.estimates
            if e.explanation.method.name == name and e.reference_score is not None
        ]
        scores = [e.score for e in chosen]
        truth = [e.reference_score for e in chosen if e.reference_score is not None]
        ends = [min([ends[0], *scores, *truth]), max([ends[1], *scores, *truth])]
        figure.add_scatter(
            x=truth,
            y=scores,
            mode="markers",
            name=name,
            text=[_label(e) for e in chosen],
            hovertemplate="%{text}<br>reference %{x:.3f}, estimate %{y:.3f}<extra></extra>",
            marker={"size": 8, "color": colour},
            error_y=_interval(scores, [e.lower for e in chosen], [e.upper for e in chosen], colour),
        )
    figure.add_scatter(
        x=ends, y=ends, mode="lines", line={"dash": "dot", "color": GREY}, showlegend=False
    )
    figure.update_layout(height=560)
    figure.update_xaxes(title="With the reference labels")
    figure.update_yaxes(title=f"Estimated, with {report.run.level:.0%} interval")
    return figure


def _scores_figure(report: RunReport) -> Any:
    from plotly import graph_objects as go

    methods = [m.method.name for m in report.methods]
    neurons = list(dict.fromkeys(str(e.explanation.neuron) for e in report.estimates))
    cells = {(str(e.explanation.neuron), e.explanation.method.name): e for e in report.estimates}
    grid = [[cells.get((neuron, method)) for method in methods] for neuron in neurons]
    figure = go.Figure(
        go.Heatmap(
            x=methods,
            y=neurons,
            z=[[e.score if e else None for e in row] for row in grid],
            text=[[f"{e.score:.2f}" if e else "" for e in row] for row in grid],
            customdata=[[_label(e) if e else "" for e in row] for row in grid],
            texttemplate="%{text}",
            hovertemplate="%{customdata}<extra></extra>",
            colorscale="RdBu",
            zmid=0,
            zmin=-1,
            zmax=1,
            colorbar={"title": "score"},
        )
    )
    figure.update_layout(height=100 + 34 * max(len(neurons), 3))
    figure.update_yaxes(autorange="reversed")
    return figure


def _label(estimate: Estimate) -> str:
    explanation = estimate.explanation
    terms = list(explanation.terms.all())
    text = (
        terms[0].concept.text
        if len(terms) == 1
        else " + ".join(f"{t.weight:.2g} × {t.concept.text}" for t in terms)
    )
    # Plotly renders a little HTML in labels, and explanations are other people's text.
    return escape(
        f"{explanation.neuron}, {explanation.method.name}: {text} "
        f"({estimate.score:.2f}, {estimate.lower:.2f} to {estimate.upper:.2f})"
    )
