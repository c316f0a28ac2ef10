"""``neuron-eval score`` gives the library's numbers and refuses what does not fit."""

import json

import numpy as np
import pandas as pd
import pytest

from neuron_eval.binarize import TopFraction
from neuron_eval.cli.options import OptionError
from neuron_eval.errors import NeuronEvalError
from neuron_eval.functional import iou, pearson_correlation
from neuron_eval.matrix_files import read_matrix


@pytest.fixture
def data(digits):
    return np.load(digits / "activations.npy"), read_matrix(digits / "concepts.csv").values


def test_best_concepts_of_all_neurons(run, digits, data, tmp_path):
    output, matrix = tmp_path / "scores.csv", tmp_path / "all.npz"
    done = run(
        "score", "activations.npy", "concepts.csv", "-m", "iou", "-m", "pearson_correlation",
        "--alpha", 0.1, "--weights", "weights.csv", "--top", 2, "-o", output, "--matrix", matrix,
    )  # fmt: skip
    assert "iou: best concepts per neuron" in done.output
    table = pd.read_csv(output)
    assert list(table.columns) == ["metric", "unit", "rank", "concept", "score"]
    assert len(table) == 2 * 10 * 2
    first = table[(table["metric"] == "pearson_correlation") & (table["rank"] == 1)]
    assert first["concept"].tolist()[:3] == ["zero", "one", "two"]
    weights = pd.read_csv(digits / "weights.csv")["weight"].to_numpy()
    with np.load(matrix) as arrays:
        np.testing.assert_array_equal(
            arrays["iou"], iou(*data, weights=weights, binarization=TopFraction(0.1))
        )
        np.testing.assert_array_equal(
            arrays["pearson_correlation"], pearson_correlation(*data, weights=weights)
        )


def test_explanation_files_are_ranked(run, data, tmp_path):
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("unit,description\n0,Zero\n1,one\n2,two\n9,a nine\n")
    bad.write_text("unit,description\n0,one\n1,two\n2,three\n")
    output = tmp_path / "scores.json"
    done = run(
        "score", "activations.npy", "concepts.csv", "-e", bad, "-e", good, "-o", output
    )  # fmt: skip
    assert "1 left out, their concepts have no column ('a nine')" in done.output
    assert done.output.rindex("good") < done.output.rindex("bad")
    rows = json.loads(output.read_text())
    assert [row["method"] for row in rows] == ["bad"] * 3 + ["good"] * 3
    scores = pearson_correlation(*data).numpy()
    assert rows[3]["pearson_correlation"] == pytest.approx(scores[0, 0], abs=1e-12)
    assert rows[1]["pearson_correlation"] == pytest.approx(scores[1, 2], abs=1e-12)


def test_linear_explanations_and_several_layers(run, tmp_path):
    path = tmp_path / "linear.csv"
    path.write_text(
        "layer,unit,weight0,concept0,weight1,concept1,bias\n"
        "out,0,2.5,zero,-1,even,0.1\nother,0,1,one,0,0,0\n"
    )
    run("score", "activations.npy", "concepts.csv", "-e", path, fails=OptionError)
    done = run(
        "score", "activations.npy", "concepts.csv", "-e", path, "--layer", "out",
        "-m", "pearson_correlation", "-m", "recall",
    )  # fmt: skip
    assert "2.5 zero + -1 even" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-m", "pearson"), "no metric 'pearson'; did you mean"),
        (("--alpha", 0.1, "--threshold", 1), "found two of --alpha, --threshold"),
        (("--alpha", 1.5), "alpha: found 1.5"),
        (("--output", "x.txt"), "expected a name that ends in .csv or .json"),
        (("--output", "no/such/x.csv"), "found no folder no/such"),
        (("--matrix", "x.csv"), "expected a name that ends in .npz"),
        (("--texts", "pairs.csv"), "found 11 texts, expected 12"),
        (("-e", "pairs.csv"), "found the columns neuron, concept"),
        (("-e", "gone.csv"), "no such file"),
        (("--weights", "labels.npy"), None),
    ],
)
def test_bad_input_is_named(run, arguments, message):
    if message is None:
        # Labels are weights as good as any: zeros are inputs left out.
        run("score", "activations.npy", "concepts.csv", *arguments)
        return
    done = run("score", "activations.npy", "concepts.csv", *arguments, fails=NeuronEvalError)
    assert message in str(done.exception)


def test_files_that_do_not_fit(run, tmp_path):
    np.save(tmp_path / "short.npy", np.zeros((5, 2)))
    done = run("score", tmp_path / "short.npy", "concepts.csv", fails=OptionError)
    assert "found 900 rows, expected 5, one per probe input" in str(done.exception)
    done = run("score", "concepts.csv", "activations.npy", fails=NeuronEvalError)
    assert "concepts: the value of concept 0 on input" in str(done.exception)
