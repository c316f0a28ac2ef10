"""The demo's probe dataset and concepts."""

from pathlib import Path

import numpy as np
from PIL import Image

from demo import digits
from demo.study import truth_of


def test_labelled_inputs_are_few_and_seen_in_training_only() -> None:
    data = digits.load(seed=3)
    assert len(data.images) == 1797
    assert len(data.labelled) == 60
    assert set(data.labelled) <= set(data.train)
    assert len(data.train) == 1198
    assert data.images.min() == 0
    assert data.images.max() == 1


def test_every_concept_is_present_in_some_inputs_and_absent_in_others() -> None:
    truth = truth_of(digits.load(seed=0).labels)
    assert len(truth) == 19
    assert len(digits.ATTRIBUTES) >= 8
    for text, present in truth.items():
        assert 0 < present.sum() < len(present), text
    assert len({present.tobytes() for present in truth.values()}) == len(truth)


def test_files_are_readable_pictures_whose_names_tell_no_label(tmp_path: Path) -> None:
    data = digits.load(seed=0)
    names = digits.write_images(data, tmp_path)
    assert names == [f"{row:05d}.png" for row in range(1797)]
    with Image.open(tmp_path / names[0]) as image:
        assert image.size == (digits.SHOWN_PIXELS, digits.SHOWN_PIXELS)
        shown = np.asarray(image)
    # dark ink on white paper
    assert shown[0, 0] > 200
    assert shown.min() < 60
