"""What the methods say of the neurons: listed, added one by one or from a file, taken out."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView, ListView, once
from annotation.api.fields import FiniteFloat
from annotation.api.uploads import PARSERS, SourceInput, source_of
from annotation.models import ActivationMatrix, Explanation, Study
from annotation.services.explanation_files import (
    explanation_file_add,
    explanation_file_preview,
    explanations_remove,
)
from annotation.services.explanations import NewExplanation, explanations_add
from annotation.uploads import FileKind

MAX_UNIT = 2**31 - 1
KINDS = frozenset(
    {FileKind.CSV, FileKind.JSON, FileKind.JSONL, FileKind.TEXT, FileKind.NPZ, FileKind.SAFETENSORS}
)


class TermSerializer(serializers.Serializer[Any]):
    """One concept of an explanation and its weight."""

    concept = serializers.CharField(source="concept.text")
    weight = serializers.FloatField()


class ExplanationSerializer(serializers.ModelSerializer[Explanation]):
    """One method's explanation of one neuron."""

    method = serializers.CharField(source="method.name")
    activations = serializers.IntegerField(source="neuron.activations_id")
    layer = serializers.CharField(source="neuron.activations.layer")
    unit = serializers.IntegerField(source="neuron.unit")
    terms = TermSerializer(many=True)

    class Meta:
        model = Explanation
        fields = ["method", "activations", "layer", "unit", "bias", "terms"]
        read_only_fields = fields


class TermInput(serializers.Serializer[dict[str, Any]]):
    """One concept, with the weight 1 where the explanation is that concept."""

    concept = serializers.CharField(max_length=500)
    weight = FiniteFloat(required=False, default=1.0)


class NewExplanationInput(serializers.Serializer[dict[str, Any]]):
    """An explanation of one neuron: a concept, or a weighted sum of some."""

    activations = serializers.IntegerField(
        min_value=1, max_value=2**62, help_text="Id of the layer's activations."
    )
    unit = serializers.IntegerField(min_value=0, max_value=MAX_UNIT)
    terms = TermInput(many=True, allow_empty=False)
    bias = FiniteFloat(required=False, default=0.0)


class ExplanationsInput(serializers.Serializer[dict[str, Any]]):
    """What one method says of some neurons."""

    method = serializers.CharField(max_length=200)
    explanations = NewExplanationInput(many=True, allow_empty=False)


class ExplanationFileInput(SourceInput):
    """A result file of a published method, or a CSV with the columns unit and text."""

    method = serializers.CharField(max_length=200)
    activations = serializers.IntegerField(
        min_value=1,
        max_value=2**62,
        required=False,
        allow_null=True,
        default=None,
        help_text="Id of the layer's activations, where the file does not name the layer.",
    )
    first_unit = serializers.ChoiceField(
        choices=[0, 1],
        required=False,
        allow_null=True,
        default=None,
        help_text="Number of the first neuron; by default as the format has it.",
    )
    partly = serializers.BooleanField(
        required=False, default=False, help_text="Go on although some cannot be taken."
    )


class FileRowSerializer(serializers.Serializer[Any]):
    """One explanation of a file; with `problem`, the study cannot take it."""

    neuron = serializers.CharField()
    text = serializers.CharField()
    problem = serializers.CharField(allow_blank=True)


class FilePreviewSerializer(serializers.Serializer[Any]):
    """What an explanation file holds for a study: what was recognised, what not."""

    method = serializers.CharField()
    format = serializers.CharField()
    notes = serializers.ListField(child=serializers.CharField())
    n_neurons = serializers.IntegerField()
    n_concepts = serializers.IntegerField()
    n_refused = serializers.IntegerField()
    n_surplus = serializers.IntegerField()
    unknown_neurons = serializers.ListField(child=serializers.CharField())
    unknown_concepts = serializers.ListField(child=serializers.CharField())
    rows = FileRowSerializer(many=True)


class ExplanationListView(ListView):
    """``/api/studies/<slug>/explanations/``."""

    @extend_schema(responses=ExplanationSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """List the explanations of a study."""
        rows = (
            self.study(slug)
            .explanations.select_related("method", "neuron__activations")
            .prefetch_related("terms__concept")
        )
        return self.page(rows.order_by("method__name", "pk"), ExplanationSerializer)

    @extend_schema(request=ExplanationsInput, responses={201: ExplanationSerializer(many=True)})
    @once
    def post(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """Add what a method says of some neurons to a draft, all or none."""
        study = self.study(slug)
        given = self.given(ExplanationsInput)
        added = explanations_add(
            study=study,
            method=given["method"],
            explanations=[_new(study, row) for row in given["explanations"]],
            actor=self.actor,
        )
        return Response(_shown(added), status=status.HTTP_201_CREATED)


class MethodView(ApiView):
    """``/api/studies/<slug>/explanations/<method>/``."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, slug: str, method: str) -> Response:  # noqa: ARG002 - DRF's
        """Take all explanations by a method out of a draft."""
        explanations_remove(study=self.study(slug), method=method, actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class _FileView(ApiView):
    parser_classes = PARSERS

    def preview(self, study: Study, given: dict[str, Any]) -> Any:
        """Read the file of the request."""
        with source_of(given, kinds=KINDS) as source:
            return explanation_file_preview(
                study=study,
                source=source,
                method=given["method"],
                activations=_activations(study, given["activations"]),
                first_unit=given["first_unit"],
                name=source.name,
            )


class FilePreviewView(_FileView):
    """``/api/studies/<slug>/explanation-files/preview/``."""

    @extend_schema(request=ExplanationFileInput, responses=FilePreviewSerializer)
    def post(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """Say what an explanation file holds for the study; nothing is written."""
        study = self.study(slug)
        found = self.preview(study, self.given(ExplanationFileInput))
        return Response(FilePreviewSerializer(found).data)


class FileView(_FileView):
    """``/api/studies/<slug>/explanation-files/``."""

    @extend_schema(request=ExplanationFileInput, responses={201: ExplanationSerializer(many=True)})
    @once
    def post(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """Add the explanations of a file to a draft.

        When some cannot be taken, none is added, unless ``partly`` says to go on with the others.
        """
        study = self.study(slug)
        given = self.given(ExplanationFileInput)
        added = explanation_file_add(
            study=study,
            preview=self.preview(study, given),
            actor=self.actor,
            partly=given["partly"],
        )
        return Response(_shown(added), status=status.HTTP_201_CREATED)


def _activations(study: Study, key: int | None) -> ActivationMatrix | None:
    if key is None:
        return None
    found = study.dataset.activation_matrices.filter(pk=key).first()
    if found is None:
        raise serializers.ValidationError(
            {"activations": f"The dataset {study.dataset.name!r} has no activations {key}."}
        )
    return found


def _new(study: Study, row: dict[str, Any]) -> NewExplanation:
    matrix = _activations(study, row["activations"])
    assert matrix is not None  # noqa: S101 - the field is required
    terms = {term["concept"]: term["weight"] for term in row["terms"]}
    if len(terms) < len(row["terms"]):
        raise serializers.ValidationError({"terms": "A concept is there twice; add the weights."})
    return NewExplanation(matrix, row["unit"], terms, row["bias"])


def _shown(added: list[Explanation]) -> Any:
    rows = (
        Explanation.objects.filter(pk__in=[one.pk for one in added])
        .select_related("method", "neuron__activations")
        .prefetch_related("terms__concept")
        .order_by("pk")
    )
    return ExplanationSerializer(rows, many=True).data
