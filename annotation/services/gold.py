"""Known answers: given by a person, or suggested by the software for a person to confirm."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from annotation.exceptions import InvalidInput
from annotation.models import (
    Concept,
    GoldAnswer,
    GoldUse,
    Item,
    ProbeInput,
    RatingValue,
    Study,
    StudyStatus,
)
from annotation.services.audit import study_event_record
from annotation.services.locks import lock
from annotation.services.states import state_require

BATCH = 500
CONCEPT_LENGTH = 500
FEEDBACK_LENGTH = 500
#: So many mistakes of a list are named at once.
NAMED = 5
CSV_COLUMNS = ("concept", "input", "value", "use", "feedback")
#: What people write for the two values.
VALUE_WORDS = {
    "present": RatingValue.PRESENT,
    "1": RatingValue.PRESENT,
    "absent": RatingValue.ABSENT,
    "0": RatingValue.ABSENT,
}


@dataclass(frozen=True)
class NewGoldAnswer:
    """A known answer that is to be added.

    Attributes
    ----------
    concept : str
        Its text.
    input_index : int
        Index of the input in the dataset.
    value : str
        ``"present"`` or ``"absent"``.
    use : str
        One of `GoldUse`.
    feedback : str
        Why it is so; shown after a training answer and beside an example.
    """

    concept: str
    input_index: int
    value: str
    use: str = GoldUse.HIDDEN
    feedback: str = ""


@transaction.atomic
def gold_answers_add(
    *, study: Study, answers: Sequence[NewGoldAnswer], actor: AbstractBaseUser
) -> list[GoldAnswer]:
    """Add known answers to a study, all or none.

    Parameters
    ----------
    study : Study
        A draft; examples may be added until it is closed.
    answers : sequence of NewGoldAnswer
        One that is there already, with the same value and use, changes nothing but its feedback.
        An input that the design draws anyway is rated as every other and not hidden as gold; a
        training answer or an example must not be of such an item.
    actor : User
        Who knows them.

    Returns
    -------
    list of GoldAnswer
        One an answer, in the order given.

    Raises
    ------
    InvalidInput
        When an answer cannot be used: the message names the first few, each with its number.
    StudyStateError
        When the study's state does not allow it.
    """
    row = lock(Study.objects.select_related("dataset"), pk=study.pk)
    _state_require(row, (answer.use for answer in answers))
    used = _concepts(row)
    concepts = dict(used)
    inputs = _inputs(row, {answer.input_index for answer in answers})
    standing = _standing(row)
    uses = {index: gold.use for (_, index), gold in standing.items()}
    asked = _asked(row, set(inputs))
    problems: list[str] = []
    added: list[GoldAnswer] = []
    fresh: list[GoldAnswer] = []
    for number, answer in enumerate(answers, start=1):
        text = answer.concept.strip()
        old = standing.get((text, answer.input_index))
        problem = _problem(row, answer, used, inputs, old, uses)
        if not problem and old is None and (text, answer.input_index) in asked:
            problem = (
                f"{text!r} at input {answer.input_index} is an item of the study, and an example "
                "would tell raters its answer; choose an input that is no item."
            )
        if problem:
            problems.append(f"answer {number}: {problem}")
            continue
        if old is None:
            concept = concepts.get(text) or Concept.objects.get_or_create(text=text)[0]
            concepts.setdefault(text, concept)
            old = GoldAnswer(
                study=row,
                concept=concept,
                probe_input=inputs[answer.input_index],
                value=answer.value,
                use=answer.use,
                feedback=answer.feedback,
            )
            standing[text, answer.input_index] = old
            uses[answer.input_index] = answer.use
            fresh.append(old)
        elif old.pk is not None and answer.feedback and old.feedback != answer.feedback:
            old.feedback = answer.feedback
            old.save(update_fields=["feedback"])
        added.append(old)
    if problems:
        more = f" And {len(problems) - NAMED} more." if len(problems) > NAMED else ""
        raise InvalidInput(f"answers: {' '.join(problems[:NAMED])}{more} Nothing was added.")
    GoldAnswer.objects.bulk_create(fresh, batch_size=BATCH)
    if fresh:
        study_event_record(
            study=row,
            action="gold answers added",
            actor=actor,
            **{use: n for use in GoldUse.values if (n := sum(gold.use == use for gold in fresh))},
        )
    return added


@transaction.atomic
def gold_answers_remove(*, study: Study, ids: Iterable[int], actor: AbstractBaseUser) -> int:
    """Take known answers out of a study.

    Parameters
    ----------
    study : Study
        A draft; examples may be removed until it is closed.
    ids : iterable of int
        Primary keys; those of another study are not touched.
    actor : User
        Who does.

    Returns
    -------
    int
        How many were removed.

    Raises
    ------
    StudyStateError
        When the study's state does not allow it.
    """
    row = lock(Study.objects.all(), pk=study.pk)
    found = list(GoldAnswer.objects.filter(study=row, pk__in=list(ids)))
    _state_require(row, (gold.use for gold in found))
    GoldAnswer.objects.filter(pk__in=[gold.pk for gold in found]).delete()
    if found:
        study_event_record(study=row, action="gold answers removed", actor=actor, n=len(found))
    return len(found)


def gold_answers_read(*, study: Study, text: str) -> list[NewGoldAnswer]:
    """Read known answers from a CSV text; nothing is written.

    Parameters
    ----------
    study : Study
        Whose dataset the inputs are of.
    text : str
        With a header: ``concept``, ``input`` (index or file name), ``value`` (present or absent, 1
        or 0), and, where wanted, ``use`` (hidden, training or example; hidden by default) and
        ``feedback``.

    Returns
    -------
    list of NewGoldAnswer

    Raises
    ------
    InvalidInput
        When a column is missing or unknown, or a row has an input or value that there is none of.
    """
    reader = csv.DictReader(io.StringIO(text.lstrip("\ufeff")), strict=True)
    try:
        columns = [name.strip().lower() for name in reader.fieldnames or []]
        reader.fieldnames = columns
        rows = list(reader)
    except csv.Error as error:
        raise InvalidInput(f"file: it is no CSV file ({error}); save it as comma separated.") from (
            error
        )
    missing = [name for name in CSV_COLUMNS[:3] if name not in columns]
    unknown = [name for name in columns if name not in CSV_COLUMNS]
    if missing or unknown:
        raise InvalidInput(
            f"file: the column {(missing or unknown)[0]!r} is {'missing' if missing else 'unknown'}"
            f"; the first row must name the columns {', '.join(CSV_COLUMNS)} (the last two may be "
            "left out)."
        )
    named = {(row["input"] or "").strip() for row in rows}
    indices = _indices(study, named)
    problems, answers = [], []
    for number, row in enumerate(rows, start=2):
        name, word = (row["input"] or "").strip(), (row["value"] or "").strip().lower()
        if name not in indices:
            problems.append(f"row {number}: the dataset has no input {name[:80]!r}.")
        elif word not in VALUE_WORDS:
            problems.append(f"row {number}: value {word[:20]!r} is neither present nor absent.")
        else:
            answers.append(
                NewGoldAnswer(
                    concept=(row["concept"] or "").strip(),
                    input_index=indices[name],
                    value=VALUE_WORDS[word],
                    use=(row.get("use") or GoldUse.HIDDEN).strip().lower(),
                    feedback=(row.get("feedback") or "").strip(),
                )
            )
    if problems:
        more = f" And {len(problems) - NAMED} more." if len(problems) > NAMED else ""
        raise InvalidInput(f"file: {' '.join(problems[:NAMED])}{more}")
    return answers


def _state_require(study: Study, uses: Iterable[str]) -> None:
    if all(use == GoldUse.EXAMPLE for use in uses):
        allowed = (StudyStatus.DRAFT, StudyStatus.OPEN, StudyStatus.PAUSED)
        state_require(study, "can its examples be changed", *allowed)
    else:
        state_require(study, "can its known answers be changed", StudyStatus.DRAFT)


def _concepts(study: Study) -> dict[str, Concept]:
    """Concepts that explanations of the study use: those that raters are asked about."""
    used = Concept.objects.filter(terms__explanation__study=study).distinct()
    return {concept.text: concept for concept in used}


def _inputs(study: Study, indices: set[int]) -> dict[int, ProbeInput]:
    wanted = sorted(index for index in indices if 0 <= index < study.dataset.n_inputs)
    found: dict[int, ProbeInput] = {}
    for start in range(0, len(wanted), BATCH):
        rows = study.dataset.inputs.filter(index__in=wanted[start : start + BATCH])
        found.update({row.index: row for row in rows})
    return found


def _indices(study: Study, names: set[str]) -> dict[str, int]:
    """Find inputs by file name, and by index where there is no such file."""
    wanted = sorted(names)
    found = {
        name: int(name)
        for name in wanted
        if name.isdecimal() and len(name) < 10 and int(name) < study.dataset.n_inputs
    }
    for start in range(0, len(wanted), BATCH):
        rows = study.dataset.inputs.filter(file__in=wanted[start : start + BATCH]).exclude(file="")
        found.update(rows.values_list("file", "index"))
    return found


def _standing(study: Study) -> dict[tuple[str, int], GoldAnswer]:
    rows = GoldAnswer.objects.filter(study=study).select_related("concept", "probe_input")
    return {(row.concept.text, row.probe_input.index): row for row in rows}


def _asked(study: Study, indices: set[int]) -> set[tuple[str, int]]:
    """Which pairs of a launched study raters are asked; a draft has no items yet."""
    wanted = sorted(indices)
    found: set[tuple[str, int]] = set()
    for start in range(0, len(wanted), BATCH):
        rows = Item.objects.filter(
            study=study, probe_input__index__in=wanted[start : start + BATCH]
        )
        found.update(rows.values_list("concept__text", "probe_input__index"))
    return found


def _problem(
    study: Study,
    answer: NewGoldAnswer,
    concepts: dict[str, Concept],
    inputs: dict[int, ProbeInput],
    old: GoldAnswer | None,
    uses: dict[int, str],
) -> str:
    """Say why an answer cannot be used; empty when it can."""
    text, index = answer.concept.strip(), answer.input_index
    used_for = uses.get(index)
    if not 1 <= len(text) <= CONCEPT_LENGTH:
        return f"its concept has {len(text)} characters; give 1 to {CONCEPT_LENGTH}."
    if answer.use not in GoldUse.values:
        return f"use {answer.use!r} is none of {', '.join(GoldUse.values)}."
    if answer.value not in (RatingValue.PRESENT, RatingValue.ABSENT):
        return f"value {answer.value!r} is neither present nor absent."
    if len(answer.feedback) > FEEDBACK_LENGTH:
        return f"its feedback has {len(answer.feedback)} characters; give {FEEDBACK_LENGTH}."
    if answer.use == GoldUse.HIDDEN and text not in concepts:
        return f"no explanation uses the concept {text!r}, so no task asks about it."
    if index not in inputs:
        return f"input {index} is outside the dataset, 0 to {study.dataset.n_inputs - 1}."
    if old is not None and (old.value, old.use) != (answer.value, answer.use):
        return f"{text!r} at input {index} is {old.value} ({old.use}) already; remove that first."
    if used_for is not None and used_for != answer.use:
        return f"input {index} is used for another purpose already ({used_for}); choose another."
    return ""
