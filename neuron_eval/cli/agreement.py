"""``neuron-eval agreement``: how far metrics agree on the same pairs."""

from typing import Annotated, Literal

import typer

from neuron_eval.cli import options as opt
from neuron_eval.cli.console import check_output, note, progress_bar, show_table, write_table


def agreement(
    activations: opt.ActivationsFile,
    concepts: opt.ConceptsFile,
    metric: opt.MetricNames = None,
    kind: Annotated[
        Literal["order", "best"],
        typer.Option(
            help="order: rank correlation over the concepts of a neuron; best: share of neurons "
            "with the same best concept."
        ),
    ] = "order",
    alpha: opt.Alpha = None,
    threshold: opt.Threshold = None,
    binary: opt.Binary = False,
    concept_threshold: opt.ConceptThreshold = None,
    lam: opt.Lam = None,
    weights: opt.WeightsFile = None,
    activations_key: opt.ActivationsKey = None,
    concepts_key: opt.ConceptsKey = None,
    output: opt.Output = None,
    plot: opt.Plot = None,
) -> None:
    """Compare metrics: whether another one would have chosen the same explanations.

    neuron-eval agreement activations.npy concepts.csv --kind best --plot agreement.png
    """
    from neuron_eval.agreement import metric_agreement
    from neuron_eval.scoring import score_metrics

    check_output(output, (".csv", ".json"))
    check_output(plot, opt.PLOT_SUFFIXES)
    metrics = opt.chosen_metrics(metric)
    given = opt.metric_options(alpha, threshold, binary, concept_threshold, lam)
    parameters = opt.parameters_for(metrics, given)
    a, c, _, w = opt.read_inputs(
        activations,
        concepts,
        activations_key=activations_key,
        concepts_key=concepts_key,
        weights=weights,
    )
    with progress_bar("scoring", None):
        scores = score_metrics(a.values, c.values, metrics, weights=w, parameters=parameters)
        table = metric_agreement(scores, kind=kind)
    pairs = table.rename_axis("metric").reset_index()
    if len(metrics) <= 8:
        show_table(pairs, f"Agreement of metrics ({kind})")
    else:
        mean = ((table.sum(axis=1) - 1) / (len(metrics) - 1)).sort_values(ascending=False)
        summary = mean.rename("mean agreement with the others").rename_axis("metric").reset_index()
        show_table(summary, f"Agreement of {len(metrics)} metrics ({kind}); --output has all pairs")
    if plot is not None:
        from neuron_eval.plots import plot_agreement, save_plot

        save_plot(plot_agreement(table, kind=kind), plot)
        note(f"wrote {plot}")
    write_table(pairs, output)
