"""Studies: listed, made, launched, paused, closed; their progress and their log."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView, ListView, once
from annotation.api.study_serializers import (
    ChecklistSerializer,
    CloneInput,
    DeleteInput,
    RedundancyInput,
    StudyChange,
    StudyEventSerializer,
    StudyFilter,
    StudyInput,
    StudyProgressSerializer,
    StudySerializer,
)
from annotation.models import Study, StudyStatus
from annotation.permissions import studies_visible, study_for
from annotation.queries import study_progress
from annotation.queries.coverage import coverage
from annotation.services.launch import launch_checklist, launch_require
from annotation.services.states import state_require
from annotation.services.studies import (
    study_close,
    study_create,
    study_launch,
    study_pause,
    study_redundancy_raise,
    study_resume,
)
from annotation.services.study_changes import study_update
from annotation.services.study_copies import study_clone, study_delete


def study_shown(slug: str) -> dict[str, Any]:
    """Read a study again and show it."""
    study = Study.objects.select_related("dataset", "concept_prior", "reference", "owner").get(
        slug=slug
    )
    return dict(StudySerializer(study).data)


class StudyListView(ListView):
    """``/api/studies/``."""

    serializer_class = StudySerializer
    filter_backends = [DjangoFilterBackend]
    filterset_class = StudyFilter
    queryset = Study.objects.none()

    @extend_schema(responses=StudySerializer(many=True))
    def get(self, request: Request) -> Response:
        """List the studies that you may see, the newest first."""
        studies = studies_visible(request.user).select_related(
            "dataset", "concept_prior", "reference", "owner"
        )
        return self.page(
            self.filter_queryset(studies.order_by("-created_at", "-pk")), StudySerializer
        )

    @extend_schema(request=StudyInput, responses={201: StudySerializer}, filters=False)
    @once
    def post(self, request: Request) -> Response:  # noqa: ARG002 - DRF's
        """Make a study as a draft; you own it.

        Its probe dataset, concept prior and reference labels are registered before it, its
        explanations added after it.
        """
        study = study_create(owner=self.actor, **self.given(StudyInput))
        return Response(study_shown(study.slug), status=status.HTTP_201_CREATED)


class StudyView(ApiView):
    """``/api/studies/<slug>/``."""

    @extend_schema(responses=StudySerializer)
    def get(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """Show a study."""
        return Response(StudySerializer(self.study(slug)).data)

    @extend_schema(request=StudyChange, responses=StudySerializer)
    def patch(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """Change a study: all of a draft; what is safe once people rate.

        A new consent text gets a new version by itself. A rating budget or spending cap of a
        launched study can only be raised.
        """
        study = self.study(slug)
        fields = self.given(StudyChange, partial=True, study=study)
        return Response(study_shown(study_update(study=study, actor=self.actor, **fields).slug))

    @extend_schema(parameters=[DeleteInput], responses={204: None})
    def delete(self, request: Request, slug: str) -> Response:
        """Delete a study with everything that belongs to it; its owner alone may.

        A study with entries in its ledger is kept: close it instead.
        """
        study = self.owned_study(slug)
        typed = self.given(DeleteInput, request.query_params)["confirm"]
        study_delete(study=study, actor=self.actor, typed_slug=typed)
        return Response(status=status.HTTP_204_NO_CONTENT)


class StudyCloneView(ApiView):
    """``/api/studies/<slug>/clone/``."""

    def access_require(self, slug: str | None = None, **_others: Any) -> None:
        """Looking is enough: the copy changes nothing of the original."""
        study_for(self.request.user, slug or "")

    @extend_schema(request=CloneInput, responses={201: StudySerializer})
    @once
    def post(self, request: Request, slug: str) -> Response:
        """Make a draft with the same settings, explanations, gold answers and policy; you own it.

        It has no raters, ratings, members, completion codes and panel ids: those are one study's.
        """
        study = study_for(request.user, slug)
        clone = study_clone(study=study, actor=self.actor, **self.given(CloneInput))
        return Response(study_shown(clone.slug), status=status.HTTP_201_CREATED)


class StudyChecklistView(ApiView):
    """``/api/studies/<slug>/checklist/``."""

    @extend_schema(responses=ChecklistSerializer)
    def get(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """Go through everything that a launch needs, and say what it would draw."""
        study = self.study(slug)
        state_require(study, "a launch can be checked", StudyStatus.DRAFT)
        return Response(ChecklistSerializer(launch_checklist(study=study)).data)


class _Move(ApiView):
    """A change of a study's state."""

    service: Callable[..., Study]

    @once
    def post(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        type(self).service(study=self.study(slug), actor=self.actor)
        return Response(study_shown(slug))


@extend_schema_view(
    post=extend_schema(
        description="Draw the samples, make items and tasks, and open the study to raters.",
        request=None,
        responses=StudySerializer,
    )
)
class StudyLaunchView(_Move):
    """``/api/studies/<slug>/launch/``."""

    @staticmethod
    def service(*, study: Study, actor: AbstractBaseUser) -> Study:
        """Launch it, if every check passes."""
        launch_require(study=study)
        return study_launch(study=study, actor=actor)


@extend_schema_view(
    post=extend_schema(
        description="Hand out no more tasks for now; tasks that raters hold may be finished.",
        request=None,
        responses=StudySerializer,
    )
)
class StudyPauseView(_Move):
    """``/api/studies/<slug>/pause/``."""

    service = staticmethod(study_pause)


@extend_schema_view(
    post=extend_schema(
        description="Hand out tasks again.",
        request=None,
        responses=StudySerializer,
    )
)
class StudyResumeView(_Move):
    """``/api/studies/<slug>/resume/``."""

    service = staticmethod(study_resume)


@extend_schema_view(
    post=extend_schema(
        description="End the study; tasks that raters hold may be finished.",
        request=None,
        responses=StudySerializer,
    )
)
class StudyCloseView(_Move):
    """``/api/studies/<slug>/close/``."""

    service = staticmethod(study_close)


class StudyRedundancyView(ApiView):
    """``/api/studies/<slug>/redundancy/``."""

    @extend_schema(request=RedundancyInput, responses=StudySerializer)
    @once
    def post(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """Ask for more ratings an item; ratings that stand go on counting."""
        study = self.study(slug)
        study_redundancy_raise(study=study, actor=self.actor, **self.given(RedundancyInput))
        return Response(study_shown(slug))


class StudyProgressView(ApiView):
    """``/api/studies/<slug>/progress/``."""

    @extend_schema(responses=StudyProgressSerializer)
    def get(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """Count what a study has and still needs: in all, by concept, by neuron, by method."""
        study = self.study(slug)
        progress = study_progress(study)
        neurons, methods = coverage(study, progress.per_concept)
        found = {**asdict(progress), "per_neuron": neurons, "per_method": methods}
        return Response(StudyProgressSerializer(found).data)


class StudyLogView(ListView):
    """``/api/studies/<slug>/log/``."""

    @extend_schema(responses=StudyEventSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """List who did what to the study, the latest first."""
        events = self.study(slug).events.select_related("actor").order_by("-at", "-pk")
        return self.page(events, StudyEventSerializer)
