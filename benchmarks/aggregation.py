"""Our aggregators beside crowd-kit's: accuracy and log loss on real crowds, time and memory.

    python benchmarks/aggregation.py --data FOLDER     FOLDER holds NAME_ratings.csv (item, rater,
                                                       rating) and NAME_truth.csv (item, truth)
    python benchmarks/aggregation.py --speed           54,000, 1 and 10 million simulated ratings

With --data every method sees all ratings, and 1, 3, 5 and 10 random ratings an item (several
seeds; the interval is over seeds, the same ratings for every method). crowd-kit's methods have the
settings they come with, but for MACE's ten restarts: they share one seed, so one restart gives the
same probabilities in a tenth of the time. Slow methods (GLAD, ZeroBasedSkill) see --slow-seeds of
the seeds; "n" says how many. The last tables set our calibrated aggregator beside every peer on the
ratings that both saw: read the differences there, not between the columns of the tables before.
About 16 minutes on a free core for three sets of 4,000 to 8,000 ratings.

With --speed both sides run ten EM sweeps on the same table, each in a process of its own that has
compiled and imported everything before the clock starts; numbering items and raters counts.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from crowds import keep_some, read_crowds, score
from paired import Values, average_over, paired_difference, print_differences
from rich.console import Console
from rich.table import Table

from estimation.aggregation import (
    BRAgg,
    CalibratedDawidSkene,
    DawidSkene,
    MajorityVote,
    MeanRating,
)
from estimation.rating_formats import to_crowdkit

MEASURES = ("accuracy", "log_loss")
REDUNDANCIES = (1, 3, 5, 10, 0)  # 0: all ratings
SIZES = (54_000, 1_000_000, 10_000_000)
SWEEPS = 10
SLOW = ("crowd-kit GLAD", "crowd-kit ZeroBasedSkill")
#: Ours that is set beside every peer on the seeds that both saw.
RECOMMENDED = "calibrated (ours)"

Method = Callable[[pd.DataFrame], "pd.Series[float]"]
console = Console()


@dataclass
class Scores:
    """Accuracy and log loss over seeds."""

    accuracy: list[float] = field(default_factory=list)
    log_loss: list[float] = field(default_factory=list)


def our_methods() -> dict[str, Method]:
    """Give our aggregators by name."""
    return {
        "majority (ours)": lambda r: MajorityVote().fit_predict_proba(r),
        "mean (ours)": lambda r: MeanRating().fit_predict_proba(r),
        "BRAgg, published": lambda r: BRAgg().fit_predict_proba(r),
        "BRAgg, estimated": lambda r: BRAgg("estimate", prior="estimate").fit_predict_proba(r),
        "Dawid-Skene (ours)": lambda r: DawidSkene().fit_predict_proba(r),
        "one coin (ours)": lambda r: DawidSkene("one_coin").fit_predict_proba(r),
        "calibrated (ours)": lambda r: CalibratedDawidSkene().fit_predict_proba(r),
    }


def crowdkit_methods() -> dict[str, Method]:
    """Give crowd-kit's aggregators by name."""
    need_crowdkit()
    from crowdkit import aggregation
    from sklearn.base import BaseEstimator

    def adapt(name: str, **settings: int) -> Method:
        theirs = getattr(aggregation, name)
        if name in ("Wawa", "ZeroBasedSkill"):
            # crowd-kit 1.4.2 asks scikit-learn for tags that only a BaseEstimator has
            theirs = type(name, (theirs, BaseEstimator), {})

        def run(ratings: pd.DataFrame) -> "pd.Series[float]":
            table = theirs(**settings).fit_predict_proba(to_crowdkit(ratings))
            return table[1] if 1 in table.columns else pd.Series(0.0, index=table.index)

        return run

    names = (
        "MajorityVote",
        "Wawa",
        "ZeroBasedSkill",
        "DawidSkene",
        "OneCoinDawidSkene",
        "GLAD",
    )
    methods = {f"crowd-kit {name}": adapt(name) for name in names}
    return methods | {"crowd-kit MACE": adapt("MACE", n_restarts=1)}


def need_crowdkit() -> None:
    """Stop with what to do where crowd-kit is not installed."""
    if find_spec("crowdkit") is None:
        sys.exit("crowd-kit is not installed; install the extra: pip install 'neuronjury[bench]'")


def quality(folder: Path, n_seeds: int, slow_seeds: int) -> None:
    """Print the tables of accuracy and log loss."""
    crowds = read_crowds(folder)
    ours, theirs = our_methods(), crowdkit_methods()
    if slow_seeds == 0:
        theirs = {name: method for name, method in theirs.items() if name not in SLOW}
    methods = ours | theirs
    start = time.perf_counter()
    results: dict[tuple[int, str, str], Scores] = {}
    names = [crowd.name for crowd in crowds]
    for redundancy in REDUNDANCIES:
        for crowd in crowds:
            everything = redundancy in (0, crowd.ratings.groupby("item").size().max())
            last = 1 if everything else n_seeds
            for seed in range(last):
                some = crowd.ratings if everything else keep_some(crowd.ratings, redundancy, seed)
                for name, method in methods.items():
                    if name in SLOW and seed >= slow_seeds:
                        continue
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        accuracy, loss = score(method(some), crowd.truth)
                    cell = results.setdefault((redundancy, name, crowd.name), Scores())
                    cell.accuracy.append(accuracy)
                    cell.log_loss.append(loss)
                console.print(
                    f"[dim]{redundancy or 'all'} ratings an item, {crowd.name}, seed {seed + 1} of "
                    f"{last}, {time.perf_counter() - start:,.0f} s[/dim]",
                    highlight=False,
                )
        for measure in MEASURES:
            print_quality(redundancy, measure, results, names, list(ours), list(theirs))
    for measure in MEASURES:
        print_paired(measure, results, names, list(theirs))


def print_quality(
    redundancy: int,
    measure: str,
    results: dict[tuple[int, str, str], Scores],
    crowds: list[str],
    ours: list[str],
    theirs: list[str],
) -> None:
    """Print one table; the best peer of each column is marked *, the best of ours in bold."""
    what = f"{redundancy} random ratings an item" if redundancy else "all ratings"
    table = Table(title=f"{measure.replace('_', ' ')}, {what}")
    table.add_column("method")
    for name in [*crowds, "mean"]:
        table.add_column(name, justify="right")
    table.add_column("n", justify="right")
    values = {
        method: values_of(results, redundancy, method, measure, crowds)
        for method in [*ours, *theirs]
    }
    means = {
        method: np.array([*(v.mean() for v in cells), np.mean([v.mean() for v in cells])])
        for method, cells in values.items()
    }
    pick = np.max if measure == "accuracy" else np.min
    best_peer = pick([means[method] for method in theirs], axis=0)
    best_ours = pick([means[method] for method in ours], axis=0)
    for method in [*ours, *theirs]:
        cells = []
        errors = [v.std(ddof=1) / np.sqrt(v.size) if v.size > 1 else 0.0 for v in values[method]]
        errors.append(float(np.sqrt(np.sum(np.square(errors)))) / len(crowds))
        for column, (mean, error) in enumerate(zip(means[method], errors, strict=True)):
            text = f"{mean:.3f}" + (f" ±{1.96 * error:.3f}" if error else "")
            if method in theirs and mean == best_peer[column]:
                text = f"*{text}"
            if method in ours and mean == best_ours[column]:
                text = f"[bold]{text}[/bold]"
            cells.append(text)
        table.add_row(method, *cells, str(max(v.size for v in values[method])))
    console.print(table)


def values_of(
    results: dict[tuple[int, str, str], Scores],
    redundancy: int,
    method: str,
    measure: str,
    crowds: list[str],
) -> list[Values]:
    """Give one array over seeds for each crowd."""
    return [np.array(getattr(results[redundancy, method, crowd], measure)) for crowd in crowds]


def print_paired(
    measure: str,
    results: dict[tuple[int, str, str], Scores],
    crowds: list[str],
    theirs: list[str],
) -> None:
    """Print RECOMMENDED minus each peer, at every redundancy and on average over the small ones."""
    sampled = [place for place, redundancy in enumerate(REDUNDANCIES) if redundancy]

    def values(method: str) -> list[list[Values]]:
        parts = [values_of(results, r, method, measure, crowds) for r in REDUNDANCIES]
        return [*parts, average_over([parts[place] for place in sampled])]

    own = values(RECOMMENDED)
    better = "above" if measure == "accuracy" else "below"
    print_differences(
        f"{measure.replace('_', ' ')}: {RECOMMENDED} minus peer, same ratings, mean of sets "
        f"(95% interval over seeds; {better} 0 is better than the peer)",
        {
            peer: [paired_difference(a, b) for a, b in zip(own, values(peer), strict=True)]
            for peer in theirs
        },
        [*(str(r or "all") for r in REDUNDANCIES), "mean but all"],
        higher_is_better=measure == "accuracy",
    )


def simulated_table(n_ratings: int) -> pd.DataFrame:
    """Simulate three ratings an item by raters of different rates; rows in random order."""
    rng = np.random.default_rng(0)
    n_items, n_raters = n_ratings // 3, max(300, n_ratings // 2000)
    truth = rng.random(n_items) < 0.3
    first, step = rng.integers(n_raters, size=n_items), rng.integers(1, n_raters // 3, n_items)
    rater = ((first[:, None] + step[:, None] * np.arange(3)) % n_raters).ravel()
    item = np.repeat(np.arange(n_items), 3)
    error = rng.beta(2, 6, (2, n_raters))
    wrong = rng.random(item.size) < error[truth[item].astype(int), rater]
    order = rng.permutation(item.size)
    label = (truth[item] ^ wrong).astype(np.int64)
    return pd.DataFrame({"item": item[order], "rater": rater[order], "rating": label[order]})


def run_once(side: str, n_ratings: int) -> dict[str, float]:
    """Time one fit in this process, and read its peak memory."""
    small = simulated_table(900)
    if side == "crowd-kit":
        from crowdkit.aggregation import DawidSkene as Theirs

        def fit(table: pd.DataFrame) -> int:
            names = {"item": "task", "rater": "worker", "rating": "label"}
            model = Theirs(n_iter=SWEEPS, tol=-np.inf).fit(table.rename(columns=names, copy=False))
            return len(model.loss_history_)
    else:

        def fit(table: pd.DataFrame) -> int:
            return DawidSkene(max_iterations=SWEEPS, tolerance=0).fit(table).n_iterations_

    fit(small)
    table = simulated_table(n_ratings)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    sweeps = fit(table)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "seconds": seconds,
        "sweeps": sweeps,
        "peak_mb": peak / 1024,
        "before_mb": before / 1024,
    }


def speed(sizes: list[int], repeats: int) -> None:
    """Print time and memory of both sides at every size."""
    need_crowdkit()
    table = Table(title=f"Dawid-Skene, {SWEEPS} EM sweeps, simulated, numbering included")
    for column in ("ratings", "method", "seconds (best)", "peak MB", "times faster"):
        table.add_column(column, justify="right")
    for size in sizes:
        seconds: dict[str, float] = {}
        for side in ("ours", "crowd-kit"):
            runs = [_in_own_process(side, size) for _ in range(repeats)]
            seconds[side] = min(run["seconds"] for run in runs)
            peak = max(run["peak_mb"] for run in runs)
            if any(run["sweeps"] != SWEEPS for run in runs):
                sys.exit(f"{side}: {runs[0]['sweeps']:.0f} sweeps instead of {SWEEPS}")
            ratio = f"{seconds['crowd-kit'] / seconds['ours']:.0f}" if side == "crowd-kit" else ""
            console.print(
                f"[dim]{size:,} ratings, {side}: {seconds[side]:.3f} s, {peak:,.0f} MB[/dim]",
                highlight=False,
            )
            table.add_row(f"{size:,}", side, f"{seconds[side]:.3f}", f"{peak:,.0f}", ratio)
    console.print(table)
    console.print("Peak MB is that of the whole process, with Python, pandas and the table itself.")


def _in_own_process(side: str, size: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", side, str(size)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        sys.exit(f"{side}, {size:,} ratings: failed\n{done.stderr}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def _sizes(largest: int) -> Iterator[int]:
    yield from (size for size in SIZES if size <= largest)


def main() -> None:
    """Read the command line and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder of real crowd data")
    parser.add_argument("--seeds", type=int, default=10, help="random subsets of the ratings")
    parser.add_argument(
        "--slow-seeds", type=int, default=3, help="those that slow methods see; 0 leaves them out"
    )
    parser.add_argument("--speed", action="store_true", help="time and memory")
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="most ratings of --speed")
    parser.add_argument("--repeats", type=int, default=2, help="runs of each side, the best counts")
    parser.add_argument("--one", nargs=2, metavar=("SIDE", "N"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(run_once(arguments.one[0], int(arguments.one[1]))))
        return
    if arguments.data is None and not arguments.speed:
        parser.error("give --data FOLDER, --speed, or both")
    if arguments.seeds < 1:
        parser.error(f"--seeds: found {arguments.seeds}, expected at least 1")
    if arguments.data is not None:
        quality(arguments.data, arguments.seeds, arguments.slow_seeds)
    if arguments.speed:
        sizes = list(_sizes(arguments.largest))
        if not sizes:
            parser.error(f"--largest: the smallest size is {SIZES[0]:,}")
        speed(sizes, arguments.repeats)


if __name__ == "__main__":
    main()
