"""Concept vectors: from labels, from arrays, from a cheap model.

A concept source gives c_t(x) = P(concept | input) for many inputs at once. Labels and arrays are
taken for true; the other sources are concept priors: cheap guesses that guide sampling and
aggregation, and are judged by raters in the end.
"""

import os
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from neuron_eval.class_labels import whole_labels
from neuron_eval.matrix_files import read_matrix
from neuron_eval.text_files import read_texts
from neuron_eval.validation import InputError, check_activations, check_concepts

FloatArray = npt.NDArray[np.float64]


@runtime_checkable
class ConceptSource(Protocol):
    """Anything that gives concept vectors for inputs."""

    @property
    def texts(self) -> Sequence[str]:
        """Texts of the concepts, in the order of the columns."""
        ...

    def concept_vectors(self, data: Any) -> FloatArray:
        """Give P(concept | input).

        Parameters
        ----------
        data
            The inputs, in the form that the source reads.

        Returns
        -------
        ndarray, shape (n_inputs, n_concepts), float64
            Values in [0, 1].
        """
        ...


class ArraySource:
    """Concept vectors that were computed elsewhere.

    Parameters
    ----------
    texts : sequence of str
        Texts of the concepts.
    vectors : array-like, shape (n_inputs, n_concepts)
        P(concept | input), in [0, 1].

    Raises
    ------
    InputError
        If the vectors are invalid or the texts do not fit.
    """

    def __init__(self, texts: Sequence[str], vectors: Any) -> None:
        self.texts = tuple(texts)
        self._vectors: FloatArray = check_concepts(vectors, names=self.texts).numpy()

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        key: str | None = None,
        texts: Sequence[str] | str | os.PathLike[str] | None = None,
    ) -> "ArraySource":
        """Read concept vectors from a file.

        Parameters
        ----------
        path : path-like
            Any file that `neuron_eval.matrix_files.read_matrix` reads.
        key : str, optional
            Which array, where the file holds several.
        texts : sequence of str or path-like, optional
            Texts of the concepts, or a text file with one a line; the names of the columns when
            None.

        Returns
        -------
        ArraySource
            The source.

        Raises
        ------
        ArrayFileError
            If a file cannot be read.
        InputError
            If there are no texts, they do not fit, or the vectors are invalid.
        """
        matrix = read_matrix(path, key=key)
        if texts is None:
            texts = matrix.names
        elif isinstance(texts, str | os.PathLike):
            texts = read_texts(texts)
        if texts is None:
            raise InputError(
                f"texts: found none, and {matrix.path} names no columns; give the texts, or a "
                "text file with one a line."
            )
        return cls(texts, matrix.values)

    def concept_vectors(self, data: Any) -> FloatArray:
        """Give the vectors of some inputs.

        Parameters
        ----------
        data : array-like of int, shape (n,), or None
            Positions of the inputs; all inputs when None.

        Returns
        -------
        ndarray, shape (n, n_concepts), float64
            Values in [0, 1].

        Raises
        ------
        InputError
            If a position does not exist.
        """
        if data is None:
            return self._vectors
        positions = whole_labels(data)
        n_inputs = self._vectors.shape[0]
        if positions.size and (positions.min() < 0 or positions.max() >= n_inputs):
            raise InputError(
                f"data: found positions from {positions.min()} to {positions.max()}, expected 0 "
                f"to {n_inputs - 1}."
            )
        return self._vectors[positions]


class LinearProbeSource:
    """A logistic regression per concept on features, fitted on a few labelled inputs.

    Parameters
    ----------
    texts : sequence of str
        Texts of the concepts.
    features : array-like, shape (n_labelled, n_features)
        Features of the labelled inputs, for example activations of a layer.
    labels : array-like, shape (n_labelled, n_concepts)
        Which concepts hold, 0 or 1; values in between are rounded at 0.5.
    regularization : float, default 1.0
        Inverse strength C of the ridge penalty on standardized features, positive.

    Raises
    ------
    InputError
        If the input is invalid, or a concept has no positive or no negative labelled input; the
        concept is named.

    Notes
    -----
    The probabilities are those of the labelled inputs: where these were chosen by class, the
    prior of a rare concept is too high until it is calibrated.
    """

    def __init__(
        self,
        texts: Sequence[str],
        features: Any,
        labels: Any,
        *,
        regularization: float = 1.0,
    ) -> None:
        self.texts = tuple(texts)
        if not 0 < regularization < float("inf"):
            raise InputError(
                f"regularization: found {regularization!r}, expected a positive number."
            )
        inputs = check_activations(features).numpy()
        present = check_concepts(labels, n_inputs=len(inputs), names=self.texts).numpy() >= 0.5
        self._n_features = inputs.shape[1]
        self._probes = []
        for text, column in zip(self.texts, present.T, strict=True):
            if column.all() or not column.any():
                kind = "negative" if column.all() else "positive"
                raise InputError(
                    f"labels: concept {text!r} has no {kind} among the {len(column)} labelled "
                    f"inputs; label at least one {kind} input, or leave the concept out."
                )
            probe = make_pipeline(
                StandardScaler(), LogisticRegression(C=regularization, max_iter=1000)
            )
            self._probes.append(probe.fit(inputs, column))

    def concept_vectors(self, data: Any) -> FloatArray:
        """Give P(concept | features).

        Parameters
        ----------
        data : array-like, shape (n_inputs, n_features)
            Features of the inputs.

        Returns
        -------
        ndarray, shape (n_inputs, n_concepts), float64
            Values in [0, 1].

        Raises
        ------
        InputError
            If the features are invalid or not those of the fit.
        """
        inputs = check_activations(data).numpy()
        if inputs.shape[1] != self._n_features:
            raise InputError(
                f"data: found {inputs.shape[1]} features, expected the {self._n_features} that "
                "the probes were fitted on."
            )
        return np.stack([probe.predict_proba(inputs)[:, 1] for probe in self._probes], axis=1)
