"""Missing and Extra Labels by meaning: a narrower or a broader concept in place of the concept.

Real explanations do not err at random: they say "animal" of a neuron for dogs (extra labels), or
"poodle" (missing labels). Here the spoiled labels are those of such concepts.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from neuron_eval.functional.contingency import joint_mass
from neuron_eval.sanity.perturb import PerturbationError
from neuron_eval.sanity.results import PASS_THRESHOLD, FloatArray, SanityResult
from neuron_eval.sanity.runner import Grids, Parameters, SpoiledLabels, check_data, run_checks
from neuron_eval.validation import InputError, check_concepts

#: Per concept (column), the concepts that are broader or narrower, the nearest in size first.
Relations = Mapping[int, Sequence[int]]


def run_semantic_checks(
    activations: Any,
    concepts: Any,
    pairs: Sequence[tuple[int, int]],
    *,
    broader: Relations,
    narrower: Relations,
    metrics: Sequence[str] = ("pearson_correlation",),
    weights: Any = None,
    n_draws: int = 10,
    seed: int = 0,
    epsilon: float = 1e-3,
    threshold: float = PASS_THRESHOLD,
    parameters: Parameters | None = None,
    validation: float = 0.05,
    grids: Grids | None = None,
    progress: Callable[[int], None] | None = None,
) -> SanityResult:
    """Test whether metrics prefer the concept to its narrower and broader neighbours.

    Missing labels: the labels of a narrower concept (a subclass) stand in for the concept's.
    Extra labels: those of a broader one (a superclass).

    Parameters
    ----------
    activations : array-like, shape (n_inputs, n_neurons)
        Activations.
    concepts : array-like, shape (n_inputs, n_concepts)
        Labels; a concept is present where its value is at least 0.5.
    pairs : sequence of (int, int)
        Neurons and the concepts that describe them.
    broader, narrower : mapping of int to sequence of int
        Columns of the concepts that are broader or narrower than each concept, the nearest
        first; `nested_concepts` finds them in the labels, `neuron_eval.hierarchy.superclasses_of`
        and `subclasses_of` in a hierarchy of classes, `neuron_eval.pairs.read_relations` in a
        file.
    metrics : sequence of str, default ("pearson_correlation",)
        Names of metrics in the registry.
    weights : array-like, shape (n_inputs,), optional
        Non-negative sample weights.
    n_draws : int, default 10
        Most neighbours of each kind that are tried per pair; the first ones are.
    seed : int, default 0
        Seed of the split.
    epsilon, threshold, parameters, validation, grids, progress
        As in `neuron_eval.sanity.experimental.run_sanity_checks`.

    Returns
    -------
    SanityResult
        As in `run_sanity_checks`; pairs whose concept has no neighbour are skipped, and a pair
        with neighbours of one kind counts in one test.

    Raises
    ------
    ValueError
        If an input is invalid, or a neighbour is no column or the concept itself.

    References
    ----------
    Oikarinen, Yan, Weng, ICML 2025, arXiv 2506.05774, appendix: superclass and subclass variants.
    """
    if n_draws < 1:
        raise InputError(f"n_draws: found {n_draws!r}, expected at least 1.")
    data = check_data(activations, concepts, weights)
    for name, relations in (("broader", broader), ("narrower", narrower)):
        _check_relations(name, relations, data.concepts.shape[1])

    def spoil(_neuron: int, concept: int, labels: FloatArray) -> SpoiledLabels:
        below = list(narrower.get(concept, ()))[:n_draws]
        above = list(broader.get(concept, ()))[:n_draws]
        if not below and not above:
            raise PerturbationError("concept: no concept is narrower or broader.")
        return SpoiledLabels(labels, _columns(data.concepts, below), _columns(data.concepts, above))

    return run_checks(
        data,
        pairs,
        spoil,
        metrics=metrics,
        seed=seed,
        epsilon=epsilon,
        threshold=threshold,
        parameters=parameters,
        validation=validation,
        grids=grids,
        progress=progress,
    )


def nested_concepts(
    concepts: Any, *, concept_threshold: float = 0.5
) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """Find which concepts contain which others, from their labels alone.

    Parameters
    ----------
    concepts : array-like, shape (n_inputs, n_concepts)
        Labels in [0, 1].
    concept_threshold : float, default 0.5
        A concept is present where its value is at least this.

    Returns
    -------
    broader, narrower : dict of int to list of int
        Per concept, those that hold on all of its inputs and more, and those that hold on some
        of its inputs and on no others; the nearest in size first. Concepts that hold nowhere
        or everywhere are neighbours of none.

    Raises
    ------
    InputError
        If an input is invalid.

    Notes
    -----
    Labels of few inputs can be nested by chance. Where a hierarchy is known, use it.
    """
    if not 0 < concept_threshold <= 1:
        raise InputError(
            f"concept_threshold: found {concept_threshold!r}, expected a value in (0, 1]."
        )
    present = (check_concepts(concepts, dtype=None) >= concept_threshold).T.contiguous()
    sizes = present.sum(dim=1).to(torch.float64)
    joint = joint_mass(present, present, None)
    usable = (sizes > 0) & (sizes < present.shape[1])
    inside = (joint == sizes[:, None]) & (sizes[:, None] < sizes[None, :])
    inside &= usable[:, None] & usable[None, :]
    broader: dict[int, list[int]] = {}
    narrower: dict[int, list[int]] = {}
    for concept in range(len(sizes)):
        above = inside[concept].nonzero()[:, 0].tolist()
        below = inside[:, concept].nonzero()[:, 0].tolist()
        if above:
            broader[concept] = sorted(above, key=lambda c: (float(sizes[c]), c))
        if below:
            narrower[concept] = sorted(below, key=lambda c: (-float(sizes[c]), c))
    return broader, narrower


def _columns(concepts: torch.Tensor, columns: Sequence[int]) -> FloatArray:
    labels: FloatArray = concepts[:, list(columns)].to(torch.float64).cpu().numpy()
    return labels


def _check_relations(name: str, relations: Relations, n_concepts: int) -> None:
    for concept, neighbours in relations.items():
        for neighbour in neighbours:
            if neighbour == concept or not 0 <= neighbour < n_concepts:
                raise InputError(
                    f"{name}: concept {concept} has neighbour {neighbour}, expected another "
                    f"concept, 0 to {n_concepts - 1}."
                )
