"""What the intervals of each aggregation cover, said wherever a score is shown or exported."""

from annotation.models import Aggregation

SAMPLING_ERROR = "sampling_error"
SAMPLING_ERROR_AND_LABELS = "sampling_error_and_label_uncertainty"

_ALONE = (
    "The interval covers the sampling error alone: that only a sample of the inputs was rated. "
    "It leaves out how far the labels by {labels} are off, so it holds the true score less often "
    "than its level says. The interval to quote is that of the hierarchical model."
)
_GIVEN = (
    "The interval covers the sampling error and how unsure {labels} is of each label. It takes "
    "{given} as given and leaves out that they may be wrong, so it holds the true score less often "
    "than its level says. The interval to quote is that of the hierarchical model."
)
_NOTES = {
    Aggregation.MAJORITY: _ALONE.format(labels="majority vote"),
    Aggregation.MEAN: _ALONE.format(labels="mean rating"),
    Aggregation.DAWID_SKENE: _GIVEN.format(
        labels="the model of Dawid and Skene", given="the raters' error rates that it found"
    ),
    Aggregation.BRAGG: _GIVEN.format(
        labels="BRAgg's closed form", given="its error rate and the concept prior"
    ),
    Aggregation.HIERARCHICAL: (
        "The interval covers the sampling error and how unsure the hierarchical model is of the "
        "labels, given raters who err: the interval to quote."
    ),
}
_SURE = (Aggregation.MAJORITY, Aggregation.MEAN)


def interval_covers(aggregation: str) -> str:
    """Name the errors that the intervals of an aggregation cover.

    Parameters
    ----------
    aggregation : str
        One of `Aggregation`.

    Returns
    -------
    str
        ``"sampling_error"`` or ``"sampling_error_and_label_uncertainty"``. Votes and means are no
        probabilities of a label; of the others, labels are drawn as their probabilities say.
    """
    return SAMPLING_ERROR if Aggregation(aggregation) in _SURE else SAMPLING_ERROR_AND_LABELS


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
