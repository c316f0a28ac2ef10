"""Whatever raters and researchers do, and in whatever order: exactly k valid ratings an item."""

from collections import Counter
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from annotation.models import (
    HOLDING,
    Assignment,
    AssignmentStatus,
    Exclusion,
    Participation,
    Rating,
    Study,
)
from annotation.services.assignments import (
    assignment_lease,
    assignment_return,
    assignment_submit,
    leases_expire,
)
from annotation.services.exclusions import exclusion_lift, exclusion_make
from annotation.services.ratings import ratings_save
from annotation.services.scoring import counted_ratings
from tests.annotation.factories import make_participation, rate_study
from tests.annotation.factories_quality import make_gold_study

K = 2
RATERS = 3


class Allocation(RuleBasedStateMachine):
    """Three raters and a researcher at one study; each example is rolled back."""

    study: Study

    def __init__(self) -> None:
        super().__init__()
        self._transaction = transaction.atomic()
        self._transaction.__enter__()
        self.raters: list[Participation] = []

    def teardown(self) -> None:
        try:
            self._finish()
        finally:
            transaction.set_rollback(True)
            self._transaction.__exit__(None, None, None)

    # --- what may happen

    @precondition(lambda self: len(self.raters) < RATERS)
    @rule()
    def arrive(self) -> None:
        self.raters.append(make_participation(self.study))

    @precondition(lambda self: self.raters)
    @rule(number=st.integers(0, RATERS - 1))
    def lease(self, number: int) -> None:
        assignment_lease(participation=self._rater(number))

    @precondition(lambda self: self.raters)
    @rule(number=st.integers(0, RATERS - 1), submit=st.booleans(), newest=st.booleans())
    def answer(self, number: int, submit: bool, newest: bool) -> None:
        """Answer a task in any state, as a tab that was left open may do."""
        own = Assignment.objects.filter(
            participation=self._rater(number),
            status__in=[AssignmentStatus.LEASED, AssignmentStatus.EXPIRED],
        ).order_by("-leased_at" if newest else "leased_at", "pk")
        assignment = own.first()
        if assignment is None:
            return
        items = list(assignment.task.items.values_list("public_id", flat=True))
        given = items if submit else items[: len(items) // 2]
        ratings_save(assignment=assignment, values=dict.fromkeys(given, "absent"))
        if submit:
            assignment_submit(assignment=assignment)

    @precondition(lambda self: self.raters)
    @rule(number=st.integers(0, RATERS - 1))
    def give_back(self, number: int) -> None:
        held = Assignment.objects.filter(participation=self._rater(number), status="leased").first()
        if held is not None:
            assignment_return(assignment=held)

    @rule()
    def time_passes(self) -> None:
        leases_expire(now=timezone.now() + timedelta(days=1))

    @precondition(lambda self: self.raters)
    @rule(number=st.integers(0, RATERS - 1))
    def exclude(self, number: int) -> None:
        exclusion_make(participation=self._rater(number), reason="reported", actor=self.study.owner)

    @precondition(lambda self: self.raters)
    @rule(number=st.integers(0, RATERS - 1))
    def exclude_in_the_middle(self, number: int) -> None:
        """A rater hands in a task that they held when they were excluded."""
        rater = self._rater(number)
        assignment = assignment_lease(participation=rater)
        exclusion_make(participation=rater, reason="reported", actor=self.study.owner)
        if assignment is not None:
            ids = assignment.task.items.values_list("public_id", flat=True)
            ratings_save(assignment=assignment, values=dict.fromkeys(ids, "absent"))
            assignment_submit(assignment=assignment)

    @precondition(lambda self: self.raters)
    @rule(number=st.integers(0, RATERS - 1))
    def lift(self, number: int) -> None:
        rater = self._rater(number)
        if Exclusion.objects.filter(participation=rater, lifted_at__isnull=True).exists():
            exclusion_lift(participation=rater, actor=self.study.owner)

    # --- what must hold

    @invariant()
    def no_task_is_held_too_often(self) -> None:
        held = Assignment.objects.filter(status__in=HOLDING).values_list("task", "slot")
        assert max(Counter(held).values(), default=0) <= 1
        assert all(slot < K for _, slot in held)

    @invariant()
    def nobody_who_is_excluded_counts(self) -> None:
        excluded = Exclusion.objects.filter(lifted_at__isnull=True).values("participation")
        assert not Assignment.objects.filter(
            participation__in=excluded, status=AssignmentStatus.SUBMITTED
        ).exists()

    @invariant()
    def every_submitted_task_is_complete_and_no_item_counts_too_often(self) -> None:
        counts = Counter(
            Rating.objects.filter(assignment__status="submitted").values_list("item", flat=True)
        )
        assert max(counts.values(), default=0) <= K
        for assignment in Assignment.objects.filter(status="submitted"):
            assert assignment.ratings.count() == assignment.task.items.count()

    def _rater(self, number: int) -> Participation:
        return self.raters[number % len(self.raters)]

    def _finish(self) -> None:
        """Fresh raters do what is left: then every item has exactly k ratings."""
        leases_expire(now=timezone.now() + timedelta(days=1))
        rate_study(self.study, "present")
        counts = Counter(
            Rating.objects.filter(assignment__status="submitted").values_list("item", flat=True)
        )
        items = set(self.study.items.values_list("pk", flat=True))
        assert set(counts) == items
        assert set(counts.values()) == {K}
        rows = counted_ratings(self.study)
        assert len(rows) == K * self.study.items.filter(gold_value="").count()
        assert len({(row.concept, row.item, row.rater) for row in rows}) == len(rows)


@pytest.mark.django_db
def test_exactly_k_after_anything() -> None:
    Allocation.study = make_gold_study(
        n_inputs=60,
        n_neurons=1,
        n_concepts=1,
        inputs_per_pair=6,
        items_per_task=2,
        redundancy=K,
        n_each=2,
        gold_per_task=1,
    )
    run_state_machine_as_test(
        Allocation,
        settings=settings(
            max_examples=12,
            stateful_step_count=18,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
