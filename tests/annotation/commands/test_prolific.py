"""``manage.py prolific``: what it does, what it says, what it asks first."""

import builtins
import io
import sys

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import override_settings

from annotation.models import LedgerEntry, Recruitment
from annotation.services.submissions import submissions_reconcile
from tests.annotation.factories import make_study
from tests.annotation.factories_panels import arrive, complete, fake_prolific, make_recruitment

pytestmark = pytest.mark.django_db

SITE = ("--site", "https://jury.example.org")


@pytest.fixture
def server():
    with fake_prolific() as started:
        yield started


@pytest.fixture
def row() -> Recruitment:
    return make_recruitment()


def run(row: Recruitment, capsys, *options: str) -> str:
    call_command("prolific", row.study.slug, *options)
    row.refresh_from_db()
    return capsys.readouterr().out


def test_the_whole_life(server, row, capsys) -> None:
    assert "Sent POST /studies/" in run(row, capsys, "create", *SITE)
    run(row, capsys, "publish", "--yes")
    assert row.panel_status == "ACTIVE"
    run(row, capsys, "pause")
    run(row, capsys, "resume")
    run(row, capsys, "add-places", "--places", "4", "--yes")
    submission = server.fake.place_take(row.panel_study_id)
    code = complete(row, arrive(row, submission))
    server.fake.submission_move(submission.id, "AWAITING REVIEW", code)
    assert "new or changed: 1" in run(row, capsys, "reconcile")
    assert "has 9,992.00 GBP to spend" in run(row, capsys, "balance")
    assert "nothing was read" in run(row, capsys, "balance", "--dry-run")
    assert server.count("balance") == 1
    assert f"{submission.id}\tawaiting review\tcompleted" in run(row, capsys, "submissions")
    run(row, capsys, "approve", "--all", "--yes")
    submissions_reconcile(recruitment=row)
    bonus = ("bonus", "--submission", submission.id, "--amount", "50", "--key", "a", "--yes")
    for _ in range(2):
        run(row, capsys, *bonus)
    assert submission.bonus_minor == [50]
    said = run(row, capsys, "webhooks", *SITE)
    assert f"/hooks/prolific/{row.credential.public_id}/" in said
    assert server.fake.hook_secret not in said
    assert len(server.fake.subscriptions) == 2
    run(row, capsys, "stop", "--yes")
    assert row.panel_status == "COMPLETED"


def test_a_dry_run_says_what_it_would_send(server, row, capsys) -> None:
    said = run(row, capsys, "create", *SITE, "--dry-run")
    assert "Would send POST /studies/" in said
    assert "jury.example.org" in said
    for action in (["publish"], ["pause"], ["stop"], ["add-places", "--places", "9"]):
        assert "Would send" in run(row, capsys, *action, "--dry-run")
    assert server.requests == []
    assert not LedgerEntry.objects.exists()


def test_money_is_asked_for(server, row, capsys, monkeypatch) -> None:
    run(row, capsys, "create", *SITE)
    monkeypatch.setattr(builtins, "input", lambda _: "no")
    with pytest.raises(CommandError, match="Nothing was done"):
        run(row, capsys, "publish")
    assert "6.00 GBP" in capsys.readouterr().out
    assert server.count("transition") == 0
    monkeypatch.setattr(builtins, "input", lambda _: "yes")
    run(row, capsys, "publish")
    assert row.panel_status == "ACTIVE"


def test_stopping_is_asked_for(server, row, capsys, monkeypatch) -> None:
    run(row, capsys, "create", *SITE)
    run(row, capsys, "publish", "--yes")
    monkeypatch.setattr(builtins, "input", lambda _: "no")
    with pytest.raises(CommandError, match="Nothing was done"):
        run(row, capsys, "stop")
    assert "Stopping is final" in capsys.readouterr().out
    row.refresh_from_db()
    assert row.panel_status == "ACTIVE"


def test_without_a_terminal_nothing_is_spent(server, row, capsys, monkeypatch) -> None:
    run(row, capsys, "create", "--site", "https://jury.example.org")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(CommandError, match="add --yes"):
        run(row, capsys, "publish")
    assert server.count("transition") == 0


def test_errors_say_what_to_do(server, row, capsys) -> None:
    with pytest.raises(CommandError, match="--site"):
        run(row, capsys, "create")
    with pytest.raises(CommandError, match="create it first"):
        run(row, capsys, "pause")
    with pytest.raises(CommandError, match="--submission"):
        run(row, capsys, "approve", "--yes")
    with pytest.raises(CommandError, match="recruitment page"):
        call_command("prolific", make_study(launched=False).slug, "publish")


@override_settings(SECURE_SSL_REDIRECT=True)
def test_the_fake_is_not_for_production() -> None:
    with pytest.raises(CommandError, match="production"):
        call_command("fake_prolific")
