"""Datasets and matrices from files: whole in the database, or not at all."""

import io
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile

from annotation import science
from annotation.exceptions import (
    AnnotationError,
    ArrayProblem,
    DatasetProblem,
    DeletionRefused,
    InvalidInput,
    UploadRefused,
)
from annotation.models import ConceptMatrixRole, Modality, ProbeDataset
from annotation.services.datasets import probe_dataset_delete
from annotation.services.imports_of_files import (
    activations_import,
    concept_matrix_import,
    dataset_import,
    dataset_upload,
    upload_on_disk,
    uploads_prune,
)
from tests.annotation.factories import make_dataset, make_study
from tests.annotation.factories_researcher import TOPICS, archive, image_folder, npy, png, table

pytestmark = pytest.mark.django_db


def upload(name: str, content: bytes | str) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content.encode() if isinstance(content, str) else content)


def uploads() -> set[Path]:
    folder = Path(settings.DATA_DIR) / "uploads"
    return {path for path in folder.rglob("*") if path.is_file()}


def test_an_archive_with_a_manifest() -> None:
    rows = "file,round\n001.png,1\n000.png,0\n"
    sent = upload("d.zip", archive(3, **{"images/manifest.csv": rows.encode()}))
    made = dataset_upload(name="zip", archive=sent)
    assert [row.file for row in made.dataset.inputs.order_by("index")] == ["001.png", "000.png"]
    assert made.reference is not None
    assert made.reference.role == ConceptMatrixRole.REFERENCE
    np.testing.assert_array_equal(science.array_load(made.reference), [[1], [0]])
    assert (made.dataset.absolute_root / "001.png").is_file()


def test_single_images_and_a_table_that_names_them() -> None:
    images = [upload(f"{k}.png", png(k)) for k in (2, 1)]
    made = dataset_upload(name="i", images=images, table=upload("m.csv", "file\n2.png\n1.png\n"))
    assert [row.file for row in made.dataset.inputs.order_by("index")] == ["2.png", "1.png"]


def test_texts_keep_their_highlights() -> None:
    sent = upload("t.jsonl", '{"text": "the cat", "highlight": [4, 7]}\n')
    made = dataset_upload(name="t", table=sent)
    row = made.dataset.inputs.get()
    assert made.dataset.modality == Modality.TEXT
    assert (row.text, row.file, row.highlight_start, row.highlight_end) == ("the cat", "", 4, 7)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "nothing was uploaded"),
        ({"archive": ("d.zip", b"not a zip")}, "d.zip"),
        ({"archive": ("d.zip", archive(1, **{"../x.png": png()}))}, "no plain name"),
        ({"archive": ("d.zip", archive(1, **{"x.exe": b"MZ\x90\x00\xff"}))}, "x.exe"),
        ({"table": ("t.pkl", b"\x80\x04N.")}, "t.pkl"),
        ({"table": ("t.txt", b"a\n\nb\n")}, "line 2: the text is empty"),
        ({"table": ("m.csv", b"file\nx.png\n")}, "x.png"),
    ],
)
def test_a_refused_upload_leaves_nothing(
    fields: dict[str, tuple[str, bytes]], message: str
) -> None:
    before = uploads()
    sent: dict[str, Any] = {name: upload(*content) for name, content in fields.items()}
    with pytest.raises(AnnotationError, match=message):
        dataset_upload(name="bad", **sent)
    assert not ProbeDataset.objects.exists()
    assert uploads() == before


def test_two_images_of_one_name_are_refused() -> None:
    with pytest.raises(UploadRefused, match="two files have this name"):
        dataset_upload(name="x", images=[upload("a.png", png()), upload("b/a.png", png())])


def test_a_folder_is_served_from_where_it_lies(tmp_path: Path, settings) -> None:
    folder = image_folder(tmp_path / "mine", 2)
    with pytest.raises(InvalidInput, match="leads out of the data folder"):
        dataset_import(name="d", source=folder)
    settings.NEURONJURY_DATASET_ROOTS = [tmp_path]
    made = dataset_import(name="d", source=folder)
    assert made.dataset.absolute_root == folder
    copied = dataset_import(name="copy", source=folder, copy=True).dataset
    assert copied.absolute_root.is_relative_to(settings.DATA_DIR)
    assert (copied.absolute_root / "001.png").read_bytes() == (folder / "001.png").read_bytes()


def savez(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def test_activations_of_every_format(tmp_path: Path) -> None:
    from safetensors.numpy import save

    dataset = make_dataset(5)
    values = np.arange(10, dtype=np.float32).reshape(5, 2) / 8
    contents = {
        "a.npy": npy(values),
        "b.npz": savez(conv1=values, other=values),
        "c.safetensors": save({"conv1": values}),
        "d.csv": table(values, ("0", "1")).replace("0,1\n", "u0,u1\n").encode(),
    }
    for name, content in contents.items():
        with upload_on_disk(upload(name, content)) as source:
            made = activations_import(
                dataset=dataset,
                model_name="m",
                layer=name,
                source=source,
                key="conv1" if name == "b.npz" else None,
            )
        np.testing.assert_allclose(science.array_load(made, verify=True), values)
        assert not source.exists()


def test_an_archive_of_several_arrays_asks_which(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(savez(a=np.eye(5), b=np.eye(5)))
    with pytest.raises(ArrayProblem, match="'a', 'b'") as caught:
        activations_import(dataset=make_dataset(5), model_name="m", layer="l", source=path)
    assert str(tmp_path) not in str(caught.value)


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    content = io.BytesIO()
    np.save(content, np.array([[object()]]), allow_pickle=True)
    with (
        pytest.raises(UploadRefused, match="pickle"),
        upload_on_disk(upload("x.npy", content.getvalue())),
    ):
        pass


def test_concepts_from_a_table_and_from_a_list_of_names(tmp_path: Path) -> None:
    dataset = make_dataset(4)
    values = np.full((4, 3), 0.5)
    path = tmp_path / "p.csv"
    path.write_text(table(values))
    named = concept_matrix_import(dataset=dataset, name="a", role="prior", source=path)
    assert list(named.columns.values_list("concept__text", flat=True)) == list(TOPICS)
    np.save(tmp_path / "p.npy", values)
    with pytest.raises(ArrayProblem, match="does not name its columns"):
        concept_matrix_import(dataset=dataset, name="b", role="prior", source=tmp_path / "p.npy")
    listed = concept_matrix_import(
        dataset=dataset,
        name="b",
        role="prior",
        source=tmp_path / "p.npy",
        concepts=["x", "y", "z"],
    )
    assert listed.columns.get(column=2).concept.text == "z"


def test_rows_in_another_order_than_the_inputs_are_refused(tmp_path: Path) -> None:
    dataset = make_dataset(3)
    files = list(dataset.inputs.order_by("index").values_list("file", flat=True))
    path = tmp_path / "p.csv"
    rows = [f"{file},0.5" for file in (files[0], files[2], files[1])]
    path.write_text("\n".join(["file,cat", *rows]) + "\n")
    with pytest.raises(DatasetProblem, match="row 1 is named"):
        concept_matrix_import(dataset=dataset, name="p", role="prior", source=path)
    rows = [f"{file},0.5" for file in files]
    path.write_text("\n".join(["file,cat", *rows]) + "\n")
    concept_matrix_import(dataset=dataset, name="p", role="prior", source=path)


def test_files_that_nobody_confirmed_are_removed_in_time() -> None:
    waiting = Path(settings.DATA_DIR) / "uploads" / "waiting"
    for name, age in (("old", 3), ("new", 1)):
        (waiting / name).mkdir(parents=True)
        (waiting / name / "explanations.csv").write_text("x")
        moment = time.time() - age * 24 * 60 * 60
        os.utime(waiting / name, (moment, moment))
    assert uploads_prune() == 1
    assert not (waiting / "old").exists()
    assert (waiting / "new" / "explanations.csv").exists()


def test_a_dataset_goes_only_while_no_study_uses_it(django_capture_on_commit_callbacks) -> None:
    study = make_study(launched=False)
    with pytest.raises(DeletionRefused, match="is used by"):
        probe_dataset_delete(dataset=study.dataset)
    dataset = study.dataset
    paths = [matrix.absolute_path for matrix in dataset.concept_matrices.all()]
    study.delete()
    with django_capture_on_commit_callbacks(execute=True):
        probe_dataset_delete(dataset=dataset)
    assert not ProbeDataset.objects.exists()
    assert not any(path.exists() for path in paths)


def test_a_name_too_long_is_refused() -> None:
    with pytest.raises(UploadRefused, match="has 254 bytes"):
        dataset_upload(name="x", images=[upload("a" * 250 + ".png", png())])
