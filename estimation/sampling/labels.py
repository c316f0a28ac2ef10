"""Aggregated labels put in the order of a draw."""

import numpy as np
import pandas as pd

from estimation.checks import FloatArray
from estimation.sampling.draw import Draw, SamplingError


def labels_of_draw(
    draw: Draw, probabilities: "pd.Series[float]"
) -> tuple[FloatArray, tuple[str, ...]]:
    """Pick the label probability of every drawn input.

    Parameters
    ----------
    draw : Draw
        The sample.
    probabilities : Series of float
        Aggregated labels of one concept, indexed by input.

    Returns
    -------
    labels : ndarray, shape (n_draws,), float64
        In order of drawing, repeated inputs repeated.
    warnings : tuple of str
        Says how many labels belong to inputs outside the draw. They are left out: such an input
        has no weight in this sample.

    Raises
    ------
    SamplingError
        When an input has two labels, or a drawn input has none.
    """
    if not probabilities.index.is_unique:
        first = probabilities.index[probabilities.index.duplicated()][0]
        msg = f"probabilities: input {first} has more than one label; aggregate its ratings first"
        raise SamplingError(msg)
    places = probabilities.index.get_indexer(pd.Index(draw.indices))
    if np.any(places < 0):
        missing = np.unique(draw.indices[places < 0])
        msg = (
            f"probabilities: {missing.size} of {draw.unique_indices.size} drawn inputs have no "
            f"label (first: {missing[0]}); rate them, or leave them out with `draw.restricted`"
        )
        raise SamplingError(msg)
    outside = len(probabilities) - draw.unique_indices.size
    labels: FloatArray = np.asarray(probabilities, dtype=np.float64)[places]
    if not outside:
        return labels, ()
    return labels, (f"{outside} rated inputs are outside the design and were left out",)
