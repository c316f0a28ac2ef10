"""The probe inputs of a study beside what the neurons and the cheap model say of them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from annotation import science
from annotation.exports.tables import CHUNK, Column, Kind, Table
from annotation.models import ActivationMatrix, Concept, ConceptMatrix, Neuron, ProbeInput, Study

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def input_table(study: Study) -> Table:
    """Put every input's activations, prior and reference labels into one table.

    Parameters
    ----------
    study : Study
        With explanations.

    Returns
    -------
    Table
        A row an input, in the order of the matrices. Beside ``input_index`` and ``input_file``,
        a column for each neuron, ``activation:<model>:<layer>:<pool>:<unit>``, and each concept of
        the explanations, ``prior:<concept>`` and, where there are any, ``reference:<concept>``.

    Raises
    ------
    ArrayProblem
        When a file is missing or not the one that was registered.
    """
    names, columns = _columns_of(study)
    return Table(
        "inputs",
        (
            Column("input_index", Kind.INTEGER),
            Column("input_file", Kind.TEXT),
            *(Column(name, Kind.REAL) for name in names),
        ),
        _rows(study, columns),
    )


def _columns_of(study: Study) -> "tuple[list[str], list[NDArray[np.floating[Any]]]]":
    neurons = (
        Neuron.objects.filter(explanations__study=study)
        .select_related("activations")
        .order_by("activations", "unit")
        .distinct()
    )
    concepts = Concept.objects.filter(terms__explanation__study=study).distinct()
    names: list[str] = []
    columns: list[NDArray[np.floating[Any]]] = []
    opened: dict[int, NDArray[np.floating[Any]]] = {}
    for neuron in neurons:
        matrix = neuron.activations
        if matrix.pk not in opened:
            opened[matrix.pk] = science.array_load(matrix)
        names.append(f"activation:{activations_name(matrix)}:{neuron.unit}")
        columns.append(opened[matrix.pk][:, neuron.unit])
    for what, values in (("prior", study.concept_prior), ("reference", study.reference)):
        if values is not None:
            for concept, column in _concept_columns(values, list(concepts)):
                names.append(f"{what}:{concept}")
                columns.append(column)
    return names, columns


def activations_name(matrix: ActivationMatrix) -> str:
    """Name an activation matrix in a column's name.

    Parameters
    ----------
    matrix : ActivationMatrix
        Any.

    Returns
    -------
    str
    """
    return f"{matrix.model_name}:{matrix.layer}:{matrix.pool}"


def _concept_columns(
    matrix: ConceptMatrix, concepts: list[Concept]
) -> "Iterator[tuple[str, NDArray[np.floating[Any]]]]":
    values = science.array_load(matrix)
    column_of = dict(matrix.columns.values_list("concept_id", "column"))
    for concept in concepts:
        if concept.pk in column_of:
            yield concept.text, values[:, column_of[concept.pk]]


def _rows(
    study: Study, columns: "list[NDArray[np.floating[Any]]]"
) -> Iterator[tuple[int, str, Any]]:
    inputs = ProbeInput.objects.filter(dataset=study.dataset_id).order_by("index")
    start, block = 0, [column[:CHUNK].tolist() for column in columns]
    for index, file in inputs.values_list("index", "file").iterator(chunk_size=CHUNK):
        if index >= start + CHUNK:
            start = index - index % CHUNK
            block = [column[start : start + CHUNK].tolist() for column in columns]
        yield (index, file, *(values[index - start] for values in block))
