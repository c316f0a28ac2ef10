import os
import subprocess
import sys

import pandas as pd
import pytest
from typer.testing import CliRunner

from estimation.checks import EstimationError
from estimation.cli import app as app_module
from estimation.cli.app import app, main

SMALL = [
    *("--inputs", "500", "--pairs", "2", "--seeds", "1", "--jobs", "1"),
    *("-s", "10% positives", "-s", "wrong explanation"),
    *("-m", "uniform + majority", "-m", "MG-IS + BRAgg", "-m", "prior alone"),
    *("--budgets", "60,180,540", "--redundancies", "1,3"),
]


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def test_curves_write_tables_and_figures_and_savings_go_on_from_them(tmp_path):
    result = run("curves", "--out", str(tmp_path), *SMALL)
    assert result.exit_code == 0
    assert "SIMULATION: 10% positives, wrong explanation" in result.output
    assert "10% positives: RCE by budget" in result.output
    names = {path.name for path in tmp_path.iterdir()}
    assert names >= {"studies.csv", "curves.csv", "studies"} | {
        f"error-{kind}{suffix}"
        for kind in ("ratings", "inputs", "ratings-per-input")
        for suffix in (".png", ".svg")
    }
    stored = {path: path.stat().st_mtime_ns for path in (tmp_path / "studies").glob("*.json")}
    assert len(stored) == 2 * 2 * 1 * 3
    studies = pd.read_csv(tmp_path / "studies.csv")
    assert len(studies) == 2 * 2 * 1 * (2 * 3 * 2 + 1)

    result = run("savings", "--out", str(tmp_path), *SMALL)
    assert "ratings bought needed to reach the error of the published study" in result.output
    savings = pd.read_csv(tmp_path / "savings.csv")
    assert set(savings["method"]) == {"uniform + majority", "MG-IS + BRAgg"}
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "studies").glob("*.json")}
    assert after == stored  # nothing was computed again


def test_settings_are_named_and_data_adds_its_own(tmp_path):
    output = run("settings").output
    for name in ("published", "1% positives", "blind prior", "adaptive model"):
        assert name in output
    with pytest.raises(EstimationError, match="found no"):
        run("settings", "--data", str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["-s", "nowhere"], "--setting: found 'nowhere'"),
        (["-m", "magic"], "methods: found 'magic'"),
        (["--budgets", "a,b"], "--budgets: found 'a,b'"),
        (["--redundancies", "0"], "redundancies: found"),
    ],
)
def test_wrong_options_are_named(tmp_path, arguments, match):
    with pytest.raises(EstimationError, match=match):
        run("curves", "--out", str(tmp_path), *arguments)


def test_main_prints_one_line_and_ends_with_status_2(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["neuron-estimate", "settings", "--data", str(tmp_path)])
    monkeypatch.setattr(app_module.ERROR_CONSOLE, "_file", None)
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert "error: data: found no" in capsys.readouterr().err


def test_help_and_version_come_without_the_science():
    code = (
        "import sys, estimation.cli.app;"
        "print([m for m in ('pymc', 'torch', 'matplotlib', 'dask', 'joblib', 'scipy.optimize', "
        "'pandas', 'numba') if m in sys.modules])"
    )
    done = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ},
    )
    assert done.stdout.strip() == "[]"
    assert "savings" in run("--help").output
    assert run("--version").output.strip()
