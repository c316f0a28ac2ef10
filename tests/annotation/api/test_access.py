"""Every endpoint for everybody: who may look, who may change, which tokens are good."""

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, reverse
from django.utils import timezone

from annotation.api import urls
from annotation.api.base import ApiView
from annotation.models import ApiToken, ProbeDataset, Role, Study, StudyMember
from annotation.services.assignments import assignment_lease
from annotation.services.estimates import estimate_request
from annotation.services.recruitments import recruitment_set
from annotation.services.reviews import review_report
from annotation.services.submissions import submission_record
from annotation.services.tokens import token_revoke
from tests.annotation.factories import make_participation, make_study, make_user, rate_task
from tests.annotation.factories_api import api_client, bearer, make_token

pytestmark = pytest.mark.django_db

#: What only the owner and staff may do.
OWNERS_ALONE = {("study", "delete"), ("member", "put"), ("member", "delete")}
#: What changes nothing of the study at hand.
VIEWERS_TOO = {("study_clone", "post")}


def endpoints() -> list[tuple[URLPattern, str]]:
    """Every (address, method) of the API that asks who you are."""
    found = []
    for pattern in urls.urlpatterns:
        view = pattern.callback.view_class
        if pattern.name is None or not issubclass(view, ApiView):
            continue
        found += [
            (pattern, method)
            for method in ("get", "post", "put", "patch", "delete")
            if hasattr(view, method)
        ]
    return found


ENDPOINTS = endpoints()
OF_STUDIES = [pair for pair in ENDPOINTS if "<slug:slug>" in str(pair[0].pattern)]


class World:
    """A study, people around it, and things of the study to ask for."""

    def __init__(self) -> None:
        self.study = make_study(n_inputs=20, inputs_per_pair=5)
        self.viewer, self.researcher = make_user("viewer"), make_user("researcher")
        for user, role in ((self.viewer, Role.VIEWER), (self.researcher, Role.RESEARCHER)):
            StudyMember.objects.create(study=self.study, user=user, role=role)
        self.run = estimate_request(study=self.study, aggregation="majority", enqueue=False)
        ProbeDataset.objects.update(created_by=self.study.owner)
        assignment = assignment_lease(participation=make_participation(self.study))
        assert assignment is not None
        rate_task(assignment, "present")
        self.participation = assignment.participation
        self.review = review_report(
            participation=self.participation, actor=self.researcher, note="always present"
        )
        self.recruitment = recruitment_set(
            study=self.study, channel="prolific", actor=self.study.owner, places=5, reward_minor=150
        )
        self.gold = self.study.gold_answers.create(
            concept=self.study.tasks.first().concept,
            probe_input=self.study.dataset.inputs.last(),
            value="present",
            use="example",
        )
        submission_record(
            recruitment=self.recruitment, submission_id="s-1", participation=self.participation
        )
        self.values: dict[str, Any] = {
            "slug": self.study.slug,
            "run_id": self.run.public_id,
            "table": "ratings",
            "token_id": 1,
            "username": "viewer",
            "method": "Good",
            "dataset_id": self.study.dataset_id,
            "activations_id": self.study.dataset.activation_matrices.get().pk,
            "matrix_id": self.study.concept_prior_id,
            "rater_id": self.participation.public_id,
            "review_id": self.review.pk,
            "gold_id": self.gold.pk,
            "channel": "prolific",
            "submission_id": "s-1",
        }

    def ask(self, client: Client, pattern: URLPattern, method: str) -> int:
        """The status that an endpoint answers with; whatever it did is undone."""
        names = pattern.pattern.converters
        address = reverse(f"api:{pattern.name}", kwargs={name: self.values[name] for name in names})
        body = {} if method == "get" else {"data": {}, "content_type": "application/json"}
        with transaction.atomic():
            response = getattr(client, method)(address, **body)
            if response.streaming:
                b"".join(response.streaming_content)
            transaction.set_rollback(True)
        if response.status_code >= 400:
            assert response["Content-Type"] == "application/problem+json"
            assert response.json()["detail"]
        return int(response.status_code)


@pytest.fixture
def world() -> World:
    return World()


def test_the_walk_finds_the_endpoints() -> None:
    names = {(pattern.name, method) for pattern, method in ENDPOINTS}
    assert len(names) == len(ENDPOINTS) >= 75
    assert {("study", "get"), ("study_list", "post"), ("token", "delete")} <= names


def test_nobody_gets_in(world: World) -> None:
    owner = world.study.owner
    expired, revoked = (make_token(owner, name=name) for name in ("old", "lost"))
    ApiToken.objects.filter(pk=expired[0].pk).update(expires_at=timezone.now())
    token_revoke(token=revoked[0])
    gone = make_user()
    clients = {
        "nobody": Client(),
        "wrong token": bearer("nj_wrong"),
        "no token": bearer(""),
        "expired token": bearer(expired[1]),
        "revoked token": bearer(revoked[1]),
        "token of a user who left": api_client(gone),
    }
    type(gone).objects.filter(pk=gone.pk).update(is_active=False)
    let_in = [
        (pattern.name, method, who, found)
        for pattern, method in ENDPOINTS
        for who, client in clients.items()
        if (found := world.ask(client, pattern, method)) != HTTPStatus.UNAUTHORIZED
    ]
    assert let_in == []


def test_a_stranger_sees_no_study(world: World) -> None:
    client = api_client()
    seen = [
        (pattern.name, method, found)
        for pattern, method in OF_STUDIES
        if (found := world.ask(client, pattern, method)) != HTTPStatus.NOT_FOUND
    ]
    assert seen == []


def test_members_owner_and_staff(world: World) -> None:
    clients = {
        "viewer": api_client(world.viewer),
        "researcher": api_client(world.researcher),
        "owner": api_client(world.study.owner),
        "staff": api_client(make_user(is_staff=True)),
    }
    wrong = []
    for pattern, method in OF_STUDIES:
        key = (pattern.name, method)
        may = {
            "viewer": method == "get" or key in VIEWERS_TOO,
            "researcher": key not in OWNERS_ALONE,
            "owner": True,
            "staff": True,
        }
        for who, client in clients.items():
            found = world.ask(client, pattern, method)
            if (found == HTTPStatus.FORBIDDEN) == may[who] or found == HTTPStatus.UNAUTHORIZED:
                wrong.append((*key, who, found))
    assert wrong == []


def test_tokens_are_good_for_their_scopes(world: World) -> None:
    clients = {scope: api_client(world.study.owner, scope) for scope in ("read", "write", "pay")}
    wrong = []
    for pattern, method in ENDPOINTS:
        pays = pattern.callback.view_class.pays
        needed = "read" if method == "get" else "pay" if pays else "write"
        for scope, client in clients.items():
            found = world.ask(client, pattern, method)
            good = needed in {"read", scope}
            if (found == HTTPStatus.FORBIDDEN) == good:
                wrong.append((pattern.name, method, scope, found))
    assert wrong == []


def test_a_session_needs_its_csrf_token(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.study.owner)
    wrong = [
        (pattern.name, method, found)
        for pattern, method in ENDPOINTS
        if ((found := world.ask(client, pattern, method)) == HTTPStatus.FORBIDDEN)
        != (method != "get")
    ]
    assert wrong == []


def test_a_message_names_the_scope_that_is_missing() -> None:
    client = api_client(None, "read", "pay")
    response = client.post(reverse("api:study_list"), {}, content_type="application/json")
    assert response.status_code == HTTPStatus.FORBIDDEN
    assert "may read and pay, and this needs write" in response.json()["detail"]


def test_a_token_notes_that_it_was_used() -> None:
    token, secret = make_token(None, "read")
    bearer(secret).get(reverse("api:study_list"))
    token.refresh_from_db()
    assert token.last_used_at is not None
    assert timezone.now() - token.last_used_at < timedelta(minutes=1)


def test_a_token_revokes_itself_and_no_other_users() -> None:
    token, secret = make_token()
    other, _ = make_token()
    client = bearer(secret)
    (listed,) = client.get(reverse("api:token_list")).json()
    assert listed["prefix"] == secret[:10]
    assert secret not in str(listed)
    found = client.delete(reverse("api:token", args=[other.pk]))
    assert found.status_code == HTTPStatus.NOT_FOUND
    found = client.delete(reverse("api:token", args=[token.pk]))
    assert found.status_code == HTTPStatus.NO_CONTENT
    assert client.get(reverse("api:token_list")).status_code == HTTPStatus.UNAUTHORIZED
    other.refresh_from_db()
    assert other.revoked_at is None


@pytest.fixture
def rates(settings) -> Callable[..., None]:
    def limit(**rates: tuple[int, int]) -> None:
        settings.NEURONJURY_THROTTLES = {**settings.NEURONJURY_THROTTLES, **rates}

    return limit


def test_too_many_requests_are_told_when_to_come_back(rates: Callable[..., None]) -> None:
    rates(api_burst=(3, 60), api_anonymous=(2, 60))
    client, address = api_client(), reverse("api:study_list")
    assert [client.get(address).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = client.get(address)
    assert refused["Content-Type"] == "application/problem+json"
    assert 0 < int(refused["Retry-After"]) <= 60
    assert api_client().get(address).status_code == HTTPStatus.OK  # another user


def test_a_user_is_counted_over_all_tokens_sessions_and_addresses(
    rates: Callable[..., None],
) -> None:
    rates(api_user=(3, 3600))
    user, address = make_user(), reverse("api:study_list")
    session = Client()
    session.force_login(user)
    found = [
        client.get(address, REMOTE_ADDR=f"192.0.2.{number}").status_code
        for number, client in enumerate((api_client(user), api_client(user), session, session))
    ]
    assert found == [200, 200, 200, 429]
    assert int(session.get(address)["Retry-After"]) > 60


def test_counting_costs_the_same_however_often_somebody_asked(rates: Callable[..., None]) -> None:
    client, address = api_client(), reverse("api:study_list")
    client.get(address)

    def n_queries() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get(address)
        return len(queries)

    first = n_queries()
    for _ in range(5):
        client.get(address)
    assert n_queries() == first


def test_guessing_tokens_is_slowed_down(rates: Callable[..., None]) -> None:
    rates(api_anonymous=(2, 60))
    address = reverse("api:study_list")
    found = [bearer(f"nj_{number}").get(address).status_code for number in range(4)]
    assert found == [401, 401, 429, 429]


def test_every_other_address_is_a_problem() -> None:
    for address in ("/api/", "/api/nothing/", "/api/studies"):
        response = Client().get(address)
        assert response.status_code == HTTPStatus.NOT_FOUND
        assert response["Content-Type"] == "application/problem+json"
    assert Study.objects.count() == 0
