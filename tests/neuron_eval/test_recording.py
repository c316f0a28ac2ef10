"""Recordings on disk equal those in memory, and survive an interruption."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from neuron_eval.activations import RecordingError, record_activations
from neuron_eval.recording import open_recording, record_to_folder

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
