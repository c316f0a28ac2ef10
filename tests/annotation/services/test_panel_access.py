"""Access to the panel: its owner's alone, and one bad row holds up no other."""

import pytest
from django.utils import timezone

from annotation.exceptions import InvalidInput, PanelRefused
from annotation.models import PanelCredential, StudyEvent
from annotation.services import panel_events, submissions
from annotation.services.credentials import (
    balance_read,
    credential_save,
    credential_use,
    webhook_secret_save,
)
from annotation.services.members import member_remove, member_set
from annotation.services.panel_events import event_store, events_process_waiting
from annotation.services.submissions import submissions_reconcile_due
from tests.annotation.factories import make_user
from tests.annotation.factories_panels import fake_prolific, make_recruitment

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("leaves", ["removed", "demoted"])
def test_who_leaves_takes_their_access_along(leaves: str) -> None:
    row = make_recruitment()
    owner, member = row.study.owner, make_user()
    member_set(study=row.study, username=member.username, role="researcher", actor=owner)
    theirs = credential_save(owner=member, name="theirs", token="another")
    credential_use(recruitment=row, credential=theirs, actor=member)
    if leaves == "removed":
        member_remove(study=row.study, username=member.username, actor=owner)
    else:
        member_set(study=row.study, username=member.username, role="viewer", actor=owner)
    row.refresh_from_db()
    assert row.credential is None
    assert StudyEvent.objects.filter(action="panel access withdrawn").count() == 1


def test_the_owners_access_stays_when_a_member_leaves() -> None:
    row = make_recruitment()
    owner, member = row.study.owner, make_user()
    member_set(study=row.study, username=member.username, role="researcher", actor=owner)
    member_remove(study=row.study, username=member.username, actor=owner)
    row.refresh_from_db()
    assert row.credential is not None


def test_a_token_of_other_letters_is_refused() -> None:
    with pytest.raises(InvalidInput, match="token: copy it whole"):
        credential_save(
            owner=make_user(), name="mine", token="t\N{LATIN SMALL LETTER E WITH ACUTE}"
        )


def test_a_workspace_has_one_secret() -> None:
    owner = make_user()
    first, second, other = (
        credential_save(owner=owner, name=name, token="t", workspace_id=workspace)
        for name, workspace in (("a", "w"), ("b", "w"), ("c", ""))
    )
    webhook_secret_save(credential=second, secret="new")
    kept = dict(PanelCredential.objects.values_list("pk", "webhook_secret_encrypted"))
    assert bytes(kept[first.pk]) == bytes(kept[second.pk]) != b""
    assert bytes(kept[other.pk]) == b""


def test_one_bad_study_holds_up_no_other(monkeypatch) -> None:
    rows = [make_recruitment(), make_recruitment()]
    for row in rows:
        row.panel_study_id, row.panel_status = f"study-{row.pk}", "ACTIVE"
        row.save()

    def reconcile(*, recruitment) -> int:
        if recruitment.pk == rows[0].pk:
            raise KeyError("odd")
        return 1

    monkeypatch.setattr(submissions, "submissions_reconcile", reconcile)
    assert submissions_reconcile_due() == 1


def test_one_bad_event_holds_up_no_other(monkeypatch) -> None:
    credential = make_recruitment().credential
    bad, _ = event_store(
        credential=credential, event_id="1", body=b'{"event_type": "bad"}', sent=timezone.now()
    )
    good, _ = event_store(
        credential=credential, event_id="2", body=b'{"event_type": "good"}', sent=timezone.now()
    )

    def effect(event) -> str:
        if event.event_type == "bad":
            raise KeyError("odd")
        return ""

    monkeypatch.setattr(panel_events, "_take_effect", effect)
    assert events_process_waiting() == 1
    for event in (bad, good):
        event.refresh_from_db()
    assert (bad.error, bad.processed_at) == ("KeyError", None)
    assert good.processed_at is not None


def test_the_balance_is_kept_with_its_time() -> None:
    row = make_recruitment()
    owner = row.study.owner
    with fake_prolific() as server:
        server.fake.balance_minor = 1234
        balance_read(recruitment=row)
        found = PanelCredential.objects.get(pk=row.credential.pk)
        assert (found.balance_minor, found.balance_total_minor) == (1234, 1234)
        assert (found.balance_currency, found.balance_at) == ("GBP", row.credential.balance_at)
        assert found.balance_at is not None
        server.fail("balance", 403)
        with pytest.raises(PanelRefused, match="403"):
            balance_read(recruitment=row)
    found.refresh_from_db()
    assert found.balance_minor == 1234  # as old as its time says
    credential_save(owner=owner, name="mine", token="of-another-workspace")
    found.refresh_from_db()
    assert (found.balance_minor, found.balance_at) == (None, None)
    row.refresh_from_db()
    with pytest.raises(InvalidInput, match="workspace_id: store the token again"):
        balance_read(recruitment=row)
