"""Hierarchical Bayesian aggregation: raters differ, and the concept prior is calibrated."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from estimation.aggregation.density import (
    CalibrationPrior,
    RatingData,
    answer_evidence,
    answer_matrix,
)
from estimation.aggregation.encoding import encode_ratings
from estimation.aggregation.features import (
    design_matrix,
    features_of_concepts,
    features_of_items,
)
from estimation.aggregation.gold import clamp_known, known_labels
from estimation.aggregation.new_raters import rates_of_new_raters
from estimation.aggregation.priors import PriorLike, item_indices, prior_of_items
from estimation.aggregation.samplers import Sampler, check_sampler, prepare_sampler
from estimation.aggregation.shared_errors import (
    CorrelationEstimator,
    RatedItems,
    within_item_correlation,
)
from estimation.checks import FloatArray, probability_vector
from estimation.ratings import RatingsError, check_ratings

POPULATION = ["calibration_mean", "calibration_spread", "rater_mean", "rater_spread"]
INDIVIDUAL = ["calibration", "logit_miss", "logit_false_alarm"]
#: Name of the only concept of a table without a column ``concept``.
ONLY_CONCEPT = "concept"


class HierarchicalBayes:
    """Aggregate ratings of many concepts at once by a hierarchical Bayesian model.

    See ``estimation.aggregation.density`` for the model. Sampled by NUTS, labels summed out.

    Parameters
    ----------
    draws, tune, chains : int
        Draws kept and warm-up draws a chain, and chains.
    seed : int
        Seed of the sampler.
    sampler : {"nutpie", "kernel", "pymc"}
        "nutpie" compiles the PyMC model by nutpie, which takes seconds, and samples it; "kernel"
        samples the same density, written out with its gradient, by the same sampler and compiles
        nothing: for quick refits; "pymc" uses the PyMC model with PyMC's own sampler. There is no
        fallback from one to another.
    within_item_correlation : "estimate" or float
        Correlation tau in [0, 1] of raters' errors on one item: n answers count as
        n / (1 + (n - 1) tau). Real raters err together on hard items; 0 takes them as independent.
        "estimate" takes it from the ratings before sampling.
    correlation_estimator : callable
        What estimates tau, see `estimation.aggregation.shared_errors`.
    clip : float
        Concept priors are clipped to [clip, 1 - clip].
    calibration_prior : CalibrationPrior, optional
        Prior on how far the concept prior can be trusted.
    max_r_hat : float
        Limit on R-hat of population parameters.
    max_rounds : int
        Draws double at most this many times less one while chains disagree.

    Attributes
    ----------
    concepts_, raters_ : list
        Concepts and raters, in the order of the parameter arrays.
    posterior_ : dict of ndarray
        Posterior draws, chains joined: ``calibration`` (n, n_features, n_concepts): intercept,
        slope on the logit of the prior, slopes on the features made of its activations;
        ``logit_miss``, ``logit_false_alarm`` (n, n_raters); ``calibration_mean``,
        ``calibration_spread``, ``rater_mean``, ``rater_spread``.
    probabilities_ : Series of float64
        Posterior probability of every rated item; 0 or 1 for gold items.
    within_item_correlation_ : float
        The tau that was used.
    diagnostics_ : Diagnostics
        R-hat, effective sample sizes, divergences, rounds.
    idata_ : arviz.InferenceData
        All of it for ArviZ.
    """

    def __init__(
        self,
        *,
        draws: int = 1000,
        tune: int = 500,
        chains: int = 2,
        seed: int = 0,
        sampler: Sampler = "nutpie",
        within_item_correlation: float | Literal["estimate"] = "estimate",
        correlation_estimator: CorrelationEstimator = within_item_correlation,
        clip: float = 1e-4,
        calibration_prior: CalibrationPrior | None = None,
        max_r_hat: float = 1.01,
        max_rounds: int = 3,
    ) -> None:
        self.draws = draws
        self.tune = tune
        self.chains = chains
        self.seed = seed
        self.sampler = sampler
        self.within_item_correlation = within_item_correlation
        self.correlation_estimator = correlation_estimator
        self.clip = clip
        self.calibration_prior = calibration_prior or CalibrationPrior()
        self.max_r_hat = max_r_hat
        self.max_rounds = max_rounds

    def fit(
        self,
        ratings: pd.DataFrame,
        prior_of_item: PriorLike,
        *,
        activations: Mapping[Hashable, ArrayLike] | None = None,
    ) -> Self:
        """Sample the posterior of calibration and raters given all ratings.

        Parameters
        ----------
        ratings : DataFrame
            A ratings table, see `estimation.ratings.check_ratings`; without a column ``concept``
            all items belong to one concept. Where the column ``gold`` holds an item's known label,
            the label is clamped: the item's ratings then tell about the raters, and its label about
            the calibration, as that of an input drawn by activation and prior alone would.
        prior_of_item : mapping, Series or array-like
            Concept prior, see `estimation.aggregation.priors.prior_of_items`.
        activations : mapping from concept to array (n_inputs,) or (n_inputs, n_neurons), optional
            Activations, over all inputs, of the neurons that are scored with the concept. Give them
            whenever labels are used for scores: inputs were chosen by activation, and a label model
            that ignores activations pulls every score towards that of the prior. Items must then be
            indices of inputs.

        Returns
        -------
        HierarchicalBayes
            This object, fitted.

        Raises
        ------
        RatingsError
            When the table does not pass the checks, or an item has no prior or two gold labels, or
            no rater could tell anything.
        EstimationError
            When activations are missing for a concept, constant or not finite.

        Warns
        -----
        ConvergenceWarning
            When chains disagree after `max_rounds` rounds.
        """
        self._check_settings()
        clean = check_ratings(ratings)
        if not clean["rating"].notna().any():
            msg = "ratings: every rating is 'cannot tell', so nothing can be learned from them"
            raise RatingsError(msg)
        if "concept" not in clean.columns:
            clean = clean.assign(concept=ONLY_CONCEPT)
            key: list[str] = ["item"]
            prior_rows = prior_of_items(clean.drop(columns="concept"), prior_of_item)
        else:
            key = ["concept", "item"]
            prior_rows = prior_of_items(clean, prior_of_item)
        concept_codes, concepts = pd.factorize(clean["concept"])
        rater_codes, raters = pd.factorize(clean["rater"])
        self.concepts_ = list(concepts)
        self.raters_ = list(raters)
        self._features = features_of_concepts(activations, self.concepts_)
        groups = clean.groupby(["concept", "item"], sort=False).ngroup()
        item_codes: NDArray[np.int64] = groups.to_numpy().astype(np.int64)
        first = np.unique(item_codes, return_index=True)[1]
        further = features_of_items(
            self._features, self.concepts_, concept_codes[first], clean["item"].to_numpy()[first]
        )
        self._ratings = clean
        design = design_matrix(prior_rows[first], further, self.clip)
        known = known_labels(clean, item_codes)
        rating = clean["rating"].to_numpy(dtype=np.float64)
        # items stand in order of first appearance there as here
        items = RatedItems(
            encode_ratings(clean),
            design,
            concept_codes[first].astype(np.int64),
            self.calibration_prior,
        )
        self.within_item_correlation_ = (
            self.correlation_estimator(items)
            if isinstance(self.within_item_correlation, str)
            else float(self.within_item_correlation)
        )
        data = RatingData(
            features=design,
            concept=concept_codes[first],
            answers=answer_matrix(
                item_codes,
                rater_codes,
                rating,
                n_items=first.size,
                n_raters=len(self.raters_),
                within_item_correlation=self.within_item_correlation_,
            ),
            n_concepts=len(self.concepts_),
            n_raters=len(self.raters_),
            known=known,
        )
        self._sample(data)
        picked = self._pick(min(200, self._n_posterior))
        calibration = self.posterior_["calibration"][picked]
        z = np.einsum("mpi,ip->mi", calibration[:, :, data.concept], data.features)
        z += self._evidence(data.answers, picked)
        index = clean.loc[first, key]
        names = (
            pd.MultiIndex.from_frame(index)
            if key == ["concept", "item"]
            else pd.Index(index["item"], name="item")
        )
        self.probabilities_ = pd.Series(
            clamp_known(expit(z).mean(axis=0), known), index=names, name="probability"
        )
        return self

    def concept_draws(
        self,
        concept: Hashable,
        prior_all: ArrayLike,
        ratings: pd.DataFrame | None = None,
        *,
        n_draws: int = 400,
    ) -> FloatArray:
        """Compute P(c_i = 1 | parameters, ratings) for every input, rated or not.

        Ratings that came in after the fit take effect at once if they are given here: labels follow
        them exactly, while calibration and raters stay as the fit left them. New raters have the
        rates of the population, drawn anew for each posterior draw. Between the fits of a large
        study that says, in seconds, most of what another fit would (``benchmarks/hierarchical.py``
        compares the scores).

        Parameters
        ----------
        concept : hashable
            A concept of the fit.
        prior_all : array-like, shape (n_inputs,)
            Concept prior of every input.
        ratings : DataFrame, optional
            All ratings of this concept, items being indices of inputs; those of the fit by default.
        n_draws : int
            Parameter draws to use, evenly spaced over the posterior, at most all of them.

        Returns
        -------
        ndarray, shape (n_draws, n_inputs), float64
            Rows are posterior draws, the same rows for every concept and as in
            `prediction_draws`.

        Raises
        ------
        RatingsError
            When the concept was not in the fit, or an item is no index of an input.
        EstimationError
            When the prior is no probability.
        """
        z = self._prior_logits(concept, prior_all, n_draws)
        if ratings is None:
            own = self._ratings[self._ratings["concept"] == concept]
        else:
            own = check_ratings(ratings)
            if "concept" in own.columns:
                own = own[own["concept"] == concept]
        raters = pd.Index(self.raters_)
        raters = raters.append(pd.Index(own["rater"].unique()).difference(raters, sort=False))
        codes = raters.get_indexer(pd.Index(own["rater"]))
        items, item_codes = np.unique(
            item_indices(own["item"].to_numpy(), z.shape[1]), return_inverse=True
        )
        answers = answer_matrix(
            item_codes,
            codes,
            own["rating"].to_numpy(dtype=np.float64),
            n_items=items.size,
            n_raters=len(raters),
            within_item_correlation=self.within_item_correlation_,
        )
        new = list(raters[len(self.raters_) :])
        z[:, items] += self._evidence(answers, self._pick(n_draws), new)
        g = _expit_in_place(z)
        g[:, items] = clamp_known(g[:, items], known_labels(own, item_codes))
        return g

    def prediction_draws(
        self,
        concept: Hashable,
        prior_all: ArrayLike,
        *,
        n_draws: int = 400,
    ) -> FloatArray:
        """Compute P(c_i = 1 | parameters): the calibrated prior, before an input's own ratings.

        Parameters
        ----------
        concept, prior_all, n_draws
            As in `concept_draws`.

        Returns
        -------
        ndarray, shape (n_draws, n_inputs), float64
            Rows match those of `concept_draws`.

        Raises
        ------
        RatingsError, EstimationError
            As in `concept_draws`.
        """
        return _expit_in_place(self._prior_logits(concept, prior_all, n_draws))

    def rater_table(self) -> pd.DataFrame:
        """Summarise the raters: posterior mean and 95% interval of both error rates.

        Returns
        -------
        DataFrame
            Indexed by rater; ``miss_rate``, ``miss_lower``, ``miss_upper``, ``false_alarm_rate``,
            ``false_alarm_lower``, ``false_alarm_upper``, ``n_ratings``.
        """
        columns: dict[str, Any] = {}
        for name in ("miss", "false_alarm"):
            rate = expit(self.posterior_[f"logit_{name}"])
            columns[f"{name}_rate"] = rate.mean(axis=0)
            columns[f"{name}_lower"], columns[f"{name}_upper"] = np.quantile(
                rate, [0.025, 0.975], axis=0
            )
        table = pd.DataFrame(columns, index=pd.Index(self.raters_, name="rater"))
        counts = self._ratings["rater"].value_counts()
        table["n_ratings"] = counts.reindex(table.index).to_numpy()
        return table

    def _check_settings(self) -> None:
        for name in ("draws", "tune", "chains", "max_rounds"):
            if getattr(self, name) < 1:
                msg = f"{name}: {getattr(self, name)} is below 1"
                raise RatingsError(msg)
        if self.seed < 0:
            msg = f"seed: {self.seed} is negative; give 0 or more"
            raise RatingsError(msg)
        tau = self.within_item_correlation
        number = -1.0 if isinstance(tau, str) else tau
        if tau != "estimate" and not 0 <= number <= 1:
            msg = f"within_item_correlation: {tau!r} is neither 'estimate' nor in [0, 1]"
            raise RatingsError(msg)
        if not 0 < self.clip < 0.5:
            msg = f"clip: {self.clip} is outside (0, 0.5)"
            raise RatingsError(msg)
        check_sampler(self.sampler)

    def _sample(self, data: RatingData) -> None:
        from estimation.aggregation import nuts

        self.idata_, self.diagnostics_ = nuts.sample_until_converged(
            prepare_sampler(self.sampler, data, self.calibration_prior),
            POPULATION,
            INDIVIDUAL,
            draws=self.draws,
            tune=self.tune,
            chains=self.chains,
            seed=self.seed,
            max_r_hat=self.max_r_hat,
            max_rounds=self.max_rounds,
        )
        self.posterior_: dict[str, FloatArray] = {}
        for name in POPULATION + INDIVIDUAL:
            values = self.idata_.posterior[name].to_numpy()
            self.posterior_[name] = values.reshape(-1, *values.shape[2:])
        self._n_posterior = int(self.posterior_["logit_miss"].shape[0])

    def _pick(self, n_draws: int) -> NDArray[np.int64]:
        """Pick evenly spaced posterior draws."""
        if n_draws < 1:
            msg = f"n_draws: {n_draws} is below 1"
            raise RatingsError(msg)
        n = min(n_draws, self._n_posterior)
        return np.arange(n, dtype=np.int64) * self._n_posterior // n

    def _evidence(
        self, answers: Any, picked: NDArray[np.int64], new_raters: Sequence[Hashable] = ()
    ) -> FloatArray:
        """Log likelihood ratio of the labels of each item under the picked draws."""
        posterior = self.posterior_
        new_miss, new_false_alarm = rates_of_new_raters(
            new_raters,
            posterior["rater_mean"][picked],
            posterior["rater_spread"][picked],
            seed=self.seed,
        )
        return answer_evidence(
            answers,
            np.hstack([posterior["logit_miss"][picked], new_miss]),
            np.hstack([posterior["logit_false_alarm"][picked], new_false_alarm]),
        )

    def _prior_logits(self, concept: Hashable, prior_all: ArrayLike, n_draws: int) -> FloatArray:
        if concept not in self.concepts_:
            msg = f"concept: {concept!r} was not in the fit; fit again with its ratings"
            raise RatingsError(msg)
        prior = probability_vector(prior_all, "prior_all")
        width = self.posterior_["calibration"].shape[1] - 2
        further = np.zeros((prior.size, width))
        table = self._features.get(concept)
        if table is not None:
            if table.shape[0] != prior.size:
                msg = (
                    f"prior_all: {prior.size} inputs, but the activations of the fit have "
                    f"{table.shape[0]}"
                )
                raise RatingsError(msg)
            further[:, : table.shape[1]] = table
        number = self.concepts_.index(concept)
        coefficients = self.posterior_["calibration"][self._pick(n_draws), :, number]
        logits: FloatArray = coefficients @ design_matrix(prior, further, self.clip).T
        return logits


def _expit_in_place(values: FloatArray) -> FloatArray:
    """Apply the logistic function without a second (n_draws, n_inputs) array."""
    result: FloatArray = expit(values, out=values)
    return result
