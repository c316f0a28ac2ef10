"""What raters send with forms: read and checked here, written by the services."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from django import forms

ITEM_FIELD = "item-"


class ConsentForm(forms.Form):
    """The two buttons of the entry page."""

    consent = forms.ChoiceField(choices=[("yes", "I agree"), ("no", "I do not agree")])


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
