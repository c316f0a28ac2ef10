"""Estimate runs: asked for, listed, read."""

from typing import Any
from uuid import UUID

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView, ListView, once
from annotation.exports import estimates_document
from annotation.models import Aggregation, EstimateRun, RunStatus
from annotation.queries import latest_run
from annotation.services.estimates import estimate_cancel, estimate_request


class AggregationInput(serializers.Serializer[dict[str, Any]]):
    """Which aggregation is meant."""

    aggregation = serializers.ChoiceField(
        choices=Aggregation.choices, required=False, allow_null=True, default=None
    )


class RunFilter(AggregationInput):
    """Which runs are listed."""

    status = serializers.ChoiceField(
        choices=RunStatus.choices, required=False, allow_null=True, default=None
    )


class RunSerializer(serializers.ModelSerializer[EstimateRun]):
    """One aggregation of the ratings that stood at a moment."""

    id = serializers.UUIDField(source="public_id")
    requested_by = serializers.CharField(
        source="requested_by.get_username", default=None, allow_null=True
    )

    class Meta:
        model = EstimateRun
        fields = [
            "id",
            "aggregation",
            "estimator",
            "status",
            "live",
            "attempt",
            "stage",
            "progress",
            "seed",
            "level",
            "n_ratings",
            "requested_by",
            "queued_at",
            "started_at",
            "finished_at",
            "error",
        ]
        read_only_fields = fields


class _RoundPart(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    design = serializers.CharField()
    n_draws = serializers.IntegerField()
    half_width = serializers.FloatField(allow_null=True)
    seed = serializers.IntegerField()
    drawn_at = serializers.DateTimeField()
    n_ratings_before = serializers.IntegerField()


class _StudyPart(serializers.Serializer[Any]):
    slug = serializers.CharField()
    title = serializers.CharField()
    dataset = serializers.CharField()
    n_inputs = serializers.IntegerField()
    concept_prior = serializers.CharField()
    sampling_design = serializers.CharField()
    sampling_parameters = serializers.DictField(child=serializers.JSONField())
    seed = serializers.IntegerField()
    inputs_per_pair = serializers.IntegerField()
    redundancy = serializers.IntegerField()
    rounds = _RoundPart(many=True)


class _RunPart(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    aggregation = serializers.CharField()
    estimator = serializers.CharField(allow_blank=True)
    level = serializers.FloatField()
    interval_covers = serializers.CharField()
    interval_note = serializers.CharField()
    seed = serializers.IntegerField()
    n_ratings = serializers.IntegerField()
    finished_at = serializers.DateTimeField(allow_null=True)
    diagnostics = serializers.DictField(child=serializers.JSONField(allow_null=True))
    sanity_checks = serializers.ListField(
        child=serializers.DictField(child=serializers.JSONField(allow_null=True))
    )


class _MethodPart(serializers.Serializer[Any]):
    method = serializers.CharField()
    rank = serializers.IntegerField()
    rank_lower = serializers.IntegerField()
    rank_upper = serializers.IntegerField()
    mean_score = serializers.FloatField()
    lower = serializers.FloatField()
    upper = serializers.FloatField()
    probability_best = serializers.FloatField()
    n_neurons = serializers.IntegerField()
    reference_mean = serializers.FloatField(allow_null=True)


class _TermPart(serializers.Serializer[Any]):
    concept = serializers.CharField()
    weight = serializers.FloatField()


class _EstimatePart(serializers.Serializer[Any]):
    model = serializers.CharField()
    layer = serializers.CharField()
    unit = serializers.IntegerField()
    method = serializers.CharField()
    explanation = serializers.CharField()
    terms = _TermPart(many=True)
    score = serializers.FloatField()
    lower = serializers.FloatField()
    upper = serializers.FloatField()
    standard_error = serializers.FloatField()
    n_effective = serializers.FloatField()
    n_inputs_rated = serializers.IntegerField()
    reference_score = serializers.FloatField(allow_null=True)
    warnings = serializers.ListField(child=serializers.CharField())


class EstimatesDocument(serializers.Serializer[Any]):
    """A run with everything that it rests on: the study's design, the leaderboard, the scores."""

    study = _StudyPart()
    run = _RunPart()
    leaderboard = _MethodPart(many=True)
    estimates = _EstimatePart(many=True)


class EstimatesView(ApiView):
    """``/api/studies/<slug>/estimates/``."""

    @extend_schema(parameters=[AggregationInput], responses=EstimatesDocument)
    def get(self, request: Request, slug: str) -> Response:
        """Show the last finished estimates, of one aggregation with ``?aggregation=``.

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
        study = self.study(slug)
        given = self.given(AggregationInput, request.query_params)
        run = latest_run(study, given["aggregation"])
        if run is None:
            raise NotFound("No estimate has finished yet; POST here to ask for one.")
        return Response(estimates_document(run))

    @extend_schema(request=AggregationInput, responses={202: RunSerializer})
    @once
    def post(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """Ask for an estimate; it is made in the background.

        Without an aggregation it is the one that follows every submit. A run that waits already is
        given back, for it will see the same ratings.
        """
        study = self.study(slug)
        aggregation = self.given(AggregationInput)["aggregation"] or study.live_aggregation
        run = estimate_request(study=study, aggregation=aggregation, actor=self.actor)
        return Response(RunSerializer(run).data, status=status.HTTP_202_ACCEPTED)


class RunListView(ListView):
    """``/api/studies/<slug>/runs/``."""

    @extend_schema(parameters=[RunFilter], responses=RunSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """List the estimate runs of a study, the latest first."""
        runs = self.study(slug).estimate_runs.select_related("requested_by")
        for name, value in self.given(RunFilter, request.query_params).items():
            if value is not None:
                runs = runs.filter(**{name: value})
        return self.page(runs.order_by("-queued_at", "-pk"), RunSerializer)


class _RunApi(ApiView):
    """An endpoint of one run."""

    def run(self, slug: str, run_id: UUID) -> EstimateRun:
        """Get a run of a study.

        Parameters
        ----------
        slug : str
            The study.
        run_id : UUID
            The run's public id.

        Returns
        -------
        EstimateRun

        Raises
        ------
        Http404
            When the study has no such run.
        """
        run = self.study(slug).estimate_runs.filter(public_id=run_id).first()
        if run is None:
            raise Http404(f"This study has no run {run_id}.")
        return run


class RunView(_RunApi):
    """``/api/studies/<slug>/runs/<id>/``."""

    @extend_schema(responses=RunSerializer)
    def get(self, request: Request, slug: str, run_id: UUID) -> Response:  # noqa: ARG002 - DRF's
        """Show how far a run is."""
        return Response(RunSerializer(self.run(slug, run_id)).data)


class RunCancelView(_RunApi):
    """``/api/studies/<slug>/runs/<id>/cancel/``."""

    @extend_schema(request=None, responses=RunSerializer)
    @once
    def post(self, request: Request, slug: str, run_id: UUID) -> Response:  # noqa: ARG002 - DRF's
        """Cancel a run that waits or is being made.

        Nothing that it found is written; a run that has ended is refused with 409. The worker that
        makes it stops when it reports its progress the next time.
        """
        run = estimate_cancel(run=self.run(slug, run_id), actor=self.actor)
        return Response(RunSerializer(run).data)


class RunEstimatesView(_RunApi):
    """``/api/studies/<slug>/runs/<id>/estimates/``."""

    @extend_schema(responses=EstimatesDocument)
    def get(self, request: Request, slug: str, run_id: UUID) -> Response:  # noqa: ARG002 - DRF's
        """Show what a finished run found, with everything that it rests on."""
        run = self.run(slug, run_id)
        if run.status != RunStatus.FINISHED:
            raise NotFound(f"This run is {run.get_status_display()}; it has no estimates.")
        return Response(estimates_document(run))
