"""Signed links: the panel's key, our address, in time; everything else is a forgery."""

from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.test import override_settings

from annotation.exceptions import ForgedArrival, PanelKeysUnavailable
from annotation.recruitment import signature
from annotation.recruitment.fake import FakeProlific
from annotation.recruitment.signature import PanelClaims, keys_forget, signature_verify
from tests.annotation.factories_panels import fake_prolific

SITE = "https://jury.example.org"
ENTRY = f"{SITE}/r/tigers/?PROLIFIC_PID=rater&STUDY_ID=study&SESSION_ID=visit"
CLAIMS = {"PROLIFIC_PID": "rater", "STUDY_ID": "study", "SESSION_ID": "visit"}


@pytest.fixture(scope="module")
def panel() -> FakeProlific:
    return FakeProlific()


def token(panel: FakeProlific, **changes) -> str:
    return panel.token_sign(**{"audience": ENTRY, "claims": CLAIMS, **changes})


def test_the_panels_own_link_is_read(panel) -> None:
    claims = signature_verify(token=token(panel), audience=SITE, keys=panel.jwks())
    assert claims == PanelClaims("rater", "study", "visit")
    assert "rater" not in repr(claims)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"expires": datetime.now(UTC) - timedelta(minutes=5)}, "out of date"),
        ({"audience": "https://evil.example.org/r/tigers/"}, "another site"),
        ({"audience": "http://jury.example.org/"}, "another site"),
        ({"audience": "https://jury.example.org:444/"}, "another site"),
        ({"issuer": "https://evil.example.org"}, "not the panel's"),
        ({"claims": {**CLAIMS, "PROLIFIC_PID": "{{%PROLIFIC_PID%}}"}}, "PROLIFIC_PID"),
        ({"claims": {"PROLIFIC_PID": "rater", "STUDY_ID": "study"}}, "SESSION_ID"),
    ],
)
def test_wrong_claims_are_forged(panel, changes, text) -> None:
    with pytest.raises(ForgedArrival, match=text):
        signature_verify(token=token(panel, **changes), audience=SITE, keys=panel.jwks())


def test_another_study_is_forged(panel) -> None:
    with pytest.raises(ForgedArrival, match="another study"):
        signature_verify(token=token(panel), audience=SITE, study_id="other", keys=panel.jwks())


def test_another_key_is_forged(panel) -> None:
    with pytest.raises(ForgedArrival, match="key"):
        signature_verify(token=token(FakeProlific()), audience=SITE, keys=panel.jwks())


def test_a_changed_token_is_forged(panel) -> None:
    head, _, sign = token(panel).split(".")
    body = token(panel, claims={**CLAIMS, "PROLIFIC_PID": "somebody else"}).split(".")[1]
    with pytest.raises(ForgedArrival, match="not the panel's") as caught:
        signature_verify(token=f"{head}.{body}.{sign}", audience=SITE, keys=panel.jwks())
    assert sign not in str(caught.value)


def _payload() -> dict:
    return {
        "iss": signature.ISSUER,
        "aud": ENTRY,
        "exp": datetime.now(UTC) + timedelta(minutes=5),
        "prolific": CLAIMS,
    }


def test_no_algorithm_is_forged(panel) -> None:
    key_id = panel.jwks()["keys"][0]["kid"]
    made = jwt.encode(_payload(), key=None, algorithm="none", headers={"kid": key_id})
    with pytest.raises(ForgedArrival, match="algorithm"):
        signature_verify(token=made, audience=SITE, keys=panel.jwks())


def test_the_public_key_is_no_shared_secret(panel) -> None:
    """The classic: sign with HS256, and the published key as the secret."""
    row = panel.jwks()["keys"][0]
    secret = row["n"].encode()
    made = jwt.encode(_payload(), secret, algorithm="HS256", headers={"kid": row["kid"]})
    symmetric = {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": row["kid"]}]}
    for keys in (panel.jwks(), symmetric):
        with pytest.raises(ForgedArrival, match="algorithm"):
            signature_verify(token=made, audience=SITE, keys=keys)


def test_the_algorithm_must_be_the_keys_own(panel) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    key_id = panel.jwks()["keys"][0]["kid"]
    made = jwt.encode(_payload(), key, algorithm="ES256", headers={"kid": key_id})
    with pytest.raises(ForgedArrival, match="key"):
        signature_verify(token=made, audience=SITE, keys=panel.jwks())


def test_without_an_end_it_is_forged(panel) -> None:
    payload = {name: value for name, value in _payload().items() if name != "exp"}
    made = jwt.encode(
        payload,
        panel._key,
        algorithm="RS256",
        headers={"kid": panel.jwks()["keys"][0]["kid"]},
    )
    with pytest.raises(ForgedArrival, match="not the panel's"):
        signature_verify(token=made, audience=SITE, keys=panel.jwks())


@pytest.mark.parametrize("text", ["", "a.b.c", "x" * 9000, "é.é.é"])
def test_what_is_no_token_is_forged(panel, text) -> None:
    with pytest.raises(ForgedArrival):
        signature_verify(token=text, audience=SITE, keys=panel.jwks())


def test_keys_are_fetched_once() -> None:
    with fake_prolific() as server:
        for _ in range(3):
            signature_verify(token=token(server.fake), audience=SITE)
        assert server.count("jwks") == 1
        # an unknown key makes nobody fetch them again and again
        for _ in range(3):
            with pytest.raises(ForgedArrival):
                signature_verify(token=token(FakeProlific()), audience=SITE)
        assert server.count("jwks") == 1


@override_settings(NEURONJURY_PROLIFIC_JWKS_URL="http://127.0.0.1:9/jwks.json")
def test_keys_that_cannot_be_fetched_let_nobody_in(panel) -> None:
    keys_forget()
    with pytest.raises(PanelKeysUnavailable, match="try again"):
        signature_verify(token=token(panel), audience=SITE)
    assert issubclass(PanelKeysUnavailable, ForgedArrival)


def test_a_list_of_keys_that_is_too_long_is_not_read(monkeypatch, panel) -> None:
    monkeypatch.setattr(signature, "MOST_BYTES", 10)
    with fake_prolific(), pytest.raises(PanelKeysUnavailable, match="too long"):
        signature_verify(token=token(panel), audience=SITE)


def test_keys_of_an_unknown_kind_are_passed_over(panel) -> None:
    keys = {"keys": [{"kty": "RSA", "kid": "broken"}, "text", *panel.jwks()["keys"]]}
    assert signature_verify(token=token(panel), audience=SITE, keys=keys).study_id == "study"


def test_the_host_alone_is_an_audience(panel) -> None:
    made = token(panel, audience="jury.example.org")
    assert signature_verify(token=made, audience=SITE, keys=panel.jwks()).study_id == "study"


def test_own_key_never_leaves_the_fake(panel) -> None:
    assert isinstance(panel._key, rsa.RSAPrivateKey)
    assert "d" not in panel.jwks()["keys"][0]


def test_a_fetch_that_failed_is_remembered_and_old_keys_stay(monkeypatch) -> None:
    with fake_prolific() as server:
        signature_verify(token=token(server.fake), audience=SITE)
        asked = []

        def down(address: str) -> dict:
            asked.append(address)
            raise PanelKeysUnavailable("down; try again")

        monkeypatch.setattr(signature, "_fetch", down)
        monkeypatch.setattr(signature, "KEYS_SECONDS", 0)  # they are old
        for _ in range(3):
            signature_verify(token=token(server.fake), audience=SITE)
        assert len(asked) == 1
        keys_forget()
        for _ in range(3):
            with pytest.raises(PanelKeysUnavailable, match="down"):
                signature_verify(token=token(server.fake), audience=SITE)
        assert len(asked) == 2
