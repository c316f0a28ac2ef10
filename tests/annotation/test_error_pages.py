"""Pages of errors: in the language of whoever sees them, and the one for faults needs nothing."""

from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse

from annotation.error_pages import server_error
from annotation.middleware import MAINTENANCE, maintenance_middleware
from annotation.models import Study
from tests.annotation.factories import make_study, make_user

#: A browser that asks for another language than the study's.
FRENCH = {"HTTP_ACCEPT_LANGUAGE": "fr-CH, fr;q=0.9, en;q=0.8"}
WORDS = {
    "404": {"en": "There is no page here", "fr": "Il n&#x27;y a pas de page ici"},
    "500": {
        "en": "Something broke on our side",
        "fr": "Quelque chose a cessé de fonctionner de notre côté",
        "ar": "حدث عطل من جانبنا",
    },
}


def visitor(**options: Any) -> Client:
    return Client(raise_request_exception=False, **options)


def raising(error: Exception) -> Any:
    def broken(*_args: Any, **_kwargs: Any) -> None:
        raise error

    return broken


@pytest.fixture
def arabic(db: None) -> Study:
    return make_study(language="ar", launched=True)


def test_an_unknown_address_speaks_the_browser_s_language(db: None) -> None:
    for address in ("/nothing/", "/r/nothing/"):
        for headers, language in (
            (FRENCH, "fr"),
            ({"HTTP_ACCEPT_LANGUAGE": "xx"}, "en"),
            ({}, "en"),
        ):
            response = visitor().get(address, **headers)
            html = response.content.decode()
            assert response.status_code == HTTPStatus.NOT_FOUND
            assert WORDS["404"][language].replace("&#x27;", "'") in html.replace("&#x27;", "'")
            assert f'<html lang="{language}" dir="ltr">' in html
            assert "Accept-Language" in response["Vary"]


def test_researchers_pages_stay_in_the_site_s_language(db: None) -> None:
    client = visitor()
    client.force_login(make_user())
    html = client.get("/studies/nothing/", **FRENCH).content.decode()
    assert WORDS["404"]["en"] in html
    assert 'class="brand"' in html  # the way home


def test_a_draft_does_not_betray_itself_by_its_language(db: None) -> None:
    draft = make_study(language="ar", launched=False)
    html = visitor().get(reverse("rater:entry", args=[draft.slug]), **FRENCH).content.decode()
    assert 'lang="fr"' in html


@pytest.mark.parametrize(
    ("error", "code"),
    [(SuspiciousOperation("x"), 400), (PermissionDenied("x"), 403), (RuntimeError("x"), 500)],
    ids=str,
)
def test_a_study_s_raters_are_told_in_its_language(
    arabic: Study, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    monkeypatch.setattr("annotation.views.arrival.arrival_read", raising(error))
    response = visitor().get(reverse("rater:entry", args=[arabic.slug]), **FRENCH)
    html = response.content.decode()
    assert response.status_code == code
    assert '<html lang="ar" dir="rtl">' in html
    assert f"خطأ {code}" in html
    assert 'class="brand"' not in html  # no way out to the researchers' site
    assert "no-store" in response["Cache-Control"]


def test_refusals_before_the_view_speak_the_study_s_language(arabic: Study, settings) -> None:
    url = reverse("rater:entry", args=[arabic.slug])
    stale = Client(enforce_csrf_checks=True).post(url, {"consent": "yes"}, **FRENCH)
    assert stale.status_code == HTTPStatus.FORBIDDEN
    assert "انتهت صلاحية هذه الصفحة" in stale.content.decode()
    settings.NEURONJURY_THROTTLES = {**settings.NEURONJURY_THROTTLES, "arrival": (0, 120)}
    many = Client().post(url, {"consent": "yes"}, **FRENCH)
    assert many.status_code == HTTPStatus.TOO_MANY_REQUESTS
    assert "انتظر دقيقتين" in many.content.decode()
    settings.NEURONJURY_MAX_BODY_BYTES = 10
    large = Client().post(url, {"consent": "yes"}, **FRENCH)
    assert large.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert "هذا كبير جدًا" in large.content.decode()


def test_a_fault_is_answered_without_the_database(
    arabic: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = reverse("rater:entry", args=[arabic.slug])
    client = visitor()
    client.force_login(arabic.owner)
    with monkeypatch.context() as gone:
        gone.setattr(
            "django.db.backends.utils.CursorWrapper.execute", raising(OperationalError("away"))
        )
        before = client.get(url, **FRENCH)  # nobody knows the study, nor who is logged in
    assert before.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    assert WORDS["500"]["fr"] in before.content.decode()
    with monkeypatch.context() as gone:
        gone.setattr("annotation.views.arrival.arrival_read", raising(OperationalError("away")))
        later = client.get(url, **FRENCH)
    assert WORDS["500"]["ar"] in later.content.decode()


def test_a_fault_of_the_page_for_faults_still_says_something(
    monkeypatch: pytest.MonkeyPatch, rf: RequestFactory, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(
        "annotation.error_pages.get_template", raising(ValueError("no static manifest"))
    )
    response = server_error(rf.get("/r/some/", **FRENCH))
    assert response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    assert response.content.decode() == WORDS["500"]["fr"]
    assert "the page for faults cannot be made" in caplog.text


@pytest.fixture
def at_work() -> Any:
    flag = Path(django_settings.DATA_DIR) / MAINTENANCE
    flag.touch()
    yield flag
    flag.unlink(missing_ok=True)


def test_a_site_that_is_worked_on_says_so_without_the_database(at_work: Path) -> None:
    # no mark django_db: a query would fail this test
    page = visitor().get("/r/some/", **FRENCH)
    assert page.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert "Le site est en cours de maintenance" in page.content.decode()
    assert int(page["Retry-After"]) > 0
    assert "default-src 'none'" in page["Content-Security-Policy"]
    problem = visitor().post("/api/studies/", {}, content_type="application/json")
    assert problem.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert problem["Content-Type"] == "application/problem+json"
    at_work.unlink()
    assert visitor().get("/accounts/login/").status_code == HTTPStatus.OK


def test_an_answer_of_a_view_is_left_alone(rf: RequestFactory) -> None:
    answer = HttpResponse("ok")
    assert maintenance_middleware(lambda _request: answer)(rf.get("/")) is answer
