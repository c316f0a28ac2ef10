"""How far the ratings of each neuron and of each method are.

A rating is about a concept, not about a neuron: it counts for every neuron and method whose
explanation uses the concept.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from annotation.models import ExplanationTerm, Study
from annotation.queries.progress import ConceptProgress


@dataclass(frozen=True)
class Coverage:
    """How far the ratings of what one neuron or method needs are.

    Attributes
    ----------
    name : str
        The neuron or method.
    n_concepts : int
        Concepts that its explanations use.
    ratings_wanted, ratings_valid : int
        Of those concepts.
    """

    name: str
    n_concepts: int
    ratings_wanted: int
    ratings_valid: int


def coverage(
    study: Study, per_concept: Iterable[ConceptProgress]
) -> tuple[list[Coverage], list[Coverage]]:
    """Add the progress of concepts up, by neuron and by method.

    Parameters
    ----------
    study : Study
        Any.
    per_concept : iterable of ConceptProgress
        From `study_progress`.

    Returns
    -------
    neurons : list of Coverage
        By layer and unit.
    methods : list of Coverage
        By name.
    """
    concepts = {row.concept: row for row in per_concept}
    of_neuron: dict[tuple[str, int], set[str]] = defaultdict(set)
    of_method: dict[str, set[str]] = defaultdict(set)
    terms = ExplanationTerm.objects.filter(explanation__study=study).order_by()
    for layer, unit, method, concept in terms.values_list(
        "explanation__neuron__activations__layer",
        "explanation__neuron__unit",
        "explanation__method__name",
        "concept__text",
    ):
        of_neuron[layer, unit].add(concept)
        of_method[method].add(concept)
    neurons = [
        _added(f"{layer}:{unit}", used, concepts)
        for (layer, unit), used in sorted(of_neuron.items())
    ]
    methods = [_added(name, used, concepts) for name, used in sorted(of_method.items())]
    return neurons, methods


def _added(name: str, used: set[str], concepts: dict[str, ConceptProgress]) -> Coverage:
    rows = [concepts[text] for text in used if text in concepts]
    return Coverage(
        name=name,
        n_concepts=len(used),
        ratings_wanted=sum(row.ratings_wanted for row in rows),
        ratings_valid=sum(row.ratings_valid for row in rows),
    )
