"""Prolific: access, draft, publishing, places, submissions, payments. What spends asks for pay."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.http import Http404
from django.urls import reverse
from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ListView, once
from annotation.api.recruitment import OfChannel, RecruitmentSerializer
from annotation.exceptions import InvalidInput
from annotation.models import (
    BonusState,
    Channel,
    PanelBonus,
    PanelCredential,
    PanelSubmission,
    Recruitment,
    SubmissionStatus,
)
from annotation.queries.recruitment import submission_row, submission_rows
from annotation.recruitment.prolific import REJECTION_CATEGORIES, SHORTEST_REJECTION, Sending
from annotation.services.bonuses import MOST_MINOR, bonus_pay, submission_bonus_resolve
from annotation.services.credentials import (
    balance_read,
    credential_delete,
    credential_save,
    credential_use,
)
from annotation.services.prolific import (
    prolific_approve,
    prolific_draft_create,
    prolific_places_add,
    prolific_publish,
    prolific_reject,
    prolific_return_request,
    prolific_transition,
    prolific_webhooks_subscribe,
)
from annotation.services.submissions import submissions_reconcile


class DryRunInput(serializers.Serializer[dict[str, Any]]):
    """Whether to send anything."""

    dry_run = serializers.BooleanField(
        required=False, default=False, help_text="Say what would be sent; send nothing."
    )


class PlacesInput(DryRunInput):
    """How many places there shall be in all."""

    places = serializers.IntegerField(min_value=1, max_value=100_000)


class ApproveInput(DryRunInput):
    """Which submissions a person approves."""

    submissions = serializers.ListField(
        child=serializers.CharField(max_length=200), allow_empty=False, max_length=500
    )


class RejectInput(DryRunInput):
    """Why one submission is not paid; the rater reads it."""

    category = serializers.ChoiceField(choices=REJECTION_CATEGORIES)
    message = serializers.CharField(min_length=SHORTEST_REJECTION, max_length=2000)


class ReturnInput(DryRunInput):
    """Why the rater is asked to give the submission back."""

    reason = serializers.CharField(max_length=500)


class BonusInput(DryRunInput):
    """What is paid on top; the same key is one bonus, however often it is sent."""

    amount_minor = serializers.IntegerField(min_value=1, max_value=MOST_MINOR)
    key = serializers.CharField(max_length=100)


class BonusResolveInput(serializers.Serializer[dict[str, Any]]):
    """What a person has seen at Prolific of a bonus that was not answered for."""

    paid = serializers.BooleanField(help_text="If not, its booking is released.")


class AccessInput(serializers.Serializer[dict[str, Any]]):
    """A token of Prolific's API under a name; without a token, one that you stored before."""

    name = serializers.CharField(max_length=80)
    token = serializers.CharField(
        max_length=500,
        required=False,
        allow_blank=True,
        default="",
        write_only=True,
        help_text="Stored encrypted; never shown again.",
    )
    workspace_id = serializers.CharField(
        max_length=200, required=False, allow_blank=True, default=""
    )


class SendingSerializer(serializers.Serializer[Any]):
    """A request to Prolific."""

    method = serializers.CharField()
    path = serializers.CharField()
    body = serializers.DictField(child=serializers.JSONField(allow_null=True))


class DoneSerializer(serializers.Serializer[Any]):
    """What was sent to Prolific (or would be), and how the channel stands."""

    dry_run = serializers.BooleanField()
    sent = SendingSerializer(many=True)
    recruitment = RecruitmentSerializer()


class BonusSerializer(serializers.ModelSerializer[PanelBonus]):
    """A bonus as it stands."""

    state = serializers.ChoiceField(choices=BonusState.choices)

    class Meta:
        model = PanelBonus
        fields = ["amount_minor", "state", "created_at"]
        read_only_fields = fields


class BonusDone(serializers.Serializer[Any]):
    """What was sent, and the bonus; null in a dry run."""

    dry_run = serializers.BooleanField()
    sent = SendingSerializer(many=True)
    bonus = BonusSerializer(allow_null=True)


class BalanceSerializer(serializers.ModelSerializer[PanelCredential]):
    """What the workspace has, in minor units, and when Prolific said so."""

    workspace_id = serializers.CharField()
    available_minor = serializers.IntegerField(source="balance_minor")
    total_minor = serializers.IntegerField(
        source="balance_total_minor", help_text="With what active studies have set aside."
    )
    currency = serializers.CharField(source="balance_currency")
    at = serializers.DateTimeField(source="balance_at")

    class Meta:
        model = PanelCredential
        fields = ["workspace_id", "available_minor", "total_minor", "currency", "at"]
        read_only_fields = fields


class ReconciledSerializer(serializers.Serializer[Any]):
    """How many submissions changed."""

    n_changed = serializers.IntegerField()


class SubmissionSerializer(serializers.Serializer[Any]):
    """One of the panel's submissions beside what we know; `rater` is the rater in the study."""

    id = serializers.CharField(source="submission.submission_id")
    status = serializers.ChoiceField(choices=SubmissionStatus.choices, source="submission.status")
    status_at = serializers.DateTimeField(source="submission.status_at", allow_null=True)
    rater = serializers.UUIDField(
        source="submission.participation.public_id", default=None, allow_null=True
    )
    ours = serializers.CharField(allow_blank=True)
    disagreement = serializers.CharField(allow_blank=True)
    may_approve = serializers.BooleanField()
    bonuses = BonusSerializer(many=True)


class SubmissionsFilter(serializers.Serializer[dict[str, Any]]):
    """Which submissions are listed."""

    status = serializers.ChoiceField(
        choices=SubmissionStatus.choices, required=False, allow_blank=True, default=""
    )


class _OfProlific(OfChannel):
    def prolific(self, slug: str) -> Recruitment:
        """Get the study's channel Prolific."""
        return self.recruitment(self.study(slug), Channel.PROLIFIC)

    def submission(self, slug: str, submission_id: str) -> PanelSubmission:
        """Get a submission of the study.

        Parameters
        ----------
        slug : str
            The study.
        submission_id : str
            The panel's id.

        Returns
        -------
        PanelSubmission

        Raises
        ------
        Http404
            When the study has no such submission.
        """
        rows = PanelSubmission.objects.select_related("recruitment__study", "participation")
        found = rows.filter(recruitment=self.prolific(slug), submission_id=submission_id).first()
        if found is None:
            raise Http404(f"This study has no submission {submission_id}.")
        return found

    def done(self, row: Recruitment, sent: Sequence[Sending], *, dry_run: bool) -> Response:
        """Answer with what was sent and how the channel stands."""
        row.refresh_from_db()
        found = {"dry_run": dry_run, "sent": sent, "recruitment": row}
        return Response(DoneSerializer(found).data)


class AccessView(_OfProlific):
    """``/api/studies/<slug>/prolific/access/``."""

    @extend_schema(request=AccessInput, responses=RecruitmentSerializer)
    @sensitive_variables("given")
    def put(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """Run the study at Prolific with a token of yours, stored encrypted and never shown."""
        row = self.prolific(slug)
        given = self.given(AccessInput)
        if given["token"]:
            credential = credential_save(owner=self.actor, **given)
        else:
            found = PanelCredential.objects.filter(owner=self.actor.pk, name=given["name"]).first()
            if found is None:
                raise InvalidInput(
                    f"name: you stored no token under {given['name']!r}; send it along."
                )
            credential = found
        row = credential_use(recruitment=row, credential=credential, actor=self.actor)
        return Response(RecruitmentSerializer(row).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """Delete the token that the study uses, if it is yours, from all studies that use it."""
        credential_delete(recruitment=self.prolific(slug), actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class DraftView(_OfProlific):
    """``/api/studies/<slug>/prolific/draft/``."""

    @extend_schema(request=DryRunInput, responses=DoneSerializer)
    @once
    def post(self, request: Request, slug: str) -> Response:
        """Create the study at Prolific as a draft, which nobody sees and which costs nothing."""
        row = self.prolific(slug)
        given = self.given(DryRunInput)
        entry_url = request.build_absolute_uri(reverse("rater:entry", args=[slug]))
        sent = prolific_draft_create(
            recruitment=row, entry_url=entry_url, actor=self.actor, **given
        )
        return self.done(row, sent, **given)


class WebhooksView(_OfProlific):
    """``/api/studies/<slug>/prolific/webhooks/``."""

    @extend_schema(request=DryRunInput, responses=DoneSerializer)
    @once
    def post(self, request: Request, slug: str) -> Response:
        """Have Prolific call this site when a submission or the study changes."""
        row = self.prolific(slug)
        given = self.given(DryRunInput)
        if row.credential is None:
            raise InvalidInput("credential: enter a token of Prolific first.")
        address = reverse("prolific_webhook", args=[row.credential.public_id])
        sent = prolific_webhooks_subscribe(
            credential=row.credential,
            target_url=request.build_absolute_uri(address),
            recruitment=row,
            **given,
        )
        return self.done(row, sent, **given)


class PublishView(_OfProlific):
    """``/api/studies/<slug>/prolific/publish/``."""

    pays = True

    @extend_schema(request=DryRunInput, responses=DoneSerializer)
    @once
    def post(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """Publish the draft: its places are booked first, then raters can take them."""
        row = self.prolific(slug)
        given = self.given(DryRunInput)
        return self.done(row, prolific_publish(recruitment=row, actor=self.actor, **given), **given)


class _Transition(_OfProlific):
    pays = True
    action: ClassVar[str]

    @once
    def post(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        row = self.prolific(slug)
        given = self.given(DryRunInput)
        sent = prolific_transition(recruitment=row, action=self.action, actor=self.actor, **given)
        return self.done(row, sent, **given)


def _described(text: str) -> Any:
    return extend_schema_view(
        post=extend_schema(description=text, request=DryRunInput, responses=DoneSerializer)
    )


@_described("Pause the published study: nobody takes a new place.")
class PauseView(_Transition):
    """``/api/studies/<slug>/prolific/pause/``."""

    action = "PAUSE"


@_described("Resume the study that was paused.")
class ResumeView(_Transition):
    """``/api/studies/<slug>/prolific/resume/``."""

    action = "START"


@_described("Stop the published study for good; places that nobody took are released.")
class StopView(_Transition):
    """``/api/studies/<slug>/prolific/stop/``."""

    action = "STOP"


class PlacesView(_OfProlific):
    """``/api/studies/<slug>/prolific/places/``."""

    pays = True

    @extend_schema(request=PlacesInput, responses=DoneSerializer)
    @once
    def post(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """Raise the number of places to so many in all; what it costs is booked first."""
        row = self.prolific(slug)
        given = self.given(PlacesInput)
        sent = prolific_places_add(recruitment=row, actor=self.actor, **given)
        return self.done(row, sent, dry_run=given["dry_run"])


class ReconcileView(_OfProlific):
    """``/api/studies/<slug>/prolific/reconcile/``."""

    @extend_schema(request=None, responses=ReconciledSerializer)
    @once
    def post(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """Read the study and all its submissions from Prolific, and repair what was missed."""
        n_changed = submissions_reconcile(recruitment=self.prolific(slug))
        return Response(ReconciledSerializer({"n_changed": n_changed}).data)


class BalanceView(_OfProlific):
    """``/api/studies/<slug>/prolific/balance/``."""

    @extend_schema(request=None, responses=BalanceSerializer)
    @once
    def post(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """Ask Prolific what the workspace of the study's token has."""
        return Response(BalanceSerializer(balance_read(recruitment=self.prolific(slug))).data)


class SubmissionListView(_OfProlific, ListView):
    """``/api/studies/<slug>/prolific/submissions/``."""

    @extend_schema(parameters=[SubmissionsFilter], responses=SubmissionSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """List Prolific's submissions beside ours, those that wait for a person first."""
        row = self.prolific(slug)
        chosen = self.given(SubmissionsFilter, request.query_params)["status"]
        page = self.paginate_queryset(submission_rows(row, status=chosen))
        rows = [submission_row(submission) for submission in page or []]
        return self.get_paginated_response(SubmissionSerializer(rows, many=True).data)


class ApproveView(_OfProlific):
    """``/api/studies/<slug>/prolific/approve/``."""

    pays = True

    @extend_schema(request=ApproveInput, responses=DoneSerializer)
    @once
    def post(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """Approve submissions; they count as approved when Prolific says that they are."""
        row = self.prolific(slug)
        given = self.given(ApproveInput)
        wanted = list(dict.fromkeys(given["submissions"]))
        found = {one.submission_id: one for one in row.submissions.filter(submission_id__in=wanted)}
        for name in wanted:
            if name not in found:
                raise InvalidInput(f"submissions: this study has no submission {name!r}.")
        sent = prolific_approve(
            recruitment=row,
            submissions=[found[name] for name in wanted],
            actor=self.actor,
            dry_run=given["dry_run"],
        )
        return self.done(row, sent, dry_run=given["dry_run"])


class RejectView(_OfProlific):
    """``/api/studies/<slug>/prolific/submissions/<id>/reject/``."""

    pays = True

    @extend_schema(request=RejectInput, responses=DoneSerializer)
    @once
    def post(self, request: Request, slug: str, submission_id: str) -> Response:  # noqa: ARG002
        """Refuse to pay one submission, with a reason that the rater reads."""
        submission = self.submission(slug, submission_id)
        given = self.given(RejectInput)
        sent = prolific_reject(submission=submission, actor=self.actor, **given)
        return self.done(submission.recruitment, sent, dry_run=given["dry_run"])


class ReturnView(_OfProlific):
    """``/api/studies/<slug>/prolific/submissions/<id>/request-return/``."""

    @extend_schema(request=ReturnInput, responses=DoneSerializer)
    @once
    def post(self, request: Request, slug: str, submission_id: str) -> Response:  # noqa: ARG002
        """Ask the rater to give a submission back; they may decline."""
        submission = self.submission(slug, submission_id)
        given = self.given(ReturnInput)
        sent = prolific_return_request(submission=submission, actor=self.actor, **given)
        return self.done(submission.recruitment, sent, dry_run=given["dry_run"])


class BonusView(_OfProlific):
    """``/api/studies/<slug>/prolific/submissions/<id>/bonus/``."""

    pays = True

    @extend_schema(request=BonusInput, responses={201: BonusDone})
    @once
    def post(self, request: Request, slug: str, submission_id: str) -> Response:  # noqa: ARG002
        """Pay a bonus: booked first, then paid at most once."""
        submission = self.submission(slug, submission_id)
        given = self.given(BonusInput)
        bonus, sent = bonus_pay(submission=submission, actor=self.actor, **given)
        found = {"dry_run": given["dry_run"], "sent": sent, "bonus": bonus}
        return Response(BonusDone(found).data, status=status.HTTP_201_CREATED)


class BonusResolveView(_OfProlific):
    """``/api/studies/<slug>/prolific/submissions/<id>/bonus/resolve/``."""

    pays = True

    @extend_schema(request=BonusResolveInput, responses=BonusSerializer)
    @once
    def post(self, request: Request, slug: str, submission_id: str) -> Response:  # noqa: ARG002
        """Say whether the submission's bonus that is in doubt was paid; this pays nothing."""
        submission = self.submission(slug, submission_id)
        given = self.given(BonusResolveInput)
        bonus = submission_bonus_resolve(submission=submission, actor=self.actor, **given)
        return Response(BonusSerializer(bonus).data)
