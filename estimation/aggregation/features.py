"""What, beside its prior, a label may depend on: the activations that chose the inputs."""

from collections.abc import Hashable, Mapping

import numpy as np
from numpy.typing import ArrayLike

from estimation.checks import EstimationError, FloatArray, standardized

#: Directions whose singular value is below this share of the largest say nothing new.
NEGLIGIBLE = 1e-3


def activation_features(activations: ArrayLike) -> FloatArray:
    """Turn the activations of a concept's neurons into uncorrelated features of a label.

    asinh follows large activations without being carried off by them. Neurons that share a concept
    are alike, and coefficients of features that are alike can hardly be told apart, which makes
    chains slow; so the standardised columns are replaced by their principal directions, each scaled
    to unit variance (whitening). The label model can still form any combination of the neurons.

    Parameters
    ----------
    activations : array-like, shape (n_inputs,) or (n_inputs, n_neurons)
        Activations of the neurons scored with one concept.

    Returns
    -------
    ndarray, shape (n_inputs, n_directions), float64
        Columns of mean 0 and variance 1, uncorrelated, the main direction first; at most a column a
        neuron, fewer where neurons repeat each other. The neuron that weighs most in a direction
        (the first of equals) weighs positively. One neuron gives its standardised asinh.

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
    columns = [standardized(np.arcsinh(standardized(column))) for column in table.T]
    directions, sizes, weights = np.linalg.svd(np.stack(columns, axis=1), full_matrices=False)
    kept = sizes > NEGLIGIBLE * sizes[0]
    # rounded, so that of equal weights the first decides, not the last bit
    heaviest = np.argmax(np.round(np.abs(weights), 9), axis=1)
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
