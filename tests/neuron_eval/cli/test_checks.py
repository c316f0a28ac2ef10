"""``neuron-eval sanity``, ``meta``, ``agreement`` and ``metrics``."""

import functools
import json

import numpy as np
import pandas as pd
import pytest

from neuron_eval.agreement import metric_agreement
from neuron_eval.cli.options import OptionError
from neuron_eval.errors import NeuronEvalError
from neuron_eval.matrix_files import read_matrix
from neuron_eval.registry import METRICS
from neuron_eval.sanity import published
from neuron_eval.sanity.experimental import run_sanity_checks
from neuron_eval.scoring import score_metrics


@pytest.fixture
def data(digits):
    return np.load(digits / "activations.npy"), read_matrix(digits / "concepts.csv").values


def test_theoretical(run, tmp_path):
    output, plot = tmp_path / "theory.csv", tmp_path / "theory.png"
    done = run("sanity", "theoretical", "-o", output, "--plot", plot)
    assert "inverse_auprc" in done.output
    table = pd.read_csv(output)
    assert len(table) == 240
    assert plot.read_bytes().startswith(b"\x89PNG")
    short = run("sanity", "theoretical", "-m", "iou", "--gamma", 0.25, "--inputs", 1000)
    assert short.output.count("pass") == 1
    run("sanity", "theoretical", "--published", "-m", "iou", fails=OptionError)


@pytest.mark.slow
def test_published(run, tmp_path, monkeypatch):
    # one draw of the imitation instead of ten; its standard error is .0008, five are allowed
    quick = functools.partial(published.compare_with_published, n_draws=1)
    monkeypatch.setattr(published, "compare_with_published", quick)
    output = tmp_path / "published.json"
    done = run("sanity", "theoretical", "--published", "-o", output)
    assert "189 of 240 published cells agree" in done.output
    assert "ties broken by noise of 1e-7" in done.output
    rows = json.loads(output.read_text())
    [cell] = [
        row for row in rows
        if (row["metric"], row["gamma"], row["test"]) == ("auroc", 0.499, "extra")
    ]  # fmt: skip
    assert cell["published"] == -0.7562
    assert cell["faithful"] == pytest.approx(-0.756, abs=0.004)
    assert cell["exact"] == pytest.approx(-0.498, abs=0.0001)


def test_experimental_is_the_library(run, data, tmp_path):
    output, plot = tmp_path / "sanity.csv", tmp_path / "sanity.svg"
    done = run(
        "sanity", "experimental", "activations.npy", "concepts.csv", "--pairs", "pairs.csv",
        "-m", "pearson_correlation", "-m", "recall", "--alpha", 0.1, "--draws", 3,
        "-o", output, "--plot", plot,
    )  # fmt: skip
    assert "10 pairs (0 more for tuning)" in done.output
    table = pd.read_csv(output).set_index("metric")
    expected = run_sanity_checks(*data, [(i, i) for i in range(10)], n_draws=3).metrics[0]
    assert table.loc["pearson_correlation", "missing_difference"] == pytest.approx(
        expected.missing.mean_difference, rel=1e-9
    )
    assert table.loc["recall", "verdict"] == "fail"
    assert table.loc["recall", "parameters"] == "alpha=0.1"
    assert b"<svg" in plot.read_bytes()


def test_best_iou_pairs_tuning_and_reasons(run):
    done = run("sanity", "experimental", "activations.npy", "concepts.csv", "-m", "f1_score",
               "--draws", 2, "--validation", 0.2)  # fmt: skip
    assert "each neuron with the concept of its best IoU" in done.output
    assert "8 pairs (2 more for tuning)" in done.output


def test_by_meaning_and_by_fraction(run, tmp_path):
    relations = tmp_path / "relations.csv"
    relations.write_text("narrower,broader\n" + "".join(f"{d},even\n" for d in ("zero", "two")))
    for more in ((), ("--relations", relations)):
        done = run("sanity", "experimental", "activations.npy", "concepts.csv", "--pairs",
                   "pairs.csv", "-m", "pearson_correlation", "--semantic", *more)  # fmt: skip
        assert ("not tested, neuron 5, 7, 9" in done.output) == (not more)
    output, plot = tmp_path / "ablation.csv", tmp_path / "ablation.png"
    run("sanity", "experimental", "activations.npy", "concepts.csv", "--pairs", "pairs.csv",
        "-m", "pearson_correlation", "--fractions", "0.1,0.5", "--draws", 2, "-o", output,
        "--plot", plot)  # fmt: skip
    assert pd.read_csv(output)["fraction"].tolist() == [0.1, 0.1, 0.5, 0.5]
    assert plot.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--semantic", "--fractions", "0.5"), "--fractions: goes with labels spoiled at random"),
        (("--relations", "pairs.csv"), "--relations: goes with --semantic"),
        (("--fractions", "half"), "found 'half', expected numbers"),
        (("--fractions", "0.5,1"), "fractions: found 1.0"),
        (("--pairs", "classes.txt"), "expected neuron,concept"),
        (("--plot", "x.gif"), "expected a name that ends in .png or .svg or .pdf"),
    ],
)
def test_bad_options_of_sanity(run, options, message):
    done = run("sanity", "experimental", "activations.npy", "concepts.csv", "-m",
               "pearson_correlation", *options, fails=NeuronEvalError)  # fmt: skip
    assert message in str(done.exception)


def test_meta_and_averages(run, tmp_path):
    one, two, plot = tmp_path / "one.json", tmp_path / "two.csv", tmp_path / "meta.pdf"
    metrics = ("-m", "pearson_correlation", "-m", "recall", "--bootstrap", 20)
    done = run("meta", "evaluate", "activations.npy", "concepts.csv", "pairs.csv", *metrics,
               "-o", one, "--plot", plot)  # fmt: skip
    assert "AUPRC on 9 neurons (1 for tuning), chance 0.0833" in done.output
    assert plot.read_bytes().startswith(b"%PDF")
    run("meta", "evaluate", "activations.npy", "concepts.csv", "pairs.csv", *metrics, "-o", two,
        "--seed", 3)  # fmt: skip
    output = tmp_path / "average.csv"
    run("meta", "average", one, two, "-o", output)
    table = pd.read_csv(output).set_index("metric")
    scores = [row["test_auprc"] for row in json.loads(one.read_text())]
    assert table.loc["pearson_correlation", "rank"] == 1
    first = pd.read_csv(two).set_index("metric")["test_auprc"]["pearson_correlation"]
    assert table.loc["pearson_correlation", "auprc"] == pytest.approx((max(scores) + first) / 2)
    done = run("meta", "average", "concepts.csv", fails=NeuronEvalError)
    assert "found no column metric, rank, test_auprc" in str(done.exception)


def test_meta_refuses_neurons_that_are_not_there(run, tmp_path):
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("neuron,concept\n10,zero\n")
    done = run("meta", "evaluate", "activations.npy", "concepts.csv", pairs, fails=OptionError)
    assert "found neuron 10, expected 0 to 9" in str(done.exception)


def test_agreement(run, data, tmp_path):
    output, plot = tmp_path / "agreement.csv", tmp_path / "agreement.png"
    run("agreement", "activations.npy", "concepts.csv", "-o", output, "--plot", plot)
    table = pd.read_csv(output, index_col="metric")
    assert list(table.columns) == list(METRICS)
    expected = metric_agreement(score_metrics(*data, ["auroc", "iou"]))
    assert table.loc["auroc", "iou"] == pytest.approx(expected.loc["auroc", "iou"], abs=1e-12)
    assert plot.read_bytes().startswith(b"\x89PNG")
    few = run("agreement", "activations.npy", "concepts.csv", "-m", "iou", "-m", "f1_score",
              "--kind", "best")  # fmt: skip
    assert "1.000" in few.output


def test_metrics(run):
    listed = run("metrics", "list")
    assert "24 metrics" in listed.output
    marked = run("metrics", "list", "--markdown").output
    assert marked.count("\n| ") == 25
    assert "| `" not in marked
    shown = run("metrics", "show", "wpmi").output
    assert "parameters  binarization, lam" in shown
    assert "CLIP-Dissect" in shown
    checked = run("metrics", "check", "iou", "--cases", 4).output
    assert "all promises kept" in " ".join(checked.split())
    run("metrics", "show", "nope", fails=NeuronEvalError)
