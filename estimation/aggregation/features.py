"""What, beside its prior, a label may depend on: the activations that chose the inputs."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit

from estimation.aggregation.priors import item_indices
from estimation.checks import EstimationError, FloatArray, standardized

#: Directions whose singular value is below this share of the largest say nothing new.
NEGLIGIBLE = 0.02
#: Standard deviations at which the two curves of an activation bend.
BENDS = (1.0, 4.0)


def activation_features(activations: ArrayLike) -> FloatArray:
    """Turn the activations of a concept's neurons into uncorrelated features of a label.

    asinh follows large activations without being carried off by them; two of them, bent at 1 and at
    4 standard deviations, let the log odds of a label rise in a straight line, level off, or rise
    late. With one curve the labels of rare concepts were misjudged: in simulation (regimes "rare"
    and "hard items" of `simulated_study`) the posterior's intervals covered 38% and 81%, with two
    94% and 92%. Neurons that share a concept are alike, as are the two curves, and coefficients of
    features that are alike can hardly be told apart, which makes chains slow; so the standardised
    columns are replaced by their principal directions, each scaled to unit variance (whitening).
    The label model can still form any combination of them.

    Parameters
    ----------
    activations : array-like, shape (n_inputs,) or (n_inputs, n_neurons)
        Activations of the neurons scored with one concept.

    Returns
    -------
    ndarray, shape (n_inputs, n_directions), float64
        Columns of mean 0 and variance 1, uncorrelated, the main direction first; at most two
        columns a neuron, fewer where neurons repeat each other or hardly bend. The curve that
        weighs most in a direction (the first of equals) weighs positively.

    Raises
    ------
    EstimationError
        When values are not finite or a neuron is constant.
    """
    table = np.asarray(activations, dtype=np.float64)
    if table.ndim == 1:
        table = table[:, None]
    if table.ndim != 2 or table.shape[1] == 0:
        msg = f"activations: shape {np.shape(activations)}, expected (n_inputs, n_neurons)"
        raise EstimationError(msg)
    columns = [
        standardized(np.arcsinh(standardized(column) / bend))
        for bend in BENDS
        for column in table.T
    ]
    directions, sizes, weights = np.linalg.svd(np.stack(columns, axis=1), full_matrices=False)
    kept = sizes > NEGLIGIBLE * sizes[0]
    # of nearly equal weights the first decides, not the last bit
    size = np.abs(weights)
    heaviest = np.argmax(size >= (1 - 1e-3) * size.max(axis=1, keepdims=True), axis=1)
    sign = np.sign(weights[np.arange(sizes.size), heaviest])
    features: FloatArray = (directions * sign)[:, kept] * np.sqrt(table.shape[0])
    return features


def features_of_concepts(
    activations: Mapping[Hashable, ArrayLike] | None, concepts: list[Hashable]
) -> dict[Hashable, FloatArray]:
    """Make the features of every concept.

    Parameters
    ----------
    activations : mapping from concept to array, or None
        See `activation_features`.
    concepts : list
        Concepts that need them.

    Returns
    -------
    dict
        From concept to features; empty for None.

    Raises
    ------
    EstimationError
        When a concept is missing or its activations cannot be used.
    """
    if activations is None:
        return {}
    features = {}
    for concept in concepts:
        if concept not in activations:
            msg = (
                f"activations: none for concept {concept!r}; give those of the neurons whose draws "
                "chose its inputs"
            )
            raise EstimationError(msg)
        features[concept] = activation_features(activations[concept])
    return features


def design_matrix(prior: FloatArray, further: FloatArray, clip: float) -> FloatArray:
    """Stack the features of a label: 1, logit of the clipped prior, further ones.

    Parameters
    ----------
    prior : ndarray, shape (n,)
        Concept prior in [0, 1].
    further : ndarray, shape (n, n_further)
        Features made of activations.
    clip : float
        The prior is clipped to [clip, 1 - clip].

    Returns
    -------
    ndarray, shape (n, 2 + n_further), float64
    """
    logits = logit(np.clip(prior, clip, 1 - clip))
    return np.column_stack([np.ones(prior.size), logits, further])


def features_of_items(
    features: Mapping[Hashable, FloatArray],
    concepts: Sequence[Hashable],
    concept_codes: NDArray[np.integer[Any]],
    items: NDArray[Any],
) -> FloatArray:
    """Take the features of rated items, padded with zeros to the widest concept.

    Parameters
    ----------
    features : mapping from concept to array (n_inputs, n_directions)
        From `features_of_concepts`.
    concepts : sequence
        Concepts, in the order of their codes.
    concept_codes, items : ndarray, shape (n_items,)
        Concept and item; items must be indices of inputs where the concept has features.

    Returns
    -------
    ndarray, shape (n_items, n_further), float64

    Raises
    ------
    RatingsError
        When an item is no index of an input.
    """
    width = max((table.shape[1] for table in features.values()), default=0)
    rows_of_items = np.zeros((items.size, width))
    for number, concept in enumerate(concepts):
        if concept in features:
            rows = np.flatnonzero(concept_codes == number)
            table = features[concept]
            rows_of_items[rows, : table.shape[1]] = table[item_indices(items[rows], table.shape[0])]
    return rows_of_items
