"""What the API says of studies and takes for them."""

from typing import Any

import django_filters
from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from annotation.api.fields import MAX_INTEGER, NamedRow, Slug
from annotation.models import (
    MAX_REDUNDANCY,
    ConceptMatrix,
    ProbeDataset,
    Study,
    StudyEvent,
    StudyStatus,
)
from annotation.permissions import studies_visible
from annotation.queries.checklist import CheckState

#: Of a search.
MAX_WORDS = 20
#: What a researcher chooses beside the names and the texts; all have defaults.
CHOICES = [
    "question",
    "instructions",
    "consent_version",
    "debrief",
    "contact",
    "language",
    "sampling_design",
    "sampling_parameters",
    "aggregation",
    "estimator",
    "seed",
    "inputs_per_pair",
    "redundancy",
    "items_per_task",
    "lease_seconds",
    "currency",
    "spending_cap_minor",
]


class StudySerializer(serializers.ModelSerializer[Study]):
    """The design, the texts and the state of a study."""

    dataset = serializers.CharField(source="dataset.name")
    n_inputs = serializers.IntegerField(source="dataset.n_inputs")
    concept_prior = serializers.CharField(source="concept_prior.name")
    reference = serializers.CharField(source="reference.name", default=None, allow_null=True)
    owner = serializers.CharField(source="owner.get_username")
    contact = serializers.CharField(allow_blank=True)
    sampling_parameters = serializers.DictField(child=serializers.JSONField())

    class Meta:
        model = Study
        fields = [
            "slug",
            "title",
            "status",
            "owner",
            "dataset",
            "n_inputs",
            "concept_prior",
            "reference",
            "rating_budget",
            "consent_text",
            *CHOICES,
            "created_at",
            "launched_at",
            "closed_at",
        ]
        read_only_fields = fields


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A small study",
            value={
                "slug": "layer4",
                "title": "What do the neurons of layer 4 see?",
                "dataset": "ImageNet validation",
                "concept_prior": "SigLIP",
                "rating_budget": 30000,
                "consent_text": "I am over 18 and agree to take part.",
                "redundancy": 3,
            },
            request_only=True,
        )
    ]
)
class StudyInput(serializers.ModelSerializer[Study]):
    """What makes a study. The dataset and matrices are named; they must be registered."""

    slug = Slug(help_text="Its name in URLs.")
    dataset = NamedRow(slug_field="name", queryset=ProbeDataset.objects.all())
    concept_prior = serializers.CharField(max_length=200, help_text="Name of a concept prior.")
    reference = serializers.CharField(
        max_length=200,
        required=False,
        allow_null=True,
        default=None,
        help_text="Name of reference labels, where there are any.",
    )
    sampling_parameters = serializers.DictField(
        child=serializers.JSONField(),
        required=False,
        help_text='Of the design, for example {"gamma": 0.2}.',
    )

    class Meta:
        model = Study
        fields = [
            "slug",
            "title",
            "dataset",
            "concept_prior",
            "reference",
            "rating_budget",
            "consent_text",
            *CHOICES,
        ]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Find the matrices over the dataset that was named."""
        dataset = attrs.get("dataset")
        if dataset is None:
            return attrs
        for field, role in (("concept_prior", "prior"), ("reference", "reference")):
            name = attrs.get(field)
            if name is None:
                continue
            matrices = ConceptMatrix.objects.filter(dataset=dataset, role=role)
            found = matrices.filter(name=name).first()
            if found is None:
                known = ", ".join(matrices.values_list("name", flat=True)) or "none"
                raise serializers.ValidationError(
                    {field: f"{dataset.name!r} has no {role} named {name!r}; it has: {known}."}
                )
            attrs[field] = found
        return attrs


class StudyChange(StudyInput):
    """What changes; all of it while the study is a draft, what is safe afterwards."""

    concept_prior = serializers.CharField(
        max_length=200, required=False, help_text="Name of a concept prior over the dataset."
    )
    reference = serializers.CharField(max_length=200, required=False, allow_null=True)
    excluded_studies = serializers.ListField(
        child=Slug(),
        required=False,
        max_length=100,
        help_text="Whoever took part in one of these may not take part in this one.",
    )

    class Meta(StudyInput.Meta):
        fields = [*StudyInput.Meta.fields, "excluded_studies"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Find what is named; matrices over the study's dataset where no other is named."""
        study: Study = self.context["study"]
        named = super().validate({"dataset": study.dataset, **attrs})
        if "dataset" not in attrs:
            del named["dataset"]
        if "excluded_studies" in named:
            named["excluded_studies"] = self._studies(named["excluded_studies"])
        return named

    def _studies(self, slugs: list[str]) -> list[Study]:
        found = studies_visible(self.context["request"].user).in_bulk(slugs, field_name="slug")
        for slug in slugs:
            if slug not in found:
                raise serializers.ValidationError(
                    {"excluded_studies": f"There is no study {slug!r} that you may see."}
                )
        return list(found.values())


class CloneInput(serializers.Serializer[dict[str, Any]]):
    """What the copy is called; another seed draws other inputs."""

    slug = Slug()
    title = serializers.CharField(max_length=200)
    seed = serializers.IntegerField(
        min_value=0, max_value=MAX_INTEGER, required=False, allow_null=True, default=None
    )


class DeleteInput(serializers.Serializer[dict[str, Any]]):
    """That it is meant."""

    confirm = serializers.CharField(
        max_length=80,
        required=False,
        default="",
        help_text="The study's slug; needed where people have taken part.",
    )


class CheckSerializer(serializers.Serializer[Any]):
    """One line of the launch list: how it came out, what was found, what to do."""

    name = serializers.CharField()
    title = serializers.CharField()
    state = serializers.ChoiceField(choices=[state.value for state in CheckState])
    text = serializers.CharField()
    remedy = serializers.CharField(allow_blank=True)


class PreviewSerializer(serializers.Serializer[Any]):
    """What a launch would draw; with `problem`, nothing can be drawn."""

    problem = serializers.CharField(allow_blank=True)
    n_pairs = serializers.IntegerField()
    n_items = serializers.IntegerField()
    n_tasks = serializers.IntegerField()
    n_gold = serializers.IntegerField()
    n_ratings = serializers.IntegerField()
    n_raters = serializers.IntegerField()
    minutes_a_task = serializers.FloatField()
    minutes_a_rater = serializers.FloatField()
    gold_problems = serializers.ListField(child=serializers.CharField())
    policy_problem = serializers.CharField(allow_blank=True)


class ChecklistSerializer(serializers.Serializer[Any]):
    """Everything that a launch needs, and what it would draw."""

    ready = serializers.BooleanField()
    checks = CheckSerializer(many=True)
    preview = PreviewSerializer()


class RedundancyInput(serializers.Serializer[dict[str, Any]]):
    """How many ratings an item."""

    redundancy = serializers.IntegerField(min_value=1, max_value=MAX_REDUNDANCY)


class StudyFilter(django_filters.FilterSet):  # type: ignore[misc]
    """What a list of studies can be narrowed to."""

    status = django_filters.MultipleChoiceFilter(choices=StudyStatus.choices)
    owner = django_filters.CharFilter(field_name="owner__username", label="the owner's user name")
    dataset = django_filters.CharFilter(field_name="dataset__name", label="the dataset's name")
    created_after = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")
    created_before = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="lt")
    search = django_filters.CharFilter(method="searched", label="words of slug or title")
    ordering = django_filters.OrderingFilter(
        fields=["slug", "title", "status", "created_at", "launched_at"]
    )

    class Meta:
        model = Study
        fields: list[str] = []

    def searched(
        self,
        rows: "QuerySet[Study]",
        name: str,  # noqa: ARG002 - django-filter's
        value: str,
    ) -> "QuerySet[Study]":
        """Keep the studies that have every word in slug or title; the first 20 words count."""
        for word in value.split()[:MAX_WORDS]:  # a database bounds how long a condition may be
            rows = rows.filter(Q(slug__icontains=word) | Q(title__icontains=word))
        return rows


class ConceptProgressSerializer(serializers.Serializer[Any]):
    """How far the ratings of one concept are."""

    concept = serializers.CharField()
    items = serializers.IntegerField()
    ratings_wanted = serializers.IntegerField()
    ratings_valid = serializers.IntegerField()


class CoverageSerializer(serializers.Serializer[Any]):
    """How far the ratings of what one neuron or method needs are."""

    name = serializers.CharField()
    n_concepts = serializers.IntegerField()
    ratings_wanted = serializers.IntegerField()
    ratings_valid = serializers.IntegerField()


class StudyProgressSerializer(serializers.Serializer[Any]):
    """How far a study is. `ratings_valid` are those that count.

    A rating counts for every neuron and method whose explanation uses its concept.
    """

    items = serializers.IntegerField()
    tasks = serializers.IntegerField()
    ratings_wanted = serializers.IntegerField()
    ratings_valid = serializers.IntegerField()
    assignments_submitted = serializers.IntegerField()
    assignments_leased = serializers.IntegerField()
    raters = serializers.IntegerField()
    per_concept = ConceptProgressSerializer(many=True)
    per_neuron = CoverageSerializer(many=True)
    per_method = CoverageSerializer(many=True)


class StudyEventSerializer(serializers.ModelSerializer[StudyEvent]):
    """Who did what to the study, when; without an actor it was the software itself."""

    actor = serializers.CharField(source="actor.get_username", default=None, allow_null=True)
    details = serializers.DictField(child=serializers.JSONField(allow_null=True))

    class Meta:
        model = StudyEvent
        fields = ["at", "actor", "action", "details"]
        read_only_fields = fields
