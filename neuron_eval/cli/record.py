"""``neuron-eval record``: activations of a torchvision model on a dataset, to files."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from neuron_eval.cli.console import CONSOLE, note, progress_bar, show_table
from neuron_eval.cli.options import OptionError


def record(
    output: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder of the recording; created.")
    ],
    model: Annotated[str, typer.Option(help="Name of a torchvision model, such as resnet18.")],
    layer: Annotated[
        list[str] | None,
        typer.Option(help="Qualified name of a layer; may be given several times."),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of images, taken in the order of their sorted paths."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Instead: a torchvision dataset, such as ImageFolder or CIFAR10."),
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of the dataset.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Split of the dataset, where it has several.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Pretrained weights of torchvision, such as DEFAULT, or a .safetensors file; "
            "random weights if not given."
        ),
    ] = None,
    list_layers: Annotated[
        bool, typer.Option("--list-layers", help="Print the layers of the model, and stop.")
    ] = False,
    pool: Annotated[
        Literal["avg", "max", "none", "token", "last"],
        typer.Option(help="How one number per unit is made of all positions."),
    ] = "avg",
    units: Annotated[
        Literal["auto", "second", "last"],
        typer.Option(help="Dimension that counts units, where the model does not tell."),
    ] = "auto",
    dtype: Annotated[Literal["float32", "float16"], typer.Option(help="Type on disk.")] = "float32",
    batch_size: Annotated[int, typer.Option(min=1, help="Inputs per batch.")] = 64,
    workers: Annotated[int, typer.Option(min=0, help="Processes that load inputs.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps, ...")] = "auto",
    amp: Annotated[
        bool, typer.Option("--amp", help="Automatic mixed precision, in bfloat16.")
    ] = False,
    repeated: Annotated[
        Literal["error", "first", "last"],
        typer.Option(help="Which call counts where a layer runs several times per batch."),
    ] = "error",
) -> None:
    """Record activations of several layers in one pass; goes on with a run that was cut off.

    Writes a memory-mapped .npy per layer. 'neuron-eval score FOLDER CONCEPTS --activations-key
    LAYER' reads it. The order of the inputs is that of the dataset.

        neuron-eval record out --model resnet18 --list-layers

        neuron-eval record out --model resnet18 --weights DEFAULT --layer layer4 --images val/
    """
    import pandas as pd

    from neuron_eval.activations import layer_names
    from neuron_eval.recording import record_dataset
    from neuron_eval.vision import build_model
    from neuron_eval.weight_files import load_weights

    # Weights in a file are loaded into the bare model; names are torchvision's.
    named = None if weights is None or weights.endswith(".safetensors") else weights
    if list_layers:
        for name, kind in layer_names(build_model(model)):  # without weights to fetch
            CONSOLE.print(f"{name}  ({kind})", markup=False, highlight=False)
        return
    network = build_model(model, weights=named)
    if weights is not None and named is None:
        load_weights(network, weights)
    if not layer:
        raise OptionError("--layer: found none; --list-layers prints the names.")
    inputs, source = _inputs(images, dataset, root, split, model, named)
    if weights is None:
        note(f"{model}: random weights; --weights DEFAULT takes trained ones")
    with progress_bar("recording", len(inputs)) as steps:
        recording = record_dataset(
            output,
            network,
            layer,
            inputs,
            batch_size=batch_size,
            num_workers=workers,
            # A recording is only resumed for the same model, weights and inputs.
            label=f"{model}, weights {weights}, {source}",
            pool=pool,
            units=units,
            dtype=dtype,
            device=device,
            repeated=repeated,
            amp=_bfloat16() if amp else None,
            progress=steps.to,
        )
    described = recording.describe()
    rows = [(name, *info.shape[:2], info.path.name) for name, info in described.items()]
    table = pd.DataFrame(rows, columns=["layer", "inputs", "units", "file"])
    show_table(table, f"{output}: {recording.n_inputs} inputs, pool {pool}")


def _inputs(
    images: Path | None,
    dataset: str | None,
    root: Path | None,
    split: str | None,
    model: str,
    weights: str | None,
) -> tuple[Any, str]:
    """Build the dataset that is asked for, and say what it is."""
    from neuron_eval.datasets import ImageFiles, build_dataset, default_transform, image_paths

    transform = default_transform(model, weights)
    if images is not None:
        if dataset is not None or root is not None or split is not None:
            raise OptionError("--images: takes the place of --dataset, --root and --split.")
        return ImageFiles(image_paths(images), transform), f"images of {images}"
    if dataset is None:
        raise OptionError("inputs: found none; give --images FOLDER, or --dataset and --root.")
    built = build_dataset(dataset, root, split=split, transform=transform)
    return built, f"{dataset} of {root}, split {split}"


def _bfloat16() -> Any:
    import torch

    return torch.bfloat16
