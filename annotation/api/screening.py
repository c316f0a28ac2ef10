"""Screening questions: who may take part."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView
from annotation.models import ScreeningQuestion
from annotation.services.eligibility import NewScreeningQuestion, screening_questions_set

MAX_QUESTIONS = 50


class QuestionSerializer(serializers.ModelSerializer[ScreeningQuestion]):
    """A question asked before consent, its answers, and those that make a rater eligible."""

    choices = serializers.ListField(
        child=serializers.CharField(max_length=200), min_length=1, max_length=50
    )
    accepted = serializers.ListField(child=serializers.CharField(max_length=200), max_length=50)

    class Meta:
        model = ScreeningQuestion
        fields = ["text", "choices", "accepted"]


class QuestionsInput(serializers.Serializer[dict[str, Any]]):
    """All questions, in the order in which they are asked; none takes all out."""

    questions = serializers.ListField(child=QuestionSerializer(), max_length=MAX_QUESTIONS)


class ScreeningView(ApiView):
    """``/api/studies/<slug>/screening/``."""

    @extend_schema(responses=QuestionSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """List the screening questions of a study, in the order in which they are asked."""
        rows = self.study(slug).screening_questions.order_by("position")
        return Response(QuestionSerializer(rows, many=True).data)

    @extend_schema(request=QuestionsInput, responses=QuestionSerializer(many=True))
    def put(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """Replace the screening questions of a study."""
        study = self.study(slug)
        given = self.given(QuestionsInput)["questions"]
        rows = screening_questions_set(
            study=study,
            questions=[NewScreeningQuestion(**question) for question in given],
            actor=self.actor,
        )
        return Response(QuestionSerializer(rows, many=True).data)
