"""The command itself: help that teaches, quick start, errors in one line, metrics of one's own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from neuron_eval.cli.app import app
from neuron_eval.registry import METRICS

OWN = '''
from neuron_eval.functional import cosine_similarity
from neuron_eval.registry import register_metric

def squared_cosine(activations, concepts, *, weights=None):
    """Score the square of the cosine."""
    return cosine_similarity(activations, concepts, weights=weights) ** 2

register_metric(
    "squared_cosine", squared_cosine, range=(0.0, 1.0), binarizes="nothing", shift_free=False
)
'''


def _command(*arguments, cwd):
    script = Path(sys.executable).with_name("neuron-eval")
    return subprocess.run(  # noqa: S603
        [str(script), *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False
    )


def _leaves(command, path=()):
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, child in command.commands.items():
        yield from _leaves(child, (*path, name))


def test_every_command_has_help_with_an_example():
    import typer.main

    leaves = list(_leaves(typer.main.get_command(app)))
    assert len(leaves) >= 14
    for path, command in leaves:
        result = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "160"})
        assert result.exit_code == 0, path
        example = rf"neuron-eval (--metrics-from \S+ )?{' '.join(path)}"
        assert re.search(example, command.help or ""), path
        for parameter in command.params:
            assert getattr(parameter, "help", None) or parameter.name == "help", (path, parameter)


def test_every_command_is_in_the_reference():
    import typer.main

    page = (Path(__file__).parents[3] / "docs" / "reference.md").read_text(encoding="utf-8")
    for path, _ in _leaves(typer.main.get_command(app)):
        assert f"`{' '.join(path)} " in page, path


def test_help_does_not_import_torch(tmp_path):
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from neuron_eval.cli.app import app\n"
        "assert CliRunner().invoke(app, ['score', '--help']).exit_code == 0\n"
        "print([m for m in ('torch', 'pandas', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "[]"


def test_wrong_input_ends_in_one_line(digits):
    done = _command("score", "gone.npy", "concepts.csv", cwd=digits)
    assert done.returncode == 2
    assert done.stderr.startswith("error: gone.npy: no such file")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_metrics_of_ones_own(digits, tmp_path):
    plugin = tmp_path / "my_metrics.py"
    plugin.write_text(OWN)
    own = ("--metrics-from", plugin)
    done = _command(*own, "metrics", "check", "squared_cosine", "--cases", 6, cwd=digits)
    assert "all promises kept" in done.stdout, done.stderr
    done = _command(
        *own, "sanity", "theoretical", "-m", "squared_cosine", "--gamma", 0.1, cwd=digits
    )
    assert "squared_cosine" in done.stdout, done.stderr
    assert "squared_cosine" not in METRICS


@pytest.mark.parametrize(
    ("name", "message"),
    [("gone.py", "found no file gone.py"), ("no_such_module", "found no module 'no_such_module'")],
)
def test_modules_that_are_not_there(digits, name, message):
    done = _command("--metrics-from", name, "metrics", "list", cwd=digits)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())


def test_version(digits):
    assert CliRunner().invoke(app, ["--version"]).output.strip() == "0.1.0"
