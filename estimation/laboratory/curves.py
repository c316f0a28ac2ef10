"""Cost curves: what error each method is left with at each budget, over pairs and seeds."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd

from estimation.checks import EstimationError, FloatArray
from estimation.laboratory.methods import METHODS, StudyInput
from estimation.laboratory.settings import Raters, Recipe, Setting, make_pair, rating_source
from estimation.parallel import map_pairs, pair_seed

BUDGETS = (20, 60, 180, 540, 1620, 4860, 14580, 43740)
REDUNDANCIES = (1, 3, 9, 27)
N_BOOTSTRAP = 1000


def run_studies(
    settings: Iterable[Setting],
    methods: Sequence[str] = tuple(METHODS),
    *,
    budgets: Sequence[int] = BUDGETS,
    redundancies: Sequence[int] = REDUNDANCIES,
    seeds: Sequence[int] = (0, 1, 2),
    n_jobs: int = -1,
    client: Any = None,
    folder: Path | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Run every method on every pair of every setting, at every budget, with several seeds.

    Parameters
    ----------
    settings : iterable of Setting
        Settings with names of their own.
    methods : sequence of str
        Keys of ``METHODS``.
    budgets : sequence of int
        Ratings a pair.
    redundancies : sequence of int
        Ratings an input, for methods that take it.
    seeds : sequence of int
        Repetitions: raters, answers and draws. All methods meet the same raters and answers.
    n_jobs, client, folder, progress
        See `estimation.parallel.map_pairs`.

    Returns
    -------
    DataFrame
        A row a study: ``setting, pair, seed, method, budget, redundancy, score, lower, upper,
        n_ratings, n_inputs, wall, truth, absolute``. Methods without ratings have budget 0.

    Raises
    ------
    EstimationError
        When a name is unknown, or lists are empty.
    """
    unknown = [name for name in methods if name not in METHODS]
    if unknown:
        msg = f"methods: found {unknown[0]!r}, expected one of {', '.join(METHODS)}"
        raise EstimationError(msg)
    for name, values in (("budgets", budgets), ("redundancies", redundancies)):
        if not len(values) or min(values) < 1:
            msg = f"{name}: found {list(values)}, expected numbers of at least 1"
            raise EstimationError(msg)
    jobs = {}
    for setting in settings:
        told = (setting.told_miss, setting.told_false_alarm)
        for number, recipe in enumerate(setting.recipes):
            for seed in seeds:
                for method in methods:
                    key = f"{setting.name}/{number}/seed {seed}/{method}"
                    jobs[key] = {
                        "method": method,
                        "recipe": recipe,
                        "raters": setting.raters,
                        "told": told,
                        "labels": {
                            "setting": setting.name,
                            "pair": number,
                            "absolute": setting.absolute,
                        },
                        "seed_of_study": seed,
                    }
    done = map_pairs(
        study_at_budgets,
        jobs,
        parameters={"budgets": list(budgets), "redundancies": list(redundancies)},
        n_jobs=n_jobs,
        client=client,
        folder=folder,
        progress=progress,
    )
    rows = [row for result in done.results.values() for row in result["rows"]]
    return pd.DataFrame(rows)


def study_at_budgets(
    method: str,
    recipe: Recipe,
    raters: Raters,
    told: tuple[float, float],
    labels: Mapping[str, Any],
    seed_of_study: int,
    budgets: Sequence[int],
    redundancies: Sequence[int],
) -> dict[str, Any]:
    """Run one method on one pair with one seed, at every budget and redundancy.

    Parameters
    ----------
    method : str
        Key of ``METHODS``.
    recipe, raters, told
        See `estimation.laboratory.settings.Setting`.
    labels : Mapping
        Copied to every row.
    seed_of_study : int
        Seed.
    budgets, redundancies : sequence of int
        See `run_studies`.

    Returns
    -------
    dict
        ``rows``, a list of dictionaries.
    """
    entry = METHODS[method]
    pair = make_pair(recipe)
    truth = pair.score
    rows = []
    most = entry.largest_budget or max(budgets)
    tried = [r for r in redundancies if entry.redundancies is None or r in entry.redundancies]
    for budget in [b for b in budgets if b <= most] if entry.rates else [0]:
        for redundancy in tried if entry.redundancy else [0]:
            if redundancy > budget:
                continue
            # fresh raters a study; the pair counts too, or all pairs would have the same luck
            seed = pair_seed(seed_of_study, f"{labels['setting']} {labels['pair']}") >> 1
            source = rating_source(pair, raters, seed=seed)
            study = StudyInput(pair.activation, pair.prior, source, *told)
            start = perf_counter()
            result = entry.run(study, budget, redundancy, seed)
            rows.append(
                {
                    **labels,
                    "seed": seed_of_study,
                    "method": method,
                    "budget": budget,
                    "redundancy": redundancy,
                    "score": result.score,
                    "lower": result.lower,
                    "upper": result.upper,
                    "n_ratings": result.n_ratings,
                    "n_inputs": result.n_inputs,
                    "wall": perf_counter() - start,
                    "truth": truth,
                }
            )
    return {"rows": rows}


def study_errors(studies: pd.DataFrame) -> pd.DataFrame:
    """Add the errors of every study.

    Parameters
    ----------
    studies : DataFrame
        As of `run_studies`.

    Returns
    -------
    DataFrame
        With ``abs_error``, ``error`` (relative to the true score, or absolute where the setting
        says so), ``covered`` and ``half_width`` (NaN without an interval). An undefined score
        counts as 0: who finds no positives has nothing to say.
    """
    score = studies["score"].fillna(0.0)
    absolute = (score - studies["truth"]).abs()
    scale = studies["truth"].abs().where(~studies["absolute"].astype(bool), 1.0)
    inside = (studies["lower"] <= studies["truth"]) & (studies["truth"] <= studies["upper"])
    return studies.assign(
        abs_error=absolute,
        error=absolute / scale,
        covered=inside.astype(float).where(studies["lower"].notna()),
        half_width=(studies["upper"] - studies["lower"]) / 2,
    )


def cost_curves(studies: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Average studies over pairs and seeds, with bootstrap intervals.

    Parameters
    ----------
    studies : DataFrame
        As of `run_studies`.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    DataFrame
        A row a (setting, method, budget, redundancy): ``error`` (RCE, or the absolute error where
        the setting says so), ``abs_error`` and ``coverage`` with 95% intervals (``..._lower``,
        ``..._upper``), means of ``half_width``, ``n_ratings``, ``n_inputs`` and ``wall`` (seconds),
        ``n_studies``, and ``absolute``.

    Notes
    -----
    Pairs are resampled, and seeds within pairs: seeds of one pair share its luck.
    """
    rows = []
    keys = ["setting", "method", "budget", "redundancy"]
    for names, group in study_errors(studies).groupby(keys, sort=False):
        row: dict[str, Any] = dict(zip(keys, names, strict=True))
        for column, name in (
            ("error", "error"),
            ("abs_error", "abs_error"),
            ("covered", "coverage"),
        ):
            values = group.pivot_table(index="pair", columns="seed", values=column).to_numpy()
            if values.size == 0:
                row |= {name: np.nan, f"{name}_lower": np.nan, f"{name}_upper": np.nan}
                continue
            means = bootstrap_means(values[None], seed=seed)[:, 0]
            row[name] = float(values.mean())
            row[f"{name}_lower"], row[f"{name}_upper"] = np.quantile(means, [0.025, 0.975])
        row["half_width"] = group["half_width"].mean()
        row["n_ratings"] = group["n_ratings"].mean()
        row["n_inputs"] = group["n_inputs"].mean()
        row["wall"] = group["wall"].mean()
        row["n_studies"] = len(group)
        row["absolute"] = bool(group["absolute"].iloc[0])
        rows.append(row)
    return pd.DataFrame(rows)


def bootstrap_means(values: FloatArray, *, seed: int, n_bootstrap: int = N_BOOTSTRAP) -> FloatArray:
    """Resample pairs, and seeds within pairs, the same for all rows.

    Parameters
    ----------
    values : ndarray, shape (n_rows, n_pairs, n_seeds)
        One value a study; rows are what is to be compared.
    seed : int
        Seed.
    n_bootstrap : int
        Resamples.

    Returns
    -------
    ndarray, shape (n_bootstrap, n_rows)
        Means of the resamples.
    """
    _, n_pairs, n_seeds = values.shape
    rng = np.random.default_rng(seed)
    pairs = rng.integers(n_pairs, size=(n_bootstrap, n_pairs, 1))
    chosen = rng.integers(n_seeds, size=(n_bootstrap, n_pairs, n_seeds))
    means: FloatArray = np.stack([row[pairs, chosen].mean(axis=(1, 2)) for row in values], axis=1)
    return means


def best_redundancy(curves: pd.DataFrame) -> pd.DataFrame:
    """Keep the redundancy with the smallest error, for each (setting, method, budget).

    Parameters
    ----------
    curves : DataFrame
        As of `cost_curves`.

    Returns
    -------
    DataFrame
        The rows kept, in order of setting, method and budget.
    """
    kept = curves.loc[curves.groupby(["setting", "method", "budget"], sort=False)["error"].idxmin()]
    return kept.reset_index(drop=True)
