"""What can be asked of an image-text model: texts in a prompt, and a kind of probabilities."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from neuron_eval.calibration import Calibration
from neuron_eval.image_text_model import ImageTextError

Probabilities = Literal["sigmoid", "softmax"]


def checked_texts(texts: Sequence[str], template: str) -> tuple[str, ...]:
    """Check the texts of concepts and the prompt that they go into.

    Parameters
    ----------
    texts : sequence of str
        Texts of the concepts.
    template : str
        The prompt.

    Returns
    -------
    tuple of str
        The texts.

    Raises
    ------
    ImageTextError
        If a text is blank or repeated, there is none, or the template has no place for it.
    """
    if template.count("{}") != 1:
        raise ImageTextError(
            f"template: found {template!r}, expected '{{}}' in it once, where the text goes."
        )
    if isinstance(texts, str) or len(texts) == 0:
        raise ImageTextError(f"texts: found {texts!r}, expected a list of at least one text.")
    for place, text in enumerate(texts):
        if not isinstance(text, str) or not text.strip():
            raise ImageTextError(f"texts: text {place} is {text!r}, expected some words.")
    repeated = next((text for text, count in Counter(texts).items() if count > 1), None)
    if repeated is not None:
        raise ImageTextError(f"texts: {repeated!r} stands there more than once; remove one.")
    return tuple(texts)


def probability_kind(
    texts: tuple[str, ...],
    has_bias: bool,
    wanted: Probabilities | None,
    calibration: Calibration | None,
) -> str:
    """Say how probabilities are made of logits, or why they cannot be.

    Parameters
    ----------
    texts : tuple of str
        Texts of the concepts.
    has_bias : bool
        Whether the model has a logit bias, as SigLIP has.
    wanted : {"sigmoid", "softmax"} or None
        What was asked for.
    calibration : Calibration or None
        The calibration.

    Returns
    -------
    str
        ``"sigmoid"``, ``"softmax"``, or the kind of the calibration.

    Raises
    ------
    ImageTextError
        If the calibration is for other concepts, or what was asked for makes no sense for the
        model or with a calibration.
    """
    if calibration is not None:
        if wanted == "softmax":
            raise ImageTextError(
                "probabilities: found 'softmax' with a calibration, which applies to logits; "
                "leave one of them out."
            )
        if calibration.per_concept and (
            len(calibration.curves) != len(texts) or calibration.names not in (None, texts)
        ):
            raise ImageTextError(
                "calibration: its curves belong to other concepts than the texts; fit it for "
                "these, or use one curve for all (per_concept=False)."
            )
        return calibration.kind
    kind = wanted or ("sigmoid" if has_bias else "softmax")
    if kind == "sigmoid" and not has_bias:
        raise ImageTextError(
            "probabilities: found 'sigmoid' for a model without a logit bias, such as CLIP, "
            "whose sigmoid is near 1 for every pair; give a calibration, or use 'softmax'."
        )
    if kind == "softmax" and len(texts) < 2:
        raise ImageTextError(
            "texts: found one text, of which a softmax is always 1; add texts to tell it "
            "apart from, or give a calibration."
        )
    return kind
