"""Concept vectors: from labels, from arrays, from a cheap model.

A concept source gives c_t(x) = P(concept | input) for many inputs at once. Labels and arrays are
taken for true; the other sources are concept priors: cheap guesses that guide sampling and
aggregation, and are judged by raters in the end.
"""

import difflib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from neuron_eval.matrix_files import read_matrix, read_texts
from neuron_eval.validation import InputError, check_activations, check_concepts

FloatArray = npt.NDArray[np.float64]
#: Which classes every concept stands for; the order is the order of the concepts.
ClassSets = Mapping[str, AbstractSet[int]]


@runtime_checkable
class ConceptSource(Protocol):
    """Anything that gives concept vectors for inputs."""

    @property
    def texts(self) -> Sequence[str]:
        """Texts of the concepts, in the order of the columns."""
        ...

    def concept_vectors(self, data: Any) -> FloatArray:
        """Give P(concept | input).

        Parameters
        ----------
        data
            The inputs, in the form that the source reads.

        Returns
        -------
        ndarray, shape (n_inputs, n_concepts), float64
            Values in [0, 1].
        """
        ...


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
    classes = _labels(labels)
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
        classes = _members(members, f"label_sets: input {row}")
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
    classes = _labels(labels)
    if not attributes:
        raise InputError("attributes: found none, expected at least one name with its classes.")
    columns = []
    for text, members in attributes.items():
        if not members:
            raise InputError(f"attributes: {text!r} has no classes, expected at least one.")
        columns.append(np.isin(classes, sorted(members)))
    return torch.from_numpy(np.stack(columns, axis=1).astype(np.float64))


def read_hierarchy(
    path: str | os.PathLike[str], *, n_classes: int | None = None
) -> dict[str, frozenset[int]]:
    """Read superclasses and their classes from a JSON file.

    Parameters
    ----------
    path : path-like
        A JSON object: name of every superclass to the list of its class ids.
    n_classes : int, optional
        Number of classes; ids that are not below it are errors. Not checked when None.

    Returns
    -------
    dict of str to frozenset of int
        The classes of every superclass, in the order of the file.

    Raises
    ------
    InputError
        If the file is missing or no such object, a superclass is named twice, has no classes or
        one class twice, or an id is no whole number from 0; the superclass is named.
    """
    source = Path(path)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        repeated = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
        if repeated:
            raise InputError(
                f"{source}: superclass {repeated[0]!r} stands there more than once; merge its "
                "lists of classes or rename one."
            )
        return dict(pairs)

    try:
        content = json.loads(source.read_text(encoding="utf-8-sig"), object_pairs_hook=unique)
    except FileNotFoundError:
        raise InputError(f"{source}: no such file; correct the path.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{source}: found no JSON ({error}); expected one object.") from error
    if not isinstance(content, dict) or not content:
        raise InputError(
            f"{source}: found {'an empty object' if content == {} else type(content).__name__}, "
            "expected a JSON object of superclass names and lists of class ids."
        )
    hierarchy = {}
    for name, members in content.items():
        field = f"{source}: superclass {name!r}"
        if not name.strip():
            raise InputError(f"{field}: found an empty name; name the superclass or remove it.")
        if not isinstance(members, list) or not members:
            raise InputError(f"{field} has {members!r}, expected a list of at least one class id.")
        classes = _members(members, field)
        if len(set(classes)) < len(classes):
            twice = next(label for label, count in Counter(classes).items() if count > 1)
            raise InputError(f"{field} has class {twice} more than once; remove the repetition.")
        if n_classes is not None and max(classes) >= n_classes:
            raise InputError(
                f"{field} has class {max(classes)}, expected ids from 0 to {n_classes - 1}."
            )
        hierarchy[name] = frozenset(classes)
    return hierarchy


def superclass_concepts(labels: Any, hierarchy: ClassSets) -> tuple[tuple[str, ...], Tensor]:
    """Make one concept of every superclass.

    Parameters
    ----------
    labels : array-like, shape (n_inputs,), int
        Class of every input; -1 stands for none.
    hierarchy : mapping of str to set of int
        The classes of every superclass, for example from `read_hierarchy`.

    Returns
    -------
    texts : tuple of str
        Names of the superclasses, in the order of the hierarchy.
    vectors : Tensor, shape (n_inputs, n_superclasses), float64
        1 where the input's class belongs to the superclass, else 0.

    Raises
    ------
    InputError
        As `attribute_concepts`.
    """
    return tuple(hierarchy), attribute_concepts(labels, hierarchy)


def class_sets(
    class_names: Sequence[str],
    hierarchy: ClassSets | None = None,
    *,
    repeated: Literal["error", "number"] = "error",
) -> dict[str, frozenset[int]]:
    """List classes, then superclasses, as sets of classes.

    Parameters
    ----------
    class_names : sequence of str
        Name of every class; its position is the class.
    hierarchy : mapping of str to set of int, optional
        The classes of every superclass.
    repeated : {"error", "number"}, default "error"
        What becomes of a name that several classes have, or a class and a superclass: an error,
        or ``"missile (class 657)"`` for each such class and ``"duck (superclass)"``.

    Returns
    -------
    dict of str to frozenset of int
        Text of every concept and the classes that it stands for.

    Raises
    ------
    InputError
        If a name is repeated, or a superclass is empty or holds a class that has no name.
    """
    if repeated not in ("error", "number"):
        raise InputError(f"repeated: found {repeated!r}, expected 'error' or 'number'.")
    counts = Counter(class_names)
    superclasses = dict(hierarchy or {})
    clashes = [name for name, count in counts.items() if count > 1 or name in superclasses]
    if clashes and repeated == "error":
        kind = "several classes" if counts[clashes[0]] > 1 else "a class and a superclass"
        raise InputError(
            f"class_names: {clashes[0]!r} is the name of {kind} ({len(clashes)} such names); "
            "rename them, or use repeated='number' to tell them apart by number."
        )
    texts = [
        f"{name} (class {label})" if counts[name] > 1 else name
        for label, name in enumerate(class_names)
    ]
    sets = {text: frozenset([label]) for label, text in enumerate(texts)}
    for name, members in superclasses.items():
        wrong = [label for label in members if not 0 <= label < len(texts)]
        if wrong or not members:
            found = f"class {wrong[0]}" if wrong else "no classes"
            raise InputError(
                f"hierarchy: superclass {name!r} has {found}, expected classes from 0 to "
                f"{len(texts) - 1}, those that have a name."
            )
        sets[f"{name} (superclass)" if name in counts else name] = frozenset(members)
    if len(sets) < len(texts) + len(superclasses):
        raise InputError("class_names: numbered names coincide with other names; rename them.")
    return sets


def class_concepts(
    labels: Any,
    class_names: Sequence[str],
    hierarchy: ClassSets | None = None,
    *,
    repeated: Literal["error", "number"] = "error",
) -> tuple[tuple[str, ...], Tensor]:
    """Make one concept of every class, then one of every superclass.

    Parameters
    ----------
    labels : array-like, shape (n_inputs,), int
        Class of every input, 0 to ``len(class_names) - 1``; -1 stands for none.
    class_names, hierarchy, repeated
        As in `class_sets`, whose keys are the texts.

    Returns
    -------
    texts : tuple of str
        Texts of the classes, then of the superclasses.
    vectors : Tensor, shape (n_inputs, n_concepts), float64
        1 where the input belongs to the class or superclass, else 0.

    Raises
    ------
    InputError
        As `one_hot_concepts` and `class_sets`.
    """
    sets = class_sets(class_names, hierarchy, repeated=repeated)
    classes = one_hot_concepts(labels, len(class_names))
    if not hierarchy:
        return tuple(sets), classes
    superclasses = dict(list(sets.items())[len(class_names) :])
    return tuple(sets), torch.cat([classes, attribute_concepts(labels, superclasses)], dim=1)


def superclasses_of(concept: str | int | AbstractSet[int], concepts: ClassSets) -> list[str]:
    """List the concepts whose classes strictly include those of a concept.

    Parameters
    ----------
    concept : str, int or set of int
        Text of one of `concepts`, a class, or a set of classes.
    concepts : mapping of str to set of int
        The classes of every concept, for example from `class_sets` or `read_hierarchy`.

    Returns
    -------
    list of str
        Texts of the strict supersets, nearest in size (smallest) first; equally large ones in
        the order of `concepts`.

    Raises
    ------
    InputError
        If there is no concept of this text, or the set of classes is empty.
    """
    classes = _classes_of(concept, concepts)
    found = [text for text, members in concepts.items() if classes < frozenset(members)]
    return sorted(found, key=lambda text: len(concepts[text]))


def subclasses_of(concept: str | int | AbstractSet[int], concepts: ClassSets) -> list[str]:
    """List the concepts whose classes are strictly included in those of a concept.

    Parameters
    ----------
    concept : str, int or set of int
        Text of one of `concepts`, a class, or a set of classes.
    concepts : mapping of str to set of int
        The classes of every concept.

    Returns
    -------
    list of str
        Texts of the strict subsets that are not empty, nearest in size (largest) first; equally
        large ones in the order of `concepts`.

    Raises
    ------
    InputError
        If there is no concept of this text, or the set of classes is empty.
    """
    classes = _classes_of(concept, concepts)
    found = [text for text, members in concepts.items() if members and frozenset(members) < classes]
    return sorted(found, key=lambda text: -len(concepts[text]))


class ArraySource:
    """Concept vectors that were computed elsewhere.

    Parameters
    ----------
    texts : sequence of str
        Texts of the concepts.
    vectors : array-like, shape (n_inputs, n_concepts)
        P(concept | input), in [0, 1].

    Raises
    ------
    InputError
        If the vectors are invalid or the texts do not fit.
    """

    def __init__(self, texts: Sequence[str], vectors: Any) -> None:
        self.texts = tuple(texts)
        self._vectors: FloatArray = check_concepts(vectors, names=self.texts).numpy()

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        key: str | None = None,
        texts: Sequence[str] | str | os.PathLike[str] | None = None,
    ) -> "ArraySource":
        """Read concept vectors from a file.

        Parameters
        ----------
        path : path-like
            Any file that `neuron_eval.matrix_files.read_matrix` reads.
        key : str, optional
            Which array, where the file holds several.
        texts : sequence of str or path-like, optional
            Texts of the concepts, or a text file with one a line; the names of the columns when
            None.

        Returns
        -------
        ArraySource
            The source.

        Raises
        ------
        ArrayFileError
            If a file cannot be read.
        InputError
            If there are no texts, they do not fit, or the vectors are invalid.
        """
        matrix = read_matrix(path, key=key)
        if texts is None:
            texts = matrix.names
        elif isinstance(texts, str | os.PathLike):
            texts = read_texts(texts)
        if texts is None:
            raise InputError(
                f"texts: found none, and {matrix.path} names no columns; give the texts, or a "
                "text file with one a line."
            )
        return cls(texts, matrix.values)

    def concept_vectors(self, data: Any) -> FloatArray:
        """Give the vectors of some inputs.

        Parameters
        ----------
        data : array-like of int, shape (n,), or None
            Positions of the inputs; all inputs when None.

        Returns
        -------
        ndarray, shape (n, n_concepts), float64
            Values in [0, 1].

        Raises
        ------
        InputError
            If a position does not exist.
        """
        if data is None:
            return self._vectors
        positions = _labels(data)
        n_inputs = self._vectors.shape[0]
        if positions.size and (positions.min() < 0 or positions.max() >= n_inputs):
            raise InputError(
                f"data: found positions from {positions.min()} to {positions.max()}, expected 0 "
                f"to {n_inputs - 1}."
            )
        return self._vectors[positions]


class LinearProbeSource:
    """A logistic regression per concept on features, fitted on a few labelled inputs.

    Parameters
    ----------
    texts : sequence of str
        Texts of the concepts.
    features : array-like, shape (n_labelled, n_features)
        Features of the labelled inputs, for example activations of a layer.
    labels : array-like, shape (n_labelled, n_concepts)
        Which concepts hold, 0 or 1; values in between are rounded at 0.5.
    regularization : float, default 1.0
        Inverse strength C of the ridge penalty on standardized features, positive.

    Raises
    ------
    InputError
        If the input is invalid, or a concept has no positive or no negative labelled input; the
        concept is named.

    Notes
    -----
    The probabilities are those of the labelled inputs: where these were chosen by class, the
    prior of a rare concept is too high until it is calibrated.
    """

    def __init__(
        self,
        texts: Sequence[str],
        features: Any,
        labels: Any,
        *,
        regularization: float = 1.0,
    ) -> None:
        self.texts = tuple(texts)
        if not 0 < regularization < float("inf"):
            raise InputError(
                f"regularization: found {regularization!r}, expected a positive number."
            )
        inputs = check_activations(features).numpy()
        present = check_concepts(labels, n_inputs=len(inputs), names=self.texts).numpy() >= 0.5
        self._n_features = inputs.shape[1]
        self._probes = []
        for text, column in zip(self.texts, present.T, strict=True):
            if column.all() or not column.any():
                kind = "negative" if column.all() else "positive"
                raise InputError(
                    f"labels: concept {text!r} has no {kind} among the {len(column)} labelled "
                    f"inputs; label at least one {kind} input, or leave the concept out."
                )
            probe = make_pipeline(
                StandardScaler(), LogisticRegression(C=regularization, max_iter=1000)
            )
            self._probes.append(probe.fit(inputs, column))

    def concept_vectors(self, data: Any) -> FloatArray:
        """Give P(concept | features).

        Parameters
        ----------
        data : array-like, shape (n_inputs, n_features)
            Features of the inputs.

        Returns
        -------
        ndarray, shape (n_inputs, n_concepts), float64
            Values in [0, 1].

        Raises
        ------
        InputError
            If the features are invalid or not those of the fit.
        """
        inputs = check_activations(data).numpy()
        if inputs.shape[1] != self._n_features:
            raise InputError(
                f"data: found {inputs.shape[1]} features, expected the {self._n_features} that "
                "the probes were fitted on."
            )
        return np.stack([probe.predict_proba(inputs)[:, 1] for probe in self._probes], axis=1)


def _labels(labels: Any) -> npt.NDArray[np.int64]:
    values = labels.numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if values.ndim != 1:
        raise InputError(f"labels: found shape {values.shape}, expected one label per input.")
    if values.dtype.kind not in "iu":
        raise InputError(f"labels: found type {values.dtype}, expected whole numbers.")
    return values.astype(np.int64)


def _members(members: Any, field: str) -> list[int]:
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


def _classes_of(concept: str | int | AbstractSet[int], concepts: ClassSets) -> frozenset[int]:
    if isinstance(concept, str):
        if concept not in concepts:
            near = difflib.get_close_matches(concept, concepts, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "see the mapping."
            raise InputError(f"concept: there is no concept {concept!r}; {hint}")
        concept = concepts[concept]
    classes = frozenset(concept if isinstance(concept, AbstractSet) else [int(concept)])
    if not classes:
        raise InputError("concept: found no classes, expected at least one.")
    return classes
