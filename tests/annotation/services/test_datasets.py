"""Registering arrays: what is wrong is named, what is right can be proved unchanged."""

from pathlib import Path

import numpy as np
import pytest

from annotation import science
from annotation.exceptions import ArrayProblem, InvalidInput
from annotation.models import ActivationMatrix, ConceptMatrix, ProbeDataset
from annotation.services.datasets import (
    activations_register,
    concept_matrix_register,
    probe_dataset_create,
)
from tests.annotation.factories import make_dataset

pytestmark = pytest.mark.django_db


@pytest.fixture
def dataset() -> ProbeDataset:
    return make_dataset(n_inputs=5)


def register(dataset: ProbeDataset, activations) -> ActivationMatrix:
    return activations_register(
        dataset=dataset, model_name="net", layer="conv1", activations=activations
    )


def prior(dataset: ProbeDataset, values, concepts=("cat", "dog"), **fields) -> ConceptMatrix:
    return concept_matrix_register(
        dataset=dataset,
        **{"name": "labels", "role": "prior", "concepts": concepts, "values": values, **fields},
    )


def test_inputs_keep_their_order_and_hide_their_names(dataset: ProbeDataset) -> None:
    inputs = list(dataset.inputs.all())
    assert [row.index for row in inputs] == list(range(5))
    assert len({row.public_id for row in inputs}) == 5
    assert all(row.file not in str(row.public_id) for row in inputs)


@pytest.mark.parametrize(
    ("root", "files", "message"),
    [
        ("x", [], "has none; give one file an input"),
        ("../outside", ["a.png"], "leads out of the data folder"),
        ("x", ["../../etc/passwd"], "leads out of the folder"),
        ("x", ["missing.png"], r"'missing.png' \(input 0\) is not in the folder 'x'"),
    ],
)
def test_bad_datasets(root: str, files: list[str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        probe_dataset_create(name="bad", root=root, files=files)
    assert not ProbeDataset.objects.filter(name="bad").exists()


def test_activations_round_trip_with_proof(dataset: ProbeDataset) -> None:
    values = np.arange(10, dtype=np.float32).reshape(5, 2)
    matrix = register(dataset, values)
    np.testing.assert_array_equal(science.array_load(matrix, verify=True), values)
    assert (matrix.shape, matrix.dtype) == ([5, 2], "float32")
    changed = values + 1
    np.save(matrix.absolute_path, changed)
    with pytest.raises(ArrayProblem, match=r"net conv1: .* found checksum .* the file changed"):
        science.array_load(matrix, verify=True)


def test_activations_from_a_file(dataset: ProbeDataset, tmp_path: Path) -> None:
    path = tmp_path / "activations.npy"
    np.save(path, np.eye(5))
    matrix = register(dataset, path)
    path.unlink()
    np.testing.assert_array_equal(science.array_load(matrix), np.eye(5))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"not an array", "expected a .npy array"),
        (b"\x93NUMPY\x01\x00", "truncated or damaged"),
    ],
)
def test_an_unreadable_activations_file(
    dataset: ProbeDataset, tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "activations.npy"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ArrayProblem, match=f"activations of net conv1: .*{message}"):
        register(dataset, path)


def test_pickled_arrays_are_never_loaded(dataset: ProbeDataset, tmp_path: Path) -> None:
    path = tmp_path / "activations.npy"
    np.save(path, np.array([[object()]]), allow_pickle=True)
    with pytest.raises(ArrayProblem, match="pickled Python objects"):
        register(dataset, path)


@pytest.mark.parametrize(
    ("activations", "message"),
    [
        (np.zeros((4, 2)), "found 4 rows, expected 5, one per probe input"),
        (np.zeros(5), r"found shape \(5,\), expected two dimensions"),
        (
            [[0, 1], [0, 1], [0, float("nan")], [0, 1], [0, 1]],
            "the value of neuron 1 on input 2 is nan, expected a finite number; remove",
        ),
    ],
)
def test_bad_activations(dataset: ProbeDataset, activations, message: str) -> None:
    with pytest.raises(ArrayProblem, match=f"activations of net conv1: .*{message}"):
        register(dataset, activations)
    assert not ActivationMatrix.objects.exists()


def test_a_layer_is_registered_once(dataset: ProbeDataset) -> None:
    register(dataset, np.eye(5))
    with pytest.raises(InvalidInput, match=r"registered for .* already"):
        register(dataset, np.eye(5))


def test_concepts_get_columns(dataset: ProbeDataset) -> None:
    matrix = prior(dataset, np.full((5, 2), 0.5))
    again = prior(dataset, np.full((5, 1), 0.5), concepts=["dog"], name="other")
    columns = dict(matrix.columns.values_list("concept__text", "column"))
    assert columns == {"cat": 0, "dog": 1}
    dog = again.columns.get().concept
    assert matrix.columns.get(column=1).concept == dog


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"values": np.full((5, 2), 1.5)}, ArrayProblem, r"concept 0 \('cat'\) on input 0 is 1.5"),
        ({"values": np.zeros((5, 3))}, ArrayProblem, "3 columns and 2 names"),
        ({"concepts": ["cat", "cat"]}, InvalidInput, "'cat' is there twice"),
        ({"concepts": ["cat", " "]}, InvalidInput, "column 1 of 'labels' has no text"),
        ({"role": "guess"}, InvalidInput, "role: 'guess' is none of"),
    ],
)
def test_bad_concept_matrices(dataset: ProbeDataset, fields: dict, error, message: str) -> None:
    with pytest.raises(error, match=message):
        prior(dataset, **{"values": np.zeros((5, 2)), **fields})
    assert not ConceptMatrix.objects.exists()
