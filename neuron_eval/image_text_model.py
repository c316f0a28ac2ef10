"""Image-text models from a folder or the hub, and their towers for images and prompts."""

import hashlib
import importlib
import json
import warnings
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
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


def has_logit_bias(model: Any) -> bool:
    """Say whether a model adds a bias to its logits, as SigLIP does and CLIP does not."""
    return getattr(model, "logit_bias", None) is not None


def prompt_tokens(model: Any, processor: Any, prompts: Sequence[str]) -> dict[str, Tensor]:
    """Turn prompts into what the text tower reads.

    Parameters
    ----------
    model, processor
        As `load_model` gives them.
    prompts : sequence of str
        The prompts; put in lower case for models with a logit bias.

    Returns
    -------
    dict of str to Tensor
        Values by the names of the model's arguments, with one row per prompt.

    Warns
    -----
    UserWarning
        If a prompt is longer than the model's context and was cut.
    """
    biased = has_logit_bias(model)
    if biased:
        prompts = [prompt.lower() for prompt in prompts]
    context = int(model.config.text_config.max_position_embeddings)
    lengths = [len(ids) for ids in processor.tokenizer(prompts)["input_ids"]]
    cut = [place for place, length in enumerate(lengths) if length > context]
    if cut:
        warnings.warn(
            f"texts: {len(cut)} prompts are longer than the {context} tokens that the model "
            f"reads and were cut, the first is {prompts[cut[0]]!r}; shorten them.",
            stacklevel=4,
        )
    return dict(
        processor.tokenizer(
            prompts,
            # SigLIP reads its answer at the last position and never saw another length.
            padding="max_length" if biased else True,
            truncation=True,
            max_length=context,
            return_tensors="pt",
        )
    )


def encode_prompts(
    model: Any, tokens: Mapping[str, Tensor], batch_size: int
) -> npt.NDArray[np.float32]:
    """Run the text tower.

    Parameters
    ----------
    model
        As `load_model` gives it.
    tokens : mapping of str to Tensor
        What `prompt_tokens` gave.
    batch_size : int
        Prompts per step.

    Returns
    -------
    ndarray, shape (n_prompts, n_features), float32
        Rows of length 1.
    """
    parts = []
    for start in range(0, len(tokens["input_ids"]), batch_size):
        batch = {
            name: values[start : start + batch_size].to(model.device)
            for name, values in tokens.items()
        }
        with torch.inference_mode():
            parts.append(normalised(model.get_text_features(**batch)).cpu())
    features: npt.NDArray[np.float32] = torch.cat(parts).numpy()
    return features


def fingerprint(model: Any) -> str:
    """Hash what a model computes: its settings and weights, wherever they came from.

    Parameters
    ----------
    model
        As `load_model` gives it.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
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
