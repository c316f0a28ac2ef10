"""Options and inputs that several commands share."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuron_eval.errors import NeuronEvalError

if TYPE_CHECKING:
    from neuron_eval.matrices import Matrix

ActivationsFile = Annotated[
    Path,
    typer.Argument(
        metavar="ACTIVATIONS",
        help="Matrix with a row per probe input and a column per neuron "
        "(.npy, .npz, .csv, .parquet, .safetensors, or the folder of a recording).",
    ),
]
ConceptsFile = Annotated[
    Path,
    typer.Argument(
        metavar="CONCEPTS",
        help="Matrix with a row per probe input and a column per concept, values in [0, 1].",
    ),
]
ActivationsKey = Annotated[
    str | None,
    typer.Option(help="Which array of ACTIVATIONS, where it holds several (a layer, say)."),
]
ConceptsKey = Annotated[
    str | None, typer.Option(help="Which array of CONCEPTS, where it holds several.")
]
TextsFile = Annotated[
    Path | None,
    typer.Option(
        "--texts", help="Texts of the concepts, one per line, where CONCEPTS does not name them."
    ),
]
WeightsFile = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        help="Sample weight of every probe input, for example 1 / inclusion probability.",
    ),
]
MetricNames = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        "-m",
        help="Metric; may be given several times. 'neuron-eval metrics list' names them.",
    ),
]
Alpha = Annotated[
    float | None,
    typer.Option(help="The top fraction of inputs on which a neuron counts as active."),
]
Threshold = Annotated[
    float | None, typer.Option(help="A neuron counts as active above this activation instead.")
]
Binary = Annotated[
    bool, typer.Option("--binary", help="Activations are 0 or 1 already; take them as they are.")
]
ConceptThreshold = Annotated[
    float | None, typer.Option(help="A concept counts as present from this value on (0.5).")
]
Lam = Annotated[float | None, typer.Option("--lam", help="The λ of WPMI (1.0).")]
Seed = Annotated[int, typer.Option(help="Seed of everything that is drawn.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write the table to this .csv or .json.")
]
Plot = Annotated[
    Path | None, typer.Option("--plot", help="Draw a picture to this .png, .svg or .pdf.")
]
MemoryBudget = Annotated[
    int, typer.Option("--memory-mib", min=1, help="MiB for working copies of a metric.")
]

PLOT_SUFFIXES = (".png", ".svg", ".pdf")


class OptionError(NeuronEvalError):
    """Options of the command line contradict each other or do not fit the files."""


def metric_options(
    alpha: float | None = None,
    threshold: float | None = None,
    binary: bool = False,
    concept_threshold: float | None = None,
    lam: float | None = None,
) -> dict[str, Any]:
    """Turn options into parameters of metrics; those that were not given are left out.

    Parameters
    ----------
    alpha, threshold : float, optional
        How activations are binarized; at most one of the two and `binary`.
    binary : bool
        Whether they are binary already.
    concept_threshold : float, optional
        From which value on a concept is present.
    lam : float, optional
        λ of WPMI.

    Returns
    -------
    dict
        Values by name of the parameter.

    Raises
    ------
    OptionError
        If activations are to be binarized in two ways.
    """
    from neuron_eval.binarize import AlreadyBinary, Binarization, Threshold, TopFraction

    rules: list[Binarization] = []
    if alpha is not None:
        rules.append(TopFraction(alpha))
    if threshold is not None:
        rules.append(Threshold(threshold))
    if binary:
        rules.append(AlreadyBinary())
    if len(rules) > 1:
        raise OptionError("options: found two of --alpha, --threshold and --binary; choose one.")
    options: dict[str, Any] = {"binarization": rules[0]} if rules else {}
    if concept_threshold is not None:
        options["concept_threshold"] = concept_threshold
    if lam is not None:
        options["lam"] = lam
    return options


def parameters_for(metrics: Sequence[str], options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Give every metric those of the options that it takes.

    Parameters
    ----------
    metrics : sequence of str
        Names of metrics.
    options : dict
        Values by name of the parameter.

    Returns
    -------
    dict of str to dict
        Parameters per metric; metrics that take none are left out.
    """
    from neuron_eval.registry import get_metric
    from neuron_eval.scoring import options_for

    found = {name: options_for(get_metric(name), options) for name in metrics}
    return {name: own for name, own in found.items() if own}


def chosen_metrics(given: list[str] | None, default: Sequence[str] | None = None) -> list[str]:
    """List the metrics that are asked for, each checked to exist.

    Parameters
    ----------
    given : list of str or None
        Names from the command line.
    default : sequence of str, optional
        What none stands for; all metrics when None.

    Returns
    -------
    list of str
        Names.

    Raises
    ------
    UnknownMetricError
        If there is none of a name.
    """
    from neuron_eval.registry import METRICS, get_metric

    names = list(given or (METRICS if default is None else default))
    return [get_metric(name).name for name in dict.fromkeys(names)]


def read_inputs(
    activations: Path,
    concepts: Path,
    *,
    activations_key: str | None = None,
    concepts_key: str | None = None,
    texts: Path | None = None,
    weights: Path | None = None,
) -> tuple["Matrix", "Matrix", list[str], Any]:
    """Read activations, concept vectors, their texts and weights, and check that they fit.

    Parameters
    ----------
    activations, concepts : pathlib.Path
        Files of matrices.
    activations_key, concepts_key : str, optional
        Arrays in these files.
    texts : pathlib.Path, optional
        File with the texts of the concepts.
    weights : pathlib.Path, optional
        File with the weights.

    Returns
    -------
    Matrix, Matrix
        Activations and concept vectors.
    list of str
        Texts of the concepts; their column numbers where nothing names them.
    ndarray or None
        Weights.

    Raises
    ------
    NeuronEvalError
        If a file cannot be read, or the texts do not fit.
    """
    from neuron_eval.matrix_files import read_matrix, read_vector
    from neuron_eval.text_files import read_texts

    a = read_matrix(activations, key=activations_key)
    c = read_matrix(concepts, key=concepts_key)
    if len(a.values) != len(c.values):
        raise OptionError(
            f"{concepts}: found {len(c.values)} rows, expected {len(a.values)}, one per probe "
            f"input of {activations}."
        )
    n_concepts = c.values.shape[1]
    if texts is not None:
        names = list(read_texts(texts))
        if len(names) != n_concepts:
            raise OptionError(
                f"{texts}: found {len(names)} texts, expected {n_concepts}, one per column of "
                f"{concepts}."
            )
    else:
        names = [str(n) for n in (c.names if c.names is not None else range(n_concepts))]
    w = None if weights is None else read_vector(weights)
    return a, c, names, w
