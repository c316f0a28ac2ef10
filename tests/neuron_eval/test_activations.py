"""Recording: right values, several layers at once, nothing left behind."""

import importlib
import importlib.util

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from neuron_eval.activations import (
    RecordingError,
    find_layer,
    flatten_tokens,
    layer_names,
    record_activations,
)
from neuron_eval.vision import build_model, import_torchvision


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
    for pool, place in (("token", 0), ("last", -1)):
        one = record_activations(model, ["tokens", "output"], [images], pool=pool)
        torch.testing.assert_close(one["tokens"], tokens[:, place])
        torch.testing.assert_close(one["output"], output)
        assert one["tokens"].dtype == torch.float32
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
        (
            ["named"],
            {},
            r"output of layer 'named' is a dict.*parts=\{'named': \.\.\.\}; it has 'x'",
        ),
        (["named"], {"parts": {"named": "y"}}, "a dict, has no part 'y'; it has 'x'"),
        (["pair"], {"parts": {"pair": 1}}, "output of layer 'pair' is a NoneType"),
        (["pair"], {"parts": {"pair": 2}}, "a tuple, has no part 2; it has 2"),
        (["conv"], {"parts": {"pair": 0}}, r"parts: found layer 'pair', expected.*\['conv'\]"),
        (["conv"], {"pool": "token"}, "expected \\(inputs, tokens, units\\)"),
        (["conv"], {"pool": "last"}, "expected \\(inputs, tokens, units\\)"),
        (["conv"], {"pool": "sum"}, "pool: found 'sum'"),
        (["conv"], {"units": "first"}, "units: found 'first'"),
        (["conv"], {"repeated": "all"}, "repeated: found 'all'"),
        (["conv"], {"amp": torch.float32}, "amp: found torch.float32"),
        (["conv"], {"device": "gpu"}, "device: found 'gpu', expected 'auto', 'cpu', 'cuda'"),
        ([], {}, "layers: found none"),
        (["conv", "fc", "conv"], {}, "layers: 'conv' is given twice"),
    ],
)
def test_bad_requests_are_named_and_leave_nothing_behind(model, images, layers, options, message):
    with pytest.raises(RecordingError, match=message):
        record_activations(model, layers, [images], **options)
    assert model.training
    assert model.drop.training
    assert _hooks(model) == 0


def test_one_layer_by_name_is_a_dict_too(model, images):
    one = record_activations(model, "conv", [images])
    several = record_activations(model, ["conv", "output"], [images])
    assert list(one) == ["conv"]
    assert torch.equal(one["conv"], several["conv"])


def test_parts_of_outputs(model, images):
    whole = record_activations(model, ["named", "pair"], [images], parts={"named": "x"})
    assert torch.equal(whole["named"], whole["pair"])
    first = record_activations(model, "pair", [images], parts={"pair": 0})
    assert torch.equal(first["pair"], whole["pair"])


def test_later_operations_in_place_change_nothing():
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm2d(3)
            self.head = nn.Linear(3, 2)

        def forward(self, x):
            x = self.norm(x).relu_()
            y = self.head(x.mean(dim=(2, 3)))
            y += 1
            return y

    model, images = InPlace().eval(), torch.randn(5, 3, 4, 4)
    got = record_activations(model, ["norm", "head"], images)
    none = record_activations(model, "norm", images, pool="none")["norm"]
    with torch.no_grad():
        norm = model.norm(images)
        torch.testing.assert_close(got["head"], model(images) - 1)
    torch.testing.assert_close(got["norm"], norm.mean(dim=(2, 3)))
    torch.testing.assert_close(none, norm.flatten(1))


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
    with pytest.raises(RecordingError, match=r"data: found .*batch"):
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


def test_layer_names_can_all_be_found(model):
    names = layer_names(model)
    assert names[:2] == [("conv", "Conv2d"), ("relu", "ReLU")]
    assert names[-1] == ("output", "Blocks")
    for name, kind in names:
        assert type(find_layer(model, name)).__name__ == kind
    nested = nn.Sequential(nn.Sequential(nn.Linear(1, 1)))
    assert [name for name, _ in layer_names(nested)] == ["0", "0.0", "output"]


# --- data ------------------------------------------------------------------------------------


def _as_is(model, data, **options):
    return record_activations(model, "conv", data, **options)["conv"]


def test_every_kind_of_data_gives_the_same(model, images, tmp_path):
    expected = _as_is(model, [images])
    labels = torch.arange(7)
    np.save(tmp_path / "images.npy", images.numpy().astype(">f4"))
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    labelled = DataLoader(TensorDataset(images, labels), batch_size=3)
    for data, options in (
        (images, {"batch_size": 3}),
        (images.numpy(), {"batch_size": 3}),
        (mapped, {"batch_size": 3}),
        ({"x": images}, {"batch_size": 3}),
        (TensorDataset(images, labels), {"batch_size": 3}),
        (TensorDataset(images, labels), {"batch_size": 3, "num_workers": 1}),
        (DataLoader(TensorDataset(images), batch_size=3), {}),
        (labelled, {"labelled": True}),
        ((batch for batch in labelled), {"labelled": True}),
        ([{"x": block} for block in images.split(3)], {}),
    ):
        torch.testing.assert_close(_as_is(model, data, **options), expected)
    assert _as_is(model, images, batch_size=100).shape == (7, 5)
    seen = []
    _as_is(model, torch.cat([images] * 10), progress=seen.append)
    assert seen == [64, 70]


class Weighted(nn.Module):
    """A model whose second argument would take labels without a complaint."""

    def forward(self, x, weight=1):
        return x * weight


def test_labels_are_never_passed_by_guess():
    x, labels = torch.ones(4, 2), torch.full((4, 1), 3.0)
    loader = DataLoader(TensorDataset(x, labels), batch_size=2)
    with pytest.raises(RecordingError, match=r"labelled: the DataLoader's batches hold 2 elements"):
        record_activations(Weighted(), "output", loader)
    for data, options, expected in (
        (loader, {"labelled": True}, 1),
        (loader, {"labelled": False}, 3),
        (TensorDataset(x, labels), {}, 1),
        ([(x, labels)], {}, 3),
        ([(x, labels)], {"labelled": True}, 1),
    ):
        got = record_activations(Weighted(), "output", data, **options)["output"]
        assert torch.equal(got, torch.full((4, 2), float(expected)))


class Endless(IterableDataset):
    def __iter__(self):
        return iter(())


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ([torch.ones(1, 2)], {"batch_size": 2}, "batch_size: found 2, expected None"),
        ([torch.ones(1, 2)], {"num_workers": 2}, "num_workers: found 2, expected 0"),
        ([torch.ones(1, 2)], {"labelled": True}, "labelled: found a batch that is a Tensor"),
        (torch.ones(1, 2), {"batch_size": 0}, "batch_size: found 0"),
        (torch.ones(1, 2), {"labelled": True}, "labelled: found True, expected None"),
        (torch.ones(1, 2), {"num_workers": 1}, "num_workers: found 1"),
        (TensorDataset(torch.ones(1, 2)), {"labelled": False}, "labelled: found False"),
        (torch.ones(0, 2), {}, "data: found no batches"),
        ({}, {}, "data: found no batches"),
        (torch.tensor(1.0), {}, "data: 'data' is a Tensor"),
        (np.array(["a"]), {}, "data: 'data' is a ndarray"),
        ({"x": [[1, 2]]}, {}, "'x' is a list.*return_tensors='pt'"),
        ({"x": torch.ones(2, 2), "y": torch.ones(3)}, {}, "found {'x': 2, 'y': 3} inputs"),
        ([{"x": "text"}], {}, "found a str under 'x' in a batch"),
        (["text"], {}, "found a str in a batch"),
        (3, {}, "data: found a int, expected a tensor"),
        (Endless(), {}, "Endless has no length"),
    ],
)
def test_bad_data_are_named(data, options, message):
    with pytest.raises(RecordingError, match=message):
        record_activations(Weighted(), "output", data, **options)


@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    pool=st.sampled_from(["avg", "max", "none", "token", "last"]),
)
@settings(max_examples=25, deadline=None)
def test_the_split_into_batches_does_not_matter(sizes, pool):
    data = torch.randn(sum(sizes), 5, 3, generator=torch.Generator().manual_seed(0))
    model = nn.Tanh()
    whole = record_activations(model, "output", [data], pool=pool)["output"]
    parts = record_activations(model, "output", data.split(sizes), pool=pool)["output"]
    torch.testing.assert_close(parts, whole)


def test_inputs_of_several_sizes_must_be_pooled():
    batches = [torch.ones(2, 3, 4), torch.ones(2, 5, 4)]
    assert record_activations(nn.Tanh(), "output", batches)["output"].shape == (4, 4)
    with pytest.raises(RecordingError, match="has 20 units in this batch and had 12 before"):
        record_activations(nn.Tanh(), "output", batches, pool="none")


# --- tokens ----------------------------------------------------------------------------------


class Attention(nn.Module):
    """A small encoder that knows no positions, so the side of the padding does not matter."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 6)
        self.block = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, input_ids, attention_mask):
        x = self.embed(input_ids)
        attended, _ = self.block(x, x, x, key_padding_mask=attention_mask == 0)
        # What stands at padded places must not matter, not even if it is no number.
        return {
            "last_hidden_state": attended.masked_fill(attention_mask[:, :, None] == 0, torch.nan)
        }


TEXTS = [[3, 1, 4], [1, 5, 9, 2, 6], [5], [3, 5, 8, 9]]


def _padded(texts, side):
    longest = max(map(len, texts))
    ids = torch.zeros(len(texts), longest, dtype=torch.long)
    mask = torch.zeros(len(texts), longest, dtype=torch.long)
    for row, text in enumerate(texts):
        start = 0 if side == "right" else longest - len(text)
        ids[row, start : start + len(text)] = torch.tensor(text)
        mask[row, start : start + len(text)] = 1
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("pool", ["avg", "max", "token", "last"])
def test_padded_tokens_count_for_nothing(side, pool):
    torch.manual_seed(0)
    model, parts = Attention(), {"output": "last_hidden_state"}
    options = {"pool": pool, "parts": parts}
    padded = record_activations(model, "output", _padded(TEXTS, side), batch_size=3, **options)
    alone = record_activations(
        model, "output", [_padded([text], side) for text in TEXTS], **options
    )
    torch.testing.assert_close(padded["output"], alone["output"])
    # Each in the width of its own batch, as a collator makes them.
    batches = [_padded(TEXTS[:2], side), _padded(TEXTS[2:], side)]
    torch.testing.assert_close(
        record_activations(model, "output", batches, **options)["output"], alone["output"]
    )


def test_the_mask_can_be_left_aside():
    batch = {"input_ids": torch.eye(3)[:, :, None], "attention_mask": torch.tensor([[1, 1, 0]] * 3)}

    class Same(nn.Module):
        def forward(self, input_ids, **_others):
            return input_ids

    kept = record_activations(Same(), "output", [batch])["output"]
    assert kept.flatten().tolist() == [0.5, 0.5, 0]
    assert record_activations(Same(), "output", [batch], pool="none")["output"].shape == (3, 3)
    for token_mask in (None, "mask"):
        got = record_activations(Same(), "output", [batch], token_mask=token_mask)["output"]
        torch.testing.assert_close(got.flatten(), torch.full((3,), 1 / 3))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ([[1, 1], [0, 0]], "input 1 of the batch has no real token"),
        ([[1, 2], [1, 1]], "found the value 2, expected 1 for real tokens"),
        ([[1, 1, 1], [1, 1, 1]], "expected the 3 tokens of the mask.*token_mask=None"),
        ([[1, 1]], "found 1 rows, expected 2"),
        ([1, 1], r"found shape \(2,\), expected \(n_inputs, n_tokens\)"),
    ],
)
def test_masks_that_do_not_fit(mask, message):
    class Same(nn.Module):
        def forward(self, x, **_others):
            return x

    batch = {"x": torch.ones(2, 2, 3), "attention_mask": torch.tensor(mask)}
    with pytest.raises(RecordingError, match=message):
        record_activations(Same(), "output", [batch])
    batch = {"x": torch.ones(2, 2, 3, 3), "attention_mask": torch.ones(2, 2)}
    with pytest.raises(RecordingError, match="for a token mask; use 'avg' or 'max' and token_mask"):
        record_activations(Same(), "output", [batch])


@pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="needs transformers")
def test_a_hugging_face_model():
    import_torchvision()
    hf = importlib.import_module("transformers")
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = hf.BertModel(hf.BertConfig(vocab_size=20, intermediate_size=16, **sizes)).eval()
    layers = ["encoder.layer.0", "output"]
    data = hf.BatchEncoding(_padded(TEXTS, "right"))
    with pytest.raises(RecordingError, match=r"parts=\{'output': \.\.\.\}; it has 'last_hidden_st"):
        record_activations(model, layers, data)
    got = record_activations(model, layers, data, parts={"output": "last_hidden_state"})
    with torch.no_grad():
        for row, text in enumerate(TEXTS):
            alone = model(input_ids=torch.tensor([text]), output_hidden_states=True)
            torch.testing.assert_close(got["output"][row], alone[0][0].mean(dim=0))
            torch.testing.assert_close(
                got["encoder.layer.0"][row], alone.hidden_states[1][0].mean(dim=0)
            )


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_flatten_tokens_equals_a_loop(data):
    n_inputs, n_tokens = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    flags = data.draw(
        st.lists(st.booleans(), min_size=n_inputs * n_tokens, max_size=n_inputs * n_tokens).filter(
            any
        )
    )
    mask = np.array(flags).reshape(n_inputs, n_tokens)
    states = np.random.default_rng(0).normal(size=(n_inputs, n_tokens, 3)).astype(np.float32)
    activations, index = flatten_tokens(states, mask.astype(np.int64))
    places = [(i, t) for i in range(n_inputs) for t in range(n_tokens) if mask[i, t]]
    assert index.tolist() == [list(place) for place in places]
    assert torch.equal(activations, torch.tensor(np.array([states[i, t] for i, t in places])))
    everything, _ = flatten_tokens(torch.tensor(states))
    assert torch.equal(everything, torch.tensor(states).reshape(-1, 3))


@pytest.mark.parametrize(
    ("shape", "mask", "message"),
    [
        ((2, 3), None, r"found shape \(2, 3\), expected \(n_inputs, n_tokens, n_units\)"),
        ((2, 3, 1), np.ones((3, 2)), r"found shape \(3, 2\), expected \(2, 3\)"),
        ((2, 3, 1), np.zeros((2, 3)), "found no real token"),
        ((2, 3, 1), np.full((2, 3), 0.5), "found the value 0.5"),
    ],
)
def test_tokens_that_cannot_be_flattened(shape, mask, message):
    with pytest.raises(RecordingError, match=message):
        flatten_tokens(np.zeros(shape), mask)


# --- which dimension holds the units -----------------------------------------------------------


def _torchvision(module):
    return importlib.import_module(f"{import_torchvision().__name__}.{module}")


def test_vision_transformer_class_token():
    torch.manual_seed(0)
    model = _torchvision("models").VisionTransformer(
        image_size=8,
        patch_size=4,
        num_layers=2,
        num_heads=2,
        hidden_dim=6,
        mlp_dim=8,
        num_classes=3,
    )
    nn.init.normal_(model.heads.head.weight)  # torchvision begins with zeros
    images = torch.randn(5, 3, 8, 8)
    layers = ["encoder.layers.encoder_layer_1", "conv_proj", "output"]
    got = {
        pool: record_activations(model, layers, images, pool=pool, batch_size=2)
        for pool in ("avg", "none")
    }
    block, convolution, output = layers
    token = record_activations(model, [block, output], images, pool="token")
    assert token[block].shape == (5, 6)
    with torch.no_grad():
        from_token = model.heads(model.encoder.ln(token[block]))
        torch.testing.assert_close(from_token, token[output])
        torch.testing.assert_close(
            got["avg"][convolution], model.conv_proj(images).mean(dim=(2, 3))
        )
    whole = got["none"][block].reshape(5, 5, 6)  # the class token and 4 patches
    torch.testing.assert_close(whole[:, 0], token[block])
    torch.testing.assert_close(whole.mean(dim=1), got["avg"][block])


def test_swin_keeps_units_last_and_says_so():
    torch.manual_seed(0)
    model = (
        _torchvision("models")
        .SwinTransformer(
            patch_size=[2, 2],
            embed_dim=4,
            depths=[1, 1],
            num_heads=[1, 2],
            window_size=[2, 2],
            num_classes=3,
        )
        .eval()
    )
    images = torch.randn(3, 3, 16, 16)
    with pytest.raises(RecordingError, match=r"units: layer 'features\.1'.*choose units='second'"):
        record_activations(model, "features.1", images)
    assert _hooks(model) == 0
    with torch.no_grad():
        stage = model.features[1](model.features[0](images))  # (inputs, height, width, units)
    last = record_activations(model, "features.1", images, units="last")["features.1"]
    torch.testing.assert_close(last, stage.mean(dim=(1, 2)))
    largest = record_activations(model, "features.1", images, units="last", pool="max")
    torch.testing.assert_close(largest["features.1"], stage.amax(dim=(1, 2)))
    second = record_activations(model, "features.1", images, units="second")["features.1"]
    torch.testing.assert_close(second, stage.mean(dim=(2, 3)))
    # No doubt about a LayerNorm, a convolution, the output, and all positions as they are.
    certain = record_activations(model, ["norm", "features.0.0", "output"], images)
    with torch.no_grad():
        torch.testing.assert_close(model.head(certain["norm"]), certain["output"])
        convolved = model.features[0][0](images)
    torch.testing.assert_close(certain["features.0.0"], convolved.mean(dim=(2, 3)))
    assert (
        record_activations(model, "features.1", images, pool="none")["features.1"].shape[1] == 256
    )


def test_convolutions_over_time_keep_units_second():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(2, 3, 3), nn.ReLU())
    signals = torch.randn(4, 2, 9)
    with torch.no_grad():
        out = model[0](signals)
    got = record_activations(model, "0", signals)["0"]
    torch.testing.assert_close(got, out.mean(dim=2))
    with pytest.raises(
        RecordingError, match=r"units: layer '1'.*'0' of this model keeps its units second"
    ):
        record_activations(model, "1", signals)
    for pool, expected in (("max", out.relu().amax(dim=2)), ("token", out.relu()[:, :, 0])):
        second = record_activations(model, "1", signals, units="second", pool=pool)["1"]
        torch.testing.assert_close(second, expected)


def test_volumes_are_averaged_over_all_positions():
    model, volumes = nn.Sequential(nn.Conv3d(1, 2, 1), nn.ReLU()), torch.randn(3, 1, 2, 3, 4)
    with torch.no_grad():
        expected = model(volumes).mean(dim=(2, 3, 4))
    torch.testing.assert_close(record_activations(model, "1", volumes)["1"], expected)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors_are_refused():
    class Nested(nn.Module):
        def forward(self, x):
            return torch.nested.as_nested_tensor([x[0], x[1]])

    with pytest.raises(RecordingError, match=r"is a nested tensor.*enable_nested_tensor=False"):
        record_activations(Nested(), "output", torch.ones(2, 3, 4))


# --- where it runs -----------------------------------------------------------------------------


def test_the_model_comes_back_from_a_device(model, images):
    expected = record_activations(model, "conv", images)["conv"]
    got = record_activations(model, "conv", images, device=torch.device("cpu", 0))["conv"]
    assert torch.equal(got, expected)
    assert model.conv.weight.device == torch.device("cpu")


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_takes_the_best_device(model, images, monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    moved = []
    monkeypatch.setattr(model, "to", lambda device: moved.append(str(device)))
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *_arguments, **_options: self)
    record_activations(model, "output", [images], device="auto")
    assert moved == ([] if expected == "cpu" else [expected, "cpu"])


def test_devices_that_are_not_there(model, images, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for device in ("cuda", "cuda:1", torch.device("cuda")):
        with pytest.raises(RecordingError, match=r"device: found 'cuda.*sees 0 CUDA devices"):
            record_activations(model, "conv", images, device=device)
    with pytest.raises(RecordingError, match="device: found 'mps', but torch has none"):
        record_activations(model, "conv", images, device="mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(RecordingError, match="device: found 'cuda:1', but torch sees 1 CUDA"):
        record_activations(model, "conv", images, device="cuda:1")
    assert _hooks(model) == 0
