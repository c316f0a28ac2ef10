"""One pair in a worker, and the workers: processes of this machine, or a Dask cluster."""

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from estimation.checks import EstimationError
from estimation.result_files import plain


@dataclass(frozen=True)
class Column:
    """A column of a matrix in an .npy file, read by the worker and never shipped.

    Attributes
    ----------
    path : str
        The file; on a cluster, all workers must see it under this path.
    column : int, optional
        Column of a matrix of shape (n_inputs, n_columns); without it the file holds a vector.
    """

    path: str
    column: int | None = None

    def load(self) -> np.ndarray:
        """Read the column through a memory map.

        Returns
        -------
        ndarray, shape (n_inputs,)

        Raises
        ------
        EstimationError
            When the file is not there, is no .npy file of numbers, or has no such column.
        """
        try:
            matrix = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            msg = f"column: {self.path} cannot be read as .npy ({error}); save it with numpy.save"
            raise EstimationError(msg) from error
        expected = 1 if self.column is None else 2
        if matrix.ndim != expected:
            msg = (
                f"column: {self.path} has shape {matrix.shape}; expected a "
                f"{'vector, or give a column' if expected == 1 else 'matrix'}"
            )
            raise EstimationError(msg)
        if self.column is None:
            return np.array(matrix)
        if not 0 <= self.column < matrix.shape[1]:
            msg = f"column: {self.column} of {self.path}, which has {matrix.shape[1]} columns"
            raise EstimationError(msg)
        return np.array(matrix[:, self.column])


@dataclass(frozen=True)
class PairFailure:
    """Why a pair has no result.

    Attributes
    ----------
    key : str
        The pair.
    error : str
        Type and message of the exception.
    trace : str
        Where it was raised, in the worker.
    """

    key: str
    error: str
    trace: str


@dataclass(frozen=True)
class Task:
    """All that a worker needs."""

    function: Callable[..., Any]
    key: str
    inputs: dict[str, Any]
    parameters: dict[str, Any]
    seed: int | None
    warm_up: Callable[[], None] | None


def compute(task: Task) -> tuple[str, dict[str, Any] | PairFailure]:
    """Compute a pair with one thread; whatever it raises comes back as its failure."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    try:
        # one thread: sums in another order would differ in the last digit
        with threadpool_limits(limits=1):
            if task.warm_up is not None:
                _warm(task.warm_up)
            inputs = {
                name: value.load() if isinstance(value, Column) else value
                for name, value in task.inputs.items()
            }
            seeded = {} if task.seed is None else {"seed": task.seed}
            result = task.function(**inputs, **task.parameters, **seeded)
            return task.key, plain(result, task.key)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other pairs go on and it is told
        what = f"{type(error).__name__}: {error}"
        return task.key, PairFailure(task.key, what, traceback.format_exc())


@cache
def _warm(warm_up: Callable[[], None]) -> None:
    warm_up()


def on_cores(tasks: list[Task], n_jobs: int) -> Iterator[tuple[str, Any]]:
    """Yield (key, result or failure) as pairs are finished by processes of this machine.

    Parameters
    ----------
    tasks : list of Task
        Pairs.
    n_jobs : int
        Processes; -1 for all cores, 1 to stay in this one.

    Raises
    ------
    EstimationError
        When a process died.
    """
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    if n_jobs == 1:
        yield from map(compute, tasks)
        return
    with parallel_config("loky", inner_max_num_threads=1):
        # results arrive as they are finished, so that each can be written at once
        finished = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(
            delayed(compute)(task) for task in tasks
        )
        try:
            yield from finished
        except TerminatedWorkerError as error:
            msg = (
                "pairs: a worker process died, probably for want of memory; what is finished is "
                "kept where a folder was given. Call again with a smaller n_jobs."
            )
            raise EstimationError(msg) from error


def on_dask(client: Any, tasks: list[Task]) -> Iterator[tuple[str, Any]]:
    """Yield (key, result or failure) as pairs are finished by a Dask cluster."""
    from distributed import as_completed

    # not pure: a key that an earlier call used would bring that call's result
    futures = client.map(compute, tasks, key="map_pairs", pure=False)
    names = {future.key: task.key for future, task in zip(futures, tasks, strict=True)}
    finished = as_completed(  # type: ignore[no-untyped-call]
        futures, with_results=True, raise_errors=False
    )
    for future, outcome in finished:
        if future.status != "finished":
            error = future.exception()
            what = f"{type(error).__name__}: {error}"
            yield names[future.key], PairFailure(names[future.key], what, "lost by the cluster")
        else:
            yield outcome
        future.release()


def dask_client(client: Any) -> Any:
    """Return `client`, or the one that is current.

    Raises
    ------
    EstimationError
        When Dask is not installed, or there is no client.
    """
    try:
        from distributed import get_client
    except ImportError as error:
        msg = "backend: 'dask' needs the extra: pip install 'neuronjury[dask]'"
        raise EstimationError(msg) from error
    if client is not None:
        return client
    try:
        return get_client()
    except ValueError as error:
        msg = (
            "backend: no Dask client is current; make one, distributed.Client(address), or pass it"
        )
        raise EstimationError(msg) from error
