"""From ratings to scores: aggregation, one score an explanation, the leaderboard."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from annotation.exceptions import EstimateFailed
from annotation.science.errors import named

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from annotation.science.sampling import Draw

#: Posterior draws of the hierarchical model that are carried into scores.
POSTERIOR_DRAWS = 200
#: Labellings that an interval is made from. More do not move its ends by a visible amount.
IMPUTATIONS = 200


@dataclass(frozen=True)
class RatingRow:
    """One rating that counts.

    Attributes
    ----------
    concept, item, rater : int
        Which concept, which input (its index), which rater.
    value : float or None
        1 present, 0 absent, None cannot tell.
    """

    concept: int
    item: int
    rater: int
    value: float | None


@dataclass(frozen=True)
class Aggregated:
    """What the ratings say of the labels.

    Attributes
    ----------
    labels : dict
        From concept to label probabilities of every input, shape (n_posterior, n_inputs); an input
        without a vote has what the concept prior says.
    voted : dict
        From concept to the indices of the inputs that have a vote.
    diagnostics : dict
        Of the aggregation, JSON values.
    predictions : dict or None
        Like `labels`, but before an input's own ratings, where the aggregation has a model that
        predicts. Rows of both are then posterior draws, so that a standard deviation has a meaning,
        and scores are model-assisted.
    """

    labels: "dict[int, NDArray[np.float64]]"
    voted: "dict[int, NDArray[np.int64]]"
    diagnostics: dict[str, Any] = field(default_factory=dict)
    predictions: "dict[int, NDArray[np.float64]] | None" = None

    @property
    def estimator(self) -> str:
        """Name of the estimator that scores these labels."""
        return "importance_weighted" if self.predictions is None else "model_assisted"


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


@dataclass(frozen=True)
class MethodScore:
    """A row of the leaderboard.

    Attributes
    ----------
    method : int
        Which method.
    n_neurons : int
        Neurons that it has a score for.
    mean_score, lower, upper : float
        Mean score over neurons and its interval.
    rank, rank_lower, rank_upper : int
        1 is best; the ends are rounded outwards.
    probability_best : float
        That no other method has a higher mean.
    """

    method: int
    n_neurons: int
    mean_score: float
    lower: float
    upper: float
    rank: int
    rank_lower: int
    rank_upper: int
    probability_best: float


def aggregate(
    aggregation: str,
    ratings: "Iterable[RatingRow]",
    priors: "Mapping[int, NDArray[np.floating[Any]]]",
    activations: "Mapping[int, Sequence[NDArray[np.floating[Any]]]]",
    *,
    seed: int,
) -> Aggregated:
    """Aggregate ratings into label probabilities.

    Parameters
    ----------
    aggregation : str
        ``"majority"``, ``"bragg"`` or ``"hierarchical"``.
    ratings : iterable of RatingRow
        At least one with a vote.
    priors : mapping
        From concept to concept prior, shape (n_inputs,).
    activations : mapping
        From concept to the activation vectors, each of shape (n_inputs,), of the neurons that are
        scored with it: inputs were chosen by them, so a model of labels must know them.
    seed : int
        Of the sampler.

    Returns
    -------
    Aggregated

    Raises
    ------
    EstimateFailed
        When the model refuses the ratings.
    """
    import numpy as np
    import pandas as pd

    frame = pd.DataFrame(
        [(row.concept, row.item, row.rater, row.value) for row in ratings],
        columns=["concept", "item", "rater", "rating"],
    ).astype({"rating": "float64"})
    votes = frame[frame["rating"].notna()]
    voted = {
        int(concept): np.unique(votes["item"].to_numpy()[votes["concept"].to_numpy() == concept])
        for concept in votes["concept"].unique().tolist()
    }
    own_priors = {concept: np.asarray(priors[concept], dtype=np.float64) for concept in voted}
    n_cannot_tell = len(frame) - len(votes)
    with named(f"aggregation {aggregation!r}", EstimateFailed):
        if aggregation == "hierarchical":
            own_activations = {c: np.stack(activations[c], axis=1) for c in voted}
            labels, predictions, diagnostics = _hierarchical(
                votes, own_priors, own_activations, seed
            )
        else:
            predictions = None
            labels, diagnostics = _CLOSED_FORMS[aggregation](votes, own_priors)
    return Aggregated(
        labels,
        voted,
        {"n_votes": len(votes), "n_cannot_tell": n_cannot_tell, **diagnostics},
        predictions,
    )


def _majority(votes: Any, priors: Any) -> tuple[dict[int, Any], dict[str, Any]]:
    from estimation.aggregation import MajorityVote

    model = MajorityVote().fit(votes)
    return _filled(priors, model.probabilities_), {"n_ties": model.ties_}


def _bragg(votes: Any, priors: Any) -> tuple[dict[int, Any], dict[str, Any]]:
    from estimation.aggregation import BRAgg

    model = BRAgg().fit(votes, priors)
    return _filled(priors, model.probabilities_), {"error_rate": model.error_rate_}


def _hierarchical(
    votes: Any, priors: Any, activations: Any, seed: int
) -> tuple[dict[int, Any], dict[int, Any], dict[str, Any]]:
    from dataclasses import asdict

    from estimation.aggregation import HierarchicalBayes

    model = HierarchicalBayes(seed=seed).fit(votes, priors, activations=activations)
    labels, predictions = (
        {
            concept: of_inputs(concept, prior, n_draws=POSTERIOR_DRAWS)
            for concept, prior in priors.items()
        }
        for of_inputs in (model.concept_draws, model.prediction_draws)
    )
    raters = model.rater_table()
    return (
        labels,
        predictions,
        {
            "sampler": _plain(asdict(model.diagnostics_)),
            "raters": {
                "mean_miss_rate": float(raters["miss_rate"].mean()),
                "mean_false_alarm_rate": float(raters["false_alarm_rate"].mean()),
            },
        },
    )


_CLOSED_FORMS = {"majority": _majority, "bragg": _bragg}


def _filled(priors: Any, probabilities: Any) -> dict[int, Any]:
    """Put the probabilities of rated items over the concept prior."""
    labels = {}
    for concept, prior in priors.items():
        own = probabilities.loc[concept]
        label = prior.copy()
        label[own.index.to_numpy()] = own.to_numpy()
        labels[concept] = label[None, :]
    return labels


def pooled_rated(draws: "Sequence[Draw]", voted: "NDArray[np.int64]") -> "Draw | None":
    """Pool the draws of a concept and keep those whose input has a vote.

    Which items have votes already is decided by the shuffled order of the tasks, not by their
    probabilities, so the rest is a random part of the sample and its weights stay right.

    Parameters
    ----------
    draws : sequence of Draw
        Of all neurons with this concept.
    voted : ndarray of int
        Indices of inputs with a vote.

    Returns
    -------
    Draw or None
        None when no drawn input has a vote.
    """
    from dataclasses import replace

    import numpy as np

    from estimation.sampling import pool_draws

    pooled = pool_draws(draws)
    keep = np.isin(pooled.indices, voted)
    if not keep.any():
        return None
    source = pooled.source
    if source is not None:
        # numbered anew: a draw of which nothing is rated yet is no stratum
        source = np.unique(source[keep], return_inverse=True)[1].astype(np.int64)
    return replace(
        pooled,
        indices=pooled.indices[keep],
        probabilities=pooled.probabilities[keep],
        source=source,
    )


def explanation_score(
    activation: "NDArray[np.floating[Any]]",
    weights: Sequence[float],
    draws: "Sequence[Draw]",
    labels: "Sequence[NDArray[np.float64]]",
    predictions: "Sequence[NDArray[np.float64]] | None" = None,
    *,
    level: float,
    seed: int,
    what: str,
) -> ExplanationScore:
    """Score an explanation by importance weights.

    Parameters
    ----------
    activation : ndarray, shape (n_inputs,)
        Of the neuron.
    weights : sequence of float
        Of the explanation's concepts.
    draws : sequence of Draw
        The rated sample of each concept, from `pooled_rated`.
    labels, predictions : sequence of ndarray, each of shape (n_posterior, n_inputs)
        From `aggregate`. With predictions the score is that of the model over all inputs, corrected
        by the importance-weighted sample; without, that of the weighted sample alone.
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

    from estimation.linear_explanations import linear_explanation_correlation

    with named(what, EstimateFailed):
        estimate = linear_explanation_correlation(
            activation,
            weights,
            draws,
            labels,
            prediction=predictions,
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


def methods_compare(
    scores: "Sequence[tuple[int, int, str, float, float]]", *, level: float, seed: int
) -> tuple[list[MethodScore], list[str]]:
    """Rank the methods by their mean score over neurons.

    Parameters
    ----------
    scores : sequence of tuple
        (neuron, method, explanation, score, standard error); methods that gave a neuron the same
        explanation share its error.
    level : float
        Of the intervals.
    seed : int
        Of the comparison.

    Returns
    -------
    rows : list of MethodScore
        Best first; empty when there are no scores.
    warnings : list of str
        What a reader must know.

    Raises
    ------
    EstimateFailed
        When the science refuses the scores.
    """
    import math

    import pandas as pd

    from estimation.comparison import compare_methods

    if not scores:
        return [], []
    frame = pd.DataFrame(scores, columns=["neuron", "method", "explanation", "score", "sd"])
    with named("comparison of the methods", EstimateFailed):
        board = compare_methods(frame, level=level, seed=seed)
    rows = [
        MethodScore(
            method=int(method),
            n_neurons=int(row["n_neurons"]),
            mean_score=float(row["mean"]),
            lower=float(row["lower"]),
            upper=float(row["upper"]),
            rank=int(row["rank"]),
            rank_lower=math.floor(row["rank_lower"]),
            rank_upper=math.ceil(row["rank_upper"]),
            probability_best=float(row["probability_best"]),
        )
        for method, row in zip(
            board.table.index.tolist(), board.table.to_dict("records"), strict=True
        )
    ]
    return rows, list(board.warnings)


@dataclass(frozen=True)
class ConfirmedPair:
    """A neuron and the one concept that the ratings confirm it to follow.

    Attributes
    ----------
    name : str
        What to call it.
    activation : ndarray, shape (n_inputs,)
        Of the neuron.
    draw : Draw
        The concept's rated sample.
    labels : ndarray, shape (n_posterior, n_inputs)
        From `aggregate`.
    """

    name: str
    activation: "NDArray[np.floating[Any]]"
    draw: "Draw"
    labels: "NDArray[np.float64]"


def sanity_check(pairs: Sequence[ConfirmedPair], *, seed: int) -> list[dict[str, Any]]:
    """Run the Missing and Extra Labels tests on the estimated labels.

    Parameters
    ----------
    pairs : sequence of ConfirmedPair
        May be empty.
    seed : int
        Of labellings and spoiling.

    Returns
    -------
    list of dict
        The fields of `estimation.sanity.EstimatedSanity` and the ``threshold``, one entry a metric;
        empty without pairs.

    Raises
    ------
    EstimateFailed
        When the science refuses the input.
    """
    from dataclasses import asdict

    from estimation.sanity import PASS_THRESHOLD, SampledPair, check_estimated_labels

    if not pairs:
        return []
    sampled = [
        SampledPair(pair.activation, pair.draw, pair.labels[:, pair.draw.indices], pair.name)
        for pair in pairs
    ]
    with named("Missing and Extra Labels", EstimateFailed):
        result = check_estimated_labels(sampled, seed=seed)
    return [{**_plain(asdict(result)), "threshold": PASS_THRESHOLD, "n_pairs": len(pairs)}]


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


def posterior_summary(
    labels: "Sequence[NDArray[np.float64]]",
) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
    """Compute posterior mean and standard deviation of binary labels.

    Parameters
    ----------
    labels : sequence of ndarray, each of shape (n_posterior, n_inputs)
        Label probabilities of each concept, rows being posterior draws.

    Returns
    -------
    means, deviations : ndarray, shape (n_inputs, n_concepts), float32
        Of the probability P(c_i = 1): the deviation is that of the probability over the posterior
        of the parameters.
    """
    import numpy as np

    means = np.stack([rows.mean(axis=0) for rows in labels], axis=1)
    deviations = np.stack([rows.std(axis=0) for rows in labels], axis=1)
    return means.astype(np.float32), deviations.astype(np.float32)


def _plain(value: Any) -> Any:
    """Turn numpy numbers and tuples into what JSON knows; NaN and infinity become None."""
    import math

    import numpy as np

    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
