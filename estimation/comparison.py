"""Comparison of explanation methods: mean score over neurons, ranks, who beats whom."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from estimation.checks import EstimationError, FloatArray
from estimation.ratings import shown
from estimation.score_estimate import Z_LIMIT, check_level


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """Explanation methods, best first.

    Attributes
    ----------
    table : DataFrame
        Indexed by method: ``mean`` (posterior mean of the method's mean score over neurons),
        ``lower``, ``upper``, ``rank`` (1 is best, by mean), ``rank_lower``, ``rank_upper``,
        ``probability_best``, ``n_neurons``.
    beats : DataFrame
        Row A, column B: probability that A's mean score exceeds B's, ties counted half; 0.5 on the
        diagonal.
    level : float
        Nominal coverage of the intervals.
    warnings : tuple of str
        What a reader must know.
    """

    table: pd.DataFrame
    beats: pd.DataFrame
    level: float
    warnings: tuple[str, ...] = ()


def compare_methods(
    scores: pd.DataFrame,
    *,
    draws: ArrayLike | None = None,
    level: float = 0.95,
    n_draws: int = 4000,
    seed: int = 0,
) -> Leaderboard:
    """Rank explanation methods by their mean score over neurons.

    Neurons are a sample of the neurons one could have asked about: they get Dirichlet(1, ..., 1)
    weights (the Bayesian bootstrap), the same for all methods, so that methods are compared on the
    same neurons. Scores are estimates: their spread over neurons holds the neurons' own spread and
    the estimates' errors. So that errors are not counted twice, deviations from a method's mean are
    first shrunk by sqrt(1 - error variance / observed variance), and the errors of the mean are
    added once.

    Parameters
    ----------
    scores : DataFrame
        One row a (neuron, method): columns ``neuron``, ``method``, ``score`` in [-1, 1] and
        ``sd``, its standard error (0 for known scores); optionally ``explanation``: methods that
        gave a neuron the same explanation share the estimate and its error.
    draws : array-like, shape (n_rows, n_posterior), optional
        Joint posterior draws of the scores, in place of ``sd``; columns are the same draw for all
        rows, so that shared errors are kept.
    level : float
        Nominal coverage of the intervals.
    n_draws : int
        Draws of the comparison.
    seed : int
        Seed.

    Returns
    -------
    Leaderboard

    Raises
    ------
    EstimationError
        When columns or values are missing, a (neuron, method) is there twice, or shapes differ.

    References
    ----------
    Rubin, "The Bayesian bootstrap" (1981); Louis, "Estimating a population of parameter values"
    (1984), for the shrinkage that keeps the spread right.
    """
    check_level(level)
    if n_draws < 1:
        msg = f"n_draws: {n_draws}; give at least 1, better some thousand"
        raise EstimationError(msg)
    clean = checked_scores(scores, needs_sd=draws is None)
    methods = list(dict.fromkeys(clean["method"]))
    neurons = list(dict.fromkeys(clean["neuron"]))
    rng = np.random.default_rng(seed)
    errors = _errors(clean, draws, n_draws, rng)
    row_neuron = pd.Index(neurons).get_indexer(pd.Index(clean["neuron"]))
    weights = rng.dirichlet(np.ones(len(neurons)), size=n_draws)
    means = np.empty((n_draws, len(methods)))
    method_of_row = clean["method"].to_numpy()
    for number, method in enumerate(methods):
        rows = np.flatnonzero(method_of_row == method)
        value = clean["score"].to_numpy(dtype=np.float64)[rows]
        centre = value.mean()
        shrunk = centre + _shrinkage(value, errors[rows]) * (value - centre)
        own = weights[:, row_neuron[rows]]
        own = own / own.sum(axis=1, keepdims=True)
        means[:, number] = np.clip(own @ shrunk + errors[rows].mean(axis=0), -1.0, 1.0)
    notes = []
    complete = len(methods) * len(neurons)
    if len(clean) < complete:
        notes.append(
            f"{complete - len(clean)} of {complete} (neuron, method) pairs have no score; "
            "each method is averaged over its own neurons"
        )
    if len(neurons) < 5:
        notes.append(f"only {len(neurons)} neurons: the spread over neurons is barely known")
    counts = clean.groupby("method")["neuron"].count()
    return _leaderboard(means, methods, [int(counts[m]) for m in methods], level, tuple(notes))


def _leaderboard(
    means: FloatArray,
    methods: Sequence[Any],
    n_neurons: Sequence[int],
    level: float,
    notes: tuple[str, ...],
) -> Leaderboard:
    """Summarise draws of the methods' means, shape (n_draws, n_methods)."""
    greater = (means[:, :, None] > means[:, None, :]).mean(axis=0)
    equal = (means[:, :, None] == means[:, None, :]).mean(axis=0)
    beats = greater + 0.5 * equal
    # a method's rank in a draw: 1 + how many are better + half of those that tie with it
    ranks = 0.5 + np.stack(
        [
            (means > column[:, None]).sum(axis=1) + 0.5 * (means == column[:, None]).sum(axis=1)
            for column in means.T
        ],
        axis=1,
    )
    best = means == means.max(axis=1, keepdims=True)
    ends = [(1 - level) / 2, (1 + level) / 2]
    lower, upper = np.quantile(means, ends, axis=0)
    rank_lower, rank_upper = np.quantile(ranks, ends, axis=0, method="inverted_cdf")
    table = pd.DataFrame(
        {
            "mean": means.mean(axis=0),
            "lower": lower,
            "upper": upper,
            "rank_lower": rank_lower,
            "rank_upper": rank_upper,
            "probability_best": (best / best.sum(axis=1, keepdims=True)).mean(axis=0),
            "n_neurons": n_neurons,
        },
        index=pd.Index(list(methods), name="method"),
    )
    table.insert(3, "rank", table["mean"].rank(ascending=False, method="min").astype("int64"))
    order = table.sort_values("mean", ascending=False, kind="stable").index
    matrix = pd.DataFrame(beats, index=table.index, columns=pd.Index(list(methods), name="beaten"))
    return Leaderboard(table.loc[order], matrix.loc[order, list(order)], level, notes)


def checked_scores(scores: pd.DataFrame, *, needs_sd: bool) -> pd.DataFrame:
    """Check a table of scores.

    Parameters
    ----------
    scores : DataFrame
        See `compare_methods`.
    needs_sd : bool
        Whether standard errors must be there.

    Returns
    -------
    DataFrame
        The same with a plain index.

    Raises
    ------
    EstimationError
        When columns or values are missing or out of range, or a (neuron, method) is there twice.
    """
    columns = ["neuron", "method", "score", *(["sd"] if needs_sd else [])]
    for column in columns:
        if column not in scores.columns:
            msg = f"scores: column {column!r} is missing; found {list(scores.columns)}"
            raise EstimationError(msg)
    if scores.empty:
        msg = "scores: the table is empty; estimate at least one score first"
        raise EstimationError(msg)
    clean = scores.reset_index(drop=True)
    twice = clean.duplicated(["neuron", "method"])
    if twice.any():
        first = clean[twice.to_numpy()].iloc[0]
        pair = f"neuron {shown(first['neuron'])}, method {shown(first['method'])}"
        msg = f"scores: {pair} has more than one score; keep one"
        raise EstimationError(msg)
    for column in columns[2:]:
        # texts become NaN, and are refused with it
        values = pd.to_numeric(clean[column], errors="coerce").to_numpy(np.float64, na_value=np.nan)
        bad = ~np.isfinite(values)
        bad |= (np.abs(values) > 1) if column == "score" else (values < 0)
        if bad.any():
            first = clean[bad].iloc[0]
            pair = f"neuron {shown(first['neuron'])}, method {shown(first['method'])}"
            msg = (
                f"scores: {column} {shown(first[column])} of {pair} cannot be used; leave "
                "undefined scores out of the table"
            )
            raise EstimationError(msg)
        clean[column] = values
    return clean


def _errors(
    clean: pd.DataFrame, draws: ArrayLike | None, n_draws: int, rng: np.random.Generator
) -> FloatArray:
    """Draw the estimates' errors, shape (n_rows, n_draws), shared where the estimate is shared."""
    score = clean["score"].to_numpy(dtype=np.float64)
    if draws is not None:
        joint = np.asarray(draws, dtype=np.float64)
        if (
            joint.ndim != 2
            or joint.shape[0] != len(clean)
            or joint.size == 0
            or not np.all(np.isfinite(joint))
        ):
            msg = f"draws: shape {joint.shape} for {len(clean)} rows; give finite (rows, draws)"
            raise EstimationError(msg)
        picked = joint[:, rng.integers(0, joint.shape[1], n_draws)]
        off: FloatArray = picked - joint.mean(axis=1, keepdims=True)
        return off
    if "explanation" in clean.columns:
        shared = clean.groupby(["neuron", "explanation"], sort=False, dropna=False).ngroup()
        codes = shared.to_numpy()
    else:
        codes = np.arange(len(clean))
    normal = rng.standard_normal((int(codes.max()) + 1, n_draws))[codes]
    # on Fisher's z scale, so that a score near 1 errs downwards; one nearer to an end than its
    # standard error errs as if it lay that far away, where z is not infinite
    sd = clean["sd"].to_numpy(dtype=np.float64)
    farthest = np.clip(1 - sd, 0.0, Z_LIMIT)
    z = np.arctanh(np.clip(score, -farthest, farthest))
    spread = sd / np.maximum(1 - np.tanh(z) ** 2, 1e-6)
    errors: FloatArray = np.tanh(z[:, None] + spread[:, None] * normal) - score[:, None]
    errors -= errors.mean(axis=1, keepdims=True)
    return errors


def _shrinkage(value: FloatArray, errors: FloatArray) -> float:
    """Factor that takes the estimates' errors out of their spread over neurons."""
    if value.size < 2:
        return 1.0
    observed = float(value.var(ddof=1))
    if observed <= 0:
        return 1.0
    return float(np.sqrt(max(0.0, 1.0 - float(errors.var(axis=1).mean()) / observed)))
