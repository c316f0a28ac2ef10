"""Recruitment: channels, codes, what places cost, what was spent."""

from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView, ListView
from annotation.models import (
    CODED_OUTCOMES,
    Channel,
    LedgerEntry,
    LedgerKind,
    OutcomeCode,
    PanelAction,
    PanelRequest,
    Recruitment,
    Study,
)
from annotation.queries.money import cost_estimate, places_booked, places_needed, study_spend
from annotation.services.recruitments import FIELDS, outcome_codes_set, recruitment_set


class CodeSerializer(serializers.ModelSerializer[OutcomeCode]):
    """The completion code of one outcome."""

    outcome = serializers.CharField()

    class Meta:
        model = OutcomeCode
        fields = ["outcome", "code"]
        read_only_fields = fields


class PanelRequestSerializer(serializers.ModelSerializer[PanelRequest]):
    """What the panel is asked for because the study was paused, resumed or closed."""

    action = serializers.ChoiceField(choices=PanelAction.choices)

    class Meta:
        model = PanelRequest
        fields = ["action", "asked_at", "tried_at", "done_at", "error"]
        read_only_fields = fields


class RecruitmentSerializer(serializers.ModelSerializer[Recruitment]):
    """One channel through which the study recruits."""

    channel = serializers.ChoiceField(choices=Channel.choices)
    credential = serializers.CharField(source="credential.name", default=None, allow_null=True)
    codes = CodeSerializer(many=True)
    fee_percent = serializers.FloatField()
    panel_request = PanelRequestSerializer(
        default=None, allow_null=True, help_text="Null where nothing was asked for."
    )

    class Meta:
        model = Recruitment
        fields = [
            "channel",
            "active",
            "id_parameter",
            "submission_parameter",
            "completion_url",
            "require_signature",
            "reward_minor",
            "fee_percent",
            "estimated_minutes",
            "places",
            "panel_study_id",
            "panel_status",
            "credential",
            "reconciled_at",
            "panel_request",
            "codes",
        ]
        read_only_fields = fields


class RecruitmentInput(serializers.ModelSerializer[Recruitment]):
    """Of a channel, what changes."""

    class Meta:
        model = Recruitment
        fields = sorted(FIELDS)
        extra_kwargs = {
            "fee_percent": {"min_value": 0, "max_value": 100},
            "places": {"max_value": 100_000},
            "reward_minor": {"max_value": 100_000},
        }


class CodesInput(serializers.Serializer[dict[str, Any]]):
    """Codes by outcome; those that are not named stay."""

    codes = serializers.DictField(
        child=serializers.CharField(max_length=32),
        help_text=f"From {', '.join(CODED_OUTCOMES)} to its code.",
    )


class CostFilter(serializers.Serializer[dict[str, Any]]):
    """How many places."""

    places = serializers.IntegerField(
        min_value=1, max_value=100_000, required=False, allow_null=True, default=None
    )


class CostSerializer(serializers.Serializer[Any]):
    """What places would cost, in minor units; the panel's hourly minimum where there is one."""

    places = serializers.IntegerField(help_text="Those that are not booked yet.")
    places_booked = serializers.IntegerField(help_text="Booked or paid already.")
    places_needed = serializers.IntegerField(allow_null=True)
    reward_minor = serializers.IntegerField()
    fee_minor = serializers.IntegerField()
    total_minor = serializers.IntegerField()
    hourly_minor = serializers.IntegerField()
    hourly_minimum = serializers.IntegerField(allow_null=True)
    hourly_recommended = serializers.IntegerField(allow_null=True)
    cap_minor = serializers.IntegerField(allow_null=True)
    left_minor = serializers.IntegerField(allow_null=True)
    currency = serializers.CharField()


class SpendSerializer(serializers.Serializer[Any]):
    """What the study has cost so far, in minor units, and what it got for it."""

    committed_minor = serializers.IntegerField()
    rewards_minor = serializers.IntegerField()
    fees_minor = serializers.IntegerField()
    bonuses_minor = serializers.IntegerField()
    cap_minor = serializers.IntegerField(allow_null=True)
    left_minor = serializers.IntegerField(allow_null=True)
    n_paid = serializers.IntegerField()
    n_ratings = serializers.IntegerField()
    hourly_minor = serializers.IntegerField(allow_null=True)
    currency = serializers.CharField()


class LedgerSerializer(serializers.ModelSerializer[LedgerEntry]):
    """One amount in minor units; entries are only ever added."""

    channel = serializers.CharField(source="recruitment.channel", default=None, allow_null=True)
    kind = serializers.ChoiceField(choices=LedgerKind.choices)
    actor = serializers.CharField(source="actor.get_username", default=None, allow_null=True)

    class Meta:
        model = LedgerEntry
        fields = ["at", "kind", "amount_minor", "currency", "channel", "note", "actor"]
        read_only_fields = fields


class RecruitmentListView(ListView):
    """``/api/studies/<slug>/recruitment/``."""

    @extend_schema(responses=RecruitmentSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """List the channels through which the study recruits."""
        rows = self.study(slug).recruitments.select_related("credential", "panel_request")
        rows = rows.prefetch_related("codes")
        return self.page(rows.order_by("channel"), RecruitmentSerializer)


class OfChannel(ApiView):
    """An endpoint about one channel of a study."""

    def recruitment(self, study: Study, channel: str) -> Recruitment:
        """Get a channel of a study.

        Parameters
        ----------
        study : Study
            That may be seen.
        channel : str
            One of `Channel`.

        Returns
        -------
        Recruitment

        Raises
        ------
        Http404
            When the study does not recruit through it.
        """
        found = study.recruitments.select_related("study", "credential").filter(channel=channel)
        row = found.first()
        if row is None:
            raise Http404(f"This study has no channel {channel!r}; PATCH it to add it.")
        return row


class RecruitmentView(OfChannel):
    """``/api/studies/<slug>/recruitment/<channel>/``."""

    @extend_schema(responses=RecruitmentSerializer)
    def get(self, request: Request, slug: str, channel: str) -> Response:  # noqa: ARG002 - DRF's
        """Show a channel with its codes."""
        return Response(RecruitmentSerializer(self.recruitment(self.study(slug), channel)).data)

    @extend_schema(request=RecruitmentInput, responses=RecruitmentSerializer)
    def patch(self, request: Request, slug: str, channel: str) -> Response:  # noqa: ARG002 - DRF's
        """Add a channel, or change it; pay stays as it is once places are booked."""
        study = self.study(slug)
        fields = self.given(RecruitmentInput, partial=True)
        row = recruitment_set(study=study, channel=channel, actor=self.actor, **fields)
        row.refresh_from_db()
        return Response(RecruitmentSerializer(row).data)


class CodesView(OfChannel):
    """``/api/studies/<slug>/recruitment/<channel>/codes/``."""

    @extend_schema(request=CodesInput, responses=CodeSerializer(many=True))
    def put(self, request: Request, slug: str, channel: str) -> Response:  # noqa: ARG002 - DRF's
        """Set the codes that the panel expects for outcomes."""
        row = self.recruitment(self.study(slug), channel)
        codes = self.given(CodesInput)["codes"]
        found = outcome_codes_set(recruitment=row, codes=codes, actor=self.actor)
        return Response(CodeSerializer(found, many=True).data)


class CostView(OfChannel):
    """``/api/studies/<slug>/recruitment/<channel>/cost/``."""

    @extend_schema(parameters=[CostFilter], responses=CostSerializer)
    def get(self, request: Request, slug: str, channel: str) -> Response:
        """Estimate what places cost that are not booked yet, and what the cap leaves.

        `places` is the number in all, the planned one by default; reward, fee and hourly rate are
        those of one place.
        """
        row = self.recruitment(self.study(slug), channel)
        places = self.given(CostFilter, request.query_params)["places"]
        booked = places_booked(row)
        found = cost_estimate(row, places=places, booked=booked)
        more = {"places_booked": booked, "places_needed": places_needed(row.study)}
        return Response(CostSerializer({**vars(found), **more}).data)


class SpendView(ApiView):
    """``/api/studies/<slug>/spend/``."""

    @extend_schema(responses=SpendSerializer)
    def get(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """Add up what the study has cost so far, and what it got for it."""
        return Response(SpendSerializer(study_spend(self.study(slug))).data)


class LedgerView(ListView):
    """``/api/studies/<slug>/ledger/``."""

    @extend_schema(responses=LedgerSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """List all that was booked, the first first."""
        rows = self.study(slug).ledger.select_related("recruitment", "actor").order_by("at", "pk")
        return self.page(rows, LedgerSerializer)
