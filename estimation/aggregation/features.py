"""What, beside its prior, a label may depend on: the activations that chose the inputs."""

from collections.abc import Hashable, Mapping

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri
from scipy.stats import rankdata

from estimation.checks import EstimationError, FloatArray, standardized

#: Features a neuron.
FEATURES_PER_NEURON = 2


def activation_features(activations: ArrayLike) -> FloatArray:
    """Turn activations into features of a label: asinh, and the normal score of the rank.

    The first follows large activations without being carried off by them, the second does not
    mind their scale; together they bend as skewed activations need it.

    Parameters
    ----------
    activations : array-like, shape (n_inputs,) or (n_inputs, n_neurons)
        Activations of the neurons scored with one concept.

    Returns
    -------
    ndarray, shape (n_inputs, 2 n_neurons), float64
        Standardised columns; ties share a rank.

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
    columns = []
    for column in table.T:
        scaled = standardized(column)
        score = ndtri((rankdata(scaled) - 0.5) / scaled.size)
        columns += [standardized(np.arcsinh(scaled)), standardized(score)]
    return np.stack(columns, axis=1)


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
