"""Recordings on disk equal those in memory, and survive an interruption."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from neuron_eval.activations import RecordingError, record_activations
from neuron_eval.arrays import ArrayFileError, load_array
from neuron_eval.encoding import encode_activations
from neuron_eval.recording import (
    open_recording,
    record_dataset,
    record_to_folder,
)
from neuron_eval.validation import InputError

LAYERS = ["0", "output"]


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


@pytest.fixture
def data():
    return torch.randn(10, 4, generator=torch.Generator().manual_seed(1))


def test_equals_the_recording_in_memory(tmp_path, model, data):
    seen = []
    recording = record_to_folder(
        tmp_path / "r", model, LAYERS, lambda done: data[done:].split(3), 10, progress=seen.append
    )
    assert seen == [3, 6, 9, 10]
    expected = record_activations(model, LAYERS, data.split(3))
    infos = recording.describe()
    for layer in LAYERS:
        np.testing.assert_array_equal(np.load(recording.files[layer]), expected[layer])
        assert infos[layer].dtype == "float32"
    assert open_recording(tmp_path / "r") == recording


def test_goes_on_where_it_was_cut_off(tmp_path, model, data):
    calls = []

    def failing(done):
        calls.append(done)
        for position, batch in enumerate(data[done:].split(3)):
            if position == 2 and len(calls) == 1:
                raise OSError("power cut")
            yield batch

    with pytest.raises(OSError, match="power cut"):
        record_to_folder(tmp_path, model, LAYERS, failing, 10)
    half = open_recording(tmp_path)
    assert (half.n_done, half.complete) == (6, False)
    with pytest.raises(RecordingError, match="6 of 10 inputs are recorded; resume"):
        half.describe()
    whole = record_to_folder(tmp_path, model, LAYERS, failing, 10)
    assert calls == [0, 6]
    expected = record_activations(model, LAYERS, [data])
    np.testing.assert_allclose(np.load(whole.files["output"]), expected["output"], atol=1e-6)
    # Once complete, the model does not run again.
    assert record_to_folder(tmp_path, model, LAYERS, failing, 10) == whole
    assert calls == [0, 6]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pool": "max"}, "with pool 'avg', not 'max'"),
        ({"layers": ["0"]}, r"with layers \['0', 'output'\], not \['0'\]"),
        ({"label": "other"}, "with label 'resnet', not 'other'"),
        ({"dtype": "float16"}, "with dtype 'float32', not 'float16'"),
        ({"units": "last"}, "with units 'auto', not 'last'"),
        ({"parts": {"0": 1}}, r"with parts \{\}, not \{'0': 1\}"),
        ({"token_mask": None}, "with token_mask 'attention_mask', not None"),
        ({"n_inputs": 11}, "with n_inputs 10, not 11"),
    ],
)
def test_refuses_to_mix_recordings(tmp_path, model, data, change, message):
    given = {"layers": LAYERS, "n_inputs": 10, "label": "resnet"}
    arguments = {"model": model, "batches_from": lambda done: data[done:].split(5)}
    record_to_folder(tmp_path, **arguments, **given)
    with pytest.raises(RecordingError, match=message):
        record_to_folder(tmp_path, **arguments, **{**given, **change})


@pytest.mark.parametrize(("n_inputs", "message"), [(9, "more than the 9"), (12, "gave 10 inputs")])
def test_numbers_of_inputs_must_agree(tmp_path, model, data, n_inputs, message):
    with pytest.raises(RecordingError, match=message):
        record_to_folder(tmp_path, model, LAYERS, lambda done: data[done:].split(5), n_inputs)


def test_damaged_and_missing_records(tmp_path, model):
    with pytest.raises(RecordingError, match=r"found no recording\.json"):
        open_recording(tmp_path)
    (tmp_path / "recording.json").write_text("{")
    with pytest.raises(RecordingError, match="damaged record"):
        open_recording(tmp_path)
    (tmp_path / "recording.json").write_text(json.dumps({"n_done": 5, "n_inputs": 3}))
    with pytest.raises(RecordingError, match="out of range"):
        open_recording(tmp_path)
    with pytest.raises(RecordingError, match="n_inputs: found 0"):
        record_to_folder(tmp_path, model, LAYERS, lambda _done: [], 0)
    with pytest.raises(RecordingError, match="dtype: found 'bfloat16'"):
        record_to_folder(tmp_path, model, LAYERS, lambda _done: [], 1, dtype="bfloat16")
    (tmp_path / "recording.json").write_text(json.dumps({"n_done": 1, "n_inputs": 3}))
    with pytest.raises(RecordingError, match="damaged record"):
        open_recording(tmp_path)


def test_foreign_files_are_left_alone(tmp_path, model, data):
    mine = tmp_path / "layer-7.npy"
    np.save(mine, np.arange(3))
    with pytest.raises(RecordingError, match=r"layer-7\.npy: found a file but no recording\.json"):
        record_to_folder(tmp_path, model, LAYERS, lambda done: [data[done:]], 10)
    assert np.load(mine).tolist() == [0, 1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["layer-7.npy"]


def _cut_off(folder, model, data, n_batches=2, **options):
    def batches(done):
        yield from data[done:].split(3)[:n_batches]
        raise OSError("power cut")

    with pytest.raises(OSError, match="power cut"):
        record_to_folder(folder, model, LAYERS, batches, len(data), **options)


def test_nobody_takes_an_unfinished_file_for_complete(tmp_path, model, data):
    _cut_off(tmp_path, model, data)
    with pytest.raises(ArrayFileError, match="truncated"):
        load_array(open_recording(tmp_path).files["output"])


def test_files_that_cannot_be_gone_on_with(tmp_path, model, data):
    _cut_off(tmp_path, model, data)
    path = tmp_path / "layer-0.npy"
    whole = path.read_bytes()

    def run():
        record_to_folder(tmp_path, model, LAYERS, lambda done: data[done:].split(3), 10)

    path.write_bytes(whole[:-1])
    with pytest.raises(RecordingError, match="expected at least 200 for the 6 inputs"):
        run()
    path.write_bytes(b"something else")
    with pytest.raises(RecordingError, match="found no file that can be gone on with"):
        run()
    path.unlink()
    with pytest.raises(RecordingError, match="found no file that can be gone on with"):
        run()
    np.save(path, np.zeros((9, 3), dtype=np.float32))
    with pytest.raises(RecordingError, match=r"found shape \(9, 3\).* expected \(10, 3\)"):
        run()
    path.write_bytes(whole)
    run()
    assert open_recording(tmp_path).complete


def test_a_recording_of_an_earlier_version_goes_on(tmp_path, model, data):
    # It had full-size files from the start, and fewer options in its record.
    expected = record_activations(model, LAYERS, data.split(3))
    for place, layer in enumerate(LAYERS):
        values = expected[layer].numpy().copy()
        values[6:] = 0
        np.save(tmp_path / f"layer-{place}.npy", values)
    state = {"version": 1, "label": "", "layers": LAYERS, "n_inputs": 10, "pool": "avg"}
    state |= {"repeated": "error", "amp": None, "n_done": 6}
    (tmp_path / "recording.json").write_text(json.dumps(state))
    asked = []

    def batches(done):
        asked.append(done)
        return data[done:].split(3)

    whole = record_to_folder(tmp_path, model, LAYERS, batches, 10)
    assert asked == [6]
    for layer in LAYERS:
        np.testing.assert_array_equal(np.load(whole.files[layer]), expected[layer])


def test_a_failed_first_batch_leaves_the_folder_free(tmp_path, model, data):
    with pytest.raises(RecordingError, match="no layer 'outptu'"):
        record_to_folder(tmp_path / "r", model, ["outptu"], lambda done: [data[done:]], 10)
    assert not (tmp_path / "r").exists()
    # Begun, but nothing recorded yet: other layers may take its place.
    state = {"layers": ["2"], "n_inputs": 5, "n_done": 0}
    (tmp_path / "recording.json").write_text(json.dumps(state))
    (tmp_path / "layer-0.npy").write_bytes(b"\x93NUM")
    assert record_to_folder(tmp_path, model, "output", lambda done: [data[done:]], 10).complete


# --- killed ------------------------------------------------------------------------------------

# Every child is killed at another line of recording.py; a kill leaves no time to tidy up.
KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np, torch
from torch import nn
from neuron_eval import recording, row_files

torch.set_num_threads(1)
root = Path(sys.argv[1])
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
data = torch.randn(10, 4)

def record(folder):
    return recording.record_to_folder(
        folder, model, ["0", "output"], lambda done: data[done:].split(3), 10
    )

def killed_at(line):
    lines = 0
    def trace(frame, event, _argument):
        nonlocal lines
        if frame.f_code.co_filename not in (recording.__file__, row_files.__file__):
            return None
        if event == "line":
            lines += 1
            if lines == line:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace
    return trace

whole = record(root / "whole")
expected = {layer: path.read_bytes() for layer, path in whole.files.items()}
n_killed, begun, seen = 0, 0, set()
for line in range(1, 10_000, 3):
    folder = root / f"killed-{line}"
    child = os.fork()
    if child == 0:
        sys.settrace(killed_at(line))
        record(folder)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        assert os.waitstatus_to_exitcode(status) == 0
        break
    n_killed += 1
    if (folder / "recording.json").exists():
        half = recording.open_recording(folder)
        seen.add(half.n_done)
    assert {layer: path.read_bytes() for layer, path in record(folder).files.items()} == expected
print(n_killed, sorted(seen))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_kill_at_any_line_loses_nothing(tmp_path):
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    n_killed, _, seen = done.stdout.strip().partition(" ")
    assert int(n_killed) > 50
    assert seen == "[0, 3, 6, 9, 10]"


# --- types on disk -----------------------------------------------------------------------------


def test_half_precision_on_disk(tmp_path, model, data):
    recording = record_to_folder(
        tmp_path, model, LAYERS, lambda done: data[done:].split(3), 10, dtype="float16"
    )
    expected = record_activations(model, LAYERS, data.split(3))
    for layer in LAYERS:
        values = np.load(recording.files[layer])
        assert values.dtype == np.float16
        np.testing.assert_array_equal(values, expected[layer].numpy().astype(np.float16))


def test_half_precision_names_what_is_too_large(tmp_path):
    model = nn.Sequential(nn.Identity())
    data = torch.zeros(10, 4)
    data[7, 2] = -70_000
    data[1, 0] = torch.inf
    with pytest.raises(
        RecordingError, match=r"unit 2 of layer '0' is -70000 on input 7, expected at most 65504"
    ) as raised:
        record_to_folder(
            tmp_path, model, "0", lambda done: data[done:].split(3), 10, dtype="float16"
        )
    # The error is still alive, and with it the frames; the hooks must not be.
    assert raised.traceback
    assert not model[0]._forward_hooks
    half = open_recording(tmp_path)
    assert half.n_done == 6


# --- datasets and encoders -----------------------------------------------------------------------


def test_a_dataset_is_recorded_without_its_labels(tmp_path, model, data):
    dataset = TensorDataset(data, torch.arange(10))
    expected = record_activations(model, LAYERS, data.split(4))
    recording = record_dataset(tmp_path / "a", model, LAYERS, dataset, batch_size=4)
    _cut_off(tmp_path / "b", model, data, label="mine", pool="max")
    seen = []
    resumed = record_dataset(
        tmp_path / "b", model, LAYERS, dataset, label="mine", pool="max", progress=seen.append
    )
    assert seen == [10]
    for layer in LAYERS:
        np.testing.assert_array_equal(np.load(recording.files[layer]), expected[layer])
        np.testing.assert_allclose(np.load(resumed.files[layer]), expected[layer], atol=1e-6)


class Encoder(nn.Module):
    """The encoder of a sparse autoencoder."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 6)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        return torch.relu(self.drop(self.linear(x)))


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return Encoder().train()


def test_activations_are_encoded_in_blocks(tmp_path, encoder, data):
    weight, bias = (value.detach().numpy() for value in encoder.linear.parameters())
    expected = np.maximum(data.numpy() @ weight.T + bias, 0)
    np.save(tmp_path / "activations.npy", data.numpy())
    mapped = np.load(tmp_path / "activations.npy", mmap_mode="r")
    seen = []
    memory = encode_activations(encoder, mapped, batch_size=3, progress=seen.append)
    assert seen == [3, 6, 9, 10]
    assert encoder.training
    assert encoder.drop.training
    assert memory.dtype == np.float32
    np.testing.assert_allclose(memory, expected, atol=1e-6)
    path = tmp_path / "new" / "latents.npy"
    stored = encode_activations(encoder, data, batch_size=3, path=path)
    assert isinstance(stored, np.memmap)
    np.testing.assert_array_equal(stored, memory)
    np.testing.assert_array_equal(np.load(path), memory)
    half = encode_activations(encoder, data.double(), path=path, dtype="float16", device="cpu")
    np.testing.assert_array_equal(half, memory.astype(np.float16))
    assert [file.name for file in path.parent.iterdir()] == ["latents.npy"]
    plain = encode_activations(lambda x: x[:, :1] * 2, data)
    np.testing.assert_array_equal(plain, 2 * data[:, :1].numpy())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": lambda x: (x, x)}, r"returned a tuple, expected a tensor of shape \(3, n_lat"),
        ({"encoder": lambda x: x[0]}, r"returned a Tensor of shape \(4,\)"),
        ({"encoder": lambda x: x[:2]}, r"returned a Tensor of shape \(2, 4\)"),
        ({"encoder": lambda x: x[:, : len(x)]}, "returned 1 latents, expected 3 as before"),
        ({"encoder": lambda x: x * 1e6, "dtype": "float16"}, "of the encoder is .* on input 0"),
        ({"encoder": lambda x: x, "dtype": "float64"}, "dtype: found 'float64'"),
        ({"encoder": lambda x: x, "batch_size": 0}, "batch_size: found 0"),
        ({"encoder": lambda x: x, "device": "tpu"}, "device: found 'tpu'"),
    ],
)
@pytest.mark.parametrize("stored", [False, True])
def test_encoders_that_return_something_else(tmp_path, data, options, message, stored):
    path = tmp_path / "latents.npy" if stored else None
    given = {"batch_size": 3, **options}
    with pytest.raises(RecordingError, match=message):
        encode_activations(given.pop("encoder"), data, path=path, **given)
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_that_fails_is_put_back(tmp_path, encoder, data):
    with pytest.raises(RecordingError, match=r"path: found .* ends in \.npy"):
        encode_activations(encoder, data, path=tmp_path / "latents.bin")
    broken = data.clone()
    broken[2, 1] = torch.nan
    with pytest.raises(InputError, match="activations: the value of neuron 1 on input 2 is nan"):
        encode_activations(encoder, broken)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        encode_activations(encoder, data[:, :2])
    assert encoder.training
    assert encoder.drop.training
