"""Hierarchies of classes: superclasses as concepts, and which concepts contain which."""

import difflib
import json
import os
from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from neuron_eval.class_labels import ClassSets, attribute_concepts, class_numbers, one_hot_concepts
from neuron_eval.validation import InputError


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
        classes = class_numbers(members, field)
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
