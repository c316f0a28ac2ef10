"""Torchvision's image datasets: how each takes its split, and why others are left out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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
