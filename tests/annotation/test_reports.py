"""The report: self-contained, complete, and safe with other people's text."""

import re
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from annotation.models import Aggregation, ExplanationMethod
from annotation.reports import study_report
from annotation.services.estimates import estimate_request, estimate_run
from tests.annotation.factories import make_study, rate_study


@pytest.fixture
def scored(db):
    study = make_study(redundancy=2)
    rate_study(study)
    runs = [
        estimate_run(run=estimate_request(study=study, aggregation=name, enqueue=False))
        for name in (Aggregation.BRAGG, Aggregation.MAJORITY)
    ]
    return study, runs


def test_the_report_holds_every_score_and_needs_nothing_from_outside(scored) -> None:
    study, runs = scored
    html = study_report(study=study, runs=runs)
    for estimate in runs[0].estimates.all():
        assert f"{estimate.score:.3f}" in html
    for row in runs[0].method_estimates.all():
        assert f"{row.mean_score:.3f}" in html
    assert study.title in html
    body = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    assert not re.search(r'(src|href)="', body)
    assert html.count("<figure>") == 3


def test_what_is_doubtful_of_a_score_stands_below_it(scored) -> None:
    study, runs = scored
    doubtful = runs[0].estimates.order_by("pk").first()
    doubtful.warnings = ["weights degenerate: 20 draws count as <3>"]
    doubtful.save(update_fields=["warnings"])
    html = study_report(study=study, runs=runs)
    assert html.count("20 draws count as &lt;3&gt;") == 1
    assert "it holds the true score less often than its level says" in html


def test_without_reference_labels_no_truth_is_shown(db) -> None:
    study = make_study(redundancy=1)
    rate_study(study)
    study.reference = None
    study.save()
    run = estimate_run(
        run=estimate_request(study=study, aggregation=Aggregation.BRAGG, enqueue=False)
    )
    html = study_report(study=study, runs=[run])
    assert html.count("<figure>") == 2
    assert "Reference" not in re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)


def test_text_of_others_cannot_become_markup(scored) -> None:
    study, runs = scored
    before = study_report(study=study, runs=runs)
    ExplanationMethod.objects.filter(name="Good").update(name="</script><script>alert(1)</script>")
    after = study_report(study=study, runs=runs)
    assert "alert(1)" in after
    assert after.count("<script") == before.count("<script")
    assert after.count("</script>") == before.count("</script>")


def test_a_report_needs_finished_runs(db) -> None:
    study = make_study()
    with pytest.raises(ValueError, match="no estimates to report"):
        study_report(study=study, runs=[])
    queued = estimate_request(study=study, aggregation=Aggregation.BRAGG, enqueue=False)
    with pytest.raises(ValueError, match="queued, not finished"):
        study_report(study=study, runs=[queued])


def test_the_command_writes_the_file_or_says_what_is_missing(scored, tmp_path: Path) -> None:
    study, _ = scored
    output = tmp_path / "report.html"
    call_command("report", study.slug, output=output)
    assert "BRAgg" in output.read_text(encoding="utf-8")
    with pytest.raises(CommandError, match=r"run `manage\.py estimate"):
        call_command("report", make_study().slug, output=output)
