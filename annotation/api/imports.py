"""Imports of ratings that were given elsewhere: looked at first, then taken in."""

import json
from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView, once
from annotation.models import RatingValue
from annotation.rating_files import RatingFile, RatingFileOptions, rating_file_read
from annotation.services.imports import import_plan, ratings_import


class ImportInput(serializers.Serializer[dict[str, Any]]):
    """A file of old ratings and what it does not say itself."""

    file = serializers.FileField(
        help_text="CSV, JSON lines or Parquet: our own export, crowd-kit's task/worker/label, or "
        "a result file of Mechanical Turk."
    )
    concept = serializers.CharField(
        max_length=500,
        required=False,
        allow_blank=True,
        default="",
        help_text="The concept of every row, where the file has no column for it.",
    )
    labels = serializers.CharField(
        max_length=10_000,
        required=False,
        allow_blank=True,
        default="",
        help_text='What labels mean, as a JSON object: {"yes": "present", "no": "absent"}.',
    )
    input_column = serializers.CharField(
        max_length=200, required=False, allow_blank=True, default="", help_text="Of MTurk results."
    )
    concept_column = serializers.CharField(
        max_length=200, required=False, allow_blank=True, default="", help_text="Of MTurk results."
    )
    answer_column = serializers.CharField(
        max_length=200, required=False, allow_blank=True, default="", help_text="Of MTurk results."
    )

    def validate_labels(self, text: str) -> dict[str, str]:
        """Read the JSON object."""
        try:
            labels = json.loads(text or "{}")
        except (ValueError, RecursionError) as error:
            raise serializers.ValidationError(f"It is no JSON ({error}).") from error
        values = labels.values() if isinstance(labels, dict) else [None]
        if not all(isinstance(value, str) and value in RatingValue.values for value in values):
            raise serializers.ValidationError(
                f"Give a JSON object from each label to one of {', '.join(RatingValue.values)}."
            )
        return dict(labels)


class RefusalSerializer(serializers.Serializer[Any]):
    """A row that is not imported, and why."""

    row = serializers.IntegerField(help_text="The how manieth rating of the file, from 1.")
    line = serializers.IntegerField(
        help_text="Where it begins in the file, from 1; of Parquet, the number of the record."
    )
    reason = serializers.CharField()


class ImportPlanSerializer(serializers.Serializer[Any]):
    """What an import does, or did. `refused` names some rows, `reasons` counts all by reason."""

    format = serializers.CharField()
    n_rows = serializers.IntegerField()
    n_ready = serializers.IntegerField()
    n_there = serializers.IntegerField()
    n_raters = serializers.IntegerField()
    n_items = serializers.IntegerField()
    refused = RefusalSerializer(many=True)
    reasons = serializers.DictField(child=serializers.IntegerField())


class _FileView(ApiView):
    parser_classes = [MultiPartParser]

    def file(self) -> RatingFile:
        """Read the file of the request."""
        given = self.given(ImportInput)
        upload = given.pop("file")
        return rating_file_read(upload.file, name=upload.name, options=RatingFileOptions(**given))


class ImportPreviewView(_FileView):
    """``/api/studies/<slug>/imports/preview/``."""

    @extend_schema(request={"multipart/form-data": ImportInput}, responses=ImportPlanSerializer)
    def post(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """Say what an import would do: what was recognised, which rows are refused and why.

        Nothing is written.
        """
        plan = import_plan(study=self.study(slug), file=self.file())
        return Response(ImportPlanSerializer(_shown(plan)).data)


class ImportView(_FileView):
    """``/api/studies/<slug>/imports/``."""

    @extend_schema(
        request={"multipart/form-data": ImportInput}, responses={201: ImportPlanSerializer}
    )
    @once
    def post(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """Import the rows that fit, all or none; the same file again changes nothing.

        Rows outside the sampling design, and more ratings of an item than the redundancy, are
        refused and counted by reason.
        """
        study = self.study(slug)
        plan = ratings_import(study=study, file=self.file(), actor=self.actor)
        return Response(ImportPlanSerializer(_shown(plan)).data, status=status.HTTP_201_CREATED)


def _shown(plan: Any) -> dict[str, Any]:
    return {**vars(plan), "refused": [asdict(refusal) for refusal in plan.refused]}
