"""A small real setting for the commands: digits, a linear classifier's outputs, labels."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner, Result

from neuron_eval.cli.app import app
from neuron_eval.matrix_files import write_matrix

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> Path:
    """A folder with ``activations.npy``, ``concepts.csv``, ``pairs.csv`` and more.

    Output i of the classifier belongs to digit i; "even" and "small" contain several digits.
    """
    folder = tmp_path_factory.mktemp("digits")
    images, labels = load_digits(return_X_y=True)
    images, labels = images[:900] / 16, labels[:900]
    model = LogisticRegression(max_iter=300, C=0.05).fit(images[600:], labels[600:])
    np.save(folder / "activations.npy", model.decision_function(images).astype(np.float32))
    concepts = np.stack(
        [*(labels == d for d in range(10)), labels % 2 == 0, labels < 5], axis=1
    ).astype(float)
    write_matrix(folder / "concepts.csv", concepts, [*DIGITS, "even", "small"])
    np.save(folder / "labels.npy", labels)
    (folder / "pairs.csv").write_text(
        "neuron,concept\n" + "".join(f"{i},{text}\n" for i, text in enumerate(DIGITS))
    )
    (folder / "classes.txt").write_text("".join(f"{text}\n" for text in DIGITS))
    (folder / "weights.csv").write_text("weight\n" + "".join(f"{1 + i % 3}\n" for i in range(900)))
    return folder


@pytest.fixture
def run(digits, monkeypatch):
    """Run a command in the folder; expects success unless told otherwise."""
    monkeypatch.chdir(digits)
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*arguments: object, fails: type[Exception] | None = None) -> Result:
        result = CliRunner().invoke(app, [str(a) for a in arguments])
        if fails is None:
            assert result.exit_code == 0, (result.output, result.exception)
        else:
            assert isinstance(result.exception, fails), (result.output, result.exception)
        return result

    return invoke
