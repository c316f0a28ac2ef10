"""The images that an image-text model looks at: counted, told apart by their files, opened."""

import os
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from neuron_eval.image_text_model import ImageTextError


def n_images(data: Any) -> int:
    """Count the images of a sequence or dataset.

    Parameters
    ----------
    data : sequence or dataset
        Paths, images, or a dataset of them.

    Returns
    -------
    int
        Their number.

    Raises
    ------
    ImageTextError
        If it is a single path, has no length, or is empty.
    """
    if isinstance(data, str | os.PathLike):
        raise ImageTextError(f"data: found one path, {str(data)!r}, expected a list of paths.")
    if not hasattr(data, "__len__") or not hasattr(data, "__getitem__"):
        raise ImageTextError(
            f"data: found a {type(data).__name__}, expected a sequence of images or paths, or a "
            "dataset with a length and an index."
        )
    if len(data) == 0:
        raise ImageTextError("data: found no inputs, expected at least one.")
    return len(data)


def inputs_key(data: Any, n_inputs: int) -> list[Any]:
    """Identify inputs by their files.

    Parameters
    ----------
    data : sequence or dataset
        Paths, or a dataset whose ``samples`` begin with them.
    n_inputs : int
        Their number.

    Returns
    -------
    list
        Paths, sizes and times of the files, and the dataset's transform; JSON can hold it.

    Raises
    ------
    ImageTextError
        If the inputs are not made of files, or a file cannot be found.
    """
    items = list(data) if isinstance(data, list | tuple) else getattr(data, "samples", None)
    paths = [item[0] if isinstance(item, tuple) else item for item in items or []]
    if len(paths) != n_inputs or not all(isinstance(path, str | os.PathLike) for path in paths):
        raise ImageTextError(
            "dataset_id: the cache cannot tell these inputs by their files; give a dataset_id "
            "that stands for these inputs in this order, such as 'imagenet-val'."
        )
    files = []
    for place, path in enumerate(paths):
        try:
            state = os.stat(path)  # noqa: PTH116
        except OSError as error:
            raise ImageTextError(f"data: input {place} cannot be read ({error}).") from error
        files.append([os.path.abspath(path), state.st_size, state.st_mtime_ns])  # noqa: PTH100
    # A torchvision dataset may change what is in its files.
    return [files, repr(getattr(data, "transform", None))]


def read_image(data: Any, place: int) -> Image.Image:
    """Open an input as an upright RGB image.

    Parameters
    ----------
    data : sequence or dataset
        Paths, images, or a dataset of them.
    place : int
        Which input.

    Returns
    -------
    PIL.Image.Image
        The image, turned by its EXIF orientation.

    Raises
    ------
    ImageTextError
        If it cannot be decoded; the input is named.
    """
    where = f"input {place}"
    try:
        item = data[place]
        if isinstance(item, tuple | list) and item:
            item = item[0]
        if isinstance(item, str | os.PathLike):
            where = f"input {place}, {os.fspath(item)}"
            with Image.open(item) as image:
                return _upright(image)
        if isinstance(item, np.ndarray) and item.dtype == np.uint8:
            item = Image.fromarray(item)
        if isinstance(item, Image.Image):
            return _upright(item)
    except (OSError, SyntaxError, ValueError, TypeError, Image.DecompressionBombError) as error:
        raise ImageTextError(
            f"data: {where}: no image can be decoded ({error}); replace it or leave it out."
        ) from error
    raise ImageTextError(
        f"data: {where} is a {type(item).__name__}, expected a path, a PIL image or a uint8 array "
        "(height, width, 3); leave out transforms that make tensors."
    )


def _upright(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise ValueError(f"found mode {image.mode!r}; convert it to 8 bits per channel")
    return ImageOps.exif_transpose(image).convert("RGB")
