"""The one door to torchvision.

The torchvision wheel of PyPI is linked against CUDA. Beside a CPU build of torch its compiled
operators cannot be loaded, and ``import torchvision`` then fails with "operator torchvision::nms
does not exist". Models, transforms and datasets need none of these operators, so where they
cannot be loaded this module declares their signatures before it imports torchvision. Calling
such an operator still fails, with torchvision's own clear error.

Import torchvision through `import_torchvision`, never directly.
"""

import difflib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from neuron_eval.errors import NeuronEvalError

_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_OPERATORS = ("nms", "qnms")


# Longer lists of names are cut off in messages.
_NAMED = 5


class VisionError(NeuronEvalError):
    """Torchvision is missing or has no such model, or weights do not belong to a model."""


@cache
def import_torchvision() -> ModuleType:
    """Import torchvision, with or without its compiled operators.

    Returns
    -------
    module
        ``torchvision``.

    Raises
    ------
    VisionError
        If torchvision is not installed.
    """
    if "torchvision" in sys.modules:
        return sys.modules["torchvision"]
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        raise VisionError(
            "torchvision: it is not installed; install the version that belongs to torch "
            f"{torch.__version__}."
        )
    declare_missing_operators(find_extension(Path(spec.origin).parent))
    return importlib.import_module("torchvision")


def find_extension(folder: Path) -> Path | None:
    """Find torchvision's compiled operators.

    Parameters
    ----------
    folder : pathlib.Path
        The folder of the installed package.

    Returns
    -------
    pathlib.Path or None
        The library, None where the build has none.
    """
    found = sorted(path for path in folder.glob("_C*") if path.suffix in (".so", ".pyd", ".dylib"))
    return found[0] if found else None


def declare_missing_operators(
    extension: Path | None,
    load: Callable[[Path], None] = torch.ops.load_library,
    declare: Callable[[], None] | None = None,
) -> bool:
    """Declare torchvision's operators where its compiled ones cannot be loaded.

    Parameters
    ----------
    extension : pathlib.Path or None
        The compiled operators.
    load : callable
        Loads a library into torch; raises OSError where the system cannot link it.
    declare : callable, optional
        Declares the operators' signatures.

    Returns
    -------
    bool
        True if the signatures were declared, False if the compiled operators were loaded.
    """
    if extension is not None:
        try:
            load(extension)
        except OSError:
            pass  # built for CUDA beside a CPU torch: the case that this module is for
        else:
            return False
    (declare or _declare_operators)()
    return True


@cache
def _library() -> Any:
    # The definitions live as long as this object; the cache keeps it.
    return torch.library.Library("torchvision", "DEF")


def _declare_operators() -> None:
    for name in _OPERATORS:
        _library().define(f"{name}{_SIGNATURE}")


def build_model(name: str, *, weights: str | None = None) -> nn.Module:
    """Build a torchvision model by name, in evaluation mode.

    Parameters
    ----------
    name : str
        Such as ``"resnet18"``.
    weights : str, optional
        Name of pretrained weights, such as ``"DEFAULT"``, which torchvision downloads; random
        weights when None. `load_weights` reads weights of your own.

    Returns
    -------
    torch.nn.Module
        The model.

    Raises
    ------
    VisionError
        If there is no such model, or it has no such weights; near matches are listed.
    """
    models = check_model(name)
    chosen = None if weights is None else model_weights(name, weights)
    model: nn.Module = models.get_model(name, weights=chosen)
    return model.eval()


def model_weights(name: str, weights: str) -> Any:
    """Look the pretrained weights of a torchvision model up; nothing is downloaded.

    Parameters
    ----------
    name : str
        Such as ``"resnet18"``.
    weights : str
        Such as ``"DEFAULT"`` or ``"IMAGENET1K_V1"``.

    Returns
    -------
    torchvision.models.WeightsEnum
        The weights; their ``transforms()`` are the preprocessing that belongs to them.

    Raises
    ------
    VisionError
        If there is no such model, or it has no such weights; near matches are listed.
    """
    kind = check_model(name).get_model_weights(name)
    known = kind.__members__
    short = weights.removeprefix(f"{kind.__name__}.")
    if short not in known:
        raise VisionError(
            f"weights: torchvision has no weights {weights!r} of {name!r}; "
            f"{near_matches(short, known, 'it has' if known else 'it has none')}"
        )
    return known[short]


def check_model(name: str) -> Any:
    """Check that torchvision has a model of this name.

    Parameters
    ----------
    name : str
        Such as ``"resnet18"``.

    Returns
    -------
    module
        ``torchvision.models``.

    Raises
    ------
    VisionError
        If there is no such model; near matches are listed.
    """
    models = importlib.import_module(f"{import_torchvision().__name__}.models")
    known = models.list_models()
    if name not in known:
        hint = near_matches(name, known, "see torchvision.models; some are")
        raise VisionError(f"model: torchvision has no model {name!r}; {hint}")
    return models


def near_matches(name: str, known: Iterable[str], otherwise: str) -> str:
    """Say which names resemble one that is not known.

    Parameters
    ----------
    name : str
        What was asked for.
    known : iterable of str
        What there is.
    otherwise : str
        What to say if nothing resembles it; the first few names are added.

    Returns
    -------
    str
        The end of a message.
    """
    names = list(known)
    by_lower = {candidate.lower(): candidate for candidate in names}
    near = difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(repr(by_lower[match]) for match in near)}?"
    return f"{otherwise}{': ' if names else ''}{_listed(names)}."


def load_weights(model: nn.Module, path: str | os.PathLike[str]) -> nn.Module:
    """Load a model's weights from a ``.safetensors`` file; pickles are never read.

    Every name and shape must agree. Tied weights may be stored once, as ``safetensors`` does.

    Parameters
    ----------
    model : torch.nn.Module
        The model; its weights are replaced.
    path : path-like
        A ``.safetensors`` file with the state dict of the model.

    Returns
    -------
    torch.nn.Module
        The same model.

    Raises
    ------
    VisionError
        If the file is missing, damaged or of another kind, or if it lacks weights, holds
        unexpected ones or some of another shape. The model is then unchanged.
    """
    source = Path(path)
    if source.suffix != ".safetensors":
        raise VisionError(
            f"{source}: found a {source.suffix or 'file without suffix'}, expected .safetensors; "
            "pickles can run code and are never loaded. Convert the weights where you trust "
            "them: safetensors.torch.save_file(state_dict, 'weights.safetensors')."
        )
    if not source.is_file():
        raise VisionError(f"{source}: no such file, expected weights; correct the path.")
    found = _read_safetensors(source)
    state = model.state_dict(keep_vars=True)
    expected = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    stored = {_memory(expected[name]) for name in found if name in expected}
    missing = [
        name
        for name, tensor in expected.items()
        if name not in found and _memory(tensor) not in stored
    ]
    unexpected = [name for name in found if name not in expected]
    kind = type(model).__name__
    if missing or unexpected:
        raise VisionError(
            f"{source}: does not hold the weights of this {kind}: {len(missing)} missing "
            f"({_listed(missing) or 'none'}), {len(unexpected)} unexpected "
            f"({_listed(unexpected) or 'none'}); load the file that belongs to the model."
        )
    for name, tensor in found.items():
        if tensor.shape != expected[name].shape:
            raise VisionError(
                f"{source}: {name!r} has shape {tuple(tensor.shape)}, expected "
                f"{tuple(expected[name].shape)} in this {kind}; build the model that the weights "
                "belong to, for example with the same number of classes."
            )
    model.load_state_dict(found, strict=False)
    return model


def _read_safetensors(source: Path) -> dict[str, Tensor]:
    try:
        safetensors = importlib.import_module("safetensors")
        reader = importlib.import_module("safetensors.torch")
    except ImportError as error:
        raise VisionError(
            f"{source}: the package safetensors is not installed; pip install safetensors."
        ) from error
    try:
        tensors: dict[str, Tensor] = reader.load_file(source)
    except (safetensors.SafetensorError, ValueError) as error:
        raise VisionError(
            f"{source}: found a damaged file ({error}), expected .safetensors; copy it again."
        ) from error
    return tensors


def _memory(tensor: Tensor) -> tuple[Any, ...]:
    """Identify tied weights; tensors without memory (empty, on the meta device) are not tied."""
    place = tensor.data_ptr()
    return (place, tensor.shape, tensor.stride()) if place else (id(tensor),)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(repr, names[:_NAMED])) + more


@dataclass(frozen=True)
class ImageDataset:
    """How one of torchvision's image datasets is built and labelled.

    Attributes
    ----------
    splits : mapping of str to dict
        What the class is called with for every split; empty where it has none.
    labels : str
        Attribute that holds the label of every input; "" where there is none.
    labels_if : tuple of str and object, optional
        An attribute and the value that it must have for `labels` to be what the items say.
    order : str
        Attribute to sort the inputs by, where torchvision leaves their order to the file system.
    """

    splits: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    labels: str = ""
    labels_if: tuple[str, Any] | None = None
    order: str = ""


def _split(*names: str, parameter: str = "split") -> dict[str, dict[str, Any]]:
    return {name: {parameter: name} for name in names}


_TRAIN: dict[str, dict[str, Any]] = {"train": {"train": True}, "test": {"train": False}}
_EMNIST = {
    f"{kind}-{part}": {"split": kind, **train}
    for kind in ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")
    for part, train in _TRAIN.items()
}
_VOC = _split("train", "val", "trainval", "test", parameter="image_set")
_INATURALIST = _split(
    *("2021_train", "2021_train_mini", "2021_valid", "2017", "2018", "2019"), parameter="version"
)

#: Torchvision's datasets of which every item is one image, alone or before its label.
IMAGE_DATASETS: dict[str, ImageDataset] = {
    "CIFAR10": ImageDataset(_TRAIN, "targets"),
    "CIFAR100": ImageDataset(_TRAIN, "targets"),
    "CLEVRClassification": ImageDataset(_split("train", "val", "test"), "_labels"),
    "Caltech101": ImageDataset({}, "y", ("target_type", ["category"])),
    "Caltech256": ImageDataset({}, "y"),
    "CelebA": ImageDataset(
        _split("train", "valid", "test", "all"), "identity", ("target_type", ["identity"])
    ),
    "CocoCaptions": ImageDataset(),
    "CocoDetection": ImageDataset(),
    "Country211": ImageDataset(_split("train", "valid", "test"), "targets"),
    "DTD": ImageDataset(_split("train", "val", "test"), "_labels"),
    "EMNIST": ImageDataset(_EMNIST, "targets"),
    "EuroSAT": ImageDataset({}, "targets"),
    "FER2013": ImageDataset(_split("train", "test"), "_samples"),
    "FGVCAircraft": ImageDataset(_split("train", "val", "trainval", "test"), "_labels"),
    "FakeData": ImageDataset(),
    "FashionMNIST": ImageDataset(_TRAIN, "targets"),
    "Flickr30k": ImageDataset(),
    "Flickr8k": ImageDataset(),
    "Flowers102": ImageDataset(_split("train", "val", "test"), "_labels"),
    "Food101": ImageDataset(_split("train", "test"), "_labels"),
    "GTSRB": ImageDataset(_split("train", "test"), "_samples"),
    "INaturalist": ImageDataset(_INATURALIST, order="index"),
    "ImageFolder": ImageDataset({}, "targets"),
    "ImageNet": ImageDataset(_split("train", "val"), "targets"),
    "Imagenette": ImageDataset(_split("train", "val"), "_samples"),
    "KMNIST": ImageDataset(_TRAIN, "targets"),
    "LFWPeople": ImageDataset(_split("10fold", "train", "test"), "targets"),
    "MNIST": ImageDataset(_TRAIN, "targets"),
    "OxfordIIITPet": ImageDataset(
        _split("trainval", "test"), "_labels", ("_target_types", ["category"])
    ),
    "PCAM": ImageDataset(_split("train", "val", "test")),
    "Places365": ImageDataset(
        _split("train-standard", "train-challenge", "val", "test"), "targets"
    ),
    "QMNIST": ImageDataset(_split("train", "test", "test10k", "test50k", "nist", parameter="what")),
    "RenderedSST2": ImageDataset(_split("train", "val", "test"), "_samples"),
    "SBU": ImageDataset(),
    "SEMEION": ImageDataset({}, "labels"),
    "STL10": ImageDataset(_split("train", "train+unlabeled", "unlabeled", "test"), "labels"),
    "SUN397": ImageDataset({}, "_labels", order="_image_files"),
    "SVHN": ImageDataset(_split("train", "test", "extra"), "labels"),
    "StanfordCars": ImageDataset(_split("train", "test"), "_samples"),
    "USPS": ImageDataset(_TRAIN, "targets"),
    "VOCDetection": ImageDataset(_VOC),
    "VOCSegmentation": ImageDataset(_VOC),
    "WIDERFace": ImageDataset(_split("train", "val", "test")),
}

_VIDEOS = "its items are videos, not images"
_SEVERAL = "its items are several images each"
_UNSORTED = "torchvision lists its files in the order of the file system, which may change"

#: Torchvision's other datasets, and why they are left out.
OTHER_DATASETS: dict[str, str] = {
    **dict.fromkeys(("HMDB51", "Kinetics", "MovingMNIST", "UCF101"), _VIDEOS),
    **dict.fromkeys(
        (
            "CREStereo", "CarlaStereo", "ETH3DStereo", "FallingThingsStereo", "FlyingChairs",
            "FlyingThings3D", "HD1K", "InStereo2k", "Kitti2012Stereo", "Kitti2015Stereo",
            "KittiFlow", "LFWPairs", "Middlebury2014Stereo", "PhotoTour", "SceneFlowStereo",
            "Sintel", "SintelStereo",
        ),
        _SEVERAL,
    ),
    **dict.fromkeys(("Cityscapes", "Kitti", "Omniglot"), _UNSORTED),
    **dict.fromkeys(("LSUN", "LSUNClass"), "torchvision unpickles a cache file for it"),
    "SBDataset": "it has no transform of the image alone",
    **dict.fromkeys(("DatasetFolder", "VisionDataset"), "it is a base class; take ImageFolder"),
}  # fmt: skip
