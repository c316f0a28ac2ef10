"""Thousands of (neuron, concept) pairs on all cores, or on a Dask cluster, resumed after a stop.

Each pair is computed by itself, with one thread and a seed that comes from its key, so the results
are the same to the last digit whatever computes them, and in whatever order.
"""

import hashlib
import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from estimation.checks import EstimationError
from estimation.pair_workers import Column, PairFailure, Task, dask_client, on_cores, on_dask
from estimation.result_files import digest, read_result, remove_leftovers, write_result

__all__ = ["Column", "PairFailure", "PairResults", "PairsFailedError", "map_pairs", "pair_seed"]

_LOG = logging.getLogger(__name__)


class PairsFailedError(EstimationError):
    """Raised when pairs failed; the results of the others are in `results`."""

    def __init__(self, message: str, results: "PairResults") -> None:
        super().__init__(message)
        self.results = results


@dataclass(frozen=True)
class PairResults:
    """Results of all pairs.

    Attributes
    ----------
    results : dict of str to dict
        By key, in the order of the pairs.
    failures : dict of str to PairFailure
        Pairs without result.
    reused, redone, repaired : tuple of str
        Pairs whose stored result was taken; was made from something else, and was made anew; was
        damaged, and was made anew.
    """

    results: dict[str, dict[str, Any]]
    failures: dict[str, PairFailure] = field(default_factory=dict)
    reused: tuple[str, ...] = ()
    redone: tuple[str, ...] = ()
    repaired: tuple[str, ...] = ()


def map_pairs(
    function: Callable[..., Any],
    pairs: Mapping[str, Mapping[str, Any]],
    *,
    parameters: Mapping[str, Any] | None = None,
    n_jobs: int = -1,
    backend: Literal["joblib", "dask"] = "joblib",
    client: Any = None,
    folder: str | Path | None = None,
    changed: Literal["redo", "refuse"] = "redo",
    errors: Literal["raise", "keep"] = "raise",
    warm_up: Callable[[], None] | None = None,
    progress: bool = True,
    seed: int | None = None,
) -> PairResults:
    """Apply a function to every pair.

    Parameters
    ----------
    function : callable
        At the top level of a module; called as ``function(**inputs, **parameters)``, and with
        ``seed=`` where a seed is given. It returns a dictionary or dataclass of plain values and
        arrays.
    pairs : Mapping of str to Mapping
        Inputs of each pair by its key, as keyword arguments: numbers, texts, arrays, dataclasses of
        these, or `Column`, which arrives as the column itself.
    parameters : Mapping, optional
        Arguments that all pairs share.
    n_jobs : int, default -1
        Processes; -1 for all cores, 1 to stay in this process.
    backend : {"joblib", "dask"}
        Where to compute. "dask" takes `client`, or else the client that is current.
    client : distributed.Client, optional
        A Dask cluster; implies "dask".
    folder : str or path, optional
        Where each finished pair is written at once. Called again, only what is missing, damaged or
        changed is computed. One run at a time may use a folder.
    changed : {"redo", "refuse"}
        What to do where a stored result was made by another function (its own code counts, not that
        of what it calls), or from other parameters, inputs or seed.
    errors : {"raise", "keep"}
        Whether to raise, after all others are done, when pairs failed.
    warm_up : callable, optional
        Called once in every process before its first pair, for instance to compile.
    progress : bool
        Show a bar on standard error, where that is a terminal.
    seed : int, optional
        Seed of the run; that of a pair comes from this and its key.

    Returns
    -------
    PairResults

    Raises
    ------
    PairsFailedError
        When pairs failed and `errors` is "raise".
    EstimationError
        When the function cannot be shipped, an option is none of those above, Dask is asked for
        and missing, the folder is in use, or a stored result is changed and `changed` is "refuse".
    """
    _check_function(function)
    _check_options(n_jobs, backend, changed, errors)
    folder = None if folder is None else Path(folder)
    shared = dict(parameters or {})
    cluster = dask_client(client) if backend == "dask" or client is not None else None
    seeds = {key: None if seed is None else pair_seed(seed, key) for key in pairs}
    with ExitStack() as stack:
        fingerprints: dict[str, str] = {}
        results: dict[str, dict[str, Any]] = {}
        found: dict[str, list[str]] = {"done": [], "missing": [], "changed": [], "damaged": []}
        if folder is None:
            found["missing"] = list(pairs)
        else:
            stack.enter_context(_owned(folder))
            base = digest([_code_of(function), shared])
            for key, inputs in pairs.items():
                fingerprints[key] = digest([base, _described(inputs), seeds[key]])
                stored = read_result(folder, key, fingerprints[key])
                found[stored.status].append(key)
                if stored.result is not None:
                    results[key] = stored.result
            _tell_changed(found, folder, changed)
        done = set(found["done"])
        todo = [key for key in pairs if key not in done]
        tasks = [Task(function, key, dict(pairs[key]), shared, seeds[key], warm_up) for key in todo]
        failures: dict[str, PairFailure] = {}
        outcomes = on_dask(cluster, tasks) if cluster else on_cores(tasks, n_jobs)
        for key, outcome in _watched(outcomes, len(pairs), len(results), progress):
            if isinstance(outcome, PairFailure):
                failures[key] = outcome
                continue
            if folder is not None:
                write_result(folder, key, fingerprints[key], outcome)
            results[key] = outcome
    collected = PairResults(
        {key: results[key] for key in pairs if key in results},
        {key: failures[key] for key in pairs if key in failures},
        tuple(found["done"]),
        tuple(found["changed"]),
        tuple(found["damaged"]),
    )
    if failures and errors == "raise":
        shown = "; ".join(f"{f.key!r}: {f.error}" for f in list(failures.values())[:3])
        kept = f"kept in {folder}" if folder is not None else "in the attribute results"
        msg = (
            f"pairs: {len(failures)} of {len(pairs)} failed ({shown}"
            f"{'; ...' if len(failures) > 3 else ''}); the other {len(results)} are {kept}"
        )
        raise PairsFailedError(msg, collected)
    return collected


def pair_seed(seed: int, key: str) -> int:
    """Make the seed of a pair from that of the run and the pair's key.

    Parameters
    ----------
    seed : int
        Seed of the run.
    key : str
        The pair.

    Returns
    -------
    int
        In [0, 2^63).
    """
    return int.from_bytes(hashlib.sha256(f"{seed} {key}".encode()).digest()[:8], "big") >> 1


def _check_function(function: Callable[..., Any]) -> None:
    name = getattr(function, "__qualname__", "")
    if not name or "<" in name:
        msg = (
            f"function: found {name or function!r}, expected a function at the top level of a "
            "module, so that workers can import it; give what varies as parameters"
        )
        raise EstimationError(msg)


def _check_options(n_jobs: int, backend: str, changed: str, errors: str) -> None:
    if n_jobs == 0:
        msg = "n_jobs: found 0, expected a number of processes, or -1 for all cores"
        raise EstimationError(msg)
    for name, value, known in (
        ("backend", backend, ("joblib", "dask")),
        ("changed", changed, ("redo", "refuse")),
        ("errors", errors, ("raise", "keep")),
    ):
        if value not in known:
            msg = f"{name}: found {value!r}, expected {' or '.join(map(repr, known))}"
            raise EstimationError(msg)


def _code_of(function: Callable[..., Any]) -> str:
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        source = ""  # typed into an interpreter: its name must do
    return f"{function.__module__}.{function.__qualname__}\n{source}"


def _described(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Put the contents of files in the place of their names."""
    return {
        name: [_contents(Path(value.path)), value.column] if isinstance(value, Column) else value
        for name, value in inputs.items()
    }


def _contents(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return "missing"  # the worker says so, as the failure of this pair
    return _file_contents(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _file_contents(path: Path, _size: int, _time: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tell_changed(found: Mapping[str, list[str]], folder: Path, changed: str) -> None:
    if found["changed"]:
        what = (
            f"{len(found['changed'])} stored results (first: {found['changed'][0]!r}) were made by "
            "another version of the function, or from other parameters, inputs or seed"
        )
        if changed == "refuse":
            msg = f"folder: in {folder}, {what}; give another folder, or changed='redo'"
            raise EstimationError(msg)
        _LOG.warning("%s: %s; they are made anew", folder, what)
    if found["damaged"]:
        _LOG.warning(
            "%s: %d stored results are damaged (first: %r) and are made anew",
            folder,
            len(found["damaged"]),
            found["damaged"][0],
        )


class _owned:  # noqa: N801 - used as a function is
    """Hold a folder of results for one run."""

    def __init__(self, folder: Path) -> None:
        from filelock import FileLock

        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._lock = FileLock(folder / ".lock")

    def __enter__(self) -> None:
        from filelock import Timeout

        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            msg = f"folder: {self._folder} is in use by another run; wait, or give another folder"
            raise EstimationError(msg) from error
        remove_leftovers(self._folder)

    def __exit__(self, *_what: object) -> None:
        self._lock.release()


def _watched(
    outcomes: Iterator[tuple[str, Any]], total: int, done: int, shown: bool
) -> Iterator[tuple[str, Any]]:
    """Show how many pairs are done."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("pairs"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    hidden = not shown or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task("pairs", total=total, completed=done)
        for outcome in outcomes:
            yield outcome
            bar.advance(task)
