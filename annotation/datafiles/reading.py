"""A probe dataset from a folder of images, a manifest or a text file; nothing here writes.

The order of the inputs is that of the rows of every matrix: of a folder the paths, sorted; of a
table or text file its lines.
"""

import os
from pathlib import Path

from annotation.datafiles.inputs import (
    DatasetFiles,
    NewInput,
    files_require,
    lines_of,
    some,
    some_require,
    text_require,
)
from annotation.datafiles.tables import DELIMITERS, json_lines_read, manifest_read
from annotation.exceptions import DatasetProblem
from annotation.models import Modality
from annotation.uploads import path_within

MANIFEST = "manifest.csv"
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif"})


def dataset_read(path: Path, *, root: Path | None = None) -> DatasetFiles:
    """Read a dataset from a folder of images, a manifest, a text file or JSON lines.

    Parameters
    ----------
    path : Path
        A folder (a file ``manifest.csv`` in it decides, if there is one), or a file ending in
        .csv, .tsv, .txt or .jsonl.
    root : Path, optional
        Folder that the names in a manifest are relative to; by default the manifest's.

    Returns
    -------
    DatasetFiles

    Raises
    ------
    DatasetProblem
        When it is none of these, or a row cannot be used; the message names the row.
    UnsafePath
        When the manifest of a folder is a link that leads out of it.
    """
    if path.is_dir():
        path = _inner_folder(path)
        manifest = path / MANIFEST
        path_within(path, MANIFEST)  # no link may make a table of a file elsewhere
        return manifest_read(manifest, path) if manifest.is_file() else folder_read(path)
    folder = root or path.parent
    suffix = path.suffix.lower()
    if suffix in DELIMITERS:
        return manifest_read(path, folder)
    if suffix in {".jsonl", ".ndjson"}:
        return json_lines_read(path, folder)
    if suffix in {".txt", ".text"}:
        return texts_read(path, folder)
    raise DatasetProblem(
        f"{path.name}: found neither a folder nor a .csv, .tsv, .txt or .jsonl file; see the guide "
        "for what a dataset may be made of."
    )


def _inner_folder(folder: Path) -> Path:
    """Step into the one folder that archives often have at their top."""
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    if len(entries) == 1 and entries[0].is_dir() and not entries[0].is_symlink():
        return entries[0]
    return folder


def folder_read(folder: Path) -> DatasetFiles:
    """List the images of a folder and its subfolders, sorted by path.

    Parameters
    ----------
    folder : Path
        Any.

    Returns
    -------
    DatasetFiles

    Raises
    ------
    DatasetProblem
        When there is no image, or a file is none although its name says so.
    UnsafePath
        When a link leads out of the folder.
    """
    found: list[str] = []
    others: list[str] = []
    for place, folders, names in os.walk(folder):
        here = Path(place)
        others += [f"{name}/" for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            relative = (here / name).relative_to(folder).as_posix()
            is_image = Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".")
            (found if is_image else others).append(relative)
    notes = [f"Not images, left out: {some(sorted(others))}."] if others else []
    if not found:
        raise DatasetProblem(
            f"{folder.name}: found no image (.png, .jpg, .webp or .gif) in the folder; name the "
            "folder that holds them, or convert them."
        )
    inputs = [NewInput(file=file) for file in sorted(found)]
    files_require(folder, inputs)
    return DatasetFiles(folder, Modality.IMAGE, inputs, notes=notes)


def texts_read(path: Path, folder: Path) -> DatasetFiles:
    """Read a text file: one input a line.

    Parameters
    ----------
    path : Path
        UTF-8.
    folder : Path
        The dataset's folder.

    Returns
    -------
    DatasetFiles

    Raises
    ------
    DatasetProblem
        When a line is empty or too long.
    """
    inputs = []
    for number, line in enumerate(lines_of(path), start=1):
        text_require(line, path, number)
        inputs.append(NewInput(text=line))
    some_require(inputs, path)
    return DatasetFiles(folder, Modality.TEXT, inputs)
