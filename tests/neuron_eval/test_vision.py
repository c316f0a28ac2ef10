"""Torchvision's models and datasets by name, and weights from files."""

import importlib
import inspect
import subprocess
import sys
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import load_file, save_file, save_model
from torch import nn

from neuron_eval.image_datasets import IMAGE_DATASETS, OTHER_DATASETS
from neuron_eval.vision import (
    VisionError,
    build_model,
    declare_missing_operators,
    find_extension,
    import_torchvision,
    model_weights,
)
from neuron_eval.weight_files import load_weights


def _torchvision(module):
    return importlib.import_module(f"{import_torchvision().__name__}.{module}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet19", "no model 'resnet19'; did you mean"),
        ("ResNet-18", "no model 'ResNet-18'; did you mean 'resnet18'"),
        ("", r"no model ''; see torchvision\.models; some are: .* and \d+ more"),
        ("__class__", "no model '__class__'"),
    ],
)
def test_unknown_models(name, message):
    with pytest.raises(VisionError, match=message):
        build_model(name)


def test_unknown_weights_are_named_before_anything_is_fetched():
    with pytest.raises(VisionError, match=r"no weights 'IMAGENET1K' of 'resnet50'; did you mean"):
        build_model("resnet50", weights="IMAGENET1K")
    with pytest.raises(VisionError, match=r"no weights 'ViT_B_16_Weights\.DEFAULT' of 'resnet18'"):
        model_weights("resnet18", "ViT_B_16_Weights.DEFAULT")
    known = _torchvision("models").ResNet18_Weights.IMAGENET1K_V1
    for name in ("DEFAULT", "IMAGENET1K_V1", "ResNet18_Weights.DEFAULT"):
        assert model_weights("resnet18", name) is known


def test_weights_that_cannot_be_downloaded(tmp_path, monkeypatch):
    def no_network(*_args, **_options):
        raise URLError("no route")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    with pytest.raises(VisionError, match=r"resnet18: the weights DEFAULT could not .*no route"):
        build_model("resnet18", weights="DEFAULT")


# --- weights from files ------------------------------------------------------------------------


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))


def _copy(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_weights_come_back(model, tmp_path):
    stored = {name: torch.full_like(value, 3) for name, value in model.state_dict().items()}
    save_file(stored, tmp_path / "w.safetensors")
    assert load_weights(model, tmp_path / "w.safetensors") is model
    for name, value in model.state_dict().items():
        assert torch.equal(value, stored[name])


def test_tied_weights_may_be_stored_once(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(4, 3)
            self.head = nn.Linear(3, 4, bias=False)
            self.head.weight = self.embed.weight

    source, target = Tied(), Tied()
    save_model(source, tmp_path / "w.safetensors")
    assert len(load_file(tmp_path / "w.safetensors")) == 1
    load_weights(target, tmp_path / "w.safetensors")
    assert torch.equal(target.head.weight, source.embed.weight)
    assert target.head.weight is target.embed.weight


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("0.bias"), r"1 missing \('0\.bias'\), 0 unexpected \(none\)"),
        (lambda w: w.update(fc=torch.ones(1)), r"0 missing \(none\), 1 unexpected \('fc'\)"),
        (
            lambda w: w.update({"0.bias": torch.ones(3)}),
            r"'0\.bias' has shape \(3,\), expected \(2,\)",
        ),
        (lambda w: w.clear(), r"9 missing \('0\.weight', .* and 4 more\)"),
    ],
)
def test_weights_of_another_model_change_nothing(model, tmp_path, change, message):
    before, stored = _copy(model), {name: value + 1 for name, value in _copy(model).items()}
    change(stored)
    save_file(stored, tmp_path / "w.safetensors")
    with pytest.raises(VisionError, match=message):
        load_weights(model, tmp_path / "w.safetensors")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.bin", "w"])
def test_pickles_are_refused_unopened(model, tmp_path, name):
    # The file is missing: an attempt to open it would say so instead.
    with pytest.raises(
        VisionError, match=r"never loaded\. Convert .*safetensors\.torch\.save_file"
    ):
        load_weights(model, tmp_path / name)


def test_missing_and_damaged_files(model, tmp_path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(VisionError, match="no such file"):
        load_weights(model, path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(VisionError, match="found a damaged file"):
        load_weights(model, path)


# --- torchvision itself ------------------------------------------------------------------------


def test_every_dataset_of_torchvision_is_accounted_for():
    datasets = _torchvision("datasets")
    classes = {name for name in datasets.__all__ if inspect.isclass(getattr(datasets, name))}
    assert classes == set(IMAGE_DATASETS) | set(OTHER_DATASETS)
    assert not set(IMAGE_DATASETS) & set(OTHER_DATASETS)


def test_splits_are_parameters_of_the_classes():
    datasets = _torchvision("datasets")
    for name, kind in IMAGE_DATASETS.items():
        own = set(inspect.signature(getattr(datasets, name)).parameters)
        handed_on = {"transform", "train"} if "kwargs" in own else set()
        assert "transform" in own | handed_on, name
        for arguments in kind.splits.values():
            assert set(arguments) <= own | handed_on, name
        if not kind.splits:
            assert not own & {"split", "train", "image_set", "version", "background"}, name


def test_operators_are_declared_only_where_they_cannot_be_loaded(tmp_path):
    library = tmp_path / "_C.so"
    (tmp_path / "_C.txt").touch()
    assert find_extension(tmp_path) is None
    library.touch()
    assert find_extension(tmp_path) == library
    declared = []

    def load(_path):
        raise OSError("libcudart is missing")

    def declare():
        declared.append(True)

    assert not declare_missing_operators(library, load=lambda _path: None, declare=declare)
    assert declared == []
    assert declare_missing_operators(library, load=load, declare=declare)
    assert declare_missing_operators(None, load=load, declare=declare)
    assert declared == [True, True]


def test_a_fresh_process_can_use_torchvision():
    code = """
import torch
from neuron_eval.vision import import_torchvision
torchvision = import_torchvision()
import torchvision.transforms.v2, torchvision.datasets, torchvision.ops
assert import_torchvision() is torchvision
try:
    torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
except (RuntimeError, NotImplementedError) as error:
    print("clear error", error)
else:
    print("works")
"""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(("works", "clear error"))
