"""What people send with forms: read and checked here, written by the services."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from django import forms

from annotation.models import Aggregation, ExplanationMethod, Neuron, Study

ITEM_FIELD = "item-"


class ConsentForm(forms.Form):
    """The two buttons of the entry page."""

    consent = forms.ChoiceField(choices=[("yes", "I agree"), ("no", "I do not agree")])


class AggregationForm(forms.Form):
    """Which aggregation a researcher looks at or asks for."""

    aggregation = forms.ChoiceField(choices=Aggregation.choices)


class ExplanationFilterForm(forms.Form):
    """Neuron and method that the table of explanations is narrowed to."""

    neuron = forms.ModelChoiceField(Neuron.objects.none(), required=False)
    method = forms.ModelChoiceField(ExplanationMethod.objects.none(), required=False)

    def __init__(self, data: Mapping[str, str], *, study: Study) -> None:
        super().__init__(data)
        self.neurons = (
            Neuron.objects.filter(explanations__study=study)
            .select_related("activations")
            .distinct()
        )
        self.methods = ExplanationMethod.objects.filter(explanations__study=study).distinct()
        for name, queryset in (("neuron", self.neurons), ("method", self.methods)):
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)  # noqa: S101
            field.queryset = queryset


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
