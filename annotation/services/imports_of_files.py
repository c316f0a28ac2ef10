"""Datasets and matrices from files: pointed to where they lie, or uploaded."""

import os
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from annotation import science
from annotation.archives import zip_extract
from annotation.datafiles import DatasetFiles, dataset_read
from annotation.exceptions import ArrayProblem, DatasetProblem, UploadRefused
from annotation.models import (
    ActivationMatrix,
    ConceptMatrix,
    ConceptMatrixRole,
    Modality,
    ProbeDataset,
)
from annotation.services.datasets import (
    activations_register,
    concept_matrix_register,
    probe_dataset_create,
)
from annotation.services.files import file_note, files_follow_transaction
from annotation.uploads import ARRAYS, IMAGES, TEXTS, FileKind, path_within, upload_checked

#: What the name of a dataset's own labels is as a concept matrix.
LABELS = "labels"
TABLES = frozenset({FileKind.CSV, FileKind.JSONL, FileKind.TEXT})
CHUNK = 1 << 20
#: Room for what is put around the name while the file is written.
MAX_NAME_BYTES = 200


@dataclass(frozen=True)
class DatasetImported:
    """A dataset that was registered from files.

    Attributes
    ----------
    dataset : ProbeDataset
        The dataset.
    reference : ConceptMatrix or None
        The reference labels that came with it.
    notes : list of str
        What was left out.
    """

    dataset: ProbeDataset
    reference: ConceptMatrix | None = None
    notes: list[str] = field(default_factory=list)


@files_follow_transaction()
@transaction.atomic
def dataset_import(
    *,
    name: str,
    source: Path,
    root: Path | None = None,
    copy: bool = False,
    description: str = "",
    actor: AbstractBaseUser | None = None,
) -> DatasetImported:
    """Register the dataset that a folder, manifest, text file or JSON-lines file describes.

    Parameters
    ----------
    name : str
        A name that no other dataset has.
    source : Path
        See `annotation.datafiles.dataset_read`.
    root : Path, optional
        What file names are relative to; by default the folder of `source`.
    copy : bool
        Copy the images into the data folder, instead of serving them from where they lie.
    description : str
        For researchers.
    actor : User, optional
        Who registers it.

    Returns
    -------
    DatasetImported

    Raises
    ------
    DatasetProblem, UnsafePath
        When the files do not make a dataset.
    InvalidInput
        When the name is taken, or the folder lies outside the data folder and every dataset root.
    """
    read = dataset_read(source, root=root)
    if read.modality == Modality.TEXT:
        stored = ""
    elif copy:
        stored = _copied(read)
    else:
        stored = _stored_root(read.root)
    dataset = probe_dataset_create(
        name=name,
        root=stored,
        inputs=read.inputs,
        modality=read.modality,
        description=description,
        actor=actor,
    )
    reference = _labels_register(dataset, read) if read.labels else None
    return DatasetImported(dataset, reference, read.notes)


def dataset_upload(
    *,
    name: str,
    archive: Any = None,
    images: Sequence[Any] = (),
    table: Any = None,
    description: str = "",
    actor: AbstractBaseUser | None = None,
) -> DatasetImported:
    """Register a dataset from uploaded files, which are kept below the data folder.

    Parameters
    ----------
    name : str
        A name that no other dataset has.
    archive : UploadedFile, optional
        A ZIP file of images, perhaps with a ``manifest.csv``.
    images : sequence of UploadedFile
        Instead of an archive.
    table : UploadedFile, optional
        A manifest (.csv, .tsv), text file (.txt) or JSON lines; alone where the inputs are texts,
        otherwise beside the images that it names.
    description : str
        For researchers.
    actor : User, optional
        Who registers it.

    Returns
    -------
    DatasetImported

    Raises
    ------
    UploadRefused
        When a file is not what it should be; nothing is kept then.
    DatasetProblem, InvalidInput
        See `dataset_import`.
    """
    if archive is None and not images and table is None:
        raise UploadRefused(
            "files: nothing was uploaded; choose a ZIP file or images, a manifest, or a text file."
        )
    if archive is not None and images:
        raise UploadRefused("files: a ZIP file and single images were sent; send one of the two.")
    folder = Path(settings.DATA_DIR) / "uploads" / "datasets" / str(uuid.uuid4())
    try:
        if archive is not None:
            kinds = IMAGES | TEXTS  # a readme is left out, and said to be
            zip_extract(archive, folder / "inputs", kinds=kinds, label=_name(archive))
        for image in images:
            upload_store(image, path_within(folder / "inputs", _name(image)), kinds=IMAGES)
        source = folder / "inputs"
        if table is not None:
            source = upload_store(table, path_within(folder, _name(table)), kinds=TABLES)
        return dataset_import(
            name=name,
            source=source,
            root=folder / "inputs",
            description=description,
            actor=actor,
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def activations_import(
    *,
    dataset: ProbeDataset,
    model_name: str,
    layer: str,
    source: Path,
    pool: str = "none",
    key: str | None = None,
    name: str | None = None,
) -> ActivationMatrix:
    """Register activations from a file of any known format.

    Parameters
    ----------
    dataset : ProbeDataset
        What they were recorded on.
    model_name, layer : str
        Where they were recorded.
    source : Path
        .npy, .npz, .safetensors, .csv, .tsv or .parquet.
    pool : str
        How a channel became one number.
    key : str, optional
        Which array, where the file holds several.
    name : str, optional
        The file's name in messages.

    Returns
    -------
    ActivationMatrix

    Raises
    ------
    ArrayProblem, InvalidInput
        See `annotation.services.datasets.activations_register`.
    """
    for field_name, value in (("model_name", model_name), ("layer", layer)):
        if not value.strip():
            raise ArrayProblem(f"{field_name}: it is empty; say where the activations come from.")
    matrix = science.matrix_read(source, key=key or None, name=name)
    _rows_require(dataset, matrix.rows, name or source.name)
    return activations_register(
        dataset=dataset,
        model_name=model_name,
        layer=layer,
        pool=pool,
        activations=matrix.values,
    )


def concept_matrix_import(
    *,
    dataset: ProbeDataset,
    name: str,
    role: str,
    source: Path,
    key: str | None = None,
    concepts: Sequence[str] | None = None,
    source_name: str | None = None,
) -> ConceptMatrix:
    """Register a concept prior or reference labels from a file of any known format.

    Parameters
    ----------
    dataset : ProbeDataset
        What the concept vectors are over.
    name : str
        Where they come from.
    role : str
        One of `ConceptMatrixRole`.
    source : Path
        .npy, .npz, .safetensors, .csv, .tsv or .parquet.
    key : str, optional
        Which array, where the file holds several.
    concepts : sequence of str, optional
        Text of every column; by default the names that the file has.
    source_name : str, optional
        The file's name in messages.

    Returns
    -------
    ConceptMatrix

    Raises
    ------
    ArrayProblem, InvalidInput
        See `annotation.services.datasets.concept_matrix_register`.
    """
    label = source_name or source.name
    matrix = science.matrix_read(source, key=key or None, name=label)
    _rows_require(dataset, matrix.rows, label)
    texts = list(concepts or matrix.names or ())
    if not texts:
        raise ArrayProblem(
            f"concepts: {label!r} does not name its columns; give a text file with the concept of "
            "every column, one a line, or use a table whose first row names them."
        )
    return concept_matrix_register(
        dataset=dataset, name=name, role=role, concepts=texts, values=matrix.values
    )


def upload_store(file: Any, target: Path, *, kinds: frozenset[FileKind]) -> Path:
    """Check an uploaded file and write it to disk: whole under its name, or not at all.

    Parameters
    ----------
    file : UploadedFile
        Read in pieces.
    target : Path
        Where to; its folder is made.
    kinds : frozenset of FileKind
        What it may be.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    UploadRefused
        When it is of another kind, too large or damaged, or there is such a file already.
    """
    upload_checked(file, kinds=kinds)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        raise UploadRefused(f"{target.name}: two files have this name; rename one.")
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("xb") as out:
            while chunk := file.read(CHUNK):
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


@contextmanager
def upload_on_disk(file: Any, *, kinds: frozenset[FileKind] = ARRAYS) -> Iterator[Path]:
    """Lay an uploaded file on disk for readers that need a path; it is removed afterwards.

    Parameters
    ----------
    file : UploadedFile
        Checked before it is written.
    kinds : frozenset of FileKind
        What it may be.

    Yields
    ------
    Path
        Ends as the file's own name does.
    """
    folder = Path(settings.DATA_DIR) / "uploads" / "reading" / str(uuid.uuid4())
    try:
        yield upload_store(file, path_within(folder, _name(file)), kinds=kinds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def uploads_prune(*, older_than_seconds: int = 2 * 24 * 60 * 60) -> int:
    """Remove files that waited for a second button which nobody pressed.

    Parameters
    ----------
    older_than_seconds : int
        Files that were sent less long ago stay; by default two days, twice as long as they are
        good for.

    Returns
    -------
    int
        How many were removed.
    """
    limit = time.time() - older_than_seconds
    n_removed = 0
    for name in ("waiting", "reading"):
        folder = Path(settings.DATA_DIR) / "uploads" / name
        for entry in folder.iterdir() if folder.is_dir() else ():
            if entry.stat().st_mtime < limit:
                shutil.rmtree(entry, ignore_errors=True)
                n_removed += 1
    return n_removed


def _name(file: Any) -> str:
    """Keep the last part of the name that the browser sent."""
    name = PurePosixPath(PureWindowsPath(file.name or "").name).name
    if not name:
        raise UploadRefused("files: a file came without a name; name it.")
    if (n_bytes := len(name.encode("utf-8", "surrogatepass"))) > MAX_NAME_BYTES:
        raise UploadRefused(
            f"files: the name {name[:40]!r}... has {n_bytes} bytes, more than {MAX_NAME_BYTES}; "
            "shorten it."
        )
    return name


def _stored_root(folder: Path) -> str:
    """Write a folder as the database keeps it: relative to the data folder where it lies there."""
    folder, data_dir = folder.resolve(), Path(settings.DATA_DIR).resolve()
    if folder.is_relative_to(data_dir):
        return folder.relative_to(data_dir).as_posix()
    return folder.as_posix()


def _copied(read: DatasetFiles) -> str:
    relative = f"datasets/{uuid.uuid4()}"
    folder = Path(settings.DATA_DIR) / relative
    file_note(folder)
    for row in read.inputs:
        source, target = path_within(read.root, row.file), path_within(folder, row.file)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():  # an input may be listed twice
            shutil.copyfile(source, target)
    return relative


def _labels_register(dataset: ProbeDataset, read: DatasetFiles) -> ConceptMatrix:
    columns = list(read.labels.values())
    values = [list(row) for row in zip(*columns, strict=True)]
    return concept_matrix_register(
        dataset=dataset,
        name=LABELS,
        role=ConceptMatrixRole.REFERENCE,
        concepts=list(read.labels),
        values=values,
    )


def _rows_require(dataset: ProbeDataset, rows: Sequence[str] | None, what: str) -> None:
    """Refuse a table whose rows are named as our files but stand in another order."""
    if not rows or dataset.modality != Modality.IMAGE:
        return
    files = list(dataset.inputs.order_by("index").values_list("file", flat=True))
    if len(rows) != len(files) or set(rows) != set(files):
        return  # other names, or another number, which is told where the shape is checked
    for index, (row, file) in enumerate(zip(rows, files, strict=True)):
        if row != file:
            raise DatasetProblem(
                f"{what}: row {index} is named {row!r}, but input {index} of {dataset.name!r} is "
                f"{file!r}; bring the rows into the order of the dataset."
            )
