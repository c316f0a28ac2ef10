"""``neuron-eval meta``: how well metrics find the concepts of neurons that are known."""

from pathlib import Path
from typing import Annotated

import typer

from neuron_eval.cli import options as opt
from neuron_eval.cli.console import check_output, note, progress_bar, show_table, write_table

app = typer.Typer(
    help="Meta-evaluation: which metric finds the true concepts of neurons that are known.",
    no_args_is_help=True,
)


@app.command()
def evaluate(
    activations: opt.ActivationsFile,
    concepts: opt.ConceptsFile,
    pairs: Annotated[
        Path,
        typer.Argument(
            metavar="PAIRS",
            help="CSV with the columns neuron and concept: the true concept or concepts of every "
            "neuron of ACTIVATIONS.",
        ),
    ],
    metric: opt.MetricNames = None,
    validation: Annotated[
        float, typer.Option(help="Fraction of the neurons that α and λ are tuned on.")
    ] = 0.05,
    bootstrap: Annotated[
        int, typer.Option(min=0, help="Resamples of the neurons for the interval.")
    ] = 200,
    weights: opt.WeightsFile = None,
    texts: opt.TextsFile = None,
    activations_key: opt.ActivationsKey = None,
    concepts_key: opt.ConceptsKey = None,
    seed: opt.Seed = 0,
    output: opt.Output = None,
    plot: opt.Plot = None,
) -> None:
    """Score all (neuron, concept) pairs and report how well each metric finds the true ones.

    Average precision (AUPRC) over all pairs, on neurons that did not tune the parameters, with a
    95% bootstrap interval over neurons.

        neuron-eval meta evaluate logits.npy labels.csv pairs.csv -o resnet50.json --plot meta.png
    """
    import numpy as np

    from neuron_eval.meta import evaluate_metrics
    from neuron_eval.pairs import read_pairs

    check_output(output, (".csv", ".json"))
    check_output(plot, opt.PLOT_SUFFIXES)
    metrics = opt.chosen_metrics(metric)
    a, c, names, w = opt.read_inputs(
        activations,
        concepts,
        activations_key=activations_key,
        concepts_key=concepts_key,
        texts=texts,
        weights=weights,
    )
    n_neurons = a.values.shape[1]
    truth = np.zeros((n_neurons, len(names)), dtype=bool)
    for neuron, concept in read_pairs(pairs, names):
        if neuron >= n_neurons:
            raise opt.OptionError(
                f"{pairs}: found neuron {neuron}, expected 0 to {n_neurons - 1}, a column of "
                f"{activations}."
            )
        truth[neuron, concept] = True
    with progress_bar("scoring all pairs", len(metrics)) as steps:
        result = evaluate_metrics(
            a.values,
            c.values,
            truth,
            metrics=metrics,
            weights=w,
            validation=validation,
            n_bootstrap=bootstrap,
            seed=seed,
            progress=steps.one_more,
        )
    table = result.to_frame()
    show_table(
        table[["rank", "metric", "test_auprc", "low", "high", "n_undefined", "parameters"]],
        f"AUPRC on {result.n_test} neurons ({result.n_validation} for tuning), chance "
        f"{result.chance:.4f}",
    )
    if plot is not None:
        from neuron_eval.plots import plot_meta, save_plot

        save_plot(plot_meta(table, chance=result.chance), plot)
        note(f"wrote {plot}")
    write_table(table, output)


@app.command()
def average(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="RESULT...", help="Outputs of 'meta evaluate', one per setting."),
    ],
    output: opt.Output = None,
) -> None:
    """Average AUPRC and rank of every metric over settings (models, layers, datasets).

    neuron-eval meta average resnet50.json vit.json gpt2.json
    """
    from neuron_eval.meta import average_tables, read_result

    check_output(output, (".csv", ".json"))
    table = average_tables({str(path): read_result(path) for path in results}).reset_index()
    show_table(table, f"Averages over {len(results)} settings")
    write_table(table, output)
