"""From ratings to label probabilities."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from annotation.exceptions import EstimateFailed
from annotation.science.errors import named
from annotation.science.gold import GOLD_CONCEPT, gold_activation, gold_frame, gold_prior
from annotation.science.plain import plain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


#: Posterior draws of the hierarchical model that are carried into scores.
POSTERIOR_DRAWS = 200


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
class GoldRow(RatingRow):
    """One answer to a gold item.

    Attributes
    ----------
    label : float
        The known label, 1 or 0.
    """

    label: float


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

    def estimator(self, wanted: str) -> str:
        """Name the estimator that scores these labels.

        Parameters
        ----------
        wanted : str
            ``"combined"``, ``"model_assisted"`` or ``"importance_weighted"``.

        Returns
        -------
        str
            The one wanted; without predictions, importance weights are all there is.
        """
        return "importance_weighted" if self.predictions is None else wanted


def aggregate(
    aggregation: str,
    ratings: "Iterable[RatingRow]",
    priors: "Mapping[int, NDArray[np.floating[Any]]]",
    activations: "Mapping[int, Sequence[NDArray[np.floating[Any]]]]",
    *,
    seed: int,
    gold: "Iterable[GoldRow]" = (),
) -> Aggregated:
    """Aggregate ratings into label probabilities.

    Parameters
    ----------
    aggregation : str
        ``"majority"``, ``"mean"``, ``"bragg"``, ``"dawid_skene"`` or ``"hierarchical"``.
    ratings : iterable of RatingRow
        At least one with a vote.
    priors : mapping
        From concept to concept prior, shape (n_inputs,).
    activations : mapping
        From concept to the activation vectors, each of shape (n_inputs,), of the neurons that are
        scored with it: inputs were chosen by them, so a model of labels must know them.
    seed : int
        Of the sampler.
    gold : iterable of GoldRow
        Answers to gold items. Aggregations that know how reliable a rater is learn it from them as
        well; the others leave them out. They have no part in labels or scores.

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
                votes, own_priors, own_activations, seed, gold_frame(gold)
            )
        elif aggregation == "dawid_skene":
            predictions = None
            labels, diagnostics = _dawid_skene(votes, own_priors, gold_frame(gold))
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


def _with_gold(votes: Any, priors: Any, gold: Any) -> tuple[Any, Any]:
    """Put the answers to gold items under the votes, and their prior beside the priors."""
    import pandas as pd

    if gold.empty:
        return votes, priors
    n_gold = int(gold["item"].max()) + 1
    return pd.concat([votes, gold], ignore_index=True), {
        **priors,
        GOLD_CONCEPT: gold_prior(n_gold),
    }


def _hierarchical(
    votes: Any, priors: Any, activations: Any, seed: int, gold: Any
) -> tuple[dict[int, Any], dict[int, Any], dict[str, Any]]:
    from dataclasses import asdict

    from estimation.aggregation import HierarchicalBayes

    all_votes, all_priors = _with_gold(votes, priors, gold)
    if not gold.empty:
        activations = {**activations, GOLD_CONCEPT: gold_activation(int(gold["item"].max()) + 1)}
    model = HierarchicalBayes(seed=seed).fit(all_votes, all_priors, activations=activations)
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
            "n_gold_votes": len(gold),
            "sampler": plain(asdict(model.diagnostics_)),
            "raters": {
                "mean_miss_rate": float(raters["miss_rate"].mean()),
                "mean_false_alarm_rate": float(raters["false_alarm_rate"].mean()),
            },
        },
    )


def _mean(votes: Any, priors: Any) -> tuple[dict[int, Any], dict[str, Any]]:
    from estimation.aggregation import MeanRating

    return _filled(priors, MeanRating().fit(votes).probabilities_), {}


def _dawid_skene(votes: Any, priors: Any, gold: Any) -> tuple[dict[int, Any], dict[str, Any]]:
    from estimation.aggregation import DawidSkene

    model = DawidSkene().fit(*_with_gold(votes, priors, gold))
    return _filled(priors, model.probabilities_), {
        "n_gold_votes": len(gold),
        "mean_miss_rate": float(model.miss_rate_.mean()),
        "mean_false_alarm_rate": float(model.false_alarm_rate_.mean()),
        "n_iterations": int(model.n_iterations_),
        "converged": bool(model.converged_),
    }


_CLOSED_FORMS = {
    "majority": _majority,
    "mean": _mean,
    "bragg": _bragg,
}


def _filled(priors: Any, probabilities: Any) -> dict[int, Any]:
    """Put the probabilities of rated items over the concept prior."""
    labels = {}
    for concept, prior in priors.items():
        own = probabilities.loc[concept]
        label = prior.copy()
        label[own.index.to_numpy()] = own.to_numpy()
        labels[concept] = label[None, :]
    return labels


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
