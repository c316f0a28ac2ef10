import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from estimation import pair_workers, parallel
from estimation.checks import EstimationError
from estimation.parallel import Column, PairsFailedError, map_pairs
from estimation.result_files import digest, plain, read_result, result_path, write_result

N_PAIRS = 6


@dataclass(frozen=True)
class Spread:
    scale: float


def bootstrap(activation: np.ndarray, spread: Spread, n: int, seed: int) -> dict:
    """Depend on everything: inputs, parameters, seed, and on the order of a long sum."""
    noise = np.random.default_rng(seed).normal(0.0, spread.scale, (n, activation.size))
    means = (noise + activation) @ activation
    return {"mean": float(means.mean()), "pid": os.getpid(), "means": means, "seed": seed}


def plus(x: float, more: float = 1.0) -> dict:
    return {"y": x + more, "pid": os.getpid()}


def fails_on_odd(x: int) -> dict:
    if x % 2:
        msg = f"odd: {x}"
        raise ValueError(msg)
    return {"y": x}


def threads(x: int) -> dict:
    from threadpoolctl import threadpool_info

    np.ones((2, 2)) @ np.ones((2, 2))
    return {"threads": max([pool["num_threads"] for pool in threadpool_info()], default=1)}


def unplain(x: int) -> dict:
    return {"y": object()}


def warm() -> None:
    Path(os.environ["WARM_FOLDER"], f"{os.getpid()}-{time.monotonic_ns()}").touch()


@pytest.fixture
def matrix(tmp_path):
    path = tmp_path / "activations.npy"
    np.save(path, np.random.default_rng(0).normal(size=(500, N_PAIRS)))
    return str(path)


def jobs(matrix: str) -> dict:
    return {
        f"pair {k}": {"activation": Column(matrix, k), "spread": Spread(1.0 + k)}
        for k in range(N_PAIRS)
    }


def numbers(done) -> dict:
    return {
        key: (result["mean"], result["means"].tobytes(), result["seed"])
        for key, result in done.results.items()
    }


def test_same_results_with_one_and_two_workers_and_on_dask(matrix):
    options = {"parameters": {"n": 50}, "seed": 3, "progress": False}
    one = map_pairs(bootstrap, jobs(matrix), n_jobs=1, **options)
    two = map_pairs(bootstrap, jobs(matrix), n_jobs=2, **options)
    assert numbers(one) == numbers(two)
    assert {r["pid"] for r in one.results.values()} == {os.getpid()}
    assert os.getpid() not in {r["pid"] for r in two.results.values()}
    backwards = dict(reversed(jobs(matrix).items()))
    assert numbers(map_pairs(bootstrap, backwards, n_jobs=1, **options)) == numbers(one)

    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        far = map_pairs(bootstrap, jobs(matrix), client=client, **options)
        again = map_pairs(bootstrap, jobs(matrix), backend="dask", **options)
        other = map_pairs(bootstrap, jobs(matrix), client=client, **{**options, "seed": 4})
        with pytest.raises(PairsFailedError, match=r"1 of 2 failed .*'b': ValueError: odd: 1"):
            map_pairs(fails_on_odd, {"a": {"x": 2}, "b": {"x": 1}}, client=client)
    assert numbers(far) == numbers(one)
    assert numbers(again) == numbers(one)
    assert numbers(other) != numbers(one)
    assert os.getpid() not in {r["pid"] for r in far.results.values()}
    assert list(far.results) == list(one.results)


def test_a_folder_may_be_given_as_text(tmp_path):
    pairs = {"a": {"x": 1.0}}
    first = map_pairs(plus, pairs, folder=f"{tmp_path}/results/", n_jobs=1, progress=False)
    again = map_pairs(plus, pairs, folder=tmp_path / "results", n_jobs=1, progress=False)
    assert again.reused == ("a",)
    assert again.results == first.results


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"n_jobs": 0}, "n_jobs: found 0"),
        ({"backend": "threads"}, "backend: found 'threads', expected 'joblib' or 'dask'"),
        ({"changed": "keep"}, "changed: found 'keep', expected 'redo' or 'refuse'"),
        ({"errors": "ignore"}, "errors: found 'ignore', expected 'raise' or 'keep'"),
    ],
)
def test_options_that_there_are_not(option, message):
    with pytest.raises(EstimationError, match=message):
        map_pairs(plus, {"a": {"x": 1.0}}, **option)


def test_seeds_come_from_the_key_alone(matrix):
    all_pairs = jobs(matrix)
    options = {"parameters": {"n": 5}, "seed": 3, "n_jobs": 1, "progress": False}
    whole = map_pairs(bootstrap, all_pairs, **options)
    single = map_pairs(bootstrap, {"pair 4": all_pairs["pair 4"]}, **options)
    assert numbers(single)["pair 4"] == numbers(whole)["pair 4"]
    assert len({r["seed"] for r in whole.results.values()}) == N_PAIRS


def test_a_second_call_computes_only_what_is_missing(matrix, tmp_path):
    folder = tmp_path / "out"
    options = {"parameters": {"n": 5}, "seed": 3, "n_jobs": 1, "folder": folder, "progress": False}
    some = dict(list(jobs(matrix).items())[:4])
    first = map_pairs(bootstrap, some, **options)
    assert first.reused == ()
    second = map_pairs(bootstrap, jobs(matrix), **options)
    assert second.reused == tuple(some)
    assert numbers(second).items() >= numbers(first).items()
    for result in second.results.values():  # arrays come back as arrays, whether stored or not
        assert isinstance(result["means"], np.ndarray)
    assert not list(folder.glob("*.partial"))


@pytest.mark.parametrize("what", ["parameter", "input", "file", "seed", "function"])
def test_a_changed_input_is_redone_or_refused(matrix, tmp_path, what, caplog):
    folder = tmp_path / "out"
    options = {"parameters": {"n": 5}, "seed": 3, "n_jobs": 1, "folder": folder, "progress": False}
    pairs, function = jobs(matrix), bootstrap
    before = map_pairs(bootstrap, pairs, **options)
    n_changed = N_PAIRS
    if what == "parameter":
        options["parameters"] = {"n": 6}
    elif what == "input":
        pairs["pair 2"]["spread"] = Spread(9.0)
        n_changed = 1
    elif what == "file":
        np.save(matrix, np.load(matrix) + 1)
    elif what == "seed":
        options["seed"] = 4
    else:
        function = _other_bootstrap
    with pytest.raises(EstimationError, match=rf"{n_changed} stored results \(first: 'pair"):
        map_pairs(function, pairs, changed="refuse", **options)
    after = map_pairs(function, pairs, **options)
    assert len(after.redone) == n_changed
    assert len(after.reused) == N_PAIRS - n_changed
    assert "made anew" in caplog.text
    if what != "function":
        assert numbers(after) != numbers(before)
    assert len(map_pairs(function, pairs, **options).reused) == N_PAIRS


def _other_bootstrap(activation: np.ndarray, spread: Spread, n: int, seed: int) -> dict:
    return bootstrap(activation, spread, n, seed)


@pytest.mark.parametrize("damage", ["cut", "edited", "array", "array gone", "empty", "list"])
def test_a_damaged_result_is_made_again(matrix, tmp_path, damage, caplog):
    folder = tmp_path / "out"
    options = {"parameters": {"n": 5}, "seed": 3, "n_jobs": 1, "folder": folder, "progress": False}
    before = map_pairs(bootstrap, jobs(matrix), **options)
    path = result_path(folder, "pair 1")
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-40])
    elif damage == "edited":
        body = json.loads(path.read_text())
        body["result"]["mean"] += 1
        path.write_text(json.dumps(body))
    elif damage == "array":
        data = bytearray(path.with_suffix(".npz").read_bytes())
        data[len(data) // 2] ^= 1
        path.with_suffix(".npz").write_bytes(data)
    elif damage == "array gone":
        path.with_suffix(".npz").unlink()
    else:
        path.write_text("" if damage == "empty" else "[]")
    after = map_pairs(bootstrap, jobs(matrix), **options)
    assert after.repaired == ("pair 1",)
    assert "damaged" in caplog.text
    assert numbers(after) == numbers(before)


def test_failing_pairs_are_named_and_the_others_kept(tmp_path):
    pairs = {f"p{x}": {"x": x} for x in range(5)}
    with pytest.raises(
        PairsFailedError, match=r"2 of 5 failed .*'p1': ValueError: odd: 1"
    ) as caught:
        map_pairs(fails_on_odd, pairs, n_jobs=1, folder=tmp_path, progress=False)
    assert list(caught.value.results.results) == ["p0", "p2", "p4"]
    kept = map_pairs(fails_on_odd, pairs, n_jobs=1, folder=tmp_path, errors="keep", progress=False)
    assert kept.reused == ("p0", "p2", "p4")
    assert list(kept.failures) == ["p1", "p3"]
    assert "fails_on_odd" in kept.failures["p1"].trace


def test_workers_have_one_thread():
    for n_jobs in (1, 2):
        done = map_pairs(threads, {"a": {"x": 1}, "b": {"x": 2}}, n_jobs=n_jobs, progress=False)
        assert {result["threads"] for result in done.results.values()} == {1}


def test_warm_up_runs_once_a_process(tmp_path, monkeypatch):
    monkeypatch.setenv("WARM_FOLDER", str(tmp_path))
    pair_workers._warm.cache_clear()
    map_pairs(plus, {str(x): {"x": x} for x in range(5)}, n_jobs=1, warm_up=warm, progress=False)
    assert len(list(tmp_path.iterdir())) == 1


def test_columns_arrive_as_vectors_and_bad_ones_are_named(tmp_path):
    values = np.arange(12.0).reshape(4, 3)
    np.save(tmp_path / "m.npy", values)
    np.save(tmp_path / "v.npy", values[:, 0])
    np.testing.assert_array_equal(Column(str(tmp_path / "m.npy"), 2).load(), values[:, 2])
    np.testing.assert_array_equal(Column(str(tmp_path / "v.npy")).load(), values[:, 0])
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object))
    for column, match in (
        (Column(str(tmp_path / "m.npy"), 3), "3 of .* which has 3 columns"),
        (Column(str(tmp_path / "m.npy")), "give a column"),
        (Column(str(tmp_path / "v.npy"), 0), "expected a matrix"),
        (Column(str(tmp_path / "o.npy"), 0), "cannot be read"),
        (Column(str(tmp_path / "none.npy"), 0), "cannot be read"),
    ):
        with pytest.raises(EstimationError, match=match):
            column.load()
    done = map_pairs(
        plus,
        {"gone": {"x": Column(str(tmp_path / "none.npy"), 0)}, "here": {"x": 1.0}},
        n_jobs=1,
        errors="keep",
        folder=tmp_path / "out",
        progress=False,
    )
    assert "none.npy cannot be read" in done.failures["gone"].error
    assert done.results["here"]["y"] == 2


def test_what_cannot_be_shipped_or_stored_is_refused(tmp_path):
    with pytest.raises(EstimationError, match="top level"):
        map_pairs(lambda x: {"y": x}, {"a": {"x": 1}}, n_jobs=1)
    with pytest.raises(PairsFailedError, match="object has no plain form"):
        map_pairs(unplain, {"a": {"x": 1}}, n_jobs=1, progress=False)
    with pytest.raises(EstimationError, match="set has no fingerprint"):
        map_pairs(plus, {"a": {"x": {1}}}, n_jobs=1, folder=tmp_path, progress=False)
    with pytest.raises(EstimationError, match="expected a dictionary"):
        plain(3, "a")


def test_dask_missing_or_without_client_is_said(monkeypatch):
    pytest.importorskip("distributed")
    with pytest.raises(EstimationError, match="no Dask client is current"):
        map_pairs(plus, {"a": {"x": 1}}, backend="dask")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(EstimationError, match=r"neuronjury\[dask\]"):
        map_pairs(plus, {"a": {"x": 1}}, backend="dask")


def test_a_folder_serves_one_run_at_a_time(tmp_path):
    with parallel._owned(tmp_path), pytest.raises(EstimationError, match="in use by another run"):
        map_pairs(plus, {"a": {"x": 1}}, n_jobs=1, folder=tmp_path)


def test_results_survive_the_round_trip_to_the_last_digit(tmp_path):
    result = plain(
        {
            "x": 0.1 + 0.2,
            "nan": np.float64("nan"),
            "inf": float("inf"),
            "n": np.int64(3),
            "nested": {"t": (1, 2.5, None, True, "text"), "array": np.arange(3, dtype=np.int8)},
            "words": np.array(["a", "b"]),
        },
        "key",
    )
    write_result(tmp_path, "key", "print", result)
    back = read_result(tmp_path, "key", "print").result
    assert back is not None
    assert back["x"] == 0.1 + 0.2
    assert np.isnan(back["nan"])
    assert back["inf"] == float("inf")
    assert back["nested"]["t"] == [1, 2.5, None, True, "text"]
    assert back["nested"]["array"].dtype == np.int8
    np.testing.assert_array_equal(back["nested"]["array"], [0, 1, 2])
    assert back["words"].tolist() == ["a", "b"]
    assert read_result(tmp_path, "key", "another").status == "changed"
    assert read_result(tmp_path, "else", "print").status == "missing"


def test_scalars_of_numpy_become_those_of_python():
    found = plain(
        {"a": np.float64(0.1), "b": np.str_("x"), "c": np.bool_(True), "d": [np.int8(3)]}, "k"
    )
    assert [type(value) for value in (*found.values(), found["d"][0])] == [
        *(float, str, bool, list, int)
    ]
    with pytest.raises(EstimationError, match="'__array__' stands for arrays"):
        plain({"a": {"__array__": "a0"}}, "k")


def test_keys_that_look_alike_have_files_of_their_own(tmp_path):
    keys = ["a/b", "a b", "a-b", "../a-b", "x" * 300, "x" * 301]
    assert len({result_path(tmp_path, key) for key in keys}) == len(keys)
    assert all(result_path(tmp_path, key).parent == tmp_path for key in keys)


def test_fingerprints_tell_values_apart():
    values = [
        1,
        1.0,
        True,
        "1",
        None,
        [1],
        [[1]],
        {"a": 1},
        {"b": 1},
        np.array([1]),
        np.array([1.0]),
        np.array([[1]]),
        Spread(1.0),
        Spread(2.0),
    ]
    assert len({digest(value) for value in values}) == len(values)
    assert digest(np.array([1, 2, 3])[::-1]) == digest(np.array([3, 2, 1]))


def test_a_killed_run_goes_on_where_it_stopped(tmp_path):
    folder, marks = tmp_path / "out", tmp_path / "marks"
    marks.mkdir()
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            """
            import os, sys, time
            from pathlib import Path
            from estimation.parallel import map_pairs

            def slow(x, marks):
                (Path(marks) / f"{x}-{os.getpid()}").touch()
                time.sleep(0.0 if x < 3 else float(os.environ["PAUSE"]))
                return {"x": x}

            if __name__ == "__main__":
                pairs = {str(x): {"x": x} for x in range(6)}
                done = map_pairs(slow, pairs, parameters={"marks": sys.argv[2]}, n_jobs=1,
                                 folder=Path(sys.argv[1]), progress=False)
                print([result["x"] for result in done.results.values()], len(done.reused))
            """
        )
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, str(program), str(folder), str(marks)]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    process = subprocess.Popen(  # noqa: S603 - this test's own program
        command, env={**environment, "PAUSE": "60"}, cwd=root
    )
    try:
        deadline = time.monotonic() + 60
        while not list(marks.glob("3-*")):
            assert time.monotonic() < deadline, "the program did not get to the fourth pair"
            assert process.poll() is None, "the program ended by itself"
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    (folder / "half.partial").write_text("{")  # as a kill within a write leaves it
    assert len(list(folder.glob("*.json"))) == 3
    done = subprocess.run(  # noqa: S603
        command,
        env={**environment, "PAUSE": "0"},
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split("\n")[0] == "[0, 1, 2, 3, 4, 5] 3"
    assert not list(folder.glob("*.partial"))
    counts = [len(list(marks.glob(f"{x}-*"))) for x in range(6)]
    assert counts == [1, 1, 1, 2, 1, 1]  # only the pair that was cut off was computed twice
