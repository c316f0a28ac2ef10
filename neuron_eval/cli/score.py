"""``neuron-eval score``: all pairs, or the explanations of one method or several."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuron_eval.cli import options as opt
from neuron_eval.cli.console import check_output, note, progress_bar, show_table, write_table

if TYPE_CHECKING:
    import pandas as pd

    from neuron_eval.explanations import Explanation
    from neuron_eval.matrices import Matrix


def score(
    activations: opt.ActivationsFile,
    concepts: opt.ConceptsFile,
    explanations: Annotated[
        list[Path] | None,
        typer.Option(
            "--explanations",
            "-e",
            help="Explanation file of a method (any format that 'explanations inspect' knows); "
            "several are compared with each other.",
        ),
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="Take the explanations of this layer only.")
    ] = None,
    metric: opt.MetricNames = None,
    alpha: opt.Alpha = None,
    threshold: opt.Threshold = None,
    binary: opt.Binary = False,
    concept_threshold: opt.ConceptThreshold = None,
    lam: opt.Lam = None,
    weights: opt.WeightsFile = None,
    texts: opt.TextsFile = None,
    activations_key: opt.ActivationsKey = None,
    concepts_key: opt.ConceptsKey = None,
    top: Annotated[
        int, typer.Option(min=1, help="Without explanations: concepts per neuron in the table.")
    ] = 3,
    matrix: Annotated[
        Path | None,
        typer.Option(help="Without explanations: write all scores, one array per metric, to .npz."),
    ] = None,
    output: opt.Output = None,
) -> None:
    """Score how well concepts or explanations describe neurons.

    Without --explanations every neuron is scored against every concept, and the best concepts are
    listed. With --explanations each explanation is scored against its own neuron, and several
    files are ranked by their mean score. Linear explanations (weighted sums of concepts) are
    scored by the metrics that can judge them; the others say "-".

        neuron-eval score activations.npy concepts.csv -m pearson_correlation -m iou --alpha 0.01

        neuron-eval score a.npy concepts.csv -e clip_dissect.csv -e milan.csv -o scores.csv
    """
    check_output(output, (".csv", ".json"))
    check_output(matrix, (".npz",))
    if matrix is not None and explanations:
        raise opt.OptionError("--matrix: goes with all pairs; leave --explanations out.")
    metrics = opt.chosen_metrics(metric, ["pearson_correlation"])
    given = opt.metric_options(alpha, threshold, binary, concept_threshold, lam)
    parameters = opt.parameters_for(metrics, given)
    a, c, names, w = opt.read_inputs(
        activations,
        concepts,
        activations_key=activations_key,
        concepts_key=concepts_key,
        texts=texts,
        weights=weights,
    )
    if explanations:
        table = _score_files(explanations, layer, a, c, names, w, metrics, parameters)
    else:
        table = _score_pairs(a, c, names, w, metrics, parameters, top, matrix)
    write_table(table, output)


def _score_pairs(
    a: "Matrix",
    c: "Matrix",
    names: list[str],
    weights: Any,
    metrics: list[str],
    parameters: dict[str, dict[str, Any]],
    top: int,
    matrix: Path | None,
) -> "pd.DataFrame":
    import numpy as np
    import pandas as pd

    from neuron_eval.scoring import score_metrics, top_concepts

    with progress_bar("scoring", None):
        scores = score_metrics(a.values, c.values, metrics, weights=weights, parameters=parameters)
    if matrix is not None:
        arrays: dict[str, Any] = {name: found.cpu().numpy() for name, found in scores.items()}
        np.savez(matrix, **arrays)
        note(f"wrote {matrix}")
    tables = []
    for name, found in scores.items():
        table = top_concepts(found, top, names)
        tables.append(table.assign(metric=name))
        show_table(table, f"{name}: best concepts per neuron", most=20 * top)
        undefined = int(found.isnan().sum())
        if undefined:
            note(
                f"{name}: {undefined} of {found.numel()} scores are undefined (see docs/metrics.md)"
            )
    return pd.concat(tables, ignore_index=True)[["metric", "unit", "rank", "concept", "score"]]


def _score_files(
    paths: list[Path],
    layer: str | None,
    a: "Matrix",
    c: "Matrix",
    names: list[str],
    weights: Any,
    metrics: list[str],
    parameters: dict[str, dict[str, Any]],
) -> "pd.DataFrame":
    import pandas as pd

    from neuron_eval.scoring import score_explanations

    tables = []
    for path in paths:
        found, texts = _read(path, layer, names)
        table = score_explanations(
            a.values, c.values, found, metrics, weights=weights, parameters=parameters
        )
        table.insert(0, "method", path.stem)
        table.insert(2, "explanation", texts)
        tables.append(table)
    scored = pd.concat(tables, ignore_index=True)
    if len(paths) == 1:
        show_table(scored.drop(columns="method"), f"{paths[0].name}: scores", most=40)
    show_table(_leaderboard(scored, metrics), "Mean score over neurons (standard error)")
    return scored


def _read(path: Path, layer: str | None, names: list[str]) -> tuple[list["Explanation"], list[str]]:
    """Read a file, keep what has columns in the concept matrix, and say what was left out."""
    from neuron_eval.explanation_files import match_concepts, read_explanations

    file = read_explanations(path)
    note(f"{path.name}: {file.format}, {len(file.explanations)} explanations")
    told = [e for e in file.explanations if layer is None or e.layer in (None, layer)]
    layers = sorted({e.layer for e in told if e.layer})
    if len(layers) > 1:
        raise opt.OptionError(
            f"{path}: holds explanations of the layers {', '.join(layers)}; choose one with "
            "--layer, that of ACTIVATIONS."
        )
    matched, unmatched = match_concepts(told, names)
    if unmatched:
        examples = ", ".join(repr(text) for text in dict.fromkeys(t for _, t in unmatched[:3]))
        note(f"{path.name}: {len(unmatched)} left out, their concepts have no column ({examples})")
    if not matched:
        raise opt.OptionError(
            f"{path}: none of its {len(told)} explanations uses concepts of the matrix only; give "
            "their texts with --texts, or add their concept vectors."
        )
    return matched, [_text(e, names) for e in matched]


def _text(explanation: "Explanation", names: list[str]) -> str:
    if explanation.formula is not None:
        return explanation.formula.text(names)
    if len(explanation.terms) == 1 and explanation.terms[0].weight == 1:
        return names[explanation.terms[0].concept]
    return " + ".join(f"{term.weight:.3g} {names[term.concept]}" for term in explanation.terms)


def _leaderboard(scored: "pd.DataFrame", metrics: list[str]) -> "pd.DataFrame":
    import pandas as pd

    rows = []
    for method, table in scored.groupby("method", sort=False):
        row: dict[str, Any] = {"method": method, "neurons": table["unit"].nunique()}
        per_neuron = table.groupby("unit")[metrics].mean()
        for name in metrics:
            values = per_neuron[name].dropna()
            error = values.std() / len(values) ** 0.5 if len(values) > 1 else float("nan")
            row[name] = float(values.mean()) if len(values) else float("nan")
            row[f"{name} (se)"] = error
        rows.append(row)
    return pd.DataFrame(rows).sort_values(metrics[0], ascending=False, na_position="last")
