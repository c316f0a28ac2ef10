"""What a researcher says of a further round."""

from collections.abc import Mapping
from typing import Any

from django import forms

from annotation.models import RoundDesign, Study
from annotation.queries.rounds import USUAL_HALF_WIDTH
from annotation.services.round_plan import MAX_DRAWS

#: Draws a pair that the form begins with: a third of a usual launch.
USUAL_DRAWS = 60


class RoundForm(forms.Form):
    """Which round to plan."""

    design = forms.ChoiceField(label="Inputs")
    n_draws = forms.IntegerField(label="Draws a pair", min_value=1, max_value=MAX_DRAWS)
    half_width = forms.FloatField(
        label="Only where half the interval is above",
        min_value=0.001,
        max_value=1,
        required=False,
        help_text=f"On the scale of scores; {USUAL_HALF_WIDTH} is usual, empty: every pair.",
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, study: Study) -> None:
        super().__init__(
            data,
            initial={
                "design": RoundDesign.ADAPTIVE,
                "n_draws": min(USUAL_DRAWS, study.inputs_per_pair),
                "half_width": USUAL_HALF_WIDTH,
            },
        )
        own = RoundDesign(study.sampling_design)
        field = self.fields["design"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101
        field.choices = [
            (RoundDesign.ADAPTIVE.value, "adaptive: where doubt is left"),
            (own.value, "as at the launch"),
        ]


class RoundConfirmForm(RoundForm):
    """The round that was looked at, and what it may ask for at most."""

    number = forms.IntegerField(min_value=2, max_value=10_000, widget=forms.HiddenInput)
    max_ratings = forms.IntegerField(min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput)
