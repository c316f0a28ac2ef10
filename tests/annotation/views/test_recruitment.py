"""The recruitment page: what it shows, what it asks first, that a second click does nothing."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.models import (
    Channel,
    LedgerEntry,
    OutcomeCode,
    PanelBonus,
    PanelCredential,
    PanelSubmission,
    Recruitment,
    Role,
    StudyMember,
)
from annotation.services.credentials import credential_save
from annotation.services.prolific import prolific_draft_create, prolific_publish
from annotation.services.prolific_states import panel_request_send
from annotation.services.raters import participation_end, rater_arrive
from annotation.services.submissions import submissions_reconcile
from tests.annotation.factories import make_study, make_user
from tests.annotation.factories_panels import (
    ENTRY,
    arrive,
    complete,
    fake_prolific,
    make_published,
    make_recruitment,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def server():
    with fake_prolific() as started:
        yield started


@pytest.fixture
def row() -> Recruitment:
    return make_recruitment()


@pytest.fixture
def owner(row) -> Client:
    client = Client()
    client.force_login(row.study.owner)
    return client


def url(row: Recruitment, name: str = "study_recruitment") -> str:
    return reverse(f"researcher:{name}", args=[row.study.slug])


def post(client: Client, row: Recruitment, view: str, /, **data):
    return client.post(url(row, view), data, follow=True)


def text(answer) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def test_it_shows_channels_money_and_no_token(owner, row) -> None:
    page = text(owner.get(url(row)))
    for shown in (
        "Volunteers",
        "Another panel",
        "6.00 GBP",
        "1,000.00 GBP",
        "earns 9.00 GBP an hour",
    ):
        assert shown in page
    assert "fake-token" not in page
    assert f"/r/{row.study.slug}/" in page


def test_a_viewer_sees_and_changes_nothing(row) -> None:
    viewer = make_user()
    StudyMember.objects.create(study=row.study, user=viewer, role=Role.VIEWER)
    client = Client()
    client.force_login(viewer)
    page = text(client.get(url(row)))
    assert "Spend" in page
    assert 'method="post"' not in page.split("<main", 1)[1]
    for name in ("save", "codes", "access", "action", "submissions"):
        assert client.post(url(row, f"recruitment_{name}")).status_code == 403
    stranger = Client()
    stranger.force_login(make_user())
    assert stranger.get(url(row)).status_code == 404


def test_get_changes_nothing(owner, row) -> None:
    for name in ("save", "codes", "access", "action", "submissions"):
        assert owner.get(url(row, f"recruitment_{name}")).status_code == 405


def test_a_panel_is_added(owner, row) -> None:
    answer = post(
        owner,
        row,
        "recruitment_save",
        **{
            "channel": "panel",
            "panel-active": "on",
            "panel-places": "20",
            "panel-reward": "1.20",
            "panel-fee_percent": "25",
            "panel-estimated_minutes": "8",
            "panel-id_parameter": "pid",
            "panel-completion_url": "https://panel.example.org/?c={code}",
        },
    )
    assert "Saved: other panel" in text(answer)
    made = row.study.recruitments.get(channel=Channel.PANEL)
    assert (made.reward_minor, made.places, str(made.fee_percent)) == (120, 20, "25.00")


def test_a_wrong_value_is_shown_where_it_was_typed(owner, row) -> None:
    answer = owner.post(
        url(row, "recruitment_save"),
        {
            "channel": "panel",
            "panel-places": "20",
            "panel-reward": "1.20",
            "panel-fee_percent": "25",
            "panel-estimated_minutes": "8",
            "panel-id_parameter": "two words",
        },
    )
    assert answer.status_code == 400
    assert "no name of a query parameter" in text(answer)
    assert 'value="two words"' in text(answer)


def test_codes_are_set(owner, row) -> None:
    codes = {
        f"codes-prolific-{outcome}": f"C{outcome[:2]}"
        for outcome in ("completed", "no_consent", "screened_out", "failed_checks")
    }
    post(owner, row, "recruitment_codes", channel="prolific", **codes)
    assert OutcomeCode.objects.get(recruitment=row, outcome="completed").code == "Cco"


def test_a_token_is_written_and_never_shown(owner, row) -> None:
    answer = post(owner, row, "recruitment_access", name="new", token="s3cret-token")
    assert "The study uses the token new" in text(answer)
    assert "s3cret-token" not in text(answer)
    row.refresh_from_db()
    assert row.credential == PanelCredential.objects.get(name="new")


def test_a_token_is_deleted_by_whoever_owns_it(owner, row) -> None:
    colleague = make_user()
    StudyMember.objects.create(study=row.study, user=colleague, role=Role.RESEARCHER)
    client = Client()
    client.force_login(colleague)
    assert "Delete the token" not in text(client.get(url(row)))
    answer = post(client, row, "recruitment_access", delete="yes")
    assert "theirs to delete" in text(answer)
    assert "Delete the token" in text(owner.get(url(row)))
    assert "deleted from this site" in text(post(owner, row, "recruitment_access", delete="yes"))
    assert not PanelCredential.objects.exists()
    row.refresh_from_db()
    assert row.credential is None
    assert row.study.events.filter(action="panel access withdrawn").count() == 1
    assert "uses no token" in text(post(owner, row, "recruitment_access", delete="yes"))


def test_somebody_elses_token_is_no_choice(owner, row) -> None:
    theirs = credential_save(owner=make_user(), name="theirs", token="x")
    answer = post(owner, row, "recruitment_access", credential=theirs.pk)
    assert "theirs" not in text(answer)
    row.refresh_from_db()
    assert row.credential.name == "mine"


def test_publishing_asks_first_and_happens_once(owner, row, server) -> None:
    post(owner, row, "recruitment_action", action="draft")
    asked = text(post(owner, row, "recruitment_action", action="publish"))
    assert "Spend up to 6.00 GBP" in asked
    assert "9.00 GBP" in asked
    assert server.count("transition") == 0
    assert not LedgerEntry.objects.exists()
    for _ in range(2):
        answer = post(owner, row, "recruitment_action", action="publish", confirmed="yes")
        assert answer.status_code == 200
    assert server.count("transition") == 1
    assert LedgerEntry.objects.count() == 1


def test_the_balance_is_read_when_it_is_asked_for(owner, row, server) -> None:
    assert "balance has not been read yet" in text(owner.get(url(row)))
    assert server.requests == []
    server.fake.balance_minor = 400
    said = text(post(owner, row, "recruitment_action", action="balance"))
    assert "Available at Prolific: 4.00 GBP." in said
    assert "The workspace had 4.00 GBP to spend on" in said
    post(owner, row, "recruitment_action", action="draft")
    asked = text(post(owner, row, "recruitment_action", action="publish"))
    assert "The workspace had less than this" in asked
    PanelCredential.objects.update(balance_currency="USD")
    asked = text(post(owner, row, "recruitment_action", action="publish"))
    assert "pays in USD, but the study counts in GBP" in asked
    assert server.count("balance") == 1


def test_closing_says_on_the_page_what_the_panel_still_has_to_do(server) -> None:
    row = make_published(server)
    client = Client()
    client.force_login(row.study.owner)
    address = reverse("researcher:study_status", args=[row.study.slug])
    assert "Prolific is asked to do the same" in text(
        client.post(address, {"action": "close"}, follow=True)
    )
    page = text(client.get(url(row)))
    assert "The study was closed here on" in page
    assert "Prolific is asked to stop as well, in the background." in page
    assert "No worker is running" in page
    server.fail("transition", 400)
    panel_request_send(request=row.panel_request)
    page = text(client.get(url(row)))
    assert "but has not done so yet. It is asked again after" in page
    assert "Prolific refused POST" in page
    assert server.count("transition") == 2  # looking asks nothing
    panel_request_send(request=row.panel_request)
    assert "Stopped there when the study was closed here" in text(client.get(url(row)))
    log = text(client.get(reverse("researcher:study_log", args=[row.study.slug])))
    assert "the panel has not followed yet" in log
    assert "stopped at the panel" in log


def test_the_cap_is_said_before_and_held_after(row, server) -> None:
    poor = make_recruitment(cap=100)
    client = Client()
    client.force_login(poor.study.owner)
    prolific_draft_create(recruitment=poor, entry_url=ENTRY, actor=poor.study.owner)
    asked = text(post(client, poor, "recruitment_action", action="publish"))
    assert "more than the spending cap allows" in asked
    done = text(post(client, poor, "recruitment_action", action="publish", confirmed="yes"))
    assert "only 1.00 GBP are left" in done
    assert not LedgerEntry.objects.exists()


def test_submissions_are_confirmed_then_decided(server) -> None:
    row = make_published(server)
    client = Client()
    client.force_login(row.study.owner)
    submission = server.fake.place_take(row.panel_study_id)
    code = complete(row, arrive(row, submission))
    server.fake.submission_move(submission.id, "AWAITING REVIEW", code)
    assert "new or changed: 1" in text(post(client, row, "recruitment_action", action="reconcile"))
    chosen = {"submission": row.submissions.get().pk}
    page = text(client.get(url(row)))
    assert submission.id in page
    assert "awaiting review" in page
    key = re.search(r'name="key" value="([^"]+)"', page)
    assert key is not None
    asked = text(post(client, row, "recruitment_submissions", do="approve", **chosen))
    assert "Pay 2.00 GBP, fee included" in asked
    assert server.count("bulk-approve") == 0
    bonus = {"do": "bonus", "amount": "0.50", "key": key[1], **chosen}
    assert "fee included" in text(post(client, row, "recruitment_submissions", **bonus))
    assert submission.bonus_minor == []
    for _ in range(2):
        post(client, row, "recruitment_submissions", confirmed="yes", **bonus)
    assert submission.bonus_minor == [50]
    short = post(
        client,
        row,
        "recruitment_submissions",
        do="reject",
        confirmed="yes",
        category="OTHER",
        message="too short",
        **chosen,
    )
    assert "at least 100 characters" in text(short)
    assert server.fake.submission(submission.id).status == "AWAITING REVIEW"
    post(client, row, "recruitment_submissions", do="approve", confirmed="yes", **chosen)
    assert server.fake.submission(submission.id).status == "APPROVED"
    submissions_reconcile(recruitment=row)
    assert "reward of an approved submission" in text(client.get(url(row)))


def handed_in(server, row: Recruitment, n: int) -> list[PanelSubmission]:
    """So many raters have completed here and there."""
    for _ in range(n):
        submission = server.fake.place_take(row.panel_study_id)
        code = complete(row, arrive(row, submission))
        server.fake.submission_move(submission.id, "AWAITING REVIEW", code)
    submissions_reconcile(recruitment=row)
    return list(row.submissions.all())


def test_nobody_gets_a_bonus_when_one_of_the_chosen_cannot(server) -> None:
    row = make_published(server, places=2)
    client = Client()
    client.force_login(row.study.owner)
    first, second = handed_in(server, row, 2)
    server.fake.submission_move(second.submission_id, "RETURNED")
    submissions_reconcile(recruitment=row)
    chosen = {"submission": [first.pk, second.pk], "amount": "0.50", "key": "k", "do": "bonus"}
    for confirmed in ({}, {"confirmed": "yes"}):
        answer = post(client, row, "recruitment_submissions", **chosen, **confirmed)
        assert "a bonus is for one that is approved" in text(answer)
    assert not PanelBonus.objects.exists()
    assert server.fake.submission(first.submission_id).bonus_minor == []


def test_a_bonus_that_was_paid_is_said_when_the_next_is_refused(server) -> None:
    row = make_published(server, places=2, cap=450)  # 400 are booked, a bonus costs 34
    client = Client()
    client.force_login(row.study.owner)
    first, second = handed_in(server, row, 2)
    chosen = {"submission": [first.pk, second.pk], "amount": "0.25", "key": "k", "do": "bonus"}
    page = text(post(client, row, "recruitment_submissions", **chosen, confirmed="yes"))
    assert "1 bonus is paid." in page
    assert "the bonus and its fee cost" in page
    assert PanelBonus.objects.get().submission == first


def test_a_channel_that_turns_away_whom_prolific_sends_is_said(server) -> None:
    row = make_published(server)
    client = Client()
    client.force_login(row.study.owner)
    assert "each is turned away" not in text(client.get(url(row)))
    Recruitment.objects.filter(pk=row.pk).update(active=False)
    assert "each is turned away" in text(client.get(url(row)))


def test_a_submission_leads_to_its_rater(server) -> None:
    row = make_published(server)
    client = Client()
    client.force_login(row.study.owner)
    submission = server.fake.place_take(row.panel_study_id)
    server.fake.place_take(row.panel_study_id)  # never arrives
    participation = rater_arrive(
        study=row.study, channel=Channel.PROLIFIC, external_id=submission.participant
    )
    participation_end(participation=participation, outcome="screened_out")
    submissions_reconcile(recruitment=row)
    address = reverse("researcher:quality_rater", args=[row.study.slug, participation.public_id])
    page = client.get(url(row)).content.decode()
    assert f'<a href="{address}">not eligible</a>' in page
    assert page.count("/quality/raters/") == 1
    assert client.get(address).status_code == 200


def test_what_is_approved_already_costs_nothing_more(server) -> None:
    row = make_published(server)
    client = Client()
    client.force_login(row.study.owner)
    for _ in range(2):
        submission = server.fake.place_take(row.panel_study_id)
        code = complete(row, arrive(row, submission))
        server.fake.submission_move(submission.id, "AWAITING REVIEW", code)
    server.fake.approve([submission.id])
    submissions_reconcile(recruitment=row)
    chosen = {"submission": [one.pk for one in row.submissions.all()], "do": "approve"}
    page = text(post(client, row, "recruitment_submissions", **chosen))
    assert "<h1>Approve submissions: 1</h1>" in page
    assert "Pay 2.00 GBP, fee included" in page


def test_nothing_chosen_is_said(owner, row) -> None:
    answer = post(owner, row, "recruitment_submissions", do="approve")
    assert "Choose submissions of the list first" in text(answer)


def test_a_study_without_prolific_has_a_page() -> None:
    study = make_study(launched=False)
    client = Client()
    client.force_login(study.owner)
    page = client.get(reverse("researcher:study_recruitment", args=[study.slug]))
    assert page.status_code == 200
    answer = client.post(
        reverse("researcher:recruitment_action", args=[study.slug]),
        {"action": "draft"},
        follow=True,
    )
    assert "Save the channel Prolific first" in text(answer)


def test_a_panel_that_is_down_is_a_message(owner, row) -> None:
    answer = post(owner, row, "recruitment_action", action="draft")
    assert "did not answer" in text(answer)
    row.refresh_from_db()
    assert row.busy_until is None


def test_a_rater_comes_by_the_signed_link_and_gives_the_place_back(server) -> None:
    row = make_recruitment()
    address = f"http://testserver/r/{row.study.slug}/"
    prolific_draft_create(recruitment=row, entry_url=address, actor=row.study.owner)
    prolific_publish(recruitment=row, actor=row.study.owner)
    submission = server.fake.place_take(row.panel_study_id)
    link = server.fake.arrival_url(submission).removeprefix("http://testserver")
    rater = Client()
    assert rater.get(server.fake.arrival_url(submission, signed=False)).status_code == 403
    page = text(rater.get(link))
    assert not row.submissions.exists()  # looking records nothing
    ticket = re.search(r'name="arrival" value="([^"]+)"', page)
    assert ticket is not None
    assert submission.participant not in page
    agreed = rater.post(link, {"arrival": ticket[1], "consent": "yes"}, follow=True)
    assert agreed.status_code == 200
    assert row.submissions.get().submission_id == submission.id
    server.fake.submission_move(submission.id, "RETURNED")
    submissions_reconcile(recruitment=row)
    ended = rater.get(reverse("rater:ended", args=[row.study.slug]))
    assert "The answers that you gave are kept." in text(ended)


def test_a_bonus_in_doubt_is_decided_after_a_confirmation(server) -> None:
    row = make_published(server)
    client = Client()
    client.force_login(row.study.owner)
    there = server.fake.place_take(row.panel_study_id)
    server.fake.submission_move(there.id, "AWAITING REVIEW", "ABC")
    submissions_reconcile(recruitment=row)
    submission = row.submissions.get()
    assert "bonus is in doubt" not in text(client.get(url(row)))
    PanelBonus.objects.create(
        submission=submission, amount_minor=50, key="k", state="uncertain", actor=row.study.owner
    )
    PanelBonus.objects.update(created_at=timezone.now() - timedelta(minutes=5))
    page = text(client.get(url(row)))
    assert "bonus 0.50 GBP: the panel did not answer" in page
    assert "bonus is in doubt" in page
    chosen = {"do": "bonus-paid", "submission": submission.pk}
    asked = text(post(client, row, "recruitment_submissions", **chosen))
    assert "I saw there that it was paid" in asked
    assert PanelBonus.objects.get().state == "uncertain"
    done = post(client, row, "recruitment_submissions", confirmed="yes", **chosen)
    assert "recorded as paid" in text(done)
    assert PanelBonus.objects.get().state == "paid"
