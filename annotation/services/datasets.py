"""Registering what a study is about: inputs, activations, concept vectors."""

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Q

from annotation import science
from annotation.datafiles import NewInput, dataset_roots
from annotation.exceptions import DeletionRefused, InvalidInput
from annotation.models import (
    ActivationMatrix,
    Concept,
    ConceptColumn,
    ConceptMatrix,
    ConceptMatrixRole,
    Modality,
    Neuron,
    ProbeDataset,
    ProbeInput,
    Study,
)
from annotation.services.files import file_note, files_delete_on_commit, files_follow_transaction
from annotation.services.locks import lock

BATCH = 2000
NAME_LENGTH = 200
CONCEPT_LENGTH = 500


@transaction.atomic
def probe_dataset_create(
    *,
    name: str,
    root: str = "",
    files: Sequence[str] = (),
    inputs: Sequence[NewInput] = (),
    modality: str = Modality.IMAGE,
    description: str = "",
    actor: AbstractBaseUser | None = None,
) -> ProbeDataset:
    """Register a probe dataset: input i of every matrix is the i-th of its inputs.

    Parameters
    ----------
    name : str
        A name that no other dataset has.
    root : str
        Folder of the inputs, relative to the data folder or within a dataset root; unused where
        the inputs are texts.
    files : sequence of str
        One file an input, relative to `root`, in the order of the matrices' rows.
    inputs : sequence of NewInput
        Instead of `files`, where inputs are texts.
    modality : str
        One of `Modality`.
    description : str
        For researchers.
    actor : User, optional
        Who registers it.

    Returns
    -------
    ProbeDataset

    Raises
    ------
    InvalidInput
        When there are no inputs, a file is missing or lies outside the folder, a highlight is no
        part of its text, or the name is taken.
    """
    rows = [NewInput(file=file) for file in files] or list(inputs)
    if not rows:
        raise InvalidInput(f"files: the probe dataset {name!r} has none; give one file an input.")
    if not name.strip() or len(name) > NAME_LENGTH:
        raise InvalidInput(f"name: {name!r} has not 1 to {NAME_LENGTH} characters; choose another.")
    if ProbeDataset.objects.filter(name=name).exists():
        raise InvalidInput(f"name: there is a probe dataset {name!r} already; choose another name.")
    if modality not in Modality.values:
        raise InvalidInput(f"modality: {modality!r} is none of {', '.join(Modality.values)}.")
    folder = _folder(root)
    for index, row in enumerate(rows):
        _input_require(row, index, modality, root, folder)
    dataset = ProbeDataset.objects.create(
        name=name,
        root=root,
        n_inputs=len(rows),
        modality=modality,
        description=description,
        created_by_id=None if actor is None else actor.pk,
    )
    ProbeInput.objects.bulk_create(
        (
            ProbeInput(
                dataset=dataset,
                index=index,
                file=row.file,
                text=row.text,
                highlight_start=row.highlight[0] if row.highlight else None,
                highlight_end=row.highlight[1] if row.highlight else None,
            )
            for index, row in enumerate(rows)
        ),
        batch_size=BATCH,
    )
    return dataset


def _folder(root: str) -> Path:
    data_dir = Path(settings.DATA_DIR).resolve()
    folder = (data_dir / root).resolve()
    allowed = [data_dir, *(path.resolve() for path in dataset_roots())]
    if not any(folder.is_relative_to(path) for path in allowed):
        raise InvalidInput(
            f"root: {root!r} leads out of the data folder; copy the inputs into it, or add their "
            "folder to NEURONJURY_DATASET_ROOTS."
        )
    return folder


def _input_require(row: NewInput, index: int, modality: str, root: str, folder: Path) -> None:
    if modality == Modality.TEXT:
        start, end = row.highlight or (0, len(row.text))
        if row.file or not row.text or not 0 <= start < end <= len(row.text):
            raise InvalidInput(
                f"inputs: input {index} has no text, or its highlight is no part of it; give a "
                "text and where the token in it begins and ends."
            )
        return
    path = (folder / row.file).resolve()
    if row.text or not path.is_relative_to(folder) or path == folder:
        raise InvalidInput(
            f"files: {row.file!r} (input {index}) leads out of the folder {root!r}; "
            "give names relative to it."
        )
    if not path.is_file():
        raise InvalidInput(
            f"files: {row.file!r} (input {index}) is not in the folder {root!r}; copy it there "
            "or correct the name."
        )


@transaction.atomic
def probe_dataset_delete(*, dataset: ProbeDataset) -> None:
    """Delete a dataset that no study uses, with its matrices; files of the inputs stay.

    Parameters
    ----------
    dataset : ProbeDataset
        Any.

    Raises
    ------
    DeletionRefused
        While a study uses it.
    """
    row = lock(ProbeDataset.objects.all(), pk=dataset.pk)
    studies = list(row.studies.values_list("title", flat=True)[:3])
    if studies:
        raise DeletionRefused(
            f"The dataset {row.name!r} is used by {', '.join(map(repr, studies))}; delete the "
            "studies first."
        )
    paths = [
        matrix.absolute_path
        for matrix in (*row.concept_matrices.all(), *row.activation_matrices.all())
    ]
    Neuron.objects.filter(activations__dataset=row).delete()
    row.concept_matrices.all().delete()
    row.activation_matrices.all().delete()
    row.delete()
    files_delete_on_commit(paths)


@transaction.atomic
def matrix_delete(*, matrix: ActivationMatrix | ConceptMatrix) -> None:
    """Delete a layer or a concept matrix that no study uses, registered by mistake say.

    Parameters
    ----------
    matrix : ActivationMatrix or ConceptMatrix
        Any.

    Raises
    ------
    DeletionRefused
        While a study uses it.
    """
    if isinstance(matrix, ActivationMatrix):
        lock(ActivationMatrix.objects.all(), pk=matrix.pk)
        used = Q(explanations__neuron__activations=matrix.pk)
    else:
        lock(ConceptMatrix.objects.all(), pk=matrix.pk)
        used = Q(concept_prior=matrix.pk) | Q(reference=matrix.pk)
    studies = Study.objects.filter(used).distinct().order_by("title")
    titles = list(studies.values_list("title", flat=True)[:3])
    if titles:
        raise DeletionRefused(
            f"{matrix} is used by {', '.join(map(repr, titles))}; take its explanations out, "
            "choose another matrix, or delete the studies first."
        )
    path = matrix.absolute_path
    if isinstance(matrix, ActivationMatrix):
        matrix.neurons.all().delete()
    matrix.delete()
    files_delete_on_commit([path])


@files_follow_transaction()
@transaction.atomic
def activations_register(
    *,
    dataset: ProbeDataset,
    model_name: str,
    layer: str,
    activations: Any,
    pool: str = "none",
) -> ActivationMatrix:
    """Check the activations of a layer, write them beside the database and register them.

    Parameters
    ----------
    dataset : ProbeDataset
        What the activations were recorded on.
    model_name, layer : str
        Where they were recorded.
    activations : array-like, shape (n_inputs, n_neurons), or path
        The activations, or a ``.npy`` file with them; the file is copied.
    pool : str
        How a channel became one number: ``"avg"``, ``"max"``, ``"none"``, ``"token"``.

    Returns
    -------
    ActivationMatrix

    Raises
    ------
    ArrayProblem
        When the file cannot be read, the rows are not the dataset's inputs, or a value is NaN or
        infinite; the message names the first such neuron and input.
    InvalidInput
        When this layer is registered already.
    """
    what = f"activations of {model_name} {layer}"
    if dataset.activation_matrices.filter(model_name=model_name, layer=layer, pool=pool).exists():
        raise InvalidInput(
            f"layer: the {what} (pool {pool}) are registered for {dataset.name!r} already; "
            "use them, or give the model another name."
        )
    array = science.activations_checked(activations, n_inputs=dataset.n_inputs, what=what)
    return ActivationMatrix.objects.create(
        dataset=dataset,
        model_name=model_name,
        layer=layer,
        pool=pool,
        **_written("activations", array),
    )


@files_follow_transaction()
@transaction.atomic
def concept_matrix_register(
    *,
    dataset: ProbeDataset,
    name: str,
    role: str,
    concepts: Sequence[str],
    values: Any,
) -> ConceptMatrix:
    """Check concept vectors, write them beside the database and register them.

    Parameters
    ----------
    dataset : ProbeDataset
        What the concept vectors are over.
    name : str
        Where they come from: ``"SigLIP"``, ``"labels"``.
    role : str
        One of `ConceptMatrixRole`.
    concepts : sequence of str
        The text of every column.
    values : array-like, shape (n_inputs, n_concepts), or path
        P(concept | input) in [0, 1], or a ``.npy`` file with it; the file is copied.

    Returns
    -------
    ConceptMatrix

    Raises
    ------
    ArrayProblem
        When the file cannot be read, the shape is another, or a value is no probability.
    InvalidInput
        When a text is empty or there twice, or the name and role are taken.
    """
    texts = [text.strip() for text in concepts]
    if not all(texts):
        raise InvalidInput(f"concepts: column {texts.index('')} of {name!r} has no text; name it.")
    long = next((text for text in texts if len(text) > CONCEPT_LENGTH or "\0" in text), None)
    if long is not None:
        raise InvalidInput(
            f"concepts: {long[:40]!r}... of {name!r} has more than {CONCEPT_LENGTH} characters or "
            "a NUL character; shorten it."
        )
    if len(set(texts)) < len(texts):
        twice = next(text for text in texts if texts.count(text) > 1)
        raise InvalidInput(f"concepts: {twice!r} is there twice in {name!r}; keep one column.")
    if role not in ConceptMatrixRole.values:
        raise InvalidInput(f"role: {role!r} is none of {', '.join(ConceptMatrixRole.values)}.")
    if dataset.concept_matrices.filter(name=name, role=role).exists():
        raise InvalidInput(
            f"name: {dataset.name!r} has a {ConceptMatrixRole(role).label} named {name!r} already; "
            "choose another name."
        )
    array = science.concepts_checked(
        values, n_inputs=dataset.n_inputs, names=texts, what=f"concepts of {name!r}"
    )
    matrix = ConceptMatrix.objects.create(
        dataset=dataset, name=name, role=role, **_written("concepts", array)
    )
    concept_ids = concepts_by_text(texts)
    ConceptColumn.objects.bulk_create(
        (
            ConceptColumn(matrix=matrix, concept=concept_ids[text], column=column)
            for column, text in enumerate(texts)
        ),
        batch_size=BATCH,
    )
    return matrix


def concepts_by_text(texts: Sequence[str]) -> dict[str, Concept]:
    """Find or make the concepts of some texts.

    Parameters
    ----------
    texts : sequence of str
        Distinct, not empty.

    Returns
    -------
    dict
        From text to concept.
    """
    Concept.objects.bulk_create((Concept(text=text) for text in texts), ignore_conflicts=True)
    return {concept.text: concept for concept in Concept.objects.filter(text__in=texts)}


def _written(folder: str, array: Any) -> dict[str, Any]:
    """Write an array under a name of its own; the fields of `ArrayFile` that describe it."""
    relative = f"arrays/{folder}/{uuid.uuid4()}.npy"
    path = Path(settings.DATA_DIR) / relative
    file_note(path)
    record = science.array_save(path, array)
    return {"path": relative, **record}
