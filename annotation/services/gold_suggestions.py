"""Suggestions of known answers: from reference labels, or where the concept prior is surest.

The software suggests, a person looks at each and confirms; nothing is written here.
"""

from typing import TYPE_CHECKING, Any

from annotation import science
from annotation.exceptions import InvalidInput
from annotation.models import Concept, GoldAnswer, GoldUse, RatingValue, Study
from annotation.services.gold import NewGoldAnswer
from annotation.services.sampling import columns_of, sampling_plan

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SOURCES = ("reference", "prior")
MAX_EACH = 100
#: Reference labels that count as known: the rest is somebody's doubt.
KNOWN_PRESENT, KNOWN_ABSENT = 0.99, 0.01
#: Of a prior only what lies on its side of one half is suggested, from so many times the number
#: wanted, so that two studies do not get the same few inputs.
PRIOR_MIDDLE = 0.5
EXTREMES_FOR_ONE = 3


def gold_answers_suggest(
    *,
    study: Study,
    source: str,
    n_each: int,
    use: str = GoldUse.HIDDEN,
    seed: int | None = None,
) -> list[NewGoldAnswer]:
    """Suggest known answers for every concept of a study, for a person to confirm.

    Parameters
    ----------
    study : Study
        A draft with explanations.
    source : str
        ``"reference"``: inputs whose reference label is 1 or 0. ``"prior"``: the inputs that the
        concept prior gives the highest and the lowest probability; look at each of them, for that
        is where a cheap model is sure, not where it is right.
    n_each : int
        How many present, and how many absent, for each concept.
    use : str
        One of `GoldUse`.
    seed : int, optional
        The study's by default.

    Returns
    -------
    list of NewGoldAnswer
        By concept, present before absent; fewer where there are fewer. None is there already, is
        used for another purpose, or will be drawn by the study's design.

    Raises
    ------
    InvalidInput
        When the source or use is unknown, the number out of range, or the study lacks the labels.
    SamplingProblem, ArrayProblem, UnknownConcept, ConceptWithoutPositives
        When the sample cannot be drawn.
    """
    if source not in SOURCES:
        raise InvalidInput(f"source: {source!r} is none of {', '.join(SOURCES)}.")
    if use not in GoldUse.values:
        raise InvalidInput(f"use: {use!r} is none of {', '.join(GoldUse.values)}.")
    if not 1 <= n_each <= MAX_EACH:
        raise InvalidInput(f"n_each: {n_each} is outside 1 to {MAX_EACH}.")
    matrix = study.concept_prior if source == "prior" else study.reference
    if matrix is None:
        raise InvalidInput(
            "source: the study has no reference labels; register some, or suggest from the prior."
        )
    concepts = list(
        Concept.objects.filter(terms__explanation__study=study).distinct().order_by("text")
    )
    if not concepts:
        raise InvalidInput("study: it has no explanations, so no concept to suggest for.")
    taken = set(GoldAnswer.objects.filter(study=study).values_list("probe_input__index", flat=True))
    drawn = _drawn(study)
    columns = columns_of(matrix)
    values = science.array_load(matrix)
    suggestions: list[NewGoldAnswer] = []
    for concept in concepts:
        if concept.pk not in columns:
            continue
        column = values[:, columns[concept.pk]]
        for value in (RatingValue.PRESENT, RatingValue.ABSENT):
            candidates = [
                index
                for index in _candidates(column, value, source)
                if index not in taken and index not in drawn.get(concept.pk, ())
            ]
            if source == "prior":
                candidates = candidates[: EXTREMES_FOR_ONE * n_each]
            order = science.shuffled(
                len(candidates),
                science.seed_from(
                    study.seed if seed is None else seed, "suggest", use, concept.text, value
                ),
            )
            chosen = sorted(candidates[number] for number in order[:n_each])
            # an input has one use: the same one is suggested for one concept alone
            taken.update(chosen)
            suggestions += [NewGoldAnswer(concept.text, index, value, use) for index in chosen]
    return suggestions


def _drawn(study: Study) -> dict[int, set[int]]:
    """Which inputs the launch will draw: the same seed draws the same sample."""
    drawn: dict[int, set[int]] = {}
    for task in sampling_plan(study).tasks:
        drawn.setdefault(task.concept.pk, set()).update(one.index for one in task.inputs)
    return drawn


def _candidates(column: "NDArray[np.floating[Any]]", value: str, source: str) -> list[int]:
    """Inputs that may have a value; of a prior the surest first."""
    import numpy as np

    present = value == RatingValue.PRESENT
    if source == "reference":
        known = column >= KNOWN_PRESENT if present else column <= KNOWN_ABSENT
        return [int(index) for index in np.flatnonzero(known)]
    order = np.argsort(-column if present else column, kind="stable")
    sure = column[order] > PRIOR_MIDDLE if present else column[order] < PRIOR_MIDDLE
    return [int(index) for index in order[sure]]
