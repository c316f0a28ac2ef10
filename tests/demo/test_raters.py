"""Simulated raters: they read pages as a browser does, and finish a study."""

from collections import Counter

import numpy as np
import pytest
from django.test import override_settings

from annotation.models import Assignment, AssignmentStatus, Channel, Participation, Rating
from demo.raters import DemoError, rate_study, read_page
from estimation.simulation import SimulatedRater, simulate_raters
from tests.annotation.factories import make_study


def test_read_page_takes_concept_items_and_token() -> None:
    page = read_page(
        '<h1 id="question">Does it show: <strong>a &lt;closed&gt; loop</strong></h1>'
        '<p><strong>other</strong></p><form data-save-url="/save/" action="/submit/">'
        '<input name="csrfmiddlewaretoken" value="t0k">'
        '<fieldset data-item="i1" data-image="p1"></fieldset>'
        '<fieldset data-item="i2" data-image="p2"></fieldset></form>'
    )
    assert page.concept == "a <closed> loop"
    assert page.items == [("i1", "p1"), ("i2", "p2")]
    assert (page.token, page.action, page.save_url) == ("t0k", "/submit/", "/save/")


@pytest.mark.django_db
@override_settings(NEURONJURY_ALLOW_SIMULATED_RATERS=True)
def test_perfect_raters_fill_the_redundancy_and_answer_the_truth() -> None:
    study = make_study(redundancy=2)
    assert study.reference is not None
    labels = np.load(study.reference.absolute_path) >= 0.5
    truth = {f"concept {number}": labels[:, number] for number in range(labels.shape[1])}
    panel = [SimulatedRater(f"perfect-{n}", 0.0, 0.0) for n in range(6)]
    seen: list[int] = []
    given = rate_study(study, panel, truth=truth, max_tasks=3, seed=0, progress=seen.append)
    assert given == sum(seen) == study.items.count() * 2
    counts = Counter(
        Rating.objects.filter(assignment__status=AssignmentStatus.SUBMITTED).values_list(
            "item_id", flat=True
        )
    )
    assert set(counts.values()) == {2}
    assert len(counts) == study.items.count()
    wrong = 0
    for rating in Rating.objects.select_related("item__concept", "item__probe_input"):
        if rating.value != "cannot_tell":
            expected = truth[rating.item.concept.text][rating.item.probe_input.index]
            wrong += (rating.value == "present") != expected
    assert wrong == 0
    done = Participation.objects.filter(study=study, assignments__status="submitted").distinct()
    assert all(p.completion_code for p in done)
    assert {p.rater.channel for p in done} == {Channel.SIMULATED}
    assert not Assignment.objects.filter(status=AssignmentStatus.LEASED).exists()


@pytest.mark.django_db
def test_a_site_that_does_not_allow_simulated_raters_takes_none() -> None:
    study = make_study(redundancy=1)
    truth = {f"concept {n}": np.zeros(40, dtype=bool) for n in range(2)}
    panel = simulate_raters(1, seed=0)
    with pytest.raises(DemoError, match="got status 403"):
        rate_study(study, panel, truth=truth, max_tasks=1, seed=0)
    assert not Participation.objects.exists()
