"""The probe dataset: 1,797 handwritten digits (8 x 8 grey levels) that ship with scikit-learn."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn.datasets import load_digits

# What a person can see in the picture of a digit, as the digits for which it is true. Loops and
# strokes are those of the plain printed shapes; a handwritten 4 with a closed top is still "4".
ATTRIBUTES: dict[str, frozenset[int]] = {
    "an even number": frozenset({0, 2, 4, 6, 8}),
    "a number greater than five": frozenset({6, 7, 8, 9}),
    "a number less than three": frozenset({0, 1, 2}),
    "a prime number": frozenset({2, 3, 5, 7}),
    "a number divisible by three": frozenset({0, 3, 6, 9}),
    "a closed loop": frozenset({0, 6, 8, 9}),
    "straight strokes only": frozenset({1, 4, 7}),
    "a flat stroke along the top": frozenset({5, 7}),
    "the same shape upside down": frozenset({0, 1, 8}),
}
CONCEPTS: dict[str, frozenset[int]] = {
    **{f"the digit {digit}": frozenset({digit}) for digit in range(10)},
    **ATTRIBUTES,
}

#: Side of the pictures shown. Strokes reach the edge of the 8 x 8 pixels, so white is put around.
SHOWN_PIXELS = 160
MARGIN_PIXELS = 2


@dataclass(frozen=True)
class Digits:
    """Images and labels of the probe dataset.

    Attributes
    ----------
    images : ndarray, shape (n_inputs, 8, 8), float32
        Grey levels in [0, 1].
    labels : ndarray, shape (n_inputs,), int64
        The digit, 0 to 9.
    train : ndarray, shape (n_train,), int64
        Rows that the network is trained on.
    labelled : ndarray, shape (n_labelled,), int64
        The few rows that the concept prior may see with their labels; a part of ``train``.
    """

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    train: npt.NDArray[np.int64]
    labelled: npt.NDArray[np.int64]


def load(*, seed: int, n_labelled: int = 60) -> Digits:
    """Return the digits with a train split of two thirds and a handful of labelled inputs.

    Parameters
    ----------
    seed : int
        Of the split.
    n_labelled : int
        Labelled inputs, taken from the train split.

    Returns
    -------
    Digits
    """
    bunch = load_digits()
    images = (bunch.images / 16.0).astype(np.float32)
    labels = bunch.target.astype(np.int64)
    order = np.random.default_rng(seed).permutation(len(labels))
    train = order[: 2 * len(labels) // 3]
    return Digits(
        images=images, labels=labels, train=np.sort(train), labelled=np.sort(train[:n_labelled])
    )


def write_images(digits: Digits, folder: Path) -> list[str]:
    """Write every digit as a PNG large enough for a person, and return the file names.

    The names carry the row alone: not even a look into the folder gives a label away.

    Parameters
    ----------
    digits : Digits
    folder : Path
        Made if need be; pictures that are there are replaced.

    Returns
    -------
    list of str
        One name an input, relative to the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for row, image in enumerate(digits.images):
        name = f"{row:05d}.png"
        paper = np.pad(1 - image, MARGIN_PIXELS, constant_values=1.0)
        ink = Image.fromarray(np.uint8(255 * paper))
        ink.resize((SHOWN_PIXELS, SHOWN_PIXELS), Image.Resampling.BICUBIC).save(folder / name)
        names.append(name)
    return names
