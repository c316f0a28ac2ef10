"""Where on this machine researchers may take datasets from."""

from pathlib import Path

from django.conf import settings

from annotation.exceptions import DatasetProblem, UnsafePath
from annotation.uploads import name_too_long, path_within


def dataset_roots() -> list[Path]:
    """List the folders from which researchers may register datasets without an upload.

    Returns
    -------
    list of Path
        The setting NEURONJURY_DATASET_ROOTS, by default the folder ``datasets`` below the data
        folder.
    """
    configured = [Path(root) for root in settings.NEURONJURY_DATASET_ROOTS]
    return configured or [Path(settings.DATA_DIR) / "datasets"]


def path_allowed(given: str) -> Path:
    """Find a file or folder that a researcher names, if it lies in one of the dataset roots.

    Parameters
    ----------
    given : str
        Absolute, or relative to one of the roots.

    Returns
    -------
    Path
        It exists; links were followed.

    Raises
    ------
    UnsafePath
        When it lies outside the roots, also by a link.
    DatasetProblem
        When it is not there, or its name is longer than any file's.
    """
    roots = [root.resolve() for root in dataset_roots()]
    if "\0" in given:
        raise UnsafePath("path: it has a NUL character; give the plain path.")
    if name_too_long(given):
        raise DatasetProblem(
            f"path: {given[:40]!r}... is longer than a path can be; correct it, or give the files "
            "shorter names."
        )
    for root in roots:
        absolute = Path(given)
        if absolute.is_absolute():
            path = absolute.resolve()
            if not path.is_relative_to(root):
                continue
        else:
            path = path_within(root, given)
        if path.exists():
            return path
    inside = any(Path(given).resolve().is_relative_to(root) for root in roots)
    if Path(given).is_absolute() and not inside:
        raise UnsafePath(
            f"path: {given!r} lies in none of the folders that this site takes datasets from "
            f"({', '.join(map(str, dataset_roots()))}); copy it there, upload it, or have the "
            "folder added to NEURONJURY_DATASET_ROOTS."
        )
    raise DatasetProblem(
        f"path: there is no {given!r} in {', '.join(map(str, dataset_roots()))}; correct the path "
        "or copy the files there."
    )
