"""``neuron-eval concepts image-text`` on a tiny random SigLIP, without a network."""

import numpy as np
import pytest
from PIL import Image

from neuron_eval.calibration import fit_calibration
from neuron_eval.datasets import image_paths
from neuron_eval.errors import NeuronEvalError
from neuron_eval.image_text import ImageTextSource
from neuron_eval.matrix_files import read_matrix
from tests.neuron_eval.test_image_text import TEXTS
from tests.neuron_eval.test_image_text import _save as save_model


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image_text")
    save_model(folder / "model", "siglip")
    (folder / "images").mkdir()
    rng = np.random.default_rng(1)
    for number in range(8):
        pixels = rng.integers(0, 255, size=(20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
    (folder / "texts.txt").write_text("".join(f"{text}\n" for text in TEXTS))
    return folder


@pytest.fixture
def ask(run, setting, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def ask(*options, **expected):
        base = ("concepts", "image-text", setting / "images", "--texts", setting / "texts.txt",
                "--model", setting / "model", "--offline", "--device", "cpu")  # fmt: skip
        return run(*base, *options, **expected)

    return ask


def test_match_scores_are_those_of_the_source(ask, setting, tmp_path):
    output = tmp_path / "prior.csv"
    done = ask("-o", output, "--cache", tmp_path / "cache")
    assert "match scores, not calibrated probabilities" in done.output
    source = ImageTextSource(TEXTS, setting / "model", local_files_only=True, device="cpu")
    found = read_matrix(output)
    assert list(found.names) == TEXTS
    expected = source.concept_vectors(image_paths(setting / "images"))
    np.testing.assert_allclose(found.values, expected, atol=1e-6)
    assert list((tmp_path / "cache").iterdir())


def test_calibrated_probabilities(ask, setting, tmp_path):
    source = ImageTextSource(TEXTS, setting / "model", local_files_only=True, device="cpu")
    logits = source.logits(image_paths(setting / "images"))
    # Labels that go with the logits, and one that does not.
    labels = (logits > np.median(logits)).astype(float)
    place = np.unravel_index(np.argmax(logits), logits.shape)
    labels[place] = 0
    rows = [f"{i}.png,{text},{labels[i, j]:.0f}" for i in range(8) for j, text in enumerate(TEXTS)]
    known = tmp_path / "known.csv"
    known.write_text("input,concept,label\n" + "\n".join(rows) + "\n")
    output = tmp_path / "prior.npy"
    done = ask("-o", output, "--calibrate", known)
    assert "match scores" not in done.output
    expected = fit_calibration(logits, labels, kind="platt").apply(logits)
    np.testing.assert_allclose(read_matrix(output).values, expected, atol=1e-6)
    known.write_text("input,concept,label\n9.png,cat,1\n")
    wrong = ask("-o", output, "--calibrate", known, fails=NeuronEvalError)
    assert "input is '9.png', expected the name of an input" in str(wrong.exception)
