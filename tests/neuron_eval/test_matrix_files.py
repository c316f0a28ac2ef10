"""Matrices in files come back as they were written, and bad files are named."""

import importlib
import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.torch import save_file
from torch import nn

from neuron_eval.arrays import ArrayFileError
from neuron_eval.matrices import MatrixFileError
from neuron_eval.matrix_files import read_matrix, read_vector, write_matrix
from neuron_eval.recording import record_to_folder

VALUES = np.array([[0.1, 2.5, -1e-12], [1 / 3, 0.0, 7e20]])
NAMES = ("striped", 'a, "quoted" text', "größer")
FORMATS = [".npy", ".csv", ".tsv", ".parquet", ".safetensors"]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "bool"])
def test_round_trip(tmp_path, suffix, dtype):
    values = (VALUES if dtype.startswith("float") else VALUES > 0.2).astype(dtype)
    path = write_matrix(tmp_path / f"m{suffix}", torch.from_numpy(values), NAMES)
    matrix = read_matrix(path)
    np.testing.assert_array_equal(matrix.values.astype(dtype), values)
    assert (matrix.names, matrix.path, matrix.rows) == (NAMES, path, None)
    if suffix not in (".csv", ".tsv"):
        assert matrix.values.dtype == dtype
    assert not [file for file in tmp_path.iterdir() if "part" in file.name]


@given(hnp.arrays(np.float64, (3, 2), elements=st.floats(allow_nan=False, width=64)))
def test_text_keeps_every_bit(tmp_path_factory, values):
    path = write_matrix(tmp_path_factory.mktemp("m") / "m.csv", values)
    matrix = read_matrix(path)
    np.testing.assert_array_equal(matrix.values, values)
    assert matrix.names == ("0", "1")


@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_names_are_optional(tmp_path, suffix):
    path = write_matrix(tmp_path / f"m{suffix}", VALUES)
    assert read_matrix(path).names is None


def test_npy_is_mapped_and_its_old_names_do_not_outlive_it(tmp_path):
    path = write_matrix(tmp_path / "m.npy", VALUES, NAMES)
    assert isinstance(read_matrix(path).values, np.memmap)
    assert (tmp_path / "m.names.txt").read_text(encoding="utf-8").split("\n")[0] == "striped"
    write_matrix(path, VALUES[:, :2])
    assert read_matrix(path).names is None
    (tmp_path / "m.names.txt").write_text("one\n")
    with pytest.raises(MatrixFileError, match="1 names and 2 columns"):
        read_matrix(path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a"], "1 names and 3 columns"),
        (["a", "b", "a"], "'a' names several"),
        (["a", " ", "b"], "name 1 is ' '"),
        (["a", "b", "c\nd"], "name 2 is"),
    ],
)
def test_write_refuses_names(tmp_path, names, message):
    with pytest.raises(MatrixFileError, match=message):
        write_matrix(tmp_path / "m.npy", VALUES, names)
    assert not list(tmp_path.iterdir())


def test_write_refuses_values(tmp_path):
    with pytest.raises(MatrixFileError, match=r"shape \(2,\)"):
        write_matrix(tmp_path / "m.csv", [1, 2])
    with pytest.raises(MatrixFileError, match="values of type <U1"):
        write_matrix(tmp_path / "m.csv", [["a"]])
    with pytest.raises(MatrixFileError, match=r"found '.mat', expected"):
        write_matrix(tmp_path / "m.mat", VALUES)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = write_matrix(tmp_path / "m.csv", VALUES)
    before = path.read_bytes()

    def fail(*_args, **_kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_csv", fail)
    with pytest.raises(OSError, match="disk full"):
        write_matrix(path, VALUES + 1)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["m.csv"]


# --- archives ------------------------------------------------------------------------------------


def test_npz(tmp_path):
    path = tmp_path / "m.npz"
    np.savez(path, acts=VALUES, labels=[3, 4], texts=["a", "b"])
    np.testing.assert_array_equal(read_matrix(path, key="acts").values, VALUES)
    assert read_vector(path, "labels").tolist() == [3, 4]
    with pytest.raises(MatrixFileError, match=r"found 3 arrays.*'acts', 'labels', 'texts'"):
        read_matrix(path)
    with pytest.raises(MatrixFileError, match="no array 'act'; the arrays are 'acts'"):
        read_matrix(path, key="act")
    with pytest.raises(MatrixFileError, match=r"shape \(2,\).*read_vector"):
        read_matrix(path, key="labels")
    with pytest.raises(MatrixFileError, match=r"shape \(2, 3\).*read_matrix"):
        read_vector(path, "acts")
    with pytest.raises(MatrixFileError, match="type <U1"):
        read_vector(path, "texts")
    np.savez(path, only=VALUES)
    np.testing.assert_array_equal(read_matrix(path).values, VALUES)


_UNPICKLED = []


class _Trap:
    """Unpickling it would leave a mark."""

    def __reduce__(self):
        return (_leave_mark, ())


def _leave_mark():
    _UNPICKLED.append(True)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_never_unpickles(tmp_path, suffix):
    path = tmp_path / f"m{suffix}"
    array = np.array([[_Trap()]], dtype=object)
    np.save(path, array) if suffix == ".npy" else np.savez(path, array)
    with pytest.raises(ArrayFileError, match=r"pickled Python objects.*never loaded"):
        read_matrix(path)
    assert not _UNPICKLED
    with pytest.raises(MatrixFileError, match="pickles, which can run code"):
        read_matrix(tmp_path / "weights.pt")


def test_safetensors(tmp_path):
    path = tmp_path / "m.safetensors"
    values = torch.tensor([[0.5, 1.25], [3.0, -2.0]])
    save_file({"a": values.bfloat16(), "b": values[0].clone()}, path, metadata={"names": "[]"})
    matrix = read_matrix(path, key="a")
    assert matrix.values.dtype == np.float32
    assert matrix.values.tolist() == values.tolist()
    assert matrix.names is None
    assert read_vector(path, "b").tolist() == [0.5, 1.25]
    with pytest.raises(MatrixFileError, match="the keys are 'a', 'b'"):
        read_matrix(path)
    save_file({"values": values}, path, metadata={"names": "no list"})
    with pytest.raises(MatrixFileError, match="no JSON list"):
        read_matrix(path)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".parquet"])
def test_damaged_files(tmp_path, suffix):
    whole = write_matrix(tmp_path / "whole.npy", VALUES)
    path = tmp_path / f"m{suffix}"
    if suffix == ".npz":
        np.savez(path, VALUES)
    elif suffix != ".npy":
        write_matrix(path, VALUES)
    else:
        path.write_bytes(whole.read_bytes())
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ArrayFileError, match=f"m{suffix}.*compute it again"):
        read_matrix(path)
    path.write_bytes(b"no such format")
    with pytest.raises(ArrayFileError, match=f"m{suffix}"):
        read_matrix(path)
    path.unlink()
    with pytest.raises(ArrayFileError, match="no such file"):
        read_matrix(path)


def test_three_dimensions_name_the_remedy(tmp_path):
    np.save(tmp_path / "m.npy", np.zeros((2, 3, 4)))
    with pytest.raises(MatrixFileError, match=r"neuron_eval\.activations\.flatten_tokens"):
        read_matrix(tmp_path / "m.npy")


@pytest.mark.parametrize(
    ("suffix", "package"), [(".safetensors", "safetensors"), (".parquet", "pyarrow")]
)
def test_missing_libraries_are_named(tmp_path, monkeypatch, suffix, package):
    path = write_matrix(tmp_path / f"m{suffix}", VALUES)
    real = importlib.import_module

    def missing(name, *args):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return real(name, *args)

    def missing_engine(*_args, **_kwargs):
        raise ImportError("Unable to find a usable engine")

    monkeypatch.setattr(importlib, "import_module", missing)
    monkeypatch.setattr(pd, "read_parquet", missing_engine)
    monkeypatch.setattr(pd.DataFrame, "to_parquet", missing_engine)
    for use in (lambda: read_matrix(path), lambda: write_matrix(path, VALUES)):
        with pytest.raises(MatrixFileError, match=f"pip install {package}"):
            use()


def test_other_names(tmp_path):
    with pytest.raises(MatrixFileError, match=r"ends in '\.mat', expected \.npy, \.npz"):
        read_matrix(tmp_path / "m.mat")


# --- recordings ----------------------------------------------------------------------------------


def test_recording(tmp_path):
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    data = torch.randn(5, 4)
    record_to_folder(tmp_path, model, ["0", "1"], lambda done: data[done:].split(2), 5)
    np.testing.assert_allclose(
        read_matrix(tmp_path, key="0").values, model[0](data).detach(), rtol=1e-5
    )
    with pytest.raises(MatrixFileError, match=r"found 2 layers.*'0', '1'"):
        read_matrix(tmp_path)
    with pytest.raises(MatrixFileError, match="no layer 'x'"):
        read_matrix(tmp_path, key="x")
    state = json.loads((tmp_path / "recording.json").read_text())
    (tmp_path / "recording.json").write_text(json.dumps({**state, "n_done": 4}))
    with pytest.raises(MatrixFileError, match="4 of 5 inputs are recorded"):
        read_matrix(tmp_path, key="0")
    (tmp_path / "recording.json").unlink()
    with pytest.raises(MatrixFileError, match="expected a recording"):
        read_matrix(tmp_path, key="0")
