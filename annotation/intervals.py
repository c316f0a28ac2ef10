"""What the intervals of each aggregation cover, said wherever a score is shown or exported."""

from annotation.models import Aggregation

SAMPLING_ERROR = "sampling_error"
SAMPLING_ERROR_AND_LABELS = "sampling_error_and_label_uncertainty"

_LEFT_OUT = (
    "The interval covers the sampling error alone: that only a sample of the inputs was rated. "
    "It leaves out how far the labels by {labels} are off, so it holds the true score less often "
    "than its level says. The interval to quote is that of the hierarchical model."
)
_NOTES = {
    Aggregation.MAJORITY: _LEFT_OUT.format(labels="majority vote"),
    Aggregation.MEAN: _LEFT_OUT.format(labels="mean rating"),
    Aggregation.DAWID_SKENE: _LEFT_OUT.format(labels="the model of Dawid and Skene"),
    Aggregation.BRAGG: _LEFT_OUT.format(labels="BRAgg's closed form"),
    Aggregation.HIERARCHICAL: (
        "The interval covers the sampling error and how unsure the hierarchical model is of the "
        "labels, given raters who err: the interval to quote."
    ),
}


def interval_covers(aggregation: str) -> str:
    """Name the errors that the intervals of an aggregation cover.

    Parameters
    ----------
    aggregation : str
        One of `Aggregation`.

    Returns
    -------
    str
        ``"sampling_error"`` or ``"sampling_error_and_label_uncertainty"``. The closed forms take
        their labels as given; the hierarchical model's posterior draws carry the doubt in them.
    """
    if Aggregation(aggregation) == Aggregation.HIERARCHICAL:
        return SAMPLING_ERROR_AND_LABELS
    return SAMPLING_ERROR


def interval_note(aggregation: str) -> str:
    """Say in plain words what the intervals of an aggregation cover and leave out.

    Parameters
    ----------
    aggregation : str
        One of `Aggregation`.

    Returns
    -------
    str
        Two or three sentences.
    """
    return _NOTES[Aggregation(aggregation)]
