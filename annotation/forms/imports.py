"""A file of old ratings, and what it does not say itself."""

from typing import Any

from django import forms

from annotation.models import RatingValue
from annotation.rating_files import RatingFileOptions


def _labels_field(label: str, help_text: str) -> forms.CharField:
    return forms.CharField(max_length=2000, required=False, label=label, help_text=help_text)


class RatingImportForm(forms.Form):
    """Ratings that were given elsewhere.

    Parameters
    ----------
    waiting : bool
        Whether a file was sent before, so that none is needed now.
    """

    file = forms.FileField(
        help_text="CSV, JSON lines or Parquet: our own export, crowd-kit's task, worker, label, or "
        "a result file of Mechanical Turk."
    )
    concept = forms.CharField(
        max_length=500,
        required=False,
        help_text="Of every row, where the file has no column for it.",
    )
    present = _labels_field(
        "Labels that mean present",
        "Separated by commas, such as: yes, true. Without any, 1 and 0 and our own words are "
        "understood.",
    )
    absent = _labels_field("Labels that mean absent", "Such as: no, false.")
    cannot_tell = _labels_field("Labels that mean cannot tell", "Such as: unsure, skip.")
    input_column = forms.CharField(
        max_length=200,
        required=False,
        label="Column of the input",
        help_text="Mechanical Turk alone: Input.image stands for Input.image1, Input.image2, ...",
    )
    concept_column = forms.CharField(
        max_length=200, required=False, label="Column of the concept", help_text="Mechanical Turk."
    )
    answer_column = forms.CharField(
        max_length=200, required=False, label="Column of the answer", help_text="Mechanical Turk."
    )

    def __init__(self, *args: Any, waiting: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["file"].required = not waiting

    def clean(self) -> dict[str, Any]:
        """Turn the three lists of labels into one mapping; a label means one thing."""
        cleaned = super().clean() or self.cleaned_data
        labels: dict[str, str] = {}
        for value in RatingValue.values:
            for label in str(cleaned.get(value, "")).split(","):
                if not label.strip():
                    continue
                if labels.setdefault(label.strip(), value) != value:
                    self.add_error(
                        value, f"{label.strip()!r} is in two of the lists; keep it in one."
                    )
        cleaned["labels"] = labels
        return cleaned

    def options(self) -> dict[str, Any]:
        """Give what the file does not say, as JSON values.

        Returns
        -------
        dict
            For `RatingFileOptions`.
        """
        names = ("concept", "labels", "input_column", "concept_column", "answer_column")
        return {name: self.cleaned_data[name] for name in names}


def options_shown(options: RatingFileOptions) -> dict[str, str]:
    """Write options as the form shows them.

    Parameters
    ----------
    options : RatingFileOptions
        As they were read.

    Returns
    -------
    dict of str to str
        Initial values of `RatingImportForm`.
    """
    lists = {
        value: ", ".join(label for label, meant in options.labels.items() if meant == value)
        for value in RatingValue.values
    }
    return {
        "concept": options.concept,
        "input_column": options.input_column,
        "concept_column": options.concept_column,
        "answer_column": options.answer_column,
        **lists,
    }
