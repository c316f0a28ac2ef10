"""What a researcher reads of a study: itself, its progress, its estimates."""

from dataclasses import asdict
from typing import Any

from rest_framework import serializers, status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.exports import estimates_document
from annotation.models import Aggregation, Study
from annotation.permissions import logged_in, studies_visible, study_for
from annotation.queries import latest_run, study_progress
from annotation.services.estimates import estimate_request


class AggregationSerializer(serializers.Serializer[dict[str, Any]]):
    """Which aggregation is meant."""

    aggregation = serializers.ChoiceField(
        choices=Aggregation.choices, required=False, allow_null=True, default=None
    )


class StudySerializer(serializers.ModelSerializer[Study]):
    """The design and the state of a study."""

    dataset = serializers.CharField(source="dataset.name")
    n_inputs = serializers.IntegerField(source="dataset.n_inputs")
    concept_prior = serializers.CharField(source="concept_prior.name")
    owner = serializers.CharField(source="owner.get_username")

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
            "question",
            "sampling_design",
            "sampling_parameters",
            "aggregation",
            "estimator",
            "seed",
            "inputs_per_pair",
            "redundancy",
            "items_per_task",
            "rating_budget",
            "lease_seconds",
            "created_at",
            "launched_at",
            "closed_at",
        ]
        read_only_fields = fields


class StudyListView(APIView):
    """``GET /api/studies/``."""

    def get(self, request: Request) -> Response:
        """List the studies that the user may see, the newest first."""
        studies = studies_visible(request.user).select_related("dataset", "concept_prior", "owner")
        return Response(StudySerializer(studies, many=True).data)


class StudyView(APIView):
    """``GET /api/studies/<slug>/``."""

    def get(self, request: Request, slug: str) -> Response:
        """Show a study."""
        return Response(StudySerializer(study_for(request.user, slug)).data)


class StudyProgressView(APIView):
    """``GET /api/studies/<slug>/progress/``."""

    def get(self, request: Request, slug: str) -> Response:
        """Count what a study has and still needs."""
        return Response(asdict(study_progress(study_for(request.user, slug))))


class StudyEstimatesView(APIView):
    """``GET`` and ``POST /api/studies/<slug>/estimates/``."""

    def get(self, request: Request, slug: str) -> Response:
        """Show the last finished estimate, of one aggregation with ``?aggregation=``.

        Parameters
        ----------
        request : Request
            Of a researcher.
        slug : str
            The study.

        Returns
        -------
        Response

        Raises
        ------
        NotFound
            When no run has finished.
        """
        study = study_for(request.user, slug)
        serializer = AggregationSerializer(data=request.query_params)
        serializer.is_valid(raise_exception=True)
        run = latest_run(study, serializer.validated_data["aggregation"])
        if run is None:
            raise NotFound("No estimate has finished yet; POST here to ask for one.")
        return Response(estimates_document(run))

    def post(self, request: Request, slug: str) -> Response:
        """Ask for an estimate; it is made in the background.

        Parameters
        ----------
        request : Request
            JSON: ``aggregation``; by default the one that follows every submit.
        slug : str
            The study.

        Returns
        -------
        Response
            202 with the run that waits.
        """
        study = study_for(request.user, slug, change=True)
        serializer = AggregationSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        aggregation = serializer.validated_data["aggregation"] or study.live_aggregation
        run = estimate_request(study=study, aggregation=aggregation, actor=logged_in(request.user))
        return Response(
            {"id": str(run.public_id), "aggregation": run.aggregation, "status": run.status},
            status=status.HTTP_202_ACCEPTED,
        )
