"""Rounds of a study: listed, planned, drawn."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api.base import ApiView, once
from annotation.models import RoundDesign
from annotation.queries.rounds import RoundOverview, rounds_overview
from annotation.services.round_plan import MAX_DRAWS, round_plan
from annotation.services.round_types import RoundPlan
from annotation.services.rounds import PAGE_SECONDS, round_problem, round_write

MAX_SEED = 2**48 - 1


class RoundSerializer(serializers.Serializer[RoundOverview]):
    """A round: what was drawn, and how far its own items are."""

    number = serializers.IntegerField(source="round.number")
    design = serializers.ChoiceField(choices=RoundDesign.choices, source="round.design")
    n_draws = serializers.IntegerField(source="round.n_draws", help_text="For each pair.")
    half_width = serializers.FloatField(
        source="round.half_width",
        allow_null=True,
        help_text="Only pairs with a wider interval drew; null: all pairs.",
    )
    seed = serializers.IntegerField(source="round.seed")
    drawn_at = serializers.DateTimeField(source="round.drawn_at")
    drawn_by = serializers.CharField(
        source="round.drawn_by.get_username", default=None, allow_null=True
    )
    run = serializers.UUIDField(
        source="round.run.public_id",
        default=None,
        allow_null=True,
        help_text="The estimates whose intervals chose the pairs.",
    )
    n_ratings_before = serializers.IntegerField(source="round.n_ratings_before")
    n_pairs = serializers.IntegerField()
    n_items = serializers.IntegerField()
    ratings_wanted = serializers.IntegerField()
    ratings_valid = serializers.IntegerField()


class RoundInput(serializers.Serializer[dict[str, Any]]):
    """A round to draw."""

    design = serializers.ChoiceField(
        choices=RoundDesign.choices, help_text="adaptive, or the study's own design."
    )
    n_draws = serializers.IntegerField(
        min_value=1, max_value=MAX_DRAWS, help_text="For each (neuron, concept) pair."
    )
    half_width = serializers.FloatField(
        min_value=1e-6,
        max_value=1,
        required=False,
        allow_null=True,
        default=None,
        help_text="Only pairs of explanations whose interval is wider than plus or minus this.",
    )
    seed = serializers.IntegerField(
        min_value=0, max_value=MAX_SEED, required=False, allow_null=True, default=None
    )
    max_ratings = serializers.IntegerField(
        min_value=0,
        max_value=2**31 - 1,
        required=False,
        allow_null=True,
        default=None,
        help_text="Refuse a round that asks for more.",
    )
    dry_run = serializers.BooleanField(
        required=False, default=False, help_text="Say what would be drawn, and draw nothing."
    )


class ConceptRoundSerializer(serializers.Serializer[Any]):
    """What a round draws for one concept."""

    concept = serializers.CharField()
    n_pairs = serializers.IntegerField()
    n_draws = serializers.IntegerField()
    n_new = serializers.IntegerField()
    n_reused = serializers.IntegerField()
    further = serializers.IntegerField(allow_null=True)


class ChannelCostSerializer(serializers.Serializer[Any]):
    """What the raters of a round would cost through one channel."""

    channel = serializers.CharField()
    places_planned = serializers.IntegerField()
    total_minor = serializers.IntegerField()
    left_minor = serializers.IntegerField(allow_null=True)
    currency = serializers.CharField()
    passes_cap = serializers.BooleanField()


class RoundPlanSerializer(serializers.Serializer[RoundPlan]):
    """What a round would draw, ask and cost."""

    number = serializers.IntegerField()
    design = serializers.ChoiceField(choices=RoundDesign.choices)
    n_draws = serializers.IntegerField()
    half_width = serializers.FloatField(allow_null=True)
    seed = serializers.IntegerField()
    n_ratings_before = serializers.IntegerField()
    error_rate = serializers.FloatField(allow_null=True)
    n_pairs = serializers.SerializerMethodField()
    n_pairs_left = serializers.IntegerField(help_text="Known well enough; they draw nothing.")
    n_drawn = serializers.IntegerField()
    n_reused = serializers.IntegerField(help_text="Draws on items that are there.")
    n_items = serializers.IntegerField(help_text="New ones.")
    n_gold = serializers.IntegerField()
    n_tasks = serializers.SerializerMethodField()
    n_ratings = serializers.IntegerField(help_text="To ask for, gold items included.")
    n_raters = serializers.IntegerField()
    minutes_a_task = serializers.FloatField()
    further = serializers.IntegerField(
        allow_null=True,
        help_text="Further ratings that all scores are expected to need for the half width.",
    )
    costs = ChannelCostSerializer(many=True)
    concepts = ConceptRoundSerializer(many=True)
    notes = serializers.ListField(child=serializers.CharField())
    problem = serializers.SerializerMethodField(help_text="Why it cannot be drawn; or empty.")

    def get_n_pairs(self, plan: RoundPlan) -> int:
        """Count the pairs that draw."""
        return len(plan.pairs)

    def get_n_tasks(self, plan: RoundPlan) -> int:
        """Count the new tasks."""
        return len(plan.tasks)

    def get_problem(self, plan: RoundPlan) -> str:
        """Say what stands against it."""
        problem = round_problem(study=self.context["study"], plan=plan)
        return "" if problem is None else str(problem)


class RoundsView(ApiView):
    """``/api/studies/<slug>/rounds/``."""

    @extend_schema(responses=RoundSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """List the rounds of a study; the launch is the first."""
        rows: Any = rounds_overview(self.study(slug))
        return Response(RoundSerializer(rows, many=True).data)

    @extend_schema(
        request=RoundInput,
        responses={200: RoundPlanSerializer, 201: RoundSerializer},
    )
    @once
    def post(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF's
        """Draw a further round: new items in new tasks; earlier ratings serve again.

        With `dry_run` it says what would be drawn, asked and spent, and draws nothing. Models of
        many pairs take longer than a request may: such a study takes the command `draw_round`.
        """
        study = self.study(slug)
        given = self.given(RoundInput)
        max_ratings, dry_run = given.pop("max_ratings"), given.pop("dry_run")
        plan = round_plan(study=study, most_seconds=PAGE_SECONDS, **given)
        if dry_run:
            return Response(RoundPlanSerializer(plan, context={"study": study}).data)
        written = round_write(study=study, plan=plan, actor=self.actor, max_ratings=max_ratings)
        row = next(one for one in rounds_overview(study) if one.round.pk == written.pk)
        return Response(RoundSerializer(row).data, status=status.HTTP_201_CREATED)
