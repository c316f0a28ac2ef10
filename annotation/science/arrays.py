"""Arrays in files: written, opened, checked."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotation.exceptions import ArrayProblem, ConceptWithoutPositives
from annotation.science.errors import named

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from annotation.models.array_file import ArrayFile

ROWS_AT_ONCE = 4096
#: Of the largest value; what is left is rounding (as in `estimation.checks`).
CONSTANT = 1e-12


def array_save(path: Path, array: Any) -> dict[str, Any]:
    """Write an array to a file, atomically.

    Parameters
    ----------
    path : Path
        Where to; ends in ``.npy``.
    array : array-like
        Numbers.

    Returns
    -------
    dict
        ``shape``, ``dtype`` and ``sha256``, as `ArrayFile` keeps them.
    """
    from neuron_eval.arrays import save_array

    info = save_array(path, array)
    return {"shape": list(info.shape), "dtype": info.dtype, "sha256": info.sha256}


def array_load(record: "ArrayFile", *, verify: bool = False) -> "NDArray[np.floating[Any]]":
    """Open the array that a row of the database describes, memory-mapped and read-only.

    Parameters
    ----------
    record : ArrayFile
        An activation matrix or a concept matrix.
    verify : bool
        Read the whole file to compare its checksum.

    Returns
    -------
    ndarray, shape ``record.shape``

    Raises
    ------
    ArrayProblem
        When the file is missing, damaged or not the one that was registered.
    """
    from neuron_eval.arrays import load_array

    with named(str(record), ArrayProblem):
        return load_array(
            record.absolute_path,
            shape=record.shape,
            dtype=record.dtype,
            sha256=record.sha256 if verify else None,
        )


def constant_columns(record: "ArrayFile", columns: Iterable[int]) -> set[int]:
    """Find the columns of a stored array that have the same value in every row.

    Parameters
    ----------
    record : ArrayFile
        An activation matrix.
    columns : iterable of int
        Which to look at.

    Returns
    -------
    set of int
        Those without any spread: a score of such a neuron is not defined.

    Raises
    ------
    ArrayProblem
        See `array_load`.
    """
    import numpy as np

    wanted = sorted(set(columns))
    if not wanted:
        return set()
    array = array_load(record)
    lowest = array[0, wanted].astype(np.float64)
    highest = lowest.copy()
    for start in range(0, len(array), ROWS_AT_ONCE):  # a wide layer does not fit into memory
        rows = array[start : start + ROWS_AT_ONCE, wanted]
        np.minimum(lowest, rows.min(axis=0), out=lowest)
        np.maximum(highest, rows.max(axis=0), out=highest)
    # halves, for the difference of two large numbers may be none
    same = highest / 2 - lowest / 2 <= CONSTANT * np.maximum(np.abs(lowest), np.abs(highest))
    return {column for column, flat in zip(wanted, same, strict=True) if flat}


def activations_checked(
    activations: Any, *, n_inputs: int, what: str
) -> "NDArray[np.floating[Any]]":
    """Check activations, given as an array or as the path of a ``.npy`` file.

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons), or path
        The activations.
    n_inputs : int
        Size of the probe dataset.
    what : str
        Their name in messages.

    Returns
    -------
    ndarray, shape (n_inputs, n_neurons)
        In the type that was given.

    Raises
    ------
    ArrayProblem
        When the file cannot be read, the shape is another, or a value is NaN or infinite.
    """
    from neuron_eval.validation import check_activations

    with named(what, ArrayProblem):
        array = _array(activations)
        check_activations(array, n_inputs=n_inputs, dtype=None)
    return array


def concepts_checked(
    concepts: Any, *, n_inputs: int, names: Sequence[str], what: str
) -> "NDArray[np.floating[Any]]":
    """Check concept vectors, given as an array or as the path of a ``.npy`` file.

    Parameters
    ----------
    concepts : array-like, shape (n_inputs, n_concepts), or path
        P(concept | input) in [0, 1].
    n_inputs : int
        Size of the probe dataset.
    names : sequence of str
        Text of every column.
    what : str
        Their name in messages.

    Returns
    -------
    ndarray, shape (n_inputs, n_concepts)

    Raises
    ------
    ArrayProblem
        When the file cannot be read, the shape is another, or a value is no probability.
    """
    from neuron_eval.validation import check_concepts

    with named(what, ArrayProblem):
        array = _array(concepts)
        check_concepts(array, n_inputs=n_inputs, names=list(names), dtype=None)
    return array


def _array(given: Any) -> "NDArray[np.floating[Any]]":
    import numpy as np

    from neuron_eval.arrays import load_array

    if isinstance(given, str | Path):
        return load_array(given)
    return np.asarray(given)


def labels_require(labels: "NDArray[np.floating[Any]]", *, what: str) -> None:
    """Refuse reference labels without positives or without negatives.

    Parameters
    ----------
    labels : ndarray, shape (n_inputs,)
        A concept vector that is called the truth.
    what : str
        Its name in messages.

    Raises
    ------
    ConceptWithoutPositives
        When it is the same on every input, so that no correlation with it is defined.
    """
    low, high = float(labels.min()), float(labels.max())
    if low == high:
        lack = "positives" if high < 0.5 else "negatives"
        raise ConceptWithoutPositives(
            f"{what}: it has no {lack} among {len(labels)} inputs (every label is {high:g}), so no "
            "correlation with it is defined; take out the explanations that use this concept, or "
            "correct the reference labels."
        )
