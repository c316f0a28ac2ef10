"""What raters send with forms: read and checked here, written by the services."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from django import forms
from django.utils.translation import gettext_lazy

from annotation.models import RatingValue, Study
from annotation.models.rater import MAX_NICKNAME

ITEM_FIELD = "item-"


class ConsentForm(forms.Form):
    """The two buttons of the entry page, and what a volunteer wants to be called."""

    consent = forms.ChoiceField(
        choices=[("yes", "yes"), ("no", "no")],
        error_messages={
            name: gettext_lazy("Choose one of the two buttons to go on.")
            for name in ("required", "invalid_choice")
        },
    )
    nickname = forms.CharField(
        required=False,
        max_length=MAX_NICKNAME,
        error_messages={
            "max_length": gettext_lazy("This name is too long: at most %(limit_value)d characters.")
        },
    )

    def clean(self) -> dict[str, object]:
        """Add ``consents``: whether the rater agrees."""
        cleaned: dict[str, object] = super().clean() or {}
        cleaned["consents"] = cleaned.get("consent") == "yes"
        return cleaned


class ScreeningForm(forms.Form):
    """The screening questions of a study, a group of choices each."""

    def __init__(self, study: Study, data: Mapping[str, str] | None = None) -> None:
        super().__init__(data)
        for question in study.screening_questions.all():
            self.fields[f"screening-{question.position}"] = forms.ChoiceField(
                label=question.text,
                choices=[(choice, choice) for choice in question.choices],
                widget=forms.RadioSelect,
                error_messages={
                    name: gettext_lazy("Choose one of the answers.")
                    for name in ("required", "invalid_choice")
                },
            )

    def answers(self) -> dict[int, str]:
        """Return the choices by the positions of their questions; the form must be valid."""
        return {
            int(name.removeprefix("screening-")): value for name, value in self.cleaned_data.items()
        }


class AnswerForm(forms.Form):
    """One answer, to a training item."""

    value = forms.ChoiceField(choices=RatingValue.choices)


def answers_given(data: Mapping[str, str], items: Iterable[UUID]) -> dict[UUID, str]:
    """Read the answers of a plain task form.

    Parameters
    ----------
    data : mapping of str to str
        The form data; the answer to an item is in ``item-<public id>``.
    items : iterable of UUID
        Public ids of the task's items.

    Returns
    -------
    dict of UUID to str
        Only the items that were answered, in the order of `items`.
    """
    given = {item: data.get(f"{ITEM_FIELD}{item}", "") for item in items}
    return {item: value for item, value in given.items() if value}
