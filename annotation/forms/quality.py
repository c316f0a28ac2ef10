"""What a researcher says of the quality of a study: rules, known answers, decisions."""

from typing import Any

from django import forms

from annotation.models import (
    GoldUse,
    QualityPolicy,
    RatingValue,
    ReviewDecision,
    ReviewReason,
    Study,
)
from annotation.queries.quality import FILTERS
from annotation.services.gold import NewGoldAnswer
from annotation.services.gold_suggestions import MAX_EACH, SOURCES
from annotation.services.notes import NOTE_LENGTH
from annotation.services.quality import POLICY_FIELDS, policy_fields_editable

#: Heading, a sentence on it, and its fields, in the order of the page.
SECTIONS = (
    (
        "Tasks of a rater",
        "How much one person does, and in which order.",
        ("tasks_per_rater", "items_per_concept", "bundle_concepts"),
    ),
    (
        "Gold items",
        (
            "Items with a known answer, hidden among the others; they measure raters and are never "
            "part of a score."
        ),
        (
            "gold_per_task",
            "gold_exposure_cap",
            "gold_minimum_accuracy",
            "gold_minimum_answers",
        ),
    ),
    (
        "Training",
        "Before the first task, with feedback; its items are known answers for training.",
        ("training_items", "training_pass_mark", "training_attempts"),
    ),
    (
        "Attention checks",
        (
            "Pages between tasks that name the answer to choose. Panels allow them only in studies "
            "of at least five minutes, and only the second failure may have consequences."
        ),
        ("attention_checks", "attention_failures"),
    ),
    (
        "Who is looked at",
        "Raters who cross these lines wait for a person's decision; nothing is excluded by itself.",
        ("minimum_response_ms", "straight_line_items"),
    ),
)
SUGGESTION_PREFIX = "answer-"


class PolicyForm(forms.ModelForm):  # type: ignore[type-arg]
    """The quality policy, as far as it may change in the study's present state."""

    class Meta:
        model = QualityPolicy
        fields = sorted(POLICY_FIELDS)
        labels = {
            "tasks_per_rater": "Tasks a rater",
            "items_per_concept": "Items of one concept a rater",
            "bundle_concepts": "Concept by concept",
            "gold_per_task": "Gold items a task",
            "gold_exposure_cap": "Tasks one gold item may be in",
            "gold_minimum_accuracy": "Least share of right gold answers",
            "gold_minimum_answers": "Gold answers before that counts",
            "training_items": "Training items",
            "training_pass_mark": "Right answers to pass",
            "training_attempts": "Attempts",
            "attention_checks": "Attention checks a rater",
            "attention_failures": "Failures that end it",
            "minimum_response_ms": "Fastest median answer (ms)",
            "straight_line_items": "Same answer in a row",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        editable = policy_fields_editable(self.instance.study)
        for name, field in self.fields.items():
            field.disabled = name not in editable

    @property
    def is_locked(self) -> bool:
        """Whether nothing may change any more."""
        return all(field.disabled for field in self.fields.values())

    def values(self) -> dict[str, Any]:
        """Give the fields that may change, as the service takes them."""
        return {
            name: value
            for name, value in self.cleaned_data.items()
            if not self.fields[name].disabled
        }

    def sections(self) -> list[dict[str, Any]]:
        """Group the fields as the page shows them."""
        return [
            {"title": title, "text": text, "fields": [self[name] for name in names]}
            for title, text, names in SECTIONS
        ]


class RatersFilterForm(forms.Form):
    """What the table of raters is narrowed to."""

    show = forms.ChoiceField(choices=list(FILTERS.items()), required=False)
    rater = forms.CharField(max_length=40, required=False)


class DecisionForm(forms.Form):
    """A decision on an entry of the review queue."""

    decision = forms.ChoiceField(
        choices=[
            (value, label)
            for value, label in ReviewDecision.choices
            if value != ReviewDecision.OPEN
        ]
    )
    note = forms.CharField(max_length=NOTE_LENGTH, required=False)


class NoteForm(forms.Form):
    """A note, with what it is about."""

    note = forms.CharField(
        max_length=NOTE_LENGTH, label="Note", help_text="It stands in the study's log."
    )


class ExclusionForm(forms.Form):
    """Why a rater's ratings are taken out."""

    reason = forms.ChoiceField(
        choices=ReviewReason.choices, initial=ReviewReason.REPORTED, label="Reason"
    )
    note = forms.CharField(max_length=NOTE_LENGTH, required=False, label="Note")


class DeletionForm(forms.Form):
    """The start of the rater's id, typed, so that nobody deletes by a slip."""

    typed = forms.CharField(max_length=40, label="The rater's id, as it is shown above")
    note = forms.CharField(
        max_length=NOTE_LENGTH, required=False, label="Note", help_text="How the request came."
    )

    def __init__(self, *args: Any, pseudonym: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pseudonym = pseudonym

    def clean_typed(self) -> str:
        """Compare with the rater's."""
        typed: str = self.cleaned_data["typed"].strip().lower()
        if typed != self._pseudonym:
            raise forms.ValidationError(f"This is not {self._pseudonym}; nothing was deleted.")
        return typed


class GoldFileForm(forms.Form):
    """A CSV file of known answers."""

    file = forms.FileField(
        label="CSV file",
        help_text="Columns concept, input (index or file name), value (present or absent), and, "
        "where wanted, use (hidden, training, example) and feedback.",
    )


class GoldSuggestForm(forms.Form):
    """Where suggestions of known answers come from, and how many."""

    source = forms.ChoiceField(
        choices=[
            (SOURCES[0], "reference labels"),
            (SOURCES[1], "extremes of the concept prior"),
        ],
        label="From",
    )
    n_each = forms.IntegerField(
        min_value=1, max_value=MAX_EACH, initial=5, label="Of each answer, for each concept"
    )
    use = forms.ChoiceField(choices=GoldUse.choices, label="For")

    def __init__(self, *args: Any, study: Study, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if study.reference_id is None:
            source = self.fields["source"]
            assert isinstance(source, forms.ChoiceField)  # noqa: S101
            source.choices = [(SOURCES[1], "extremes of the concept prior")]


class GoldRemoveForm(forms.Form):
    """Which known answers are taken out."""

    answer = forms.TypedMultipleChoiceField(coerce=int)

    def __init__(self, *args: Any, study: Study, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["answer"]
        assert isinstance(field, forms.TypedMultipleChoiceField)  # noqa: S101
        field.choices = [(pk, str(pk)) for pk in study.gold_answers.values_list("pk", flat=True)]


def suggestions_confirmed(data: Any, concepts: dict[int, str], use: str) -> list[NewGoldAnswer]:
    """Read which suggestions a person confirmed, each with the answer that they gave.

    Parameters
    ----------
    data : QueryDict
        ``answer-<concept>-<input>`` is present, absent, or anything else for left out;
        ``feedback-<concept>-<input>`` says why.
    concepts : dict
        Texts of the study's concepts by primary key; others are left out.
    use : str
        One of `GoldUse`.

    Returns
    -------
    list of NewGoldAnswer
    """
    confirmed = []
    for name in data:
        parts = name.removeprefix(SUGGESTION_PREFIX).split("-")
        if not name.startswith(SUGGESTION_PREFIX) or len(parts) != 2:
            continue
        if not all(part.isdecimal() and len(part) < 16 for part in parts):
            continue
        concept, index = (int(part) for part in parts)
        value = data[name]
        if concept in concepts and value in (RatingValue.PRESENT, RatingValue.ABSENT):
            feedback = data.get(f"feedback-{concept}-{index}", "")
            confirmed.append(NewGoldAnswer(concepts[concept], index, value, use, feedback))
    return confirmed
