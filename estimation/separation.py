"""How many further ratings it takes to tell two explanation methods apart."""

import math
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import norm

from estimation.checks import EstimationError
from estimation.comparison import checked_scores
from estimation.ratings import shown


@dataclass(frozen=True)
class Separation:
    """What it takes to tell two methods apart.

    Attributes
    ----------
    method_a, method_b : hashable
        The methods.
    difference : float
        Mean score of A less that of B over the neurons that both explain.
    sd : float
        Posterior standard deviation of that difference.
    error_variance, neuron_variance : float
        Its variance by the estimates' errors, which ratings take away, and by the luck of the
        neurons, which only neurons take away (0 for a finite set of neurons).
    probability : float
        That A's mean score exceeds B's, as things stand.
    separated : bool
        Whether that, or its opposite, is known with the confidence wanted.
    ratings : float or None
        Ratings an explanation in all, present ones included, that are needed; None when no number
        is enough.
    further_ratings : int or None
        Those still to be given, an explanation; 0 when separated.
    further_neurons : int
        Neurons to add, rated like the present ones, that are enough instead (and then are asked
        about too); 0 when separated.
    summary : str
        The same in a sentence.
    """

    method_a: Hashable
    method_b: Hashable
    difference: float
    sd: float
    error_variance: float
    neuron_variance: float
    probability: float
    separated: bool
    ratings: float | None
    further_ratings: int | None
    further_neurons: int
    summary: str


def ratings_to_separate(
    scores: pd.DataFrame,
    method_a: Hashable,
    method_b: Hashable,
    *,
    ratings_per_explanation: float,
    neurons: str = "sample",
    confidence: float = 0.95,
    assurance: float = 0.8,
) -> Separation:
    """Work out how many ratings separate two methods.

    With d the mean difference of the scores over J neurons, its posterior variance is
    V = T/J + E, where E = sum e_j^2 / J^2 is made by the estimates' errors and T is the variance
    of the true differences over neurons (what is left of the observed variance without the errors;
    0 if the neurons are the finite set that one asks about). With r' instead of r ratings an
    explanation V' = T/J + E r/r'. What more ratings will show is a draw from
    Normal(d, V - V'), so the methods will be told apart, one way or the other, with probability

        Phi((|d| - z sqrt(V')) / sqrt(V - V')) + Phi((-|d| - z sqrt(V')) / sqrt(V - V')),

    z the normal quantile of `confidence`; the least r' that brings it to `assurance` is returned.
    Doubt about d itself is thus part of the answer: methods that look alike by chance are not taken
    to be alike. Adding neurons divides V by J'/J.

    Parameters
    ----------
    scores : DataFrame
        Columns ``neuron``, ``method``, ``score``, ``sd``, and optionally ``explanation``: where
        both methods gave a neuron the same one, the difference is 0 without error.
    method_a, method_b : hashable
        Two methods of the table.
    ratings_per_explanation : float
        Ratings that an explanation has now.
    neurons : {"sample", "finite"}
        Whether the neurons stand for those one might have looked at, or for themselves.
    confidence : float
        Posterior probability, in (0.5, 1), that one method is better, from which on they are told
        apart.
    assurance : float
        Probability, in (0, 1), with which this is to happen.

    Returns
    -------
    Separation

    Raises
    ------
    EstimationError
        When the table does not pass the checks, a method is not in it, the two share fewer than two
        neurons, or a number is out of range.

    Notes
    -----
    Normal approximations throughout, with T taken as known; error variances are taken to fall as
    one over the ratings, which holds while each input has few.

    References
    ----------
    Spiegelhalter, Freedman, Parmar, "Bayesian approaches to randomized trials" (1994), sec. 5, for
    the assurance of a trial.
    """
    _check_numbers(ratings_per_explanation, neurons, confidence, assurance)
    difference, errors = _differences(checked_scores(scores, needs_sd=True), method_a, method_b)
    n = difference.size
    mean = float(difference.mean())
    error_variance = float(errors.sum()) / n**2
    spread = max(float(difference.var(ddof=1)) - float(errors.mean()), 0.0)
    neuron_variance = spread / n if neurons == "sample" else 0.0
    variance = error_variance + neuron_variance
    z = float(norm.ppf(confidence))
    if variance == 0:
        return _settled(method_a, method_b, mean, ratings_per_explanation)
    size = abs(mean) / math.sqrt(variance)
    probability = float(norm.cdf(mean / math.sqrt(variance)))
    common = (
        method_a,
        method_b,
        mean,
        math.sqrt(variance),
        error_variance,
        neuron_variance,
        probability,
    )
    if size >= z:
        better = method_a if mean > 0 else method_b
        summary = (
            f"{shown(better)} is better with probability {max(probability, 1 - probability):.2f}"
        )
        return Separation(*common, True, ratings_per_explanation, 0, 0, summary)
    ratio = _variance_ratio(size, z, assurance)
    further_neurons = math.ceil(n / ratio) - n
    wanted = ratio * variance - neuron_variance
    if wanted <= 0:
        summary = (
            f"cannot be separated with these {n} neurons, however many ratings: add "
            f"{further_neurons} neurons"
        )
        return Separation(*common, False, None, None, further_neurons, summary)
    needed = ratings_per_explanation * error_variance / wanted
    further = max(math.ceil(needed - ratings_per_explanation), 1)
    neurons_too = f", or {further_neurons} further neurons," if neurons == "sample" else ""
    summary = (
        f"{further} further ratings an explanation{neurons_too} separate them with probability "
        f"{assurance:g}"
    )
    return Separation(*common, False, needed, further, further_neurons, summary)


def separation_assurance(size: float, ratio: float, z: float) -> float:
    """Compute the probability that two methods will be told apart.

    Parameters
    ----------
    size : float
        Present difference over its standard deviation, not negative.
    ratio : float
        Posterior variance that is left over the present one, in [0, 1).
    z : float
        Normal quantile of the confidence wanted.

    Returns
    -------
    float
        It falls with `ratio` as long as size < z, that is while they are not told apart yet.
    """
    left, gained = math.sqrt(ratio), math.sqrt(1 - ratio)
    upper = norm.cdf((size - z * left) / gained)
    lower = norm.cdf((-size - z * left) / gained)
    return float(upper + lower)


def _variance_ratio(size: float, z: float, assurance: float) -> float:
    """Greatest share of the variance that may be left: with none left assurance is 1."""
    highest = 1 - 1e-12
    if separation_assurance(size, highest, z) >= assurance:
        return highest
    found = brentq(lambda ratio: separation_assurance(size, ratio, z) - assurance, 0.0, highest)
    return max(float(found), 1e-12)  # 0 would take infinitely many ratings, and neurons


def _differences(
    clean: pd.DataFrame, method_a: Hashable, method_b: Hashable
) -> tuple[np.ndarray, np.ndarray]:
    """Differences of the scores neuron by neuron, and their error variances."""
    if method_a == method_b:
        msg = f"method_b: {shown(method_b)} is method_a; name two methods"
        raise EstimationError(msg)
    sides = []
    for name, method in (("method_a", method_a), ("method_b", method_b)):
        rows = clean[clean["method"] == method]
        if rows.empty:
            found = ", ".join(shown(known) for known in clean["method"].unique())
            msg = f"{name}: {shown(method)} has no score; the table has {found}"
            raise EstimationError(msg)
        sides.append(rows.set_index("neuron"))
    a, b = sides
    both = a.index.intersection(b.index, sort=False)
    if len(both) < 2:
        msg = (
            f"scores: {shown(method_a)} and {shown(method_b)} share {len(both)} neurons; at least "
            "2 are needed to see how differences spread"
        )
        raise EstimationError(msg)
    a, b = a.loc[both], b.loc[both]
    difference = (a["score"] - b["score"]).to_numpy(dtype=np.float64)
    errors = (a["sd"] ** 2 + b["sd"] ** 2).to_numpy(dtype=np.float64)
    if "explanation" in clean.columns:
        # an explanation that is missing is not the same as another that is missing
        same = (a["explanation"] == b["explanation"]).to_numpy(dtype=bool)
        difference, errors = np.where(same, 0.0, difference), np.where(same, 0.0, errors)
    return difference, errors


def _settled(method_a: Hashable, method_b: Hashable, mean: float, ratings: float) -> Separation:
    """Answer where nothing is in doubt: known scores of a finite set, or the same explanations."""
    if mean == 0:
        summary = "the two have the same mean score on these neurons; nothing is left to rate"
        return Separation(
            method_a, method_b, 0.0, 0.0, 0.0, 0.0, 0.5, False, None, None, 0, summary
        )
    better = method_a if mean > 0 else method_b
    summary = f"{shown(better)} is better for certain: the scores have no error"
    probability = 1.0 if mean > 0 else 0.0
    return Separation(
        method_a, method_b, mean, 0.0, 0.0, 0.0, probability, True, ratings, 0, 0, summary
    )


def _check_numbers(ratings: float, neurons: str, confidence: float, assurance: float) -> None:
    if not 0 < ratings < math.inf:
        msg = f"ratings_per_explanation: {ratings}, expected above 0; rate the explanations first"
        raise EstimationError(msg)
    if neurons not in ("sample", "finite"):
        msg = f"neurons: {neurons!r} is neither 'sample' nor 'finite'"
        raise EstimationError(msg)
    if not 0.5 < confidence < 1:
        msg = f"confidence: {confidence} is outside (0.5, 1); 0.95 is usual"
        raise EstimationError(msg)
    if not 0 < assurance < 1:
        msg = f"assurance: {assurance} is outside (0, 1); 0.8 is usual"
        raise EstimationError(msg)
