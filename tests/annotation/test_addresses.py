"""Every address, opened by everybody: headers, nothing inline, no GET writes, CSRF, escaping."""

import re
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.test import Client, override_settings

from annotation.models import (
    Concept,
    Estimate,
    ExplanationMethod,
    Participation,
    ProbeDataset,
    Study,
    StudyEvent,
)
from annotation.services.assignments import assignment_lease
from annotation.services.estimates import estimate_request, estimate_run
from tests.annotation.addresses import Address, addresses, writes_recorded
from tests.annotation.factories import make_participation, make_study, make_user, rate_study

pytestmark = pytest.mark.django_db

PAYLOAD = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
#: Webhooks carry a signature of their own; nobody's browser sends them.
WITHOUT_CSRF = re.compile(r"(^|:)(webhook|prolific_webhook|.*hook.*)$")


class Site:
    """A study with ratings, estimates and a rater at work; and everybody who may look at it."""

    def __init__(self) -> None:
        self.owner = make_user()
        self.study = make_study(owner=self.owner, n_inputs=20, inputs_per_pair=8)
        rate_study(self.study, max_tasks=2)
        estimate_run(run=estimate_request(study=self.study, aggregation="bragg", enqueue=False))
        self.participation = make_participation(self.study)
        assignment = assignment_lease(participation=self.participation)
        assert assignment is not None
        self.parts: dict[str, Any] = {
            "slug": self.study.slug,
            "study_slug": self.study.slug,
            "assignment_id": assignment.public_id,
            "public_id": assignment.task.items.select_related("probe_input")
            .first()
            .probe_input.public_id,
            "run_id": self.study.estimate_runs.get(live=False).public_id,
            "participation_id": self.participation.public_id,
            "dataset_id": self.study.dataset_id,
            "table": "ratings",
        }

    def everybody(self, **options: Any) -> dict[str, Client]:
        people = {
            "anonymous": Client(**options),
            "rater": Client(**options),
            "stranger": Client(**options),
            "owner": Client(**options),
            "staff": Client(**options),
        }
        people["stranger"].force_login(make_user())
        people["owner"].force_login(self.owner)
        people["staff"].force_login(make_user(is_staff=True, is_superuser=True))
        session = people["rater"].session
        session["participations"] = {self.study.slug: str(self.participation.public_id)}
        session.save()
        return people


@pytest.fixture
def site() -> Site:
    return Site()


def opened(client: Client, address: Address) -> tuple[Any, str]:
    response = client.get(address.url)
    body = b"".join(response.streaming_content) if response.streaming else response.content
    is_html = response.headers.get("Content-Type", "").startswith("text/html")
    return response, body.decode() if is_html else ""


def counts() -> dict[str, int]:
    return {model.__name__: model._base_manager.count() for model in apps.get_models()}


def test_no_get_writes_anything(site: Site) -> None:
    everybody, before, writing = site.everybody(), counts(), []
    for who, client in everybody.items():
        for address in addresses(site.parts):
            with writes_recorded() as writes:
                opened(client, address)
            # how often somebody asked the API is counted, and is no change of anything
            counting = "throttlewindow" if address.name.startswith("api:") else "no table"
            writing += [f"{who} {address}: {sql[:80]}" for sql in writes if counting not in sql]
    assert writing == []
    assert {**counts(), "ThrottleWindow": 0} == before


def test_every_response_is_guarded_and_none_is_a_fault(site: Site) -> None:
    wrong: list[str] = []
    for who, client in site.everybody(raise_request_exception=False).items():
        for address in addresses(site.parts):
            response, html = opened(client, address)
            headers, where = response.headers, f"{who} {address}"
            if response.status_code >= 500:
                wrong.append(f"{where}: {response.status_code}")
            policy = headers.get("Content-Security-Policy", "")
            if "default-src 'none'" not in policy or "unsafe" in policy:
                wrong.append(f"{where}: policy {policy!r}")
            wrong += [
                f"{where}: {name} is {headers.get(name)!r}"
                for name, value in (
                    ("X-Content-Type-Options", "nosniff"),
                    ("X-Frame-Options", "DENY"),
                    ("Referrer-Policy", "same-origin"),
                    ("Cross-Origin-Opener-Policy", "same-origin"),
                    ("Cross-Origin-Resource-Policy", "same-origin"),
                )
                if headers.get(name) != value
            ]
            if "camera=()" not in headers.get("Permissions-Policy", ""):
                wrong.append(f"{where}: no Permissions-Policy")
            wrong += [f"{where}: {text}" for text in inline_parts(html)]
            if "Traceback" in html:
                wrong.append(f"{where}: a stack trace")
    assert wrong == []


def inline_parts(html: str) -> list[str]:
    """Scripts, styles and handlers that stand in the page itself."""
    scripts = re.findall(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>", html)
    styles = re.findall(r"<style[^>]*>", html)
    attributes = re.findall(r"<[a-z][^<>]*\s(?:style|on[a-z]+)\s*=[^<>]*>", html)
    return scripts + styles + attributes


def test_the_browser_shows_no_page_of_a_logged_in_user_again_without_asking(site: Site) -> None:
    client = site.everybody()["owner"]
    wrong = []
    for address in addresses(site.parts):
        response, html = opened(client, address)
        kept = not re.search("no-store|no-cache", response.headers.get("Cache-Control", ""))
        if html and response.status_code == 200 and kept:
            wrong.append(str(address))
    assert wrong == []


@override_settings(NEURONJURY_THROTTLES=dict.fromkeys(settings.NEURONJURY_THROTTLES, (100_000, 60)))
def test_no_unsafe_request_is_taken_without_a_csrf_token(site: Site) -> None:
    wrong = []
    for who, client in site.everybody(enforce_csrf_checks=True).items():
        for address in addresses(site.parts):
            if WITHOUT_CSRF.search(address.name):
                continue
            for method in ("post", "put", "patch", "delete"):
                with writes_recorded() as writes:
                    response = getattr(client, method)(
                        address.url, {"action": "x"}, content_type="application/json"
                    )
                counted = [sql for sql in writes if "throttlewindow" not in sql]
                if response.status_code not in {401, 403, 404, 405} or counted:
                    wrong.append(f"{who} {method} {address}: {response.status_code} {counted}")
    assert wrong == []


def test_what_people_type_is_escaped_everywhere(site: Site) -> None:
    Study.objects.update(
        title=PAYLOAD[:200],
        question=PAYLOAD[:200],
        instructions=PAYLOAD,
        consent_text=PAYLOAD,
        debrief=PAYLOAD,
    )
    for number, concept in enumerate(Concept.objects.all()):
        Concept.objects.filter(pk=concept.pk).update(text=f"{PAYLOAD} {number}")
    for number, method in enumerate(ExplanationMethod.objects.all()):
        ExplanationMethod.objects.filter(pk=method.pk).update(name=f"{PAYLOAD} {number}")
    ProbeDataset.objects.update(name=PAYLOAD)
    StudyEvent.objects.update(details={"note": PAYLOAD})
    Estimate.objects.update(warnings=[PAYLOAD])
    type(site.owner).objects.filter(pk=site.owner.pk).update(first_name=PAYLOAD[:100])
    type(site.participation.rater).objects.update(nickname=PAYLOAD[:40])
    wrong, shown = [], 0
    for who, client in site.everybody().items():
        for address in addresses(site.parts):
            _, html = opened(client, address)
            shown += "&lt;script&gt;alert(1)" in html
            if "<script>alert(1)" in html or "<img src=x" in html:
                wrong.append(f"{who} {address}")
    assert wrong == []
    assert shown > 5
    assert Participation.objects.filter(pk=site.participation.pk).exists()
