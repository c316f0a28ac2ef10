"""The whole API against its own document: whatever is sent, the answer is as promised."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import schemathesis
from django.conf import settings as django_settings
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from django.test import override_settings
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.annotation.api.test_access import World
from tests.annotation.factories_api import make_token

pytestmark = pytest.mark.slow

#: Of each operation; always the same ones.
EXAMPLES = 6
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

schema = schemathesis.openapi.from_wsgi("/api/schema/?format=json", get_wsgi_application())
schema.config.phases.coverage.enabled = False


@contextmanager
def _connection_kept() -> Iterator[None]:
    """Let no request close the connection whose transaction holds the world.

    What Django's test client does; schemathesis brings its own.
    """
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in signals:
            signal.connect(close_old_connections)


@pytest.fixture(scope="module")
def asker(django_db_setup, django_db_blocker) -> Iterator[tuple[World, str, Iterator[int]]]:
    """One world for all operations: nothing that is done to it lasts."""
    with (
        django_db_blocker.unblock(),
        _connection_kept(),
        override_settings(NEURONJURY_DATASET_ROOTS=[django_settings.DATA_DIR]),
        transaction.atomic(),
    ):
        world = World()
        yield world, make_token(world.study.owner)[1], itertools.count()
        transaction.set_rollback(True)


@pytest.mark.django_db
def test_operations_are_found() -> None:
    """There is something to fuzz; and pytest-django makes the database, which it sees asked for."""
    operations = list(schema.get_all_operations())
    assert len(operations) >= 80


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_sent_the_answer_is_as_promised(
    case: schemathesis.Case, asker: tuple[World, str, Iterator[int]]
) -> None:
    world, secret, counter = asker
    # three in four about things that are there
    if next(counter) % 4:
        known = {name: str(value) for name, value in world.values.items()}
        case.path_parameters = {
            name: known.get(name, value) for name, value in (case.path_parameters or {}).items()
        }
    headers: dict[str, Any] = {"Authorization": f"Bearer {secret}"}
    with transaction.atomic():
        response = case.call(headers=headers)
        transaction.set_rollback(True)
    case.validate_response(response, checks=CHECKS)
