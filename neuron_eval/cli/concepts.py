"""``neuron-eval concepts``: concept vectors from class labels, or from an image-text model."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from neuron_eval.cli.console import note, progress_bar, show_table

if TYPE_CHECKING:
    from neuron_eval.concepts import FloatArray

app = typer.Typer(
    help="Concept vectors: P(concept | input) for every probe input.", no_args_is_help=True
)

MatrixOutput = Annotated[
    Path,
    typer.Option("--output", "-o", help="Write the matrix to this .csv, .npy, .parquet or .tsv."),
]


@app.command()
def labels(
    classes_of_inputs: Annotated[
        Path,
        typer.Argument(
            metavar="LABELS",
            help="Class of every probe input, whole numbers from 0 (-1 for none): .npy, .csv, ...",
        ),
    ],
    output: MatrixOutput,
    classes: Annotated[
        Path, typer.Option("--classes", help="Names of the classes, one per line, in order.")
    ],
    hierarchy: Annotated[
        Path | None,
        typer.Option(help='JSON of superclasses: {"dog": [151, 152, ...], ...}, class numbers.'),
    ] = None,
    number_repeated: Annotated[
        bool,
        typer.Option(
            "--number-repeated",
            help="Tell classes of the same name apart by a number; they are an error otherwise.",
        ),
    ] = False,
) -> None:
    """Make one concept of every class, and of every superclass.

    neuron-eval concepts labels labels.npy --classes names.txt -o concepts.csv
    """
    from neuron_eval.hierarchy import class_concepts, read_hierarchy
    from neuron_eval.matrix_files import read_vector
    from neuron_eval.text_files import read_texts

    names = read_texts(classes, unique=not number_repeated)
    groups = None if hierarchy is None else read_hierarchy(hierarchy, n_classes=len(names))
    texts, vectors = class_concepts(
        read_vector(classes_of_inputs),
        names,
        groups,
        repeated="number" if number_repeated else "error",
    )
    _write(output, vectors.numpy(), texts)


@app.command("image-text")
def image_text(
    images: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGES", help="Folder of images, taken in the order of their sorted paths."
        ),
    ],
    output: MatrixOutput,
    texts: Annotated[Path, typer.Option("--texts", help="Texts of the concepts, one per line.")],
    model: Annotated[
        str, typer.Option(help="Folder of a saved SigLIP or CLIP model, or its name on the hub.")
    ] = "google/siglip-base-patch16-224",
    template: Annotated[
        str, typer.Option(help="The prompt; {} stands for the text.")
    ] = "This is a photo of {}.",
    calibrate: Annotated[
        Path | None,
        typer.Option(
            help="CSV with the columns input (path below IMAGES, or its number), concept (text) "
            "and label (0 or 1): a few labelled pairs that turn match scores into probabilities."
        ),
    ] = None,
    isotonic: Annotated[
        bool,
        typer.Option("--isotonic", help="Calibrate by a monotone step function, not a sigmoid."),
    ] = False,
    cache: Annotated[
        Path | None, typer.Option(help="Folder that keeps image features for the next texts.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images per batch.")] = 32,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, ...; a GPU if there is one, else the CPU.")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Never ask the hub; MODEL is on this machine.")
    ] = False,
) -> None:
    """Ask a SigLIP or CLIP model for P(concept | image).

    Needs the extra: pip install 'neuronjury[siglip]'. Without --calibrate the values are match
    scores, which rank images well but are no probabilities. A run with --cache that was cut off
    goes on where it stopped.

        neuron-eval concepts image-text images/ --texts concepts.txt --cache features -o prior.csv
    """
    from neuron_eval.calibration import fit_calibration
    from neuron_eval.datasets import image_paths
    from neuron_eval.image_text import ImageTextSource
    from neuron_eval.pairs import read_known_labels
    from neuron_eval.text_files import read_texts

    names = read_texts(texts)
    paths = image_paths(images)
    # Labels are read first: a mistake in them must not cost a run over all images.
    known = None
    if calibrate is not None:
        inputs = [str(path.relative_to(images)) for path in paths]
        known = read_known_labels(calibrate, inputs, names)
    with progress_bar("looking at images", len(paths)) as steps:
        source = ImageTextSource(
            names,
            model,
            template=template,
            device=device,
            batch_size=batch_size,
            cache=cache,
            local_files_only=offline,
            progress=steps.to,
        )
        if known is None:
            vectors = source.concept_vectors(paths)
        else:
            logits = source.logits(paths)
            kind: Literal["platt", "isotonic"] = "isotonic" if isotonic else "platt"
            vectors = fit_calibration(logits, known, kind=kind, names=names).apply(logits)
    if known is None:
        note(f"{source.kind} of the model's logits: match scores, not calibrated probabilities")
    _write(output, vectors, names)


def _write(output: Path, values: "FloatArray", texts: Sequence[str]) -> None:
    import pandas as pd

    from neuron_eval.matrix_files import write_matrix

    write_matrix(output, values, texts)
    table = pd.DataFrame({"concept": list(texts), "mean": values.mean(axis=0)})
    show_table(table, f"{values.shape[0]} inputs, {values.shape[1]} concepts", most=20)
    empty = int((values.max(axis=0) == 0).sum())
    if empty:
        note(f"{empty} concepts hold on no input; their scores will be undefined")
    note(f"wrote {output}")
