"""What a probe dataset is made of, read from files."""

from annotation.datafiles.inputs import DatasetFiles, NewInput
from annotation.datafiles.reading import dataset_read
from annotation.datafiles.roots import dataset_roots, path_allowed

__all__ = ["DatasetFiles", "NewInput", "dataset_read", "dataset_roots", "path_allowed"]
