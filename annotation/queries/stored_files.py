"""Whether the files that the database speaks of are still there."""

from annotation.exceptions import UnsafePath
from annotation.models import Modality, ProbeDataset
from annotation.uploads import path_within


def dataset_problem(dataset: ProbeDataset, indices: tuple[int, ...] = (0,)) -> str:
    """Say which files of a dataset are gone.

    Parameters
    ----------
    dataset : ProbeDataset
        Any.
    indices : tuple of int
        The inputs to look for; the first one tells whether the folder is there at all.

    Returns
    -------
    str
        Empty while all are there.
    """
    if dataset.modality == Modality.TEXT:
        return ""
    root = dataset.absolute_root
    if not root.is_dir():
        return (
            f"The folder {dataset.root!r} of the dataset {dataset.name!r} is gone. Answers are "
            "safe, and no tasks are handed out; put the folder back where it was."
        )
    rows = dataset.inputs.filter(index__in=indices) if len(indices) < 500 else dataset.inputs.all()
    wanted = set(indices)
    missing = [
        file
        for index, file in rows.values_list("index", "file")
        if index in wanted and not _is_there(dataset, file)
    ]
    if not missing:
        return ""
    return (
        f"{len(missing)} of {len(wanted)} files are gone or empty, the first {missing[0]!r}; put "
        "them back where they were."
    )


def _is_there(dataset: ProbeDataset, file: str) -> bool:
    try:
        path = path_within(dataset.absolute_root, file)
        return path.is_file() and path.stat().st_size > 0
    except (UnsafePath, OSError):
        return False
