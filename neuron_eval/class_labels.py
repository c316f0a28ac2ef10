"""Concept vectors from class labels: one class, several, or attributes of classes."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuron_eval.validation import InputError

#: Which classes every concept stands for; the order is the order of the concepts.
ClassSets = Mapping[str, AbstractSet[int]]


def one_hot_concepts(labels: Any, n_classes: int) -> Tensor:
    """Make one concept of every class.

    Parameters
    ----------
    labels : array-like, shape (n_inputs,), int
        Class of every input, 0 to ``n_classes - 1``; -1 stands for "none of these".
    n_classes : int
        Number of classes.

    Returns
    -------
    Tensor, shape (n_inputs, n_classes), float64
        1 where the input is of the class, else 0.

    Raises
    ------
    InputError
        If a label is out of range or no whole number.
    """
    classes = whole_labels(labels)
    if n_classes < 1:
        raise InputError(f"n_classes: found {n_classes!r}, expected at least 1.")
    wrong = (classes < -1) | (classes >= n_classes)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"labels: the label of input {row} is {classes[row]}, expected a class from 0 to "
            f"{n_classes - 1}, or -1 for none."
        )
    return torch.from_numpy((classes[:, None] == np.arange(n_classes)).astype(np.float64))


def multi_label_concepts(label_sets: Sequence[Any], n_classes: int) -> Tensor:
    """Make one concept of every class, where an input may have several classes or none.

    Parameters
    ----------
    label_sets : sequence of set, list or array of int
        The classes of every input, each 0 to ``n_classes - 1``; empty for an input without any.
    n_classes : int
        Number of classes.

    Returns
    -------
    Tensor, shape (n_inputs, n_classes), float64
        1 where the input has the class, else 0.

    Raises
    ------
    InputError
        If the classes of an input are no collection of whole numbers, or one is out of range.
    """
    if n_classes < 1:
        raise InputError(f"n_classes: found {n_classes!r}, expected at least 1.")
    if len(label_sets) == 0:
        raise InputError("label_sets: found no input, expected the classes of at least one.")
    vectors = np.zeros((len(label_sets), n_classes))
    for row, members in enumerate(label_sets):
        classes = class_numbers(members, f"label_sets: input {row}")
        wrong = [label for label in classes if label >= n_classes]
        if wrong:
            raise InputError(
                f"label_sets: input {row} has class {wrong[0]}, expected classes from 0 to "
                f"{n_classes - 1}."
            )
        vectors[row, np.array(classes, dtype=np.int64)] = 1
    return torch.from_numpy(vectors)


def attribute_concepts(labels: Any, attributes: ClassSets) -> Tensor:
    """Make concepts that hold for several classes, such as superclasses or attributes.

    Parameters
    ----------
    labels : array-like, shape (n_inputs,), int
        Class of every input; -1 stands for none.
    attributes : mapping of str to set of int
        The classes that have each attribute; its order is the order of the columns.

    Returns
    -------
    Tensor, shape (n_inputs, n_attributes), float64
        1 where the input's class has the attribute, else 0.

    Raises
    ------
    InputError
        If there is no attribute, or one without classes.
    """
    classes = whole_labels(labels)
    if not attributes:
        raise InputError("attributes: found none, expected at least one name with its classes.")
    columns = []
    for text, members in attributes.items():
        if not members:
            raise InputError(f"attributes: {text!r} has no classes, expected at least one.")
        columns.append(np.isin(classes, sorted(members)))
    return torch.from_numpy(np.stack(columns, axis=1).astype(np.float64))


def whole_labels(labels: Any) -> npt.NDArray[np.int64]:
    """Check class labels and return them as whole numbers.

    Parameters
    ----------
    labels : array-like, shape (n_inputs,), int
        Class of every input.

    Returns
    -------
    ndarray, shape (n_inputs,), int64
        The labels.

    Raises
    ------
    InputError
        If there is not one whole number per input.
    """
    values = labels.numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if values.ndim != 1:
        raise InputError(f"labels: found shape {values.shape}, expected one label per input.")
    if values.dtype.kind not in "iu":
        raise InputError(f"labels: found type {values.dtype}, expected whole numbers.")
    return values.astype(np.int64)


def class_numbers(members: Any, field: str) -> list[int]:
    """List class ids, each checked to be a whole number from 0."""
    if isinstance(members, str | bytes | Mapping):
        raise InputError(f"{field} has {members!r}, expected a collection of class ids.")
    try:
        given = list(members.tolist() if isinstance(members, Tensor | np.ndarray) else members)
    except TypeError:
        raise InputError(
            f"{field} has {members!r}, expected a collection of class ids; for one class per "
            "input use one_hot_concepts."
        ) from None
    for label in given:
        if isinstance(label, bool) or not isinstance(label, int | np.integer) or label < 0:
            raise InputError(f"{field} has {label!r}, expected class ids: whole numbers from 0.")
    return [int(label) for label in given]
