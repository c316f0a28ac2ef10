"""How many raters at once one machine serves: 200 of them against gunicorn, on both databases.

    python benchmarks/load.py                              # both databases, both kinds of load
    python benchmarks/load.py --database sqlite --raters 50 --workers 2 --threads 8

Everything is real but the people: gunicorn as in production, PostgreSQL (a throw-away server of
scripts/with-postgresql, fsync on) or SQLite in a temporary folder, and raters over HTTP who open
the pages, send every answer by itself and hand tasks in. Two kinds of load:

paced       each rater answers every two seconds or so, as people do
flat out    each rater answers as soon as the last answer is acknowledged: what the machine bears

The raters run on the same machine as server, database and the background worker, which makes an
estimate after every task, and take their share of it: a server of its own does better. Times are a
rater's: from sending an answer to its acknowledgement. Memory is the proportional set size of all
gunicorn processes, at its highest.
"""

import argparse
import contextlib
import itertools
import json
import math
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.annotation.concurrency.http_rater import Book, HttpRater  # noqa: E402
from tests.annotation.concurrency.processes import (  # noqa: E402
    free_port,
    kill,
    server_start,
    worker,
)

ITEMS_PER_TASK = 15
PACE_SECONDS = 2.0
DRIVERS = 2  # processes that play raters: one interpreter alone would be the bottleneck
PATIENCE_SECONDS = 600.0  # of a rater, in all
MOST_QUERIES = 6

PREPARE = """
import django, json, sys, uuid
django.setup()
from django.core.management import call_command
from tests.annotation.factories import make_study, make_user
call_command("migrate", verbosity=0)
n_items, redundancy, items_per_task, seed = map(int, sys.argv[1:])
name = "load-" + uuid.uuid4().hex[:8]  # a study of its own for every load
study = make_study(
    slug=name, owner=make_user(name), n_inputs=2 * n_items,
    n_neurons=1, n_concepts=2, inputs_per_pair=n_items,
    redundancy=redundancy, items_per_task=items_per_task, seed=seed,
    sampling_parameters={"replacement": False},
    aggregation="majority", estimator="importance_weighted",
)
print(json.dumps({"slug": study.slug, "n_items": study.items.count()}))
"""


@dataclass
class Result:
    """What one load on one database showed."""

    database: str
    load: str
    processes: str
    seconds: float
    books: list[Book]
    memory_mb: float
    wanted: int


def environment(url: str, folder: Path, arguments: argparse.Namespace) -> dict[str, str]:
    """Variables of the server's processes."""
    return {
        **os.environ,
        "DATABASE_URL": url,
        "NEURONJURY_DATA_DIR": str(folder),
        "DJANGO_SETTINGS_MODULE": "benchmarks.load_settings",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "platform")]),
        "NEURONJURY_LOG_LEVEL": "ERROR",
        "OMP_NUM_THREADS": "1",
        **({"WEB_WORKERS": str(arguments.workers)} if arguments.workers else {}),
        **({"WEB_THREADS": str(arguments.threads)} if arguments.threads else {}),
    }


def processes_of(env: dict[str, str]) -> str:
    """How many processes and threads gunicorn has with these variables."""
    script = "import neuronjury.server as s; print(s.workers, 'x', s.threads)"
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def prepared(env: dict[str, str], arguments: argparse.Namespace) -> dict:
    """Make the tables and a study that gives every rater about one task."""
    redundancy = 5
    n_items = math.ceil(arguments.raters * arguments.tasks * ITEMS_PER_TASK / redundancy / 2)
    numbers = (n_items, redundancy, ITEMS_PER_TASK, arguments.seed)
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", PREPARE, *map(str, numbers)],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"The study could not be made:\n{done.stderr}")
    study = json.loads(done.stdout)
    return {**study, "wanted": study["n_items"] * redundancy}


@contextlib.contextmanager
def server(env: dict[str, str], arguments: argparse.Namespace) -> Iterator[tuple[int, int]]:
    """A gunicorn and a background worker beside it: gunicorn's port and process id."""
    port = free_port()
    process = server_start(env, port)
    try:
        with worker(env) if arguments.worker else contextlib.nullcontext():
            yield port, process.pid
    finally:
        kill(process)


def play(given: tuple[int, str, list[str], float, float]) -> list[Book]:
    """Play some of the raters in this process; one who is refused leaves, and is an error."""
    port, slug, names, pace, seconds = given
    deadline = time.monotonic() + seconds
    raters = [HttpRater([port], slug, name, deadline=deadline, pace=pace) for name in names]
    with ThreadPoolExecutor(len(names)) as pool:
        errors = list(pool.map(_refusal, raters))
    for error in filter(None, errors):
        sys.stderr.write(f"{error}\n")
    return [rater.book for rater in raters]


def _refusal(rater: HttpRater) -> str:
    try:
        rater.work()
    except AssertionError as error:
        rater.book.n_errors = max(1, rater.book.n_errors)
        return str(error)
    return ""


def memory_mb(group: int) -> float:
    """Proportional set size of a process and its children, in MB."""
    children = Path(f"/proc/{group}/task/{group}/children")
    ids = [group, *(int(one) for one in children.read_text().split())]
    total = 0
    for one in ids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total / 1024


def measured(database: str, url: str, load: str, arguments: argparse.Namespace) -> Result:
    """Put one kind of load on a fresh study."""
    Console(stderr=True).print(f"{database}, {load} ...", style="dim")
    folder = Path(tempfile.mkdtemp(prefix="neuronjury-load-"))
    try:
        if database == "sqlite":
            url = f"sqlite:///{folder / 'load.sqlite3'}"
        env = environment(url, folder, arguments)
        study = prepared(env, arguments)
        names = [f"{load} {arguments.seed} {number}" for number in range(arguments.raters)]
        pace = PACE_SECONDS if load == "paced" else 0.0
        with server(env, arguments) as (port, process):
            highest, stop = 0.0, threading.Event()

            def watch() -> None:
                nonlocal highest
                while not stop.wait(0.5):
                    highest = max(highest, memory_mb(process))

            watching = threading.Thread(target=watch)
            watching.start()
            start = time.perf_counter()
            try:
                with multiprocessing.Pool(DRIVERS) as pool:
                    shares = [names[k::DRIVERS] for k in range(DRIVERS)]
                    books = pool.map(
                        play,
                        [(port, study["slug"], share, pace, PATIENCE_SECONDS) for share in shares],
                    )
            finally:
                seconds = time.perf_counter() - start
                stop.set()
                watching.join()
        all_books = list(itertools.chain(*books))
        size = processes_of(env)
        return Result(database, load, size, seconds, all_books, highest, study["wanted"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def percentile(values: list[float], share: float) -> float:
    """The value that this share of all values does not exceed, in milliseconds."""
    ordered = sorted(values)
    return 1000 * ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def show(results: list[Result], arguments: argparse.Namespace) -> int:
    """Print the table; 1 when an answer was lost or took too many queries."""
    table = Table(
        title=f"{arguments.raters} raters at once, {os.cpu_count()} cores for everything, "
        f"seed {arguments.seed}"
    )
    for name in (
        *("database", "load", "processes", "answers", "answers/s", "p50 ms", "p95 ms", "p99 ms"),
        *("pages p95 ms", "queries", "errors", "retries", "server MB"),
    ):
        table.add_column(name, justify="left" if name in {"database", "load"} else "right")
    bad = 0
    for result in results:
        answers = [s for book in result.books for s in book.answer_seconds]
        pages = [s for book in result.books for s in book.page_seconds]
        counts: Counter[int] = Counter()
        for book in result.books:
            for (kind, n_queries), n in book.queries.items():
                if kind == "answer":
                    counts[n_queries] += n
        errors = sum(book.n_errors for book in result.books)
        bad += errors > 0 or len(answers) != result.wanted or max(counts) > MOST_QUERIES
        low, high = min(counts), max(counts)
        table.add_row(
            result.database,
            result.load,
            result.processes,
            f"{len(answers)} of {result.wanted}",
            f"{len(answers) / result.seconds:.0f}",
            *(f"{percentile(answers, share):.0f}" for share in (0.5, 0.95, 0.99)),
            f"{percentile(pages, 0.95):.0f}",
            str(low) if low == high else f"{low} to {high}",
            str(errors),
            str(sum(book.n_retries for book in result.books)),
            f"{result.memory_mb:.0f}",
        )
    Console(width=160).print(table)
    return int(bad > 0)


def with_postgresql() -> int:
    """Run the same command again, with a throw-away server around it."""
    process = subprocess.Popen(  # noqa: S603 - our own code
        [ROOT / "scripts" / "with-postgresql", sys.executable, __file__, *sys.argv[1:]],
        env={**os.environ, "FSYNC": "on"},
        start_new_session=True,
    )
    try:
        return process.wait()
    finally:
        if process.poll() is None:  # told to stop: so is everything below
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def main() -> int:
    """Put every load on every database, and print what they showed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raters", type=int, default=200)
    parser.add_argument("--tasks", type=int, default=1, help="tasks a rater, on average")
    parser.add_argument("--database", choices=["postgresql", "sqlite", "both"], default="both")
    parser.add_argument("--load", choices=["paced", "flat out", "both"], default="both")
    parser.add_argument("--workers", type=int, help="gunicorn's (default: those of the site)")
    parser.add_argument("--threads", type=int, help="of each (default: those of the site)")
    parser.add_argument(
        "--worker",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="run the background worker beside the server, as `make serve` does",
    )
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    # a stop is an exception, so that servers, workers and folders go as at any other end
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    url = os.environ.get("DATABASE_URL", "")
    if arguments.database != "sqlite" and not url.startswith("postgres"):
        return with_postgresql()
    databases = ["postgresql", "sqlite"] if arguments.database == "both" else [arguments.database]
    loads = ["paced", "flat out"] if arguments.load == "both" else [arguments.load]
    results = [measured(one, url, load, arguments) for one in databases for load in loads]
    return show(results, arguments)


if __name__ == "__main__":
    sys.exit(main())
