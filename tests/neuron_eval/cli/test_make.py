"""``neuron-eval record``, ``concepts``, ``explain`` and ``explanations``: from images to files."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from neuron_eval.activations import record_activations
from neuron_eval.cli.options import OptionError
from neuron_eval.datasets import ImageFiles, default_transform, image_paths
from neuron_eval.errors import NeuronEvalError
from neuron_eval.explainers import explain_best_auroc, explain_best_iou
from neuron_eval.explanation_files import read_explanations
from neuron_eval.matrix_files import read_matrix
from neuron_eval.vision import build_model


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for number in range(5):
        pixels = rng.integers(0, 255, size=(40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def test_record_images_with_weights_from_a_file_and_go_on(run, images, tmp_path):
    torch.manual_seed(0)
    model = build_model("squeezenet1_1")
    weights = tmp_path / "weights.safetensors"
    save_file(model.state_dict(), weights)
    arguments = ("record", tmp_path / "out", "--model", "squeezenet1_1", "--weights", weights,
                 "--layer", "features.0", "--layer", "output", "--images", images,
                 "--batch-size", 2, "--device", "cpu", "--pool", "max")  # fmt: skip
    done = run(*arguments)
    assert "5 inputs, pool max" in done.output
    inputs = ImageFiles(image_paths(images), default_transform("squeezenet1_1"))
    expected = record_activations(model, ["features.0", "output"], inputs, pool="max")
    for layer, values in expected.items():
        found = read_matrix(tmp_path / "out", key=layer).values
        np.testing.assert_allclose(found, values, rtol=1e-4, atol=1e-5)
    run(*arguments)
    other = run(*arguments[:-1], "avg", fails=NeuronEvalError)
    assert "holds a recording with pool 'max'" in str(other.exception)


def test_record_lists_layers_and_says_what_is_missing(run, images, tmp_path):
    listed = run("record", tmp_path, "--model", "squeezenet1_1", "--list-layers").output
    assert "features.0  (Conv2d)" in listed
    base = ("record", tmp_path / "x", "--model", "squeezenet1_1")
    for arguments, message in (
        ((), "--layer: found none"),
        (("--layer", "features.0"), "inputs: found none; give --images FOLDER"),
        (("--layer", "features.0", "--images", images, "--root", images), "--images: takes the"),
        (("--layer", "feature.0", "--images", images), "near matches: 'features.0'"),
        (("--layer", "features.0", "--dataset", "ImageFoldr", "--root", images), "ImageFolder"),
        (("--layer", "features.0", "--images", tmp_path / "gone"), "gone"),
    ):
        done = run(*base, *arguments, fails=NeuronEvalError)
        assert message in str(done.exception), message
    done = run("record", tmp_path, "--model", "resnet1", "--list-layers", fails=NeuronEvalError)
    assert "did you mean" in str(done.exception)


def test_concepts_of_labels(run, digits, tmp_path):
    hierarchy = tmp_path / "groups.json"
    hierarchy.write_text(json.dumps({"even": [0, 2, 4, 6, 8], "small": [0, 1, 2, 3, 4]}))
    output = tmp_path / "concepts.csv"
    done = run("concepts", "labels", "labels.npy", "--classes", "classes.txt",
               "--hierarchy", hierarchy, "-o", output)  # fmt: skip
    assert "900 inputs, 12 concepts" in done.output
    made, expected = read_matrix(output), read_matrix(digits / "concepts.csv")
    assert made.names == expected.names
    np.testing.assert_array_equal(made.values, expected.values)
    short = tmp_path / "short.txt"
    short.write_text("zero\none\n")
    done = run("concepts", "labels", "labels.npy", "--classes", short, "-o", output,
               fails=NeuronEvalError)  # fmt: skip
    assert "expected a class from 0 to 1" in str(done.exception)


def test_explain_writes_what_score_reads(run, digits, tmp_path):
    output = tmp_path / "iou.csv"
    done = run("explain", "activations.npy", "concepts.csv", "--method", "best_iou", "--alpha",
               0.1, "--layer", "out", "-o", output)  # fmt: skip
    assert "best_iou: 10 neurons explained" in done.output
    told = read_explanations(output).explanations
    a, c = np.load(digits / "activations.npy"), read_matrix(digits / "concepts.csv")
    from neuron_eval.binarize import TopFraction

    found = explain_best_iou(a, c.values, binarization=TopFraction(0.1))
    assert [e.terms[0].text for e in told] == [c.names[e.terms[0].concept] for e in found]
    assert {e.layer for e in told} == {"out"}
    run("score", "activations.npy", "concepts.csv", "-e", output)


def test_formulas_from_the_command(run, digits, tmp_path):
    output, scores = tmp_path / "invert.json", tmp_path / "scores.csv"
    c = read_matrix(digits / "concepts.csv")
    either = c.values[:, [1]] + c.values[:, [2]]
    neuron = either + 0.1 * np.random.default_rng(0).normal(size=either.shape)
    np.save(tmp_path / "either.npy", neuron)
    run("explain", tmp_path / "either.npy", "concepts.csv", "--method", "best_auroc",
        "--max-length", 2, "-o", output)  # fmt: skip
    [found] = explain_best_auroc(neuron, c.values, max_length=2)
    [told] = read_explanations(output).explanations
    assert told.score == pytest.approx(found.score)
    assert told.terms[0].text == "one OR two"
    run("score", tmp_path / "either.npy", "concepts.csv", "-e", output, "-m", "inverse_auroc",
        "-o", scores)  # fmt: skip
    table = pd.read_csv(scores)
    assert table["explanation"].tolist() == ["one OR two"]
    assert table["inverse_auroc"][0] == pytest.approx(found.score, abs=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--method", "best"), "--method: found 'best', expected best_iou"),
        (("--method", "best_auroc", "--alpha", 0.1), "--alpha: the method 'best_auroc' takes none"),
        (("--method", "best_iou", "--max-terms", 2), "--max-terms: the method 'best_iou' takes"),
        (("--output", "x.npy"), "expected a name that ends in .csv or .json"),
    ],
)
def test_bad_options_of_explain(run, options, message):
    done = run("explain", "activations.npy", "concepts.csv", *options, fails=OptionError
               if "--method" in options else NeuronEvalError)  # fmt: skip
    assert message in str(done.exception)


def test_sparse_linear_has_weights(run, tmp_path):
    output = tmp_path / "linear.csv"
    run("explain", "activations.npy", "concepts.csv", "--method", "sparse_linear", "--max-terms", 2,
        "-o", output)  # fmt: skip
    assert pd.read_csv(output).groupby("unit").size().max() == 2


def test_explanations_inspect_and_convert(run, tmp_path):
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("layer,unit,description,similarity\nconv1,0,red,0.2\nconv1,1,,0.3\n")
    bad.write_text("a,b\n1,2\n")
    done = run("explanations", "inspect", good, "--show", 1)
    assert "good.csv: CLIP-Dissect" in done.output
    assert "conv1 unit 0: red" in done.output
    assert "description" in done.output
    failed = run("explanations", "inspect", good, bad, fails=SystemExit)
    assert failed.exit_code == 1
    assert "found the columns a, b" in failed.output
    output = tmp_path / "ours.json"
    run("explanations", "convert", good, "-o", output)
    [explanation] = read_explanations(output).explanations
    assert (explanation.layer, explanation.unit, explanation.score) == ("conv1", 0, 0.2)
