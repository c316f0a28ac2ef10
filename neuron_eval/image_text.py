"""Concept vectors from an image-text model: SigLIP, SigLIP 2 or CLIP through `transformers`.

The image tower runs once per probe dataset, and its features can be kept on disk; another set of
texts then costs the text tower only. Needs the extra ``neuronjury[siglip]``.
"""

import copy
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from filelock import FileLock
from scipy.special import expit, softmax

from neuron_eval.activations import MODEL_OUTPUT, Batch, record_activations
from neuron_eval.arrays import load_array, save_array
from neuron_eval.calibration import Calibration
from neuron_eval.image_inputs import inputs_key, n_images, read_image
from neuron_eval.image_text_model import (
    ImageTextError,
    ImageTower,
    digest,
    encode_prompts,
    fingerprint,
    has_logit_bias,
    load_model,
    prompt_tokens,
)
from neuron_eval.image_text_options import Probabilities, checked_texts, probability_kind
from neuron_eval.recording import record_to_folder

FloatArray = npt.NDArray[np.float64]

_ROWS = 8192  # rows of image features that are scored at a time


class ImageTextSource:
    """Concept vectors from an image-text model.

    Parameters
    ----------
    texts : sequence of str
        Texts of the concepts, all different.
    model : str or path-like, default "google/siglip-base-patch16-224"
        Folder of a saved model and processor, or a name on the Hugging Face hub. Weights must be
        safetensors; pickled ones and code from the hub are never loaded.
    template : str, default "This is a photo of {}."
        The prompt; ``{}`` stands for the text. ``"{}"`` gives the texts as they are.
    device : str or torch.device, optional
        Where to run; a GPU if there is one, else the CPU, when None.
    batch_size : int, default 32
        Inputs, or texts, per step.
    cache : path-like, optional
        Folder that keeps image and text features.
    calibration : Calibration, optional
        From logits to probabilities, fitted by `neuron_eval.calibration.fit_calibration`.
    probabilities : {"sigmoid", "softmax"}, optional
        How logits become probabilities without a calibration: each by its sigmoid, or by a
        softmax over the texts. Sigmoid for models with a logit bias (SigLIP) and softmax for
        those without (CLIP) when None.
    progress : callable, optional
        Called with the number of inputs done so far, those of earlier runs included.
    local_files_only : bool, default False
        Never ask the hub; the model must be a folder or in the hub's local cache.
    revision : str, optional
        Branch, tag or commit on the hub.

    Attributes
    ----------
    texts : tuple of str
        Texts of the concepts.
    kind : str
        What makes probabilities of logits: ``"sigmoid"``, ``"softmax"``, or the kind of the
        calibration, ``"platt"`` or ``"isotonic"``.
    calibration : Calibration or None
        The calibration.

    Raises
    ------
    ImageTextError
        If `transformers` is missing, the model cannot be loaded or is no image-text model, or a
        parameter is invalid.

    Notes
    -----
    The logit of image x and text t is exp(s) * cos(x, t) + b with the scale s and the bias b of
    the model; CLIP has no bias. SigLIP is trained with a sigmoid of it [1]_, CLIP with a softmax
    over texts [2]_. Neither is the probability that people call t present in x: the sigmoid is a
    match score and often far too low, and a softmax says which of the given texts fits best, so
    two concepts that are both present share it. Fit a calibration on a few hundred labelled pairs.

    Prompts are put in lower case for models with a logit bias: SigLIP and SigLIP 2 were trained
    on such text, and not all of their tokenizers see to it. SigLIP texts are padded to the
    model's full context, as in training.

    Images are turned by their EXIF orientation and converted to RGB; resizing and normalisation
    are those of the model's processor.

    References
    ----------
    .. [1] X. Zhai, B. Mustafa, A. Kolesnikov and L. Beyer, "Sigmoid loss for language image
       pre-training", ICCV 2023, section 3.2.
    .. [2] A. Radford et al., "Learning transferable visual models from natural language
       supervision", ICML 2021, section 2.3.
    """

    def __init__(
        self,
        texts: Sequence[str],
        model: str | os.PathLike[str] = "google/siglip-base-patch16-224",
        *,
        template: str = "This is a photo of {}.",
        device: str | torch.device | None = None,
        batch_size: int = 32,
        cache: str | os.PathLike[str] | None = None,
        calibration: Calibration | None = None,
        probabilities: Probabilities | None = None,
        progress: Callable[[int], None] | None = None,
        local_files_only: bool = False,
        revision: str | None = None,
    ) -> None:
        if batch_size < 1:
            raise ImageTextError(f"batch_size: found {batch_size!r}, expected at least 1.")
        if probabilities not in (None, "sigmoid", "softmax"):
            raise ImageTextError(
                f"probabilities: found {probabilities!r}, expected 'sigmoid' or 'softmax'."
            )
        checked_texts(texts, template)  # before the model is loaded, which takes long
        if device is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model, self._processor = load_model(
            os.fspath(model), local_files_only=local_files_only, revision=revision
        )
        self._model.to(torch.device(device)).eval()
        self._batch_size = batch_size
        self._cache = None if cache is None else Path(cache)
        self._progress = progress
        self._model_key = "" if cache is None else fingerprint(self._model)
        self._wanted = probabilities
        self._text_features: npt.NDArray[np.float32] | None = None
        self._choose(texts, template, calibration)

    def concept_vectors(self, data: Any, *, dataset_id: str | None = None) -> FloatArray:
        """Give P(concept | image).

        Parameters
        ----------
        data : sequence of path or image, or dataset
            Paths, PIL images or uint8 arrays; or anything with ``len`` and an index whose items
            are such, or tuples that begin with one, as torchvision's datasets are.
        dataset_id : str, optional
            Identifies the inputs and their order in the cache. When None, the paths, sizes and
            times of the files do; data that is not made of files needs it.

        Returns
        -------
        ndarray, shape (n_inputs, n_concepts), float64
            Values in [0, 1].

        Raises
        ------
        ImageTextError
            If an input cannot be decoded (it is named), or the cache needs a `dataset_id`.
        RecordingError, ArrayFileError
            If the cache is damaged.
        """
        logits = self.logits(data, dataset_id=dataset_id)
        if self.calibration is not None:
            return self.calibration.apply(logits)
        for start in range(0, len(logits), _ROWS):
            rows = logits[start : start + _ROWS]
            rows[:] = expit(rows) if self.kind == "sigmoid" else softmax(rows, axis=1)
        return logits

    def logits(self, data: Any, *, dataset_id: str | None = None) -> FloatArray:
        """Give the logits of the model, which a calibration is fitted on.

        Parameters
        ----------
        data, dataset_id
            As in `concept_vectors`.

        Returns
        -------
        ndarray, shape (n_inputs, n_concepts), float64
            Scaled cosine similarity, plus the bias if the model has one.

        Raises
        ------
        ImageTextError, RecordingError, ArrayFileError
            As `concept_vectors`.
        """
        images = self.image_features(data, dataset_id=dataset_id)
        texts = self.text_features().astype(np.float64).T
        scale = float(self._model.logit_scale.detach().exp())
        bias = float(self._model.logit_bias.detach()) if has_logit_bias(self._model) else 0.0
        logits = np.empty((images.shape[0], texts.shape[1]))
        for start in range(0, len(images), _ROWS):
            rows = images[start : start + _ROWS].astype(np.float64)
            logits[start : start + _ROWS] = scale * (rows @ texts) + bias
        return logits

    def image_features(
        self, data: Any, *, dataset_id: str | None = None
    ) -> npt.NDArray[np.float32]:
        """Compute the normalised features of images, or read them from the cache.

        A run that was cut off goes on with the first input that is missing.

        Parameters
        ----------
        data, dataset_id
            As in `concept_vectors`.

        Returns
        -------
        ndarray, shape (n_inputs, n_features), float32
            Rows of length 1; memory-mapped where there is a cache.

        Raises
        ------
        ImageTextError, RecordingError, ArrayFileError
            As `concept_vectors`.
        """
        n_inputs = n_images(data)
        tower = ImageTower(self._model, self._processor.image_processor.model_input_names)

        def batches(done: int) -> Iterator[Batch]:
            for start in range(done, n_inputs, self._batch_size):
                stop = min(start + self._batch_size, n_inputs)
                images = [read_image(data, place) for place in range(start, stop)]
                values = self._processor.image_processor(images, return_tensors="pt")
                yield tuple(values[name] for name in tower.names)

        if self._cache is None:
            recorded = record_activations(
                tower, [MODEL_OUTPUT], batches(0), progress=self._progress
            )
            return recorded[MODEL_OUTPUT].numpy()
        inputs = inputs_key(data, n_inputs) if dataset_id is None else [dataset_id, str(n_inputs)]
        prepared = self._processor.image_processor
        settings = [type(prepared).__name__, prepared.to_dict()]
        key = digest([self._model_key, settings, inputs])
        folder = self._cache / f"images-{key[:32]}"
        self._cache.mkdir(parents=True, exist_ok=True)
        # Two processes would overwrite each other's file; the second finds the first one's work.
        with FileLock(self._cache / f"{folder.name}.lock"):
            recording = record_to_folder(
                folder,
                tower,
                [MODEL_OUTPUT],
                batches,
                n_inputs,
                label=key,
                progress=self._progress,
            )
        if self._progress is not None:
            self._progress(n_inputs)
        return load_array(recording.files[MODEL_OUTPUT], dtype=np.float32)

    def text_features(self) -> npt.NDArray[np.float32]:
        """Compute the normalised features of the texts, or read them from the cache.

        Returns
        -------
        ndarray, shape (n_concepts, n_features), float32
            Rows of length 1.

        Raises
        ------
        ArrayFileError
            If the cache is damaged.

        Warns
        -----
        UserWarning
            If a prompt is longer than the model's context and was cut.
        """
        if self._text_features is not None:
            return self._text_features
        prompts = [self._template.replace("{}", text) for text in self.texts]
        tokens = prompt_tokens(self._model, self._processor, prompts)
        path = None
        if self._cache is not None:
            ids = [[name, values.tolist()] for name, values in sorted(tokens.items())]
            path = self._cache / f"texts-{digest([self._model_key, ids])[:32]}.npy"
        if path is not None and path.exists():
            features = np.array(load_array(path, dtype=np.float32))
        else:
            features = encode_prompts(self._model, tokens, self._batch_size)
            if path is not None:
                save_array(path, features)
        self._text_features = features
        return features

    def with_texts(self, texts: Sequence[str], *, template: str | None = None) -> "ImageTextSource":
        """Give a source of other concepts that shares the loaded model and the cache.

        Parameters
        ----------
        texts : sequence of str
            Texts of the concepts.
        template : str, optional
            The prompt; that of this source when None.

        Returns
        -------
        ImageTextSource
            The source, with the calibration of this one.

        Raises
        ------
        ImageTextError
            If the texts are invalid, or the calibration belongs to other concepts.
        """
        other = copy.copy(self)
        ImageTextSource._choose(
            other, texts, self._template if template is None else template, self.calibration
        )
        return other

    def with_calibration(self, calibration: Calibration | None) -> "ImageTextSource":
        """Give a source with another calibration that shares the loaded model and the cache.

        Parameters
        ----------
        calibration : Calibration or None
            The calibration; none when None.

        Returns
        -------
        ImageTextSource
            The source.

        Raises
        ------
        ImageTextError
            If the calibration does not fit the concepts.
        """
        other = copy.copy(self)
        ImageTextSource._choose(other, self.texts, self._template, calibration)
        return other

    def _choose(self, texts: Sequence[str], template: str, calibration: Calibration | None) -> None:
        self.texts = checked_texts(texts, template)
        self._template = template
        self.calibration = calibration
        self.kind = probability_kind(
            self.texts, has_logit_bias(self._model), self._wanted, calibration
        )
        self._text_features = None
