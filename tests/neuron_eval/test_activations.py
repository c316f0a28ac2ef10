"""Recording: right values, several layers at once, nothing left behind."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from neuron_eval.activations import RecordingError, find_layer, record_activations
from neuron_eval.vision import (
    VisionError,
    build_model,
    declare_missing_operators,
    find_extension,
)


class Blocks(nn.Module):
    """A convolution, a token layer, a layer that runs twice and one that never runs."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3)
        self.relu = nn.ReLU()
        self.drop = nn.Dropout(0.5)
        self.tokens = nn.Linear(5, 4)
        self.pair = Pair()
        self.unused = nn.Linear(1, 1)
        self.named = Named()

    def forward(self, x):
        x = self.drop(self.relu(self.conv(x)))
        x = self.tokens(x.flatten(2).transpose(1, 2))
        x, _ = self.pair(x)
        self.named(x)
        return self.relu(x).sum(dim=1)


class Pair(nn.Module):
    def forward(self, x):
        return x * 2, None


class Named(nn.Module):
    def forward(self, x):
        return {"x": x}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Blocks().train()


@pytest.fixture
def images():
    return torch.randn(7, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_records_several_layers_with_every_pool(model, images):
    model.conv.eval()
    with torch.no_grad():
        conv = model.conv(images)
        tokens = model.tokens(torch.relu(conv).flatten(2).transpose(1, 2))
        output = torch.relu(tokens * 2).sum(dim=1)
    seen = []
    layers = ["conv", "tokens", "pair", "output"]
    got = {
        pool: record_activations(model, layers, images.split(3), pool=pool, progress=seen.append)
        for pool in ("avg", "max", "none")
    }
    assert seen == [3, 6, 7] * 3
    expected = {
        "avg": (conv.mean(dim=(2, 3)), tokens.mean(dim=1)),
        "max": (conv.amax(dim=(2, 3)), tokens.amax(dim=1)),
        "none": (conv.flatten(1), tokens.flatten(1)),
    }
    for pool, (conv_pooled, token_pooled) in expected.items():
        torch.testing.assert_close(got[pool]["conv"], conv_pooled)
        torch.testing.assert_close(got[pool]["tokens"], token_pooled)
        torch.testing.assert_close(got[pool]["pair"], 2 * token_pooled)
        torch.testing.assert_close(got[pool]["output"], output)
        assert not got[pool]["conv"].is_inference()
    first = record_activations(model, ["tokens"], [images], pool="token")["tokens"]
    torch.testing.assert_close(first, tokens[:, 0])
    assert first.dtype == torch.float32
    # The dropout was off while recording, and every mode came back.
    assert model.training
    assert model.drop.training
    assert not model.conv.training


def _hooks(model):
    return sum(len(module._forward_hooks) for module in model.modules())


@pytest.mark.parametrize(
    ("layers", "options", "message"),
    [
        (["convv"], {}, r"no layer 'convv'; near matches: 'conv'"),
        ([""], {}, "no layer ''"),
        (["__class__"], {}, "no layer"),
        (["unused"], {}, "never ran layer 'unused'"),
        (["relu"], {}, r"ran layer 'relu' 2 times.*repeated='first'"),
        (["named"], {}, "output of layer 'named' is a dict"),
        (["conv"], {"pool": "token"}, "expected \\(inputs, tokens, units\\)"),
        (["conv"], {"pool": "sum"}, "pool: found 'sum'"),
        ("conv", {}, "expected a list of layer names"),
        ([], {}, "expected a list of layer names"),
    ],
)
def test_bad_requests_are_named_and_leave_nothing_behind(model, images, layers, options, message):
    with pytest.raises(RecordingError, match=message):
        record_activations(model, layers, [images], **options)
    assert model.training
    assert model.drop.training
    assert _hooks(model) == 0


def test_hooks_go_when_the_data_fail(model, images):
    def batches():
        yield images
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        record_activations(model, ["conv"], batches())
    assert model.training
    assert _hooks(model) == 0


def test_repeated_layer_on_request(model, images):
    first = record_activations(model, ["relu"], [images], repeated="first")["relu"]
    last = record_activations(model, ["relu"], [images], repeated="last")["relu"]
    assert first.shape == (7, 5)
    assert last.shape == (7, 4)


@pytest.mark.parametrize("batches", [[], [torch.zeros(0, 3, 8, 8)], [(torch.zeros(1, 3, 8, 8), 3)]])
def test_bad_batches(model, batches):
    with pytest.raises(RecordingError, match="batches: found"):
        record_activations(model, ["conv"], batches)


def test_mixed_precision_gives_float32(model, images):
    exact = record_activations(model, ["conv"], [images])["conv"]
    mixed = record_activations(model, ["conv"], [images], amp=torch.bfloat16)["conv"]
    assert mixed.dtype == torch.float32
    assert 0 < (exact - mixed).abs().max() < 0.05


def test_several_arguments():
    class Sum(nn.Module):
        def forward(self, x, y):
            return x + y

    x = torch.arange(6.0).reshape(3, 2)
    got = record_activations(Sum(), ["output"], [(x, x)])["output"]
    torch.testing.assert_close(got, 2 * x)


def test_a_layer_called_output_goes_before_the_model():
    model = nn.Sequential()
    model.add_module("output", nn.Linear(2, 3))
    assert find_layer(model, "output") is model.output


def test_torchvision_model_by_name():
    torch.manual_seed(0)
    model = build_model("resnet18")
    images = torch.randn(4, 3, 32, 32)
    got = record_activations(model, ["layer4.1.conv2", "fc", "output"], images.split(2))
    assert {layer: tuple(a.shape) for layer, a in got.items()} == {
        "layer4.1.conv2": (4, 512),
        "fc": (4, 1000),
        "output": (4, 1000),
    }
    with torch.no_grad():
        np.testing.assert_allclose(got["output"], model(images), atol=1e-4)
    with pytest.raises(VisionError, match=r"no model 'resnet19'; did you mean"):
        build_model("resnet19")


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
