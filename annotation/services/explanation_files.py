"""Explanation files of published methods: looked at first, then added to a draft."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from annotation import science
from annotation.exceptions import ExplanationFileProblem
from annotation.models import ActivationMatrix, Explanation, Study, StudyStatus
from annotation.services.audit import study_event_record
from annotation.services.explanations import NewExplanation, explanations_add
from annotation.services.locks import lock
from annotation.services.states import state_require

METHOD_LENGTH = 200


@dataclass(frozen=True)
class FileRow:
    """One explanation of a file as a study sees it.

    Attributes
    ----------
    neuron : str
        ``layer:unit``.
    text : str
        The explanation in words.
    problem : str
        Why the study cannot take it; empty where it can.
    """

    neuron: str
    text: str
    problem: str = ""


@dataclass(frozen=True)
class ExplanationFilePreview:
    """What an explanation file holds for a study; nothing has been written.

    Attributes
    ----------
    method : str
        Under which name the explanations would be added.
    format : str
        The format that was recognised.
    notes : list of str
        What was changed, not used or left out of the file.
    rows : list of FileRow
        Every explanation, in the order of the file.
    usable : list of NewExplanation
        Those that the study can take.
    unknown_neurons : list of str
        Neurons that no activation matrix of the dataset has.
    unknown_concepts : list of str
        Concepts without a column in the study's concept prior, the most frequent first.
    n_surplus : int
        Further explanations of neurons that have one by this method.
    """

    method: str
    format: str
    notes: list[str]
    rows: list[FileRow]
    usable: list[NewExplanation]
    unknown_neurons: list[str]
    unknown_concepts: list[str]
    n_surplus: int

    @property
    def n_refused(self) -> int:
        """How many the study cannot take."""
        return sum(bool(row.problem) for row in self.rows)

    @property
    def n_neurons(self) -> int:
        """How many neurons would be explained."""
        return len(self.usable)

    @property
    def n_concepts(self) -> int:
        """How many different concepts the usable explanations use."""
        return len({text for new in self.usable for text in new.terms})


class _Reading:
    """Matches the rows of a file with the neurons and concepts of a study."""

    def __init__(self, study: Study, method: str, activations: ActivationMatrix | None) -> None:
        self.chosen = activations
        self.matrices = list(study.dataset.activation_matrices.order_by("pk"))
        self.prior = study.concept_prior
        texts = study.concept_prior.columns.values_list("concept__text", flat=True)
        self.texts = {_plain(text): text for text in texts}
        self.taken = set(
            study.explanations.filter(method__name=method).values_list(
                "neuron__activations_id", "neuron__unit"
            )
        )
        self.usable: list[NewExplanation] = []
        self.rows: list[FileRow] = []
        self.unknown_neurons: list[str] = []
        self.unknown_concepts: Counter[str] = Counter()
        self.n_surplus = 0
        self.constant: dict[int, set[int]] = {}

    def look(self, rows: Sequence[science.ExplanationRow]) -> None:
        """Find the neurons of the file that never change: no launch would take them."""
        units: dict[ActivationMatrix, set[int]] = {}
        for row in rows:
            matrix = self._matrix(row.layer)
            if isinstance(matrix, ActivationMatrix) and 0 <= row.unit < matrix.shape[1]:
                units.setdefault(matrix, set()).add(row.unit)
        self.constant = {
            matrix.pk: science.constant_columns(matrix, own) for matrix, own in units.items()
        }

    def take(self, row: science.ExplanationRow) -> None:
        """Put one explanation of the file where it belongs."""
        layer = row.layer or (self.chosen.layer if self.chosen else "?")
        neuron = f"{layer}:{row.unit}"
        problem = self._problem(row, neuron)
        self.rows.append(FileRow(neuron, _words(row.terms), problem))

    def _problem(self, row: science.ExplanationRow, neuron: str) -> str:
        matrix = self._matrix(row.layer)
        if isinstance(matrix, str):
            self.unknown_neurons.append(neuron)
            return matrix
        if not 0 <= row.unit < matrix.shape[1]:
            self.unknown_neurons.append(neuron)
            return f"the layer has neurons 0 to {matrix.shape[1] - 1}"
        if row.unit in self.constant.get(matrix.pk, ()):
            return "the neuron has the same activation on every input, so no score is defined"
        if (matrix.pk, row.unit) in self.taken:
            self.n_surplus += 1
            return "the method explains this neuron already; the first explanation is kept"
        missing = [text for text in row.terms if _plain(text) not in self.texts]
        if missing:
            self.unknown_concepts.update(missing)
            return f"no column in the prior for {', '.join(map(repr, missing[:3]))}"
        terms: dict[str, float] = {}
        for text, weight in row.terms.items():
            known = self.texts[_plain(text)]
            terms[known] = terms.get(known, 0.0) + weight
        terms = {text: weight for text, weight in terms.items() if weight != 0.0}
        if not terms:
            return "every weight is 0"
        self.taken.add((matrix.pk, row.unit))
        self.usable.append(NewExplanation(matrix, row.unit, terms, row.bias))
        return ""

    def _matrix(self, layer: str | None) -> ActivationMatrix | str:
        """Find the activations of a layer, or say why there are none to choose."""
        if self.chosen is not None:
            if layer in (None, self.chosen.layer):
                return self.chosen
            return f"the file says layer {layer!r}, the activations are of {self.chosen.layer!r}"
        found = [matrix for matrix in self.matrices if layer in (None, matrix.layer)]
        if len(found) == 1:
            return found[0]
        if not found:
            return f"no activations of a layer {layer!r} are registered for the dataset"
        named = "no layer" if layer is None else f"the layer {layer!r}"
        return f"the file names {named}, which fits {len(found)} activation matrices: choose one"


def explanation_file_preview(
    *,
    study: Study,
    source: Path,
    method: str,
    activations: ActivationMatrix | None = None,
    first_unit: science.FirstUnit | None = None,
    name: str | None = None,
) -> ExplanationFilePreview:
    """Say what an explanation file holds for a study, before anything is written.

    Parameters
    ----------
    study : Study
        With its concept prior.
    source : Path
        The file.
    method : str
        Name of the explanation method.
    activations : ActivationMatrix, optional
        The layer that the file is about; by default that which the file names, or the only one.
    first_unit : {0, 1}, optional
        The number of the file's first neuron; guessed from the format when None.
    name : str, optional
        The file's name in messages.

    Returns
    -------
    ExplanationFilePreview

    Raises
    ------
    ExplanationFileProblem
        When the file cannot be read, or the method has no name.
    ArrayProblem
        When the file of the activations is gone.
    """
    method = method.strip()
    if not 1 <= len(method) <= METHOD_LENGTH:
        raise ExplanationFileProblem(
            f"method: {method[:40]!r} has not 1 to {METHOD_LENGTH} characters; name the "
            "explanation method."
        )
    read = science.explanations_read(source, first_unit=first_unit, name=name)
    reading = _Reading(study, method, activations)
    reading.look(read.rows)
    for row in read.rows:
        reading.take(row)
    return ExplanationFilePreview(
        method=method,
        format=read.format,
        notes=read.notes,
        rows=reading.rows,
        usable=reading.usable,
        unknown_neurons=list(dict.fromkeys(reading.unknown_neurons)),
        unknown_concepts=[text for text, _ in reading.unknown_concepts.most_common()],
        n_surplus=reading.n_surplus,
    )


@transaction.atomic
def explanation_file_add(
    *,
    study: Study,
    preview: ExplanationFilePreview,
    actor: AbstractBaseUser | None,
    partly: bool = False,
) -> list[Explanation]:
    """Add the explanations of a file to a draft.

    Parameters
    ----------
    study : Study
        A draft.
    preview : ExplanationFilePreview
        From `explanation_file_preview`.
    actor : User or None
        Who adds them.
    partly : bool
        Whether to go on although the study cannot take all of them.

    Returns
    -------
    list of Explanation

    Raises
    ------
    ExplanationFileProblem
        When none is usable, or some are not and `partly` is false.
    StudyStateError, InvalidInput
        See `annotation.services.explanations.explanations_add`.
    """
    if not preview.usable or (preview.n_refused and not partly):
        raise ExplanationFileProblem(
            f"explanations of {preview.method!r}: {preview.n_refused} of {len(preview.rows)} "
            f"cannot be taken ({_reasons(preview.rows)}); correct the file, register what is "
            "missing, or add the others alone."
        )
    return explanations_add(
        study=study, method=preview.method, explanations=preview.usable, actor=actor
    )


@transaction.atomic
def explanations_remove(*, study: Study, method: str, actor: AbstractBaseUser) -> int:
    """Take all explanations by a method out of a draft.

    Parameters
    ----------
    study : Study
        A draft.
    method : str
        The method's name.
    actor : User
        Who does it.

    Returns
    -------
    int
        How many there were.

    Raises
    ------
    StudyStateError
        When the study was launched.
    """
    row = lock(Study.objects.all(), pk=study.pk)
    state_require(row, "explanations can be taken out", StudyStatus.DRAFT)
    own = row.explanations.filter(method__name=method)
    n_removed = own.count()
    own.delete()
    if n_removed:
        study_event_record(
            study=row,
            action="explanations removed",
            actor=actor,
            method=method,
            n_removed=n_removed,
        )
    return n_removed


def _plain(text: str) -> str:
    """Case and space do not tell two concepts apart."""
    return " ".join(text.split()).casefold()


def _words(terms: Mapping[str, float]) -> str:
    if list(terms.values()) == [1.0]:
        return next(iter(terms))
    return " + ".join(f"{weight:.2g} {text}" for text, weight in terms.items())


def _reasons(rows: Sequence[FileRow]) -> str:
    counts = Counter(row.problem for row in rows if row.problem)
    listed = [
        f"{problem}: {count}" if count > 1 else problem for problem, count in counts.most_common(3)
    ]
    return "; ".join(listed) + ("; and others" if len(counts) > 3 else "")
