"""Quality: agreement, raters, the review queue, exclusions, the policy."""

from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView, ListView, once
from annotation.exports import rater_pseudonym
from annotation.models import (
    Channel,
    Outcome,
    Participation,
    QualityPolicy,
    Review,
    ReviewDecision,
    ReviewReason,
    Study,
)
from annotation.permissions import may_change
from annotation.queries.quality import (
    FILTERS,
    RaterQuality,
    participations_found,
    raters_quality,
    study_agreement,
)
from annotation.services.decisions import review_decide
from annotation.services.deletions import rater_delete
from annotation.services.exclusions import exclusion_lift, exclusion_make
from annotation.services.quality import POLICY_FIELDS, quality_policy_set
from annotation.services.reviews import review_report

#: Characters of a note.
MAX_NOTE = 500


class AgreementSerializer(serializers.Serializer[Any]):
    """Krippendorff's alpha with its interval; null where it is undefined."""

    alpha = serializers.FloatField(allow_null=True)
    lower = serializers.FloatField(allow_null=True)
    upper = serializers.FloatField(allow_null=True)
    n_items = serializers.IntegerField()
    n_votes = serializers.IntegerField()


class ConceptAgreementSerializer(serializers.Serializer[Any]):
    """Agreement on the items of one concept."""

    concept = serializers.CharField()
    agreement = AgreementSerializer()


class StudyAgreementSerializer(serializers.Serializer[Any]):
    """How far raters agree, in all and by concept."""

    overall = AgreementSerializer()
    per_concept = ConceptAgreementSerializer(many=True)


class ShareSerializer(serializers.Serializer[Any]):
    """A share of right answers with its interval; null where there are none."""

    k = serializers.IntegerField()
    n = serializers.IntegerField()
    value = serializers.FloatField(allow_null=True)
    lower = serializers.FloatField(allow_null=True)
    upper = serializers.FloatField(allow_null=True)


class RaterSerializer(serializers.Serializer[Any]):
    """How one rater does. `rater` is the name that exports have; `id` is for the API."""

    id = serializers.UUIDField(source="participation.public_id")
    rater = serializers.SerializerMethodField()
    channel = serializers.ChoiceField(choices=Channel.choices, source="participation.rater.channel")
    outcome = serializers.ChoiceField(
        choices=Outcome.choices, allow_blank=True, source="participation.outcome"
    )
    n_tasks = serializers.IntegerField()
    n_late = serializers.IntegerField()
    n_ratings = serializers.IntegerField()
    n_cannot_tell = serializers.IntegerField()
    gold = ShareSerializer()
    sensitivity = ShareSerializer()
    specificity = ShareSerializer()
    agreement = ShareSerializer()
    median_ms = serializers.FloatField(allow_null=True)
    longest_run = serializers.IntegerField()
    n_attention = serializers.IntegerField()
    n_attention_failed = serializers.IntegerField()
    excluded = serializers.SerializerMethodField()
    reviews = serializers.SerializerMethodField()

    def get_rater(self, row: RaterQuality) -> str:
        """Name the rater as exports do."""
        return rater_pseudonym(row.participation.study, row.participation.rater.public_id)

    def get_excluded(self, row: RaterQuality) -> bool:
        """Say whether the ratings are taken out."""
        return row.exclusion is not None

    def get_reviews(self, row: RaterQuality) -> list[int]:
        """Name the entries of the review queue that are open."""
        return [review.pk for review in row.reviews]


class RatersFilter(serializers.Serializer[dict[str, Any]]):
    """Which raters are listed."""

    show = serializers.ChoiceField(
        choices=list(FILTERS.items()), required=False, allow_blank=True, default=""
    )


class ReviewSerializer(serializers.ModelSerializer[Review]):
    """An entry of the review queue; `rater` is the id of the rater in the study."""

    id = serializers.IntegerField(source="pk")
    rater = serializers.UUIDField(source="participation.public_id")
    reason = serializers.ChoiceField(choices=ReviewReason.choices)
    details = serializers.DictField(child=serializers.JSONField(allow_null=True))
    decision = serializers.ChoiceField(choices=ReviewDecision.choices, allow_blank=True)
    decided_by = serializers.CharField(
        source="decided_by.get_username", default=None, allow_null=True
    )

    class Meta:
        model = Review
        fields = [
            "id",
            "rater",
            "reason",
            "details",
            "opened_at",
            "decision",
            "decided_at",
            "decided_by",
            "note",
        ]
        read_only_fields = fields


class ReviewsFilter(serializers.Serializer[dict[str, Any]]):
    """Which entries are listed."""

    open = serializers.BooleanField(
        required=False, default=True, help_text="Those that wait for a decision, or the others."
    )


class NoteField(serializers.CharField):
    """Why, in a sentence; perhaps nothing."""

    def __init__(self) -> None:
        super().__init__(max_length=MAX_NOTE, required=False, allow_blank=True, default="")


class DecisionInput(serializers.Serializer[dict[str, Any]]):
    """What a person decided."""

    decision = serializers.ChoiceField(choices=[ReviewDecision.KEEP, ReviewDecision.EXCLUDE])
    note = NoteField()


class ExclusionInput(serializers.Serializer[dict[str, Any]]):
    """Why the ratings are taken out."""

    reason = serializers.ChoiceField(
        choices=ReviewReason.choices, required=False, default=ReviewReason.REPORTED
    )
    note = NoteField()


class ReportInput(serializers.Serializer[dict[str, Any]]):
    """What a person saw."""

    note = serializers.CharField(max_length=MAX_NOTE)


class LiftedSerializer(serializers.Serializer[Any]):
    """What lifting an exclusion brought back."""

    n_back = serializers.IntegerField()
    n_left_out = serializers.IntegerField()


class DeletionFilter(serializers.Serializer[dict[str, Any]]):
    """Why a rater's data is deleted."""

    note = NoteField()


class PolicySerializer(serializers.ModelSerializer[QualityPolicy]):
    """A study's rules for training, gold items, attention checks and limits of a rater."""

    class Meta:
        model = QualityPolicy
        fields = sorted(POLICY_FIELDS)
        extra_kwargs = {
            "attention_failures": {"min_value": 2},
            "items_per_concept": {"min_value": 1},
            "tasks_per_rater": {"min_value": 1},
            "training_attempts": {"min_value": 1},
        }


class AgreementView(ApiView):
    """``/api/studies/<slug>/agreement/``."""

    @extend_schema(responses=StudyAgreementSerializer)
    def get(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """Compute how far raters agree: Krippendorff's alpha, in all and by concept."""
        return Response(StudyAgreementSerializer(study_agreement(self.study(slug))).data)


class PolicyView(ApiView):
    """``/api/studies/<slug>/policy/``."""

    @extend_schema(responses=PolicySerializer)
    def get(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """Show the study's rules for raters."""
        return Response(PolicySerializer(self._policy(self.study(slug))).data)

    @extend_schema(request=PolicySerializer, responses=PolicySerializer)
    def patch(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """Change the rules: all of a draft's; what breaks no promise once people rate."""
        study = self.study(slug)
        fields = self.given(PolicySerializer, partial=True)
        return Response(
            PolicySerializer(quality_policy_set(study=study, actor=self.actor, **fields)).data
        )

    def _policy(self, study: Study) -> QualityPolicy:
        return QualityPolicy.objects.filter(study=study).first() or QualityPolicy(study=study)


class RaterListView(ListView):
    """``/api/studies/<slug>/raters/``."""

    @extend_schema(parameters=[RatersFilter], responses=RaterSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """List the raters of a study with their gold record, speed and agreement."""
        narrowed = self.given(RatersFilter, request.query_params)["show"]
        found = participations_found(self.study(slug), narrowed=narrowed)
        page = self.paginate_queryset(found)
        return self.get_paginated_response(
            RaterSerializer(raters_quality(page or []), many=True).data
        )


class _OfRater(ApiView):
    def participation(self, slug: str, rater_id: UUID) -> Participation:
        """Get a rater of a study.

        Parameters
        ----------
        slug : str
            The study.
        rater_id : UUID
            Of the rater in the study.

        Returns
        -------
        Participation

        Raises
        ------
        Http404
            When the study has no such rater.
        """
        found = (
            self.study(slug)
            .participations.select_related("rater", "study")
            .filter(public_id=rater_id)
            .first()
        )
        if found is None:
            raise Http404(f"This study has no rater {rater_id}.")
        return found

    def shown(self, participation: Participation) -> Any:
        """Show how the rater does now."""
        (row,) = raters_quality([participation])
        return RaterSerializer(row).data


class RaterView(_OfRater):
    """``/api/studies/<slug>/raters/<id>/``."""

    @extend_schema(responses=RaterSerializer)
    def get(self, request: Request, slug: str, rater_id: UUID) -> Response:  # noqa: ARG002 - DRF's
        """Show how one rater does."""
        return Response(self.shown(self.participation(slug, rater_id)))

    @extend_schema(parameters=[DeletionFilter], responses={204: None})
    def delete(self, request: Request, slug: str, rater_id: UUID) -> Response:
        """Delete all that a rater gave, in every study; that it was done is recorded.

        Whoever does it must be allowed to change all studies that the rater took part in.
        """
        participation = self.participation(slug, rater_id)
        note = self.given(DeletionFilter, request.query_params)["note"]
        studies = Study.objects.filter(participations__rater=participation.rater_id)
        if not all(may_change(request.user, study) for study in studies):
            raise PermissionDenied(
                "This rater took part in studies of others as well, and the deletion concerns "
                "them all; ask the staff of this site."
            )
        rater_delete(rater=participation.rater, actor=self.actor, note=note)
        return Response(status=status.HTTP_204_NO_CONTENT)


class ExclusionView(_OfRater):
    """``/api/studies/<slug>/raters/<id>/exclusion/``."""

    @extend_schema(request=ExclusionInput, responses={201: RaterSerializer})
    @once
    def post(self, request: Request, slug: str, rater_id: UUID) -> Response:  # noqa: ARG002
        """Take a rater's ratings out; their slots go to other raters.

        What a panel pays is untouched.
        """
        participation = self.participation(slug, rater_id)
        given = self.given(ExclusionInput)
        exclusion_make(participation=participation, actor=self.actor, **given)
        return Response(self.shown(participation), status=status.HTTP_201_CREATED)

    @extend_schema(responses=LiftedSerializer)
    def delete(self, request: Request, slug: str, rater_id: UUID) -> Response:  # noqa: ARG002
        """Let a rater's ratings count again, as far as their slots are free."""
        participation = self.participation(slug, rater_id)
        lifted = exclusion_lift(participation=participation, actor=self.actor)
        return Response(LiftedSerializer(lifted).data)


class ReportView(_OfRater):
    """``/api/studies/<slug>/raters/<id>/report/``."""

    @extend_schema(request=ReportInput, responses={201: ReviewSerializer})
    @once
    def post(self, request: Request, slug: str, rater_id: UUID) -> Response:  # noqa: ARG002
        """Put a rater into the review queue by hand."""
        participation = self.participation(slug, rater_id)
        given = self.given(ReportInput)
        review = review_report(participation=participation, actor=self.actor, **given)
        return Response(ReviewSerializer(review).data, status=status.HTTP_201_CREATED)


class ReviewListView(ListView):
    """``/api/studies/<slug>/reviews/``."""

    @extend_schema(parameters=[ReviewsFilter], responses=ReviewSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """List the review queue, the oldest first; nothing is excluded without a decision."""
        is_open = self.given(ReviewsFilter, request.query_params)["open"]
        rows = Review.objects.filter(participation__study=self.study(slug))
        rows = (
            rows.filter(decision=ReviewDecision.OPEN)
            if is_open
            else rows.exclude(decision=ReviewDecision.OPEN)
        )
        return self.page(
            rows.select_related("participation", "decided_by").order_by("opened_at", "pk"),
            ReviewSerializer,
        )


class ReviewDecisionView(ApiView):
    """``/api/studies/<slug>/reviews/<id>/decision/``."""

    @extend_schema(request=DecisionInput, responses=ReviewSerializer)
    @once
    def post(self, request: Request, slug: str, review_id: int) -> Response:  # noqa: ARG002
        """Keep or exclude the ratings that an entry of the queue is about."""
        review = Review.objects.filter(participation__study=self.study(slug), pk=review_id).first()
        if review is None:
            raise Http404(f"This study has no review {review_id}.")
        decided = review_decide(review=review, actor=self.actor, **self.given(DecisionInput))
        return Response(ReviewSerializer(decided).data)
