"""Datasets by name, their labels, and batches in a fixed order."""

import importlib
import os
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset

from neuron_eval.batches import DatasetError, dataset_batches
from neuron_eval.datasets import (
    ImageFiles,
    build_dataset,
    dataset_labels,
    default_transform,
    image_paths,
)
from neuron_eval.image_datasets import IMAGE_DATASETS
from neuron_eval.vision import VisionError, import_torchvision


def _torchvision(module):
    return importlib.import_module(f"{import_torchvision().__name__}.{module}")


def _image(path, shade):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 6), (shade, 0, 0)).save(path)


def _tensor(image):
    return torch.tensor(np.asarray(image), dtype=torch.float32).permute(2, 0, 1)


def _shade(image):
    return int(_tensor(image)[0, 0, 0])


@pytest.fixture
def folders(tmp_path):
    """Two classes, written in an order that is not that of their names."""
    for shade, name in ((3, "b/0.png"), (2, "a/2.png"), (0, "a/0.png"), (1, "a/1.png")):
        _image(tmp_path / "classes" / name, shade)
    return tmp_path / "classes"


# --- building ----------------------------------------------------------------------------------


def test_image_folder(folders):
    dataset = build_dataset("ImageFolder", folders, transform=_tensor)
    (batch,) = dataset_batches(dataset)
    assert batch.shape == (4, 3, 6, 6)
    assert batch[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert dataset_labels(dataset).tolist() == [0, 0, 0, 1]


def test_fake_data_has_no_folder():
    dataset = build_dataset("FakeData", None, size=5, num_classes=3, image_size=(3, 4, 4))
    assert len(dataset) == 5
    assert dataset_labels(dataset).tolist() == [dataset[place][1] for place in range(5)]
    with pytest.raises(DatasetError, match="root: FakeData has no folder, found 'there'"):
        build_dataset("FakeData", "there")


def _idx(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    head = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    path.write_bytes(head + values.astype(np.uint8).tobytes())


def test_splits_of_a_class_that_takes_train(tmp_path):
    for part, labels in (("train", [3, 1, 2]), ("t10k", [7])):
        images = np.zeros((len(labels), 28, 28))
        _idx(tmp_path / f"MNIST/raw/{part}-images-idx3-ubyte", images)
        _idx(tmp_path / f"MNIST/raw/{part}-labels-idx1-ubyte", np.array(labels))
    assert dataset_labels(build_dataset("MNIST", tmp_path, split="train")).tolist() == [3, 1, 2]
    assert dataset_labels(build_dataset("MNIST", tmp_path, split="test")).tolist() == [7]
    with pytest.raises(DatasetError, match=r"split: found None, expected one of .*: train, test"):
        build_dataset("MNIST", tmp_path)
    with pytest.raises(DatasetError, match=r"split: found 'val', expected one of .*: train, test"):
        build_dataset("MNIST", tmp_path, split="val")


def _dtd(root):
    for name in ("banded/banded_0.jpg", "dotted/dotted_0.jpg", "dotted/dotted_1.jpg"):
        _image(root / "dtd/dtd/images" / name, 1)
    (root / "dtd/dtd/labels").mkdir()
    for split, names in (
        ("val1", ["dotted/dotted_0.jpg", "banded/banded_0.jpg"]),
        ("val2", ["dotted/dotted_1.jpg", "dotted/dotted_0.jpg"]),
    ):
        (root / f"dtd/dtd/labels/{split}.txt").write_text("\n".join(names))
    return {"split": "val"}, [1, 0]


def _pets(root):
    lines = []
    for name, kind in (("Abyssinian_1", 1), ("beagle_1", 2), ("beagle_2", 2)):
        _image(root / f"oxford-iiit-pet/images/{name}.jpg", 1)
        lines.append(f"{name} {kind} {kind} 1")
    (root / "oxford-iiit-pet/annotations").mkdir()
    (root / "oxford-iiit-pet/annotations/test.txt").write_text("\n".join(lines[::-1]))
    return {"split": "test"}, [1, 1, 0]


def _eurosat(root):
    for name in ("Forest/Forest_1.jpg", "River/River_1.jpg", "Forest/Forest_2.jpg"):
        _image(root / "eurosat/2750" / name, 1)
    return {}, [0, 0, 1]


def _gtsrb(root):
    for name in ("00000/0.ppm", "00001/0.ppm"):
        _image(root / "gtsrb/GTSRB/Training" / name, 1)
    return {"split": "train"}, [0, 1]


def _sun(root):
    where = root / "SUN397"
    for name in ("b/bar/sun_1.jpg", "a/abbey/sun_2.jpg", "a/abbey/sun_1.jpg"):
        _image(where / name, 1)
    (where / "ClassName.txt").write_text("/a/abbey\n/b/bar\n")
    return {}, [0, 0, 1]


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("DTD", _dtd),
        ("OxfordIIITPet", _pets),
        ("EuroSAT", _eurosat),
        ("GTSRB", _gtsrb),
        ("SUN397", _sun),
    ],
)
def test_labels_are_those_of_the_items_and_load_no_image(tmp_path, name, write, monkeypatch):
    options, expected = write(tmp_path)
    dataset = build_dataset(name, tmp_path, transform=_tensor, **options)
    assert [dataset[place][1] for place in range(len(dataset))] == expected
    assert sum(len(batch) for batch in dataset_batches(dataset)) == len(expected)

    def opened(*_arguments, **_options):
        raise AssertionError("an image was opened")

    monkeypatch.setattr(Image, "open", opened)
    labels = dataset_labels(dataset)
    assert labels.dtype == np.int64
    assert labels.tolist() == expected


def test_options_and_label_kinds(tmp_path):
    options, _ = _dtd(tmp_path)
    other = build_dataset("DTD", tmp_path, partition=2, **options)
    assert dataset_labels(other).tolist() == [other[0][1], other[1][1]] == [0, 0]
    with pytest.raises(DatasetError, match=r"DTD has no option 'small'; it has loader, partition"):
        build_dataset("DTD", tmp_path, small=True, **options)
    options, _ = _pets(tmp_path)
    binary = build_dataset("OxfordIIITPet", tmp_path, target_types="binary-category", **options)
    assert dataset_labels(binary).tolist() == [binary[place][1] for place in range(3)] == [1, 1, 0]
    both = build_dataset(
        "OxfordIIITPet", tmp_path, target_types=["category", "binary-category"], **options
    )
    with pytest.raises(DatasetError, match=r"label of input 0 is .*take another target_type"):
        dataset_labels(both)


def test_what_the_file_system_lists_is_sorted(tmp_path, monkeypatch):
    options, _ = _sun(tmp_path)
    listed = os.scandir

    class Backwards:
        def __init__(self, path="."):
            with listed(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_error):
            return None

        def __iter__(self):
            return iter(self.entries)

    forwards = build_dataset("SUN397", tmp_path, **options)
    monkeypatch.setattr(os, "scandir", Backwards)
    backwards = build_dataset("SUN397", tmp_path, **options)
    names = [
        [dataset.dataset._image_files[place].name for place in dataset.indices]
        for dataset in (forwards, backwards)
    ]
    assert names[0] == names[1] == ["sun_1.jpg", "sun_2.jpg", "sun_1.jpg"]
    assert dataset_labels(backwards).tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cifar10", {}, "no image dataset 'cifar10'; did you mean 'CIFAR10'"),
        ("Places", {"split": "val"}, "no image dataset 'Places'; did you mean 'Places365'"),
        ("__doc__", {}, "no image dataset '__doc__'"),
        ("wrap_dataset_for_transforms_v2", {}, "no image dataset"),
        ("Kinetics", {}, "torchvision's Kinetics cannot be used: its items are videos"),
        ("LSUN", {}, "LSUN cannot be used: torchvision unpickles"),
        ("ImageFolder", {"split": "val"}, "split: ImageFolder has no splits, found 'val'"),
        ("ImageFolder", {"download": True}, "download: torchvision cannot fetch ImageFolder"),
        ("ImageFolder", {}, r"cannot build ImageFolder from .*ImageFiles"),
        ("ImageNet", {"split": "test"}, "expected one of those of ImageNet: train, val"),
        ("CIFAR10", {"split": "test"}, "cannot build CIFAR10 from"),
        ("SEMEION", {}, "cannot build SEMEION from"),
        ("Places365", {"split": "val"}, "cannot build Places365 from"),
        ("FakeData", {}, "root: FakeData has no folder"),
    ],
)
def test_datasets_that_cannot_be_built(tmp_path, name, options, message):
    with pytest.raises(DatasetError, match=message):
        build_dataset(name, tmp_path, **options)


def test_folders_that_are_not_there(tmp_path):
    for download in (False, True):
        with pytest.raises(DatasetError, match=r"root: .*nowhere is no folder|cannot fetch"):
            build_dataset("ImageFolder", tmp_path / "nowhere", download=download)
    with pytest.raises(DatasetError, match=r"is no folder, expected that of SVHN.*download=True"):
        build_dataset("SVHN", tmp_path / "nowhere", split="train")
    with pytest.raises(DatasetError, match="root: found None, expected the folder of SVHN"):
        build_dataset("SVHN", None, split="train")


def test_nothing_is_fetched_unasked(tmp_path, monkeypatch):
    asked = []
    for name in IMAGE_DATASETS:
        build = getattr(_torchvision("datasets"), name)
        if hasattr(build, "download"):
            monkeypatch.setattr(build, "download", lambda _self, name=name: asked.append(name))
    needed = {"CocoCaptions": "annFile", "CocoDetection": "annFile"}
    needed |= {"Flickr8k": "ann_file", "Flickr30k": "ann_file"}
    for name, kind in IMAGE_DATASETS.items():
        options = {needed[name]: str(tmp_path / "none.json")} if name in needed else {}
        for split in kind.splits or (None,):
            if name in ("FakeData", "ImageFolder"):
                continue
            if name.startswith("VOC") and split == "test":
                options["year"] = "2007"  # the only year with a public test split
            # Whatever is missing, no class complains of the name of its split.
            with pytest.raises(DatasetError, match=f"{name}") as error:
                build_dataset(name, tmp_path, split=split, **options)
            assert "Unknown value" not in str(error.value), (name, split)
    assert asked == []
    with pytest.raises(DatasetError, match="CIFAR10"):
        build_dataset("CIFAR10", tmp_path / "new", split="train", download=True)
    assert asked == ["CIFAR10"]


# --- transforms and flat folders -----------------------------------------------------------------


def test_transforms_belong_to_the_weights():
    image = Image.new("RGB", (300, 280), (255, 0, 127))
    pixel = (torch.tensor([1, 0, 127 / 255]) - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor(
        [0.229, 0.224, 0.225]
    )
    for transform, size in (
        (default_transform("resnet18"), 224),
        (default_transform("resnet18", "DEFAULT"), 224),
        (default_transform("inception_v3", "IMAGENET1K_V1"), 299),
    ):
        got = transform(image)
        assert got.shape == (3, size, size)
        torch.testing.assert_close(got[:, 5, 7], pixel, atol=1e-6, rtol=0)
    with pytest.raises(VisionError, match="no model 'resnet19'"):
        default_transform("resnet19")
    with pytest.raises(VisionError, match="no weights 'X' of 'resnet18'; it has: 'IMAGENET1K_V1'"):
        default_transform("resnet18", "X")


def test_a_flat_folder(tmp_path):
    for shade, name in ((2, "b.png"), (3, "c.JPG"), (1, "a10.png"), (4, "a2.png")):
        _image(tmp_path / name, shade)
    (tmp_path / "notes.txt").write_text("no image")
    _image(tmp_path / "folder.png" / "x.png", 9)
    paths = image_paths(tmp_path)
    assert [path.name for path in paths] == ["a10.png", "a2.png", "b.png", "c.JPG"]
    (batch,) = dataset_batches(ImageFiles(paths, _tensor))
    assert batch[:3, 0, 0, 0].tolist() == [1, 4, 2]
    assert _shade(ImageFiles(paths)[1]) == 4
    with pytest.raises(DatasetError, match="ImageFiles have none"):
        dataset_labels(ImageFiles(paths))
    paths[2].write_bytes(b"broken")
    with pytest.raises(DatasetError, match=r"b\.png: cannot be read as an image"):
        list(dataset_batches(ImageFiles(paths, _tensor)))


def test_folders_without_images(tmp_path):
    with pytest.raises(DatasetError, match="no such folder"):
        image_paths(tmp_path / "nowhere")
    _image(tmp_path / "class" / "x.png", 1)
    with pytest.raises(DatasetError, match=r"no images .* build_dataset\('ImageFolder', root\)"):
        image_paths(tmp_path)


# --- labels and batches ------------------------------------------------------------------------


class Items(Dataset):
    """A dataset of the items that it is given; counts how often it is asked."""

    def __init__(self, items):
        self.items, self.asked = items, []

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        self.asked.append(index)
        return self.items[index]


def test_labels_of_other_datasets(folders):
    tensors = TensorDataset(torch.zeros(3, 1), torch.tensor([4, 5, 6]))
    own = Items([(torch.zeros(1), 7), (torch.zeros(1), torch.tensor(8))])
    assert dataset_labels(own).tolist() == [7, 8]
    assert dataset_labels(Subset(tensors, [2, 0])).tolist() == [6, 4]
    both = ConcatDataset([Subset(own, [1]), tensors])
    assert dataset_labels(both).tolist() == [8, 4, 5, 6]
    plus = build_dataset("ImageFolder", folders, target_transform=lambda label: label + 10)
    assert dataset_labels(plus).tolist() == [plus[place][1] for place in range(4)]

    class Relabelled(_torchvision("datasets").ImageFolder):
        def __getitem__(self, index):
            return super().__getitem__(index)[0], 9

    assert dataset_labels(Relabelled(folders)).tolist() == [9] * 4


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([torch.zeros(1)], "input 0 is a Tensor, expected a tuple"),
        ([(torch.zeros(1),)], "input 0 is a tuple, expected a tuple"),
        ([(0, 1), (0, None)], "label of input 1 is None"),
        ([(0, 1.5)], r"label of input 0 is 1\.5"),
        ([(0, "cat")], "label of input 0 is 'cat'"),
        ([(0, torch.tensor([1, 2]))], r"label of input 0 is tensor\(\[1, 2\]\)"),
    ],
)
def test_labels_that_are_none(items, message):
    with pytest.raises(DatasetError, match=message):
        dataset_labels(Items(items))


@given(n_inputs=st.integers(1, 9), start=st.integers(0, 9), size=st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_batches_go_on_from_any_input(n_inputs, start, size):
    start = min(start, n_inputs)
    dataset = Items([(torch.tensor([float(place)]), "label") for place in range(n_inputs)])
    batches = list(dataset_batches(dataset, start=start, batch_size=size))
    assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    places = [int(value) for batch in batches for value in batch]
    assert places == list(range(start, n_inputs)) == dataset.asked


def test_workers_give_the_same_batches(folders):
    dataset = build_dataset("ImageFolder", folders, transform=_tensor)
    alone = list(dataset_batches(dataset, start=1, batch_size=2))
    workers = list(dataset_batches(dataset, start=1, batch_size=2, num_workers=2))
    assert len(alone) == len(workers) == 2
    for one, other in zip(alone, workers, strict=True):
        assert torch.equal(one, other)


def test_items_may_be_arrays_and_mappings():
    rows = np.arange(6, dtype=">f4").reshape(3, 2)
    (batch,) = dataset_batches(Items([(row, 0) for row in rows]))
    assert torch.equal(batch, torch.arange(6.0).reshape(3, 2))
    items = [{"input_ids": torch.tensor([place]), "mask": np.ones(2)} for place in range(3)]
    (batch,) = dataset_batches(Items(items))
    assert batch["input_ids"].tolist() == [[0], [1], [2]]
    assert batch["mask"].shape == (3, 2)


class Endless(IterableDataset):
    def __iter__(self):
        return iter(())


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        (Items([torch.zeros(2), torch.zeros(3)]), {}, r"input 1 has shape \(3,\) and input 0 \(2,"),
        (Items([Image.new("RGB", (2, 2))]), {}, "input 0 is a Image, .*default_transform"),
        (Items([(torch.zeros(1), 0), ("text", 0)]), {}, "input 1 is a str, expected a tensor"),
        (Items([{"x": torch.zeros(1)}, {"y": torch.zeros(1)}]), {}, r"input 1 has the entries"),
        (Items([torch.zeros(1)]), {"start": 2}, r"start: found 2, expected a number in \[0, 1\]"),
        (Items([torch.zeros(1)]), {"batch_size": 0}, "batch_size: found 0"),
        (Items([Image.new("RGB", (2, 2))]), {"num_workers": 1}, "input 0 is a Image, expected"),
        (Endless(), {}, "Endless has no length"),
    ],
)
def test_items_that_make_no_batch(dataset, options, message):
    with pytest.raises(DatasetError, match=message):
        list(dataset_batches(dataset, **options))
