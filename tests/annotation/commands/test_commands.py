"""The commands, as they are typed."""

import csv
import io
import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from annotation.models import Assignment, AssignmentStatus, EstimateRun, Rating
from annotation.services.assignments import assignment_lease
from tests.annotation.factories import make_participation, make_study, rate_study

pytestmark = pytest.mark.django_db


def output(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_estimate_then_export(tmp_path: Path) -> None:
    study = make_study(n_inputs=60, inputs_per_pair=40)
    rate_study(study)
    text = output("estimate", study.slug, "--aggregation", "majority")
    lines = text.splitlines()
    assert lines[0].startswith(
        f"Majority vote, importance_weighted: {Rating.objects.count()} ratings, 4 scores, 0 expl"
    )
    assert "1. Good" in lines[1]
    assert "reference" in lines[1]
    run = EstimateRun.objects.get()
    assert run.sanity_checks
    rows = list(csv.DictReader(io.StringIO(output("export_estimates", study.slug))))
    assert len(rows) == 4
    path = tmp_path / "estimates.json"
    call_command("export_estimates", study.slug, "--format", "json", "--output", str(path))
    assert json.loads(path.read_text())["run"]["id"] == str(run.public_id)


def test_export_ratings_to_files(tmp_path: Path) -> None:
    study = make_study()
    rate_study(study, max_tasks=1)
    ratings, draws = tmp_path / "ratings.csv", tmp_path / "draws.csv"
    call_command("export_ratings", study.slug, "--output", str(ratings), "--draws", str(draws))
    with ratings.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == Rating.objects.count()
    with draws.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 80


def test_unknown_studies_and_missing_estimates_are_explained() -> None:
    study = make_study()
    with pytest.raises(CommandError, match=f"no study 'nope'; there are: {study.slug}"):
        call_command("export_ratings", "nope")
    with pytest.raises(CommandError, match=f"run `manage.py estimate {study.slug}` first"):
        call_command("export_estimates", study.slug)
    draft = make_study(launched=False)
    with pytest.raises(CommandError, match="never launched"):
        call_command("estimate", draft.slug)


def test_a_failed_estimate_says_why() -> None:
    study = make_study()
    rate_study(study)
    study.concept_prior.absolute_path.unlink()
    with pytest.raises(CommandError, match=r"The estimate failed: cheap model .*no such file"):
        call_command("estimate", study.slug)


def test_expire_leases() -> None:
    assignment = assignment_lease(participation=make_participation(make_study()))
    assert assignment is not None
    assert output("expire_leases") == "0 leases expired\n"
    now = timezone.now()
    Assignment.objects.update(leased_at=now - timedelta(hours=2), expires_at=now)
    assert output("expire_leases") == "1 leases expired\n"
    assignment.refresh_from_db()
    assert assignment.status == AssignmentStatus.EXPIRED
