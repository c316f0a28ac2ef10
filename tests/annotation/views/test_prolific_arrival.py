"""Arrival from Prolific: signed links, unsigned ones only by an explicit setting."""

import base64
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import Client
from django.urls import reverse

from annotation.exceptions import PanelKeysUnavailable
from annotation.models import PanelSubmission, Participation, Rater, Study
from annotation.recruitment import signature
from annotation.services.assignments import assignment_lease
from tests.annotation.factories import make_study, rate_task
from tests.annotation.factories_journey import CODES, make_recruitment, policy_set

pytestmark = pytest.mark.django_db

PLAIN = "PROLIFIC_PID=5f3c1a2b&STUDY_ID=study1&SESSION_ID=visit1"
KEY = ed25519.Ed25519PrivateKey.generate()
OTHER_KEY = ed25519.Ed25519PrivateKey.generate()


@pytest.fixture
def study() -> Study:
    study = make_study(n_inputs=60)
    make_recruitment(study, "prolific", panel_study_id="study1")
    policy_set(study, tasks_per_rater=1)
    return study


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prolific's list of keys, without a network."""
    raw = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    key = {
        "kty": "OKP",
        "crv": "Ed25519",
        "alg": "EdDSA",
        "kid": "k1",
        "x": base64.urlsafe_b64encode(raw).rstrip(b"=").decode(),
    }
    signature.keys_forget()
    monkeypatch.setattr(signature, "_fetch", lambda _address: {"keys": [key]})


def link(study: Study, query: str) -> str:
    return f"{reverse('rater:entry', args=[study.slug])}?{query}"


def signed(*, key: Any = KEY, of_study: str = "study1", **changes: Any) -> str:
    claims = {
        "iss": signature.ISSUER,
        "aud": "http://testserver",
        "exp": int(time.time()) + 60,
        "prolific": {"PROLIFIC_PID": "5f3c1a2b", "STUDY_ID": of_study, "SESSION_ID": "visit1"},
        **changes,
    }
    return "prolific_token=" + jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": "k1"})


def test_a_signed_link_is_a_rater_and_a_submission(client: Client, study: Study) -> None:
    address = link(study, signed())
    assert b"Your consent" in client.get(address).content
    assert not Rater.objects.exists()
    assert client.post(address, {"consent": "yes"}).status_code == 302
    person = Participation.objects.get()
    submission = PanelSubmission.objects.get()
    assert (person.channel, submission.participation, submission.submission_id) == (
        "prolific",
        person,
        "visit1",
    )
    # once more, from another browser: the same
    Client().post(link(study, signed()), {"consent": "yes"})
    assert PanelSubmission.objects.get().participation == Participation.objects.get() == person


def test_a_rater_who_is_sent_again_is_the_same_rater(client: Client, study: Study) -> None:
    client.post(link(study, signed()), {"consent": "yes"})
    again = {"PROLIFIC_PID": "5f3c1a2b", "STUDY_ID": "study1", "SESSION_ID": "visit2"}
    response = Client().post(link(study, signed(prolific=again)), {"resume": "yes"})
    assert response.status_code == 302
    assert Participation.objects.count() == 1
    response = Client().post(link(study, signed(prolific=again)), {"consent": "yes"})
    assert response.status_code == 302
    kept = dict(PanelSubmission.objects.values_list("submission_id", "participation"))
    assert kept == dict.fromkeys(["visit1", "visit2"], Participation.objects.get().pk)


def test_a_link_that_went_stale_while_the_rater_was_reading(client: Client, study: Study) -> None:
    html = client.get(link(study, signed())).content.decode()
    ticket = html.split('name="arrival" value="')[1].split('"')[0]
    stale = link(study, signed(exp=int(time.time()) - 3600))
    response = client.post(stale, {"consent": "yes", "arrival": ticket})
    assert response.url == reverse("rater:instructions", args=[study.slug])
    assert Participation.objects.get().channel == "prolific"


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(PLAIN, id="unsigned"),
        pytest.param(signed(exp=int(time.time()) - 3600), id="expired"),
        pytest.param(signed(key=OTHER_KEY), id="another key"),
        pytest.param(signed(aud="https://elsewhere.example"), id="another site"),
        pytest.param("prolific_token=abc", id="no token at all"),
    ],
)
def test_what_cannot_be_verified_is_told_and_written_nowhere(
    client: Client, study: Study, query: str
) -> None:
    for send in (client.get, client.post):
        response = send(link(study, query), {"consent": "yes"} if send == client.post else None)
        assert response.status_code == 403
        assert b"This link cannot be verified" in response.content
        assert b"5f3c1a2b" not in response.content
    assert not Rater.objects.exists()


def test_a_link_of_another_study_is_told(client: Client, study: Study) -> None:
    response = client.post(link(study, signed(of_study="study2")), {"consent": "yes"})
    assert response.status_code == 400
    assert b"made for another study" in response.content
    assert not Rater.objects.exists()


def test_keys_that_cannot_be_had_are_told(
    client: Client, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(address: str) -> dict:
        raise PanelKeysUnavailable("no answer")

    monkeypatch.setattr(signature, "_fetch", nothing)
    response = client.get(link(study, signed()))
    assert response.status_code == 503
    assert b"Reload this page in a minute" in response.content


def test_unsigned_links_need_a_setting_and_all_three_ids(client: Client, study: Study) -> None:
    study.recruitments.filter(channel="prolific").update(require_signature=False)
    for query, words in (
        ("PROLIFIC_PID=5f3c1a2b&STUDY_ID=study1", b"SESSION_ID"),
        (PLAIN.replace("study1", "study2"), b"another study"),
    ):
        response = client.post(link(study, query), {"consent": "yes"})
        assert response.status_code == 400
        assert words in response.content
    assert not Rater.objects.exists()
    client.post(link(study, PLAIN), {"consent": "yes"})
    assert Participation.objects.get().channel == "prolific"


def test_the_end_leads_back_to_prolific(client: Client, study: Study) -> None:
    client.post(link(study, signed()), {"consent": "yes"})
    client.post(reverse("rater:instructions", args=[study.slug]))
    person = Participation.objects.get()
    assignment = assignment_lease(participation=person)
    assert assignment is not None
    rate_task(assignment, "absent")
    html = client.post(reverse("rater:task", args=[study.slug]), follow=True).content.decode()
    address = f"https://app.prolific.com/submissions/complete?cc={CODES['completed']}"
    assert f'href="{address}"' in html
