"""What a researcher says of a study's channels, of access to Prolific, and of money."""

from decimal import Decimal
from typing import Any

from django import forms

from annotation.models import CODED_OUTCOMES, Channel, Outcome, Recruitment, SubmissionStatus
from annotation.queries.money import USUAL_FEES
from annotation.recruitment.prolific import REJECTION_CATEGORIES, SHORTEST_REJECTION


def _money_field(label: str, help_text: str, **options: Any) -> forms.DecimalField:
    return forms.DecimalField(
        label=label, help_text=help_text, decimal_places=2, max_digits=8, min_value=0, **options
    )


class DirectForm(forms.Form):
    """The volunteers' link."""

    active = forms.BooleanField(
        required=False, label="Take new raters", help_text="While the study is open."
    )
    places = forms.IntegerField(
        min_value=0, max_value=100_000, label="Places", help_text="0: as many as come."
    )

    @staticmethod
    def initial_of(recruitment: Recruitment) -> dict[str, Any]:
        """Read the present values."""
        return {"active": recruitment.active, "places": recruitment.places}

    def fields_of(self) -> dict[str, Any]:
        """Write the values as `recruitment_set` takes them."""
        return dict(self.cleaned_data)


class PayForm(DirectForm):
    """What the raters of a panel are paid."""

    reward = _money_field("Reward", "For a rater who completes, in pounds, dollars, euros.")
    fee_percent = forms.DecimalField(
        label="Panel's fee, %",
        min_value=0,
        max_value=100,
        decimal_places=2,
        help_text=f"Taxes included. Prolific: {' or '.join(USUAL_FEES)} before tax.",
    )
    estimated_minutes = forms.IntegerField(
        label="Minutes",
        min_value=1,
        max_value=600,
        help_text="How long a rater takes, all pages included.",
    )

    @staticmethod
    def initial_of(recruitment: Recruitment) -> dict[str, Any]:
        """Read the present values."""
        return {
            **DirectForm.initial_of(recruitment),
            "reward": Decimal(recruitment.reward_minor) / 100,
            "fee_percent": recruitment.fee_percent,
            "estimated_minutes": recruitment.estimated_minutes,
        }

    def fields_of(self) -> dict[str, Any]:
        """Write the values as `recruitment_set` takes them."""
        values = dict(self.cleaned_data)
        reward = values.pop("reward")
        return {**values, "reward_minor": int(reward * 100)}


class ProlificForm(PayForm):
    """Prolific's channel."""

    require_signature = forms.BooleanField(
        required=False,
        label="Only signed links",
        help_text="Prolific signs its links; a bare id in a link can be typed by anybody.",
    )
    field_order = (
        "active",
        "require_signature",
        "places",
        "reward",
        "fee_percent",
        "estimated_minutes",
    )

    @staticmethod
    def initial_of(recruitment: Recruitment) -> dict[str, Any]:
        """Read the present values."""
        return {
            **PayForm.initial_of(recruitment),
            "require_signature": recruitment.require_signature,
        }


class PanelForm(PayForm):
    """Any other panel: ids come in, a code goes out."""

    id_parameter = forms.CharField(
        max_length=60,
        label="Parameter with the rater's id",
        help_text="As the panel names it in the link: participantId, id, ...",
    )
    submission_parameter = forms.CharField(
        max_length=60,
        required=False,
        label="Parameter with the visit's id",
        help_text="Where the panel sends one.",
    )
    completion_url = forms.CharField(
        max_length=500,
        required=False,
        label="Address at the end",
        help_text="Where raters go back to; {code} and {id} are filled in. Empty: the code alone.",
    )

    @staticmethod
    def initial_of(recruitment: Recruitment) -> dict[str, Any]:
        """Read the present values."""
        return {
            **PayForm.initial_of(recruitment),
            "id_parameter": recruitment.id_parameter,
            "submission_parameter": recruitment.submission_parameter,
            "completion_url": recruitment.completion_url,
        }


#: Prolific's categories in words.
REJECTIONS = {
    "TOO_QUICKLY": "done too quickly",
    "TOO_SLOWLY": "done too slowly",
    "FAILED_INSTRUCTIONS": "did not follow the instructions",
    "INCOMP_LONGITUDINAL": "did not do all parts of a longitudinal study",
    "FAILED_CHECK": "failed attention checks",
    "LOW_EFFORT": "little effort",
    "MALINGERING": "pretended",
    "NO_CODE": "no completion code",
    "BAD_CODE": "wrong completion code",
    "NO_DATA": "no answers here",
    "UNSUPP_DEVICE": "device that is not supported",
    "OTHER": "another reason",
}

FORMS: dict[str, type[DirectForm]] = {
    Channel.DIRECT: DirectForm,
    Channel.PROLIFIC: ProlificForm,
    Channel.PANEL: PanelForm,
}


class CodesForm(forms.Form):
    """One code for each outcome."""

    def __init__(self, *args: Any, codes: dict[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for outcome in CODED_OUTCOMES:
            self.fields[outcome.value] = forms.CharField(
                max_length=32,
                label=str(Outcome(outcome).label).capitalize(),
                initial=codes.get(outcome, ""),
            )


class CredentialForm(forms.Form):
    """Access to Prolific. The token is written, and never shown."""

    name = forms.CharField(max_length=80, label="Name", help_text="To tell tokens apart.")
    token = forms.CharField(
        max_length=500,
        label="Token",
        help_text="From Prolific's page of API tokens. Stored encrypted, never shown again.",
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    workspace_id = forms.CharField(
        max_length=60,
        required=False,
        label="Workspace id",
        help_text="For the balance and for webhooks.",
    )


class CredentialChoiceForm(forms.Form):
    """Which of the researcher's own tokens a study uses."""

    credential = forms.IntegerField()


class PlacesForm(forms.Form):
    """How many places there shall be in all."""

    places = forms.IntegerField(
        min_value=1, max_value=100_000, label="Places in all", help_text="They can only grow."
    )


class SubmissionsForm(forms.Form):
    """Which submissions are meant."""

    submission = forms.TypedMultipleChoiceField(coerce=int, choices=[], required=True)

    def __init__(self, *args: Any, ids: list[int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["submission"]
        assert isinstance(field, forms.TypedMultipleChoiceField)  # noqa: S101
        field.choices = [(pk, str(pk)) for pk in ids]


class SubmissionFilterForm(forms.Form):
    """Which state of submissions to look at."""

    status = forms.ChoiceField(
        choices=[("", "all"), *SubmissionStatus.choices], required=False, label="State"
    )


class BonusForm(forms.Form):
    """A bonus for each of the chosen submissions."""

    amount = _money_field("Bonus for each", "The panel's fee comes on top.")
    key = forms.CharField(max_length=64, widget=forms.HiddenInput)

    def clean_amount(self) -> int:
        """Turn the amount into minor units."""
        amount: Decimal = self.cleaned_data["amount"]
        if amount <= 0:
            raise forms.ValidationError("Give more than 0.")
        return int(amount * 100)


class RejectionForm(forms.Form):
    """Why one submission is not paid."""

    category = forms.ChoiceField(
        # none is chosen beforehand: a rejection follows a rater, and is for a reason of its own
        choices=[("", "Choose one"), *((name, REJECTIONS[name]) for name in REJECTION_CATEGORIES)],
        label="Category",
    )
    message = forms.CharField(
        min_length=SHORTEST_REJECTION,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 4}),
        label="Reason",
        help_text=f"The rater reads it; at least {SHORTEST_REJECTION} characters.",
    )
