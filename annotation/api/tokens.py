"""The tokens of whoever asks. They are made on the page or by command alone."""

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView
from annotation.models import ApiToken, Scope
from annotation.services.tokens import token_revoke, tokens_of


class TokenSerializer(serializers.ModelSerializer[ApiToken]):
    """A token, without the token: `prefix` is how it begins."""

    id = serializers.IntegerField(source="pk")
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=Scope.choices))

    class Meta:
        model = ApiToken
        fields = [
            "id",
            "name",
            "prefix",
            "scopes",
            "created_at",
            "expires_at",
            "last_used_at",
            "revoked_at",
        ]
        read_only_fields = fields


class TokenListView(ApiView):
    """``/api/tokens/``."""

    @extend_schema(responses=TokenSerializer(many=True))
    def get(self, request: Request) -> Response:  # noqa: ARG002 - DRF's
        """List your tokens.

        A token is made on the page Tokens, or with ``manage.py api_token``, never here: a token
        that was stolen makes no other.
        """
        return Response(TokenSerializer(tokens_of(self.actor), many=True).data)


class TokenView(ApiView):
    """``/api/tokens/<id>/``."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, token_id: int) -> Response:  # noqa: ARG002 - DRF's
        """Revoke one of your tokens; the one that asks may revoke itself."""
        token = ApiToken.objects.filter(user=self.actor.pk, pk=token_id).first()
        if token is None:
            raise Http404(f"You have no token {token_id}.")
        token_revoke(token=token)
        return Response(status=status.HTTP_204_NO_CONTENT)
