"""``manage.py draw_round``."""

import io

import pytest
from django.core.management import CommandError, call_command

from tests.annotation.factories import make_study, make_user, rate_study

pytestmark = pytest.mark.django_db


def called(*arguments: str) -> str:
    out = io.StringIO()
    call_command("draw_round", *arguments, stdout=out)
    return out.getvalue()


def test_a_dry_run_reports_and_the_draw_follows() -> None:
    study = make_study(n_inputs=80)
    rate_study(study)
    told = called(study.slug, "--design", "adaptive", "--draws", "10", "--dry-run")
    assert "4 pairs draw 10 inputs each" in told
    assert "Dry run: nothing was drawn." in told
    assert study.sampling_rounds.count() == 1
    somebody = make_user()
    again = called(study.slug, "--draws", "10", "--actor", somebody.username)
    assert told.replace("Dry run: nothing was drawn.\n", "") in again
    drawn = study.sampling_rounds.get(number=2)
    assert (drawn.design, drawn.drawn_by) == ("adaptive", somebody)
    assert f"{study.items.filter(round=drawn).count()} new items" in told


def test_errors_are_told() -> None:
    study = make_study(launched=False)
    with pytest.raises(CommandError, match="only while it is"):
        called(study.slug, "--draws", "10")
    with pytest.raises(CommandError, match="no account 'nobody'"):
        called(study.slug, "--draws", "10", "--actor", "nobody")
