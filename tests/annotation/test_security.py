"""Logging in, limits, cookies, error pages, settings of production, files that must not be sent."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import Http404, HttpResponse
from django.test import Client, RequestFactory
from django.test.client import FakePayload
from django.urls import reverse
from django.utils import timezone

from annotation.models import Participation, ProbeInput, ThrottleWindow
from annotation.services.throttles import throttle_hit, throttle_undo
from annotation.throttling import client_address, throttled
from tests.annotation.factories import make_study, make_user

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parents[2]
LOGIN = "/accounts/login/"


def login(client: Client, username: str, password: str, address: str = "192.0.2.1") -> Any:
    return client.post(LOGIN, {"username": username, "password": password}, REMOTE_ADDR=address)


def test_the_sixth_try_at_a_password_is_refused_even_if_it_is_right(client: Client) -> None:
    user = make_user()
    for _ in range(5):
        assert login(client, user.username, "wrong").status_code == 200
    refused = login(client, user.username, "password")
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 15 * 60
    assert "Too many tries" in refused.content.decode()
    assert "_auth_user_id" not in client.session
    # the lock is of this account from this address: its owner elsewhere is not locked out
    assert login(client, user.username, "password", "192.0.2.2").status_code == 302


def test_an_account_that_does_not_exist_looks_the_same(client: Client) -> None:
    user = make_user()
    answers = []
    for name in (user.username, "nobody"):
        pages = [login(client, name, "wrong") for _ in range(6)]
        answers.append(
            [(page.status_code, page.content.decode().replace(name, "")) for page in pages]
        )
    strip = [[(code, _without_token(html)) for code, html in pages] for pages in answers]
    assert strip[0] == strip[1]
    assert [code for code, _ in strip[0]] == [200] * 5 + [429]


def _without_token(html: str) -> str:
    return "\n".join(line for line in html.splitlines() if "csrfmiddlewaretoken" not in line)


def test_many_accounts_from_one_address_and_one_account_from_many_are_limited(
    client: Client, settings
) -> None:
    settings.NEURONJURY_THROTTLES = {
        **settings.NEURONJURY_THROTTLES,
        "login_address": (3, 60),
        "login_account": (3, 60),
    }
    spray = [login(client, f"user-{number}", "x").status_code for number in range(4)]
    assert spray == [200, 200, 200, 429]
    user = make_user()
    addresses = [f"198.51.100.{number}" for number in range(4)]
    spread = [login(client, user.username, "x", address).status_code for address in addresses]
    assert spread == [200, 200, 200, 429]


def test_a_success_is_no_try_and_rotates_the_session(client: Client) -> None:
    user = make_user()
    client.get(LOGIN)
    session = client.session
    session["planted"] = "before the login"
    session.save()
    planted = session.session_key
    for _ in range(8):
        assert login(client, user.username, "password").status_code == 302
        assert client.session.session_key != planted
        client.logout()
    assert ThrottleWindow.objects.filter(tries__gt=0).count() == 0


def test_neither_account_nor_address_is_stored(client: Client) -> None:
    login(client, "somebody@example.org", "x", "203.0.113.77")
    stored = str(list(ThrottleWindow.objects.values()))
    assert "somebody" not in stored
    assert "203.0.113" not in stored


def test_windows_end_and_start_again() -> None:
    now = timezone.now()

    def hit(seconds: float) -> int:
        moment = now + timedelta(seconds=seconds)
        return throttle_hit(scope="s", who="w", limit=2, seconds=60, now=moment)

    assert [hit(0), hit(1), hit(20), hit(59)] == [0, 0, 40, 1]
    assert [hit(60), hit(61), hit(62)] == [0, 0, 58]
    throttle_undo(scope="s", who="w")
    throttle_undo(scope="s", who="w")
    assert hit(63) == 0
    assert throttle_hit(scope="other", who="w", limit=1, seconds=60, now=now) == 0


def test_proxies_are_believed_as_far_as_they_are_ours(settings, rf: RequestFactory) -> None:
    request = rf.get("/", REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR="6.6.6.6, 192.0.2.9")
    settings.NEURONJURY_PROXIES = 0
    assert client_address(request) == "10.0.0.1"
    settings.NEURONJURY_PROXIES = 1
    assert client_address(request) == "192.0.2.9"  # what our proxy saw, not what the client wrote
    settings.NEURONJURY_PROXIES = 3
    assert client_address(request) == "10.0.0.1"


def test_throttled_views_count_what_writes_and_nothing_else(settings, rf: RequestFactory) -> None:
    settings.NEURONJURY_THROTTLES = {"arrival": (2, 60)}
    view = throttled("arrival", lambda _request: HttpResponse("ok"))
    assert [view(rf.get("/")).status_code for _ in range(4)] == [200] * 4
    assert [view(rf.post("/")).status_code for _ in range(3)] == [200, 200, 429]


def test_arrivals_are_throttled(client: Client, settings) -> None:
    settings.NEURONJURY_THROTTLES = {**settings.NEURONJURY_THROTTLES, "arrival": (2, 60)}
    url = reverse("rater:entry", args=[make_study().slug])
    codes = [Client().post(url, {"consent": "yes"}).status_code for _ in range(3)]
    assert codes[:2] == [302, 302]
    assert codes[2] == 429
    assert Participation.objects.count() == 2


def test_the_admin_has_no_login_page_of_its_own(client: Client) -> None:
    response = client.get("/admin/login/?next=/admin/")
    assert (response.status_code, response["Location"]) == (302, f"{LOGIN}?next=/admin/")
    assert client.post("/admin/login/", {"username": "a", "password": "b"}).status_code == 405
    assert client.get("/admin/").status_code == 302
    client.force_login(make_user())
    assert client.get("/admin/login/").status_code == 403
    outside = client.get(f"{LOGIN}?next=https://evil.example/")
    assert "evil.example" not in outside.headers.get("Location", "")


def test_a_password_is_changed_and_other_browsers_are_logged_out() -> None:
    user = make_user()
    here, elsewhere = Client(), Client()
    for client in (here, elsewhere):
        client.force_login(user)
    url = reverse("password_change")
    assert "Change your password" in here.get(url).content.decode()
    new = "a long and unusual phrase"
    weak = here.post(
        url, {"old_password": "password", "new_password1": "short", "new_password2": "short"}
    )
    assert "too short" in weak.content.decode()
    body = {"old_password": "password", "new_password1": new, "new_password2": new}
    done = here.post(url, body, follow=True)
    assert "The password is changed" in done.content.decode()
    assert here.get("/").status_code == 200
    assert elsewhere.get("/").status_code == 302


def test_bodies_are_limited_before_they_are_read(client: Client, settings) -> None:
    settings.NEURONJURY_MAX_BODY_BYTES = 1000
    settings.NEURONJURY_MAX_UPLOAD_BYTES = 5000
    study = make_study()
    url = reverse("researcher:study_status", args=[study.slug])

    def send(who: Client, size: int) -> int:
        file = SimpleUploadedFile("a.bin", b"x" * size)
        return who.post(url, {"file": file, "action": "x"}).status_code

    big_json = client.post(url, "x" * 1001, content_type="application/json")
    assert big_json.status_code == 413
    assert "too large" in big_json.content.decode()
    assert send(client, 2000) == 413
    client.force_login(study.owner)
    assert send(client, 2000) != 413
    assert send(client, 7000) == 413
    assert client.post(url, "x" * 1001, content_type="application/json").status_code == 413


def test_a_body_that_is_too_large_is_not_read() -> None:
    payload = FakePayload()
    payload.read = lambda *_: pytest.fail("the body was read")  # type: ignore[method-assign]
    response = Client().generic(
        "POST",
        LOGIN,
        **{
            "wsgi.input": payload,
            "CONTENT_LENGTH": str(10**9),
            "CONTENT_TYPE": "multipart/form-data; boundary=x",
        },
    )
    assert response.status_code == 413


@pytest.mark.parametrize("code", [400, 403, 404, 500])
def test_error_pages_tell_nothing(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "postgres://user:hunter2@db/neurons"
    error = {
        400: SuspiciousOperation(secret),
        403: PermissionDenied(secret),
        404: Http404(secret),
        500: RuntimeError(secret),
    }[code]

    def broken(*_args: Any, **_kwargs: Any) -> None:
        raise error

    monkeypatch.setattr("annotation.views.researcher.studies_visible", broken)
    client = Client(raise_request_exception=False)
    client.force_login(make_user())
    response = client.get("/")
    html = response.content.decode()
    assert response.status_code == code
    assert f"Error {code}" in html
    for word in ("hunter2", "Traceback", "RuntimeError", "annotation/"):
        assert word not in html.replace("annotation/css", "").replace("annotation/logo", "")


def test_no_image_outside_its_folder_is_sent(client: Client, tmp_path: Path) -> None:
    study = make_study()
    client.force_login(study.owner)
    probe_input = ProbeInput.objects.filter(dataset=study.dataset).first()
    assert probe_input is not None
    root = study.dataset.absolute_root
    inside = root / probe_input.file
    url = reverse("rater:image", args=[probe_input.public_id])
    assert client.get(url).status_code == 200
    secret = tmp_path / "secret.png"
    secret.write_bytes(inside.read_bytes())
    (root / "link.png").symlink_to(secret)
    (root / "folder").symlink_to(tmp_path)
    for file in (
        os.path.relpath(secret, root),
        str(secret),
        "link.png",
        "folder/secret.png",
        "sub/../../secret.png",
        "missing.png",
    ):
        ProbeInput.objects.filter(pk=probe_input.pk).update(file=file)
        response = client.get(url)
        assert response.status_code == 404, file
        assert response.content != secret.read_bytes()


def settings_of_production(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "import neuronjury.settings.prod as s; print(s.SESSION_COOKIE_NAME, s.ALLOWED_HOSTS)",
        ],
        cwd=ROOT,
        env={**{k: v for k, v in os.environ.items() if k in {"PATH", "PYTHONPATH"}}, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


SOUND = {
    "SECRET_KEY": "s" * 60,
    "NEURONJURY_ENCRYPTION_KEY": f"{'e' * 40},{'f' * 40}",
    "ALLOWED_HOSTS": "jury.example",
}


def test_production_takes_every_secret_from_the_environment_or_says_which_is_missing() -> None:
    assert "__Host-sessionid" in settings_of_production(**SOUND).stdout
    spaced = settings_of_production(**{**SOUND, "ALLOWED_HOSTS": "jury.example, www.jury.example,"})
    assert "['jury.example', 'www.jury.example']" in spaced.stdout
    for name in SOUND:
        refused = settings_of_production(**{k: v for k, v in SOUND.items() if k != name})
        assert f"Set the environment variable {name}" in refused.stderr
    weak = settings_of_production(**{**SOUND, "NEURONJURY_ENCRYPTION_KEY": "short"})
    assert "NEURONJURY_ENCRYPTION_KEY: a key is shorter than" in weak.stderr
    same = settings_of_production(**{**SOUND, "NEURONJURY_ENCRYPTION_KEY": SOUND["SECRET_KEY"]})
    assert "same as SECRET_KEY" in same.stderr
    for value in SOUND.values():
        assert value not in weak.stderr + same.stderr


def test_a_made_up_token_lifts_no_limit(client: Client, settings) -> None:
    settings.NEURONJURY_MAX_BODY_BYTES = 1000
    settings.NEURONJURY_MAX_UPLOAD_BYTES = 5000

    def send(url: str, size: int) -> HttpResponse:
        file = SimpleUploadedFile("a.bin", b"x" * size)
        return client.post(url, {"file": file}, headers={"Authorization": "Bearer junk"})

    assert send(LOGIN, 2000).status_code == 413
    assert send("/api/studies/", 2000).status_code == 401
    refused = send("/api/studies/", 7000)
    assert (refused.status_code, refused["Content-Type"]) == (413, "application/problem+json")
