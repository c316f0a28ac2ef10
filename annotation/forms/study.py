"""What a researcher says of a study: read and checked here, written by services."""

from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.utils.text import slugify

from annotation.models import (
    MAX_REDUNDANCY,
    ConceptMatrix,
    ConceptMatrixRole,
    Modality,
    ProbeDataset,
    Role,
    Study,
    StudyStatus,
)
from annotation.services.study_changes import DRAFT_FIELDS, fields_editable
from annotation.study_texts import CONSENT, INSTRUCTIONS, QUESTIONS

#: Heading, a sentence on it, and its fields, in the order of the page.
SECTIONS = (
    (
        "What is studied",
        "Explanations are added on a page of their own.",
        ("title", "slug", "concept_prior", "reference"),
    ),
    (
        "Sample",
        "The defaults suit most studies; the launch list says how many ratings they need.",
        (
            "sampling_design",
            "inputs_per_pair",
            "redundancy",
            "items_per_task",
            "rating_budget",
            "lease_minutes",
        ),
    ),
    (
        "Texts for raters",
        "Shown as they are written; what the pages add is translated.",
        (
            "language",
            "question",
            "instructions",
            "consent_text",
            "consent_version",
            "debrief",
            "contact",
        ),
    ),
    (
        "Money and eligibility",
        "Channels, rewards and places have a page of their own.",
        ("currency", "spending_cap", "excluded_studies"),
    ),
    (
        "Analysis",
        "Can be computed otherwise at any time; this is what the study quotes.",
        ("aggregation", "estimator", "sampling_parameters", "seed"),
    ),
)

#: Fields that the form asks for in other units than the services take.
FORM_NAMES = {"spending_cap_minor": "spending_cap", "lease_seconds": "lease_minutes"}


class StudyForm(forms.ModelForm):  # type: ignore[type-arg]
    """Every field of a study that may change in its present state."""

    spending_cap = forms.DecimalField(
        label="Spending cap",
        min_value=Decimal("0.01"),
        max_digits=12,
        decimal_places=2,
        required=False,
        help_text="What the study may cost in all, fees included, in the currency. Nothing is ever "
        "booked beyond it. Empty: no paid channel can be used.",
    )
    lease_minutes = forms.IntegerField(
        label="Lease, in minutes",
        min_value=1,
        max_value=7 * 24 * 60,
        initial=30,
        help_text="After this long an unfinished task goes to another rater.",
    )

    class Meta:
        model = Study
        fields = sorted(DRAFT_FIELDS - {"dataset", "spending_cap_minor", "lease_seconds"})
        widgets = {
            "instructions": forms.Textarea(attrs={"rows": 6, "dir": "auto"}),
            "consent_text": forms.Textarea(attrs={"rows": 12, "dir": "auto"}),
            "debrief": forms.Textarea(attrs={"rows": 4, "dir": "auto"}),
            "sampling_parameters": forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        }
        labels = {
            "slug": "Name in addresses",
            "concept_prior": "Concept prior",
            "reference": "Reference labels",
            "inputs_per_pair": "Inputs a pair",
            "items_per_task": "Items a task",
            "consent_text": "Consent text",
            "consent_version": "Version of the consent text",
            "excluded_studies": "Raters of other studies",
            "sampling_parameters": "Parameters of the design (JSON)",
        }
        help_texts = {
            "title": "Raters see it too: let it tell nothing of neurons or methods.",
            "slug": "Part of the raters' link: letters, digits and hyphens. Empty: from the title.",
            "concept_prior": "Concept vectors of a cheap model; they guide sampling and "
            "aggregation.",
            "redundancy": "Ratings an item, by different raters; odd numbers have no ties.",
            "items_per_task": "Items that a rater sees together; 15 take about a minute.",
            "instructions": "Say what counts as present, and what to do in doubtful cases.",
            "consent_text": "What raters agree to. Check it against the rules of your institution.",
            "consent_version": "A change of the text makes a new version by itself.",
            "contact": "An e-mail address for raters' questions.",
            "seed": "Of all random choices: the same seed draws the same inputs.",
        }

    def __init__(
        self, *args: Any, dataset: ProbeDataset, studies: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.is_new = kwargs.get("instance") is None
        study: Study = self.instance
        self.dataset = dataset
        self._matrices()
        excluded = self.fields["excluded_studies"]
        excluded.queryset = (studies or Study.objects.none()).exclude(  # type: ignore[attr-defined]
            pk=study.pk
        )
        excluded.required = False
        self.fields["slug"].required = not self.is_new
        self.fields["language"] = forms.ChoiceField(
            label="Language of the pages", choices=settings.LANGUAGES, initial="en"
        )
        if self.is_new:
            self.initial = {
                "question": QUESTIONS[Modality(dataset.modality)],
                "consent_text": CONSENT,
                "instructions": INSTRUCTIONS,
                "rating_budget": 10_000,
                **self.initial,
            }
        else:
            self.initial["lease_minutes"] = -(-study.lease_seconds // 60)
            if study.spending_cap_minor is not None:
                self.initial["spending_cap"] = Decimal(study.spending_cap_minor) / 100
        editable = _form_names(fields_editable(study))
        for name in set(self.fields) - editable:
            del self.fields[name]
        for field in self.fields.values():
            # sent back beside the fields: what this person changed, not what others did meanwhile
            field.show_hidden_initial = not self.is_new

    def _matrices(self) -> None:
        """Offer matrices over the study's dataset alone."""
        over = ConceptMatrix.objects.filter(dataset=self.dataset).order_by("name")
        for name, role in (
            ("concept_prior", ConceptMatrixRole.PRIOR),
            ("reference", ConceptMatrixRole.REFERENCE),
        ):
            field = self.fields[name]
            field.queryset = over.filter(role=role)  # type: ignore[attr-defined]
            field.label_from_instance = _matrix_label  # type: ignore[attr-defined]
        self.fields["reference"].required = False
        self.fields["reference"].empty_label = "none"  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Fill in what was left to us."""
        cleaned = super().clean() or self.cleaned_data
        if "slug" in self.fields and not cleaned.get("slug"):
            cleaned["slug"] = slugify(cleaned.get("title", ""))[:80].strip("-")
            if not cleaned["slug"]:
                self.add_error("slug", "The title has no letters for it; give a name.")
        return cleaned

    def values(self) -> dict[str, Any]:
        """Give the fields in the form that the services take.

        Returns
        -------
        dict
            Names of `annotation.services.study_changes.DRAFT_FIELDS`.
        """
        values = dict(self.cleaned_data)
        if not self.is_new:  # what was left as the page showed it may have changed meanwhile
            values = {name: values[name] for name in values if name in self.changed_data}
        if "spending_cap" in values:
            cap = values.pop("spending_cap")
            values["spending_cap_minor"] = None if cap is None else int(cap * 100)
        if "lease_minutes" in values:
            values["lease_seconds"] = 60 * values.pop("lease_minutes")
        if "sampling_parameters" in values:
            values["sampling_parameters"] = values["sampling_parameters"] or {}
        if "excluded_studies" in values:
            values["excluded_studies"] = list(values["excluded_studies"])
        if self.is_new or self.instance.status == StudyStatus.DRAFT:
            values["dataset"] = self.dataset
        return values

    def sections(self) -> list[dict[str, Any]]:
        """Group the fields as the page shows them.

        Returns
        -------
        list of dict
            ``title``, ``text`` and ``fields``; sections without a field are left out.
        """
        shown = []
        for title, text, names in SECTIONS:
            fields = [self[name] for name in names if name in self.fields]
            if fields:
                shown.append({"title": title, "text": text, "fields": fields})
        return shown


def _form_names(editable: frozenset[str]) -> set[str]:
    return {FORM_NAMES.get(name, name) for name in editable}


def _matrix_label(matrix: ConceptMatrix) -> str:
    n_concepts = matrix.shape[1]
    return f"{matrix.name} ({n_concepts} concept{'' if n_concepts == 1 else 's'})"


class RedundancyForm(forms.Form):
    """How many ratings an item of a launched study gets, more than before."""

    redundancy = forms.IntegerField(
        min_value=1,
        max_value=MAX_REDUNDANCY,
        label="Ratings an item",
        help_text="By different raters; it can be raised, never lowered.",
    )


class CloneForm(forms.Form):
    """What a copy of a study is called."""

    title = forms.CharField(max_length=200)
    slug = forms.SlugField(
        max_length=80,
        label="Name in addresses",
        help_text="Part of the raters' link: letters, digits and hyphens.",
    )
    seed = forms.IntegerField(
        min_value=0,
        max_value=2**62,
        help_text="The same seed draws the same inputs again; another one draws others.",
    )


class DeleteForm(forms.Form):
    """The study's name, typed."""

    slug = forms.CharField(max_length=80, label="Name of the study", required=False)


class MemberForm(forms.Form):
    """Somebody who shares in a study."""

    username = forms.CharField(
        max_length=150,
        label="User name",
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false"}),
        help_text="Of an account on this site.",
    )
    role = forms.ChoiceField(choices=Role.choices, initial=Role.VIEWER)


class StudySearchForm(forms.Form):
    """How the list of studies is narrowed."""

    q = forms.CharField(required=False, max_length=200, label="Search")
    status = forms.ChoiceField(
        required=False, choices=[("", "all"), *StudyStatus.choices], label="State"
    )
