"""Binary labels drawn from label probabilities, so that label doubt can be carried on."""

import numpy as np
from numpy.typing import ArrayLike

from estimation.checks import EstimationError, FloatArray, numbers
from estimation.sampling import Draw

#: Imputed labellings that an interval is made from, unless told otherwise.
DEFAULT_IMPUTATIONS = 400


def impute_labels(
    labels: ArrayLike, draw: Draw, *, n_imputations: int = DEFAULT_IMPUTATIONS, seed: int = 0
) -> FloatArray:
    """Draw binary labels of the sampled inputs.

    Parameters
    ----------
    labels : array-like, shape (n_draws,) or (n_posterior, n_draws)
        Probability that the concept is present in each sampled input, in [0, 1]; rows are draws of
        the parameters. Zeros and ones are labels already.
    draw : Draw
        The sample; an input drawn twice gets one label.
    n_imputations : int
        Labellings to draw; rows are used evenly. A single row of zeros and ones stays one row.
    seed : int
        Seed of the generator.

    Returns
    -------
    ndarray, shape (n_imputations or fewer, n_draws), float64
        Zeros and ones.

    Raises
    ------
    EstimationError
        When shapes do not match, or a value is missing or outside [0, 1].
    """
    rows = checked_labels(labels, draw)
    if n_imputations < 1:
        msg = f"n_imputations: {n_imputations}; at least one labelling is needed"
        raise EstimationError(msg)
    if np.all((rows == 0) | (rows == 1)) and rows.shape[0] <= n_imputations:
        return rows
    # evenly spaced rows, repeated when there are fewer than labellings
    rows = rows[np.arange(n_imputations) * rows.shape[0] // n_imputations]
    _, first, inverse = np.unique(draw.indices, return_index=True, return_inverse=True)
    uniforms = np.random.default_rng(seed).random((n_imputations, first.size))
    drawn = (uniforms < rows[:, first]).astype(np.float64)
    imputed: FloatArray = drawn[:, inverse]
    return imputed


def checked_labels(labels: ArrayLike, draw: Draw) -> FloatArray:
    """Check label probabilities of a sample and return them with one row a posterior draw.

    Parameters
    ----------
    labels : array-like, shape (n_draws,) or (n_posterior, n_draws)
        Probabilities.
    draw : Draw
        The sample.

    Returns
    -------
    ndarray, shape (n_posterior, n_draws), float64

    Raises
    ------
    EstimationError
        When shapes do not match, or a value is missing or outside [0, 1].
    """
    rows = np.atleast_2d(numbers(labels, "labels"))
    if rows.ndim != 2 or rows.shape[1] != draw.n_draws or rows.shape[0] == 0:
        msg = (
            f"labels: shape {np.shape(labels)} does not match the draw of {draw.n_draws} inputs; "
            "give one label a draw (repeated inputs repeated), rows being posterior draws"
        )
        raise EstimationError(msg)
    if not np.all((rows >= 0) & (rows <= 1)):
        bad = ~((rows >= 0) & (rows <= 1))
        where = int(np.flatnonzero(bad.any(axis=0))[0])
        msg = (
            f"labels: value {rows[:, where][bad[:, where]][0]} for drawn input "
            f"{int(draw.indices[where])} is not a probability; aggregate its ratings first"
        )
        raise EstimationError(msg)
    return rows
