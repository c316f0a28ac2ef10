"""``neuron-eval explain``: baseline explanations of all neurons of a layer."""

from pathlib import Path
from typing import Annotated, Any

import typer

from neuron_eval.cli import options as opt
from neuron_eval.cli.console import note, progress_bar, show_table


def explain(
    activations: opt.ActivationsFile,
    concepts: opt.ConceptsFile,
    method: Annotated[
        str,
        typer.Option(
            help="best_iou (Network Dissection), best_auroc (INVERT), wpmi and soft_wpmi "
            "(CLIP-Dissect), sparse_linear (Linear Explanations) or random_concept."
        ),
    ] = "best_iou",
    alpha: opt.Alpha = None,
    concept_threshold: opt.ConceptThreshold = None,
    lam: opt.Lam = None,
    max_length: Annotated[
        int | None,
        typer.Option(min=1, help="best_auroc: concepts joined by AND, OR, NOT, up to this many."),
    ] = None,
    max_terms: Annotated[
        int | None, typer.Option(min=1, help="sparse_linear: most concepts in the sum.")
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Name of the layer, for the file.")] = None,
    weights: opt.WeightsFile = None,
    texts: opt.TextsFile = None,
    activations_key: opt.ActivationsKey = None,
    concepts_key: opt.ConceptsKey = None,
    seed: opt.Seed = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the explanations to this .csv or .json."),
    ] = None,
) -> None:
    """Explain every neuron by a baseline method.

    The concept vectors are labels or probabilities of a cheap model. The file that is written can
    be scored ('neuron-eval score --explanations') and put before raters.

        neuron-eval explain activations.npy labels.csv --method best_auroc --max-length 3 -o b.csv
    """
    import pandas as pd

    from neuron_eval.cli.console import check_output
    from neuron_eval.explainers import EXPLAINERS
    from neuron_eval.explanation_files import to_text_explanations, write_explanations

    check_output(output, (".csv", ".json"))
    if method not in EXPLAINERS:
        raise opt.OptionError(f"--method: found {method!r}, expected {', '.join(EXPLAINERS)}.")
    given = {
        **opt.metric_options(alpha, None, False, concept_threshold, lam),
        **{
            name: value
            for name, value in (("max_length", max_length), ("max_terms", max_terms))
            if value is not None
        },
    }
    options = _options(method, given, seed)
    a, c, names, w = opt.read_inputs(
        activations,
        concepts,
        activations_key=activations_key,
        concepts_key=concepts_key,
        texts=texts,
        weights=weights,
    )
    with progress_bar("explaining", None):
        found = EXPLAINERS[method](a.values, c.values, weights=w, **options)
    told, silent = to_text_explanations(found, names, layer=layer)
    table = pd.DataFrame(
        [
            {
                "unit": e.unit,
                "explanation": " + ".join(
                    t.text if t.weight == 1 else f"{t.weight:.3g} {t.text}" for t in e.terms
                ),
                "score": float("nan") if e.score is None else e.score,
            }
            for e in told
        ],
        columns=["unit", "explanation", "score"],
    )
    show_table(table, f"{method}: {len(told)} neurons explained", most=40)
    if silent:
        shown = ", ".join(map(str, silent[:10])) + (", ..." if len(silent) > 10 else "")
        note(f"no explanation for neuron {shown}: no concept has a defined score")
    if output is not None:
        write_explanations(output, told)
        note(f"wrote {output} ({len(told)} explanations)")


def _options(method: str, given: dict[str, Any], seed: int) -> dict[str, Any]:
    """Check that the method takes what was given; its seed is optional."""
    import inspect

    from neuron_eval.explainers import EXPLAINERS

    takes = inspect.signature(EXPLAINERS[method]).parameters
    names = {"binarization": "alpha", "lam": "lam"}
    for name in given:
        if name not in takes:
            option = names.get(name, name).replace("_", "-")
            raise opt.OptionError(f"--{option}: the method {method!r} takes none; leave it out.")
    return {**given, "seed": seed} if "seed" in takes else given
