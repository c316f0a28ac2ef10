"""The words of the rating pages that depend on what is shown: images or texts.

Whole sentences for each, because other languages bend more than the noun.
"""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from annotation.models import Modality, Study

Text = str | Promise

#: As `Study.question` has it when nobody wrote another one.
DEFAULT_QUESTION = Study().question

CHOICES = (
    {"value": "present", "label": gettext_lazy("Present"), "key": "Y"},
    {"value": "absent", "label": gettext_lazy("Absent"), "key": "N"},
    {"value": "cannot_tell", "label": gettext_lazy("Cannot tell"), "key": "U"},
)


@dataclass(frozen=True)
class Wording:
    """What the pages say of the inputs; ``{number}``, ``{count}`` and ``{answer}`` are filled in.

    Attributes
    ----------
    lead, layout, one_large, present, absent, cannot_tell
        Of the entry page and the instructions.
    position, place, answered, undone, all_answered, all_items
        Of the task page and its script.
    example
        Name of an example.
    """

    lead: Text
    layout: Text
    one_large: Text
    present: Text
    absent: Text
    cannot_tell: Text
    position: Text
    place: Text
    answered: Text
    undone: Text
    all_answered: Text
    all_items: Text
    example: Text


IMAGES = Wording(
    lead=gettext_lazy("You look at images and say what is in them. You need no special knowledge."),
    layout=gettext_lazy(
        "Layout of a task: the image is large, its three answers are below it, all images of the "
        "task are beside it"
    ),
    one_large=gettext_lazy(
        "One image is large; after your answer the next one comes by itself. You can go back to "
        "any image and change its answer until you submit the task."
    ),
    present=gettext_lazy("you see it in the image"),
    absent=gettext_lazy("you do not see it"),
    cannot_tell=gettext_lazy("the image does not show enough to say, or it cannot be shown"),
    position=gettext_lazy("image {number} of {count}"),
    place=gettext_lazy("Image {number} of {count}"),
    answered=gettext_lazy("Image {number}: {answer}"),
    undone=gettext_lazy("Taken back: image {number}"),
    all_answered=gettext_lazy("All images are answered. Press Enter to submit."),
    all_items=gettext_lazy("All images of this task"),
    example=gettext_lazy("Example image, to be judged by eye"),
)

TEXTS = Wording(
    lead=gettext_lazy("You read short texts and say what is in them. No special knowledge needed."),
    layout=gettext_lazy(
        "Layout of a task: the text is large, its three answers are below it, all texts of the "
        "task are beside it"
    ),
    one_large=gettext_lazy(
        "One text is shown; after your answer the next one comes by itself. You can go back to "
        "any text and change its answer until you submit the task."
    ),
    present=gettext_lazy("the text contains it; if words are marked, judge the marked words"),
    absent=gettext_lazy("the text does not contain it"),
    cannot_tell=gettext_lazy("the text does not say enough to decide"),
    position=gettext_lazy("text {number} of {count}"),
    place=gettext_lazy("Text {number} of {count}"),
    answered=gettext_lazy("Text {number}: {answer}"),
    undone=gettext_lazy("Taken back: text {number}"),
    all_answered=gettext_lazy("All texts are answered. Press Enter to submit."),
    all_items=gettext_lazy("All texts of this task"),
    example=gettext_lazy("Example text"),
)


def is_text(study: Study) -> bool:
    """Say whether a study's inputs are texts.

    Parameters
    ----------
    study : Study
        Any.

    Returns
    -------
    bool
    """
    return study.dataset.modality == Modality.TEXT


def wording_of(study: Study) -> Wording:
    """Choose the words for a study's inputs.

    Parameters
    ----------
    study : Study
        Any.

    Returns
    -------
    Wording
    """
    return TEXTS if is_text(study) else IMAGES


def question_of(study: Study) -> str:
    """Return the study's question; the default one in the raters' language, fit for its inputs.

    Parameters
    ----------
    study : Study
        Any.

    Returns
    -------
    str
    """
    if study.question != DEFAULT_QUESTION:
        return study.question
    return _("Does this text contain:") if is_text(study) else _("Does this image contain:")


def task_size(study: Study, n: int) -> str:
    """Say how many inputs a task shows.

    Parameters
    ----------
    study : Study
        Any.
    n : int
        How many.

    Returns
    -------
    str
    """
    if is_text(study):
        text = ngettext(
            "One task shows %(n)s text and asks the same question of it.",
            "One task shows %(n)s texts and asks the same question of each.",
            n,
        )
    else:
        text = ngettext(
            "One task shows %(n)s image and asks the same question of it.",
            "One task shows %(n)s images and asks the same question of each.",
            n,
        )
    return text % {"n": n}


def still_missing(study: Study, n: int) -> str:
    """Say how many inputs have no answer; the numbers of them follow.

    Parameters
    ----------
    study : Study
        Any.
    n : int
        How many.

    Returns
    -------
    str
    """
    if is_text(study):
        text = ngettext("%(n)s text has no answer yet:", "%(n)s texts have no answer yet:", n)
    else:
        text = ngettext("%(n)s image has no answer yet:", "%(n)s images have no answer yet:", n)
    return text % {"n": n}


def place(study: Study, number: int) -> str:
    """Name one input of a page, in the middle of a sentence.

    Parameters
    ----------
    study : Study
        Any.
    number : int
        From 1.

    Returns
    -------
    str
    """
    words = _("text {number}") if is_text(study) else _("image {number}")
    return words.format(number=number)


def place_of(study: Study, number: int, count: int) -> str:
    """Name one input among all of a page: "Image 3 of 15".

    Parameters
    ----------
    study : Study
        Any.
    number, count : int
        From 1, and how many there are.

    Returns
    -------
    str
    """
    return str(wording_of(study).place).format(number=number, count=count)


def alternative(study: Study, number: int) -> str:
    """Say in words what a picture is for: a rater judges it by eye.

    Parameters
    ----------
    study : Study
        Any.
    number : int
        From 1.

    Returns
    -------
    str
    """
    words = _("Text {number}") if is_text(study) else _("Image {number}, to be judged by eye")
    return words.format(number=number)
