"""What a researcher chooses on the study page."""

from collections.abc import Mapping

from django import forms

from annotation.models import Aggregation, ExplanationMethod, Neuron, Study


class AggregationForm(forms.Form):
    """Which aggregation a researcher looks at or asks for."""

    aggregation = forms.ChoiceField(choices=Aggregation.choices)


class RunForm(forms.Form):
    """Which estimate run a researcher cancels."""

    run = forms.UUIDField()


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
