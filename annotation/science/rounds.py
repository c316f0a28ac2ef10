"""Further rounds: which inputs to have rated next, by what the ratings say so far."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from annotation.exceptions import SamplingProblem
from annotation.science.aggregation import RatingRow
from annotation.science.errors import named

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from annotation.science.sampling import Draw

#: The name of a draw by the ratings so far; no key of `estimation.sampling.DESIGNS`.
ADAPTIVE = "adaptive"
#: Probabilities are proportional to gain to this power. Every drawn input gets all its ratings at
#: once, so that a draw on it again adds none: rounds whose draws are single ratings take 2, which
#: bundles them. In simulation 1 did best here, see docs/estimates.md; it is kept with a draw.
POWER = 1.0
#: Share of uniform draws: the library's own value.
UNIFORM_SHARE = 0.1
#: Raters who always agree say that nobody errs; no rating is taken as proof, nor as worth nothing.
ERROR_RATES = (0.01, 0.45)
#: Posterior draws that further ratings are planned from.
PLANNED_DRAWS = 100


@dataclass(frozen=True)
class Votes:
    """The votes on one concept, counted.

    Attributes
    ----------
    items, n, k : ndarray, shape (n_items,), int64
        Inputs with a vote, each once; their votes, and those that say present.
    """

    items: "NDArray[np.int64]"
    n: "NDArray[np.int64]"
    k: "NDArray[np.int64]"


@dataclass(frozen=True)
class AdaptiveDraws:
    """What a round draws for the neurons of one concept.

    Attributes
    ----------
    draws : list of Draw
        One a neuron, all from the concept's one distribution.
    further : list of int or None
        Further ratings that each neuron's score is expected to need for the half width; None where
        it is more than the plan looks ahead.
    """

    draws: "list[Draw]"
    further: list[int | None]


def votes_by_concept(ratings: Iterable[RatingRow]) -> dict[int, Votes]:
    """Count the votes on every input of every concept; "cannot tell" is none.

    Parameters
    ----------
    ratings : iterable of RatingRow
        Those that count.

    Returns
    -------
    dict
        From concept to its votes; a concept without any is not there.
    """
    import numpy as np

    counts: dict[int, dict[int, list[int]]] = {}
    for row in ratings:
        if row.value is not None:
            cell = counts.setdefault(row.concept, {}).setdefault(row.item, [0, 0])
            cell[0] += 1
            cell[1] += int(row.value)
    return {
        concept: Votes(
            *(
                np.array(values, dtype=np.int64)
                for values in zip(*((i, *cells[i]) for i in sorted(cells)), strict=True)
            )
        )
        for concept, cells in counts.items()
    }


def rater_error_rate(
    ratings: Sequence[RatingRow], priors: "Mapping[int, NDArray[np.floating[Any]]]"
) -> tuple[float, bool]:
    """Estimate how often raters err from all ratings of a study.

    Parameters
    ----------
    ratings : sequence of RatingRow
        Those that count.
    priors : mapping
        From concept to concept prior, shape (n_inputs,).

    Returns
    -------
    error_rate : float
        The mode of its posterior under BRAgg, kept within `ERROR_RATES`; the published rate where
        there is no vote.
    estimated : bool
        False for the published rate.

    Raises
    ------
    SamplingProblem
        When the science refuses the ratings.
    """
    import numpy as np
    import pandas as pd

    from estimation.aggregation import BRAgg
    from estimation.aggregation.bragg import PUBLISHED_ERROR_RATE

    rows = [
        (row.concept, row.item, row.rater, row.value) for row in ratings if row.value is not None
    ]
    if not rows:
        return PUBLISHED_ERROR_RATE, False
    votes = pd.DataFrame(rows, columns=["concept", "item", "rater", "rating"])
    own = {c: np.asarray(priors[c], dtype=np.float64) for c in votes["concept"].unique().tolist()}
    with named("the raters' error rate", SamplingProblem):
        found = BRAgg(error_rate="estimate").fit(votes, own).error_rate_
    return float(np.clip(found, *ERROR_RATES)), True


def draw_adaptive(
    *,
    activations: "Sequence[NDArray[np.floating[Any]]]",
    prior: "NDArray[np.floating[Any]]",
    votes: Votes | None,
    error_rate: float,
    n_draws: int,
    seeds: Sequence[int],
    half_width: float,
    what: str,
) -> AdaptiveDraws:
    """Draw the inputs that a round has rated for the neurons of one concept.

    The one-pair model of every neuron is fitted to the votes on the concept; inputs where one more
    rating is expected to take most off the variance of a score are drawn most often. All neurons
    draw from one distribution, for a rating serves them all.

    Parameters
    ----------
    activations : sequence of ndarray, each of shape (n_inputs,)
        Of the neurons.
    prior : ndarray, shape (n_inputs,)
        Concept prior.
    votes : Votes or None
        On the concept; None where there are none.
    error_rate : float
        How often raters are expected to err; the model learns from the votes as well.
    n_draws : int
        For each neuron, with replacement.
    seeds : sequence of int
        Of each neuron's draw.
    half_width : float
        Of the interval that `further` plans for.
    what : str
        The concept's name in messages.

    Returns
    -------
    AdaptiveDraws

    Raises
    ------
    SamplingProblem
        When activations or prior cannot be used.
    """
    import numpy as np

    from estimation.adaptive import ROUND_PROPOSALS, adaptive_distribution, rating_gain
    from estimation.aggregation import LaplaceMixture
    from estimation.planning import RaterErrors, further_ratings
    from estimation.sampling import draw_from

    nothing = np.zeros(0, dtype=np.int64)
    counts = Votes(nothing, nothing, nothing) if votes is None else votes
    raters = RaterErrors(error_rate)
    gains, further = [], []
    parameters = {"power": POWER, "uniform_share": UNIFORM_SHARE, "error_rate": error_rate}
    with named(what, SamplingProblem):
        for activation in activations:
            model = LaplaceMixture(
                miss_rate=error_rate,
                false_alarm_rate=error_rate,
                n_proposals=ROUND_PROPOSALS,
                seed=seeds[0],
            ).fit_counts(activation, prior, counts.items, counts.n, counts.k)
            gains.append(rating_gain(model, activation))
            ahead = further_ratings(
                activation,
                model.concept_draws(n_draws=PLANNED_DRAWS),
                int(counts.n.sum()),
                half_width=half_width,
                raters=raters,
            )
            further.append(ahead.needed)
        distribution = adaptive_distribution(gains, power=POWER, uniform_share=UNIFORM_SHARE)
        draws = [
            draw_from(distribution, n_draws, design=ADAPTIVE, seed=seed, parameters=parameters)
            for seed in seeds
        ]
    return AdaptiveDraws(draws, further)


def stored_draw(
    *,
    design: str,
    indices: Sequence[int],
    probabilities: Sequence[float],
    n_inputs: int,
    seed: int,
    parameters: Mapping[str, Any],
    what: str,
) -> "Draw":
    """Make the draw of a pair from what is stored of it, where its seed alone cannot repeat it.

    Parameters
    ----------
    design : str
        Of the round.
    indices : sequence of int
        Inputs, in order of drawing.
    probabilities : sequence of float
        Of each of them, in one draw.
    n_inputs : int
        Size of the probe dataset.
    seed : int
        Of the draw.
    parameters : mapping
        Of the design.
    what : str
        The pair's name in messages.

    Returns
    -------
    Draw

    Raises
    ------
    SamplingProblem
        When indices and probabilities do not belong together.
    """
    import numpy as np

    from estimation.sampling import Draw

    with named(what, SamplingProblem):
        return Draw(
            design=design,
            indices=np.asarray(indices, dtype=np.int64),
            probabilities=np.asarray(probabilities, dtype=np.float64),
            n_inputs=n_inputs,
            seed=seed,
            parameters=dict(parameters),
        )
