"""What a researcher says of a token of the API."""

from django import forms

from annotation.models import Scope
from annotation.services.tokens import DEFAULT_DAYS, MAX_DAYS, MAX_NAME


class TokenForm(forms.Form):
    """What a token is for, what it may do, how long."""

    name = forms.CharField(
        max_length=MAX_NAME, label="Name", help_text="What it is for: a script, a notebook."
    )
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        label="It may",
        initial=[Scope.READ],
        help_text="Writing and paying include reading. It can never do more than you can.",
    )
    days = forms.IntegerField(
        min_value=1,
        max_value=MAX_DAYS,
        initial=DEFAULT_DAYS,
        label="Days it is valid",
        help_text=f"At most {MAX_DAYS}.",
    )
