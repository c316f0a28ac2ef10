"""Image-text models from a folder or the hub, and the images that they look at."""

import hashlib
import importlib
import json
import os
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from neuron_eval.errors import NeuronEvalError
from neuron_eval.vision import import_torchvision

_INSTALL = "run pip install 'neuronjury[siglip]'"

#: Entries of a model's configuration that say nothing about what it computes.
_INCIDENTAL = frozenset({"_name_or_path", "transformers_version", "dtype", "architectures"})


class ImageTextError(NeuronEvalError):
    """An image-text model cannot be loaded, or an input or a text cannot be used."""


class ImageTower(nn.Module):
    """Images in, normalised features out."""

    def __init__(self, model: Any, names: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.names = tuple(names)

    def forward(self, *values: Tensor) -> Tensor:
        """Compute normalised features of prepared images.

        Parameters
        ----------
        *values : Tensor
            What the processor makes of images, in the order of `names`.

        Returns
        -------
        Tensor, shape (n_images, n_features), float32
            Rows of length 1.
        """
        inputs = dict(zip(self.names, values, strict=True))
        return normalised(self.model.get_image_features(**inputs))


def normalised(output: Any) -> Tensor:
    """Scale the features that a tower gives to length 1.

    Parameters
    ----------
    output : Tensor or model output with ``pooler_output``
        Features, shape (n, n_features).

    Returns
    -------
    Tensor, shape (n, n_features), float32
        Rows of length 1.
    """
    features: Tensor = output if isinstance(output, Tensor) else output.pooler_output
    return nn.functional.normalize(features.float(), dim=-1)


def _transformers() -> ModuleType:
    # transformers imports torchvision, which fails beside a CPU torch unless this goes first.
    import_torchvision()
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise ImageTextError(
            f"transformers: image-text models need this library ({error}); {_INSTALL}."
        ) from error


def load_model(name: str, *, local_files_only: bool, revision: str | None) -> tuple[Any, Any]:
    """Load an image-text model and its processor.

    Parameters
    ----------
    name : str
        Folder, or name on the hub.
    local_files_only : bool
        Never ask the hub.
    revision : str or None
        Branch, tag or commit on the hub.

    Returns
    -------
    model, processor
        Of `transformers`.

    Raises
    ------
    ImageTextError
        If `transformers` is missing, or there is no such model, or it is of another kind.
    """
    library = _transformers()
    options = {
        "local_files_only": local_files_only,
        "revision": revision,
        "trust_remote_code": False,
    }
    try:
        model, report = library.AutoModel.from_pretrained(
            name, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **options
        )
        processor = library.AutoProcessor.from_pretrained(name, **options)
    except ImportError as error:
        raise ImageTextError(
            f"model: {name!r} needs a library that is missing ({error}); {_INSTALL}."
        ) from error
    except (OSError, ValueError, KeyError) as error:
        raise ImageTextError(
            f"model: {name!r} cannot be loaded ({error}); expected a folder or hub name of an "
            "image-text model with its processor and safetensors weights."
        ) from error
    parts = [
        part
        for part in ("get_image_features", "get_text_features", "logit_scale")
        if not hasattr(model, part)
    ]
    parts += [part for part in ("image_processor", "tokenizer") if not hasattr(processor, part)]
    if parts:
        raise ImageTextError(
            f"model: {name!r} is a {type(model).__name__} with a {type(processor).__name__} and "
            f"has no {parts[0]}, expected an image-text model such as SigLIP or CLIP."
        )
    missing = sorted(report["missing_keys"])
    if missing:
        raise ImageTextError(
            f"model: {name!r} lacks {len(missing)} weights, the first is {missing[0]!r}, which "
            "would be random; expected a complete model."
        )
    return model, processor


def fingerprint(model: Any) -> str:
    """Hash what a model computes: its settings and weights, wherever they came from."""
    settings = json.dumps(_settled(model.config.to_dict()), sort_keys=True, default=str)
    digest = hashlib.sha256(settings.encode())
    for name, values in sorted(model.state_dict().items()):
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _settled(values: Any) -> Any:
    if isinstance(values, dict):
        return {str(k): _settled(v) for k, v in values.items() if k not in _INCIDENTAL}
    return values


def digest(values: Any) -> str:
    """Make a key of values that JSON can hold.

    Parameters
    ----------
    values : object
        The values.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def n_images(data: Any) -> int:
    """Count the images of a sequence or dataset.

    Parameters
    ----------
    data : sequence or dataset
        Paths, images, or a dataset of them.

    Returns
    -------
    int
        Their number.

    Raises
    ------
    ImageTextError
        If it is a single path, has no length, or is empty.
    """
    if isinstance(data, str | os.PathLike):
        raise ImageTextError(f"data: found one path, {str(data)!r}, expected a list of paths.")
    if not hasattr(data, "__len__") or not hasattr(data, "__getitem__"):
        raise ImageTextError(
            f"data: found a {type(data).__name__}, expected a sequence of images or paths, or a "
            "dataset with a length and an index."
        )
    if len(data) == 0:
        raise ImageTextError("data: found no inputs, expected at least one.")
    return len(data)


def inputs_key(data: Any, n_inputs: int) -> list[Any]:
    """Identify inputs by their files."""
    items = list(data) if isinstance(data, list | tuple) else getattr(data, "samples", None)
    paths = [item[0] if isinstance(item, tuple) else item for item in items or []]
    if len(paths) != n_inputs or not all(isinstance(path, str | os.PathLike) for path in paths):
        raise ImageTextError(
            "dataset_id: the cache cannot tell these inputs by their files; give a dataset_id "
            "that stands for these inputs in this order, such as 'imagenet-val'."
        )
    files = []
    for place, path in enumerate(paths):
        try:
            state = os.stat(path)  # noqa: PTH116
        except OSError as error:
            raise ImageTextError(f"data: input {place} cannot be read ({error}).") from error
        files.append([os.path.abspath(path), state.st_size, state.st_mtime_ns])  # noqa: PTH100
    # A torchvision dataset may change what is in its files.
    return [files, repr(getattr(data, "transform", None))]


def read_image(data: Any, place: int) -> Image.Image:
    """Open an input as an upright RGB image."""
    where = f"input {place}"
    try:
        item = data[place]
        if isinstance(item, tuple | list) and item:
            item = item[0]
        if isinstance(item, str | os.PathLike):
            where = f"input {place}, {os.fspath(item)}"
            with Image.open(item) as image:
                return _upright(image)
        if isinstance(item, np.ndarray) and item.dtype == np.uint8:
            item = Image.fromarray(item)
        if isinstance(item, Image.Image):
            return _upright(item)
    except (OSError, SyntaxError, ValueError, TypeError, Image.DecompressionBombError) as error:
        raise ImageTextError(
            f"data: {where}: no image can be decoded ({error}); replace it or leave it out."
        ) from error
    raise ImageTextError(
        f"data: {where} is a {type(item).__name__}, expected a path, a PIL image or a uint8 array "
        "(height, width, 3); leave out transforms that make tensors."
    )


def _upright(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise ValueError(f"found mode {image.mode!r}; convert it to 8 bits per channel")
    return ImageOps.exif_transpose(image).convert("RGB")
