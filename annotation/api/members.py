"""Who shares in a study."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView, ListView
from annotation.models import Role, StudyMember
from annotation.services.members import member_remove, member_set


class MemberSerializer(serializers.ModelSerializer[StudyMember]):
    """Somebody who shares in a study."""

    username = serializers.CharField(source="user.get_username")
    role = serializers.ChoiceField(choices=Role.choices)

    class Meta:
        model = StudyMember
        fields = ["username", "role", "added_at"]
        read_only_fields = fields


class RoleInput(serializers.Serializer[dict[str, Any]]):
    """What somebody may do."""

    role = serializers.ChoiceField(choices=Role.choices)


class MemberListView(ListView):
    """``/api/studies/<slug>/members/``."""

    @extend_schema(responses=MemberSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """List the members of a study; its owner is none of them."""
        members = self.study(slug).members.select_related("user").order_by("user__username")
        return self.page(members, MemberSerializer)


class MemberView(ApiView):
    """``/api/studies/<slug>/members/<username>/``."""

    @extend_schema(request=RoleInput, responses=MemberSerializer)
    def put(self, request: Request, slug: str, username: str) -> Response:  # noqa: ARG002 - DRF's
        """Give somebody a role in the study, or another one; its owner alone may."""
        study = self.owned_study(slug)
        member = member_set(
            study=study, username=username, actor=self.actor, **self.given(RoleInput)
        )
        return Response(MemberSerializer(member).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, slug: str, username: str) -> Response:  # noqa: ARG002
        """Take somebody's role away; the study's owner alone may."""
        member_remove(study=self.owned_study(slug), username=username, actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)
