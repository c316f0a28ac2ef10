"""The admin: every list opens, in few queries, and nothing that is measured can be changed."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.encryption import encrypt
from annotation.models import (
    ApiToken,
    IdempotencyKey,
    PanelCredential,
    PanelEvent,
    Rating,
    StudyEvent,
)
from annotation.services.estimates import estimate_request, estimate_run
from tests.annotation.factories import make_study, make_user, rate_study

pytestmark = pytest.mark.django_db

MODELS = sorted(
    (model for model in apps.get_app_config("annotation").get_models()),
    key=lambda model: model.__name__,
)


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(make_user(is_staff=True, is_superuser=True))
    return client


def test_every_model_is_there() -> None:
    automatic = {model for model in MODELS if model._meta.auto_created}
    assert set(MODELS) - automatic <= set(admin.site._registry)


def test_every_list_and_row_opens(staff: Client, django_assert_max_num_queries) -> None:
    study = make_study()
    rate_study(study)
    estimate_run(run=estimate_request(study=study, aggregation="bragg", enqueue=False, live=True))
    for model in MODELS:
        name = f"admin:annotation_{model._meta.model_name}"
        with django_assert_max_num_queries(15):
            response = staff.get(reverse(f"{name}_changelist"), {"q": "a"})
        assert response.status_code == 200, model
        row = model.objects.first()
        if row is not None:
            response = staff.get(reverse(f"{name}_change", args=[row.pk]))
            assert response.status_code == 200, model
        assert staff.get(reverse(f"{name}_add")).status_code == 403


def test_secrets_are_not_shown(staff: Client) -> None:
    user = make_user()
    now = timezone.now()
    token = encrypt("the panel's token")
    rows = [
        PanelCredential.objects.create(owner=user, name="lab", token_encrypted=token),
        ApiToken.objects.create(
            user=user, name="laptop", prefix="nj_abcd", digest="d" * 64, expires_at=now
        ),
        IdempotencyKey.objects.create(
            user=user, key="once", fingerprint="f" * 64, reply={"token": "nj_shown_once"}
        ),
        PanelEvent.objects.create(
            event_id="e1", event_type="x", payload={"participant": "5f0PANELID"}, occurred_at=now
        ),
    ]
    for row in rows:
        name = row._meta.model_name
        pages = [reverse(f"admin:annotation_{name}_change", args=[row.pk])]
        pages.append(reverse(f"admin:annotation_{name}_changelist"))
        for page in pages:
            html = staff.get(page).content.decode()
            assert str(row) in html or page != pages[0]
            for secret in ("the panel's token", token.decode(), "d" * 64, "shown_once", "PANELID"):
                assert secret not in html, row


def test_ratings_cannot_be_changed_or_deleted(staff: Client) -> None:
    rate_study(make_study(), max_tasks=1)
    rating = Rating.objects.first()
    assert rating is not None
    for action in ("change", "delete"):
        url = reverse(f"admin:annotation_rating_{action}", args=[rating.pk])
        assert staff.post(url, {"value": "absent", "post": "yes"}).status_code == 403
    assert Rating.objects.filter(pk=rating.pk, value=rating.value).exists()


def test_texts_of_a_study_are_changed_with_a_log(staff: Client) -> None:
    study = make_study()
    url = reverse("admin:annotation_study_change", args=[study.pk])
    body = {
        "title": "A better title",
        "question": study.question,
        "instructions": study.instructions,
        "contact": "lab@example.org",
        "redundancy": 7,
    }
    assert staff.post(url, body).status_code == 302
    study.refresh_from_db()
    assert (study.title, study.contact, study.redundancy) == (
        "A better title",
        "lab@example.org",
        3,
    )
    event = StudyEvent.objects.get(action="texts changed")
    assert event.details == {"fields": ["title", "contact"]}
    assert event.actor is not None
