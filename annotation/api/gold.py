"""Known answers: listed, added, suggested, taken out."""

from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView, ListView, once
from annotation.models import GoldAnswer, GoldUse, RatingValue
from annotation.services.gold import NewGoldAnswer, gold_answers_add, gold_answers_remove
from annotation.services.gold_suggestions import gold_answers_suggest

KNOWN = [RatingValue.PRESENT, RatingValue.ABSENT]
SOURCES = ("reference", "prior")
MAX_ANSWERS = 10_000


class GoldSerializer(serializers.ModelSerializer[GoldAnswer]):
    """A known answer to a (concept, input) pair, and what it is for."""

    id = serializers.IntegerField(source="pk")
    concept = serializers.CharField(source="concept.text")
    input_index = serializers.IntegerField(source="probe_input.index")
    value = serializers.ChoiceField(choices=KNOWN)
    use = serializers.ChoiceField(choices=GoldUse.choices)

    class Meta:
        model = GoldAnswer
        fields = ["id", "concept", "input_index", "value", "use", "feedback"]
        read_only_fields = fields


class GoldInput(serializers.Serializer[Any]):
    """A known answer."""

    concept = serializers.CharField(max_length=500)
    input_index = serializers.IntegerField(min_value=0, max_value=2**31 - 1)
    value = serializers.ChoiceField(choices=KNOWN)
    use = serializers.ChoiceField(choices=GoldUse.choices, required=False, default=GoldUse.HIDDEN)
    feedback = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")


class GoldListInput(serializers.Serializer[dict[str, Any]]):
    """Known answers to add."""

    answers = serializers.ListField(child=GoldInput(), allow_empty=False, max_length=MAX_ANSWERS)


class SuggestionFilter(serializers.Serializer[dict[str, Any]]):
    """Where suggestions come from: reference labels, or where the concept prior is sure."""

    source = serializers.ChoiceField(choices=SOURCES)  # type: ignore[assignment]
    n_each = serializers.IntegerField(
        min_value=1, max_value=100, help_text="How many present, and absent, of each concept."
    )
    use = serializers.ChoiceField(choices=GoldUse.choices, required=False, default=GoldUse.HIDDEN)


class GoldListView(ListView):
    """``/api/studies/<slug>/gold/``."""

    @extend_schema(responses=GoldSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """List the known answers of a study."""
        rows = self.study(slug).gold_answers.select_related("concept", "probe_input")
        return self.page(rows.order_by("use", "pk"), GoldSerializer)

    @extend_schema(request=GoldListInput, responses={201: GoldSerializer(many=True)})
    @once
    def post(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """Add known answers, all or none."""
        study = self.study(slug)
        answers = [NewGoldAnswer(**answer) for answer in self.given(GoldListInput)["answers"]]
        added = gold_answers_add(study=study, answers=answers, actor=self.actor)
        return Response(GoldSerializer(added, many=True).data, status=status.HTTP_201_CREATED)


class GoldView(ApiView):
    """``/api/studies/<slug>/gold/<id>/``."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, slug: str, gold_id: int) -> Response:  # noqa: ARG002
        """Take a known answer out."""
        study = self.study(slug)
        if not study.gold_answers.filter(pk=gold_id).exists():
            raise Http404(f"This study has no known answer {gold_id}.")
        gold_answers_remove(study=study, ids=[gold_id], actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class GoldSuggestionsView(ApiView):
    """``/api/studies/<slug>/gold/suggestions/``."""

    @extend_schema(parameters=[SuggestionFilter], responses=GoldInput(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Suggest known answers for every concept; nothing is added until a person posts them."""
        study = self.study(slug)
        given = self.given(SuggestionFilter, request.query_params)
        found = gold_answers_suggest(study=study, **given)
        return Response(GoldInput(found, many=True).data)
