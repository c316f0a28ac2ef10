"""The score of one explanation, from labels of a weighted sample."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from annotation.exceptions import EstimateFailed
from annotation.science.errors import named
from annotation.science.rounds import ADAPTIVE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from annotation.science.sampling import Draw


#: Labellings that an interval is made from. More do not move its ends by a visible amount.
IMPUTATIONS = 200


@dataclass(frozen=True)
class ExplanationScore:
    """The score of one explanation; `score` is None where it is undefined, and a warning says why.

    Attributes
    ----------
    score, standard_error : float or None
        Correlation in [-1, 1] and its standard error.
    lower, upper : float
        Interval.
    n_effective : float
        Effective draws.
    n_inputs_rated : int
        Distinct inputs with a vote.
    warnings : list of str
        What a reader must know.
    """

    score: float | None
    lower: float
    upper: float
    standard_error: float | None
    n_effective: float
    n_inputs_rated: int
    warnings: list[str]


def pooled_rated(rounds: "Sequence[Sequence[Draw]]", voted: "NDArray[np.int64]") -> "Draw | None":
    """Pool the draws of a concept, join its rounds, and keep those whose input has a vote.

    Which items of a round have votes already is decided by the shuffled order of its tasks, not by
    their probabilities, so the rest is a random part of the sample and its weights stay right; for
    draws of a later round on items of an earlier one see `estimation.sampling.rated_rounds`.

    Parameters
    ----------
    rounds : sequence of sequence of Draw
        Of all neurons with this concept, a list a round.
    voted : ndarray of int
        Indices of inputs with a vote.

    Returns
    -------
    Draw or None
        None when no draw can be used yet.
    """
    from estimation.sampling import join_rounds, pool_draws, rated_rounds

    # the neurons of an adaptive round draw from one distribution: pooled, it is the same
    whole = [
        join_rounds(draws) if draws[0].design == ADAPTIVE else pool_draws(draws) for draws in rounds
    ]
    return rated_rounds(whole, voted)


def explanation_score(
    activation: "NDArray[np.floating[Any]]",
    weights: Sequence[float],
    draws: "Sequence[Draw]",
    labels: "Sequence[NDArray[np.float64]]",
    predictions: "Sequence[NDArray[np.float64]] | None" = None,
    *,
    estimator: str,
    level: float,
    seed: int,
    what: str,
) -> ExplanationScore:
    """Score an explanation.

    Parameters
    ----------
    activation : ndarray, shape (n_inputs,)
        Of the neuron.
    weights : sequence of float
        Of the explanation's concepts.
    draws : sequence of Draw
        The rated sample of each concept, from `pooled_rated`.
    labels, predictions : sequence of ndarray, each of shape (n_posterior, n_inputs)
        From `aggregate`.
    estimator : str
        From `Aggregated.estimator`: ``"importance_weighted"`` is the weighted sample alone;
        ``"model_assisted"`` the model over all inputs, corrected by the weighted sample;
        ``"combined"`` corrected as far as the sample objects. The latter two need predictions.
    level : float
        Of the interval.
    seed : int
        Of the imputed labellings.
    what : str
        The explanation's name in messages.

    Returns
    -------
    ExplanationScore

    Raises
    ------
    EstimateFailed
        When the science refuses the input.
    """
    import numpy as np

    from estimation.combined import combined_linear_correlation
    from estimation.linear_explanations import linear_explanation_correlation

    with named(what, EstimateFailed):
        if estimator == "combined" and predictions is not None:
            estimate = combined_linear_correlation(
                activation, weights, draws, labels, predictions, level=level, seed=seed
            )
        else:
            estimate = linear_explanation_correlation(
                activation,
                weights,
                draws,
                labels,
                prediction=predictions if estimator == "model_assisted" else None,
                level=level,
                n_imputations=IMPUTATIONS,
                seed=seed,
            )
    defined = bool(np.isfinite(estimate.score))
    return ExplanationScore(
        float(estimate.score) if defined else None,
        float(estimate.lower),
        float(estimate.upper),
        float(estimate.standard_error) if np.isfinite(estimate.standard_error) else None,
        float(estimate.n_effective),
        int(estimate.n_inputs_rated),
        list(estimate.warnings),
    )


def reference_score(
    activation: "NDArray[np.floating[Any]]",
    weights: Sequence[float],
    concepts: "Sequence[NDArray[np.floating[Any]]]",
) -> float | None:
    """Compute the plain Pearson correlation over all inputs with known concept vectors.

    Parameters
    ----------
    activation : ndarray, shape (n_inputs,)
        Of the neuron.
    weights : sequence of float
        Of the explanation's concepts.
    concepts : sequence of ndarray, shape (n_inputs,)
        Reference labels.

    Returns
    -------
    float or None
        None where it is undefined: the weighted sum or the neuron is constant.
    """
    import numpy as np

    target = sum(
        weight * np.asarray(concept, dtype=np.float64)
        for weight, concept in zip(weights, concepts, strict=True)
    )
    values = np.asarray(activation, dtype=np.float64)
    if np.ptp(target) == 0 or np.ptp(values) == 0:
        return None
    return float(np.corrcoef(values, target)[0, 1])
