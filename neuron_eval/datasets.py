"""Probe datasets: torchvision's by name, and folders of images.

The order of a dataset is the order of the rows of its activations, so it must be the same in
every run: nothing here shuffles, and what the file system lists is sorted.
"""

import importlib
import inspect
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.utils.data import ConcatDataset, Dataset, Subset, TensorDataset

from neuron_eval.batches import DatasetError, dataset_length
from neuron_eval.image_datasets import IMAGE_DATASETS, OTHER_DATASETS, ImageDataset
from neuron_eval.vision import check_model, import_torchvision, model_weights, near_matches

_IMAGENET_MEAN = (0.485, 0.456, 0.406)

_IMAGENET_STD = (0.229, 0.224, 0.225)


class ImageFiles(Dataset[Any]):
    """Images without labels, by their paths.

    Attributes
    ----------
    paths : list of pathlib.Path
        The files, in the order of the inputs; see `image_paths`.
    transform : callable, optional
        Makes a tensor of an image (PIL, RGB), as `default_transform`.
    """

    def __init__(
        self,
        paths: Iterable[str | os.PathLike[str]],
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        self.paths = [Path(path) for path in paths]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Any:
        try:
            image = _torchvision("datasets.folder").default_loader(self.paths[index])
        except OSError as error:
            raise DatasetError(
                f"{self.paths[index]}: cannot be read as an image ({error}); replace the file, or "
                "leave it out."
            ) from error
        return image if self.transform is None else self.transform(image)


def build_dataset(
    name: str,
    root: str | os.PathLike[str] | None,
    *,
    split: str | None = None,
    transform: Callable[[Any], Any] | None = None,
    download: bool = False,
    **options: Any,
) -> Dataset[Any]:
    """Build one of torchvision's image datasets by name.

    Parameters
    ----------
    name : str
        Such as ``"ImageFolder"``, ``"CIFAR10"`` or ``"Places365"``.
    root : path-like or None
        Its folder; None for FakeData, which has none.
    split : str, optional
        Such as ``"train"``, ``"val"`` or ``"test"``; must be given where the dataset has splits.
    transform : callable, optional
        Makes a tensor of an image, as `default_transform`.
    download : bool, default False
        Fetch the dataset into `root`, where torchvision can. Nothing is fetched otherwise.
    **options
        Further parameters of the class, such as ``small=True`` for Places365.

    Returns
    -------
    torch.utils.data.Dataset
        The dataset; its items are images, or tuples that begin with one. Where torchvision
        leaves the order to the file system (SUN397, INaturalist) it is a sorted Subset.

    Raises
    ------
    DatasetError
        If there is no such dataset (near matches are listed), its folder is missing or holds
        something else, or it has no such split or option.
    VisionError
        If torchvision is not installed.

    Notes
    -----
    CIFAR10 and CIFAR100 are pickles; torchvision reads them only after comparing their checksums
    with those of the published files.
    """
    kind = _kind(name)
    build = getattr(_torchvision("datasets"), name, None)
    if build is None:
        raise DatasetError(f"dataset: this version of torchvision has no {name}; upgrade it.")
    known = _parameters(build)
    arguments = {**_split_arguments(name, kind, split), "transform": transform}
    if "root" in known:
        arguments["root"] = _root(name, root, download and "download" in known)
    elif root is not None:
        raise DatasetError(f"root: {name} has no folder, found {os.fspath(root)!r}; give None.")
    if "download" in known:
        arguments["download"] = download
    elif download:
        raise DatasetError(
            f"download: torchvision cannot fetch {name}; put it into {root} by hand, without "
            "download."
        )
    free = sorted(known - set(arguments) - {"transforms"})
    if unknown := [option for option in options if option not in free]:
        raise DatasetError(
            f"options: {name} has no option {unknown[0]!r}; it has {', '.join(free) or 'none'}."
        )
    try:
        dataset: Dataset[Any] = build(**arguments, **options)
    except ImportError as error:
        raise DatasetError(
            f"dataset: {name} needs a package that is not installed ({error}); install it."
        ) from error
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        raise DatasetError(
            f"dataset: torchvision cannot build {name} from {root} ({error}); compare the folder "
            "and the options with torchvision's page on the dataset. Images in one folder without "
            "classes: ImageFiles(image_paths(root))."
        ) from error
    if kind.order:
        keys = getattr(dataset, kind.order)
        return Subset(dataset, sorted(range(len(keys)), key=keys.__getitem__))
    return dataset


def default_transform(model_name: str, weights: str | None = None) -> Callable[[Any], Tensor]:
    """Give the preprocessing of a torchvision model.

    Parameters
    ----------
    model_name : str
        Such as ``"resnet18"``.
    weights : str, optional
        Name of the pretrained weights, such as ``"DEFAULT"``.

    Returns
    -------
    callable
        Makes a float tensor of a PIL image: what belongs to the weights, or, without weights,
        what most ImageNet models were trained with: 256 pixels, the central 224, normalised with
        mean and deviation of ImageNet.

    Raises
    ------
    VisionError
        If there is no such model, or it has no such weights.
    """
    if weights is not None:
        chosen: Callable[[Any], Tensor] = model_weights(model_name, weights).transforms()
        return chosen
    check_model(model_name)
    transforms = _torchvision("transforms")
    default: Callable[[Any], Tensor] = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize(_IMAGENET_MEAN, _IMAGENET_STD),
        ]
    )
    return default


def image_paths(folder: str | os.PathLike[str]) -> list[Path]:
    """List the images that lie directly in a folder.

    Parameters
    ----------
    folder : path-like
        The folder; its subfolders are not searched.

    Returns
    -------
    list of pathlib.Path
        Files with an image's suffix, sorted by name (by code points, on every system alike).

    Raises
    ------
    DatasetError
        If there is no such folder, or no image in it.
    """
    where = Path(folder)
    if not where.is_dir():
        raise DatasetError(f"{where}: no such folder, expected one of images; correct the path.")
    suffixes = _torchvision("datasets.folder").IMG_EXTENSIONS
    found = [path for path in where.iterdir() if path.suffix.lower() in suffixes and path.is_file()]
    if not found:
        raise DatasetError(
            f"{where}: found no images ({', '.join(suffixes)}) directly in the folder; for one "
            "folder per class use build_dataset('ImageFolder', root)."
        )
    return sorted(found, key=lambda path: path.name)


def dataset_labels(dataset: Dataset[Any]) -> npt.NDArray[np.int64]:
    """Give the label of every input, without loading images where the dataset knows them.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        A labelled dataset. The labels of torchvision's datasets, and of Subset, ConcatDataset and
        TensorDataset, are looked up; of any other, every item is loaded.

    Returns
    -------
    ndarray, shape (n_inputs,), int64
        The second element of every item.

    Raises
    ------
    DatasetError
        If there are no labels, or they are not one whole number per input.
    """
    if isinstance(dataset, Subset):
        return dataset_labels(dataset.dataset)[np.asarray(dataset.indices, dtype=np.int64)]
    if isinstance(dataset, ConcatDataset):
        return np.concatenate([dataset_labels(part) for part in dataset.datasets])
    labels = _known_labels(dataset)
    if labels is None:
        items = (dataset[place] for place in range(dataset_length(dataset)))
        labels = [_label_of(item, place) for place, item in enumerate(items)]
    return np.array([_whole(label, place) for place, label in enumerate(labels)], dtype=np.int64)


def _torchvision(module: str) -> Any:
    return importlib.import_module(f"{import_torchvision().__name__}.{module}")


def _kind(name: str) -> ImageDataset:
    if name in OTHER_DATASETS:
        raise DatasetError(
            f"dataset: torchvision's {name} cannot be used: {OTHER_DATASETS[name]}; build it "
            "yourself and give its batches."
        )
    if name not in IMAGE_DATASETS:
        hint = near_matches(name, IMAGE_DATASETS, "some are")
        raise DatasetError(f"dataset: torchvision has no image dataset {name!r}; {hint}")
    return IMAGE_DATASETS[name]


def _split_arguments(name: str, kind: ImageDataset, split: str | None) -> dict[str, Any]:
    if not kind.splits and split is not None:
        raise DatasetError(
            f"split: {name} has no splits, found {split!r}; leave it out, and give as root the "
            "folder of what you want."
        )
    if not kind.splits:
        return {}
    if split is None or split not in kind.splits:
        raise DatasetError(
            f"split: found {split!r}, expected one of those of {name}: {', '.join(kind.splits)}."
        )
    return kind.splits[split]


def _root(name: str, root: str | os.PathLike[str] | None, created: bool) -> str:
    if root is None:
        raise DatasetError(f"root: found None, expected the folder of {name}.")
    where = Path(root).expanduser()
    if not created and not where.is_dir():
        raise DatasetError(
            f"root: {where} is no folder, expected that of {name}; correct the path, or fetch the "
            "dataset with download=True where torchvision can."
        )
    return str(where)


def _parameters(build: type) -> set[str]:
    """Collect the parameters of a class; some hand ``**kwargs`` on to the one they extend."""
    names: set[str] = set()
    for base in inspect.getmro(build):
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(base).parameters.values()
        names |= {p.name for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD}
        if all(p.kind is not inspect.Parameter.VAR_KEYWORD for p in parameters):
            break
    return names


def _known_labels(dataset: Dataset[Any]) -> Sequence[Any] | None:
    """Look labels up where it is certain that they are those of the items."""
    if isinstance(dataset, TensorDataset) and len(dataset.tensors) > 1:
        return dataset.tensors[1].tolist()
    if isinstance(dataset, ImageFiles):
        raise DatasetError("labels: ImageFiles have none; take an ImageFolder.")
    # A subclass may change what the items are, so the type must be exact.
    build = type(dataset)
    kind = IMAGE_DATASETS.get(build.__name__)
    if kind is None or not kind.labels or build.__module__.split(".")[0] != "torchvision":
        return None
    if kind.labels_if is not None:
        attribute, value = kind.labels_if
        if getattr(dataset, attribute) != value:
            return None
    labels = getattr(dataset, kind.labels)
    if kind.labels == "_samples":
        labels = [label for _, label in labels]
    # Plain numbers, as the items have them; CelebA keeps a column of them.
    labels = np.asarray(labels).reshape(len(labels), -1)[:, 0].tolist()
    change = getattr(dataset, "target_transform", None)
    return labels if change is None else [change(label) for label in labels]


def _label_of(item: Any, place: int) -> Any:
    if not isinstance(item, tuple | list) or len(item) < 2:
        raise DatasetError(
            f"labels: input {place} is a {type(item).__name__}, expected a tuple (input, label); "
            "the dataset has no labels."
        )
    return item[1]


def _whole(label: Any, place: int) -> int:
    value = label
    if isinstance(label, Tensor | np.ndarray) and np.prod(label.shape) == 1:
        value = label.item()
    if not isinstance(value, int | np.integer):
        raise DatasetError(
            f"labels: the label of input {place} is {label!r:.60}, expected one whole number; "
            "take another target_type, or another split."
        )
    return int(value)
