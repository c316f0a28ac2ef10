"""The rater's endpoint: one answer, saved once however often the browser sends it."""

from typing import Any, cast
from uuid import UUID

from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.api.authentication import RaterSessionAuthentication, TakesPart
from annotation.api.parsers import SafeJSONParser
from annotation.models import RatingValue
from annotation.queries import item_to_rate
from annotation.services.ratings import MAX_RESPONSE_MS, rating_save


class RatingSaveView(APIView):
    """``POST /r/<slug>/assignments/<uuid>/ratings/``."""

    authentication_classes = [RaterSessionAuthentication]
    permission_classes = [TakesPart]
    parser_classes = [SafeJSONParser]

    class InputSerializer(serializers.Serializer[dict[str, Any]]):
        """What the browser sends."""

        item = serializers.UUIDField()
        value = serializers.ChoiceField(choices=RatingValue.choices)
        client_id = serializers.UUIDField()
        response_ms = serializers.IntegerField(
            min_value=0, max_value=MAX_RESPONSE_MS, required=False, allow_null=True, default=None
        )

    def post(self, request: Request, slug: str, assignment_id: UUID) -> Response:
        """Save an answer and say so; the same ``client_id`` again gets the same reply.

        Parameters
        ----------
        request : Request
            JSON: ``item``, ``value``, ``client_id``, ``response_ms``.
        slug : str
            The study.
        assignment_id : UUID
            Public id of the rater's assignment.

        Returns
        -------
        Response
            ``{"saved": true, "item": ..., "value": ...}``, with the value that stands.

        Raises
        ------
        NotFound
            When the assignment is not this rater's or has no such item.
        """
        serializer = self.InputSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = serializer.validated_data
        found = item_to_rate(
            participation_id=cast("UUID", request.auth),
            study_slug=slug,
            assignment_id=assignment_id,
            item_id=given["item"],
        )
        if found is None:
            raise NotFound("You hold no task with this item; reload the page.")
        assignment, item = found
        rating = rating_save(
            assignment=assignment,
            item=item,
            value=given["value"],
            client_id=given["client_id"],
            response_ms=given["response_ms"],
        )
        return Response({"saved": True, "item": str(item.public_id), "value": rating.value})


rating_save_view = RatingSaveView.as_view()
