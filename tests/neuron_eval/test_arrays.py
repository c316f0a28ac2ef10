"""Array files: written atomically, refused when they are not what they should be."""

import hashlib
import pickle

import numpy as np
import pytest

from neuron_eval.arrays import ArrayFileError, describe_array, load_array, save_array


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.float32).reshape(3, 4),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array([True, False]),
        np.float64(3.5),
        np.zeros((0, 4)),
    ],
)
def test_round_trip(tmp_path, array):
    info = save_array(tmp_path / "new" / "a.npy", array)
    loaded = load_array(info.path, shape=info.shape, dtype=info.dtype, sha256=info.sha256)
    np.testing.assert_array_equal(loaded, array)
    assert describe_array(info.path) == info
    assert info.sha256 == hashlib.sha256(info.path.read_bytes()).hexdigest()
    assert loaded.flags.c_contiguous
    assert not loaded.flags.writeable


def test_large_arrays_are_memory_mapped(tmp_path):
    info = save_array(tmp_path / "a.npy", np.ones((10, 2)))
    assert isinstance(load_array(info.path), np.memmap)


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.npy"
    before = save_array(path, np.ones(3))

    def fail(*_args, **_kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(np.lib.format, "write_array", fail)
    with pytest.raises(OSError, match="disk full"):
        save_array(path, np.zeros(3))
    assert describe_array(path) == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.npy"]


def test_missing_file(tmp_path):
    with pytest.raises(ArrayFileError, match=r"gone\.npy: no such file"):
        load_array(tmp_path / "gone.npy")


def test_name_must_end_in_npy(tmp_path):
    with pytest.raises(ArrayFileError, match=r"rename it to a\.npy"):
        save_array(tmp_path / "a.bin", np.ones(2))


@pytest.mark.parametrize("content", [b"", b"hello world", pickle.dumps([1, 2])])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(ArrayFileError, match=r"a\.npy: found .* expected a \.npy array"):
        load_array(path)


@pytest.mark.parametrize("kept", [6, 9, 40, 100, 130, 160])
def test_truncated_files_are_refused(tmp_path, kept):
    info = save_array(tmp_path / "a.npy", np.arange(100.0))
    info.path.write_bytes(info.path.read_bytes()[:kept])
    with pytest.raises(ArrayFileError, match="truncated or damaged"):
        load_array(info.path)


def test_pickled_objects_are_refused(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ArrayFileError, match="never loaded"):
        load_array(path)
    with pytest.raises(ArrayFileError, match="Python objects"):
        save_array(path, np.array([None], dtype=object))


def test_differences_from_the_record_are_refused(tmp_path):
    info = save_array(tmp_path / "a.npy", np.ones((2, 3), dtype=np.float32))
    with pytest.raises(ArrayFileError, match=r"found shape \(2, 3\), expected \(3, 3\)"):
        load_array(info.path, shape=(3, 3))
    with pytest.raises(ArrayFileError, match="found dtype float32, expected float64"):
        load_array(info.path, dtype=np.float64)
    content = bytearray(info.path.read_bytes())
    content[-1] ^= 1
    info.path.write_bytes(content)
    assert load_array(info.path, shape=info.shape, dtype=info.dtype).shape == (2, 3)
    with pytest.raises(ArrayFileError, match=r"found checksum .* changed since"):
        load_array(info.path, sha256=info.sha256)
